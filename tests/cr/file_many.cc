// SPDX-License-Identifier: Apache-2.0
// ctest-timeout: 180
// Five thousand descriptors: files, pipes and directories, a third of them shared with a child.
#include <sys/resource.h>

#include "harness/cr_memory.h"

void cr::test() {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_max < 6000) skip("machine: 6000 descriptors");
  ::close(make_file("data", std::string(10'000, 'd')));
  std::vector<int> files, pipes;
  for (int i = 0; i < 1600; ++i) {
    const int fd = ::open((directory() + "/data").c_str(), O_RDONLY);
    REQUIRE(fd >= 0 && ::lseek(fd, i, SEEK_SET) == i);
    files.push_back(fd);
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0 && ::write(pipe[1], &i, sizeof(i)) == sizeof(i));
    pipes.push_back(pipe[0]);
  }
  Child child([&] {
    for (std::size_t i = 0; i < files.size(); i += 2) ::close(files[i]);
    for (const int fd : pipes) ::close(fd);
    wait_released();
    for (std::size_t i = 1; i < files.size(); i += 2)
      CHECK_EQ(::lseek(files[i], 5000, SEEK_CUR), static_cast<off_t>(5000 + i));
  });
  await_waiting(1);
  checkpoint_here();
  child.join();
  for (std::size_t i = 0; i < files.size(); ++i) {
    CHECK_EQ(::lseek(files[i], 0, SEEK_CUR), static_cast<off_t>(i % 2 == 1 ? 5000 + i : i));
    int value = -1;
    CHECK_EQ(::read(pipes[i], &value, sizeof(value)), static_cast<ssize_t>(sizeof(value)));
    CHECK_EQ(value, static_cast<int>(i));
  }
}
