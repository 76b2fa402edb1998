// SPDX-License-Identifier: Apache-2.0
// Files of many kinds in flight, that nobody has open: sockets that listen, with clients that wait; bound and
// connected datagram sockets; counters and timers; a socket that waits in its own queue.
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <netinet/in.h>

#include "harness/cr_unix.h"

void cr::test() {
  int pair[2], self[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0 &&
          ::socketpair(AF_UNIX, SOCK_DGRAM, 0, self) == 0);
  const std::string name = "@bpfckpt-rights-" + std::to_string(::getpid());
  const int listening = listener(SOCK_STREAM, name);
  const int client = client_of(SOCK_STREAM, name);
  send_text(client, "waits");
  const int internet = ::socket(AF_INET, SOCK_STREAM, 0), datagrams = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(internet, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0 && ::listen(internet, 3) == 0);
  REQUIRE(::bind(datagrams, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
  sockaddr_in bound{};
  socklen_t len = sizeof bound;
  REQUIRE(::getsockname(datagrams, reinterpret_cast<sockaddr*>(&bound), &len) == 0);
  const int count = ::eventfd(5, EFD_NONBLOCK), timer = ::timerfd_create(CLOCK_MONOTONIC, 0);
  const int unix_datagrams = bound_socket(SOCK_DGRAM, name + "-datagrams");
  send_files(pair[0], "all", {listening, internet, datagrams, count, timer, unix_datagrams});
  for (const int fd : {listening, internet, datagrams, count, timer, unix_datagrams}) ::close(fd);
  send_files(self[0], "itself", {self[1]});

  checkpoint_here();

  Received all = receive(pair[1]);
  CHECK_EQ(all.text, "all");
  REQUIRE(all.files.size() == 6);
  const int server = ::accept(all.files[0], nullptr, nullptr);
  REQUIRE(server >= 0);
  CHECK_EQ(receive_text(server), "waits");
  CHECK_EQ(int_option(all.files[1], SOL_SOCKET, SO_ACCEPTCONN), 1);
  sockaddr_in now{};
  len = sizeof now;
  CHECK(::getsockname(all.files[2], reinterpret_cast<sockaddr*>(&now), &len) == 0 &&
        now.sin_port == bound.sin_port);
  std::uint64_t value = 0;
  CHECK(::read(all.files[3], &value, sizeof value) == sizeof value && value == 5);
  send_text(server, "answer");
  CHECK_EQ(receive_text(client), "answer");
  itimerspec setting{};
  CHECK(::timerfd_gettime(all.files[4], &setting) == 0 && setting.it_value.tv_sec == 0);
  CHECK_EQ(own_name(all.files[5]), name + "-datagrams");
  Received itself = receive(self[1]);
  CHECK_EQ(itself.text, "itself");
  REQUIRE(itself.files.size() == 1);
  send_text(self[0], "one and the same");
  CHECK_EQ(receive_text(itself.files[0]), "one and the same");
  CHECK_EQ(receive(self[1], MSG_DONTWAIT).text, "error 11");
}
