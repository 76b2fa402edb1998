// SPDX-License-Identifier: Apache-2.0
// Classic filters (SO_ATTACH_FILTER) of Internet sockets, read back as they were set; what was there before
// them stays, and they filter what comes afterwards. SO_LINGER of a connection, on and off and with no time
// at all.
#include <linux/filter.h>

#include "harness/cr_net.h"

namespace {

constexpr int kGetFilter = 26, kLockFilter = 44;

// Only payloads that begin with 'y' pass; `at`: where a payload begins.
void attach(int fd, std::uint32_t at) {
  sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at),
                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'y', 0, 1), BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
                        BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog program{4, code};
  REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
}

// Everything passes.
void attach_open(int fd) {
  sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, 0xfffffff)};
  const sock_fprog program{2, code};
  REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
}

std::string filter_of(int fd) {
  sock_filter code[16];
  socklen_t count = 16;
  REQUIRE(::getsockopt(fd, SOL_SOCKET, kGetFilter, code, &count) == 0);
  std::string text;
  for (socklen_t i = 0; i < count; i++)
    text += std::to_string(code[i].code) + "," + std::to_string(code[i].k) + "," +
            std::to_string(code[i].jt) + "," + std::to_string(code[i].jf) + " ";
  return text;
}

std::string lingering(int fd) {
  linger value{};
  socklen_t len = sizeof value;
  REQUIRE(::getsockopt(fd, SOL_SOCKET, SO_LINGER, &value, &len) == 0);
  return std::to_string(value.l_onoff) + " " + std::to_string(value.l_linger);
}

}  // namespace

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

void cr::test() {
  for (const char* host : {"127.0.0.1", "::1"}) {
    Address a = address(host, 0);
    const int family = a.storage.ss_family;
    const int datagrams = ::socket(family, SOCK_DGRAM, 0), raw = ::socket(family, SOCK_RAW, 253);
    REQUIRE(::bind(datagrams, a.get(), a.len) == 0);
    Address to = name_of(datagrams);
    const int sender = ::socket(family, SOCK_DGRAM, 0);
    auto send = [&](const char* text) {
      REQUIRE(::sendto(sender, text, std::strlen(text), 0, to.get(), to.len) > 0);
    };
    send("no, but before");
    attach(datagrams, 8);  // of a UDP socket the header comes first
    set_option(datagrams, SOL_SOCKET, kLockFilter, 1);
    attach(raw, 0);
    const int listener = listener_on(host);
    attach_open(listener);  // and what it accepts
    const Connection c = connect_to(listener), now = connect_to(listener), off = connect_to(listener);
    const linger lasting{1, 33}, at_once{1, 0}, not_set{0, 44};
    REQUIRE(::setsockopt(c.client, SOL_SOCKET, SO_LINGER, &lasting, sizeof lasting) == 0);
    REQUIRE(::setsockopt(now.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    REQUIRE(::setsockopt(off.client, SOL_SOCKET, SO_LINGER, &not_set, sizeof not_set) == 0);
    send_all(now.client, "unread");
    const std::string filters =
        filter_of(datagrams) + filter_of(raw) + filter_of(listener) + filter_of(c.server);
    const std::string lingers =
        lingering(c.client) + ", " + lingering(now.client) + ", " + lingering(off.client).substr(0, 1);

    checkpoint_here();

    CHECK_EQ(filter_of(datagrams) + filter_of(raw) + filter_of(listener) + filter_of(c.server), filters);
    CHECK_EQ(lingering(c.client) + ", " + lingering(now.client) + ", " + lingering(off.client).substr(0, 1),
             lingers);
    CHECK_EQ(option(datagrams, SOL_SOCKET, kLockFilter), 1);
    char bytes[32];
    CHECK(::recv(datagrams, bytes, sizeof bytes, MSG_DONTWAIT) == 14 && bytes[0] == 'n');
    send("no");
    send("yes");
    CHECK(::recv(datagrams, bytes, sizeof bytes, 0) == 3 && bytes[0] == 'y');
    CHECK_EQ(receive(now.server, 6), "unread");
    // Closed with no time to linger it is reset.
    ::close(now.client);
    CHECK(::recv(now.server, bytes, 1, 0) < 0 && errno == ECONNRESET);
    exchange(off);
    exchange(c);
    exchange(connect_to(listener));
  }
}
