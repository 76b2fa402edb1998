// SPDX-License-Identifier: Apache-2.0
// Names of memfds are bytes: empty, with spaces, like a deleted file's, like another memfd's, as long as can
// be, not UTF-8.
#include <vector>

#include "harness/cr_memory.h"

namespace {

std::string link_of(int fd) {
  char link[4096];
  const ssize_t n = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), link, sizeof(link));
  return std::string(link, n > 0 ? n : 0);
}

}  // namespace

void cr::test() {
  const std::vector<std::string> names{"",
                                       " two  spaces ",
                                       " (deleted)",
                                       "x (deleted)",
                                       "/memfd:x",
                                       "/etc/group",
                                       "new\nline\\012",
                                       std::string(249, 'n'),
                                       "\xff\xfe not UTF-8 \x80",
                                       "\xc3\xa9t\xc3\xa9"};
  std::vector<int> fds;
  for (const std::string& name : names) {
    fds.push_back(::memfd_create(name.c_str(), 0));
    REQUIRE(fds.back() >= 0);
    REQUIRE(::write(fds.back(), name.data(), name.size()) == static_cast<ssize_t>(name.size()));
    CHECK_EQ(link_of(fds.back()), "/memfd:" + name + " (deleted)");
  }
  char* mapped = map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fds[8]);
  checkpoint_here();
  for (std::size_t i = 0; i < names.size(); ++i) {
    CHECK_EQ(link_of(fds[i]), "/memfd:" + names[i] + " (deleted)");
    CHECK_EQ(::lseek(fds[i], 0, SEEK_CUR), static_cast<off_t>(names[i].size()));
    CHECK_EQ(::lseek(fds[i], 0, SEEK_SET), 0);
    CHECK_EQ(read_all(fds[i]), names[i]);
  }
  CHECK_EQ(std::string(mapped), names[8]);
}
