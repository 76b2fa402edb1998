// SPDX-License-Identifier: Apache-2.0
// Seals of memfds: each alone and all together, those that are there from the beginning, and those that came
// when a mapping was there already.
#include <vector>

#include "harness/cr_memory.h"

namespace {

constexpr int kSealFutureWrite = 0x10;  // F_SEAL_FUTURE_WRITE
constexpr int kSealExec = 0x20;         // F_SEAL_EXEC, since 6.3
constexpr unsigned kNoExecSeal = 0x8;   // MFD_NOEXEC_SEAL, since 6.3

int sealed(const char* name, int seals, unsigned flags = MFD_ALLOW_SEALING) {
  const int fd = ::memfd_create(name, flags);
  REQUIRE(fd >= 0 && ::write(fd, "content", 7) == 7 && ::ftruncate(fd, 3 * cr::kPage) == 0);
  if (seals != 0) REQUIRE(::fcntl(fd, F_ADD_SEALS, seals) == 0);
  return fd;
}

}  // namespace

void cr::test() {
  std::vector<int> all{0, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, kSealFutureWrite, 0x1f};
  const int no_exec = ::memfd_create("no exec", kNoExecSeal);
  if (no_exec >= 0) {
    all.push_back(kSealExec);
    all.push_back(0x3f);
  }
  std::vector<int> fds, seals;
  for (const int wanted : all) {
    fds.push_back(sealed("sealed", wanted));
    // F_SEAL_EXEC of a file that may be executed brings others with it.
    seals.push_back(::fcntl(fds.back(), F_GET_SEALS));
    CHECK_EQ(seals.back() & wanted, wanted);
  }
  const int never = sealed("never", 0, 0);

  // A mapping that was there first may still be written to.
  const int future = sealed("future", 0);
  char* writable = map(3 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, future);
  REQUIRE(::fcntl(future, F_ADD_SEALS, kSealFutureWrite) == 0);
  char* late = map(kPage, PROT_READ, MAP_SHARED, future, kPage);

  const int fixed = sealed("fixed", F_SEAL_WRITE | F_SEAL_SEAL);
  char* shown = map(kPage, PROT_READ, MAP_SHARED, fixed);
  char* copy = map(kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fixed);
  copy[0] = 'C';

  checkpoint_here();
  for (std::size_t i = 0; i < fds.size(); ++i) {
    CHECK_EQ(::fcntl(fds[i], F_GET_SEALS), seals[i]);
    CHECK_EQ(::fcntl(fds[i], F_ADD_SEALS, F_SEAL_SHRINK), (seals[i] & F_SEAL_SEAL) != 0 ? -1 : 0);
    CHECK_EQ(::ftruncate(fds[i], 4 * kPage), (seals[i] & F_SEAL_GROW) != 0 ? -1 : 0);
    CHECK_EQ(::write(fds[i], "x", 1), (seals[i] & (F_SEAL_WRITE | kSealFutureWrite)) != 0 ? -1 : 1);
    CHECK_EQ(::fchmod(fds[i], 0640), (seals[i] & kSealExec) != 0 ? -1 : 0);
  }
  CHECK_EQ(::fcntl(never, F_GET_SEALS), F_SEAL_SEAL);
  if (no_exec >= 0) {
    struct stat st{};
    CHECK(::fstat(no_exec, &st) == 0 && (st.st_mode & 07777) == 0666);
    CHECK_EQ(::fcntl(no_exec, F_GET_SEALS), kSealExec);
    CHECK(::fchmod(no_exec, 0777) < 0 && errno == EPERM);
    CHECK(::fchmod(no_exec, 0600) == 0);
  }

  writable[kPage] = 'w';
  CHECK_EQ(late[0], 'w');
  CHECK(::mprotect(late, kPage, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
  CHECK(::mmap(nullptr, kPage, PROT_WRITE, MAP_SHARED, future, 0) == MAP_FAILED && errno == EPERM);

  CHECK_EQ(std::string(shown, 7), "content");
  CHECK_EQ(std::string(copy, 7), "Content");
  CHECK(::mprotect(shown, kPage, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
  CHECK_EQ(::fcntl(fixed, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_SEAL);
}

cr::Options cr::options() {
  // VM_SHARED, which nothing shows but smaps, goes from a shared mapping of a file that was opened for
  // reading only; a mapping of a memfd sealed against writing keeps it although it can never be written to.
  return {.ignore = {"*/map/*"}};
}
