// SPDX-License-Identifier: Apache-2.0
// The network lock against what a connection shows of it, by every method that this kernel has, in a network
// namespace of its own.
#include "kernel/network_lock.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <functional>
#include <optional>

#include "dump/lock_guardian.h"
#include "dump/repair_guardian.h"
#include "harness/skip.h"
#include "kernel/probes.h"

using namespace bpfckpt;
using kernel::LockMethod;
using kernel::NetworkLock;

namespace {

// What a child process found wrong; empty: nothing.
void in_own_network(const std::function<void()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ifreq lo{};
    std::strcpy(lo.ifr_name, "lo");
    Fd any(::unshare(CLONE_NEWNET) == 0 ? ::socket(AF_INET, SOCK_DGRAM, 0) : -1);
    lo.ifr_flags = IFF_UP | IFF_RUNNING;
    if (!any || ::ioctl(any.get(), SIOCSIFFLAGS, &lo) != 0) ::_exit(3);
    body();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

// Ends the child where doctest's own checks would be lost.
void must(bool condition, int line) {
  if (condition) return;
  std::fprintf(stderr, "%s:%d: failed\n", __FILE__, line);
  ::_exit(1);
}
#define MUST(condition) must((condition), __LINE__)

// A process in which `hold` has come to its `ready`, where it stays until it is killed.
pid_t start_holder(const std::function<void(const std::function<void()>& ready)>& hold) {
  int pipe[2];
  MUST(::pipe2(pipe, O_CLOEXEC) == 0);
  const Fd in(pipe[0]);
  Fd out(pipe[1]);
  const pid_t holder = ::fork();
  if (holder == 0) {
    hold([&] {
      MUST(::write(out.get(), "", 1) == 1);
      for (;;) ::pause();
    });
    ::_exit(1);
  }
  out.reset();  // a holder that fails is heard of
  char byte;
  MUST(::read(in.get(), &byte, 1) == 1);
  return holder;
}

void kill_holder(pid_t holder) {
  ::kill(holder, SIGKILL);
  MUST(::waitpid(holder, nullptr, 0) == holder);
}

struct Pair {
  Fd client, server;
  lock_connection of_client{}, of_server{};
};

void put_address(int fd, bool peer, std::uint8_t (&address)[16], std::uint16_t& port) {
  sockaddr_storage any{};
  socklen_t len = sizeof any;
  MUST((peer ? ::getpeername(fd, reinterpret_cast<sockaddr*>(&any), &len)
             : ::getsockname(fd, reinterpret_cast<sockaddr*>(&any), &len)) == 0);
  if (any.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(any);
    std::memcpy(address, &v6.sin6_addr, 16);
    port = v6.sin6_port;
    return;
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(any);
  address[10] = address[11] = 0xff;
  std::memcpy(address + 12, &v4.sin_addr, 4);
  port = v4.sin_port;
}

lock_connection tuple(int fd) {
  lock_connection connection{};
  put_address(fd, false, connection.local, connection.local_port);
  put_address(fd, true, connection.remote, connection.remote_port);
  return connection;
}

Pair connect_pair(int family) {
  Fd listener(::socket(family, SOCK_STREAM, 0));
  sockaddr_storage any{};
  socklen_t len = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  any.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET)
    reinterpret_cast<sockaddr_in&>(any).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else
    reinterpret_cast<sockaddr_in6&>(any).sin6_addr = in6addr_loopback;
  MUST(::bind(listener.get(), reinterpret_cast<sockaddr*>(&any), len) == 0);
  MUST(::listen(listener.get(), 1) == 0);
  MUST(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&any), &len) == 0);
  Pair pair;
  pair.client = Fd(::socket(family, SOCK_STREAM, 0));
  MUST(::connect(pair.client.get(), reinterpret_cast<sockaddr*>(&any), len) == 0);
  pair.server = Fd(::accept(listener.get(), nullptr, nullptr));
  MUST(static_cast<bool>(pair.server));
  pair.of_client = tuple(pair.client.get());
  pair.of_server = tuple(pair.server.get());
  return pair;
}

// Packets on lo are received before the call that sends them returns.
int readable(int fd) {
  int there = -1;
  MUST(::ioctl(fd, FIONREAD, &there) == 0);
  return there;
}

void drops_and_lets_go(LockMethod method, int family) {
  Pair locked = connect_pair(family), free = connect_pair(family);
  auto lock = NetworkLock::attach(method);
  if (!lock) std::fprintf(stderr, "%s\n", lock.error().message().c_str());
  MUST(lock.has_value());
  MUST(::send(locked.client.get(), "a", 1, 0) == 1);
  MUST(readable(locked.server.get()) == 1);  // attached, and nothing is locked
  MUST(lock->renew().has_value());
  // One end's connection, as when the other end is outside of the tree.
  MUST(lock->add(std::span(&locked.of_server, 1)).has_value());
  MUST(::send(locked.client.get(), "b", 1, 0) == 1);
  MUST(::send(locked.server.get(), "c", 1, 0) == 1);
  MUST(::send(free.client.get(), "d", 1, 0) == 1);
  MUST(readable(locked.server.get()) == 1);
  MUST(readable(locked.client.get()) == 0);
  MUST(readable(free.server.get()) == 1);
  MUST(lock->remove().has_value());
  // The kernel sends again what it takes for lost.
  char bytes[2];
  MUST(::recv(locked.server.get(), bytes, 2, MSG_WAITALL) == 2 && bytes[0] == 'a' && bytes[1] == 'b');
  MUST(::recv(locked.client.get(), bytes, 1, 0) == 1 && bytes[0] == 'c');
}

