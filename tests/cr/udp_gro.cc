// SPDX-License-Identifier: Apache-2.0
// Datagrams that UDP_GRO has put together while they wait come back as those that were sent, each by itself,
// with their sender, in their order, between others.
#include "harness/cr_net.h"

namespace {

constexpr int kSegment = 103, kGro = 104;  // UDP_SEGMENT, UDP_GRO

std::string take(int fd, std::string& sender) {
  std::string bytes(70000, '\0');
  cr::Address from;
  const ssize_t n = ::recvfrom(fd, bytes.data(), bytes.size(), MSG_DONTWAIT, from.get(), &from.len);
  if (n < 0) return "nothing";
  bytes.resize(static_cast<std::size_t>(n));
  sender = from.text();
  return bytes;
}

}  // namespace

void cr::test() {
  for (const char* host : {"127.0.0.1", "::1"}) {
    Address a = address(host, 0);
    const int receiver = ::socket(a.storage.ss_family, SOCK_DGRAM, 0),
              sender = ::socket(a.storage.ss_family, SOCK_DGRAM, 0);
    REQUIRE(::bind(receiver, a.get(), a.len) == 0 && ::bind(sender, a.get(), a.len) == 0);
    a = name_of(receiver);
    set_option(receiver, IPPROTO_UDP, kGro, 1);
    REQUIRE(::connect(sender, a.get(), a.len) == 0);
    auto send = [&](const std::string& bytes, int segment) {
      set_option(sender, IPPROTO_UDP, kSegment, segment);
      REQUIRE(::send(sender, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    };
    send("alone", 0);
    send(pattern(1050, 1), 100);  // the last is shorter
    send(pattern(20000, 2), 1000);
    send("last", 0);
    // Put together: what comes second is more than one of them.
    std::string whole(70000, '\0');
    REQUIRE(::recv(receiver, whole.data(), whole.size(), 0) == 5);
    if (::recv(receiver, whole.data(), whole.size(), MSG_PEEK) != 1050)
      skip("machine: UDP_GRO over the loopback device");
    checkpoint_here();
    std::string from;
    for (const auto& [length, seed, segment] : {std::tuple{1050u, 1, 100u}, std::tuple{20000u, 2, 1000u}}) {
      const std::string all = pattern(length, seed);
      for (std::size_t at = 0; at < length; at += segment) {
        CHECK(take(receiver, from) == all.substr(at, segment));
        CHECK_EQ(from, name_of(sender).text());
      }
    }
    CHECK_EQ(take(receiver, from), "last");
    CHECK_EQ(take(receiver, from), "nothing");
    // It does so again.
    CHECK_EQ(option(receiver, IPPROTO_UDP, kGro), 1);
    send(pattern(500, 3), 100);
    CHECK(take(receiver, from) == pattern(500, 3));
  }
}
