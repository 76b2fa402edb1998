// SPDX-License-Identifier: Apache-2.0
// fanotify: marks on inodes, a mount and a file system, with ignored masks and without, groups that report
// file descriptors and names; no event that was not there before, and events as before.
#include <sys/fanotify.h>
#include <sys/mount.h>

#include "harness/cr_memory.h"

namespace {

int group(unsigned flags) {
  const int fd = ::fanotify_init(flags | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY | O_LARGEFILE);
  if (fd < 0) cr::skip("fanotify");
  return fd;
}

void mark(int fd, unsigned flags, std::uint64_t mask, const std::string& path) {
  REQUIRE(::fanotify_mark(fd, FAN_MARK_ADD | flags, mask, AT_FDCWD, path.c_str()) == 0);
}

// The masks of all events; descriptors that come with them are closed.
std::vector<std::uint64_t> events(int fd) {
  alignas(fanotify_event_metadata) char buffer[8192];
  std::vector<std::uint64_t> masks;
  const ssize_t got = ::read(fd, buffer, sizeof(buffer));
  CHECK(got >= 0 || errno == EAGAIN);
  for (ssize_t at = 0; at < got;) {
    const auto* event = reinterpret_cast<const fanotify_event_metadata*>(buffer + at);
    CHECK_EQ(event->pid, ::getpid());
    masks.push_back(event->mask);
    if (event->fd >= 0) ::close(event->fd);
    at += event->event_len;
  }
  return masks;
}

void write_to(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  CHECK(fd >= 0 && ::write(fd, "x", 1) == 1 && ::close(fd) == 0);
}

using Masks = std::vector<std::uint64_t>;

}  // namespace

void cr::test() {
  const std::string top = directory() + "/top", mounted = directory() + "/mounted";
  REQUIRE(::mkdir(top.c_str(), 0755) == 0 && ::mkdir(mounted.c_str(), 0755) == 0);
  write_to(top + "/file");
  write_to(top + "/quiet");
  const int of_inodes = group(FAN_CLASS_NOTIF | FAN_UNLIMITED_MARKS);
  const int of_whole = group(FAN_CLASS_NOTIF);
  const int by_name = group(FAN_REPORT_DIR_FID | FAN_REPORT_NAME);
  REQUIRE(::mount("bpfckpt-test", mounted.c_str(), "tmpfs", 0, "size=1m") == 0);

  mark(of_inodes, 0, FAN_OPEN | FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, top);
  mark(of_inodes, FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_OPEN, top + "/quiet");
  mark(of_inodes, 0, FAN_MODIFY, top + "/quiet");
  mark(of_whole, FAN_MARK_MOUNT, FAN_CLOSE_WRITE, mounted);
  mark(by_name, FAN_MARK_FILESYSTEM, FAN_CREATE | FAN_ONDIR, mounted);
  const int held = ::open((top + "/file").c_str(), O_RDONLY | O_CLOEXEC);
  const int there = ::open((mounted + "/there").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  REQUIRE(held >= 0 && there >= 0);
  for (int fd : {of_inodes, of_whole, by_name}) events(fd);
  checkpoint_here();
  for (int fd : {of_inodes, of_whole, by_name}) CHECK(events(fd).empty());

  write_to(top + "/file");
  CHECK(events(of_inodes) == (Masks{FAN_OPEN | FAN_CLOSE_WRITE}));
  write_to(top + "/quiet");
  CHECK(events(of_inodes) == (Masks{FAN_MODIFY | FAN_CLOSE_WRITE}));
  write_to(mounted + "/new");
  CHECK(events(of_whole) == (Masks{FAN_CLOSE_WRITE}));
  CHECK(events(by_name) == (Masks{FAN_CREATE}));
  REQUIRE(::mkdir((mounted + "/sub").c_str(), 0755) == 0);
  CHECK(events(by_name) == (Masks{FAN_CREATE | FAN_ONDIR}));
  CHECK(::fanotify_mark(by_name, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM, FAN_CREATE | FAN_ONDIR, AT_FDCWD,
                        mounted.c_str()) == 0);
  ::close(of_whole);
  ::close(there);
  CHECK(::umount2(mounted.c_str(), MNT_DETACH) == 0);
}
