// SPDX-License-Identifier: Apache-2.0
// What TCP_INFO shows of what two ends agreed upon, with every combination of timestamps, selective
// acknowledgements and window scaling, over IPv4, IPv6 and mapped addresses; and that timestamps go on from
// where they were.
#include <net/if.h>

#include "harness/cr_net.h"

namespace {

constexpr int kTcpTimestamp = 24;

// Of clocks that begin anywhere and turn over: what jumped, or went back, is far away.
constexpr std::uint32_t kMostLaterMs = 600'000;
std::uint32_t later_ms(int now, int before) {
  return static_cast<std::uint32_t>(now) - static_cast<std::uint32_t>(before);
}

std::string info_of(int fd) {
  tcp_info info{};
  socklen_t len = sizeof info;
  REQUIRE(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
  // The size of segments does not count timestamps that were not agreed upon, but for the kernel's own
  // setting by which it is connected again; what is sent is as long as it was.
  const bool timestamps = (info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0;
  return "state " + std::to_string(info.tcpi_state) + " options " + std::to_string(info.tcpi_options) +
         " scales " + std::to_string(info.tcpi_snd_wscale) + " " + std::to_string(info.tcpi_rcv_wscale) +
         " segment " + std::to_string(timestamps ? info.tcpi_snd_mss : 0) + " pmtu " +
         std::to_string(info.tcpi_pmtu) + " congestion " + std::to_string(info.tcpi_ca_state) +
         " unacknowledged " + std::to_string(info.tcpi_unacked) + " sent " +
         std::to_string(info.tcpi_retransmits) + std::to_string(info.tcpi_probes) +
         std::to_string(info.tcpi_backoff);
}

}  // namespace

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

void cr::test() {
  struct One {
    Connection c;
    std::string client, server;
    int client_time, server_time;
  };
  std::vector<One> all;
  // As a network has it; what fits the loopback device is more than TCP_MAXSEG has words for.
  ifreq device{};
  std::strcpy(device.ifr_name, "lo");
  device.ifr_mtu = 1500;
  const int any = ::socket(AF_INET, SOCK_DGRAM, 0);
  REQUIRE(::ioctl(any, SIOCSIFMTU, &device) == 0);
  ::close(any);
  for (const char* host : {"127.0.0.1", "::1", "::"})
    for (int turn = 0; turn < 8; turn++) {
      if (!set_setting("ipv4/tcp_timestamps", (turn & 1) != 0 ? "1" : "0") ||
          !set_setting("ipv4/tcp_sack", (turn & 2) != 0 ? "1" : "0") ||
          !set_setting("ipv4/tcp_window_scaling", (turn & 4) != 0 ? "1" : "0"))
        skip("machine: settings of TCP");
      const int listener = listener_on(host);
      One one;
      one.c = connect_to(listener, host[2] == '\0' ? "::ffff:127.0.0.1" : nullptr);
      ::close(listener);
      exchange(one.c);
      one.client = info_of(one.c.client);
      one.server = info_of(one.c.server);
      one.client_time = option(one.c.client, IPPROTO_TCP, kTcpTimestamp);
      one.server_time = option(one.c.server, IPPROTO_TCP, kTcpTimestamp);
      all.push_back(one);
    }
  // What is agreed upon is the connection's, whatever the settings are by now.
  checkpoint_here();
  for (const One& one : all) {
    CHECK_EQ(info_of(one.c.client), one.client);
    CHECK_EQ(info_of(one.c.server), one.server);
    CHECK(later_ms(option(one.c.client, IPPROTO_TCP, kTcpTimestamp), one.client_time) < kMostLaterMs);
    CHECK(later_ms(option(one.c.server, IPPROTO_TCP, kTcpTimestamp), one.server_time) < kMostLaterMs);
    exchange(one.c);
    send_all(one.c.client, pattern(300000));
    CHECK(receive(one.c.server, 300000) == pattern(300000));
    CHECK_EQ(info_of(one.c.client).substr(0, one.client.find(" congestion")),
             one.client.substr(0, one.client.find(" congestion")));
  }
}
