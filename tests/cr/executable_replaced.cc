// SPDX-License-Identifier: Apache-2.0
// The program's own file was replaced by another since it started: text and data go on, and /proc/PID/exe
// still is the old file.
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "harness/cr_test.h"

namespace {
int initialised = 4711;  // in the data segment of the deleted file
}

void cr::test() {
  const std::string copy = directory() + "/program";
  if (::getenv("SECOND") == nullptr) {
    std::filesystem::copy_file("/proc/self/exe", copy);
    ::setenv("SECOND", "1", 1);
    ::execl(copy.c_str(), copy.c_str(), directory().c_str(), nullptr);
    REQUIRE(false);
  }
  initialised += 1;
  Child child([] {
    wait_released();
    CHECK_EQ(initialised, 4712);
  });
  const int fd = ::open((copy + ".new").c_str(), O_CREAT | O_WRONLY, 0755);
  REQUIRE(fd >= 0 && ::write(fd, "#!/bin/false\n", 13) == 13);
  ::close(fd);
  REQUIRE(::rename((copy + ".new").c_str(), copy.c_str()) == 0);
  await_waiting(1);
  checkpoint_here();
  CHECK_EQ(initialised, 4712);
  child.join();
  struct stat st{};
  REQUIRE(::stat(copy.c_str(), &st) == 0);
  CHECK_EQ(st.st_size, 13);
}
