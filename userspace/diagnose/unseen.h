// SPDX-License-Identifier: Apache-2.0
// What diagnose could not look at, because it has not the privileges of a dump.
//
// BPF shows all processes to who has CAP_BPF and CAP_PERFMON. Where a path leads is the one thing that it
// does not know: that takes a path to look up, through directories that may be closed to us, and the very
// file to compare with, which is another process's.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "diagnose/findings.h"

namespace bpfckpt::diagnose {

struct Capability {
  unsigned number;
  std::string_view name;
};
inline constexpr Capability kDacReadSearch{2, "CAP_DAC_READ_SEARCH"}, kSysPtrace{19, "CAP_SYS_PTRACE"},
    kCheckpointRestore{40, "CAP_CHECKPOINT_RESTORE"};

class Unseen {
 public:
  struct Of {
    std::set<std::string> things;        // each once, however many processes have it
    std::set<std::string_view> lacking;  // capabilities; none: the kernel has other reasons
  };

  // A thing for which it is not known whether there is a finding with that code: a look at it was refused,
  // which takes these capabilities.
  void add(std::string_view code, std::string thing, std::span<const Capability> needed);
  // Of what dump refuses since it may not be seen (kinds/marks.h): that is for who has no privileges no
  // obstacle, but not known.
  void set_aside(Item& item);

  const std::map<std::string, Of>& by_code() const { return by_code_; }

 private:
  std::map<std::string, Of> by_code_;
};

// "Not seen, for want of CAP_SYS_PTRACE: covered (3 things)."; empty: everything was.
std::string to_line(const Unseen& unseen);

}  // namespace bpfckpt::diagnose
