// SPDX-License-Identifier: Apache-2.0
// Rings against what /proc/PID/fdinfo shows of them.
#include "images/kinds/io_uring.pb.h"

#include <linux/io_uring.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <array>

#include "harness/skip.h"
#include "oracle/kind_files.h"

using namespace oracle;

namespace {

// Submits and does not take, as a program that was just there.
int make_ring(unsigned entries, unsigned flags, unsigned nops) {
  io_uring_params params{};
  params.flags = flags;
  const int fd = static_cast<int>(::syscall(SYS_io_uring_setup, entries, &params));
  if (fd < 0) ::_exit(1);
  auto* rings = static_cast<char*>(::mmap(nullptr, params.sq_off.array + entries * 4, PROT_READ | PROT_WRITE,
                                          MAP_SHARED, fd, IORING_OFF_SQ_RING));
  auto word = [&](unsigned offset) { return reinterpret_cast<std::uint32_t*>(rings + offset); };
  for (unsigned i = 0; i < nops; i++) {
    ++*word(params.sq_off.tail);
    if (::syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) != 1) ::_exit(1);
    if (i % 3 != 0) ++*word(params.cq_off.head);
  }
  return fd;
}

}  // namespace

TEST_CASE("io_uring") {
  io_uring_params probe{};
  const int here = static_cast<int>(::syscall(SYS_io_uring_setup, 1, &probe));
  REQUIRE_FEATURE(here >= 0, "io-uring");
  ::close(here);
  Target target([] {
    // Kernels before 6.5 take no buffers in mappings of files, as static variables may be.
    auto* memory =
        static_cast<char*>(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) ::_exit(1);
    ::dup2(make_ring(4, 0, 0), 100);
    ::dup2(make_ring(8, IORING_SETUP_CLAMP, 13), 101);
    ::dup2(make_ring(1, IORING_SETUP_SQPOLL, 0), 102);
    std::array<int, 3> files = {-1, ::eventfd(0, 0), 0};
    if (::syscall(SYS_io_uring_register, 101, IORING_REGISTER_FILES, files.data(), 3) != 0) ::_exit(1);
    std::array<iovec, 2> buffers = {iovec{memory, 100}, iovec{memory + 4096, 50}};
    if (::syscall(SYS_io_uring_register, 101, IORING_REGISTER_BUFFERS, buffers.data(), 2) != 0) ::_exit(1);
  });
  for_each<bpfckpt::pb::IoUring>(target, "io_uring", [](const auto& ring, Fields& fields) {
    CHECK(ring.sq_entries() - 1 == hex(fields["SqMask"]));
    CHECK(ring.cq_entries() - 1 == hex(fields["CqMask"]));
    CHECK(ring.sq_head() == std::stoul(fields["CachedSqHead"]));
    CHECK(ring.cq_tail() == std::stoul(fields["CachedCqTail"]));
    CHECK(ring.file_slots() == std::stoul(fields["UserFiles"]));
    CHECK(ring.buffer_slots() == std::stoul(fields["UserBufs"]));
    CHECK(ring.in_flight() == 0);
    CHECK(ring.waiting_size() == 0);
    if (ring.file_slots() == 0) return;
    REQUIRE(ring.files_size() == 2);
    CHECK(ring.files(0).slot() == 1);
    CHECK(ring.files(1).slot() == 2);
    REQUIRE(ring.buffers_size() == 2);
    CHECK(ring.buffers(0).length() == 100);
    CHECK(ring.buffers(1).address() == ring.buffers(0).address() + 4096);
    CHECK(ring.buffers(1).length() == 50);
    CHECK(ring.users_size() == 1);
  });
}
