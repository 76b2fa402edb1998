// SPDX-License-Identifier: Apache-2.0
// Connections through a listener, with other processes: accepted ends have its name, both ends know who the
// other is; bound clients; a listener that is gone; names whose path is gone.
#include "harness/cr_unix.h"

void cr::test() {
  const std::string path = directory() + "/service", gone_path = directory() + "/gone";
  const std::string abstract = "@bpfckpt-accepted-" + std::to_string(::getpid());
  const int by_path = listener(SOCK_STREAM, path), by_name = listener(SOCK_SEQPACKET, abstract);
  const int gone = listener(SOCK_STREAM, gone_path);
  const pid_t parent = ::getpid();
  Child child([&] {
    const int one = client_of(SOCK_STREAM, path), two = client_of(SOCK_SEQPACKET, abstract);
    const int three = bound_socket(SOCK_STREAM, directory() + "/client");
    connect_to(three, gone_path);
    for (int fd : {by_path, by_name, gone}) ::close(fd);
    send_text(one, "one");
    send_text(two, "two");
    wait_released();
    CHECK_EQ(peer_name(one), path);
    CHECK_EQ(peer_name(two), abstract);
    CHECK_EQ(peer_name(three), gone_path);
    for (int fd : {one, two, three}) check_peer(fd, parent);
    CHECK_EQ(receive_text(one, 0), "answer");
    send_text(three, "three");
  });
  const int one = ::accept(by_path, nullptr, nullptr), two = ::accept(by_name, nullptr, nullptr),
            three = ::accept(gone, nullptr, nullptr);
  REQUIRE(one >= 0 && two >= 0 && three >= 0);
  ::close(gone);
  ::unlink(gone_path.c_str());
  await_waiting(1);
  checkpoint_here();
  CHECK_EQ(receive_text(one), "one");
  CHECK_EQ(receive_text(two), "two");
  CHECK_EQ(own_name(one), path);
  CHECK_EQ(own_name(two), abstract);
  CHECK_EQ(own_name(three), gone_path);
  CHECK_EQ(peer_name(one), "");
  CHECK_EQ(peer_name(three), directory() + "/client");
  for (int fd : {one, two, three}) check_peer(fd, child.pid());
  CHECK_EQ(int_option(by_path, SOL_SOCKET, SO_ACCEPTCONN), 1);
  CHECK_EQ(int_option(one, SOL_SOCKET, SO_ACCEPTCONN), 0);
  send_text(one, "answer");
  CHECK_EQ(receive_text(three, 0), "three");
  child.join();
  CHECK_EQ(receive_text(one), "end");
}
