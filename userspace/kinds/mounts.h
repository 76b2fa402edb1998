// SPDX-License-Identifier: Apache-2.0
// The mounts that bpfckpt sees, and paths through them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "images/kinds/marks.pb.h"

namespace bpfckpt::kinds {

class Mounts {
 public:
  // How `unnamed` ends where that is all that is known.
  static constexpr std::string_view kDenied = "may not be looked at";

  static Result<Mounts> read();
  // Gives the target the absolute path that leads to it, or says in `unnamed` why there is none.
  void look_up(pb::MarkTarget& target) const;

 private:
  struct Mount {
    std::uint32_t id;
    std::uint32_t device;
    std::string root;  // in the file system
    std::string point;
  };
  static bool leads_to(const Mount& mount, const std::string& path, const pb::MarkTarget& target,
                       bool& denied);
  // The path of the target in that mount; empty: it is not there, or what is there may not be looked at.
  static std::string path_in(const Mount& mount, const pb::MarkTarget& target, bool& denied);

  std::vector<Mount> mounts_;
};

}  // namespace bpfckpt::kinds
