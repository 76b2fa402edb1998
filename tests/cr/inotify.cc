// SPDX-License-Identifier: Apache-2.0
// inotify: numbers with gaps, masks, what was renamed since, a symbolic link itself, one-shots, an instance
// in an epoll; no event that was not there before, whatever of it the restore has opened, and events as
// before.
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "harness/cr_memory.h"

namespace {

struct Event {
  int wd;
  std::uint32_t mask, cookie;
  std::string name;
};

std::vector<Event> events(int fd) {
  alignas(inotify_event) char buffer[8192];
  std::vector<Event> found;
  const ssize_t got = ::read(fd, buffer, sizeof(buffer));
  CHECK(got >= 0 || errno == EAGAIN);
  for (ssize_t at = 0; at < got;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
    found.push_back({event->wd, event->mask, event->cookie, event->len != 0 ? event->name : ""});
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
  }
  return found;
}

int add(int fd, const std::string& path, std::uint32_t mask) {
  const int wd = ::inotify_add_watch(fd, path.c_str(), mask);
  REQUIRE(wd > 0);
  return wd;
}

// Takes numbers that are given back at once.
void skip_numbers(int fd, int count) {
  for (int i = 0; i < count; ++i) REQUIRE(::inotify_rm_watch(fd, add(fd, "/", IN_MOVE_SELF)) == 0);
  REQUIRE(events(fd).size() == static_cast<std::size_t>(count));
}

void touch(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  CHECK(fd >= 0 && ::close(fd) == 0);
}

int unread(int fd) {
  int bytes = -1;
  CHECK(::ioctl(fd, FIONREAD, &bytes) == 0);
  return bytes;
}

}  // namespace

void cr::test() {
  const std::string top = directory() + "/a watched\ndirectory";  // as mount tables would escape it
  const std::string file = top + "/file", old_file = top + "/old", link = top + "/link", sub = top + "/sub";
  REQUIRE(::mkdir(top.c_str(), 0755) == 0 && ::mkdir(sub.c_str(), 0755) == 0);
  touch(old_file);
  REQUIRE(::symlink("sub", link.c_str()) == 0);
  // Everything that a restore opens, maps and closes.
  const int held = ::open(old_file.c_str(), O_RDWR);
  REQUIRE(::ftruncate(held, 4096) == 0);
  char* mapped = map(4096, PROT_READ, MAP_SHARED, held);
  REQUIRE(::chdir(sub.c_str()) == 0);

  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  const int all = add(fd, top, IN_ALL_EVENTS);
  const int in_sub = add(fd, sub, IN_ALL_EVENTS | IN_EXCL_UNLINK);
  skip_numbers(fd, 40);
  const int of_file = add(fd, old_file, IN_ALL_EVENTS);
  const int of_link = add(fd, link, IN_ATTRIB | IN_DONT_FOLLOW);
  skip_numbers(fd, 3);
  CHECK_EQ(of_file, 43);
  CHECK_EQ(of_link, 44);
  REQUIRE(::rename(old_file.c_str(), file.c_str()) == 0);
  REQUIRE(!events(fd).empty());

  const int once = ::inotify_init();
  const int once_wd = add(once, sub, IN_CREATE | IN_DELETE | IN_ONESHOT);
  const int empty = ::inotify_init1(IN_NONBLOCK);
  skip_numbers(empty, 5);
  const int epoll = ::epoll_create1(0);
  epoll_event wanted{EPOLLIN, {.u64 = 7}};
  REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted) == 0);
  const int shared = ::dup(fd);
  checkpoint_here();

  epoll_event ready{};
  CHECK_EQ(unread(fd), 0);
  CHECK_EQ(unread(once), 0);
  CHECK_EQ(unread(empty), 0);
  CHECK_EQ(::epoll_wait(epoll, &ready, 1, 0), 0);
  CHECK(mapped[0] == 0);

  touch(sub + "/new");
  CHECK_EQ(::epoll_wait(epoll, &ready, 1, 0), 1);
  std::vector<Event> seen = events(shared);
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].wd == in_sub && seen[0].mask == IN_CREATE && seen[0].name == "new");
  CHECK(seen[1].wd == in_sub && seen[1].mask == IN_OPEN);
  CHECK(seen[2].wd == in_sub && seen[2].mask == IN_CLOSE_WRITE);
  seen = events(once);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].wd == once_wd && seen[0].mask == IN_CREATE && seen[0].name == "new");
  CHECK(seen[1].wd == once_wd && seen[1].mask == IN_IGNORED);

  REQUIRE(::rename(file.c_str(), (sub + "/moved").c_str()) == 0);
  seen = events(fd);
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].wd == all && seen[0].mask == IN_MOVED_FROM && seen[0].name == "file" && seen[0].cookie != 0);
  CHECK(seen[1].wd == in_sub && seen[1].mask == IN_MOVED_TO && seen[1].cookie == seen[0].cookie);
  CHECK(seen[2].wd == of_file && seen[2].mask == IN_MOVE_SELF);
  REQUIRE(::lchown(link.c_str(), 1, 1) == 0);
  seen = events(fd);
  REQUIRE(seen.size() == 2);  // of the link, and of its name in the directory
  CHECK(seen[0].wd == all && seen[0].name == "link" && seen[1].wd == of_link && seen[1].mask == IN_ATTRIB);

  CHECK_EQ(add(fd, directory(), IN_CREATE), 48);
  CHECK_EQ(add(empty, directory(), IN_CREATE), 6);
  CHECK_EQ(add(fd, top, IN_CREATE), all);  // the same watch
  CHECK(::inotify_rm_watch(fd, of_file) == 0);
  CHECK(::inotify_rm_watch(fd, 5) < 0 && errno == EINVAL);
  seen = events(fd);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].wd == of_file && seen[0].mask == IN_IGNORED);
}
