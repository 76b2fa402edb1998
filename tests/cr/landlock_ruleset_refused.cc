// SPDX-License-Identifier: Apache-2.0
// The rules in a Landlock ruleset are not to be read.
#include <fcntl.h>
#include <linux/landlock.h>

#include "harness/cr_test.h"

void cr::test() {
  landlock_ruleset_attr attribute{};
  attribute.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE;
  const int fd = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attribute, sizeof attribute, 0));
  if (fd < 0) skip("landlock");
  checkpoint_here();
  CHECK(::fcntl(fd, F_GETFD) >= 0);
}

cr::Options cr::options() {
  return {.refused = "a Landlock ruleset"};
}
