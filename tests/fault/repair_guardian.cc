// SPDX-License-Identifier: Apache-2.0
// bpfckpt is killed while unsent data is read: no socket stays in repair mode, and all go on as they were.
#include "dump/repair_guardian.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <random>
#include <vector>

#include "harness/rounds.h"

using namespace bpfckpt;
using dump::RepairGuardian;

namespace {

struct Pair {
  Fd client, server;
};

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t len = sizeof value;
  return ::getsockopt(fd, level, name, &value, &len) == 0 ? value : -1;
}

std::vector<Pair> full_pairs(int count) {
  Fd listener(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof address;
  int small = 4096;
  REQUIRE(::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), len) == 0);
  REQUIRE(::listen(listener.get(), count) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &len) == 0);
  std::vector<Pair> pairs;
  const std::vector<char> data(1 << 16, 'x');
  for (int i = 0; i < count; i++) {
    Pair pair{Fd(::socket(AF_INET, SOCK_STREAM, 0)), Fd()};
    const int reuse = i % 2;
    ::setsockopt(pair.client.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    REQUIRE(::connect(pair.client.get(), reinterpret_cast<sockaddr*>(&address), len) == 0);
    pair.server = Fd(::accept(listener.get(), nullptr, nullptr));
    REQUIRE(static_cast<bool>(pair.server));
    while (::send(pair.client.get(), data.data(), data.size(), MSG_DONTWAIT) > 0) continue;
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

std::size_t ask_for(RepairGuardian& guardian, pid_t pid, const std::vector<Pair>& pairs) {
  constexpr std::uint64_t kRoom = 4 << 20;
  for (std::size_t i = 0; i < pairs.size(); i++)
    guardian.requests()[i] = {.pid = pid,
                              .fd = pairs[i].client.get(),
                              .reuse = static_cast<std::int32_t>(i % 2),
                              .offset = i * kRoom,
                              .room_bytes = kRoom};
  return pairs.size();
}

void check_unharmed(const std::vector<Pair>& pairs) {
  for (std::size_t i = 0; i < pairs.size(); i++) {
    CHECK(option(pairs[i].client.get(), IPPROTO_TCP, TCP_REPAIR) == 0);
    CHECK(option(pairs[i].client.get(), SOL_SOCKET, SO_REUSEADDR) == static_cast<int>(i % 2));
  }
}

}  // namespace

TEST_CASE("unsent bytes are read, and the sockets go on") {
  const auto pairs = full_pairs(20);
  auto guardian = RepairGuardian::start();
  REQUIRE(guardian.has_value());
  const std::size_t count = ask_for(*guardian, ::getpid(), pairs);
  REQUIRE(guardian->read(count).has_value());
  check_unharmed(pairs);
  for (const auto& answer : guardian->requests().first(count)) {
    CHECK(answer.error == 0);
    CHECK(answer.len_bytes > 0);
    CHECK(guardian->buffer()[answer.offset] == std::byte{'x'});
  }
  // What is in the queue arrives when there is room.
  std::vector<char> bytes(1 << 16);
  for (const Pair& pair : pairs) CHECK(::recv(pair.server.get(), bytes.data(), bytes.size(), 0) > 0);
}

TEST_CASE("a master that is killed leaves no socket in repair mode") {
  const auto pairs = full_pairs(50);
  std::minstd_rand random(17);
  const pid_t self = ::getpid();
  for (unsigned round = rounds("KILL_ROUNDS", 100); round > 0; round--) {
    int tell[2];
    REQUIRE(::pipe(tell) == 0);
    const pid_t master = ::fork();
    if (master == 0) {
      auto guardian = RepairGuardian::start();
      if (!guardian) ::_exit(1);
      const pid_t pid = guardian->pid();
      if (::write(tell[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
      for (;;) (void)guardian->read(ask_for(*guardian, self, pairs));
    }
    pid_t guardian = 0;
    REQUIRE(::read(tell[0], &guardian, sizeof guardian) == sizeof guardian);
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, guardian, 0)));
    ::usleep(random() % 3000);
    ::kill(master, SIGKILL);
    REQUIRE(::waitpid(master, nullptr, 0) == master);
    // It ends by itself.
    pollfd end{pidfd.get(), POLLIN, 0};
    if (pidfd) CHECK(::poll(&end, 1, -1) == 1);
    ::close(tell[0]);
    ::close(tell[1]);
    check_unharmed(pairs);
  }
}

TEST_CASE("a guardian that is killed is stood in for") {
  const auto pairs = full_pairs(50);
  auto guardian = RepairGuardian::start();
  REQUIRE(guardian.has_value());
  const pid_t killer = ::fork();
  if (killer == 0) {
    ::usleep(1000);
    ::kill(guardian->pid(), SIGKILL);
    ::_exit(0);
  }
  while (guardian->read(ask_for(*guardian, ::getpid(), pairs))) continue;
  check_unharmed(pairs);
  ::waitpid(killer, nullptr, 0);
  // Nor is it missed where it was dead before it was asked.
  CHECK_FALSE(guardian->read(ask_for(*guardian, ::getpid(), pairs)).has_value());
  check_unharmed(pairs);
}