// The end that is gone answers nothing, as long as the lock is kept.
void outlives_its_process(LockMethod method, int family) {
  constexpr std::uint64_t kId = 0x7e57;
  Pair pair = connect_pair(family);
  const lock_connection connection = pair.of_server;
  const pid_t keeper = ::fork();
  if (keeper == 0) {
    auto lock = NetworkLock::attach(method);
    MUST(lock && lock->add(std::span(&connection, 1)) && lock->pin(kId) && lock->hold());
    ::_exit(0);
  }
  int status = 1;
  MUST(::waitpid(keeper, &status, 0) == keeper && status == 0);
  int on = 1;
  MUST(::setsockopt(pair.server.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) == 0);
  pair.server.reset();  // silently
  MUST(::send(pair.client.get(), "x", 1, 0) == 1);
  tcp_info info{};
  socklen_t len = sizeof info;
  MUST(::getsockopt(pair.client.get(), IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
  MUST(info.tcpi_state == TCP_ESTABLISHED && info.tcpi_unacked == 1);
  auto kept = NetworkLock::open(kId);
  MUST(kept.has_value() && kept->method() == method);
  MUST(kept->remove().has_value());
  MUST(!NetworkLock::open(kId).has_value());
  // Now the other end hears that there is nobody.
  pollfd wait{pair.client.get(), POLLIN, 0};
  MUST(::poll(&wait, 1, -1) == 1 && (wait.revents & POLLERR) != 0);
}

// One that is pinned and not held is nobody's when its process dies, and lets everything pass.
void is_not_kept_by_its_pins_alone(LockMethod method, int family) {
  constexpr std::uint64_t kId = 0x7e58;
  Pair pair = connect_pair(family);
  const lock_connection connection = pair.of_server;
  const pid_t holder = start_holder([&](const auto& ready) {
    auto lock = NetworkLock::attach(method);
    MUST(lock && lock->add(std::span(&connection, 1)) && lock->renew() && lock->pin(kId));
    ready();
  });
  MUST(::send(pair.client.get(), "x", 1, 0) == 1 && readable(pair.server.get()) == 0);
  kill_holder(holder);
  char byte = 0;
  auto left = NetworkLock::open(kId);
  MUST(left.has_value());
  if (method == LockMethod::Clsact) MUST(left->let_pass().has_value());  // else a minute later
  MUST(::recv(pair.server.get(), &byte, 1, 0) == 1 && byte == 'x');
  MUST(left->hold().has_value());
  MUST(::send(pair.client.get(), "y", 1, 0) == 1 && readable(pair.server.get()) == 0);
  MUST(left->remove().has_value());
  MUST(::recv(pair.server.get(), &byte, 1, 0) == 1 && byte == 'y');
}

// More connections than there is room for: all are locked, and none of the first ones is let go meanwhile.
void grows(LockMethod method, int family) {
  constexpr std::size_t kPairs = 20;
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < kPairs; i++) pairs.push_back(connect_pair(family));
  auto lock = NetworkLock::attach(method, 0, 4);
  MUST(lock.has_value() && lock->renew().has_value());
  for (std::size_t i = 0; i < kPairs; i++) {
    MUST(lock->add(std::span(&pairs[i].of_server, 1)).has_value());
    MUST(::send(pairs[i].client.get(), "x", 1, 0) == 1);
    for (std::size_t k = 0; k <= i; k++) MUST(readable(pairs[k].server.get()) == 0);
  }
  // All at once.
  auto other = NetworkLock::attach(method, 0, 4);
  MUST(other.has_value() && other->renew().has_value());
  std::vector<lock_connection> all;
  for (const Pair& pair : pairs) all.push_back(pair.of_server);
  MUST(other->add(all).has_value());
  MUST(lock->remove().has_value());
  for (const Pair& pair : pairs)
    MUST(::send(pair.client.get(), "y", 1, 0) == 1 && readable(pair.server.get()) == 0);
  MUST(other->remove().has_value());
  for (const Pair& pair : pairs) {
    char bytes[2];
    MUST(::recv(pair.server.get(), bytes, 2, MSG_WAITALL) == 2 && bytes[0] == 'x' && bytes[1] == 'y');
  }
}

bool has_ipv6() {
  return static_cast<bool>(Fd(::socket(AF_INET6, SOCK_STREAM, 0)));
}

// Of programs that are put there by netlink only trying tells.
bool has_classifiers() {
  return kernel::probe_clsact().there;
}

void check(LockMethod method) {
  for (int family : {AF_INET, AF_INET6}) {
    if (family == AF_INET6 && !has_ipv6()) continue;
    CAPTURE(family);
    in_own_network([&] { drops_and_lets_go(method, family); });
    in_own_network([&] { outlives_its_process(method, family); });
    in_own_network([&] { is_not_kept_by_its_pins_alone(method, family); });
    in_own_network([&] { grows(method, family); });
  }
}

}  // namespace

