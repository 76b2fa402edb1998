// SPDX-License-Identifier: Apache-2.0
// Looking at the messages in a socket's queue without taking them (MSG_PEEK).
//
// Without more, MSG_PEEK shows the first message again and again. SO_PEEK_OFF makes it go on; it is a
// property of the socket and the target's, so it is put back at once. That is the one thing of a target that
// is changed for a moment here, and only where BPF could not reach all there is (long messages, files that
// nobody has open).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt::kinds {

// The files in flight in the queue of the borrowed socket `fd`, in their order: descriptors of ours.
Result<std::vector<Fd>> peek_rights(int fd);

// The bytes of all messages, whose lengths are known, one after the other.
Result<std::vector<std::string>> peek_data(int fd, std::span<const std::uint32_t> lengths);

}  // namespace bpfckpt::kinds
