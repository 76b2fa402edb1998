// SPDX-License-Identifier: Apache-2.0
// Options of connections and of who listens for them; and what is held back by one (TCP_CORK).
#include <linux/filter.h>
#include <net/if.h>

#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

namespace {

constexpr int kBufLock = 72;  // SO_BUF_LOCK, since 5.15

struct Option {
  int level, name, value;
};

// Options that read back as they were set.
std::vector<Option> options_of(bool v4) {
  std::vector<Option> all = {{SOL_SOCKET, SO_KEEPALIVE, 1},         {SOL_SOCKET, SO_OOBINLINE, 1},
                             {SOL_SOCKET, SO_PRIORITY, 4},          {SOL_SOCKET, SO_RCVLOWAT, 3},
                             {SOL_SOCKET, SO_DONTROUTE, 1},         {IPPROTO_TCP, TCP_NODELAY, 1},
                             {IPPROTO_TCP, TCP_KEEPIDLE, 777},      {IPPROTO_TCP, TCP_KEEPINTVL, 33},
                             {IPPROTO_TCP, TCP_KEEPCNT, 5},         {IPPROTO_TCP, TCP_USER_TIMEOUT, 54321},
                             {IPPROTO_TCP, TCP_SYNCNT, 4},          {IPPROTO_TCP, TCP_LINGER2, 17},
                             {IPPROTO_TCP, TCP_WINDOW_CLAMP, 40000}};
  if (v4)
    all.insert(all.end(), {{SOL_IP, IP_TOS, 0x10}, {SOL_IP, IP_TTL, 33}, {SOL_IP, IP_RECVTOS, 1}});
  else
    all.insert(all.end(), {{SOL_IPV6, IPV6_TCLASS, 0x20}, {SOL_IPV6, IPV6_UNICAST_HOPS, 44}});
  return all;
}

// As "level/name=value", for all at once: how they read back.
std::string read_back(int fd, const std::vector<Option>& options) {
  std::string text;
  for (const Option& it : options)
    text += std::to_string(it.level) + "/" + std::to_string(it.name) + "=" +
            std::to_string(cr::option(fd, it.level, it.name)) + " ";
  return text;
}

std::string text_option(int fd, int level, int name) {
  char text[64] = "";
  socklen_t len = sizeof text - 1;
  if (::getsockopt(fd, level, name, text, &len) != 0) return "error";
  return text;
}

void set_text_option(int fd, int level, int name, const char* text) {
  REQUIRE(::setsockopt(fd, level, name, text, static_cast<socklen_t>(std::strlen(text))) == 0);
}

}  // namespace

void cr::test() {
  for (const char* host : {"127.0.0.1", "::1"}) {
    const bool v4 = host[0] == '1';
    const int listener = listener_on(host);
    set_option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
    set_text_option(listener, SOL_SOCKET, SO_BINDTODEVICE, "lo");
    set_option(listener, SOL_SOCKET, SO_RCVBUF, 30000);
    const Connection c = connect_to(listener), corked = connect_to(listener), other = connect_to(listener);
    // Of two that are alike but for this, each has its own.
    const Connection alike = connect_to(listener), timed = connect_to(listener);
    std::vector<Option> times;
    for (const auto& [name, value] :
         {std::pair{44, 90'000}, {45, 150'000}, {46, 30'000}})  // TCP_RTO_MAX_MS and on
      if (option(timed.client, IPPROTO_TCP, name) >= 0) times.push_back({IPPROTO_TCP, name, value});
    for (const Option& it : times) set_option(timed.client, it.level, it.name, it.value);
    // Read back in the kernel's ticks.
    const std::string own_times = read_back(timed.client, times), untimed = read_back(alike.client, times);
    CHECK(times.empty() || own_times != untimed);
    const std::vector<Option> options = options_of(v4);
    for (const Option& it : options) set_option(c.client, it.level, it.name, it.value);
    set_text_option(c.client, IPPROTO_TCP, TCP_CONGESTION, "reno");
    set_option(c.server, SOL_SOCKET, SO_SNDBUF, 50000);  // locks it
    set_text_option(other.client, SOL_SOCKET, SO_BINDTODEVICE, "lo");
    const timeval patience{7, 250000};
    REQUIRE(::setsockopt(c.server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    set_option(corked.client, IPPROTO_TCP, TCP_CORK, 1);
    send_all(corked.client, "held");

    const std::string before = read_back(c.client, options);
    const std::vector<Option> buffers = {
        {SOL_SOCKET, SO_SNDBUF, 0}, {SOL_SOCKET, SO_RCVBUF, 0}, {SOL_SOCKET, kBufLock, 0}};
    const std::string sizes[] = {read_back(c.server, buffers), read_back(listener, buffers)};
    checkpoint_here();
    CHECK_EQ(read_back(c.client, options), before);
    CHECK_EQ(read_back(alike.client, times), untimed);
    CHECK_EQ(read_back(timed.client, times), own_times);
    CHECK_EQ(text_option(c.client, IPPROTO_TCP, TCP_CONGESTION), "reno");
    CHECK(text_option(c.server, IPPROTO_TCP, TCP_CONGESTION) ==
          text_option(listener, IPPROTO_TCP, TCP_CONGESTION));
    CHECK_EQ(read_back(c.server, buffers), sizes[0]);
    CHECK_EQ(read_back(listener, buffers), sizes[1]);
    CHECK_EQ(text_option(listener, SOL_SOCKET, SO_BINDTODEVICE), "lo");
    CHECK_EQ(text_option(other.client, SOL_SOCKET, SO_BINDTODEVICE), "lo");
    CHECK_EQ(text_option(c.client, SOL_SOCKET, SO_BINDTODEVICE), "");
    timeval kept{};
    socklen_t len = sizeof kept;
    REQUIRE(::getsockopt(c.server, SOL_SOCKET, SO_RCVTIMEO, &kept, &len) == 0);
    CHECK(kept.tv_sec == patience.tv_sec && kept.tv_usec / 10000 == patience.tv_usec / 10000);
    CHECK_EQ(option(corked.client, IPPROTO_TCP, TCP_CORK), 1);
    set_option(corked.client, IPPROTO_TCP, TCP_CORK, 0);
    CHECK_EQ(receive(corked.server, 4), "held");
    for (const Connection& it : {corked, other}) exchange(it);
    // Its low-water mark is 3, "pong" has 4.
    exchange(c);
  }
}
