// SPDX-License-Identifier: Apache-2.0
// An O_PATH descriptor of a socket, which leads to no socket: it is refused by the socket's name.
#include <fcntl.h>
#include <sys/socket.h>

#include "harness/cr_test.h"

cr::Options cr::options() {
  return {.refused = "nothing but a name without a place"};
}

void cr::test() {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(socket >= 0);
  const int path = ::open(("/proc/self/fd/" + std::to_string(socket)).c_str(), O_PATH);
  REQUIRE(path >= 0 && ::dup2(path, 100) == 100);
  checkpoint_here();
}
