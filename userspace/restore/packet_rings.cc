// SPDX-License-Identifier: Apache-2.0
#include "restore/packet_rings.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "kinds/names.h"
#include "kinds/packet.h"

namespace bpfckpt::restore {
namespace {

using kinds::RingLayout;

constexpr std::uint16_t kProtocol = 0x88b5;  // ETH_P_802_EX1: for experiments
constexpr std::chrono::milliseconds kPatience{30000};
constexpr std::size_t kShortBytes = 60;
constexpr std::size_t kLongBytes = 60000;
constexpr int kLockFilter = 44;               // SO_LOCK_FILTER
constexpr int kVnetHeaderSize = 24;           // PACKET_VNET_HDR_SZ, since 6.6
constexpr std::size_t kUsualVnetHeader = 10;  // struct virtio_net_hdr

template <class Done>
bool wait_until(std::chrono::milliseconds patience, Done done) {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (int i = 0; !done(); i++) {
    if (std::chrono::steady_clock::now() >= end) return false;
    if (i < 100)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

sockaddr_ll on_loopback(std::uint16_t protocol) {
  sockaddr_ll name{};
  name.sll_family = AF_PACKET;
  name.sll_protocol = htons(protocol);
  name.sll_ifindex = static_cast<int>(::if_nametoindex("lo"));
  name.sll_halen = ETH_ALEN;
  return name;
}

// A frame from nobody to nobody.
std::string frame_of(std::size_t len_bytes) {
  std::string frame(len_bytes, '\0');
  const std::uint16_t type = htons(kProtocol);
  std::memcpy(frame.data() + offsetof(ethhdr, h_proto), &type, sizeof type);
  return frame;
}

// Sends frames that are told from everybody else's by their first bytes.
class Loopback {
 public:
  Result<void> open() {
    if (::getrandom(&mark_, sizeof mark_, 0) != sizeof mark_) return fail(Error::system("getrandom"));
    fd_.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!fd_) return fail(Error::system("packet socket"));
    ifreq ask{};
    std::memcpy(ask.ifr_name, "lo", 3);
    if (::ioctl(fd_.get(), SIOCGIFMTU, &ask) == 0)
      long_bytes_ = std::min(kLongBytes, static_cast<std::size_t>(std::max(ask.ifr_mtu, 1000)));
    return {};
  }
  // `fd` hears nothing else.
  Result<void> let_hear(int fd, bool headers) {
    std::uint32_t words[2];
    std::memcpy(words, &mark_, sizeof words);
    const std::uint32_t at = headers ? ETH_HLEN : 0;
    sock_filter code[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, at},     {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, ntohl(words[0])},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, at + 4}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ntohl(words[1])},
        {BPF_RET | BPF_K, 0, 0, UINT32_MAX},      {BPF_RET | BPF_K, 0, 0, 0}};
    const sock_fprog program{std::size(code), code};
    if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
      return fail(Error::system("filter"));
    return {};
  }
  // Long ones have no more than these bytes, if they can.
  void shorten(std::int64_t most_bytes) {
    long_bytes_ = std::clamp<std::int64_t>(most_bytes, kShortBytes, static_cast<std::int64_t>(long_bytes_));
  }
  Result<void> send_short() { return send(kShortBytes); }
  Result<void> send_long() { return send(long_bytes_); }

 private:
  Result<void> send(std::size_t len_bytes) {
    std::string frame = frame_of(len_bytes);
    std::memcpy(frame.data() + ETH_HLEN, &mark_, sizeof mark_);
    const sockaddr_ll to = on_loopback(kProtocol);
    if (::sendto(fd_.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                 sizeof to) < 0)
      return fail(Error::system("send over the loopback device"));
    return {};
  }
  Fd fd_;
  std::uint64_t mark_ = 0;
  std::size_t long_bytes_ = kShortBytes;
};

class One {
 public:
  One(const image::ImageReader& reader, const pb::PacketSocket& socket, int fd)
      : reader_(reader), socket_(socket), fd_(fd) {}

