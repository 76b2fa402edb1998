// SPDX-License-Identifier: Apache-2.0
// The two futex operations on words that other processes share.
#pragma once

#include <chrono>
#include <cstdint>

namespace bpfckpt::target {

// Returns when woken, when *word is not `value`, on a signal, or after `timeout`: the caller looks again.
void futex_wait(const std::uint32_t& word, std::uint32_t value, std::chrono::milliseconds timeout);
void futex_wake(const std::uint32_t& word);

}  // namespace bpfckpt::target
