// SPDX-License-Identifier: Apache-2.0
// TCP, UDP and raw sockets against what ss(8) shows of them: state, queues, names, buffers.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "harness/skip.h"
#include "images/kinds/raw.pb.h"
#include "images/kinds/tcp.pb.h"
#include "images/kinds/udp.pb.h"
#include "kinds/inet.h"
#include "kinds/tcp.h"
#include "oracle/target.h"

using namespace oracle;

namespace {

struct Row {
  std::string protocol, state, local, remote;
  std::uint64_t receive_queue = 0, send_queue = 0, receive_buffer = 0, send_buffer = 0;
};

std::uint64_t number_behind(const std::string& line, const std::string& key) {
  const std::size_t at = line.find(key);
  return at == std::string::npos ? 0 : std::strtoull(line.c_str() + at + key.size(), nullptr, 10);
}

// By inode number.
std::map<std::uint64_t, Row> rows() {
  FILE* pipe = ::popen("ss -H -O -tuwanem", "r");
  REQUIRE(pipe != nullptr);
  std::map<std::uint64_t, Row> found;
  char line[4096];
  while (std::fgets(line, sizeof line, pipe) != nullptr) {
    std::istringstream words(line);
    Row row;
    words >> row.protocol >> row.state >> row.receive_queue >> row.send_queue >> row.local >> row.remote;
    row.receive_buffer = number_behind(line, ",rb");
    row.send_buffer = number_behind(line, ",tb");
    if (const std::uint64_t inode = number_behind(line, " ino:"); inode != 0) found[inode] = row;
  }
  REQUIRE(::pclose(pipe) == 0);
  return found;
}

std::string state_text(std::uint32_t state) {
  const std::string name = bpfckpt::kinds::tcp_state_name(state);
  return name == "ESTABLISHED" ? "ESTAB" : name == "CLOSED" ? "UNCONN" : name;
}

// "*" is said of IPv6 sockets that take IPv4, too; the port of a raw one is its protocol.
void check_name(const std::string& shown, const std::string& address, std::uint32_t port) {
  const std::size_t colon = shown.rfind(':');
  REQUIRE(colon != std::string::npos);
  const std::string shown_port = shown.substr(colon + 1);
  if (bpfckpt::kinds::is_any(address)) {
    const std::string host = shown.substr(0, colon);
    CHECK((host == "*" || host == "0.0.0.0" || host == "[::]"));
    CHECK(shown_port == (port == 0 ? "*" : std::to_string(port)));
  } else {
    CHECK(shown == bpfckpt::kinds::endpoint(address, port));
  }
}

sockaddr_in loopback() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  return address;
}

template <class Address>
int bound(int type, Address address) {
  const int fd = ::socket(reinterpret_cast<sockaddr*>(&address)->sa_family, type, 0);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ::_exit(1);
  return fd;
}

int connected_to(int fd, int type) {
  sockaddr_in address{};
  socklen_t len = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &len);
  const int client = ::socket(AF_INET, type, 0);
  if (::connect(client, reinterpret_cast<sockaddr*>(&address), len) != 0) ::_exit(1);
  return client;
}

// The other end's kernel answers in its own time.
void wait_for(int fd, std::uint8_t state) {
  tcp_info info{};
  do {
    ::usleep(1000);
    socklen_t len = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0) ::_exit(1);
  } while (info.tcpi_state != state || info.tcpi_unacked != 0);
}

