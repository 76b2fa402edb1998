// SPDX-License-Identifier: Apache-2.0
// ctest-serial: 1
// Memory on huge pages (hugetlb): memfds, mapped and not, with holes and seals, shared and private anonymous
// mappings.
#include "harness/cr_huge_pages.h"
#include "harness/cr_memory.h"

namespace {

int huge_memfd(const char* name, off_t pages) {
  const int fd = ::memfd_create(name, MFD_HUGETLB | MFD_ALLOW_SEALING | 21 << 26 /* MFD_HUGE_2MB */);
  REQUIRE(fd >= 0 && ::ftruncate(fd, pages * static_cast<off_t>(cr::kHuge)) == 0);
  return fd;
}

}  // namespace

void cr::test() {
  const HugePages pages(24);

  const int mapped = huge_memfd("mapped", 3);
  char* area = map(3 * kHuge, PROT_READ | PROT_WRITE, MAP_SHARED, mapped);
  fill(area, 1);
  fill(area + 3 * kHuge - kPage, 2);  // the page between is a hole
  const int unmapped = huge_memfd("unmapped", 2);
  char* window = map(kHuge, PROT_READ | PROT_WRITE, MAP_SHARED, unmapped, kHuge);
  fill(window + 5 * kPage, 3);
  ::munmap(window, kHuge);
  REQUIRE(::fcntl(unmapped, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0);
  const int empty = huge_memfd("empty", 0);
  char* privately = map(2 * kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE, unmapped);
  fill(privately, 4);
  char* shared = map(2 * kHuge, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB);
  fill(shared + kHuge, 5);
  char* own = map(2 * kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
  fill(own + kHuge + 7 * kPage, 6);
  Child child([&] {
    wait_released();
    CHECK(filled(shared + kHuge, 5) && filled(own + kHuge + 7 * kPage, 6));
    fill(shared, 50);
    fill(own, 60);
  });
  await_waiting(1);

  checkpoint_here();
  CHECK(filled(area, 1) && filled(area + 3 * kHuge - kPage, 2) && zero(area + kHuge));
  CHECK(::ftruncate(mapped, 2 * kHuge) == 0);
  struct stat st{};
  CHECK(::fstat(mapped, &st) == 0 && st.st_blksize == static_cast<blksize_t>(kHuge));
  window = map(kHuge, PROT_READ | PROT_WRITE, MAP_SHARED, unmapped, kHuge);
  CHECK(filled(window + 5 * kPage, 3) && zero(window));
  CHECK(filled(privately, 4) && filled(privately + kHuge + 5 * kPage, 3));
  CHECK(::ftruncate(unmapped, 0) < 0 && errno == EPERM);
  CHECK(::ftruncate(empty, kHuge) == 0);
  child.join();
  CHECK(filled(shared, 50) && filled(shared + kHuge, 5));
  CHECK(zero(own) && filled(own + kHuge + 7 * kPage, 6));
  CHECK(pages.give_back());
}

cr::Options cr::options() {
  // How many of its huge pages a process has touched, like the resident sizes.
  return {.ignore = {"*/status/HugetlbPages"}};
}
