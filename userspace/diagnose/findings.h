// SPDX-License-Identifier: Apache-2.0
// What can be taken of a tree, what needs an option, what cannot, and why. Reads the model and nothing else,
// so that it says the same of a running tree (diagnose, and dump before it stops anything) and of a frozen
// one.
#pragma once

#include <string>
#include <vector>

#include "kinds/kind.h"
#include "kinds/policy.h"
#include "model/model.h"

namespace bpfckpt::diagnose {

// One thing that somebody may have to know. `subject` names the object: "fd 7 (/dev/kvm)", "mapping
// 7f..-7f..", "thread 4712", "" for the process itself.
struct Item {
  std::uint32_t pid = 0;
  std::string subject;
  std::string kind;  // of a file: its stem; else "mapping", "process", "thread"
  kinds::Finding finding;
};

struct Scope {
  bool unsupported_only = true;  // leave out what is Ok
};

std::vector<Item> find(const Model& model, const DumpPolicy& policy, const Scope& scope);

// "pid 4711: fd 7 (/dev/kvm): character device 10:232: ... (--option helps)"
std::string to_line(const Item& item);

}  // namespace bpfckpt::diagnose
