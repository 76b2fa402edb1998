// SPDX-License-Identifier: Apache-2.0
// What is done with a new ring when every process has its descriptors: registering, turning, filling.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <bit>

#include "kinds/io_uring.h"
#include "kinds/io_uring_map.h"
#include "kinds/io_uring_turn.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

// io_uring_register(2): enum io_uring_register_op, and struct io_uring_clock_register of 6.12.
enum Register : std::uint32_t {
  kRegisterEventfd = 4,
  kRegisterEventfdAsync = 7,
  kRegisterRestrictions = 11,
  kRegisterEnableRings = 12,
  kRegisterFiles2 = 13,
  kRegisterFilesUpdate2 = 14,
  kRegisterBuffers2 = 15,
  kRegisterBuffersUpdate = 16,
  kRegisterWorkerLimits = 19,
  kRegisterRingFds = 20,
  kRegisterFileAllocRange = 25,
  kRegisterClock = 29,
};
constexpr std::uint32_t kSparse = 1;  // IORING_RSRC_REGISTER_SPARSE

constexpr std::uint32_t kMostEntries = 32768, kMostCompletions = 2 * kMostEntries;
constexpr std::uint32_t kMostFiles = 1 << 20, kMostBuffers = 1 << 14;  // io_uring/rsrc.h, rsrc.c
constexpr std::uint32_t kMostRegisteredRings = 16;
constexpr std::uint32_t kSlotsAtOnce = 64;
constexpr std::uint64_t kPage = 4096;

struct ClockRegister {
  std::uint32_t clock;
  std::uint32_t reserved[3];
};

const pb::Process* process_of_thread(const Model& model, std::uint32_t tid) {
  for (const pb::Process& process : model.tasks.processes())
    for (const pb::Thread& thread : process.threads())
      if (thread.tid() == tid && process.state() != pb::ZOMBIE) return &process;
  return nullptr;
}

class Connector {
 public:
  Connector(PlanBuilder& plan, const pb::File& file, const Installed& installed, const pb::IoUring& ring)
      : plan_(plan), file_(file), installed_(installed), ring_(ring) {}

  Result<void> run() {
    TRY_ASSIGN(const Actor thread, maker_of(plan_, file_, ring_));
    const pb::Process* process = process_of_thread(plan_.model(), thread);
    if (process == nullptr) return fail(Error::bad_image("io_uring: its thread is not there"));
    maker_ = process;
    held_.thread = thread;
    TRY_ASSIGN(held_.fd, descriptor_in(thread, process->pid(), file_.id()));
    TRY(register_files());
    register_buffers();
    TRY(register_others());
    TRY(register_rings());
    if (!(ring_.setup_flags() & uring::kSetupRDisabled) && ring_.has_restrictions())
      call(kRegisterEnableRings, 0, 0);
    turn_and_fill();
    close_borrowed(0);
    return {};
  }

 private:
  void call(Register what, Operand argument, Operand count, const char* note = "") {
    plan_.call(held_.thread, SYS_io_uring_register, {held_.fd, std::uint32_t{what}, argument, count}, note);
  }

  Result<Operand> descriptor_in(Actor actor, std::uint32_t pid, std::uint32_t file_id) {
    TRY_ASSIGN(HeldDescriptor held, hold_descriptor(plan_, installed_, actor, pid, file_id));
    if (held.borrowed) borrowed_.emplace_back(actor, held.fd);
    return held.fd;
  }
  // All but the first `keep`.
  void close_borrowed(std::size_t keep) {
    for (; borrowed_.size() > keep; borrowed_.pop_back())
      plan_.call(borrowed_.back().first, SYS_close, {borrowed_.back().second});
  }

  Operand table(std::uint32_t slots) {
    io_uring_rsrc_register sparse{};
    sparse.nr = slots;
    sparse.flags = kSparse;
    return Operand::data(plan_.bytes_of(sparse));
  }

