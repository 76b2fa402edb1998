// SPDX-License-Identifier: Apache-2.0
// The program's own file was deleted since it started: text and data go on, and /proc/PID/exe
// still is the old file.
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
  REQUIRE(::unlink(copy.c_str()) == 0);
  await_waiting(1);
  checkpoint_here();
  CHECK_EQ(initialised, 4712);
  child.join();
  CHECK(::access(copy.c_str(), F_OK) < 0);
}
