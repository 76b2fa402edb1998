// SPDX-License-Identifier: Apache-2.0
// Ends that are shut down in every combination, and closed, with data left behind; a reset.
#include <array>

#include "harness/cr_unix.h"

void cr::test() {
  struct Case {
    int type, a, b;  // -1: not; 3: closed
  };
  std::vector<Case> cases;
  for (int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM})
    for (int a = -1; a <= SHUT_RDWR; a++)
      for (int b = -1; b <= 3; b++) cases.push_back({type, a, b});
  std::vector<std::array<int, 2>> ends(cases.size());
  for (std::size_t i = 0; i < cases.size(); i++) {
    REQUIRE(::socketpair(AF_UNIX, cases[i].type | SOCK_NONBLOCK, 0, ends[i].data()) == 0);
    send_text(ends[i][0], "to b");
    send_text(ends[i][1], "to a");
    if (cases[i].b == 3) CHECK_EQ(receive_text(ends[i][1]), "to b");
    if (cases[i].a >= 0) REQUIRE(::shutdown(ends[i][0], cases[i].a) == 0);
    if (cases[i].b == 3)
      ::close(ends[i][1]);
    else if (cases[i].b >= 0)
      REQUIRE(::shutdown(ends[i][1], cases[i].b) == 0);
  }
  int reset[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, reset) == 0);
  send_text(reset[0], "never read");
  send_text(reset[1], "left");
  ::close(reset[1]);

  // What a twin in the same state does, that was made now, is what is to be.
  auto behaviour = [](int type, std::array<int, 2> pair, bool closed) {
    std::string text;
    auto poll_of = [](int fd) {
      char state[64];
      int value = 0;
      socklen_t len = sizeof value;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len);
      std::snprintf(state, sizeof state, "error %d ", value);
      return std::string(state);
    };
    for (int side = 0; side < (closed ? 1 : 2); side++) {
      text += poll_of(pair[static_cast<std::size_t>(side)]);
      for (int i = 0; i < 2; i++) text += receive_text(pair[static_cast<std::size_t>(side)]) + " ";
      const ssize_t n = ::send(pair[static_cast<std::size_t>(side)], "x", 1, MSG_NOSIGNAL);
      text += n == 1 ? "sent; " : "errno " + std::to_string(errno) + "; ";
    }
    return std::to_string(type) + ": " + text;
  };
  checkpoint_here();
  for (std::size_t i = 0; i < cases.size(); i++) {
    std::array<int, 2> twin;
    REQUIRE(::socketpair(AF_UNIX, cases[i].type | SOCK_NONBLOCK, 0, twin.data()) == 0);
    send_text(twin[0], "to b");
    send_text(twin[1], "to a");
    if (cases[i].b == 3) receive_text(twin[1]);
    if (cases[i].a >= 0) REQUIRE(::shutdown(twin[0], cases[i].a) == 0);
    if (cases[i].b == 3)
      ::close(twin[1]);
    else if (cases[i].b >= 0)
      REQUIRE(::shutdown(twin[1], cases[i].b) == 0);
    CHECK_EQ(behaviour(cases[i].type, ends[i], cases[i].b == 3),
             behaviour(cases[i].type, twin, cases[i].b == 3));
  }
  CHECK_EQ(int_option(reset[0], SOL_SOCKET, SO_ERROR), ECONNRESET);
  CHECK_EQ(receive_text(reset[0]), "left");
  CHECK_EQ(receive_text(reset[0]), "end");
}
