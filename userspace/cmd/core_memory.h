// SPDX-License-Identifier: Apache-2.0
// The memory of a process of a checkpoint as the process would see it: pages of the image, over the bytes of
// mapped files (those that travel with the checkpoint, those that are still on this machine) or zeros.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "image/page_store.h"
#include "image/reader.h"

namespace bpfckpt {

class CoreMemory {
 public:
  // The reader must outlive the object.
  static Result<CoreMemory> open(const image::ImageReader& reader, const pb::AddressSpace& mm);

  // How many bytes of the mapping, from its start, can be told; 0: none.
  std::uint64_t known_bytes(const pb::Vma& vma) const;
  // Calls `write` with the first `len_bytes` (of known_bytes()) of the mapping, by address; what is left out
  // is zero.
  using Write = std::function<Result<void>(std::uint64_t address, std::span<const std::byte> bytes)>;
  Result<void> copy(const pb::Vma& vma, std::uint64_t len_bytes, const Write& write) const;
  // Bytes from the pages of the image alone, what it does not hold as zeros: for what is on the stack.
  Result<std::string> read_pages(std::uint64_t address, std::size_t len_bytes) const;

  // Paths of mapped files whose bytes could not be told, because they are gone or not what was mapped.
  const std::vector<std::string>& missing_files() const { return missing_files_; }

 private:
  CoreMemory(const image::ImageReader& reader, const pb::AddressSpace& mm, image::PageStore pages)
      : reader_(&reader), mm_(&mm), pages_(std::move(pages)) {}
  // Where the bytes of a mapped file are.
  struct Backing {
    Fd fd;  // a file on this machine, or the image that `content` names
    std::optional<pb::Content> content;
    std::uint64_t size_bytes = 0;  // of the file
  };
  Result<void> open_backing(const pb::File& file);
  Result<void> read_backing(const Backing& backing, std::uint64_t offset, std::span<std::byte> out) const;
  std::span<const std::byte> special(const pb::Vma& vma) const;

  const image::ImageReader* reader_;
  const pb::AddressSpace* mm_;
  image::PageStore pages_;
  std::unordered_map<std::uint32_t, Backing> backings_;  // by file id
  std::vector<std::string> missing_files_;
};

}  // namespace bpfckpt
