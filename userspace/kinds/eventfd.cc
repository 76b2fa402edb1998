// SPDX-License-Identifier: Apache-2.0
// Eventfds: a counter behind one description.
//
// The counter (struct eventfd_ctx) is made with the description and nobody opens it a second time, so that it
// travels with the description and is shared as that is. Whoever was blocked in a read or write makes the
// call again. Not kept: the eventfd-id that fdinfo shows.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "bpf/records.h"
#include "images/kinds/eventfd.pb.h"
#include "kinds/anonymous.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  pb::Eventfd eventfd;
  eventfd.set_count(record.detail.eventfd.count);
  eventfd.set_semaphore((record.detail.eventfd.flags & EFD_SEMAPHORE) != 0);
  file.mutable_detail()->PackFrom(eventfd);
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(pb::Eventfd eventfd, unpack<pb::Eventfd>(file.detail(), "eventfd"));
  if (eventfd.count() == UINT64_MAX) return fail(Error::bad_image("eventfd: its counter has overflown"));
  // Non-blocking, lest a write should ever wait.
  OpId fd = plan.call(kSelf, SYS_eventfd2,
                      {0, EFD_CLOEXEC | EFD_NONBLOCK | (eventfd.semaphore() ? EFD_SEMAPHORE : 0)}, "eventfd");
  // eventfd2(2) takes 32 bits.
  if (eventfd.count() != 0) {
    DataId count = plan.bytes_of(std::uint64_t{eventfd.count()});
    plan.call_expecting(kSelf, 8, SYS_write, {Operand::result(fd), Operand::data(count), 8}, "counter");
  }
  plan_anonymous(plan, file, fd, O_NONBLOCK);
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto eventfd = unpack<pb::Eventfd>(file.detail(), "eventfd");
  // write(2) stops one below; only the kernel itself counts that far (fs/eventfd.c:eventfd_signal_mask()).
  if (eventfd && eventfd->count() == UINT64_MAX)
    return {Verdict::Unsupported, "eventfd-overflow",
            "the kernel has counted it to its end (POLLERR), which no program can do", ""};
  return {};
}

}  // namespace

extern const Kind kEventfd = {
    .name = "eventfd",
    .kept = "counter, semaphore mode, flags",
    .not_kept = "the eventfd-id that fdinfo shows",
    .refused = "a counter at its very end (2^64-1)",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
