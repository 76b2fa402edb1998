// SPDX-License-Identifier: Apache-2.0
// Credentials with messages (SO_PASSCRED), and those of peers that had other ids when they connected, with
// their groups; who made a pair may be another process than who has it.
#include <grp.h>

#include "harness/cr_unix.h"

void cr::test() {
  int pass[2], plain[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pass) == 0 &&
          ::socketpair(AF_UNIX, SOCK_DGRAM, 0, plain) == 0);
  set_option(pass[1], SOL_SOCKET, SO_PASSCRED, 1);
  send_text(plain[0], "without");
  const std::string name = "@bpfckpt-credentials-" + std::to_string(::getpid());
  const int listening = listener(SOCK_STREAM, name);
  Child child([&] {
    const gid_t groups[] = {71, 72, 70};
    REQUIRE(::setgroups(3, groups) == 0 && ::setresgid(61, 61, 61) == 0 && ::setresuid(51, 51, 51) == 0);
    const int client = client_of(SOCK_STREAM, name);
    send_text(pass[0], "with");
    wait_released();
    send_text(client, "live");
    CHECK_EQ(receive_text(client, 0), "go on");
    send_text(pass[0], "new");
  });
  await_waiting(1);
  const int server = ::accept(listening, nullptr, nullptr);
  REQUIRE(server >= 0);
  checkpoint_here();
  check_peer(server, child.pid(), 51, 61);
  gid_t groups[8];
  socklen_t len = sizeof groups;
  REQUIRE(::getsockopt(server, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0);
  CHECK_EQ(len, 3 * sizeof(gid_t));
  CHECK(groups[0] == 70 && groups[1] == 71 && groups[2] == 72);
  Received with = receive(pass[1]);
  CHECK_EQ(with.text, "with");
  CHECK_EQ(with.credentials.pid, child.pid());
  CHECK_EQ(with.credentials.uid, 51U);
  CHECK_EQ(with.credentials.gid, 61U);
  set_option(plain[1], SOL_SOCKET, SO_PASSCRED, 1);
  Received without = receive(plain[1]);
  CHECK_EQ(without.text, "without");
  CHECK_EQ(without.credentials.pid, 0);
  CHECK_EQ(receive_text(server, 0), "live");
  send_text(server, "go on");
  child.join();
  CHECK_EQ(receive(pass[1], 0).credentials.pid, child.pid());
}
