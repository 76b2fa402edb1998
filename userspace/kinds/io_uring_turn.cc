// SPDX-License-Identifier: Apache-2.0
// How a new ring is brought to where an old one was.
//
// The kernel counts submissions and completions, modulo 2^32, and nothing sets its counts: they grow by one
// with each entry that it takes and each completion that it posts. So entries are submitted that do nothing
// (NOP, which is complete when io_uring_enter(2) returns), a ring full at a time: an entry of zeroes is one,
// and an array of zeroes says that all are the first entry. User space says how far there are entries; where
// it says "far ahead", each call takes as many as the ring has. Completions are taken by moving the head.
//
// Where there were more completions than submissions (multishot requests), a second ring sends them
// (MSG_RING), which counts as the kernel counts those (cq_extra). Where there were fewer, they were left out
// (IOSQE_CQE_SKIP_SUCCESS), and so are ours.
//
// It costs 0.1 to 0.5 microseconds a request: some seconds for ten millions.
#include "kinds/io_uring_turn.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>

#include "kinds/io_uring.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint64_t kMostAtOnce = 1
                                      << 18;  // requests of one batch, each of which may be a call that waits
constexpr std::uint32_t kHelperEntries = 64;
constexpr std::uint32_t kOpMsgRing = 40, kSkipFlag = 1 << 6;  // IORING_OP_MSG_RING, IOSQE_CQE_SKIP_SUCCESS

class Turner {
 public:
  Turner(PlanBuilder& plan, const HeldRing& held, const pb::IoUring& ring)
      : plan_(plan), held_(held), ring_(ring), full_(ring.sq_entries()) {}

  void run() {
    std::uint32_t plain = ring_.sq_head(), skipped = 0, extra = 0;
    if (const auto more = static_cast<std::int32_t>(ring_.sq_head() - ring_.cq_tail()); more >= 0) {
      skipped = static_cast<std::uint32_t>(more);
      plain = ring_.cq_tail();
    } else {
      extra = ring_.cq_tail() - ring_.sq_head();
    }
    // That one was ever left out is remembered (IOSQE_IO_DRAIN is refused then).
    if (ring_.drain_disabled() && skipped == 0 && plain != 0) {
      skipped = 1;
      plain--;
      extra++;
    }
    skip(skipped);
    submit(plain);
    if (extra != 0) receive(extra);
    if (!polled()) plan_.add_to_word(held_.thread, held_.word(ring_.layout().sq_head()), 0, ring_.sq_head());
    plan_.add_to_word(held_.thread, held_.word(ring_.layout().cq_tail()), 0, ring_.cq_tail(), "turned");
  }

 private:
  bool polled() const { return (ring_.setup_flags() & uring::kSetupSqpoll) != 0; }

  // Performs, `total` times in all and `each` at once, what `one(n)` plans for n.
  template <class One>
  void in_turns(std::uint32_t total, std::uint32_t each, std::size_t operations, const One& one) {
    const std::uint64_t most = std::max<std::uint64_t>(1, kMostAtOnce / each);
    for (std::uint64_t left = total / each; left != 0;) {
      const std::uint64_t times = std::min(left, most);
      plan_.repeat(held_.thread, operations, times, "turns of a ring");
      one(each);
      left -= times;
    }
    if (total % each != 0) one(total % each);
  }

  void enter(std::uint32_t count, std::uint32_t wait_for, std::uint32_t flags) {
    plan_.call_expecting(held_.thread, count, SYS_io_uring_enter, {held_.fd, count, wait_for, flags, 0, 0});
  }
  void add(std::uint32_t offset, std::uint32_t value) {
    plan_.add_to_word(held_.thread, held_.word(offset), value);
  }

  // NOPs without completions.
  void skip(std::uint32_t count) {
    if (count == 0) return;
    set_skip_flag(kSkipFlag);
    add(ring_.layout().sq_tail(), count);
    in_turns(count, full_, 1, [&](std::uint32_t n) { enter(n, 0, 0); });
    set_skip_flag(0);
  }

