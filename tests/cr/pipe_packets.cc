// SPDX-License-Identifier: Apache-2.0
// Packets in pipes: a single one, of which a short read throws away the rest; long ones; the mode switched on
// behind plain bytes that were read, and off with packets inside; the writing end closed.
#include "harness/cr_memory.h"

namespace {

struct Pipe {
  int read_end = -1, write_end = -1;
};

Pipe make(int flags) {
  int fds[2];
  REQUIRE(::pipe2(fds, flags | O_NONBLOCK) == 0);
  return {fds[0], fds[1]};
}

void put(const Pipe& pipe, const std::string& data) {
  REQUIRE(::write(pipe.write_end, data.data(), data.size()) == static_cast<ssize_t>(data.size()));
}

std::string get(const Pipe& pipe, std::size_t len_bytes) {
  std::string data(len_bytes, '\0');
  const ssize_t n = ::read(pipe.read_end, data.data(), len_bytes);
  data.resize(n > 0 ? n : 0);
  return data;
}

}  // namespace

void cr::test() {
  const Pipe single = make(O_DIRECT), closed = make(O_DIRECT), large = make(O_DIRECT), late = make(0),
             early = make(O_DIRECT), stream = make(0);
  put(single, "packet");
  put(closed, "one");
  put(closed, "two");
  ::close(closed.write_end);
  put(large, std::string(10'000, 'a'));
  put(large, std::string(4096, 'b'));
  put(late, "bytes");
  CHECK_EQ(get(late, 5), "bytes");
  REQUIRE(::fcntl(late.write_end, F_SETFL, O_NONBLOCK | O_DIRECT) == 0);
  put(late, "first");
  put(late, "second");
  put(early, "first");
  REQUIRE(::fcntl(early.write_end, F_SETFL, O_NONBLOCK) == 0);
  // The mode of the reading end says nothing.
  REQUIRE(::fcntl(stream.read_end, F_SETFL, O_NONBLOCK | O_DIRECT) == 0);
  put(stream, "stream");
  checkpoint_here();
  CHECK_EQ(get(single, 3), "pac");
  CHECK_EQ(get(single, 9), "");
  CHECK_EQ(get(closed, 2), "on");
  CHECK_EQ(get(closed, 9), "two");
  CHECK_EQ(::read(closed.read_end, nullptr, 0), 0);
  for (const std::size_t len : {4096, 4096, 1808}) CHECK_EQ(get(large, 8192), std::string(len, 'a'));
  CHECK_EQ(get(large, 8192), std::string(4096, 'b'));
  CHECK_EQ(get(late, 2), "fi");
  CHECK_EQ(get(late, 9), "second");
  CHECK((::fcntl(late.write_end, F_GETFL) & O_DIRECT) != 0);
  CHECK_EQ(get(early, 1), "f");
  CHECK_EQ(get(early, 9), "");
  put(early, "plain");
  CHECK_EQ(get(early, 2), "pl");
  CHECK_EQ(get(early, 9), "ain");
  CHECK_EQ(get(stream, 2), "st");
  CHECK_EQ(get(stream, 9), "ream");
}
