// SPDX-License-Identifier: Apache-2.0
// ctest-serial: 1
// A System V segment on huge pages.
#include "harness/cr_sysv.h"

namespace {

constexpr std::size_t kHuge = 2 << 20;
constexpr int kPages = 8;
constexpr const char* kPool = "/proc/sys/vm/nr_overcommit_hugepages";

std::string pool() {
  const int fd = ::open(kPool, O_RDONLY | O_CLOEXEC);
  std::string text = cr::read_all(fd);
  ::close(fd);
  return text;
}

bool set_pool(const std::string& pages) {
  const int fd = ::open(kPool, O_WRONLY | O_CLOEXEC);
  const bool done = fd >= 0 && ::write(fd, pages.data(), pages.size()) == static_cast<ssize_t>(pages.size());
  ::close(fd);
  return done;
}

}  // namespace

void cr::test() {
  const std::string pages_before = pool();
  if (!set_pool(std::to_string(kPages + std::atoi(pages_before.c_str()))))
    skip("machine: hugetlb (vm.nr_overcommit_hugepages)");
  const int id = ::shmget(IPC_PRIVATE, 3 * kHuge - 5, IPC_CREAT | 0600 | SHM_HUGETLB | 21 << 26);
  if (id < 0) {
    set_pool(pages_before);
    skip("hugetlb");
  }
  char* memory = attach(id);
  fill(memory, 1);
  fill(memory + 3 * kHuge - kPage, 2);
  char* part = attach(id);
  REQUIRE(::munmap(part, kHuge) == 0);
  REQUIRE(::shmctl(id, IPC_RMID, nullptr) == 0);
  const shmid_ds before = segment_facts(id);

  checkpoint_here();

  check_same(id, before);
  CHECK(filled(memory, 1) && filled(memory + 3 * kHuge - kPage, 2) && zero(memory + kHuge));
  part[kHuge] = 'h';
  CHECK(memory[kHuge] == 'h');
  CHECK(::shmdt(memory) == 0);
  CHECK(::shmdt(part) == 0 && !readable(part + kHuge));
  set_pool(pages_before);
}

// Pages get into the page tables when they are touched.
cr::Options cr::options() {
  return {.ignore = {"*/status/HugetlbPages"}};
}
