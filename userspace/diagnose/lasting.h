// SPDX-License-Identifier: Apache-2.0
// What is found at a running tree may be something that is half-way through: a descriptor that was closed
// between the reading of it and of who watches it, a timer that was deleted, memory that was freed and is
// another's by now. What is so is found at every look.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "base/result.h"
#include "diagnose/findings.h"

namespace bpfckpt::diagnose {

// What is found now in the trees of these roots (Item::root; 0 where there is one tree only).
using LookAgain = std::function<Result<std::vector<Item>>(const std::set<std::uint32_t>& roots)>;

// Looks again (a few times) and drops from the lists what is unsupported and was not found then: by process,
// subject and code. Does not look if nothing is unsupported. What a program ends by itself in a moment (a
// connection that waits to be accepted) is waited for, some 300 ms at most.
Result<void> keep_lasting(const std::vector<std::vector<Item>*>& lists, const LookAgain& look_again);

}  // namespace bpfckpt::diagnose
