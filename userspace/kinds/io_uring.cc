// SPDX-License-Identifier: Apache-2.0
// io_uring instances.
//
// A ring is memory that the kernel shares with processes: submissions, completions, and where each side is.
// The kernel trusts its own copies of where it is (io_ring_ctx.cached_sq_head, cached_cq_tail), and programs
// keep theirs (liburing's sqe_tail), so that a new ring has to be turned to where the old one was: by as many
// requests that do nothing (kinds/io_uring_turn.cc). Then the shared memory is overwritten with what was in
// it, entries that nobody submitted yet and completions that nobody took among them.
//
// Kept: parameters, contents of the rings, what is registered (files and buffers with their slots and tags,
// an eventfd, restrictions, limits of workers, the clock, the rings of threads), mappings, and of a ring for
// one thread which thread that is. It is made by that thread, or a process of the same address space. Not
// kept: which slot the kernel would give next, cpus of workers, polling of network devices (NAPI), whose
// limit locked memory counts against.
//
// Refused is what is in flight; requests that end by themselves are waited for (dump/aio_rings.cc). And what
// nobody can read back or hand over: io_uring_refusals.cc.
#include "kinds/io_uring.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "bpf/records.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint64_t kCacheLine = 64;
constexpr std::uint32_t kUnknownOperation = UINT32_MAX;

// sq_thread_idle was given in milliseconds and is kept in ticks (io_uring/sqpoll.c).
std::uint32_t to_ms(std::uint32_t jiffies) {
  timespec tick{};
  ::clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  return static_cast<std::uint32_t>(std::uint64_t{jiffies} * static_cast<std::uint64_t>(tick.tv_nsec) /
                                    1'000'000);
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const uring_record& seen = record.detail.io_uring;
  pb::IoUring ring;
  ring.set_setup_flags(seen.setup_flags);
  ring.set_sq_entries(seen.sq_entries);
  ring.set_cq_entries(seen.cq_entries);
  ring.set_sq_head(seen.sq_head);
  ring.set_cq_tail(seen.cq_tail);
  ring.set_submitter_tid(seen.submitter);
  ring.set_file_slots(seen.files);
  ring.set_buffer_slots(seen.buffers);
  ring.set_alloc_start(seen.alloc_start);
  ring.set_alloc_end(seen.alloc_end);
  ring.set_drain_disabled((seen.state & URING_DRAIN_DISABLED) != 0);
  ring.set_clock(seen.clock);
  ring.set_state(seen.state);
  ring.set_not_submitted(seen.sq_tail - seen.sq_head);
  if (seen.setup_flags & uring::kSetupSqpoll) {
    ring.set_thread_idle_ms(to_ms(seen.idle_jiffies));
    ring.set_thread_cpu(seen.thread_cpu);
  }
  if (seen.state & URING_WORKER_LIMITS) {
    ring.set_has_worker_limits(true);
    ring.set_bounded_workers(seen.worker_limits[0]);
    ring.set_unbounded_workers(seen.worker_limits[1]);
  }
  ring.set_eventfd_async((seen.state & URING_EVENTFD_ASYNC) != 0);
  if (seen.state & (URING_OPS_RESTRICTED | URING_REGISTER_RESTRICTED)) {
    pb::IoUringRestrictions& rules = *ring.mutable_restrictions();
    rules.set_for_submission((seen.state & URING_OPS_RESTRICTED) != 0);
    rules.set_for_registering((seen.state & URING_REGISTER_RESTRICTED) != 0);
    rules.set_operations(seen.ops_allowed[0]);
    rules.set_more_operations(seen.ops_allowed[1]);
    rules.set_registering(seen.register_allowed);
    rules.set_flags_allowed(seen.flags_allowed);
    rules.set_flags_required(seen.flags_required);
  }
  pack(ring, *file.mutable_detail());
  return {};
}

// A ring's thread takes its credentials from who makes it, which at restore is somebody with ours.
bool are_ours(const uring_item_record& credentials) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  if (::syscall(SYS_capget, &header, sets) != 0) return false;
  const std::uint64_t effective = std::uint64_t{sets[1].effective} << 32 | sets[0].effective;
  const std::uint64_t ids = std::uint64_t{::geteuid()} << 32 | ::getegid();
  return credentials.object == effective && credentials.length == ids && credentials.tag == ids;
}

class Items {
 public:
  Items(pb::IoUring& ring, const FileIds& ids) : ring_(ring), ids_(ids) {}

