// SPDX-License-Identifier: Apache-2.0
// What is missing of shared memory is what the page tables lack, and those are not kept.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "harness/cr_memory.h"

void cr::test() {
  const int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC));
  if (fd < 0) skip("userfaultfd");
  uffdio_api api{UFFD_API, 0, 0};
  REQUIRE(::ioctl(fd, UFFDIO_API, &api) == 0);
  char* memory = map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  uffdio_register ask{{reinterpret_cast<std::uint64_t>(memory), kPage}, UFFDIO_REGISTER_MODE_MISSING, 0};
  REQUIRE(::ioctl(fd, UFFDIO_REGISTER, &ask) == 0);
  checkpoint_here();
  CHECK_EQ(::ioctl(fd, UFFDIO_UNREGISTER, &ask.range), 0);
}

cr::Options cr::options() {
  return {.refused = "a userfaultfd watches memory that is not private and anonymous"};
}
