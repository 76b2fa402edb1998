// SPDX-License-Identifier: Apache-2.0
// What is registered with a ring is registered again: files and buffers in their slots and with their tags,
// an eventfd, restrictions, and the ring itself with its thread.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include <array>

#include "harness/cr_memory.h"
#include "harness/cr_uring.h"

namespace {

constexpr unsigned kRegisterRestrictions = 11, kRegisterEnableRings = 12, kRegisterFiles2 = 13,
                   kRegisterBuffers2 = 15, kRegisterFilesUpdate2 = 14, kRegisterRingFds = 20,
                   kEnterRegisteredRing = 1 << 4;

// Of a registered file, into a registered buffer.
void read_fixed(cr::Uring& ring, int slot, unsigned buffer, char* to, int expect) {
  io_uring_sqe& entry = ring.prepare(IORING_OP_READ_FIXED, 7);
  entry.flags = IOSQE_FIXED_FILE;
  entry.fd = slot;
  entry.buf_index = static_cast<std::uint16_t>(buffer);
  entry.addr = reinterpret_cast<std::uint64_t>(to);
  entry.len = 4;
  CHECK_EQ(ring.submit(), 1);
  auto completion = ring.take();
  CHECK(completion && completion->user_data == 7);
  if (completion) CHECK_EQ(completion->res, expect);
}

}  // namespace

void cr::test() {
  const int one = make_file("one", "1111"), two = make_file("two", "2222");
  Uring ring(8);

  std::array<int, 6> files = {-1, one, -1, -1, two, -1};
  std::array<__u64, 6> tags = {0, 0x1001, 0, 0, 0x1004, 0};
  io_uring_rsrc_register table{};
  table.nr = files.size();
  table.data = reinterpret_cast<__u64>(files.data());
  table.tags = reinterpret_cast<__u64>(tags.data());
  REQUIRE(ring.do_register(kRegisterFiles2, &table, sizeof table) == 0);

  constexpr std::size_t kBytes = 8192;
  auto* memory =
      static_cast<char*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  std::memset(memory, 'm', kBytes);
  std::array<iovec, 3> parts = {iovec{nullptr, 0}, iovec{memory, 4096}, iovec{memory + 4100, 100}};
  table = {};
  table.nr = parts.size();
  table.data = reinterpret_cast<__u64>(parts.data());
  table.tags = reinterpret_cast<__u64>(tags.data());
  REQUIRE(ring.do_register(kRegisterBuffers2, &table, sizeof table) == 0);

  ring.go_round(21);
  const int event = ::eventfd(0, EFD_NONBLOCK);
  REQUIRE(ring.do_register(IORING_REGISTER_EVENTFD, &event, 1) == 0);
  io_uring_rsrc_update slot{};
  slot.offset = 5;
  slot.data = static_cast<__u64>(ring.fd());
  REQUIRE(ring.do_register(kRegisterRingFds, &slot, 1) == 1);

  Uring limited(8, IORING_SETUP_R_DISABLED);
  std::array<io_uring_restriction, 3> rules{};
  rules[0].opcode = IORING_RESTRICTION_SQE_OP;
  rules[0].sqe_op = IORING_OP_NOP;
  rules[1].opcode = IORING_RESTRICTION_SQE_OP;
  rules[1].sqe_op = IORING_OP_FSYNC;
  rules[2].opcode = IORING_RESTRICTION_REGISTER_OP;
  rules[2].register_op = IORING_REGISTER_PROBE;
  REQUIRE(limited.do_register(kRegisterRestrictions, rules.data(), rules.size()) == 0);
  REQUIRE(limited.do_register(kRegisterEnableRings, nullptr, 0) == 0);
  limited.go_round(5);

  Uring disabled(2, IORING_SETUP_R_DISABLED);

  checkpoint_here();

  std::uint64_t told = 0;
  CHECK(::read(event, &told, sizeof told) == -1 && errno == EAGAIN);
  read_fixed(ring, 1, 1, memory + 8, 4);
  CHECK_EQ(std::string(memory + 7, 6), std::string("m1111m"));
  read_fixed(ring, 4, 2, memory + 4100, 4);
  CHECK_EQ(std::string(memory + 4099, 6), std::string("m2222m"));
  CHECK(::read(event, &told, sizeof told) == sizeof told && told == 2);
  read_fixed(ring, 2, 1, memory, -EBADF);   // an empty slot
  read_fixed(ring, 1, 0, memory, -EFAULT);  // an empty buffer
  read_fixed(ring, 1, 2, memory + 8, -EFAULT);

  // The registered number of the ring leads to it.
  ring.prepare(IORING_OP_NOP, 44);
  ring.publish();
  CHECK_EQ(ring.enter(1, 1, IORING_ENTER_GETEVENTS | kEnterRegisteredRing, 5), 1);
  CHECK_EQ(ring.take()->user_data, 44u);

  // A file that is replaced is told by its tag.
  std::array<int, 1> none = {-1};
  std::array<__u64, 1> no_tag = {0};
  io_uring_rsrc_update2 change{};
  change.offset = 4;
  change.nr = 1;
  change.data = reinterpret_cast<__u64>(none.data());
  change.tags = reinterpret_cast<__u64>(no_tag.data());
  CHECK_EQ(ring.do_register(kRegisterFilesUpdate2, &change, sizeof change), 1);
  CHECK_EQ(ring.enter(0, 1), 0);
  auto gone = ring.take();
  CHECK(gone && gone->user_data == 0x1004);

  limited.check_works(5, 5);
  limited.prepare(IORING_OP_READ, 3);
  limited.submit();
  auto refused = limited.take();
  CHECK(refused && refused->res == -EACCES);
  CHECK(limited.do_register(IORING_REGISTER_EVENTFD, &event, 1) == -1 && errno == EACCES);

  CHECK(disabled.enter(0, 0) == -1 && errno == EBADFD);
  CHECK_EQ(disabled.do_register(kRegisterEnableRings, nullptr, 0), 0);
  disabled.check_works(0, 0);
}
