// SPDX-License-Identifier: Apache-2.0
// Working directories and umask: an ordinary one, one that was removed, one that was renamed.
#include <sys/stat.h>

#include "harness/cr_test.h"

void cr::test() {
  const std::string kept = directory() + "/kept", removed = directory() + "/removed",
                    moved = directory() + "/moved";
  for (const std::string& path : {kept, removed, moved}) REQUIRE(::mkdir(path.c_str(), 0755) == 0);
  Child in_removed([&] {
    REQUIRE(::chdir(removed.c_str()) == 0);
    ::umask(077);
    wait_released();
    char path[256];
    CHECK(::getcwd(path, sizeof(path)) == nullptr && errno == ENOENT);
    CHECK_EQ(::umask(0), 077U);
  });
  Child in_moved([&] {
    REQUIRE(::chdir(moved.c_str()) == 0);
    wait_released();
    char path[256];
    CHECK_EQ(std::string(::getcwd(path, sizeof(path))), moved + ".new");
  });
  REQUIRE(::chdir(kept.c_str()) == 0);
  ::umask(0137);
  await_waiting(2);
  REQUIRE(::rmdir(removed.c_str()) == 0);
  REQUIRE(::rename(moved.c_str(), (moved + ".new").c_str()) == 0);
  checkpoint_here();
  char path[256];
  CHECK_EQ(std::string(::getcwd(path, sizeof(path))), kept);
  CHECK_EQ(::umask(0), 0137U);
  in_removed.join();
  in_moved.join();
}
