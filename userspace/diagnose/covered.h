// SPDX-License-Identifier: Apache-2.0
// Files whose path leads to something else by now.
#pragma once

#include <sys/stat.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "diagnose/findings.h"
#include "diagnose/unseen.h"

namespace bpfckpt::diagnose {

// A file that is deleted or renamed is known as such by the kernel's own tree of names. Not so one that lies
// in a directory over which something was mounted since, in a mount that was taken away, or in another mount
// namespace than ours: it has its name, which leads us elsewhere. Restore would open another file.
//
// Looks every path up once, so this is for when nobody waits: not for the frozen window.
std::vector<Item> find_covered(const Model& model);

// Where the names of many models lead, each looked up once, and what could not be looked at.
class Names {
 public:
  Unseen unseen;

  // Null, with errno as it was then: lstat(2) failed.
  const struct stat* look_up(const std::string& path);

 private:
  struct Found {
    int error;
    struct stat facts;
  };
  std::unordered_map<std::string, Found> found_;
};
std::vector<Item> find_covered(const Model& model, Names& names);

}  // namespace bpfckpt::diagnose
