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

// A process outside of the tree that has the other end of something, or has it too.
struct Holder {
  std::uint32_t pid = 0;
  std::string command;
};

// One thing that somebody may have to know. `subject` says what it is: "fd 7", "mapping 7f..-7f..",
// "executable", "thread 4712", "process"; `name` is what it leads to or is called, and may be empty.
struct Item {
  std::uint32_t pid = 0;
  std::string subject;
  std::string name;
  std::string kind;                  // of a file: its stem; else "memory", "process", "thread"
  kinds::Finding finding;            // Ok with a reason is a note
  std::vector<Holder> holders = {};  // by pid; of what reaches out of the tree (holders.h)
  std::uint32_t root = 0;            // of the tree that it was looked at in, where there are many
};

// Of a process as a whole, which keeps it from being taken.
Item about_process(std::uint32_t pid, std::string code, std::string reason);

// The code of a finding that two looks at a running tree have to agree on.
inline constexpr const char* kSharedWithSibling = "shared-with-sibling";

// Codes of what no second look changes: this bpfckpt is below the process; the first look could not be made.
inline constexpr const char* kAboveBpfckpt = "bpfckpt";
inline constexpr const char* kUnreadable = "unreadable";

struct Scope {
  bool unsupported_only = true;  // leave out what is Ok, unless `notes` and there is a note
  bool notes = false;
  // The tree went on while it was read: what was freed in one process may have been made again in another at
  // the same address, and looks like being shared.
  bool running = false;
  // The details of files that are described late (Kind::can_wait) are not there yet: those are not judged.
  bool details_wait = false;
};

std::vector<Item> find(const Model& model, const DumpPolicy& policy, const Scope& scope);

// "pid 4711: fd 7 (/dev/kvm): character device 10:232: ... (--option helps)"
std::string to_line(const Item& item);

}  // namespace bpfckpt::diagnose
