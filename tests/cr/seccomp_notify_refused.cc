// SPDX-License-Identifier: Apache-2.0
// A filter with a listener: neither the listener nor the filter can be taken.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "harness/cr_test.h"

void cr::test() {
  sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  sock_fprog program{1, allow};
  const int fd = static_cast<int>(
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
  if (fd < 0) skip("seccomp-listener");
  checkpoint_here();
  CHECK(::fcntl(fd, F_GETFD) >= 0);
}

cr::Options cr::options() {
  return {.refused = "a seccomp listener"};
}
