// SPDX-License-Identifier: Apache-2.0
// What keeps an io_uring from being taken, by name.
#include <algorithm>
#include <array>
#include <map>

#include "bpf/records.h"
#include "kinds/io_uring.h"
#include "kinds/objects.h"
#include "model/vm_flags.h"

namespace bpfckpt::kinds {
namespace {

// include/uapi/linux/io_uring.h: enum io_uring_op.
constexpr std::array<std::string_view, 63> kOperations = {
    "NOP",
    "READV",
    "WRITEV",
    "FSYNC",
    "READ_FIXED",
    "WRITE_FIXED",
    "POLL_ADD",
    "POLL_REMOVE",
    "SYNC_FILE_RANGE",
    "SENDMSG",
    "RECVMSG",
    "TIMEOUT",
    "TIMEOUT_REMOVE",
    "ACCEPT",
    "ASYNC_CANCEL",
    "LINK_TIMEOUT",
    "CONNECT",
    "FALLOCATE",
    "OPENAT",
    "CLOSE",
    "FILES_UPDATE",
    "STATX",
    "READ",
    "WRITE",
    "FADVISE",
    "MADVISE",
    "SEND",
    "RECV",
    "OPENAT2",
    "EPOLL_CTL",
    "SPLICE",
    "PROVIDE_BUFFERS",
    "REMOVE_BUFFERS",
    "TEE",
    "SHUTDOWN",
    "RENAMEAT",
    "UNLINKAT",
    "MKDIRAT",
    "SYMLINKAT",
    "LINKAT",
    "MSG_RING",
    "FSETXATTR",
    "SETXATTR",
    "FGETXATTR",
    "GETXATTR",
    "SOCKET",
    "URING_CMD",
    "SEND_ZC",
    "SENDMSG_ZC",
    "READ_MULTISHOT",
    "WAITID",
    "FUTEX_WAIT",
    "FUTEX_WAKE",
    "FUTEX_WAITV",
    "FIXED_FD_INSTALL",
    "FTRUNCATE",
    "BIND",
    "LISTEN",
    "RECV_ZC",
    "EPOLL_WAIT",
    "READV_FIXED",
    "WRITEV_FIXED",
    "PIPE",
};

constexpr std::uint32_t kNop = 0;
constexpr const char* kNoDescriptor = "its descriptor is closed, and no other process of the tree has one";

std::string operation_name(std::uint32_t operation) {
  if (operation < kOperations.size()) return std::string(kOperations[operation]);
  return operation == UINT32_MAX ? "others" : fmt::format("operation {}", operation);
}

std::string waiting_text(const pb::IoUring& ring) {
  std::uint32_t total = 0;
  std::string list;
  for (const pb::IoUringWaiting& waiting : ring.waiting()) {
    total += waiting.count();
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", waiting.count(),
                        operation_name(waiting.operation()));
  }
  return fmt::format("{} request{} in flight: {}", total, total == 1 ? " is" : "s are", list);
}

// Turning a new ring to where this one is takes NOPs, and must leave it as it is (io_uring_turn.cc).
std::string why_not_turned(const pb::IoUring& ring) {
  const bool turned = ring.sq_head() != 0 || ring.cq_tail() != 0;
  const auto skipped = static_cast<std::int32_t>(ring.sq_head() - ring.cq_tail());
  if (!turned) return {};
  if (ring.setup_flags() & uring::kSetupRDisabled) return "it is disabled, and was in use";
  const pb::IoUringRestrictions& rules = ring.restrictions();
  if (rules.for_submission() && (!(rules.operations() >> kNop & 1) || rules.flags_required() != 0))
    return "its restrictions forbid the NOPs by which a new one is brought to where it is";
  if (ring.drain_disabled() && ring.setup_flags() & uring::kSetupSqpoll)
    return "a thread of the kernel submits for it, and it left out completions (IOSQE_CQE_SKIP_SUCCESS)";
  if (!ring.drain_disabled() && skipped > 0)
    return "the kernel dropped entries of it (sq_dropped), which nobody can repeat";
  return {};
}

Finding unsupported(const char* code, std::string reason) {
  return {Verdict::Unsupported, code, "an io_uring: " + std::move(reason), ""};
}

// Registered, and not to be told from outside or not to be handed over.
Finding look_at_registered(const pb::IoUring& ring) {
  const std::uint32_t state = ring.state();
  if (state & URING_BUFFER_GROUPS)
    return unsupported("io_uring-buffers",
                       "it has buffers to choose from (IORING_OP_PROVIDE_BUFFERS, "
                       "IORING_REGISTER_PBUF_RING), which are not taken");
  if (state & URING_PERSONALITIES)
    return unsupported(
        "io_uring-personality",
        "credentials are registered with it (IORING_REGISTER_PERSONALITY), which are not taken");
  if (state & (URING_REGION | URING_ZERO_COPY))
    return unsupported("io_uring-region",
                       "memory is registered with it for waiting or for receiving "
                       "without a copy, which is not taken");
  if (state & URING_BPF) return unsupported("io_uring-bpf", "a BPF program takes part in it");
  if (ring.kernel_buffers() != 0)
    return unsupported("io_uring-buffers", fmt::format("{} buffers of the kernel's are registered with it",
                                                       ring.kernel_buffers()));
  if (std::ranges::any_of(ring.files(), [](const pb::IoUringFile& file) { return file.file_id() == 0; }))
    return unsupported("io_uring-file",
                       "a file is registered with it that no descriptor of the tree leads to");
  if (ring.outside_eventfd())
    return unsupported("io_uring-eventfd", "no process of the tree has the eventfd that it tells");
  return {};
}

}  // namespace

