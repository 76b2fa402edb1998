// SPDX-License-Identifier: Apache-2.0
// A device whose driver keeps something is refused with what that is and with the option that takes it.
#include "harness/cr_memory.h"

void cr::test() {
  const int fuse = ::open("/dev/fuse", O_RDWR);
  if (fuse < 0) skip("machine: /dev/fuse");
  checkpoint_here();
  char byte;
  CHECK(::read(fuse, &byte, 1) < 0 && (errno == EPERM || errno == EINVAL));
}

cr::Options cr::options() {
  return {.refused =
              "character device 10:229: its driver keeps the connection to a mounted "
              "FUSE file system and its open requests (--external dev[10/229]:fuse helps)"};
}