  // In the first entry, which an array of indices makes all entries; without one, in each.
  void set_skip_flag(std::uint32_t flag) {
    const std::uint32_t word = kSkipFlag << 8;  // opcode, flags, ioprio
    plan_.add_to_word(held_.thread, Operand::result(held_.entries), flag != 0 ? word : 0 - word);
    if (!(ring_.setup_flags() & uring::kSetupNoSqarray)) return;
    const std::uint64_t all = entries_bytes(ring_);
    Operand self = Operand::result(plan_.call(held_.thread, SYS_getpid, {}));
    for (std::uint64_t have = all / full_; have < all; have *= 2) {
      const std::uint64_t len = std::min(have, all - have);
      DataId from = plan_.zeroes(16), to = plan_.zeroes(16);  // struct iovec
      plan_.fix(from, 0, 8, Operand::result(held_.entries));
      plan_.fix(from, 8, 8, len);
      plan_.fix(to, 0, 8, Operand::result(held_.entries, static_cast<std::int64_t>(have)));
      plan_.fix(to, 8, 8, len);
      plan_.call_expecting(held_.thread, len, SYS_process_vm_writev,
                           {self, Operand::data(from), 1, Operand::data(to), 1, 0});
    }
  }

  // NOPs with completions, which are taken.
  void submit(std::uint32_t count) {
    if (count == 0) return;
    if (polled()) {
      in_turns(count, full_, 3, [&](std::uint32_t n) {
        add(ring_.layout().sq_tail(), n);
        enter(n, n, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP);
        add(ring_.layout().cq_head(), n);
      });
      return;
    }
    add(ring_.layout().sq_tail(), count);
    in_turns(count, full_, 2, [&](std::uint32_t n) {
      enter(n, 0, 0);
      add(ring_.layout().cq_head(), n);
    });
  }

  // Completions that a second ring sends.
  void receive(std::uint32_t count) {
    const Actor thread = held_.thread;
    const pb::IoUringLayout& at = ring_.layout();  // the same for all rings
    io_uring_params params{};
    params.flags = uring::kSetupCqsize;
    params.cq_entries = kHelperEntries;
    Operand fd = Operand::result(plan_.call(
        thread, SYS_io_uring_setup, {kHelperEntries, Operand::data(plan_.bytes_of(params))}, "to send"));
    const std::uint64_t len = at.completions() + kHelperEntries * (sizeof(io_uring_cqe) + 4) + 64;
    constexpr std::uint64_t kEntries = kHelperEntries * 64;
    OpId rings =
        plan_.call(thread, SYS_mmap, {0, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, uring::kRingsAt});
    OpId entries = plan_.call(thread, SYS_mmap,
                              {0, kEntries, PROT_READ | PROT_WRITE, MAP_SHARED, fd, uring::kEntriesAt});
    plan_.add_to_word(thread, Operand::result(entries), kOpMsgRing);
    plan_.add_to_word(thread, Operand::result(entries, 4), held_.fd);  // io_uring_sqe.fd
    plan_.add_to_word(thread, Operand::result(rings, at.sq_tail()), count);
    const bool deferred = (ring_.setup_flags() & uring::kSetupDeferTaskrun) != 0;
    const std::uint32_t each = std::min(kHelperEntries, ring_.cq_entries());
    in_turns(count, each, deferred ? 4 : 3, [&](std::uint32_t n) {
      plan_.call_expecting(thread, n, SYS_io_uring_enter, {fd, n, 0, 0, 0, 0});
      plan_.add_to_word(thread, Operand::result(rings, at.cq_head()), n);
      // They come when the ring's own thread looks for them.
      if (deferred) plan_.call(thread, SYS_io_uring_enter, {held_.fd, 0, n, IORING_ENTER_GETEVENTS, 0, 0});
      add(at.cq_head(), n);
    });
    plan_.call(thread, SYS_munmap, {Operand::result(entries), kEntries});
    plan_.call(thread, SYS_munmap, {Operand::result(rings), len});
    plan_.call(thread, SYS_close, {fd});
  }

  PlanBuilder& plan_;
  const HeldRing& held_;
  const pb::IoUring& ring_;
  const std::uint32_t full_;
};

}  // namespace

void turn_ring(PlanBuilder& plan, const HeldRing& held, const pb::IoUring& ring) {
  if (ring.sq_head() != 0 || ring.cq_tail() != 0) Turner(plan, held, ring).run();
}

}  // namespace bpfckpt::kinds
