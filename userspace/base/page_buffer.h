// SPDX-License-Identifier: Apache-2.0
// A buffer for bytes that pass through.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace bpfckpt {

// Begins with a page: the kernel copies into and out of a buffer that does not (as large ones of malloc(3),
// 16 bytes behind its beginning) at a third of the speed. What is in it at first is anything.
class PageBuffer {
 public:
  // `size_bytes` is a multiple of a page's, and best fits into the second-level cache.
  explicit PageBuffer(std::size_t size_bytes)
      : bytes_(static_cast<std::byte*>(::operator new(size_bytes, kPage))), size_(size_bytes) {}

  std::span<std::byte> bytes() const { return {bytes_.get(), size_}; }
  std::byte* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::align_val_t kPage{4096};
  struct Delete {
    void operator()(std::byte* bytes) const { ::operator delete(bytes, kPage); }
  };

  std::unique_ptr<std::byte, Delete> bytes_;
  std::size_t size_;
};

}  // namespace bpfckpt
