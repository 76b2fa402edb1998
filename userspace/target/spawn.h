// SPDX-License-Identifier: Apache-2.0
// A child that executes a program at once, made without copying bpfckpt's address space.
#pragma once

#include <linux/sched.h>

namespace bpfckpt::target {

struct Execution {
  int program_fd;  // executed by execveat(fd, "")
  char* const* argv;
  char* const* envp;
  int keep_fd;  // stays open over the execution
};

struct Spawned {
  long pid;          // or -errno of clone3()
  long child_error;  // errno of what failed in the child, which has exited then; 0: the program runs
};

// clone3() with `args` and CLONE_VM | CLONE_VFORK, then fcntl() and execveat() in the child. The child runs
// on bpfckpt's memory until it executes, as with vfork(2); copying the page tables of a dumper that holds 500
// MiB would take seconds for 200 children. Precondition: all signals are blocked.
Spawned spawn(const clone_args& args, const Execution& execution);

}  // namespace bpfckpt::target
