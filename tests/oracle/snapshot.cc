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

// Ranges that are mapped, those that touch as one.
std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges_of(const bpfckpt::pb::AddressSpace& mm) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const bpfckpt::pb::Vma& vma : mm.vmas())
    if (!ranges.empty() && ranges.back().second == vma.start())
      ranges.back().second = vma.end();
    else
      ranges.emplace_back(vma.start(), vma.end());
  return ranges;
}

// What is shared or special, as text.
std::vector<std::string> not_plain(const bpfckpt::Model& model) {
  const bpfckpt::ModelIndex index(model);
  std::vector<std::string> texts;
  for (const bpfckpt::pb::Vma& vma : model.memory.address_spaces(0).vmas()) {
    const bpfckpt::pb::File* file = index.file(vma.file_id());
    if (vma.kind() == bpfckpt::pb::SPECIAL || vma.growsdown() ||
        (file != nullptr && file->kind() != "regular"))
      texts.push_back(fmt::format("{:x}-{:x} {} {:x} {}", vma.start(), vma.end(), vma.name(), vma.flags(),
                                  file == nullptr ? "" : file->kind()));
  }
  return texts;
}

// In short, no address is forgotten, and nothing but plain memory is left out.
void check_outline(bpfckpt::Collector& collector, const bpfckpt::collect::Snapshot& snapshot, pid_t pid) {
  CAPTURE(pid);
  const auto whole = must(bpfckpt::to_model(must(collector.collect(std::span(&pid, 1), snapshot, 1)), pid));
  const auto outline = must(bpfckpt::to_model(must(collector.collect(std::span(&pid, 1), snapshot, 0)), pid));
  REQUIRE(outline.memory.address_spaces_size() == 1);
  CHECK(ranges_of(outline.memory.address_spaces(0)) == ranges_of(whole.memory.address_spaces(0)));
  CHECK(not_plain(outline) == not_plain(whole));
  CHECK(not_plain(whole).size() >= 4);  // vDSO and its data, the stack, shared memory
  CHECK(outline.memory.address_spaces(0).vmas_size() * 2 < whole.memory.address_spaces(0).vmas_size());
}

void check_same(bpfckpt::Collector& collector, const bpfckpt::collect::Snapshot& snapshot, pid_t pid) {
  CAPTURE(pid);
  auto alone = must(bpfckpt::to_model(
      must(collector.collect(std::span(&pid, 1), bpfckpt::Collector::Tasks::Running)), pid));
  const auto cut = must(bpfckpt::to_model(must(collector.collect(std::span(&pid, 1), snapshot, 1)), pid));
  // The one thing that a snapshot leaves out.
  for (bpfckpt::pb::Process& process : *alone.tasks.mutable_processes()) process.clear_sigactions();
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
  void* shared = ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
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
  ::munmap(shared, 8192);
  ::close(file);
  ::close(ends[0]);
  ::close(ends[1]);

  auto collector = must(bpfckpt::Collector::open());
  const auto snapshot = must(collector.snapshot());
  check_same(collector, snapshot, one.pid());
  check_same(collector, snapshot, two.pid());
  check_outline(collector, snapshot, one.pid());
  check_outline(collector, snapshot, two.pid());
  const pid_t nobody = 999999999;
  const auto gone = collector.collect(std::span(&nobody, 1), snapshot, 1);
  REQUIRE(gone.has_value());
  CHECK(gone->size_bytes() == 0);
}
