// SPDX-License-Identifier: Apache-2.0
// Datagrams of UDP-Lite that wait to be read are named, and the tree runs on.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.refused =
              "1 datagrams that were received and not read, and is of UDP-Lite, where none comes without a "
              "checksum"};
}

void cr::test() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
  if (fd < 0) skip("machine: UDP-Lite");
  Address a = address("127.0.0.1", 0);
  REQUIRE(::bind(fd, a.get(), a.len) == 0);
  a = name_of(fd);
  REQUIRE(::sendto(fd, "waits", 5, 0, a.get(), a.len) == 5);
  checkpoint_here();
  char bytes[8];
  CHECK(::recv(fd, bytes, sizeof bytes, 0) == 5);
}
