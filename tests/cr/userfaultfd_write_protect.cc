// SPDX-License-Identifier: Apache-2.0
// Pages that a userfaultfd write-protects are so again, and others are not.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <thread>

#include "harness/cr_memory.h"

namespace {

int protect(int fd, char* page, std::uint64_t mode) {
  uffdio_writeprotect change{{reinterpret_cast<std::uint64_t>(page), cr::kPage}, mode};
  return ::ioctl(fd, UFFDIO_WRITEPROTECT, &change);
}

}  // namespace

void cr::test() {
  const int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  if (fd < 0) skip("userfaultfd");
  uffdio_api api{UFFD_API, UFFD_FEATURE_PAGEFAULT_FLAG_WP, 0};
  if (::ioctl(fd, UFFDIO_API, &api) != 0) skip("userfaultfd-wp");
  char* memory = map(4 * kPage);
  for (std::uint32_t i = 0; i < 4; i++) fill(memory + i * kPage, i);
  uffdio_register ask{{reinterpret_cast<std::uint64_t>(memory), 4 * kPage}, UFFDIO_REGISTER_MODE_WP, 0};
  REQUIRE(::ioctl(fd, UFFDIO_REGISTER, &ask) == 0);
  REQUIRE(protect(fd, memory + kPage, UFFDIO_WRITEPROTECT_MODE_WP) == 0);
  REQUIRE(protect(fd, memory + 2 * kPage, UFFDIO_WRITEPROTECT_MODE_WP) == 0);

  checkpoint_here();

  for (std::uint32_t i = 0; i < 4; i++) CHECK(filled(memory + i * kPage, i));
  memory[0] = 1;
  memory[3 * kPage] = 1;
  pollfd wait{fd, POLLIN, 0};
  CHECK_EQ(::poll(&wait, 1, 0), 0);
  std::thread answers([&] {
    for (int page : {1, 2}) {
      if (::poll(&wait, 1, 20'000) != 1) ::_exit(1);
      uffd_msg message{};
      CHECK_EQ(::read(fd, &message, sizeof message), static_cast<ssize_t>(sizeof message));
      CHECK(message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
      CHECK_EQ(message.arg.pagefault.address / kPage, reinterpret_cast<std::uint64_t>(memory) / kPage + page);
      CHECK_EQ(protect(fd, memory + page * kPage, 0), 0);
    }
  });
  memory[kPage] = 9;
  memory[2 * kPage] = 9;
  answers.join();
  CHECK(memory[kPage] == 9 && memory[2 * kPage] == 9);
}
