// SPDX-License-Identifier: Apache-2.0
// What an image says of Internet sockets is not believed.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>

#include "harness/kind_plan.h"
#include "images/kinds/packet.pb.h"
#include "images/kinds/raw.pb.h"
#include "images/kinds/tcp.pb.h"
#include "images/kinds/udp.pb.h"

using namespace bpfckpt;

namespace {

const std::string kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);

template <class Message>
Message sound(std::uint32_t type, std::uint32_t protocol) {
  Message message;
  message.mutable_common()->set_family(AF_INET);
  message.mutable_common()->set_type(type);
  message.mutable_common()->set_protocol(protocol);
  for (std::string* address :
       {message.mutable_inet()->mutable_local_address(), message.mutable_inet()->mutable_bound_address(),
        message.mutable_inet()->mutable_remote_address()})
    *address = kMapped;
  return message;
}

pb::Tcp established() {
  auto tcp = sound<pb::Tcp>(SOCK_STREAM, IPPROTO_TCP);
  tcp.set_state(1);
  tcp.mutable_inet()->set_local_port(80);
  tcp.mutable_inet()->set_remote_port(4711);
  return tcp;
}

bool is_refused(const pb::File& file) {
  return kind_plan::text_of(file).starts_with("bad image: ");
}

bool tcp_refused(const std::function<void(pb::Tcp&)>& change) {
  pb::Tcp tcp = established();
  change(tcp);
  return is_refused(kind_plan::file_with("tcp", tcp));
}

}  // namespace

TEST_CASE("tcp") {
  CHECK_FALSE(tcp_refused([](pb::Tcp&) {}));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.set_state(0); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.set_state(3); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.set_state(6); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.set_state(12); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.mutable_common()->set_family(AF_UNIX); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.mutable_inet()->set_local_address("short"); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.mutable_inet()->set_remote_address(std::string(16, 'x')); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.mutable_inet()->set_remote_port(65536); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.set_user_mss(65536); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.mutable_connection()->set_send_scale(15); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.mutable_connection()->set_mss(1 << 20); }));
  // Bytes without a place, of which there are more than a queue can have, or other than said.
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.mutable_connection()->mutable_unread()->set_size(7); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) {
    pb::Content& content = *tcp.mutable_connection()->mutable_unacknowledged();
    content.set_size(std::uint64_t{1} << 40);
    content.add_extents()->set_length(std::uint64_t{1} << 40);
  }));
  CHECK(tcp_refused([](pb::Tcp& tcp) {
    pb::Content& content = *tcp.mutable_connection()->mutable_unread();
    content.set_size(10);
    content.add_extents()->set_length(11);
  }));
  CHECK(tcp_refused([](pb::Tcp& tcp) { tcp.set_options_like(99); }));
  CHECK(tcp_refused([](pb::Tcp& tcp) {
    for (int i = 0; i < 1000; i++) tcp.mutable_inet()->add_options();
  }));
  CHECK(
      tcp_refused([](pb::Tcp& tcp) { tcp.mutable_inet()->add_options()->set_value(std::string(65, 'x')); }));
}

TEST_CASE("details of another type") {
  for (const char* kind : {"tcp", "udp", "raw", "packet"}) {
    CAPTURE(kind);
    CHECK(is_refused(kind_plan::file_with(kind, pb::Content())));
  }
}

TEST_CASE("datagrams") {
  auto refused = [](const std::function<void(pb::Udp&, pb::Datagram&)>& change) {
    auto udp = sound<pb::Udp>(SOCK_DGRAM, IPPROTO_UDP);
    pb::Datagram& datagram = *udp.add_datagrams();
    datagram.set_source(kMapped);
    datagram.set_destination(kMapped);
    datagram.set_source_port(53);
    datagram.set_length(5);
    datagram.set_payload("bytes");
    change(udp, datagram);
    return is_refused(kind_plan::file_with("udp", udp));
  };
  CHECK_FALSE(refused([](pb::Udp&, pb::Datagram&) {}));
  CHECK(refused([](pb::Udp&, pb::Datagram& it) { it.set_source("short"); }));
  CHECK(refused([](pb::Udp&, pb::Datagram& it) { it.set_destination(""); }));
  CHECK(refused([](pb::Udp&, pb::Datagram& it) { it.set_source(std::string(16, '\1')); }));
  CHECK(refused([](pb::Udp&, pb::Datagram& it) {
    it.set_source(std::string(16, '\1'));
    it.set_destination(std::string(16, '\1'));
  }));
  CHECK(refused([](pb::Udp&, pb::Datagram& it) { it.set_source_port(65536); }));
  CHECK(refused([](pb::Udp&, pb::Datagram& it) { it.set_length(6); }));
  CHECK(refused([](pb::Udp&, pb::Datagram& it) {
    it.set_length(65508);
    it.set_payload(std::string(65508, 'x'));
  }));
  CHECK(refused([](pb::Udp&, pb::Datagram& it) { it.set_ttl(256); }));
  CHECK(refused([](pb::Udp&, pb::Datagram& it) { it.set_tos(256); }));
  CHECK(refused([](pb::Udp& udp, pb::Datagram&) { udp.mutable_common()->set_protocol(IPPROTO_ICMP); }));
}

