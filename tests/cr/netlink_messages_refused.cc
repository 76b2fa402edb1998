// SPDX-License-Identifier: Apache-2.0
// An answer of the kernel that nobody has read.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "harness/cr_test.h"

cr::Options cr::options() {
  return {.refused = "messages of the kernel wait to be read"};
}

void cr::test() {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  struct {
    nlmsghdr head;
    ifinfomsg link;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = RTM_GETLINK;
  request.head.nlmsg_flags = NLM_F_REQUEST;
  request.link.ifi_index = 1;
  REQUIRE(fd >= 0 && ::send(fd, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request));
  checkpoint_here();
  char answer[8192];
  CHECK(::recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0);
}
