// SPDX-License-Identifier: Apache-2.0
#include "target/area.h"

#include <sys/mman.h>

#include <cstring>
#include <utility>

#include "parasite/embedded.h"
#include "target/futex.h"

namespace bpfckpt::target {
namespace {

using parasite::Entry;
using parasite::Header;
using parasite::kCodeBytes;
using parasite::kSlotsOffset;
using parasite::Slot;

constexpr std::size_t kPage = 4096;
// The blob's deepest frame, the interpreter's and its callees', is below 400 bytes.
constexpr std::size_t kStackBytes = 1024;

// The node is at the start of the private page before the area, the lock at the start of the header after the
// code.
static_assert(RobustList::kDistance == kPage + kCodeBytes);

std::size_t slot_bytes(const SlotGeometry& geometry) {
  const std::size_t bytes =
      sizeof(Slot) + geometry.entries * sizeof(Entry) + geometry.data_bytes + kStackBytes;
  return (bytes + 63) & ~std::size_t{63};
}

}  // namespace

std::size_t Area::size_for(std::span<const SlotGeometry> slots) {
  std::size_t bytes = kSlotsOffset;
  for (const SlotGeometry& geometry : slots) bytes += slot_bytes(geometry);
  return (bytes + kPage - 1) & ~(kPage - 1);
}

Result<Area> Area::map(RobustList& robust, Fd backing, RemoteAddress base,
                       std::span<const SlotGeometry> slots) {
  Area area;
  area.base_ = base;
  area.len_bytes_ = size_for(slots);
  void* at =
      ::mmap(nullptr, kPage + area.len_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return fail(Error::system("mmap of a control area"));
  area.mapping_ = Mapping(at, kPage + area.len_bytes_);
  if (::mmap(area.mapping_.data() + kPage, area.len_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             backing.get(), 0) == MAP_FAILED)
    return fail(Error::system("mmap of a control area"));
  area.backing_ = std::move(backing);

  const auto code = parasite::blob();
  std::memcpy(area.local(0), code.data(), code.size());
  Header& header = area.header();
  header.base = base.value();
  header.len_bytes = area.len_bytes_;
  std::size_t offset = kSlotsOffset;
  for (const SlotGeometry& geometry : slots) {
    if (geometry.entries > parasite::kEntriesMax) return fail(Error::bug("a slot of too many entries"));
    area.offsets_.push_back({offset, geometry});
    auto& slot = *reinterpret_cast<Slot*>(area.local(offset));
    offset += slot_bytes(geometry);
    slot.header = (base + kCodeBytes).value();
    slot.stack_top = (base + (offset & ~std::size_t{15})).value();
  }
  TRY(robust.arm(area.node()));
  area.robust_ = &robust;
  return area;
}

Result<Area> Area::create(RobustList& robust, RemoteAddress base, std::span<const SlotGeometry> slots) {
  Fd memory(::memfd_create("bpfckpt-area", MFD_CLOEXEC));
  if (!memory) return fail(Error::system("memfd_create"));
  if (::ftruncate(memory.get(), static_cast<off_t>(size_for(slots))) != 0)
    return fail(Error::system("ftruncate"));
  TRY_ASSIGN(Area area, map(robust, std::move(memory), base, slots));
  area.header().mode = parasite::kModeRestore;
  return area;
}

Result<Area> Area::over(RobustList& robust, Fd backing, RemoteAddress base,
                        std::span<const SlotGeometry> slots, parasite::Mode mode, RemoteAddress gate_call,
                        RemoteAddress gate_home) {
  TRY_ASSIGN(Area area, map(robust, std::move(backing), base, slots));
  area.header().mode = mode;
  area.header().gate_call = gate_call.value();
  area.header().gate_home = gate_home.value();
  return area;
}

Area::Area(Area&& other) noexcept {
  *this = std::move(other);
}

Area& Area::operator=(Area&& other) noexcept {
  if (this == &other) return *this;
  close();
  robust_ = std::exchange(other.robust_, nullptr);
  backing_ = std::move(other.backing_);
  mapping_ = std::move(other.mapping_);
  base_ = other.base_;
  len_bytes_ = other.len_bytes_;
  offsets_ = std::move(other.offsets_);
  return *this;
}

Area::~Area() {
  close();
}

void Area::close() {
  if (robust_ != nullptr) robust_->disarm(node());
  robust_ = nullptr;
  mapping_ = Mapping();
  backing_.reset();
}

void Area::declare_dead() {
  __atomic_or_fetch(&header().lock, FUTEX_OWNER_DIED, __ATOMIC_SEQ_CST);
  futex_wake(header().lock);
}

Header& Area::header() const {
  return *reinterpret_cast<Header*>(local(kCodeBytes));
}

SlotView Area::slot(std::size_t index) const {
  const Place& place = offsets_[index];
  const std::size_t entries_offset = place.offset + sizeof(Slot);
  const std::size_t data_offset = entries_offset + place.geometry.entries * sizeof(Entry);
  return {
      .slot = reinterpret_cast<Slot*>(local(place.offset)),
      .entries = {reinterpret_cast<Entry*>(local(entries_offset)), place.geometry.entries},
      .data = {local(data_offset), place.geometry.data_bytes},
      .address = base_ + place.offset,
      .data_address = base_ + data_offset,
  };
}

}  // namespace bpfckpt::target