  // Tables are made empty; then slots are filled, neighbours at once.
  Result<void> register_files() {
    if (ring_.file_slots() == 0) return {};
    call(kRegisterFiles2, table(ring_.file_slots()), sizeof(io_uring_rsrc_register), "table of files");
    for (int i = 0; i < ring_.files_size();) {
      const int count = run_length(ring_.files(), i);
      DataId fds = plan_.zeroes(static_cast<std::size_t>(count) * 4);
      DataId tags = plan_.zeroes(static_cast<std::size_t>(count) * 8);
      const std::size_t before = borrowed_.size();
      for (int k = 0; k < count; k++) {
        TRY_ASSIGN(Operand fd, descriptor_in(held_.thread, maker_->pid(), ring_.files(i + k).file_id()));
        plan_.fix(fds, static_cast<std::size_t>(k) * 4, 4, fd);
        plan_.fix(tags, static_cast<std::size_t>(k) * 8, 8, ring_.files(i + k).tag());
      }
      update(kRegisterFilesUpdate2, ring_.files(i).slot(), fds, tags, count);
      close_borrowed(before);
      i += count;
    }
    if (ring_.alloc_start() != 0 || ring_.alloc_end() != ring_.file_slots()) {
      io_uring_file_index_range range{};
      range.off = ring_.alloc_start();
      range.len = ring_.alloc_end() - ring_.alloc_start();
      call(kRegisterFileAllocRange, Operand::data(plan_.bytes_of(range)), 0, "slots to be given");
    }
    return {};
  }

  void register_buffers() {
    if (ring_.buffer_slots() == 0) return;
    call(kRegisterBuffers2, table(ring_.buffer_slots()), sizeof(io_uring_rsrc_register), "table of buffers");
    for (int i = 0; i < ring_.buffers_size();) {
      const int count = run_length(ring_.buffers(), i);
      DataId parts = plan_.zeroes(static_cast<std::size_t>(count) * 16);  // struct iovec
      DataId tags = plan_.zeroes(static_cast<std::size_t>(count) * 8);
      for (int k = 0; k < count; k++) {
        const auto at = static_cast<std::size_t>(k);
        plan_.fix(parts, at * 16, 8, ring_.buffers(i + k).address());
        plan_.fix(parts, at * 16 + 8, 8, ring_.buffers(i + k).length());
        plan_.fix(tags, at * 8, 8, ring_.buffers(i + k).tag());
      }
      update(kRegisterBuffersUpdate, ring_.buffers(i).slot(), parts, tags, count);
      i += count;
    }
  }

  template <class Slots>
  static int run_length(const Slots& slots, int first) {
    int count = 1;
    while (first + count < slots.size() && static_cast<std::uint32_t>(count) < kSlotsAtOnce &&
           slots[first + count].slot() == slots[first].slot() + static_cast<std::uint32_t>(count))
      count++;
    return count;
  }

  void update(Register what, std::uint32_t slot, DataId values, DataId tags, int count) {
    io_uring_rsrc_update2 ask{};
    ask.offset = slot;
    ask.nr = static_cast<std::uint32_t>(count);
    DataId block = plan_.bytes_of(ask);
    plan_.fix(block, offsetof(io_uring_rsrc_update2, data), 8, Operand::data(values));
    plan_.fix(block, offsetof(io_uring_rsrc_update2, tags), 8, Operand::data(tags));
    plan_.call_expecting(held_.thread, static_cast<std::uint64_t>(count), SYS_io_uring_register,
                         {held_.fd, std::uint32_t{what}, Operand::data(block), sizeof ask}, "registered");
  }

  Result<void> register_others() {
    if (ring_.eventfd_file_id() != 0) {
      TRY_ASSIGN(Operand fd, descriptor_in(held_.thread, maker_->pid(), ring_.eventfd_file_id()));
      DataId block = plan_.zeroes(4);
      plan_.fix(block, 0, 4, fd);
      call(ring_.eventfd_async() ? kRegisterEventfdAsync : kRegisterEventfd, Operand::data(block), 1,
           "eventfd");
    }
    if (ring_.has_worker_limits()) {
      const std::uint32_t limits[2] = {ring_.bounded_workers(), ring_.unbounded_workers()};
      call(kRegisterWorkerLimits, Operand::data(plan_.bytes_of(limits)), 2, "limits of workers");
    }
    if (ring_.clock() != CLOCK_MONOTONIC && ring_.clock() != 0)
      call(kRegisterClock, Operand::data(plan_.bytes_of(ClockRegister{ring_.clock(), {}})), 0, "clock");
    if (ring_.has_restrictions()) register_restrictions(ring_.restrictions());
    return {};
  }

