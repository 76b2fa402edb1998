// SPDX-License-Identifier: Apache-2.0
// Files in flight: some that the process has open too, and shares; some that nobody has any more, a pipe with
// bytes in it and a socket among them; several messages, over a stream, datagrams and records.
#include "harness/cr_unix.h"

void cr::test() {
  int pairs[3][2];
  const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  const int shared = make_file("shared", "0123456789");
  for (int i = 0; i < 3; ++i) {
    REQUIRE(::socketpair(AF_UNIX, types[i], 0, pairs[i]) == 0);
    const int own = make_file("own" + std::to_string(i), "abcdef");
    REQUIRE(::lseek(own, 2, SEEK_SET) == 2);
    int pipe[2], inner[2];
    REQUIRE(::pipe(pipe) == 0 && ::write(pipe[1], "piped", 5) == 5);
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, inner) == 0);
    send_text(inner[0], "inner");
    send_text(pairs[i][0], "before");
    send_files(pairs[i][0], "two", {shared, own});
    send_files(pairs[i][0], "pipe", {pipe[0]});
    send_files(pairs[i][0], "socket", {inner[1]});
    send_text(pairs[i][0], "after");
    for (int fd : {own, pipe[0], pipe[1], inner[0], inner[1]}) ::close(fd);
  }
  checkpoint_here();
  for (int i = 0; i < 3; ++i) {
    // A stream would go on up to the first message with files.
    char before[6];
    CHECK_EQ(::recv(pairs[i][1], before, sizeof before, 0), 6);
    CHECK_EQ(std::string(before, sizeof before), "before");
    Received two = receive(pairs[i][1]);
    CHECK_EQ(two.text, "two");
    REQUIRE(two.files.size() == 2);
    REQUIRE(::lseek(shared, i + 3, SEEK_SET) == i + 3);
    CHECK_EQ(::lseek(two.files[0], 0, SEEK_CUR), i + 3);
    CHECK_EQ(::lseek(two.files[1], 0, SEEK_CUR), 2);
    char buffer[16] = {};
    CHECK_EQ(::read(two.files[1], buffer, sizeof buffer), 4);
    CHECK_EQ(std::string(buffer), "cdef");
    Received piped = receive(pairs[i][1]);
    CHECK_EQ(piped.text, "pipe");
    REQUIRE(piped.files.size() == 1);
    CHECK_EQ(::read(piped.files[0], buffer, sizeof buffer), 5);
    CHECK_EQ(std::string(buffer, 5), "piped");
    CHECK_EQ(::read(piped.files[0], buffer, sizeof buffer), 0);
    Received socket = receive(pairs[i][1]);
    REQUIRE(socket.files.size() == 1);
    CHECK_EQ(receive_text(socket.files[0]), "inner");
    CHECK_EQ(receive_text(socket.files[0]), "end");
    CHECK_EQ(receive(pairs[i][1]).text, "after");
    for (int fd : {two.files[0], two.files[1], piped.files[0], socket.files[0]}) ::close(fd);
  }
}
