// SPDX-License-Identifier: Apache-2.0
// io_uring instances: what the parts of the kind share, and what others ask of them.
#pragma once

#include "images/kinds/io_uring.pb.h"
#include "kinds/kind.h"
#include "model/model.h"

namespace bpfckpt::kinds {

// include/uapi/linux/io_uring.h; named here, as the distribution's header is older than the kernels.
namespace uring {
inline constexpr std::uint32_t kSetupSqpoll = 1 << 1, kSetupCqsize = 1 << 3, kSetupAttachWq = 1 << 5,
                               kSetupRDisabled = 1 << 6, kSetupSqe128 = 1 << 10, kSetupCqe32 = 1 << 11,
                               kSetupSingleIssuer = 1 << 12, kSetupDeferTaskrun = 1 << 13,
                               kSetupNoMmap = 1 << 14, kSetupNoSqarray = 1 << 16;
// IOPOLL .. HYBRID_IOPOLL without what is refused; CQE_MIXED (6.18) and SQE_MIXED (6.19) among them.
inline constexpr std::uint32_t kSetupKnown = 0xfffff & ~(kSetupNoMmap | kSetupAttachWq);
inline constexpr std::uint64_t kRingsAt = 0, kCompletionsAt = 0x8000000, kEntriesAt = 0x10000000;  // mmap(2)
}  // namespace uring

// Bytes of the shared memory: both rings (io_uring/io_uring.c:rings_size()), and the submission entries.
std::uint64_t rings_bytes(const pb::IoUring& ring);
std::uint64_t entries_bytes(const pb::IoUring& ring);

// The first thing that keeps it from being taken, if any (kinds/io_uring_refusals.cc).
Finding refuse_uring(const pb::IoUring& ring);
// The same of one of its mappings.
Finding look_at_uring_mapping(const pb::Vma& vma, const pb::File& file);
// Who has requests in flight that should end by themselves; empty: nobody, or there are others that will not.
std::string busy_uring(const Model& model);

// Adds to the plan all that is done with the ring when every process has its descriptors
// (kinds/io_uring_connect.cc). Precondition: check_uring().
Result<void> connect_uring(PlanBuilder& plan, const pb::File& file, const Installed& installed);
// Adds to the plan that every process maps the rings where it had them (kinds/io_uring_map.cc).
Result<void> map_urings(PlanBuilder& plan, const Installed& installed);
// What an image must not say.
Result<void> check_uring(const pb::IoUring& ring, const PlanBuilder& plan);
// The thread that makes it.
Result<std::uint32_t> maker_of(const PlanBuilder& plan, const pb::File& file, const pb::IoUring& ring);

}  // namespace bpfckpt::kinds
