// SPDX-License-Identifier: Apache-2.0
// A control area (parasite/protocol.h) as bpfckpt sees it: the memory, and its division into slots.
//
// Dump: one area a taken process, made by an mmap() in the target and opened through /proc/PID/map_files
// (InjectedParasite does that). Restore: one area for the whole tree over a memfd; every process inherits it
// by fork, every thread has a slot in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "parasite/protocol.h"
#include "target/address.h"
#include "target/robust_lock.h"

namespace bpfckpt::target {

// How much a slot holds. Pages that are never touched cost nothing.
struct SlotGeometry {
  std::uint32_t entries = 0;
  std::uint32_t data_bytes = 0;
};
// A process leader's slot: maps, fills and furnishes a whole process in few batches.
inline constexpr SlotGeometry kLeaderSlot{512, 64 * 1024};
// A thread's slot: 4 KiB altogether.
inline constexpr SlotGeometry kThreadSlot{20, 1024};

// One slot: pointers into bpfckpt's mapping and the addresses of the same bytes in the target. A plain view;
// valid as long as its Area.
struct SlotView {
  parasite::Slot* slot = nullptr;
  std::span<parasite::Entry> entries;
  std::span<std::byte> data;
  RemoteAddress address;       // of *slot
  RemoteAddress data_address;  // of data[0]
};

class Area {
 public:
  // Bytes, in whole pages.
  static std::size_t size_for(std::span<const SlotGeometry> slots);

  // Restore: a fresh memfd (close-on-exec) with the blob and the slots, to be mapped at `base` by the stub.
  // `base` is page-aligned, and [base, base + size_for(slots)) must be free in every process of the tree and
  // apart from the stub's own page at 0x10000. `robust` outlives the area.
  static Result<Area> create(RobustList& robust, RemoteAddress base, std::span<const SlotGeometry> slots);
  // Dump: over `backing`, which the target has mapped at `base`, size_for(slots) long. Mode is kModeDump or
  // kModeDumpBare; gate_* are addresses in the target. The header's gate_spins are the caller's to set.
  static Result<Area> over(RobustList& robust, Fd backing, RemoteAddress base,
                           std::span<const SlotGeometry> slots, parasite::Mode mode, RemoteAddress gate_call,
                           RemoteAddress gate_home);

  Area(Area&& other) noexcept;
  Area& operator=(Area&& other) noexcept;
  // Gives up the lock silently: who still waits in the area waits for ever. Cure or kill first.
  ~Area();

  RemoteRange range() const { return {base_, base_ + len_bytes_}; }
  int fd() const { return backing_.get(); }
  std::size_t slots() const { return offsets_.size(); }
  SlotView slot(std::size_t index) const;
  parasite::Header& header() const;
  // For whom we give up on and cannot stop: the code in the target takes us for dead.
  void declare_dead();

 private:
  struct Place {
    std::size_t offset;
    SlotGeometry geometry;
  };

  Area() = default;
  static Result<Area> map(RobustList& robust, Fd backing, RemoteAddress base,
                          std::span<const SlotGeometry> slots);
  std::byte* local(std::size_t offset) const {
    return mapping_.data() + RobustList::kDistance - parasite::kCodeBytes + offset;
  }
  RobustNode& node() const { return *reinterpret_cast<RobustNode*>(mapping_.data()); }
  void close();

  RobustList* robust_ = nullptr;  // null: not armed
  Fd backing_;
  Mapping mapping_;  // one private page that holds the robust node, then the area
  RemoteAddress base_;
  std::size_t len_bytes_ = 0;
  std::vector<Place> offsets_;
};

}  // namespace bpfckpt::target
