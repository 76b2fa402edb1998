// SPDX-License-Identifier: Apache-2.0
// An unprivileged process: real, effective and saved ids that differ, supplementary groups in order, no
// capabilities, no_new_privs. It still may and may not do the same things.
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "harness/cr_test.h"

void cr::test() {
  const std::string secret = directory() + "/secret";
  REQUIRE(::close(::open(secret.c_str(), O_CREAT | O_WRONLY, 0600)) == 0);
  const gid_t groups[] = {4000, 7, 65533, 12};
  REQUIRE(::setgroups(4, groups) == 0);
  REQUIRE(::setresgid(1001, 1002, 1003) == 0);
  REQUIRE(::setresuid(1004, 1005, 1006) == 0);
  REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  checkpoint_here();
  uid_t ruid, euid, suid;
  gid_t rgid, egid, sgid, now[8];
  REQUIRE(::getresuid(&ruid, &euid, &suid) == 0 && ::getresgid(&rgid, &egid, &sgid) == 0);
  CHECK(ruid == 1004 && euid == 1005 && suid == 1006);
  CHECK(rgid == 1001 && egid == 1002 && sgid == 1003);
  REQUIRE(::getgroups(8, now) == 4);
  // The kernel keeps them sorted.
  CHECK(now[0] == 7 && now[1] == 12 && now[2] == 4000 && now[3] == 65533);
  CHECK_EQ(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
  CHECK(::open(secret.c_str(), O_RDONLY) < 0 && errno == EACCES);
  CHECK(::setuid(0) < 0 && errno == EPERM);
  const std::string mine = directory() + "/mine";
  REQUIRE(::close(::open(mine.c_str(), O_CREAT | O_WRONLY, 0600)) == 0);
  struct stat st{};
  CHECK_EQ(::stat(mine.c_str(), &st), 0);
  CHECK(st.st_uid == 1005 && st.st_gid == 1002);
  CHECK_EQ(::seteuid(1006), 0);
}