  void register_restrictions(const pb::IoUringRestrictions& rules) {
    std::vector<io_uring_restriction> list;
    auto add = [&](std::uint16_t type, std::uint32_t value) {
      io_uring_restriction rule{};
      rule.opcode = type;
      rule.register_op = static_cast<std::uint8_t>(value);
      list.push_back(rule);
    };
    auto add_bits = [&](std::uint16_t type, std::uint64_t bits, std::uint32_t first) {
      for (std::uint32_t bit = 0; bit < 64; bit++)
        if (bits >> bit & 1) add(type, first + bit);
    };
    if (rules.for_registering()) add_bits(IORING_RESTRICTION_REGISTER_OP, rules.registering(), 0);
    if (rules.for_submission()) {
      add_bits(IORING_RESTRICTION_SQE_OP, rules.operations(), 0);
      add_bits(IORING_RESTRICTION_SQE_OP, rules.more_operations(), 64);
      if (rules.flags_allowed() != 0) add(IORING_RESTRICTION_SQE_FLAGS_ALLOWED, rules.flags_allowed());
      if (rules.flags_required() != 0) add(IORING_RESTRICTION_SQE_FLAGS_REQUIRED, rules.flags_required());
    }
    DataId block = list.empty() ? plan_.zeroes(8) : plan_.data(std::as_bytes(std::span(list)));
    call(kRegisterRestrictions, Operand::data(block), list.size(), "restrictions");
  }

  Result<void> register_rings() {
    for (const pb::IoUringUser& user : ring_.users()) {
      if (user.registered() == 0) continue;
      const pb::Process* process = process_of_thread(plan_.model(), user.tid());
      if (process == nullptr || user.registered() >> kMostRegisteredRings != 0)
        return fail(
            Error::bad_image(fmt::format("io_uring: thread {} cannot have it registered", user.tid())));
      const std::size_t before = borrowed_.size();
      TRY_ASSIGN(Operand fd, descriptor_in(user.tid(), process->pid(), file_.id()));
      for (std::uint32_t slot = 0; slot < kMostRegisteredRings; slot++) {
        if (!(user.registered() >> slot & 1)) continue;
        io_uring_rsrc_update ask{};
        ask.offset = slot;
        DataId block = plan_.bytes_of(ask);
        plan_.fix(block, offsetof(io_uring_rsrc_update, data), 8, fd);
        plan_.call_expecting(user.tid(), 1, SYS_io_uring_register,
                             {fd, std::uint32_t{kRegisterRingFds}, Operand::data(block), 1},
                             "ring of a thread");
      }
      close_borrowed(before);
    }
    return {};
  }

  void turn_and_fill() {
    const Actor thread = held_.thread;
    const std::uint64_t rings = ring_.rings().size(), entries = ring_.entries().size();
    held_.rings = plan_.call(thread, SYS_mmap,
                             {0, rings, PROT_READ | PROT_WRITE, MAP_SHARED, held_.fd, uring::kRingsAt});
    held_.entries = plan_.call(thread, SYS_mmap,
                               {0, entries, PROT_READ | PROT_WRITE, MAP_SHARED, held_.fd, uring::kEntriesAt});
    // If these are where they were, so is the rest.
    plan_.add_to_word(thread, held_.word(ring_.layout().sq_mask()), 0, ring_.sq_entries() - 1);
    plan_.add_to_word(thread, held_.word(ring_.layout().cq_mask()), 0, ring_.cq_entries() - 1);
    // The eventfd hears nothing of it; the word has its own value again with the contents.
    if (ring_.eventfd_file_id() != 0)
      plan_.add_to_word(thread, held_.word(ring_.layout().cq_flags()), IORING_CQ_EVENTFD_DISABLED);
    turn_ring(plan_, held_, ring_);
    OpId image = plan_.op(Op::Code::Pull, thread, {Operand::result(plan_.open_image(ring_.rings().image()))});
    read(image, held_.entries, 0, entries, ring_.entries());
    if (ring_.setup_flags() & uring::kSetupSqpoll) {
      // Its flags are those of the thread that polls.
      const std::uint64_t flags = ring_.layout().sq_flags();
      read(image, held_.rings, 0, flags, ring_.rings());
      read(image, held_.rings, flags + 4, rings - flags - 4, ring_.rings());
    } else {
      read(image, held_.rings, 0, rings, ring_.rings());
    }
    plan_.call(thread, SYS_close, {Operand::result(image)});
    plan_.call(thread, SYS_munmap, {Operand::result(held_.entries), entries});
    plan_.call(thread, SYS_munmap, {Operand::result(held_.rings), rings});
  }

