// SPDX-License-Identifier: Apache-2.0
// What one pass over the whole machine says of a process is what passes over that process alone say.
#include "collect/snapshot.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>

#include "oracle/target.h"

using namespace oracle;

namespace {

// The two texts from where they differ, or nothing.
std::string difference(const std::string& a, const std::string& b) {
  const auto at = static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
  if (at == a.size() && at == b.size()) return "";
  const std::size_t from = at - std::min<std::size_t>(at, 100);
  return "..." + a.substr(from, 300) + "...\n and not\n..." + b.substr(from, 300) + "...";
}

void check_same(bpfckpt::Collector& collector, const bpfckpt::collect::Snapshot& snapshot, pid_t pid) {
  CAPTURE(pid);
  const auto alone = must(bpfckpt::to_model(
      must(collector.collect(std::span(&pid, 1), bpfckpt::Collector::Tasks::Running)), pid));
  const auto cut = must(bpfckpt::to_model(must(collector.collect(std::span(&pid, 1), snapshot)), pid));
  CHECK(difference(cut.tasks.ShortDebugString(), alone.tasks.ShortDebugString()) == "");
  CHECK(difference(cut.files.ShortDebugString(), alone.files.ShortDebugString()) == "");
  REQUIRE(cut.tasks.processes_size() == 1);
  CHECK(cut.memory.address_spaces_size() == 1);
  REQUIRE(cut.memory.address_spaces_size() == alone.memory.address_spaces_size());
  CHECK(cut.memory.address_spaces(0).vmas_size() > 5);
  CHECK(difference(cut.memory.ShortDebugString(), alone.memory.ShortDebugString()) == "");
}

// A thread of its own descriptors, and one that shares all.
void start_threads() {
  int ready[2];
  REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
  for (const bool apart : {true, false})
    std::thread([&, apart] {
      if (apart && (::unshare(CLONE_FILES) != 0 || ::dup2(0, 150) != 150 || ::close(Target::ready_fd) != 0))
        ::_exit(1);
      if (::write(ready[1], "r", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }).detach();
  char bytes;
  for (int i = 0; i < 2; i++)
    if (::read(ready[0], &bytes, 1) != 1) ::_exit(1);
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace

TEST_CASE("a snapshot") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  // The last mapping of one, and the first of the next, are of the same struct file: fork(2) shares it.
  constexpr std::uintptr_t kHigh = 0x7ffffffde000, kLow = 0x10000;
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  REQUIRE(file >= 0);
  for (const std::uintptr_t at : {kHigh, kLow})
    REQUIRE(::mmap(reinterpret_cast<void*>(at), 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, file,
                   0) != MAP_FAILED);
  Target one([&] {
    ::dup2(ends[0], 100);
    ::close(ends[1]);
    start_threads();
  });
  Target two([&] {
    ::dup2(ends[1], 100);
    ::dup2(::epoll_create1(0), 101);
    epoll_event event{.events = EPOLLIN, .data = {.u64 = 7}};
    if (::epoll_ctl(101, EPOLL_CTL_ADD, 100, &event) != 0) ::_exit(1);
  });
  for (const std::uintptr_t at : {kHigh, kLow}) ::munmap(reinterpret_cast<void*>(at), 4096);
  ::close(file);
  ::close(ends[0]);
  ::close(ends[1]);

  auto collector = must(bpfckpt::Collector::open());
  const auto snapshot = must(collector.snapshot());
  check_same(collector, snapshot, one.pid());
  check_same(collector, snapshot, two.pid());
  const pid_t nobody = 999999999;
  const auto gone = collector.collect(std::span(&nobody, 1), snapshot);
  REQUIRE(gone.has_value());
  CHECK(gone->size_bytes() == 0);
}
