// SPDX-License-Identifier: Apache-2.0
// Every kernel feature that bpfckpt uses, one row each. Features are probed, never guessed from a version.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace bpfckpt::kernel {

struct Presence {
  bool there = false;
  std::string detail;  // why not, where more than "no" is known
};

struct Feature {
  // Required: bpfckpt, or what `lost` says of it, needs it. Replaced: `fallback` is done instead where it is
  // missing. Kept: programs may use it, and a checkpoint has it then; bpfckpt itself does not need it.
  enum class Need { Required, Replaced, Kept };

  std::string_view name;  // stable: `check --feature`, and what a test that skips names
  Need need;
  std::string_view purpose;   // what it is, or what bpfckpt needs it for
  std::string_view how;       // what the probe looks at
  std::string_view lost;      // what does not work, or not as well, without it
  std::string_view fallback;  // what is done instead; empty: nothing
  // Asks the kernel, as this process with its privileges; leaves nothing behind.
  Presence (*probe)();

  bool required() const { return need == Need::Required; }
};

std::span<const Feature> features();

// Null: no such row.
const Feature* find_feature(std::string_view name);

// "required", "replaced", "kept"
std::string_view to_string(Feature::Need need);

}  // namespace bpfckpt::kernel