  Result<void> run() {
    const std::size_t len_bytes = kinds::rings_bytes(socket_);
    void* base = ::mmap(nullptr, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (base == MAP_FAILED) return fail(Error::system("mmap of the ring buffers"));
    const Mapping memory(base, len_bytes);
    char* receive = reinterpret_cast<char*>(memory.data());
    const RingLayout receiving(socket_.receive_ring(), socket_.version(), true);
    const RingLayout sending(socket_.send_ring(), socket_.version(), false);
    char* send = receive + receiving.size_bytes();
    if (socket_.has_receive_ring()) {
      if (socket_.receive_ring().position() != 0) TRY(turn_receiving(receiving, receive));
      TRY(fill(socket_.receive_ring(), receiving, receive));
    }
    if (socket_.has_send_ring()) {
      if (socket_.send_ring().position() != 0) TRY(turn_sending(sending, send));
      TRY(fill(socket_.send_ring(), sending, send));
    }
    // Reading them sets them to zero.
    tpacket_stats_v3 statistics{};
    socklen_t len = sizeof statistics;
    ::getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &statistics, &len);
    return {};
  }

  Result<void> finish() {
    auto set = [&](int level, int name, const auto& value, const char* what) -> Result<void> {
      if (::setsockopt(fd_, level, name, &value, sizeof value) != 0) return fail(Error::system(what));
      return {};
    };
    auto set_filter = [&]() -> Result<void> {
      const std::string& filter = socket_.common().filter();
      const int unused = 0;
      if (filter.empty())
        return bound_ ? set(SOL_SOCKET, SO_DETACH_FILTER, unused, "no filter") : Result<void>{};
      std::vector<sock_filter> program(filter.size() / sizeof(sock_filter));
      std::memcpy(program.data(), filter.data(), program.size() * sizeof(sock_filter));
      return set(SOL_SOCKET, SO_ATTACH_FILTER,
                 sock_fprog{static_cast<unsigned short>(program.size()), program.data()}, "filter");
    };
    // The filter that heard only us keeps out what comes between; where there was none, nothing comes before
    // bind(2).
    if (!bound_) TRY(set_filter());
    if (bound_ || socket_.protocol() != 0 || socket_.interface() != 0) {
      sockaddr_ll name = on_loopback(static_cast<std::uint16_t>(socket_.protocol()));
      name.sll_ifindex = static_cast<int>(socket_.interface());
      TRY(bind(name));
    }
    if (bound_) TRY(set_filter());
    for (const pb::SocketOption& option : socket_.common().options())
      if (option.level() == SOL_SOCKET && option.name() == kLockFilter)
        TRY(set(SOL_SOCKET, kLockFilter, 1, "lock of the filter"));
    if (socket_.has_fanout()) TRY(set(SOL_PACKET, PACKET_FANOUT, socket_.fanout(), "group"));
    return {};
  }

 private:
  Result<void> bind(const sockaddr_ll& name) {
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
      return fail(Error::system("bind"));
    return {};
  }

  Result<void> turn_receiving(const RingLayout& layout, char* memory) {
    Loopback loopback;
    TRY(loopback.open());
    TRY(loopback.let_hear(fd_, socket_.common().type() == SOCK_RAW));
    TRY(bind(on_loopback(kProtocol)));
    bound_ = true;
    const std::uint32_t position = socket_.receive_ring().position();
    auto taken = [&](std::uint32_t index) { return layout.status(memory, index) != TP_STATUS_KERNEL; };
    if (layout.of_blocks()) return turn_blocks(layout, memory, loopback);
    for (std::uint32_t i = 0; i < position; i++) {
      TRY(loopback.send_short());
      if (!wait_until(kPatience, [&] { return taken(i); })) return does_not_turn(i);
    }
    return {};
  }

