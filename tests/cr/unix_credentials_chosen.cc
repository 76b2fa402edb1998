// SPDX-License-Identifier: Apache-2.0
// Credentials that the sender chose (SCM_CREDENTIALS), in datagrams and in a stream, of itself and of another
// process.
#include "harness/cr_unix.h"

namespace {

void send_as(int fd, const char* text, const ucred& credentials) {
  iovec bytes{const_cast<char*>(text), std::strlen(text)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))] = {};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_CREDENTIALS;
  header->cmsg_len = CMSG_LEN(sizeof credentials);
  std::memcpy(CMSG_DATA(header), &credentials, sizeof credentials);
  REQUIRE(::sendmsg(fd, &message, 0) == static_cast<ssize_t>(bytes.iov_len));
}

}  // namespace

void cr::test() {
  int stream[2], datagrams[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0 &&
          ::socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0);
  for (const int fd : {stream[1], datagrams[1]}) set_option(fd, SOL_SOCKET, SO_PASSCRED, 1);
  Child child([] { wait_released(); });
  await_waiting(1);
  const ucred own{::getpid(), 77, 88}, other{child.pid(), 0, 99};
  for (const int fd : {stream[0], datagrams[0]}) {
    send_as(fd, "own", own);
    send_as(fd, "other", other);
  }
  checkpoint_here();
  for (const int fd : {stream[1], datagrams[1]}) {
    // A stream's messages of different senders are not read as one.
    const Received first = receive(fd), second = receive(fd);
    CHECK_EQ(first.text, "own");
    CHECK_EQ(first.credentials.pid, own.pid);
    CHECK_EQ(first.credentials.uid, own.uid);
    CHECK_EQ(first.credentials.gid, own.gid);
    CHECK_EQ(second.text, "other");
    CHECK_EQ(second.credentials.pid, other.pid);
    CHECK_EQ(second.credentials.uid, other.uid);
    CHECK_EQ(second.credentials.gid, other.gid);
  }
  child.join();
}
