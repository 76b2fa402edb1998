// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a connection that leads out of the tree.
#pragma once

#include <sys/types.h>

#include <functional>
#include <unordered_map>

#include "collect/programs.h"
#include "collect/records.h"

namespace bpfckpt::collect {

// Every unix socket that some process has open, and who has (of several, the first that the iterator comes
// to).
class UnixEnds {
 public:
  // Of what passes of DumpFiles, and of DumpTasks or ListTasks, say.
  void add(const record_head& head);
  // A pass of DumpFiles begins anew.
  void forget_holders() { holders_.clear(); }
  // Of the whole machine: every descriptor is looked at.
  static Result<UnixEnds> read(const Programs& programs);

  // 0: nobody that we can see.
  std::uint32_t holder(std::uint64_t sock) const {
    auto it = holders_.find(sock);
    return it == holders_.end() ? 0 : it->second;
  }
  // What a process is called; empty: it is not known.
  std::string_view name(std::uint32_t tgid) const {
    auto it = names_.find(tgid);
    return it == names_.end() ? std::string_view() : it->second;
  }

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> holders_;  // tgid by struct sock
  std::unordered_map<std::uint32_t, std::string> names_;      // by tgid
};

// Appends, for each unix socket in `records` whose other end none of them has, which process has that
// (struct unix_holder_record). `ends` is asked only where there is such a one.
Result<void> find_peers(Records& records, const std::function<Result<const UnixEnds*>()>& ends);

}  // namespace bpfckpt::collect
