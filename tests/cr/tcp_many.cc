// SPDX-License-Identifier: Apache-2.0
// Nearly as many connections as a process may have descriptors, with bytes unread and not acknowledged, and
// bpfckpt may have no more descriptors than the tree has.
#include <sys/resource.h>

#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

void cr::test() {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const auto count = static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_max, 4096)) / 2 - 32;
  const int listener = listener_on("127.0.0.1");
  std::vector<Connection> all;
  for (std::size_t i = 0; i < count; i++) {
    all.push_back(connect_to(listener));
    send_all(all[i].client, std::to_string(i) + " ");
  }
  checkpoint_here();
  for (std::size_t i = 0; i < count; i++) {
    const std::string text = std::to_string(i) + " ";
    CHECK_EQ(receive(all[i].server, text.size()), text);
    exchange(all[i]);
  }
}
