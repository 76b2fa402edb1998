// SPDX-License-Identifier: Apache-2.0
// Small ids for objects that the kernel names by pointer. A pointer that BPF saw is an object's identity
// while the tree is frozen; no pointer reaches an image: each is turned into the next small number, from 1.
#pragma once

#include <cstdint>
#include <unordered_map>

namespace bpfckpt {

class IdTable {
 public:
  // The id of `kernel_pointer`; `fresh` tells whether it was seen for the first time. A null pointer is id 0.
  struct Entry {
    std::uint32_t id;
    bool fresh;
  };
  Entry intern(std::uint64_t kernel_pointer) {
    if (kernel_pointer == 0) return {0, false};
    auto [it, fresh] = ids_.try_emplace(kernel_pointer, static_cast<std::uint32_t>(ids_.size() + 1));
    return {it->second, fresh};
  }

  // 0 where it was never seen.
  std::uint32_t find(std::uint64_t kernel_pointer) const {
    auto it = ids_.find(kernel_pointer);
    return it == ids_.end() ? 0 : it->second;
  }

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> ids_;
};

}  // namespace bpfckpt
