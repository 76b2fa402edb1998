// SPDX-License-Identifier: Apache-2.0
// Connections of records (SOCK_SEQPACKET) that nobody has accepted: bounds of their messages, names of the
// clients, and files in flight that somebody has open as well.
#include "harness/cr_unix.h"

void cr::test() {
  const std::string name = "@bpfckpt-records-" + std::to_string(::getpid());
  const int listening = listener(SOCK_SEQPACKET, name, 5),
            streams = listener(SOCK_STREAM, directory() + "/streams", 5);
  const int shared = make_file("shared", "0123456789");
  const int records = bound_socket(SOCK_SEQPACKET, directory() + "/client");
  connect_to(records, name);
  send_text(records, "one");
  send_text(records, "");
  send_files(records, "two", {shared});
  const int gone = bound_socket(SOCK_SEQPACKET, directory() + "/gone");
  connect_to(gone, name);
  send_text(gone, "of the gone");
  send_text(gone, "twice");
  ::close(gone);
  const int stream = client_of(SOCK_STREAM, directory() + "/streams");
  send_files(stream, "file", {shared, listening});
  REQUIRE(::shutdown(stream, SHUT_RDWR) == 0);

  checkpoint_here();

  const int server = ::accept(listening, nullptr, nullptr), second = ::accept(listening, nullptr, nullptr),
            third = ::accept(streams, nullptr, nullptr);
  REQUIRE(server >= 0 && second >= 0 && third >= 0);
  CHECK_EQ(peer_name(server), directory() + "/client");
  CHECK_EQ(receive(server).text, "one");
  CHECK_EQ(receive(server).text, "");
  Received two = receive(server);
  CHECK_EQ(two.text, "two");
  REQUIRE(two.files.size() == 1);
  REQUIRE(::lseek(shared, 7, SEEK_SET) == 7);
  CHECK_EQ(::lseek(two.files[0], 0, SEEK_CUR), 7);
  CHECK_EQ(receive(server, MSG_DONTWAIT).text, "error 11");
  CHECK_EQ(peer_name(second), directory() + "/gone");
  CHECK_EQ(receive(second).text, "of the gone");
  CHECK_EQ(receive(second).text, "twice");
  CHECK_EQ(receive(second).text, "");
  Received files = receive(third);
  CHECK_EQ(files.text, "file");
  REQUIRE(files.files.size() == 2);
  CHECK_EQ(::lseek(files.files[0], 0, SEEK_CUR), 7);
  CHECK_EQ(int_option(files.files[1], SOL_SOCKET, SO_ACCEPTCONN), 1);
  CHECK_EQ(receive(third).text, "");
  CHECK(::send(stream, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
  send_text(server, "answer");
  CHECK_EQ(receive(records).text, "answer");
}