Finding refuse_uring(const pb::IoUring& ring) {
  const std::uint32_t state = ring.state(), flags = ring.setup_flags();
  if (ring.waiting_size() != 0) return unsupported("io_uring-busy", waiting_text(ring));
  if (ring.overflow() != 0)
    return unsupported(
        "io_uring-overflow",
        fmt::format("{} completions did not fit into it and wait in the kernel", ring.overflow()));
  if (state & URING_COMPAT) return unsupported("io_uring-32-bit", "it was made by a 32-bit process");
  if (flags & uring::kSetupNoMmap)
    return unsupported("io_uring-no-mmap",
                       "its rings are memory of the process's own (IORING_SETUP_NO_MMAP)");
  if (flags & ~(uring::kSetupKnown | uring::kSetupAttachWq))
    return unsupported("io_uring-flags",
                       fmt::format("it was set up with flags that are not known ({:#x})", flags));
  if (state & URING_SHARED_THREAD || (flags & uring::kSetupAttachWq))
    return unsupported("io_uring-attached",
                       "it shares its workers with another one (IORING_SETUP_ATTACH_WQ)");
  if (state & URING_SUBMITTER_GONE)
    return unsupported("io_uring-submitter", "the one thread that may submit to it has ended");
  if (state & URING_OTHERS_CREDENTIALS)
    return unsupported("io_uring-credentials",
                       "its thread (IORING_SETUP_SQPOLL) acts with credentials that are not bpfckpt's own");
  if (state & URING_USED_OUTSIDE)
    return unsupported("io_uring-outside", "a process outside of the tree uses it");
  if (state & URING_OTHERS_REGISTERED)
    return unsupported(
        "io_uring-restrictions",
        "it restricts what may be registered, and other threads than the one that makes it have it "
        "registered (IORING_REGISTER_RING_FDS)");
  if (Finding finding = look_at_registered(ring); finding.verdict != Verdict::Ok) return finding;
  if (std::string why = why_not_turned(ring); !why.empty()) return unsupported("io_uring-state", why);
  return {};
}

Finding look_at_uring_mapping(const pb::Vma& vma, const pb::File& file) {
  const std::uint64_t at = vma.file_offset();
  if (at != uring::kRingsAt && at != uring::kCompletionsAt && at != uring::kEntriesAt)
    return unsupported("io_uring-mapping", "a part of it is mapped without its beginning");
  if (vma.kind() != pb::FILE_SHARED) return unsupported("io_uring-mapping", "it is mapped privately");
  if (vma.flags() & vm::kSealed)
    return unsupported("io_uring-mapping",
                       "its mapping is sealed (mseal), and could not be put in its place");
  auto ring = unpack<pb::IoUring>(file.detail(), "io_uring");
  if (ring && (ring->state() & URING_NO_DESCRIPTOR))
    return unsupported("io_uring-without-a-descriptor", kNoDescriptor);
  return {};
}

std::string busy_uring(const Model& model) {
  std::string busy;
  for (const pb::File& file : model.files.files()) {
    if (file.kind() != "io_uring") continue;
    auto ring = unpack<pb::IoUring>(file.detail(), "io_uring");
    if (!ring) continue;
    if (ring->waiting_size() != 0) return {};  // no use in waiting
    if (ring->in_flight() > 0)
      busy = fmt::format("io_uring: {} request{} in flight", ring->in_flight(),
                         ring->in_flight() == 1 ? " is" : "s are");
    if ((ring->setup_flags() & uring::kSetupSqpoll) && ring->not_submitted() != 0)
      busy = fmt::format("io_uring: {} entries were not yet taken by the thread that polls for them",
                         ring->not_submitted());
  }
  return busy;
}

}  // namespace bpfckpt::kinds