TEST_CASE("packet") {
  auto refused = [](const std::function<void(pb::PacketSocket&)>& change) {
    pb::PacketSocket socket;
    socket.mutable_common()->set_family(AF_PACKET);
    socket.mutable_common()->set_type(SOCK_RAW);
    socket.set_protocol(0x800);
    socket.add_memberships()->set_count(1);
    change(socket);
    return is_refused(kind_plan::file_with("packet", socket));
  };
  CHECK_FALSE(refused([](pb::PacketSocket&) {}));
  CHECK(refused([](pb::PacketSocket& it) { it.mutable_common()->set_family(AF_INET); }));
  CHECK(refused([](pb::PacketSocket& it) { it.set_protocol(0x10000); }));
  CHECK(refused([](pb::PacketSocket& it) { it.mutable_memberships(0)->set_count(0); }));
  CHECK(refused([](pb::PacketSocket& it) { it.mutable_memberships(0)->set_count(1u << 31); }));
  CHECK(refused([](pb::PacketSocket& it) { it.mutable_memberships(0)->set_type(0x10000); }));
  CHECK(refused([](pb::PacketSocket& it) { it.mutable_memberships(0)->set_address("more than 8"); }));
  CHECK(refused([](pb::PacketSocket& it) {
    for (int i = 0; i < 8; i++) it.add_memberships()->set_count(1);
  }));
  CHECK(refused([](pb::PacketSocket& it) {
    it.set_has_fanout(true);
    it.set_fanout(7 << 16);
  }));
}

TEST_CASE("rings of packets") {
  auto refused = [](const std::function<void(pb::PacketSocket&, pb::PacketRing&)>& change) {
    pb::PacketSocket socket;
    socket.mutable_common()->set_family(AF_PACKET);
    socket.mutable_common()->set_type(SOCK_RAW);
    socket.set_version(1);
    pb::PacketRing& ring = *socket.mutable_receive_ring();
    ring.set_blocks(4);
    ring.set_block_bytes(4096);
    ring.set_frame_bytes(1024);
    ring.set_frames(16);
    ring.set_position(15);
    ring.mutable_content()->set_image("contents");
    ring.mutable_content()->set_size(16384);
    ring.mutable_content()->add_extents()->set_length(16384);
    change(socket, ring);
    return is_refused(kind_plan::file_with("packet", socket));
  };
  CHECK_FALSE(refused([](pb::PacketSocket&, pb::PacketRing&) {}));
  CHECK(refused([](pb::PacketSocket& it, pb::PacketRing&) { it.set_version(3); }));
  CHECK(refused([](pb::PacketSocket& it, pb::PacketRing&) { it.mutable_send_ring(); }));
  CHECK(refused([](pb::PacketSocket&, pb::PacketRing& ring) { ring.set_blocks(0); }));
  CHECK(refused([](pb::PacketSocket&, pb::PacketRing& ring) { ring.set_blocks(5); }));
  CHECK(refused([](pb::PacketSocket&, pb::PacketRing& ring) { ring.set_block_bytes(4095); }));
  CHECK(refused([](pb::PacketSocket&, pb::PacketRing& ring) { ring.set_frame_bytes(0); }));
  CHECK(refused([](pb::PacketSocket&, pb::PacketRing& ring) { ring.set_frame_bytes(8192); }));
  CHECK(refused([](pb::PacketSocket&, pb::PacketRing& ring) { ring.set_frames(17); }));
  CHECK(refused([](pb::PacketSocket&, pb::PacketRing& ring) { ring.set_position(16); }));
  CHECK(refused([](pb::PacketSocket& it, pb::PacketRing&) { it.set_version(2); }));  // of 4 blocks
  CHECK(refused([](pb::PacketSocket&, pb::PacketRing& ring) { ring.mutable_content()->set_size(1); }));
  CHECK(refused([](pb::PacketSocket&, pb::PacketRing& ring) { ring.mutable_content()->clear_extents(); }));
}

TEST_CASE("udp and raw") {
  const auto udp = sound<pb::Udp>(SOCK_DGRAM, IPPROTO_UDP);
  CHECK_FALSE(is_refused(kind_plan::file_with("udp", udp)));
  const auto raw = sound<pb::Raw>(SOCK_RAW, IPPROTO_ICMP);
  CHECK_FALSE(is_refused(kind_plan::file_with("raw", raw)));
  auto change = [&](const std::function<void(pb::InetSocket&)>& apply) {
    pb::Udp bad = udp;
    apply(*bad.mutable_inet());
    return is_refused(kind_plan::file_with("udp", bad));
  };
  CHECK(change([](pb::InetSocket& inet) { inet.set_bound_address(""); }));
  CHECK(change([](pb::InetSocket& inet) { inet.set_multicast_address("12345"); }));
  CHECK(change([](pb::InetSocket& inet) { inet.add_memberships()->set_group("12"); }));
  CHECK(change([](pb::InetSocket& inet) {
    pb::Membership& membership = *inet.add_memberships();
    membership.set_group("1234");
    membership.add_sources("12345");
  }));
  CHECK(change([](pb::InetSocket& inet) {
    pb::Membership& membership = *inet.add_memberships();
    membership.set_group("1234");
    membership.set_mode(2);
  }));
}
