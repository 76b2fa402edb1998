// SPDX-License-Identifier: Apache-2.0
#include "kinds/anonymous.h"

#include <fcntl.h>
#include <sys/syscall.h>

namespace bpfckpt::kinds {

void plan_anonymous(PlanBuilder& plan, const pb::File& file, OpId fd, std::uint32_t made_with) {
  // fs/fcntl.c: SETFL_MASK
  constexpr std::uint32_t kSettable = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;
  if ((file.flags() & kSettable) != (made_with & kSettable))
    plan.call(kSelf, SYS_fcntl, {Operand::result(fd), F_SETFL, file.flags()}, "flags of file");
  plan.set_file(file.id(), Operand::result(fd));
}

}  // namespace bpfckpt::kinds
