// SPDX-License-Identifier: Apache-2.0
// Devices whose drivers keep nothing for who has them open, those of them that this machine has; and the
// kernel's log for one who writes.
#include <sys/ioctl.h>

#include <vector>

#include "harness/cr_memory.h"

void cr::test() {
  struct Opened {
    const char* path;
    int fd;
    dev_t rdev;
  };
  std::vector<Opened> devices;
  for (const auto& [path, flags] : {std::pair{"/dev/hwrng", O_RDONLY | O_NONBLOCK},
                                    {"/dev/loop-control", O_RDWR},
                                    {"/dev/btrfs-control", O_RDWR | O_CLOEXEC},
                                    {"/dev/kmsg", O_WRONLY}}) {
    const int fd = ::open(path, flags);
    if (fd < 0) continue;
    struct stat st{};
    REQUIRE(::fstat(fd, &st) == 0);
    devices.push_back({path, fd, st.st_rdev});
  }
  if (devices.empty()) skip("machine: a character device without state");
  checkpoint_here();
  constexpr unsigned long kLoopGetFree = 0x4C82;  // LOOP_CTL_GET_FREE
  for (const Opened& device : devices) {
    struct stat st{};
    CHECK(::fstat(device.fd, &st) == 0 && S_ISCHR(st.st_mode));
    CHECK_EQ(st.st_rdev, device.rdev);
    if (std::string(device.path) == "/dev/loop-control") CHECK(::ioctl(device.fd, kLoopGetFree) >= 0);
  }
}
