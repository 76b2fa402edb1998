// SPDX-License-Identifier: Apache-2.0
// What is in pipes: data of any length to the very full, packet boundaries, the size that was set,
// non-blocking ends.
#include <sys/ioctl.h>

#include "harness/cr_memory.h"

namespace {

struct Pipe {
  int read_end, write_end;
};

Pipe make(int flags = 0) {
  int fds[2];
  REQUIRE(::pipe2(fds, flags) == 0);
  return {fds[0], fds[1]};
}

std::string text(std::size_t len_bytes) {
  std::string out(len_bytes, '\0');
  for (std::size_t i = 0; i < len_bytes; ++i) out[i] = static_cast<char>(i * 31 + i / 251);
  return out;
}

void put(const Pipe& pipe, const std::string& data) {
  REQUIRE(::write(pipe.write_end, data.data(), data.size()) == static_cast<ssize_t>(data.size()));
}

void expect(const Pipe& pipe, const std::string& data) {
  int there = 0;
  CHECK(::ioctl(pipe.read_end, FIONREAD, &there) == 0);
  CHECK_EQ(static_cast<std::size_t>(there), data.size());
  std::string got(data.size() + 1, '\0');
  std::size_t n = 0;
  while (n < data.size()) {
    const ssize_t part = ::read(pipe.read_end, got.data() + n, data.size() - n);
    REQUIRE(part > 0);
    n += part;
  }
  CHECK(got.substr(0, n) == data);
}

}  // namespace

void cr::test() {
  const Pipe empty = make(), little = make(), full = make(O_NONBLOCK), large = make(),
             packets = make(O_DIRECT | O_NONBLOCK);
  const Pipe small = make(), grown = make();
  put(little, "hello");
  put(full, text(65536));
  REQUIRE(::fcntl(large.write_end, F_SETPIPE_SZ, 1 << 20) == 1 << 20);
  put(large, text(900'001));
  REQUIRE(::fcntl(small.write_end, F_SETPIPE_SZ, 4096) == 4096);
  put(small, text(4096));
  // Many short writes with reads between: slots of the ring that are partly filled.
  REQUIRE(::fcntl(grown.write_end, F_SETPIPE_SZ, 256 << 10) == 256 << 10);
  std::string in_grown;
  for (int i = 0; i < 40; ++i) {
    put(grown, text(1000 + i));
    in_grown += text(1000 + i);
  }
  char skipped[2500];
  REQUIRE(::read(grown.read_end, skipped, sizeof(skipped)) == sizeof(skipped));
  for (const char* packet : {"one", "two", "three"}) put(packets, packet);
  checkpoint_here();
  expect(empty, "");
  expect(little, "hello");
  CHECK(::write(full.write_end, "x", 1) < 0 && errno == EAGAIN);
  expect(full, text(65536));
  CHECK_EQ(::fcntl(large.read_end, F_GETPIPE_SZ), 1 << 20);
  expect(large, text(900'001));
  CHECK_EQ(::fcntl(small.read_end, F_GETPIPE_SZ), 4096);
  expect(small, text(4096));
  expect(grown, in_grown.substr(2500));
  char buffer[16];
  for (const char* packet : {"one", "two", "three"}) {
    const ssize_t n = ::read(packets.read_end, buffer, sizeof(buffer));
    CHECK_EQ(std::string(buffer, n > 0 ? n : 0), packet);
  }
  CHECK(::read(packets.read_end, buffer, 1) < 0 && errno == EAGAIN);
  CHECK(::fcntl(packets.write_end, F_GETFL) & O_DIRECT);
}
