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
  std::string_view name;      // stable: `check --feature`, and what a test that skips names
  std::string_view purpose;   // what bpfckpt needs it for
  std::string_view lost;      // what does not work, or not as well, without it
  std::string_view fallback;  // what is done instead; empty: nothing, so the feature is required
  // Asks the kernel, as this process with its privileges; leaves nothing behind.
  Presence (*probe)();

  bool required() const { return fallback.empty(); }
};

std::span<const Feature> features();

// Null: no such row.
const Feature* find_feature(std::string_view name);

}  // namespace bpfckpt::kernel
