// SPDX-License-Identifier: Apache-2.0
// oom_score_adj, coredump_filter and speculation control, which live in three different places of the kernel.
#include <sys/prctl.h>

#include <fstream>

#include "harness/cr_test.h"

namespace {

void write_proc(const char* name, const char* value) {
  std::ofstream file(std::string("/proc/self/") + name);
  file << value;
  file.close();
  REQUIRE(file.good());
}

std::string read_proc(const char* name) {
  std::ifstream file(std::string("/proc/self/") + name);
  std::string value;
  file >> value;
  return value;
}

}  // namespace

void cr::test() {
  write_proc("oom_score_adj", "321");
  write_proc("coredump_filter", "0x7f");
  const int speculation = ::prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0);
  if (speculation & PR_SPEC_PRCTL) {
    REQUIRE(::prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_DISABLE, 0, 0) == 0);
  }
  const int set = ::prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0);
  checkpoint_here();
  CHECK_EQ(read_proc("oom_score_adj"), "321");
  CHECK_EQ(read_proc("coredump_filter"), "0000007f");
  CHECK_EQ(::prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0), set);
}