  void add(const uring_item_record& item) {
    switch (item.kind) {
      case URING_FILE:
        add_file(item);
        break;
      case URING_BUFFER:
        add_buffer(item);
        break;
      case URING_KERNEL_BUFFER:
        ring_.set_kernel_buffers(ring_.kernel_buffers() + 1);
        break;
      case URING_REQUESTS:
        count(item);
        break;
      case URING_OVERFLOW:
        ring_.set_overflow(ring_.overflow() + static_cast<std::uint32_t>(item.count));
        break;
      case URING_CREDENTIALS:
        if (!are_ours(item)) ring_.set_state(ring_.state() | URING_OTHERS_CREDENTIALS);
        break;
      case URING_USER:
        ring_.add_users()->set_tid(item.index);
        ring_.mutable_users()->rbegin()->set_registered(item.registered);
        [[fallthrough]];
      case URING_WORKER:
        ring_.set_in_flight(ring_.in_flight() + item.count);
        break;
    }
  }

  void finish() {
    for (auto& [operation, n] : waiting_) {
      pb::IoUringWaiting& waiting = *ring_.add_waiting();
      waiting.set_operation(operation);
      waiting.set_count(n);
    }
  }

 private:
  void add_file(const uring_item_record& item) {
    pb::IoUringFile& file = *ring_.add_files();
    file.set_slot(item.index);
    file.set_file_id(ids_(item.object));
    file.set_tag(item.tag);
  }
  void add_buffer(const uring_item_record& item) {
    pb::IoUringBuffer& buffer = *ring_.add_buffers();
    buffer.set_slot(item.index);
    buffer.set_address(item.object);
    buffer.set_length(item.length);
    buffer.set_tag(item.tag);
  }
  // Opcodes are told of the first ones of a list; `registered`: all have the first one's.
  void count(const uring_item_record& item) {
    auto n = static_cast<std::uint32_t>(item.count);
    if (item.registered != 0) {
      waiting_[item.opcodes[0]] += n;
      return;
    }
    const std::uint32_t told = std::min<std::uint32_t>(n, URING_OPCODES);
    for (std::uint32_t i = 0; i < told; i++) waiting_[item.opcodes[i]]++;
    if (n > told) waiting_[kUnknownOperation] += n - told;
  }

  pb::IoUring& ring_;
  const FileIds& ids_;
  std::map<std::uint32_t, std::uint32_t> waiting_;
};

Result<void> add_items(std::span<const record_head* const> items, const FileIds& ids, pb::File& file) {
  TRY_ASSIGN(pb::IoUring ring, unpack<pb::IoUring>(file.detail(), "io_uring"));
  Items adder(ring, ids);
  for (const record_head* head : items) {
    if (head->type != RECORD_URING_ITEM || head->length < sizeof(uring_item_record))
      return fail(Error::bug("io_uring: a record of another type"));
    adder.add(*reinterpret_cast<const uring_item_record*>(head));
  }
  adder.finish();
  pack(ring, *file.mutable_detail());
  return {};
}

// Where things are in the shared memory differs between kernels; a ring of ours tells, once for all rings of
// such flags.
Result<pb::IoUringLayout> layout_here(std::uint32_t setup_flags) {
  static std::map<std::uint32_t, pb::IoUringLayout> known;
  io_uring_params params{};
  params.flags = setup_flags & (uring::kSetupSqe128 | uring::kSetupCqe32 | uring::kSetupNoSqarray);
  if (auto it = known.find(params.flags); it != known.end()) return it->second;
  const std::uint32_t flags = params.flags;
  Fd probe(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &params)));
  if (!probe) return fail(Error::system("io_uring_setup"));
  pb::IoUringLayout layout;
  layout.set_sq_head(params.sq_off.head);
  layout.set_sq_tail(params.sq_off.tail);
  layout.set_sq_mask(params.sq_off.ring_mask);
  layout.set_sq_flags(params.sq_off.flags);
  layout.set_cq_head(params.cq_off.head);
  layout.set_cq_tail(params.cq_off.tail);
  layout.set_cq_mask(params.cq_off.ring_mask);
  layout.set_completions(params.cq_off.cqes);
  layout.set_cq_flags(params.cq_off.flags);
  known[flags] = layout;
  return layout;
}

