// SPDX-License-Identifier: Apache-2.0
// AIO rings against their mappings in /proc/PID/maps, and against the header that user space sees there.
#include <linux/aio_abi.h>
#include <sys/syscall.h>

#include <algorithm>

#include "oracle/target.h"

using namespace oracle;

namespace {

// fs/aio.c:struct aio_ring
struct Header {
  std::uint32_t id, slots, head, tail, magic;
};
constexpr std::uint32_t kMagic = 0xa10a10a1;

// Reads the first bytes of a file `times` times, and takes none of the events.
void submit(aio_context_t context, int times) {
  static char bytes[8];
  const int fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  for (int i = 0; i < times; ++i) {
    iocb request{};
    request.aio_fildes = static_cast<std::uint32_t>(fd);
    request.aio_lio_opcode = IOCB_CMD_PREAD;
    request.aio_buf = reinterpret_cast<std::uint64_t>(bytes);
    request.aio_nbytes = sizeof bytes;
    iocb* list[] = {&request};
    if (::syscall(SYS_io_submit, context, 1, list) != 1) ::_exit(1);
  }
}

}  // namespace

TEST_CASE("AIO rings") {
  Target target([] {
    aio_context_t idle = 0, with_events = 0;
    if (::syscall(SYS_io_setup, 1, &idle) != 0 || ::syscall(SYS_io_setup, 500, &with_events) != 0) ::_exit(1);
    submit(with_events, 3);
  });
  struct Range {
    std::uint64_t start = 0, end = 0;
  };
  std::vector<Range> mapped;
  for (const std::string& line : target.lines("maps"))
    if (line.find("/[aio]") != std::string::npos)
      mapped.push_back({hex(line), hex(line.substr(line.find('-') + 1))});
  REQUIRE(mapped.size() == 2);

  const auto model = model_of(target.pid());
  const auto& space = model.memory.address_spaces(0);
  REQUIRE(space.aio_rings_size() == 2);
  std::ifstream memory(target.proc("mem"), std::ios::binary);
  std::vector<std::uint32_t> tails;
  for (const auto& ring : space.aio_rings()) {
    CAPTURE(ring.address());
    const auto it = std::ranges::find(mapped, ring.address(), &Range::start);
    REQUIRE(it != mapped.end());
    CHECK(ring.size_bytes() == it->end - it->start);
    Header header{};
    memory.seekg(static_cast<std::streamoff>(ring.address()));
    memory.read(reinterpret_cast<char*>(&header), sizeof header);
    REQUIRE(header.magic == kMagic);
    CHECK(ring.slots() == header.slots);
    CHECK(ring.tail() == header.tail);
    CHECK(ring.max_requests() >= 1);
    CHECK(ring.in_flight() == 0);
    CHECK(ring.polls() == 0);
    tails.push_back(header.tail);
  }
  CHECK(std::ranges::count(tails, 3U) == 1);
}
