// SPDX-License-Identifier: Apache-2.0
// Options of sockets, on a pair and on a listener.
#include <linux/filter.h>
#include <sys/time.h>

#include "harness/cr_unix.h"

namespace {

constexpr int kBufLock = 72, kPeekOff = 42, kPassSec = 34, kTimestampNs = 35, kMark = 36, kLockFilter = 44,
              kPassRights = 83;

std::string bytes_of(int fd, int name) {
  char value[256];
  socklen_t len = sizeof value;
  if (::getsockopt(fd, SOL_SOCKET, name, value, &len) != 0) return "error " + std::to_string(errno);
  std::string text;
  for (socklen_t i = 0; i < len; i++) text += std::to_string(static_cast<unsigned char>(value[i])) + ".";
  return text;
}

}  // namespace

void cr::test() {
  int pair[2], filtered[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 &&
          ::socketpair(AF_UNIX, SOCK_DGRAM, 0, filtered) == 0);
  const int listening = listener(SOCK_STREAM, directory() + "/service");
  set_option(pair[0], SOL_SOCKET, SO_SNDBUF, 20000);
  set_option(pair[0], SOL_SOCKET, SO_RCVBUF, 30000);
  set_option(pair[0], SOL_SOCKET, SO_RCVLOWAT, 5);
  set_option(pair[0], SOL_SOCKET, SO_PRIORITY, 4);
  set_option(pair[0], SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(pair[0], SOL_SOCKET, SO_REUSEADDR, 1);
  set_option(pair[0], SOL_SOCKET, SO_PASSCRED, 1);
  set_option(pair[0], SOL_SOCKET, kPassSec, 1);
  set_option(pair[0], SOL_SOCKET, kTimestampNs, 1);
  set_option(pair[0], SOL_SOCKET, kPeekOff, 3);
  set_option(pair[0], SOL_SOCKET, kMark, 77);
  set_option(pair[1], SOL_SOCKET, SO_SNDBUF, 22222);
  set_option(filtered[0], SOL_SOCKET, SO_PASSCRED, 1);
  const int off = 0;
  ::setsockopt(filtered[0], SOL_SOCKET, kPassRights, &off, sizeof off);  // since 6.16
  ::setsockopt(pair[1], SOL_SOCKET, kBufLock, "\0\0\0", 4);              // since 5.14
  set_option(listening, SOL_SOCKET, SO_RCVBUF, 40000);
  const linger lasting{1, 7};
  const timeval receive_time{3, 500000}, send_time{4, 0};
  REQUIRE(::setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &lasting, sizeof lasting) == 0);
  REQUIRE(::setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &receive_time, sizeof receive_time) == 0);
  REQUIRE(::setsockopt(listening, SOL_SOCKET, SO_SNDTIMEO, &send_time, sizeof send_time) == 0);
  // Lets only what begins with 'y' through; what is in the queue already stays.
  send_text(filtered[0], "no");
  sock_filter program[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
                           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'y', 0, 1), BPF_STMT(BPF_RET | BPF_K, 0xffff),
                           BPF_STMT(BPF_RET | BPF_K, 0)};
  sock_fprog filter{4, program};
  REQUIRE(::setsockopt(filtered[1], SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0);
  set_option(filtered[1], SOL_SOCKET, kLockFilter, 1);
  send_text(pair[1], "0123456789");
  std::string before;
  auto all = [&] {
    std::string text;
    for (int fd : {pair[0], pair[1], listening, filtered[0], filtered[1]})
      for (int name : {SO_SNDBUF, SO_RCVBUF, SO_RCVLOWAT, SO_PRIORITY, SO_KEEPALIVE, SO_REUSEADDR,
                       SO_PASSCRED, kPassSec, kTimestampNs, kPeekOff, kMark, SO_LINGER, SO_RCVTIMEO,
                       SO_SNDTIMEO, kBufLock, kLockFilter, kPassRights})
        text += std::to_string(name) + " " + bytes_of(fd, name) + "\n";
    return text;
  };
  before = all();
  checkpoint_here();
  CHECK_EQ(all(), before);
  CHECK_EQ(receive_text(pair[0], MSG_DONTWAIT | MSG_PEEK), "3456789");
  CHECK_EQ(receive_text(filtered[1]), "no");
  ::send(filtered[0], "never", 5, 0);
  ::send(filtered[0], "yes", 3, 0);
  CHECK_EQ(receive_text(filtered[1]), "yes");
}
