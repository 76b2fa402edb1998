// SPDX-License-Identifier: Apache-2.0
// A fault that waits for an answer is in nobody's memory.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <thread>

#include "harness/cr_memory.h"

void cr::test() {
  const int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  if (fd < 0) skip("userfaultfd");
  uffdio_api api{UFFD_API, 0, 0};
  REQUIRE(::ioctl(fd, UFFDIO_API, &api) == 0);
  char* memory = map(kPage);
  const uffdio_range range{reinterpret_cast<std::uint64_t>(memory), kPage};
  uffdio_register ask{range, UFFDIO_REGISTER_MODE_MISSING, 0};
  REQUIRE(::ioctl(fd, UFFDIO_REGISTER, &ask) == 0);
  std::thread reader([&] { CHECK(zero(memory)); });
  pollfd wait{fd, POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 20'000) == 1);
  checkpoint_here();
  uffdio_zeropage answer{range, 0, 0};
  CHECK_EQ(::ioctl(fd, UFFDIO_ZEROPAGE, &answer), 0);
  reader.join();
}

cr::Options cr::options() {
  return {.refused = "a thread waits in a page fault"};
}