void make_sockets() {
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_addr = in6addr_any;
  const int listener = bound(SOCK_STREAM, loopback()), other = bound(SOCK_STREAM, any);
  if (::listen(listener, 7) != 0 || ::listen(other, 100) != 0) ::_exit(1);
  // Nobody accepts it.
  connected_to(listener, SOCK_STREAM);
  const int busy = bound(SOCK_STREAM, loopback());
  ::listen(busy, 5);
  for (int i = 0; i < 3; i++) {
    const int client = connected_to(busy, SOCK_STREAM), server = ::accept(busy, nullptr, nullptr);
    const int bytes = 200'000;
    ::setsockopt(client, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (::write(client, "some bytes", 10) != 10 || ::write(server, "more", 4) != 4) ::_exit(1);
    if (i == 1) ::shutdown(client, SHUT_WR);
    if (i == 2) {
      char all[100];
      if (::read(client, all, sizeof all) != 4 || ::read(server, all, 3) != 3) ::_exit(1);
    }
    wait_for(client, i == 1 ? TCP_FIN_WAIT2 : TCP_ESTABLISHED);
    wait_for(server, i == 1 ? TCP_CLOSE_WAIT : TCP_ESTABLISHED);
  }
  ::bind(::socket(AF_INET, SOCK_STREAM, 0), nullptr, 0);
  connected_to(bound(SOCK_DGRAM, loopback()), SOCK_DGRAM);
  bound(SOCK_DGRAM, any);
  ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

}  // namespace

TEST_CASE("sockets of the Internet families") {
  REQUIRE_FEATURE(::system("ss -V > /dev/null 2>&1") == 0, "program ss");
  const int v6 = ::socket(AF_INET6, SOCK_STREAM, 0);
  REQUIRE_FEATURE(v6 >= 0, "ipv6");
  ::close(v6);
  Target target(make_sockets);
  const auto shown = rows();
  const auto model = model_of(target.pid());
  int seen = 0;
  for (const auto& file : model.files.files()) {
    const auto it = shown.find(file.inode().number());
    if (file.kind() != "tcp" && file.kind() != "udp" && file.kind() != "raw") continue;
    CAPTURE(file.kind());
    // What has no name is in no table.
    if (it == shown.end()) continue;
    const Row& row = it->second;
    CAPTURE(row.local);
    CAPTURE(row.remote);
    bpfckpt::pb::Socket common;
    bpfckpt::pb::InetSocket inet;
    std::uint32_t state = 0;
    if (file.kind() == "tcp") {
      bpfckpt::pb::Tcp tcp;
      REQUIRE(file.detail().UnpackTo(&tcp));
      common = tcp.common(), inet = tcp.inet(), state = tcp.state();
      CHECK(row.protocol == "tcp");
      const bpfckpt::pb::TcpConnection& connection = tcp.connection();
      if (state == bpfckpt::kinds::kTcpListen) {
        CHECK(row.receive_queue == tcp.unaccepted());
        CHECK(row.send_queue == tcp.max_backlog());
      } else if (bpfckpt::kinds::is_connection(tcp)) {
        // The kernel counts a FIN that was received (net/ipv4/tcp_diag.c), and one that was sent.
        CHECK(row.receive_queue == connection.received() - connection.read());
        CHECK(row.send_queue == connection.written() - connection.acknowledged());
      }
    } else if (file.kind() == "udp") {
      bpfckpt::pb::Udp udp;
      REQUIRE(file.detail().UnpackTo(&udp));
      common = udp.common(), inet = udp.inet();
      state = inet.remote_port() != 0 ? bpfckpt::kinds::kTcpEstablished : bpfckpt::kinds::kTcpClose;
      CHECK(row.protocol == "udp");
    } else {
      bpfckpt::pb::Raw raw;
      REQUIRE(file.detail().UnpackTo(&raw));
      common = raw.common(), inet = raw.inet();
      state = bpfckpt::kinds::kTcpClose;
      // Where the kernel has no diag module for raw sockets, ss reads a text that has no word for them.
      CHECK((row.protocol == "raw" || row.protocol == "???"));
    }
    CHECK(row.state == state_text(state));
    CHECK(row.receive_buffer == common.receive_buffer());
    CHECK(row.send_buffer == common.send_buffer());
    if (file.kind() != "raw") {
      const bool connected = inet.remote_port() != 0;
      check_name(row.local, connected ? inet.local_address() : inet.bound_address(), inet.local_port());
      if (connected) CHECK(row.remote == bpfckpt::kinds::endpoint(inet.remote_address(), inet.remote_port()));
    }
    ++seen;
  }
  CHECK(seen >= 13);
}
