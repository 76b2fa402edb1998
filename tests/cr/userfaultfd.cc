// SPDX-License-Identifier: Apache-2.0
// Memory under a userfaultfd: what was missing is missing, what was there (a page that was only read, too) is
// there, and faults are told to whoever holds the descriptor, here a duplicate.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include <thread>

#include "harness/cr_memory.h"

void cr::test() {
  constexpr int kPages = 600;  // more than a huge page
  const int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  if (fd < 0) skip("userfaultfd");
  uffdio_api api{UFFD_API, UFFD_FEATURE_THREAD_ID, 0};
  REQUIRE(::ioctl(fd, UFFDIO_API, &api) == 0);
  char* memory = map(kPages * kPage);
  // Where every process is given huge pages, one would be there as a whole.
  REQUIRE(::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
  fill(memory, 1);
  fill(memory + 300 * kPage, 2);
  // Present as the zero page.
  volatile char read_only = memory[kPage];
  CHECK_EQ(static_cast<int>(read_only), 0);
  uffdio_register ask{
      {reinterpret_cast<std::uint64_t>(memory), kPages * kPage}, UFFDIO_REGISTER_MODE_MISSING, 0};
  REQUIRE(::ioctl(fd, UFFDIO_REGISTER, &ask) == 0);
  REQUIRE(::prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0);
  const int duplicate = ::dup(fd);
  const int idle = static_cast<int>(::syscall(SYS_userfaultfd, 0));  // no UFFDIO_API yet
  REQUIRE(duplicate >= 0 && idle >= 0);

  checkpoint_here();

  CHECK(filled(memory, 1) && filled(memory + 300 * kPage, 2));
  CHECK(zero(memory + kPage));
  pollfd quiet{fd, POLLIN, 0};
  CHECK_EQ(::poll(&quiet, 1, 0), 0);
  for (int page : {2, 299, 301, kPages - 1}) CHECK(!(pagemap_entry(memory + page * kPage) & kPagePresent));

  std::thread answers([&] {
    pollfd wait{duplicate, POLLIN, 0};
    for (int page : {2, 301}) {
      if (::poll(&wait, 1, 20'000) != 1) ::_exit(1);
      uffd_msg message{};
      CHECK_EQ(::read(duplicate, &message, sizeof message), static_cast<ssize_t>(sizeof message));
      CHECK_EQ(static_cast<int>(message.event), UFFD_EVENT_PAGEFAULT);
      CHECK_EQ(message.arg.pagefault.address / kPage, reinterpret_cast<std::uint64_t>(memory) / kPage + page);
      CHECK_EQ(static_cast<pid_t>(message.arg.pagefault.feat.ptid), ::getpid());
      uffdio_copy copy{};
      copy.dst = reinterpret_cast<std::uint64_t>(memory + page * kPage);
      copy.src = reinterpret_cast<std::uint64_t>(memory + 300 * kPage);
      copy.len = kPage;
      CHECK_EQ(::ioctl(fd, UFFDIO_COPY, &copy), 0);
    }
  });
  CHECK(filled(memory + 2 * kPage, 2));
  CHECK(filled(memory + 301 * kPage, 2));
  answers.join();
  uffdio_api late{UFFD_API, 0, 0};
  CHECK_EQ(::ioctl(idle, UFFDIO_API, &late), 0);
}
