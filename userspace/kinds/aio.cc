// SPDX-License-Identifier: Apache-2.0
// The file behind an AIO ring.
//
// io_setup(2) makes a file on a mount of the kernel's own and maps it into the process (fs/aio.c:
// aio_setup_ring()). Nobody can open it; the mapping comes with the ring, which belongs to the address space
// (AddressSpace.aio_rings, restore/aio_plan.cc).
#include "kinds/kind.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {
namespace {

Result<void> describe(const file_record&, pb::File&, pb::FileObject*) {
  return {};
}

Result<void> plan(PlanBuilder&, const pb::File&, const pb::FileObject*) {
  return fail(Error::bad_image("a descriptor of an AIO ring"));
}

}  // namespace

extern const Kind kAio = {
    .name = "aio",
    .kept = "rings of io_setup(2): address, size, events that were not fetched",
    .not_kept = "the inode number",
    .refused = "polls (IOCB_CMD_POLL); requests that do not end; rings inherited by fork(2)",
    .describe = describe,
    .plan = plan,
    .mappable = true,
};

}  // namespace bpfckpt::kinds
