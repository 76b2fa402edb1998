// SPDX-License-Identifier: Apache-2.0
// A group that decides who may open a file: while it is stopped nobody could.
#include <sys/fanotify.h>

#include "harness/cr_memory.h"

cr::Options cr::options() {
  return {.refused = "it decides on accesses to files"};
}

void cr::test() {
  const int fd = ::fanotify_init(FAN_CLASS_CONTENT, O_RDONLY | O_LARGEFILE);
  if (fd < 0) skip("fanotify");
  ::close(make_file("file"));
  if (::fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, (directory() + "/file").c_str()) != 0)
    skip("fanotify-decides");
  checkpoint_here();
}
