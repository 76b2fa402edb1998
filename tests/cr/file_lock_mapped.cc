// SPDX-License-Identifier: Apache-2.0
// flock() of a file that is mapped and no descriptor has open any more: shared writable and private,
// exclusive and shared; a child that has the mapping by fork keeps the lock when its parent lets go.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "harness/cr_test.h"

namespace {

constexpr std::size_t kLength = 4096;

struct Mapped {
  const char* name;
  void* at;
};

Mapped map_locked(const char* name, int sharing, int protection, int lock) {
  const int fd = ::open(name, O_RDWR | O_CREAT, 0600);
  REQUIRE(fd >= 0);
  REQUIRE(::ftruncate(fd, kLength) == 0);
  REQUIRE(::pwrite(fd, name, 3, 0) == 3);
  REQUIRE(::flock(fd, lock) == 0);
  void* at = ::mmap(nullptr, kLength, protection, sharing, fd, 0);
  REQUIRE(at != MAP_FAILED);
  ::close(fd);
  return {name, at};
}

bool can_lock(const char* name, int lock) {
  const int fd = ::open(name, O_RDWR);
  REQUIRE(fd >= 0);
  const bool can = ::flock(fd, lock | LOCK_NB) == 0;
  ::close(fd);
  return can;
}

}  // namespace

void cr::test() {
  REQUIRE(::chdir(directory().c_str()) == 0);
  const Mapped exclusive = map_locked("exclusive", MAP_SHARED, PROT_READ | PROT_WRITE, LOCK_EX);
  const Mapped readers = map_locked("readers", MAP_PRIVATE, PROT_READ, LOCK_SH);
  const Mapped inherited = map_locked("inherited", MAP_SHARED, PROT_READ, LOCK_EX);
  int end[2];
  REQUIRE(::pipe(end) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    char byte;
    ::close(end[1]);
    ::munmap(exclusive.at, kLength);
    ::munmap(readers.at, kLength);
    ::_exit(::read(end[0], &byte, 1) == 1 ? 0 : 1);
  }

  checkpoint_here();

  CHECK(!can_lock("exclusive", LOCK_SH));
  CHECK(can_lock("readers", LOCK_SH));
  CHECK(!can_lock("readers", LOCK_EX));
  CHECK(!can_lock("inherited", LOCK_SH));
  static_cast<char*>(exclusive.at)[0] = 'E';
  ::munmap(exclusive.at, kLength);
  CHECK(can_lock("exclusive", LOCK_EX));
  ::munmap(readers.at, kLength);
  CHECK(can_lock("readers", LOCK_EX));
  ::munmap(inherited.at, kLength);
  CHECK(!can_lock("inherited", LOCK_SH));
  CHECK_EQ(::write(end[1], "x", 1), 1);
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  CHECK(can_lock("inherited", LOCK_EX));
}

cr::Options cr::options() {
  return {.dump_args = {"--file-locks"}};
}
