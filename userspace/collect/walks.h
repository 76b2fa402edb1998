// SPDX-License-Identifier: Apache-2.0
// Lists of any length behind objects that earlier records named (bpf/walks.h).
#pragma once

#include <map>
#include <unordered_set>
#include <vector>

#include "collect/programs.h"
#include "collect/records.h"

namespace bpfckpt::collect {

// Gathers, from file records, whose lists are to be read, and reads them. Each list is read once.
class Walks {
 public:
  void add(const record_head& head);
  // Is there a list that was added and not read yet?
  bool waiting() const;
  // Appends the items of all lists that were added since the last call. Precondition: called by the thread
  // group's leader, in whose storage the requests are left.
  Result<void> read(const Programs& programs, Records& records);

 private:
  void add(std::uint32_t kind, std::uint64_t object);

  struct Lists {
    std::vector<std::uint64_t> objects;
    std::unordered_set<std::uint64_t> seen;
  };
  std::map<std::uint32_t, Lists> lists_;  // by enum walk_kind
};

}  // namespace bpfckpt::collect
