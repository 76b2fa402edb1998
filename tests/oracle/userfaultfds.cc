// SPDX-License-Identifier: Apache-2.0
// Userfaultfds against what /proc/PID/fdinfo shows of them.
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <thread>

#include "base/fd.h"
#include "images/kinds/userfaultfd.pb.h"
#include "oracle/kind_files.h"

using namespace oracle;
using bpfckpt::Fd;

namespace {

constexpr std::uint32_t kInitialized = 1U << 31;  // fs/userfaultfd.c:UFFD_FEATURE_INITIALIZED

int userfaultfd(std::uint64_t features, bool ready = true) {
  const int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  uffdio_api api{UFFD_API, features, 0};
  if (fd < 0 || (ready && ::ioctl(fd, UFFDIO_API, &api) != 0)) ::_exit(1);
  return fd;
}

}  // namespace

TEST_CASE("userfaultfds") {
  if (const Fd probe(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC))); !probe) {
    MESSAGE("not tested: no userfaultfd(2) here");
    return;
  }
  Target target([] {
    ::dup2(userfaultfd(0, false), 100);
    ::dup2(userfaultfd(UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_THREAD_ID), 101);
    ::dup2(userfaultfd(0), 102);
    // Somebody waits in a fault, and it is not read yet.
    void* area = ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uffdio_register watched{{reinterpret_cast<std::uint64_t>(area), 8192}, UFFDIO_REGISTER_MODE_MISSING, 0};
    if (::ioctl(102, UFFDIO_REGISTER, &watched) != 0) ::_exit(1);
    std::thread([area] { *static_cast<volatile char*>(area) = 1; }).detach();
    pollfd fault{102, POLLIN, 0};
    if (::poll(&fault, 1, 10'000) != 1) ::_exit(1);
  });
  for_each<bpfckpt::pb::Userfaultfd>(target, "userfaultfd", [](const auto& userfaultfd, Fields& fields) {
    const std::string api = fields["API"];  // "version:features:calls"
    const auto features = static_cast<std::uint32_t>(hex(api.substr(api.find(':') + 1)));
    CHECK(userfaultfd.ready() == ((features & kInitialized) != 0));
    CHECK(userfaultfd.features() == (features & ~kInitialized));
    CHECK(userfaultfd.waiting_faults() == (fields["total"] != "0"));
    CHECK_FALSE(userfaultfd.waiting_events());
  });
}
