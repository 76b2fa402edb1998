// SPDX-License-Identifier: Apache-2.0
// A description that one process passed to another over a socket that is closed since: they share it, though
// no fork ever did, under different numbers.
#include <sys/socket.h>

#include "harness/cr_memory.h"

namespace {

void pass(int socket, int fd) {
  char byte = 'x';
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(int));
  REQUIRE(::sendmsg(socket, &message, 0) == 1);
}

int receive(int socket) {
  char byte;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
  REQUIRE(::recvmsg(socket, &message, 0) == 1);
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
  return fd;
}

}  // namespace

void cr::test() {
  int sockets[2], pipe[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
  Child child([&] {
    // Opened after the fork, so the parent can have them only by the socket.
    const int file = make_file("passed", "0123456789");
    REQUIRE(::pipe(pipe) == 0);
    pass(sockets[1], file);
    pass(sockets[1], pipe[0]);
    ::close(pipe[0]);
    ::close(sockets[0]);
    ::close(sockets[1]);
    wait_released();
    CHECK_EQ(::lseek(file, 3, SEEK_SET), 3);
    CHECK_EQ(::write(pipe[1], "moved", 5), 5);
  });
  const int low = receive(sockets[0]), read_end = receive(sockets[0]);
  const int file = ::fcntl(low, F_DUPFD, 50);
  REQUIRE(file == 50);
  ::close(low);
  ::close(sockets[0]);
  ::close(sockets[1]);
  await_waiting(1);
  checkpoint_here();
  char buffer[8] = {};
  CHECK_EQ(::read(read_end, buffer, 8), 5);
  CHECK_EQ(std::string(buffer), "moved");
  child.join();
  CHECK_EQ(::lseek(file, 0, SEEK_CUR), 3);
  CHECK_EQ(::read(read_end, buffer, 8), 0);
}
