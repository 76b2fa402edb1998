// SPDX-License-Identifier: Apache-2.0
// A process that shares pages with its parent, and a child of it that shares none: what a shell's subshell
// makes when it runs a program. The child must not keep what its parent had when it was forked.
#include <sys/wait.h>

#include "harness/cr_memory.h"

namespace {

constexpr int kPages = 16;

}  // namespace

void cr::test() {
  char* area = map(kPages * kPage);
  for (int i = 0; i < kPages; ++i) fill(area + i * kPage, i);
  Child subshell([&] {
    fill(area, 100);
    // Another program: nothing is shared with anybody, and the special mappings lie elsewhere.
    int in[2], out[2];
    REQUIRE(::pipe(in) == 0 && ::pipe(out) == 0);
    const pid_t program = ::fork();
    if (program == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      for (int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
      ::execlp("cat", "cat", "-u", nullptr);
      ::_exit(127);
    }
    REQUIRE(::write(in[1], "x", 1) == 1);
    char byte = 0;
    REQUIRE(::read(out[0], &byte, 1) == 1);
    wait_released();
    REQUIRE(::write(in[1], "y", 1) == 1 && ::read(out[0], &byte, 1) == 1);
    CHECK_EQ(byte, 'y');
    ::close(in[1]);
    int status = -1;
    REQUIRE(::waitpid(program, &status, 0) == program);
    CHECK_EQ(status, 0);
    CHECK(filled(area, 100));
    for (int i = 1; i < kPages; ++i) CHECK(filled(area + i * kPage, i));
  });
  await_waiting(1);
  checkpoint_here();
  subshell.join();
  for (int i = 0; i < kPages; ++i) CHECK(filled(area + i * kPage, i));
}
