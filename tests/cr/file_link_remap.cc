// SPDX-License-Identifier: Apache-2.0
// Files that lost the name by which they were opened and have others: with --link-remap they are found again,
// are still the same inode as the other name, and nothing of the detour is left.
#include <filesystem>
#include <set>

#include "harness/cr_memory.h"

namespace {

std::set<std::string> names_in(const std::string& path) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) names.insert(entry.path().filename());
  return names;
}

timespec changed(const std::string& path) {
  struct stat st{};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  return st.st_mtim;
}

}  // namespace

void cr::test() {
  const std::string home = directory() + "/home", away = directory() + "/away";
  for (const std::string& path : {home, away, home + "/gone"}) REQUIRE(::mkdir(path.c_str(), 0755) == 0);
  const int fd = make_file("home/opened", "0123456789");
  const int again = ::open((home + "/opened").c_str(), O_RDONLY);
  const int place = ::open((home + "/opened").c_str(), O_PATH);
  REQUIRE(::link((home + "/opened").c_str(), (away + "/other").c_str()) == 0);
  REQUIRE(::unlink((home + "/opened").c_str()) == 0);
  REQUIRE(::lseek(fd, 3, SEEK_SET) == 3 && ::lseek(again, 5, SEEK_SET) == 5);
  // Its directory is gone as well.
  const int orphan = make_file("home/gone/file", "orphan");
  REQUIRE(::link((home + "/gone/file").c_str(), (away + "/orphan").c_str()) == 0);
  REQUIRE(::unlink((home + "/gone/file").c_str()) == 0 && ::rmdir((home + "/gone").c_str()) == 0);
  // Opened without a name, named afterwards.
  const int late = ::open(home.c_str(), O_TMPFILE | O_RDWR, 0600);
  REQUIRE(late >= 0 && ::write(late, "late", 4) == 4);
  REQUIRE(::linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(late)).c_str(), AT_FDCWD,
                   (away + "/late").c_str(), AT_SYMLINK_FOLLOW) == 0);
  const int mapped_fd = make_file("home/mapped", std::string(kPage, 'm'));
  char* mapped = map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, mapped_fd);
  ::close(mapped_fd);
  REQUIRE(::link((home + "/mapped").c_str(), (away + "/mapped").c_str()) == 0);
  REQUIRE(::unlink((home + "/mapped").c_str()) == 0);
  const timespec old{1'000'000'000, 123'456'789};
  const timespec times[2] = {old, old};
  for (const std::string& path : {home, away}) REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  checkpoint_here();
  CHECK(names_in(home).empty());
  CHECK_EQ(names_in(away).size(), 4U);
  for (const std::string& path : {home, away})
    CHECK(changed(path).tv_sec == old.tv_sec && changed(path).tv_nsec == old.tv_nsec);
  CHECK_EQ(read_all(fd), "3456789");
  CHECK_EQ(::pwrite(fd, "X", 1, 6), 1);
  CHECK_EQ(read_all(again), "5X789");
  CHECK_EQ(file_content("away/other"), "012345X789");
  struct stat own{}, other{};
  REQUIRE(::fstat(fd, &own) == 0 && ::stat((away + "/other").c_str(), &other) == 0);
  CHECK(own.st_ino == other.st_ino && own.st_nlink == 1);
  REQUIRE(::fstat(place, &own) == 0);
  CHECK_EQ(own.st_ino, other.st_ino);
  REQUIRE(::fstat(orphan, &own) == 0 && ::stat((away + "/orphan").c_str(), &other) == 0);
  CHECK_EQ(own.st_ino, other.st_ino);
  REQUIRE(::fstat(late, &own) == 0 && ::stat((away + "/late").c_str(), &other) == 0);
  CHECK_EQ(own.st_ino, other.st_ino);
  CHECK_EQ(::write(late, "r", 1), 1);
  CHECK_EQ(file_content("away/late"), "later");
  mapped[0] = 'M';
  CHECK_EQ(file_content("away/mapped")[0], 'M');
}

cr::Options cr::options() {
  // They are called by the name that the checkpoint used.
  return {.dump_args = {"--link-remap"},
          .ignore = {"*/fd/*/link", "*/fd/*/flags", "*/fd/*/object", "*/map/*"}};
}
