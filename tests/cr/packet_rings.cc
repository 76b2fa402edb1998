// SPDX-License-Identifier: Apache-2.0
// Ring buffers of packet sockets, mapped: what came in before is there, frame by frame and block by block,
// and what comes afterwards comes where the program looks for it; what was to be sent is sent, once; a child
// maps them too, and one socket is open in the child only.
#include <linux/filter.h>
#include <sys/syscall.h>

#include "harness/cr_packet.h"

namespace {

using namespace cr;

constexpr unsigned kBlock = 4096, kFrames = kBlock / kFrame * kBlocks;

struct Frames {
  int fd = -1, version = 0;
  char* memory = nullptr;
  unsigned at = 0;

  std::uint32_t& status() const { return *reinterpret_cast<std::uint32_t*>(memory + at * kFrame); }
  // What is in the next frame, which is given back; "nothing" where none comes.
  std::string take(int patience_ms) {
    for (int i = 0; (__atomic_load_n(&status(), __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0; i++) {
      if (i >= patience_ms) return "nothing";
      ::usleep(1000);
    }
    const char* frame = memory + at * kFrame;
    std::uint32_t mac = 0, len = 0;
    if (version == TPACKET_V1) {
      const auto& header = *reinterpret_cast<const tpacket_hdr*>(frame);
      mac = header.tp_mac, len = header.tp_snaplen;
    } else {
      const auto& header = *reinterpret_cast<const tpacket2_hdr*>(frame);
      mac = header.tp_mac, len = header.tp_snaplen;
    }
    std::string text(frame + mac + 14, len - 14);
    __atomic_store_n(&status(), 0, __ATOMIC_RELEASE);
    at = (at + 1) % kFrames;
    return text;
  }
};

Frames frames(int version) {
  Frames ring{packet_socket(version), version};
  tpacket_req request{kBlock, kBlocks, kFrame, kFrames};
  REQUIRE(::setsockopt(ring.fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) == 0);
  ring.memory = map_of(ring.fd, kBlock * kBlocks);
  return ring;
}

std::string heard(int fd) {
  char buffer[2048];
  const ssize_t n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
  return n < 14 ? "nothing" : std::string(buffer + 14, static_cast<std::size_t>(n) - 14);
}

}  // namespace

cr::Options cr::options() {
  return {};
}

void cr::test() {
  const int sender = ::socket(AF_PACKET, SOCK_RAW, 0);
  if (sender < 0) skip("packet-sockets");
  Frames first = frames(TPACKET_V1), second = frames(TPACKET_V2), full = frames(TPACKET_V2),
         fresh = frames(TPACKET_V2);
  Blocks blocks = ring_of_blocks(20);
  // Only what begins with a letter that is known passes, and that stays so.
  sock_filter only_a[] = {{BPF_LD | BPF_B | BPF_ABS, 0, 0, 14},
                          {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 'a'},
                          {BPF_RET | BPF_K, 0, 0, 65535},
                          {BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog program{4, only_a};
  REQUIRE(::setsockopt(second.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
  set_option(second.fd, SOL_SOCKET, SO_LOCK_FILTER, 1);
  for (const int fd : {first.fd, second.fd, blocks.fd, full.fd}) listen_at_loopback(fd);
  // Once around, and on; some is read.
  for (unsigned i = 0; i < kFrames + 5; i++) {
    say(sender, "a" + std::to_string(i));
    if (i < kFrames + 2) {
      CHECK_EQ(first.take(1000), "a" + std::to_string(i));
      CHECK_EQ(second.take(1000), "a" + std::to_string(i));
    }
  }
  for (std::string texts; texts.find("a20.") == std::string::npos;) {
    const std::string more = blocks.take();
    REQUIRE(more != "nothing");
    texts += more;
  }
  say(sender, "alone");
  const unsigned next_block = blocks.at;
  ::usleep(100'000);  // it is handed over by then

  // What is sent, and is still to be.
  const int sending = packet_socket(TPACKET_V2);
  tpacket_req out{kBlock, kBlocks, kFrame, kFrames};
  REQUIRE(::setsockopt(sending, SOL_PACKET, PACKET_TX_RING, &out, sizeof out) == 0);
  char* outgoing = map_of(sending, kBlock * kBlocks);
  listen_at_loopback(sending);
  const int listener = ::socket(AF_PACKET, SOCK_RAW, 0);
  auto put = [&](unsigned index, const std::string& text) {
    const std::string frame = frame_of(text);
    auto header = reinterpret_cast<tpacket2_hdr*>(outgoing + index * kFrame);
    std::memcpy(outgoing + index * kFrame + TPACKET2_HDRLEN - sizeof(sockaddr_ll), frame.data(),
                frame.size());
    header->tp_len = static_cast<std::uint32_t>(frame.size());
    __atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
  };
  for (unsigned i = 0; i < 3; i++) put(i, "z" + std::to_string(i));
  REQUIRE(::send(sending, nullptr, 0, 0) > 0);
  put(3, "z waits");
  ::usleep(100'000);
  // A ring of one descriptor and two mappings.
  const int lone = packet_socket(TPACKET_V2);
  REQUIRE(::setsockopt(lone, SOL_PACKET, PACKET_RX_RING, &out, sizeof out) == 0);
  char* lonely = map_of(lone, kBlock * kBlocks);
  listen_at_loopback(lone);
  int to_child[2];
  REQUIRE(::pipe(to_child) == 0);
  Child child([&] {
    char go = 0;
    REQUIRE(::read(to_child[0], &go, 1) == 1);
    CHECK_EQ(Frames({lone, TPACKET_V2, lonely}).take(5000), "z waits");
  });
  wait_in_syscall(child.pid(), SYS_read);
  ::close(lone);

  checkpoint_here();

  for (unsigned i = kFrames + 2; i < kFrames + 5; i++) {
    CHECK_EQ(first.take(0), "a" + std::to_string(i));
    CHECK_EQ(second.take(0), "a" + std::to_string(i));
  }
  for (Frames* ring : {&first, &second}) CHECK_EQ(ring->take(0), "alone");
  for (unsigned i = 0; i < 3; i++) CHECK_EQ(first.take(0), "z" + std::to_string(i));
  CHECK_EQ(first.take(0), "nothing");
  CHECK_EQ(second.take(0), "nothing");
  CHECK_EQ(blocks.at, next_block);
  CHECK_EQ(blocks.take(), "alone.");
  for (std::string texts; texts.find("z2.") == std::string::npos;) {
    const std::string more = blocks.take();
    REQUIRE(more != "nothing");
    texts += more;
    CHECK(texts.size() <= 9);
  }
  CHECK_EQ(fresh.take(0), "nothing");
  // A full one has lost what came last.
  for (unsigned i = 0; i < kFrames; i++) CHECK_EQ(full.take(0), "a" + std::to_string(i));
  CHECK_EQ(full.take(0), "nothing");

  const sockaddr_ll name = on_loopback(kOurs);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  CHECK(::send(sending, nullptr, 0, 0) > 0);
  CHECK_EQ(heard(listener), "z waits");
  put(4, "z after");
  CHECK(::send(sending, nullptr, 0, 0) > 0);
  CHECK_EQ(heard(listener), "z after");
  CHECK_EQ(heard(listener), "nothing");
  for (Frames* ring : {&first, &full}) {
    CHECK_EQ(ring->take(1000), "z waits");
    CHECK_EQ(ring->take(1000), "z after");
  }
  for (unsigned i = 0; i < 2 * kFrames; i++) {
    say(sender, "a later " + std::to_string(i));
    say(sender, "b");
    CHECK_EQ(second.take(1000), "a later " + std::to_string(i));
    CHECK_EQ(first.take(1000), "a later " + std::to_string(i));
    CHECK_EQ(first.take(1000), "b");
  }
  std::string texts;
  while (texts.find("a later 3.b.") == std::string::npos) {
    const std::string more = blocks.take();
    REQUIRE(more != "nothing");
    texts += more;
  }
  CHECK_EQ(fresh.take(0), "nothing");
  listen_at_loopback(fresh.fd);
  say(sender, "a first");
  CHECK_EQ(fresh.take(1000), "a first");

  REQUIRE(::write(to_child[1], "g", 1) == 1);
  child.join();
}
