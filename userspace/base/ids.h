// SPDX-License-Identifier: Apache-2.0
// Small ids for objects that the kernel names by pointer. A pointer that BPF saw is an object's identity
// while the tree is frozen; no pointer reaches an image: each is turned into the next small number, from 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace bpfckpt {

// A flat table, which grows by copying: tens of thousands are put in with the tree frozen, and to allocate a
// node for each, and to free it, would cost more than all else that is done with them.
class IdTable {
 public:
  // The id of `kernel_pointer`; `fresh` tells whether it was seen for the first time. A null pointer is id 0.
  struct Entry {
    std::uint32_t id;
    bool fresh;
  };
  Entry intern(std::uint64_t kernel_pointer) {
    if (kernel_pointer == 0) return {0, false};
    if ((count_ + 1) * 2 > slots_.size()) grow();
    Slot& slot = slots_[place(kernel_pointer)];
    if (slot.key != 0) return {slot.id, false};
    slot = {kernel_pointer, ++count_};
    return {slot.id, true};
  }

  // 0 where it was never seen.
  std::uint32_t find(std::uint64_t kernel_pointer) const {
    return slots_.empty() || kernel_pointer == 0 ? 0 : slots_[place(kernel_pointer)].id;
  }

 private:
  static constexpr std::size_t kFewest = 16;  // a power of two, as are all sizes

  struct Slot {
    std::uint64_t key = 0;  // 0: free
    std::uint32_t id = 0;
  };

  // Where it is, or would be.
  std::size_t place(std::uint64_t key) const {
    // Objects of a slab are a constant distance apart; the multiplication (2^64 by the golden ratio) spreads
    // them.
    std::size_t at = key * 0x9e3779b97f4a7c15 >> 32 & (slots_.size() - 1);
    while (slots_[at].key != 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  void grow() {
    std::vector<Slot> old = std::exchange(slots_, {});
    slots_.resize(old.empty() ? kFewest : old.size() * 2);
    for (const Slot& slot : old)
      if (slot.key != 0) slots_[place(slot.key)] = slot;
  }

  std::vector<Slot> slots_;
  std::uint32_t count_ = 0;
};

}  // namespace bpfckpt