  // What a packet may have so that an empty block has room for it: one that has not goes to the next block,
  // past an empty one that time has just begun.
  std::int64_t room_of_block() const {
    constexpr std::int64_t kHeads =
        48 + 256;  // struct tpacket_block_desc; struct tpacket3_hdr and what is aligned
    std::uint32_t reserve = 0;
    socklen_t len = sizeof reserve;
    ::getsockopt(fd_, SOL_PACKET, PACKET_RESERVE, &reserve, &len);
    const pb::PacketRing& ring = socket_.receive_ring();
    return std::int64_t{ring.block_bytes()} - ring.private_bytes() - reserve - kHeads;
  }

  // A packet that has no room in a block is the first of the next one: the last block is left to time, by
  // which the kernel hands over what has packets.
  Result<void> turn_blocks(const RingLayout& layout, const char* memory, Loopback& loopback) {
    loopback.shorten(room_of_block());
    const std::uint32_t last = socket_.receive_ring().position() - 1;
    auto taken = [&](std::uint32_t index) { return layout.status(memory, index) != TP_STATUS_KERNEL; };
    auto packets = [&](std::uint32_t index) -> std::uint32_t {
      auto block = reinterpret_cast<const volatile tpacket_block_desc*>(memory + layout.offset(index));
      return block->hdr.bh1.num_pkts;
    };
    auto all_packets = [&] {
      std::uint32_t sum = 0;
      for (std::uint32_t i = 0; i <= last + 1; i++) sum += packets(i);
      return sum;
    };
    const auto retire = std::chrono::milliseconds(socket_.receive_ring().retire_ms());
    std::uint32_t sent = 0;
    for (std::uint32_t at = 0; at <= last;) {
      if (taken(at)) {
        at++;
        continue;
      }
      if (at == last && packets(last) != 0) {
        if (!wait_until(kPatience + 4 * retire, [&] { return taken(last); })) return does_not_turn(at);
        continue;
      }
      TRY(at == last ? loopback.send_short() : loopback.send_long());
      // One after the other, so that none is on its way when the kernel is where it has to be.
      sent++;
      if (!wait_until(kPatience, [&] { return all_packets() == sent; })) return does_not_turn(at);
    }
    return packets(last + 1) == 0 ? Result<void>{} : does_not_turn(last + 1);
  }

  static Result<void> does_not_turn(std::uint32_t at) {
    return fail(Error::system(fmt::format("it does not turn beyond {}", at), EIO));
  }

