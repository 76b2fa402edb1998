// SPDX-License-Identifier: Apache-2.0
// Descriptions that a system call of their own makes (eventfd, timerfd, ...), on no file system.
#pragma once

#include "plan/builder.h"

namespace bpfckpt::kinds {

// Leaves `fd` as the description of `file`, with the flags that fcntl(F_SETFL) sets; `made_with` are those
// that the call which made it was given.
void plan_anonymous(PlanBuilder& plan, const pb::File& file, OpId fd, std::uint32_t made_with);

}  // namespace bpfckpt::kinds
