// SPDX-License-Identifier: Apache-2.0
// Ring buffers of packet sockets: memory in which the kernel and the program hand frames, or blocks of them,
// to one another by a word of each.
//
// Where the kernel is, no call says; BPF has seen it. What came in since then is in the frames that follow,
// so that the kernel is at the first of them which is its own. Frames that were on their way out are sent.
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cstring>
#include <set>

#include "base/fd.h"
#include "kinds/io_uring_map.h"
#include "kinds/packet.h"
#include "model/vm_flags.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint64_t kMostRingBytes = std::uint64_t{1} << 32;
constexpr std::uint32_t kPage = 4096;

Result<void> settle_receiving(const RingLayout& layout, const char* memory, pb::PacketRing& ring,
                              std::uint32_t version) {
  std::uint32_t at = ring.position();
  for (std::uint32_t i = 0; i < layout.count(); i++, at = (at + 1) % layout.count()) {
    if (layout.status(memory, at) != TP_STATUS_KERNEL) continue;
    ring.set_position(at);
    return {};
  }
  // All are the program's: the kernel waits where it was. With blocks that is the one which comes next for
  // the program, too, and a new ring cannot be told to wait at a block that is full.
  if (version == TPACKET_V3)
    return fail(Error::unsupported("every block of a ring (TPACKET_V3) waits for the program to read it"));
  return {};
}

void settle_sending(const RingLayout& layout, char* memory) {
  for (std::uint32_t i = 0; i < layout.count(); i++)
    if (layout.status(memory, i) == TP_STATUS_SENDING) layout.set_status(memory, i, TP_STATUS_AVAILABLE);
}

int protection(const pb::Vma& vma) {
  return static_cast<int>(vma.flags() & (vm::kRead | vm::kWrite | vm::kExec));  // the same numbers
}

Result<void> check_ring(const pb::PacketRing& ring, std::uint32_t version, bool receives) {
  auto bad = [](std::string_view why) { return fail(Error::bad_image(fmt::format("packet ring: {}", why))); };
  const RingLayout layout(ring, version, receives);
  if (ring.blocks() == 0 || ring.block_bytes() == 0 || ring.block_bytes() % kPage != 0 ||
      layout.size_bytes() > kMostRingBytes)
    return bad("bad blocks");
  if (ring.frame_bytes() < 2 * TPACKET_ALIGNMENT || ring.frame_bytes() % TPACKET_ALIGNMENT != 0 ||
      ring.frame_bytes() > ring.block_bytes() ||
      ring.frames() != std::uint64_t{ring.blocks()} * (ring.block_bytes() / ring.frame_bytes()))
    return bad("bad frames");
  if (ring.position() >= layout.count()) return bad("it is at no frame");
  if (ring.content().size() != layout.size_bytes() || ring.content().extents_size() != 1 ||
      ring.content().extents(0).length() != layout.size_bytes())
    return bad("not its content");
  return {};
}

}  // namespace

std::size_t RingLayout::offset(std::uint32_t index) const {
  if (of_blocks()) return std::size_t{index} * ring_.block_bytes();
  const std::uint32_t by_block = ring_.block_bytes() / ring_.frame_bytes();
  return std::size_t{index / by_block} * ring_.block_bytes() +
         std::size_t{index % by_block} * ring_.frame_bytes();
}

std::size_t RingLayout::status_offset() const {
  if (of_blocks()) return offsetof(tpacket_block_desc, hdr.bh1.block_status);
  return version_ == TPACKET_V3 ? offsetof(tpacket3_hdr, tp_status) : 0;
}

std::uint32_t RingLayout::status(const char* memory, std::uint32_t index) const {
  return *reinterpret_cast<const volatile std::uint32_t*>(memory + offset(index) + status_offset());
}

// TPACKET_V1 has a long there, of which the upper half is always 0.
void RingLayout::set_status(char* memory, std::uint32_t index, std::uint32_t status) const {
  __atomic_store_n(reinterpret_cast<std::uint32_t*>(memory + offset(index) + status_offset()), status,
                   __ATOMIC_SEQ_CST);
}

bool has_ring(const pb::PacketSocket& socket) {
  return socket.has_receive_ring() || socket.has_send_ring();
}

std::size_t rings_bytes(const pb::PacketSocket& socket) {
  return RingLayout(socket.receive_ring(), socket.version(), true).size_bytes() +
         RingLayout(socket.send_ring(), socket.version(), false).size_bytes();
}