  // As many frames are sent.
  Result<void> turn_sending(const RingLayout& layout, char* memory) {
    const std::uint32_t position = socket_.send_ring().position();
    const std::string frame = outgoing();
    for (std::uint32_t i = 0; i < position; i++) TRY(put(layout, memory, i, frame));
    const sockaddr_ll to = on_loopback(kProtocol);
    if (::sendto(fd_, nullptr, 0, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
      return fail(Error::system("send from the ring"));
    const bool sent = wait_until(kPatience, [&] {
      for (std::uint32_t i = 0; i < position; i++)
        if (layout.status(memory, i) != TP_STATUS_AVAILABLE) return false;
      return true;
    });
    return sent ? Result<void>{} : does_not_turn(0);
  }

  std::string outgoing() {
    auto option = [&](int name) {
      int value = 0;
      socklen_t len = sizeof value;
      return ::getsockopt(fd_, SOL_PACKET, name, &value, &len) == 0 && value > 0
                 ? static_cast<std::size_t>(value)
                 : 0;
    };
    std::size_t header = option(kVnetHeaderSize);
    if (header == 0 && option(PACKET_VNET_HDR) != 0) header = kUsualVnetHeader;
    const std::string frame = frame_of(ETH_HLEN + 4);
    return std::string(header, '\0') + (socket_.common().type() == SOCK_RAW ? frame : frame.substr(ETH_HLEN));
  }

  Result<void> put(const RingLayout& layout, char* memory, std::uint32_t index, const std::string& frame) {
    char* at = memory + layout.offset(index);
    // net/packet/af_packet.c: tp_hdrlen without its address
    auto put_header = [&](auto header) -> Result<void> {
      const std::size_t data = TPACKET_ALIGN(sizeof header);
      if (data + frame.size() > layout.unit_bytes())
        return fail(Error::unsupported("frames of its ring are too short to be sent"));
      std::memset(&header, 0, sizeof header);
      header.tp_len = static_cast<decltype(header.tp_len)>(frame.size());
      header.tp_mac = header.tp_net = static_cast<decltype(header.tp_mac)>(data);
      std::memcpy(at, &header, sizeof header);
      std::memcpy(at + data, frame.data(), frame.size());
      layout.set_status(memory, index, TP_STATUS_SEND_REQUEST);
      return {};
    };
    if (socket_.version() == TPACKET_V1) return put_header(tpacket_hdr{});
    if (socket_.version() == TPACKET_V2) return put_header(tpacket2_hdr{});
    return put_header(tpacket3_hdr{});
  }

  // The block that the kernel fills is its own: it begins anew.
  Result<void> fill(const pb::PacketRing& ring, const RingLayout& layout, char* memory) {
    TRY_ASSIGN(const Fd image, reader_.open_raw(ring.content().image()));
    auto copy = [&](std::size_t from, std::size_t end) -> Result<void> {
      for (std::size_t done = from; done < end;) {
        const ssize_t n = ::pread(image.get(), memory + done, end - done,
                                  static_cast<off_t>(ring.content().extents(0).image_offset() + done));
        if (n <= 0) return fail(Error::system("read what was in the ring", n < 0 ? errno : EIO));
        done += static_cast<std::size_t>(n);
      }
      return {};
    };
    if (!layout.of_blocks()) return copy(0, layout.size_bytes());
    TRY(copy(0, layout.offset(ring.position())));
    return copy(layout.offset(ring.position()) + layout.unit_bytes(), layout.size_bytes());
  }

  const image::ImageReader& reader_;
  const pb::PacketSocket& socket_;
  const int fd_;
  bool bound_ = false;
};

// Through a descriptor of whoever has it.
Result<Fd> fetch(const image::ImageReader& reader, std::uint32_t file_id) {
  for (const pb::Process& process : reader.model().tasks.processes()) {
    const pb::FdTable* table = reader.index().fd_table(process.fd_table_id());
    if (process.state() == pb::ZOMBIE || table == nullptr) continue;
    for (const pb::FdEntry& entry : table->entries()) {
      if (entry.file_id() != file_id) continue;
      Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid(), 0)));
      if (!pidfd)
        pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, process.pid(), O_EXCL)));  // PIDFD_THREAD
      if (!pidfd) return fail(Error::system(fmt::format("pidfd_open({})", process.pid())));
      Fd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), entry.fd(), 0)));
      if (!fd) return fail(Error::system("pidfd_getfd"));
      return fd;
    }
  }
  return fail(Error::bad_image("nobody has it"));
}

}  // namespace

Result<void> fill_packet_rings(const image::ImageReader& reader, const std::vector<std::uint32_t>& given) {
  struct Ring {
    const pb::File* file;
    pb::PacketSocket socket;
    Fd fd;
    std::optional<One> work;
  };
  std::vector<Ring> rings;
  for (const pb::File& file : reader.model().files.files()) {
    if (!kinds::has_packet_ring(file) || std::ranges::find(given, file.id()) != given.end()) continue;
    TRY_ASSIGN(const pb::PacketSocket socket, kinds::packet_of(file));
    TRY_ASSIGN(Fd fd, fetch(reader, file.id()), "{}", kinds::describe_name(file));
    rings.push_back({&file, socket, std::move(fd), {}});
  }
  // By the frames that turn one no other is reached that listens as it did.
  for (Ring& ring : rings) {
    ring.work.emplace(reader, ring.socket, ring.fd.get());
    TRY(ring.work->run(), "{}: ring buffers", kinds::describe_name(*ring.file));
  }
  for (Ring& ring : rings) TRY(ring.work->finish(), "{}: ring buffers", kinds::describe_name(*ring.file));
  return {};
}

}  // namespace bpfckpt::restore
