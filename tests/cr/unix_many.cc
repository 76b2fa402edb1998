// SPDX-License-Identifier: Apache-2.0
// A thousand pairs with data in both directions, and as many connections through one listener.
#include <sys/resource.h>

#include <array>

#include "harness/cr_unix.h"

void cr::test() {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const std::size_t count = limit.rlim_max >= 4200 ? 1000 : 200;
  std::vector<std::array<int, 2>> pairs(count), connections(count);
  const std::string name = "@bpfckpt-many-" + std::to_string(::getpid());
  const int listening = listener(SOCK_STREAM, name, 128);
  for (std::size_t i = 0; i < count; i++) {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i].data()) == 0);
    connections[i] = {client_of(SOCK_STREAM, name), ::accept(listening, nullptr, nullptr)};
    for (auto& [a, b] : {pairs[i], connections[i]}) {
      send_text(a, "a" + std::to_string(i));
      send_text(b, "b" + std::to_string(i));
    }
  }
  checkpoint_here();
  for (std::size_t i = 0; i < count; i++)
    for (auto& [a, b] : {pairs[i], connections[i]}) {
      CHECK_EQ(receive_text(b), "a" + std::to_string(i));
      CHECK_EQ(receive_text(a), "b" + std::to_string(i));
    }
}