Result<void> read_rings(EnrichContext& context, int fd, pb::PacketSocket& socket) {
  if (!has_ring(socket)) return {};
  void* base = ::mmap(nullptr, rings_bytes(socket), PROT_READ, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return fail(Error::system("mmap of the ring buffers"));
  const Mapping memory(base, rings_bytes(socket));
  auto from = reinterpret_cast<const char*>(memory.data());
  auto take = [&](pb::PacketRing& ring, bool receives) -> Result<void> {
    const RingLayout layout(ring, socket.version(), receives);
    std::string copy(from, layout.size_bytes());
    from += layout.size_bytes();
    if (receives)
      TRY(settle_receiving(layout, copy.data(), ring, socket.version()));
    else
      settle_sending(layout, copy.data());
    return context.add_content(copy, *ring.mutable_content());
  };
  if (socket.has_receive_ring()) TRY(take(*socket.mutable_receive_ring(), true));
  if (socket.has_send_ring()) TRY(take(*socket.mutable_send_ring(), false));
  return {};
}

Finding look_at_packet_mapping(const pb::Vma& vma, const pb::File& file, bool open) {
  auto refused = [](std::string why) -> Finding {
    return {Verdict::Unsupported, "packet-ring-mapping", std::move(why), ""};
  };
  if (!open) return refused("it maps the ring buffers of a packet socket that no process has open any more");
  auto socket = packet_of(file);
  if (!socket) return {};
  if (vma.kind() != pb::FILE_SHARED || vma.file_offset() != 0 ||
      vma.end() - vma.start() != rings_bytes(*socket))
    return refused("it maps a part of the ring buffers of a packet socket, or privately");
  return {};
}

Result<void> check_rings(const pb::PacketSocket& socket) {
  if (socket.version() > TPACKET_V3) return fail(Error::bad_image("packet ring: bad version"));
  if (socket.has_receive_ring()) TRY(check_ring(socket.receive_ring(), socket.version(), true));
  if (socket.has_send_ring()) TRY(check_ring(socket.send_ring(), socket.version(), false));
  return {};
}

void plan_rings(PlanBuilder& plan, Operand fd, const pb::PacketSocket& socket) {
  auto make = [&](const pb::PacketRing& ring, int name) {
    const tpacket_req3 request{ring.block_bytes(), ring.blocks(),        ring.frame_bytes(), ring.frames(),
                               ring.retire_ms(),   ring.private_bytes(), ring.features()};
    const std::size_t len_bytes = socket.version() == TPACKET_V3 ? sizeof request : sizeof(tpacket_req);
    plan.call(kSelf, SYS_setsockopt, {fd, SOL_PACKET, name, Operand::data(plan.bytes_of(request)), len_bytes},
              "ring");
  };
  if (socket.has_receive_ring()) make(socket.receive_ring(), PACKET_RX_RING);
  if (socket.has_send_ring()) make(socket.send_ring(), PACKET_TX_RING);
}

Result<void> map_packet_rings(PlanBuilder& plan, const Installed& installed) {
  std::set<std::uint32_t> done;
  for (const pb::Process& process : plan.model().tasks.processes()) {
    const pb::AddressSpace* mm = plan.index().address_space(process.mm_id());
    if (process.state() == pb::ZOMBIE || mm == nullptr || !done.insert(mm->id()).second) continue;
    const Actor pid = process.pid();
    for (const pb::Vma& vma : mm->vmas()) {
      const pb::File* file = plan.index().file(vma.file_id());
      if (file == nullptr || !is_packet(*file)) continue;
      TRY_ASSIGN(const HeldDescriptor held, hold_descriptor(plan, installed, pid, pid, file->id()));
      const std::uint64_t len_bytes = vma.end() - vma.start();
      plan.call_expecting(
          pid, vma.start(), SYS_mmap,
          {vma.start(), len_bytes, protection(vma), MAP_SHARED | MAP_FIXED, held.fd, vma.file_offset()},
          "ring");
      if (vma.flags() & vm::kDontCopy) plan.call(pid, SYS_madvise, {vma.start(), len_bytes, MADV_DONTFORK});
      if (held.borrowed) plan.call(pid, SYS_close, {held.fd});
    }
  }
  return {};
}

}  // namespace bpfckpt::kinds