Result<void> copy_shared(int ring, std::uint64_t offset, std::uint64_t len, int image_fd,
                         const std::string& image_name, pb::Content& content) {
  void* map = ::mmap(nullptr, len, PROT_READ | PROT_WRITE, MAP_SHARED, ring, static_cast<off_t>(offset));
  if (map == MAP_FAILED) return fail(Error::system("mmap of the ring"));
  const off_t end = ::lseek(image_fd, 0, SEEK_END);
  std::uint64_t done = 0;
  while (end >= 0 && done < len) {
    ssize_t n =
        ::pwrite(image_fd, static_cast<char*>(map) + done, len - done, end + static_cast<off_t>(done));
    if (n <= 0) break;
    done += static_cast<std::uint64_t>(n);
  }
  const int error = errno;
  ::munmap(map, len);
  if (done != len) return fail(Error::system("write to the image", error));
  content.set_image(image_name);
  content.set_size(len);
  pb::Extent& extent = *content.add_extents();
  extent.set_length(len);
  extent.set_image_offset(static_cast<std::uint64_t>(end));
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(pb::IoUring ring, unpack<pb::IoUring>(file.detail(), "io_uring"));
  TRY_ASSIGN(*ring.mutable_layout(), layout_here(ring.setup_flags()));
  TRY_ASSIGN(Fd fd, context.borrow(file));
  std::string name;
  TRY_ASSIGN(int image, context.content_image(name));
  TRY(copy_shared(fd.get(), uring::kRingsAt, rings_bytes(ring), image, name, *ring.mutable_rings()));
  TRY(copy_shared(fd.get(), uring::kEntriesAt, entries_bytes(ring), image, name, *ring.mutable_entries()));
  ring.clear_state();
  ring.clear_in_flight();
  ring.clear_not_submitted();
  pack(ring, *file.mutable_detail());
  return {};
}

Result<void> make_inside(PlanBuilder& plan, const pb::File& file) {
  TRY_ASSIGN(pb::IoUring ring, unpack<pb::IoUring>(file.detail(), "io_uring"));
  TRY(check_uring(ring, plan));
  TRY_ASSIGN(const Actor maker, maker_of(plan, file, ring));
  io_uring_params params{};
  params.flags = ring.setup_flags() | uring::kSetupCqsize;
  // What is registered under restrictions is registered before they hold, and they hold from the enabling on.
  if (ring.has_restrictions()) params.flags |= uring::kSetupRDisabled;
  params.cq_entries = ring.cq_entries();
  params.sq_thread_idle = ring.thread_idle_ms();
  params.sq_thread_cpu = static_cast<std::uint32_t>(std::max(0, ring.thread_cpu()));
  OpId fd = plan.call(maker, SYS_io_uring_setup, {ring.sq_entries(), Operand::data(plan.bytes_of(params))},
                      "io_uring");
  plan.set_made_inside(file.id(), {maker, Operand::result(fd)});
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  const PlanBuilder::Inside* made = plan.made_inside(file.id());
  if (made == nullptr) return fail(Error::bug("the io_uring was not made"));
  if ((file.flags() & ~static_cast<std::uint32_t>(O_ACCMODE)) != 0)
    plan.call(kSelf, SYS_fcntl, {made->fd, F_SETFL, file.flags()}, "flags of file");
  plan.set_file(file.id(), made->fd);
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto ring = unpack<pb::IoUring>(file.detail(), "io_uring");
  if (!ring) return {Verdict::Unsupported, "io_uring", "its details are damaged", ""};
  return refuse_uring(*ring);
}

}  // namespace

std::uint64_t rings_bytes(const pb::IoUring& ring) {
  const std::uint64_t one =
      ring.setup_flags() & uring::kSetupCqe32 ? 2 * sizeof(io_uring_cqe) : sizeof(io_uring_cqe);
  std::uint64_t len = ring.layout().completions() + ring.cq_entries() * one;
  len = (len + kCacheLine - 1) / kCacheLine * kCacheLine;
  if (!(ring.setup_flags() & uring::kSetupNoSqarray)) len += std::uint64_t{ring.sq_entries()} * 4;
  return len;
}

std::uint64_t entries_bytes(const pb::IoUring& ring) {
  return std::uint64_t{ring.sq_entries()} * (ring.setup_flags() & uring::kSetupSqe128 ? 128 : 64);
}

extern const Kind kIoUring = {
    .name = "io_uring",
    .kept =
        "parameters; both rings: where they are, entries that were not submitted, completions that were not "
        "taken; registered files, buffers, eventfd, restrictions, limits of workers, clock, rings of "
        "threads; "
        "mappings; which thread may submit",
    .not_kept =
        "which free slot the kernel gives next; cpus of workers; polling of network devices (NAPI); whose "
        "limit locked memory counts against",
    .refused =
        "requests in flight (named), completions that did not fit; provided buffers, personalities; a "
        "registered file that no descriptor leads to; memory of the process's own as rings; a polling thread "
        "with other credentials than bpfckpt's, or of several rings; users outside of the tree",
    .describe = describe,
    .enrich = enrich,
    .make_inside = make_inside,
    .plan = plan,
    .diagnose = diagnose,
    .add_items = add_items,
    .connect = connect_uring,
    .map_all = map_urings,
    .mappable = true,
};

}  // namespace bpfckpt::kinds
