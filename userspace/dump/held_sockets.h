// SPDX-License-Identifier: Apache-2.0
// The last descriptors of the sockets of a tree that is about to be killed.
//
// There may be more of them than descriptors that we may have (RLIMIT_NOFILE): they wait in the queue of a
// socket of ours, where they are as open, and go with it if we are killed.
#pragma once

#include <cstddef>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt::dump {

class HeldSockets {
 public:
  // `reset`: when the tree is gone, the other end hears of it; else the socket goes without a word.
  Result<void> hold(Fd socket, bool reset);
  // When all are given.
  Result<void> finish();
  // Ends them all. Precondition: nobody else has them.
  void end();

 private:
  struct Queue {
    Fd in, out;
    std::vector<Fd> next;  // go into it with the next message
    std::size_t messages = 0;
  };

  static Result<void> send(Queue& queue);
  static void end_all(Queue& queue, bool reset);

  Queue quiet_, reset_;
};

}  // namespace bpfckpt::dump