TEST_CASE("network lock by netfilter links") {
  REQUIRE_FEATURE(kernel::has_netfilter_links(), "netfilter-links");
  check(LockMethod::Netfilter);
}

TEST_CASE("network lock by tcx links") {
  REQUIRE_FEATURE(kernel::has_tcx_links(), "tcx-links");
  check(LockMethod::Tcx);
}

TEST_CASE("network lock by classifiers") {
  REQUIRE_FEATURE(has_classifiers(), "clsact-classifiers");
  check(LockMethod::Clsact);
}

TEST_CASE("a network lock of too many connections says so") {
  REQUIRE_FEATURE(kernel::has_netfilter_links(), "netfilter-links");
  in_own_network([] {
    auto lock = NetworkLock::attach(LockMethod::Netfilter, 0, 1);
    MUST(lock.has_value());
    std::vector<lock_connection> all(LOCK_MOST_CONNECTIONS + 1);
    for (std::uint32_t i = 0; i < all.size(); i++) std::memcpy(all[i].local, &i, sizeof i);
    auto added = lock->add(all);
    MUST(!added && added.error().message().find("can be locked") != std::string::npos);
    MUST(lock->add(std::span(all).first(LOCK_MOST_CONNECTIONS)).has_value());
  });
}

TEST_CASE("a network lock that nobody keeps goes with its process") {
  REQUIRE_FEATURE(kernel::has_netfilter_links(), "netfilter-links");
  in_own_network([] {
    Pair pair = connect_pair(AF_INET);
    const pid_t holder = start_holder([&](const auto& ready) {
      auto lock = NetworkLock::attach();
      MUST(lock && lock->add(std::span(&pair.of_server, 1)) && lock->renew());
      ready();
    });
    MUST(::send(pair.client.get(), "x", 1, 0) == 1 && readable(pair.server.get()) == 0);
    kill_holder(holder);
    char byte;
    MUST(::recv(pair.server.get(), &byte, 1, 0) == 1);
  });
}

TEST_CASE(
    "a network lock by classifiers that nobody keeps is ended, and a kept one is not, when its process is "
    "killed") {
  REQUIRE_FEATURE(has_classifiers(), "clsact-classifiers");
  for (const bool kept : {false, true}) {
    CAPTURE(kept);
    in_own_network([kept] {
      constexpr std::uint64_t kId = 0x7e59;
      Pair pair = connect_pair(AF_INET);
      const pid_t holder = start_holder([&](const auto& ready) {
        auto lock = NetworkLock::attach(LockMethod::Clsact);
        MUST(lock && lock->add(std::span(&pair.of_server, 1)) && lock->renew());
        auto guardian = dump::LockGuardian::start(*lock);
        MUST(guardian && guardian->watches(*lock));
        if (kept) MUST(lock->pin(kId).has_value() && lock->hold().has_value());
        ready();
      });
      MUST(::send(pair.client.get(), "x", 1, 0) == 1 && readable(pair.server.get()) == 0);
      kill_holder(holder);
      // The kernel sends again after 0.2, 0.4, 0.8 s and so on; by itself the lock would hold for a minute.
      pollfd wait{pair.server.get(), POLLIN, 0};
      MUST(::poll(&wait, 1, kept ? 2000 : 40000) == (kept ? 0 : 1));
      if (!kept) return;
      auto left = NetworkLock::open(kId);
      MUST(left && left->remove());
    });
  }
}

TEST_CASE("neither guardian waits for the end of the other") {
  REQUIRE_FEATURE(has_classifiers(), "clsact-classifiers");
  in_own_network([] {
    for (const bool lock_first : {false, true})
      for (const bool lock_goes_first : {false, true}) {
        Pair pair = connect_pair(AF_INET);
        auto lock = NetworkLock::attach(LockMethod::Clsact);
        MUST(lock && lock->add(std::span(&pair.of_server, 1)));
        std::optional<dump::LockGuardian> of_lock;
        std::optional<dump::RepairGuardian> of_repair;
        const auto start_of_lock = [&] {
          auto started = dump::LockGuardian::start(*lock);
          MUST(started.has_value());
          of_lock.emplace(std::move(*started));
        };
        if (lock_first) start_of_lock();
        auto started = dump::RepairGuardian::start();
        MUST(started.has_value());
        of_repair.emplace(std::move(*started));
        if (!lock_first) start_of_lock();
        ::alarm(20);  // ends the child, where one would wait for ever
        if (lock_goes_first) of_lock.reset();
        of_repair.reset();
        of_lock.reset();
        ::alarm(0);
        MUST(lock->remove().has_value());
      }
  });
}
