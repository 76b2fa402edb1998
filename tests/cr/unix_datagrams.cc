// SPDX-License-Identifier: Apache-2.0
// Datagram sockets: several senders to one receiver, each message with its sender's address, also of senders
// that are closed; chains of connected ones, and one connected to what is gone.
#include "harness/cr_unix.h"

void cr::test() {
  const std::string base = directory() + "/";
  const std::string abstract = "@bpfckpt-dgram-" + std::to_string(::getpid());
  const int receiver = bound_socket(SOCK_DGRAM, base + "receiver"),
            by_name = bound_socket(SOCK_DGRAM, abstract);
  const int named = bound_socket(SOCK_DGRAM, base + "named"), unnamed = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  const UnixAddress to(base + "receiver");
  auto send_to = [&](int fd, const char* text) {
    REQUIRE(::sendto(fd, text, std::strlen(text), 0, to.get(), to.len) ==
            static_cast<ssize_t>(std::strlen(text)));
  };
  send_to(named, "from named");
  send_to(unnamed, "from nobody");
  const int closed = bound_socket(SOCK_DGRAM, base + "closed");
  send_to(closed, "from the closed");
  ::close(closed);
  const int closed_by_name = bound_socket(SOCK_DGRAM, abstract + "-closed");
  send_to(closed_by_name, "from the closed one by name");
  ::close(closed_by_name);
  send_to(by_name, "from by name");
  // A chain, and two that are connected to one another; the receiver is connected last, and then only by_name
  // may send to it.
  connect_to(named, base + "receiver");
  connect_to(receiver, abstract);
  connect_to(by_name, base + "receiver");
  const int lost = ::socket(AF_UNIX, SOCK_DGRAM, 0), target = bound_socket(SOCK_DGRAM, base + "target");
  connect_to(lost, base + "target");
  ::close(target);
  checkpoint_here();
  auto next = [&](const std::string& text, const std::string& sender) {
    const Received received = receive(receiver);
    CHECK_EQ(received.text, text);
    CHECK_EQ(received.sender, sender);
  };
  next("from named", base + "named");
  next("from nobody", "");
  next("from the closed", base + "closed");
  next("from the closed one by name", abstract + "-closed");
  next("from by name", abstract);
  CHECK_EQ(receive(receiver).text, "error 11");
  CHECK_EQ(peer_name(receiver), abstract);
  CHECK_EQ(peer_name(by_name), base + "receiver");
  CHECK_EQ(peer_name(named), base + "receiver");
  CHECK_EQ(peer_name(unnamed), "none");
  CHECK(::send(named, "x", 1, 0) < 0 && errno == EPERM);
  send_text(by_name, "again");
  next("again", abstract);
  send_text(receiver, "back");
  CHECK_EQ(receive_text(by_name), "back");
  CHECK_EQ(peer_name(lost), base + "target");
  CHECK(::send(lost, "x", 1, 0) < 0 && errno == ECONNREFUSED);
}
