// SPDX-License-Identifier: Apache-2.0
// Connections that nobody has accepted: in their order, with data in them, of clients that live, are shut
// down, or are closed already; from two processes.
#include "harness/cr_unix.h"

void cr::test() {
  const std::string path = directory() + "/service";
  const int listening = listener(SOCK_STREAM, path, 5);
  set_option(listening, SOL_SOCKET, SO_PASSCRED, 1);
  const int first = client_of(SOCK_STREAM, path);
  send_text(first, "first");
  Child child([&] {
    ::close(first);
    ::close(listening);
    const int second = client_of(SOCK_STREAM, path);
    send_text(second, "second");
    wait_released();
    CHECK_EQ(receive_text(second, 0), "to the second");
  });
  await_waiting(1);
  const int gone = client_of(SOCK_STREAM, path);
  send_text(gone, "left");
  send_text(gone, " behind");
  ::close(gone);
  const int half = client_of(SOCK_STREAM, path);
  send_text(half, "half");
  REQUIRE(::shutdown(half, SHUT_WR) == 0);
  const int silent = client_of(SOCK_STREAM, path);
  checkpoint_here();
  int server[5];
  for (int& fd : server) REQUIRE((fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK)) >= 0);
  Received received = receive(server[0]);
  CHECK_EQ(received.text, "first");
  CHECK_EQ(received.credentials.pid, ::getpid());
  for (int fd : server) CHECK_EQ(int_option(fd, SOL_SOCKET, SO_PASSCRED), 1);
  CHECK_EQ(receive_text(server[0]), "error 11");
  CHECK_EQ(receive_text(server[1]), "second");
  CHECK_EQ(receive_text(server[2]), "left behind");
  CHECK_EQ(receive_text(server[2]), "end");
  CHECK_EQ(receive_text(server[3]), "half");
  CHECK_EQ(receive_text(server[3]), "end");
  CHECK_EQ(receive_text(server[4]), "error 11");
  for (int i : {0, 2, 3, 4}) check_peer(server[i], ::getpid());
  check_peer(server[1], child.pid());
  send_text(server[0], "to the first");
  CHECK_EQ(receive_text(first), "to the first");
  send_text(server[1], "to the second");
  send_text(silent, "at last");
  CHECK_EQ(receive_text(server[4]), "at last");
  for (int fd : {first, half, silent}) CHECK_EQ(peer_name(fd), path);
  child.join();
  // The queue takes as many as before, and no more.
  for (int i = 0; i < 6; ++i) REQUIRE(client_of(SOCK_STREAM | SOCK_NONBLOCK, path) >= 0);
  const int refused = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const UnixAddress address(path);
  CHECK(::connect(refused, address.get(), address.len) != 0 && errno == EAGAIN);
}
