// SPDX-License-Identifier: Apache-2.0
// A descriptor that no process has open, sent over a connection that nobody has accepted: nobody can look at
// it.
#include "harness/cr_unix.h"

cr::Options cr::options() {
  return {.refused = "holds descriptors that no process has open"};
}

void cr::test() {
  const std::string name = "@bpfckpt-pending-" + std::to_string(::getpid());
  const int listening = listener(SOCK_STREAM, name);
  const int client = client_of(SOCK_STREAM, name);
  const int sent = make_file("sent", "0123456789");
  send_files(client, "x", {sent});
  ::close(sent);
  checkpoint_here();
  const int server = ::accept(listening, nullptr, nullptr);
  Received got = receive(server);
  REQUIRE(got.files.size() == 1);
  CHECK_EQ(::lseek(got.files[0], 7, SEEK_SET), 7);
}
