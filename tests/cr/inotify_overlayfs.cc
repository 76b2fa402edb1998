// SPDX-License-Identifier: Apache-2.0
// Watches on overlayfs: on a directory of both layers, on files of the lower and of the upper one. The marks
// are on the overlay's own inodes, whatever is underneath.
#include <sys/inotify.h>
#include <sys/mount.h>

#include "harness/cr_memory.h"

namespace {

void write_to(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  CHECK(fd >= 0 && ::write(fd, "x", 1) == 1 && ::close(fd) == 0);
}

// Watch and mask of the next event.
std::pair<int, std::uint32_t> next(int fd) {
  alignas(inotify_event) char buffer[sizeof(inotify_event) + 256];
  const ssize_t got = ::read(fd, buffer, sizeof(inotify_event) + 16);  // room for one
  const auto* event = reinterpret_cast<const inotify_event*>(buffer);
  return got < static_cast<ssize_t>(sizeof(inotify_event)) ? std::pair(0, 0u)
                                                           : std::pair(event->wd, event->mask);
}

using Seen = std::pair<int, std::uint32_t>;

}  // namespace

void cr::test() {
  const std::string top = directory(), merged = top + "/merged";
  for (const char* name : {"/lower", "/upper", "/work", "/merged", "/lower/dir", "/upper/dir"})
    REQUIRE(::mkdir((top + name).c_str(), 0755) == 0);
  write_to(top + "/lower/low");
  write_to(top + "/upper/up");
  const std::string layers = "lowerdir=" + top + "/lower,upperdir=" + top + "/upper,workdir=" + top + "/work";
  if (::mount("bpfckpt-test", merged.c_str(), "overlay", 0, layers.c_str()) != 0) skip("overlayfs");
  const int fd = ::inotify_init1(IN_NONBLOCK);
  REQUIRE(::inotify_add_watch(fd, (merged + "/dir").c_str(), IN_CREATE) == 1);
  REQUIRE(::inotify_add_watch(fd, (merged + "/low").c_str(), IN_MODIFY) == 2);
  REQUIRE(::inotify_add_watch(fd, (merged + "/up").c_str(), IN_MODIFY) == 3);
  checkpoint_here();
  CHECK(next(fd) == Seen(0, 0));
  write_to(merged + "/dir/new");
  CHECK(next(fd) == Seen(1, IN_CREATE));
  write_to(merged + "/up");
  CHECK(next(fd) == Seen(3, IN_MODIFY));
  write_to(merged + "/low");  // copied up
  CHECK(next(fd) == Seen(2, IN_MODIFY));
  CHECK(next(fd) == Seen(0, 0));
  CHECK(::umount2(merged.c_str(), MNT_DETACH) == 0);
}
