// SPDX-License-Identifier: Apache-2.0
// FIFOs with data while only one side is open, by its name and without; one whose sides are two processes';
// capacity; standard input opened by its self links.
#include "harness/cr_memory.h"

void cr::test() {
  auto path = [](const char* name) { return directory() + "/" + name; };
  for (const char* name : {"written", "gone", "between", "input"})
    REQUIRE(::mkfifo(path(name).c_str(), 0640) == 0);

  // The writer alone keeps what nobody reads.
  int reader = ::open(path("written").c_str(), O_RDONLY | O_NONBLOCK);
  const int writer = ::open(path("written").c_str(), O_WRONLY | O_APPEND);
  REQUIRE(::fcntl(writer, F_SETPIPE_SZ, 128 << 10) == 128 << 10 && ::write(writer, "kept", 4) == 4);
  ::close(reader);

  // A deleted one, its writer gone: data, then the end.
  reader = ::open(path("gone").c_str(), O_RDONLY | O_NONBLOCK);
  const int once = ::open(path("gone").c_str(), O_WRONLY);
  REQUIRE(::write(once, "last words", 10) == 10);
  ::close(once);
  REQUIRE(::unlink(path("gone").c_str()) == 0);

  Child child([&] {
    const int out = ::open(path("between").c_str(), O_WRONLY);
    REQUIRE(::write(out, "early ", 6) == 6 && ::unlink(path("between").c_str()) == 0);
    wait_released();
    CHECK_EQ(::write(out, "late", 4), 4);
  });
  const int between = ::open(path("between").c_str(), O_RDONLY);
  await_waiting(1);

  const int input = ::open(path("input").c_str(), O_RDWR);
  const int null = ::dup(0);
  REQUIRE(::dup2(input, 0) == 0 && ::write(input, "typed", 5) == 5);
  const int by_device = ::open("/dev/stdin", O_RDONLY | O_NONBLOCK),
            by_proc = ::open("/proc/self/fd/0", O_WRONLY);
  REQUIRE(by_device >= 0 && by_proc >= 0);

  checkpoint_here();
  const int again = ::open(path("written").c_str(), O_RDONLY | O_NONBLOCK);
  CHECK_EQ(::fcntl(again, F_GETPIPE_SZ), 128 << 10);
  CHECK_EQ(::write(writer, "!", 1), 1);
  char buffer[32] = {};
  CHECK_EQ(::read(again, buffer, sizeof(buffer)), 5);
  CHECK_EQ(std::string(buffer), "kept!");
  CHECK_EQ(read_all(reader), "last words");
  CHECK_EQ(read_all(between), "early late");
  child.join();
  std::memset(buffer, 0, sizeof(buffer));
  CHECK_EQ(::read(by_device, buffer, 2), 2);
  CHECK_EQ(::write(by_proc, "ed", 2), 2);
  CHECK_EQ(::read(0, buffer + 2, 16), 5);
  CHECK_EQ(std::string(buffer), "typeded");
  CHECK(::read(by_device, buffer, 1) < 0 && errno == EAGAIN);
  ::dup2(null, 0);
}
