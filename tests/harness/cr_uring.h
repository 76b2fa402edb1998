// SPDX-License-Identifier: Apache-2.0
// An io_uring by its system calls, as a library would keep it: counts of its own beside the shared ones.
#pragma once

#include <linux/io_uring.h>
#include <sys/mman.h>

#include <optional>

#include "harness/cr_test.h"

namespace cr {

// What the distribution's header is too old for, or may be.
inline constexpr unsigned kUringSingleIssuer = 1 << 12, kUringDeferTaskrun = 1 << 13;
inline constexpr unsigned kUringSkipCompletion = 1 << 6;

// struct io_uring_cqe, whose end is open.
struct Completion {
  std::uint64_t user_data;
  std::int32_t res;
  std::uint32_t flags;
};

class Uring {
 public:
  // Skips the test where the kernel has no such rings.
  explicit Uring(unsigned entries, unsigned flags = 0, unsigned idle_ms = 0) : flags_(flags) {
    io_uring_params params{};
    params.flags = flags;
    params.sq_thread_idle = idle_ms;
    fd_ = static_cast<int>(::syscall(SYS_io_uring_setup, entries, &params));
    if (fd_ < 0 && (errno == ENOSYS || errno == EPERM)) skip("io-uring");
    REQUIRE(fd_ >= 0);
    params_ = params;
    rings_bytes_ = params.sq_off.array + params.sq_entries * 4;
    rings_ = map(rings_bytes_, IORING_OFF_SQ_RING);
    entries_ =
        reinterpret_cast<io_uring_sqe*>(map(params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    for (unsigned i = 0; i < params.sq_entries; i++) word(params.sq_off.array + i * 4) = i;
  }

  int fd() const { return fd_; }
  char* rings() const { return rings_; }
  std::size_t rings_bytes() const { return rings_bytes_; }
  const io_uring_params& params() const { return params_; }
  std::uint32_t& word(unsigned offset) const { return *reinterpret_cast<std::uint32_t*>(rings_ + offset); }
  std::uint32_t sq_head() const { return __atomic_load_n(&word(params_.sq_off.head), __ATOMIC_ACQUIRE); }
  std::uint32_t cq_head() const { return word(params_.cq_off.head); }
  std::uint32_t cq_tail() const { return __atomic_load_n(&word(params_.cq_off.tail), __ATOMIC_ACQUIRE); }

  // An entry to be filled; it is seen by the kernel from publish() on.
  io_uring_sqe& prepare(unsigned opcode, std::uint64_t cookie) {
    io_uring_sqe& entry = entries_[prepared_++ & (params_.sq_entries - 1)];
    std::memset(&entry, 0, sizeof entry);
    entry.opcode = static_cast<std::uint8_t>(opcode);
    entry.user_data = cookie;
    return entry;
  }
  void publish() { __atomic_store_n(&word(params_.sq_off.tail), prepared_, __ATOMIC_RELEASE); }
  long enter(unsigned count, unsigned wait_for, unsigned flags = IORING_ENTER_GETEVENTS, int fd = -1) const {
    return ::syscall(SYS_io_uring_enter, fd < 0 ? fd_ : fd, count, wait_for, flags, nullptr, 0);
  }
  // Submits what is prepared and waits for as many completions.
  long submit() {
    // Not by the head: a thread that polls moves it after the completions are there.
    const unsigned count = prepared_ - submitted_;
    submitted_ = prepared_;
    publish();
    unsigned flags = IORING_ENTER_GETEVENTS;
    if (flags_ & IORING_SETUP_SQPOLL) flags |= IORING_ENTER_SQ_WAKEUP;
    return enter(count, count, flags);
  }
  std::optional<Completion> take() {
    const std::uint32_t head = cq_head();
    if (head == cq_tail()) return std::nullopt;
    const auto* all = reinterpret_cast<const Completion*>(rings_ + params_.cq_off.cqes);
    Completion one = all[head & (params_.cq_entries - 1)];
    __atomic_store_n(&word(params_.cq_off.head), head + 1, __ATOMIC_RELEASE);
    return one;
  }
  long do_register(unsigned what, const void* argument, unsigned count) const {
    return ::syscall(SYS_io_uring_register, fd_, what, argument, count);
  }

  // Submits that many NOPs and takes their completions: the ring has gone round.
  void go_round(unsigned count, std::uint64_t first_cookie = 0) {
    for (unsigned i = 0; i < count; i++) {
      prepare(IORING_OP_NOP, first_cookie + i);
      CHECK_EQ(submit(), 1);
      auto completion = take();
      CHECK(completion && completion->user_data == first_cookie + i && completion->res == 0);
    }
  }
  // Another process has submitted meanwhile.
  void catch_up() { prepared_ = submitted_ = word(params_.sq_off.tail); }
  // The same: does it work, after so many requests in all?
  void check_works(std::uint32_t submitted, std::uint32_t completed) {
    CHECK_EQ(sq_head(), submitted);
    CHECK_EQ(cq_tail(), completed);
    CHECK_EQ(prepared_, submitted);
    CHECK(!take());
    go_round(3 * params_.sq_entries + 1, 0x1234567812345678);
  }

 private:
  char* map(std::size_t len, unsigned long offset) const {
    void* at = ::mmap(nullptr, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_,
                      static_cast<off_t>(offset));
    REQUIRE(at != MAP_FAILED);
    return static_cast<char*>(at);
  }

  unsigned flags_;
  int fd_ = -1;
  io_uring_params params_{};
  std::size_t rings_bytes_ = 0;
  char* rings_ = nullptr;
  io_uring_sqe* entries_ = nullptr;
  std::uint32_t prepared_ = 0;   // as liburing's sqe_tail
  std::uint32_t submitted_ = 0;  // as its sqe_head
};

}  // namespace cr
