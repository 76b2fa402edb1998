// SPDX-License-Identifier: Apache-2.0
// Signalfds: a set of signals, by which whoever reads takes its own pending ones.
//
// The set is all there is to it. What can be read is pending in the reader and travels with that.
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "bpf/records.h"
#include "images/kinds/signalfd.pb.h"
#include "kinds/anonymous.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  pb::Signalfd signalfd;
  signalfd.set_mask(record.detail.signalfd.mask);
  file.mutable_detail()->PackFrom(signalfd);
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(pb::Signalfd signalfd, unpack<pb::Signalfd>(file.detail(), "signalfd"));
  std::uint32_t nonblock = file.flags() & O_NONBLOCK;
  DataId mask = plan.bytes_of(std::uint64_t{signalfd.mask()});
  OpId fd = plan.call(kSelf, SYS_signalfd4, {-1, Operand::data(mask), 8, SFD_CLOEXEC | nonblock}, "signalfd");
  plan_anonymous(plan, file, fd, nonblock);
  return {};
}

}  // namespace

extern const Kind kSignalfd = {
    .name = "signalfd",
    .kept = "the set of signals, flags",
    .not_kept = "what is pending: it belongs to the reader, and is kept there",
    .describe = describe,
    .plan = plan,
};

}  // namespace bpfckpt::kinds
