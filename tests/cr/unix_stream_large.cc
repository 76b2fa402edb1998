// SPDX-License-Identifier: Apache-2.0
// Streams and datagrams too long for the linear part of a buffer, full buffers, and sizes of their own.
#include "harness/cr_unix.h"

namespace {

std::string bytes(std::size_t len, unsigned seed) {
  std::string text(len, '\0');
  for (std::size_t i = 0; i < len; i++) text[i] = static_cast<char>((i * 31 + seed * 7 + (i >> 8)) & 0xff);
  return text;
}

}  // namespace

void cr::test() {
  int stream[2], datagram[2], packet[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, stream) == 0);
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, datagram) == 0);
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, packet) == 0);
  set_option(stream[0], SOL_SOCKET, SO_SNDBUF, 300000);
  set_option(stream[1], SOL_SOCKET, SO_RCVBUF, 50000);
  const int send_buffer = int_option(stream[0], SOL_SOCKET, SO_SNDBUF);
  const std::string all = bytes(8 << 20, 1);
  std::size_t sent = 0;
  for (ssize_t n; (n = ::send(stream[0], all.data() + sent, all.size() - sent, MSG_NOSIGNAL)) > 0;)
    sent += static_cast<std::size_t>(n);
  REQUIRE(sent > 100000);
  for (int* pair : {datagram, packet}) {
    send_text(pair[0], bytes(40000, 2));
    send_text(pair[0], "");
    send_text(pair[0], "short");
    send_text(pair[0], bytes(16000, 3));
  }
  char byte;
  CHECK_EQ(::read(stream[1], &byte, 1), 1);
  checkpoint_here();
  CHECK_EQ(int_option(stream[0], SOL_SOCKET, SO_SNDBUF), send_buffer);
  CHECK_EQ(int_option(stream[1], SOL_SOCKET, SO_RCVBUF), 100000);
  std::string got;
  for (std::string part; (part = receive_text(stream[1])) != "error 11";) got += part;
  CHECK_EQ(got.size(), sent - 1);
  CHECK(got == all.substr(1, sent - 1));
  for (int* pair : {datagram, packet}) {
    CHECK(receive_text(pair[1]) == bytes(40000, 2));
    CHECK_EQ(receive_text(pair[1]), "end");
    CHECK_EQ(receive_text(pair[1]), "short");
    CHECK(receive_text(pair[1]) == bytes(16000, 3));
    CHECK_EQ(receive_text(pair[1]), "error 11");
  }
  // It has not become bigger: it fills again at the same place.
  std::size_t again = 0;
  for (ssize_t n; (n = ::send(stream[0], all.data() + again, all.size() - again, MSG_NOSIGNAL)) > 0;)
    again += static_cast<std::size_t>(n);
  CHECK_EQ(again, sent);
}