  void read(OpId image, OpId map, std::uint64_t at, std::uint64_t len, const pb::Content& content) {
    plan_.call_expecting(held_.thread, len, SYS_pread64,
                         {Operand::result(image), Operand::result(map, static_cast<std::int64_t>(at)), len,
                          content.extents(0).image_offset() + at},
                         "contents of the ring");
  }

  PlanBuilder& plan_;
  const pb::File& file_;
  const Installed& installed_;
  const pb::IoUring& ring_;
  const pb::Process* maker_ = nullptr;
  HeldRing held_;
  std::vector<std::pair<Actor, Operand>> borrowed_;
};

bool is_whole(const pb::Content& content, std::uint64_t len) {
  return content.size() == len && content.extents_size() == 1 && content.extents(0).offset() == 0 &&
         content.extents(0).length() == len;
}

template <class Slots>
bool ascending(const Slots& slots, std::uint32_t end) {
  return std::ranges::is_sorted(slots, std::ranges::less_equal(), [](const auto& it) { return it.slot(); }) &&
         (slots.empty() || slots[slots.size() - 1].slot() < end);
}

}  // namespace

Result<std::uint32_t> maker_of(const PlanBuilder& plan, const pb::File& file, const pb::IoUring& ring) {
  const Model& model = plan.model();
  if (ring.submitter_tid() != 0) {
    if (process_of_thread(model, ring.submitter_tid()) == nullptr)
      return fail(Error::bad_image(fmt::format("io_uring: there is no thread {}", ring.submitter_tid())));
    return ring.submitter_tid();
  }
  auto lives = [](const pb::Process& process) { return process.state() != pb::ZOMBIE; };
  for (const pb::Process& process : model.tasks.processes())
    if (lives(process) && ring.mm_id() != 0 && process.mm_id() == ring.mm_id()) return process.pid();
  // Who made it is gone, or runs another program by now.
  for (const pb::Process& process : model.tasks.processes())
    if (const pb::FdTable* table = plan.index().fd_table(process.fd_table_id()); table && lives(process))
      for (const pb::FdEntry& entry : table->entries())
        if (entry.file_id() == file.id()) return process.pid();
  return fail(Error::bad_image("io_uring: nobody has it"));
}

Result<void> check_uring(const pb::IoUring& ring, const PlanBuilder& plan) {
  auto bad = [](const char* what) { return fail(Error::bad_image(fmt::format("io_uring: {}", what))); };
  if (Finding finding = refuse_uring(ring); finding.verdict != Verdict::Ok)
    return fail(Error::bad_image(finding.reason));
  if (!std::has_single_bit(ring.sq_entries()) || ring.sq_entries() > kMostEntries ||
      !std::has_single_bit(ring.cq_entries()) || ring.cq_entries() > kMostCompletions ||
      ring.cq_entries() < ring.sq_entries())
    return bad("impossible sizes");
  const pb::IoUringLayout& at = ring.layout();
  for (std::uint32_t word : {at.sq_head(), at.sq_tail(), at.sq_mask(), at.sq_flags(), at.cq_head(),
                             at.cq_tail(), at.cq_mask(), at.cq_flags()})
    if (word % 4 != 0 || std::uint64_t{word} + 4 > at.completions()) return bad("an impossible layout");
  if (at.completions() > kPage || !is_whole(ring.rings(), rings_bytes(ring)) ||
      !is_whole(ring.entries(), entries_bytes(ring)) || ring.rings().image() != ring.entries().image())
    return bad("its contents are not those of its size");
  if (ring.file_slots() > kMostFiles || ring.buffer_slots() > kMostBuffers ||
      !ascending(ring.files(), ring.file_slots()) || !ascending(ring.buffers(), ring.buffer_slots()) ||
      ring.alloc_start() > ring.alloc_end() || ring.alloc_end() > ring.file_slots())
    return bad("impossible slots");
  for (const pb::IoUringFile& file : ring.files())
    if (plan.index().file(file.file_id()) == nullptr) return bad("a registered file that is not there");
  const pb::File* eventfd = plan.index().file(ring.eventfd_file_id());
  if (ring.eventfd_file_id() != 0 && (eventfd == nullptr || eventfd->kind() != "eventfd"))
    return bad("its eventfd is none");
  return {};
}

Result<void> connect_uring(PlanBuilder& plan, const pb::File& file, const Installed& installed) {
  TRY_ASSIGN(pb::IoUring ring, unpack<pb::IoUring>(file.detail(), "io_uring"));
  return Connector(plan, file, installed, ring).run();
}

}  // namespace bpfckpt::kinds
