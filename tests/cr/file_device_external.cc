// SPDX-License-Identifier: Apache-2.0
// Devices that are external are opened again by their path: character and block devices.
#include <sys/ioctl.h>

#include "harness/cr_memory.h"

void cr::test() {
  const int kvm = ::open("/dev/kvm", O_RDWR | O_CLOEXEC), loop = ::open("/dev/loop0", O_RDONLY | O_NONBLOCK);
  if (kvm < 0 && loop < 0) skip("machine: /dev/kvm or /dev/loop0");
  constexpr unsigned long kKvmGetApiVersion = 0xAE00, kBlkGetSize = 0x1260;
  long size = 0, size_now = -1;
  if (loop >= 0) REQUIRE(::ioctl(loop, kBlkGetSize, &size) == 0);
  checkpoint_here();
  if (kvm >= 0) CHECK_EQ(::ioctl(kvm, kKvmGetApiVersion, 0), 12);
  if (loop >= 0) {
    CHECK_EQ(::ioctl(loop, kBlkGetSize, &size_now), 0);
    CHECK_EQ(size_now, size);
  }
}

cr::Options cr::options() {
  return {.dump_args = {"--external", "dev[10/232]:machines", "--external", "dev[7/0]:disk"}};
}
