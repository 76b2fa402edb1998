// SPDX-License-Identifier: Apache-2.0
// Directories that were removed, one in the other, open and stood in; files that were deleted in them. What
// belonged together still does: ".." leads from one to the other.
#include <sys/xattr.h>

#include "harness/cr_memory.h"

namespace {

ino_t inode_of(int fd) {
  struct stat st{};
  REQUIRE(::fstat(fd, &st) == 0);
  return st.st_ino;
}

ino_t inode_at(int fd, const char* path) {
  struct stat st{};
  REQUIRE(::fstatat(fd, path, &st, 0) == 0);
  return st.st_ino;
}

}  // namespace

void cr::test() {
  const std::string outer = directory() + "/outer", inner = outer + "/between/inner";
  REQUIRE(::mkdir(outer.c_str(), 0710) == 0 && ::mkdir((outer + "/between").c_str(), 0755) == 0);
  REQUIRE(::mkdir(inner.c_str(), 0701) == 0);
  const int outer_fd = ::open(outer.c_str(), O_RDONLY | O_DIRECTORY);
  const int inner_fd = ::open(inner.c_str(), O_RDONLY | O_DIRECTORY);
  const int inner_again = ::open(inner.c_str(), O_PATH | O_DIRECTORY);
  if (::fsetxattr(inner_fd, "user.note", "deep", 4, 0) != 0 && errno == EOPNOTSUPP)
    skip("machine: a file system with attributes of users");
  REQUIRE(::fchown(inner_fd, 5, 6) == 0);
  const int file = make_file("outer/between/inner/file", "in the deep");
  const int mapped_fd = make_file("outer/lone", std::string(kPage, 'l'));
  char* mapped = map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, mapped_fd);
  ::close(mapped_fd);
  // Nothing of this one is open but a file.
  REQUIRE(::mkdir((directory() + "/unknown").c_str(), 0755) == 0);
  const int unknown = make_file("unknown/file", "unknown");
  Child child([&] {
    REQUIRE(::chdir(inner.c_str()) == 0);
    wait_released();
    CHECK_EQ(inode_at(AT_FDCWD, "."), inode_of(inner_fd));
    char path[256];
    CHECK(::getcwd(path, sizeof(path)) == nullptr && errno == ENOENT);
  });
  await_waiting(1);
  for (const std::string& path : {inner + "/file", outer + "/lone", directory() + "/unknown/file"})
    REQUIRE(::unlink(path.c_str()) == 0);
  for (const std::string& path : {inner, outer + "/between", outer, directory() + "/unknown"})
    REQUIRE(::rmdir(path.c_str()) == 0);
  const timespec old{1'000'000'000, 5};
  const timespec times[2] = {old, old};
  REQUIRE(::utimensat(AT_FDCWD, directory().c_str(), times, 0) == 0 && ::futimens(outer_fd, times) == 0);
  struct stat st{};
  checkpoint_here();
  CHECK_EQ(inode_of(inner_again), inode_of(inner_fd));
  CHECK_EQ(inode_at(inner_fd, "../.."), inode_of(outer_fd));
  CHECK_EQ(inode_at(outer_fd, ".."), inode_at(AT_FDCWD, directory().c_str()));
  CHECK_EQ(read_all(file), "in the deep");
  CHECK_EQ(read_all(unknown), "unknown");
  CHECK_EQ(mapped[kPage - 1], 'l');
  CHECK(::openat(outer_fd, "new", O_CREAT | O_RDWR, 0600) < 0 && errno == ENOENT);
  CHECK(::fstat(inner_fd, &st) == 0 && st.st_uid == 5 && st.st_gid == 6);
  char note[8] = {};
  CHECK_EQ(::fgetxattr(inner_fd, "user.note", note, sizeof(note)), 4);
  CHECK_EQ(std::string(note), "deep");
  CHECK(::fstat(outer_fd, &st) == 0 && st.st_mtim.tv_sec == old.tv_sec && st.st_mtim.tv_nsec == old.tv_nsec);
  for (const char* name : {"/outer", "/unknown"}) CHECK(::access((directory() + name).c_str(), F_OK) < 0);
  child.join();
}
