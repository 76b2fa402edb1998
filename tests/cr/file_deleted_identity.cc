// SPDX-License-Identifier: Apache-2.0
// One deleted file, reached in many ways: it had two names, is open several times (once with O_PATH), in two
// processes, and mapped. It is one file again, with its owner, times and attributes; a deleted symbolic link
// still is one; the directory does not show that anything happened.
#include <sys/xattr.h>

#include "harness/cr_memory.h"

namespace {

struct stat facts_of(int fd) {
  struct stat st{};
  REQUIRE(::fstat(fd, &st) == 0);
  return st;
}

}  // namespace

void cr::test() {
  const auto path = [](const char* name) { return directory() + "/dir/" + name; };
  REQUIRE(::mkdir((directory() + "/dir").c_str(), 0755) == 0);  // its own: the runner writes to the other
  const int fd = make_file("dir/one", "0123456789", O_RDWR | O_APPEND, 0604);
  REQUIRE(::link(path("one").c_str(), path("two").c_str()) == 0);
  const int other = ::open(path("two").c_str(), O_RDONLY | O_NOATIME);
  const int place = ::open(path("two").c_str(), O_PATH | O_NOFOLLOW);
  char* mapped = map(kPage, PROT_READ, MAP_SHARED, other);
  REQUIRE(::symlink("where it leads", path("link").c_str()) == 0);
  REQUIRE(::lchown(path("link").c_str(), 7, 8) == 0);
  const int link = ::open(path("link").c_str(), O_PATH | O_NOFOLLOW);
  if (::fsetxattr(fd, "user.kind", "gh\0st", 5, 0) != 0 && errno == EOPNOTSUPP)
    skip("machine: a file system with attributes of users");
  REQUIRE(::fsetxattr(fd, "user.empty", "", 0, 0) == 0);
  REQUIRE(::fchown(fd, 21, 22) == 0 && ::fchmod(fd, 02604) == 0);
  int go_on[2];
  REQUIRE(::pipe(go_on) == 0);
  Child child([&] {
    wait_released();
    char byte;
    CHECK_EQ(::read(go_on[0], &byte, 1), 1);  // the times have been looked at
    CHECK_EQ(::write(fd, "child", 5), 5);
  });
  await_waiting(1);
  for (const char* name : {"one", "two", "link"}) REQUIRE(::unlink(path(name).c_str()) == 0);
  const timespec times[2] = {{1'100'000'000, 11}, {1'000'000'000, 22}};
  REQUIRE(::futimens(fd, times) == 0 && ::utimensat(AT_FDCWD, path("").c_str(), times, 0) == 0);
  checkpoint_here();
  struct stat st = facts_of(fd);
  CHECK(st.st_atim.tv_sec == 1'100'000'000 && st.st_atim.tv_nsec == 11);
  CHECK(st.st_mtim.tv_sec == 1'000'000'000 && st.st_mtim.tv_nsec == 22);
  CHECK(st.st_uid == 21 && st.st_gid == 22 && (st.st_mode & 07777) == 02604 && st.st_nlink == 0);
  REQUIRE(::stat(path("").c_str(), &st) == 0);
  CHECK(st.st_mtim.tv_sec == 1'000'000'000 && st.st_mtim.tv_nsec == 22);
  CHECK(facts_of(other).st_ino == facts_of(fd).st_ino && facts_of(place).st_ino == facts_of(fd).st_ino);
  char value[16] = {};
  CHECK_EQ(::fgetxattr(fd, "user.kind", value, sizeof(value)), 5);
  CHECK_EQ(std::string(value, 5), std::string("gh\0st", 5));
  CHECK_EQ(::fgetxattr(fd, "user.empty", value, sizeof(value)), 0);
  CHECK_EQ(::fcntl(place, F_GETFL) & (O_PATH | O_NOFOLLOW), O_PATH | O_NOFOLLOW);
  CHECK_EQ(::write(go_on[1], "x", 1), 1);
  child.join();
  CHECK_EQ(read_all(other), "0123456789child");
  CHECK_EQ(std::string(mapped, 15), "0123456789child");
  char target[32] = {};
  CHECK_EQ(::readlinkat(link, "", target, sizeof(target)), 14);
  CHECK_EQ(std::string(target), "where it leads");
  CHECK(facts_of(link).st_uid == 7 && S_ISLNK(facts_of(link).st_mode));
  for (const char* name : {"one", "two", "link"}) CHECK(::access(path(name).c_str(), F_OK) < 0);
}
