// SPDX-License-Identifier: Apache-2.0
#include "cmd/core_memory.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "image/file_io.h"
#include "image/host.h"
#include "model/details.h"

namespace bpfckpt {
namespace {

constexpr std::size_t kChunkBytes = 1 << 20;
// A mapping up to this length is in the core from end to end, holes included. Of a longer one (an allocator's
// or sanitizer's reservation of terabytes) what comes after the last page taken is left out.
constexpr std::uint64_t kWholeBytes = 1 << 30;

// Whether this is still the file that was mapped: its size and time, and where no time was kept the inode.
bool still_the_same(const pb::File& file, const struct stat& st) {
  if (!S_ISREG(st.st_mode) || static_cast<std::uint64_t>(st.st_size) != file.inode().size()) return false;
  std::int64_t mtime_ns = st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec;
  if (file.inode().mtime_ns() != 0) return mtime_ns == file.inode().mtime_ns();
  return st.st_ino == file.inode().number() && static_cast<std::uint32_t>(st.st_dev) == file.inode().device();
}

bool is_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

// The whole pages that this process's own vDSO fills: its section headers are the last thing in it.
std::span<const std::byte> vdso_bytes(std::uint64_t address) {
  const auto* start = reinterpret_cast<const std::byte*>(address);
  Elf64_Ehdr header;
  std::memcpy(&header, start, sizeof(header));
  std::uint64_t len = header.e_shoff + std::uint64_t{header.e_shnum} * header.e_shentsize;
  return {start, (len + kPageSize - 1) / kPageSize * kPageSize};
}

}  // namespace

Result<CoreMemory> CoreMemory::open(const image::ImageReader& reader, const pb::AddressSpace& mm) {
  TRY_ASSIGN(auto pages, image::PageStore::open(reader));
  CoreMemory memory(reader, mm, std::move(pages));
  for (const auto& vma : mm.vmas()) {
    // Mappings of files that others can change are left out, as the kernel's own dumps do (core(5),
    // coredump_filter).
    if (vma.file_id() == 0 || vma.kind() == pb::FILE_SHARED || memory.backings_.contains(vma.file_id()))
      continue;
    TRY(memory.open_backing(*reader.index().file(vma.file_id())), "file {}", vma.file_id());
  }
  return memory;
}

Result<void> CoreMemory::open_backing(const pb::File& file) {
  Backing backing;
  const auto* object = reader_->index().object(file.object_id());
  if (object != nullptr && object->has_detail())
    TRY(for_each_content(object->detail(), [&](const pb::Content& content) -> Result<void> {
      backing.content = content;
      return {};
    }));
  if (backing.content) {
    backing.size_bytes = backing.content->size();
    if (!backing.content->extents().empty()) {
      TRY_ASSIGN(backing.fd, reader_->open_raw(backing.content->image()));
    }
  } else if (!file.path().deleted()) {
    // O_NONBLOCK: whatever has that name today, opening it must not wait.
    backing.fd = Fd(::open(file.path().path().c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    struct stat st;
    if (backing.fd && (fstat(backing.fd.get(), &st) != 0 || !still_the_same(file, st))) backing.fd.reset();
    backing.size_bytes = file.inode().size();
  }
  if (!backing.content && !backing.fd) missing_files_.push_back(printable(file.path().path()));
  backings_.emplace(file.id(), std::move(backing));
  return {};
}

std::uint64_t CoreMemory::known_bytes(const pb::Vma& vma) const {
  std::uint64_t len = vma.end() - vma.start();
  auto spans = pages_.spans(*mm_, vma.start(), vma.end());
  std::uint64_t taken = spans.empty() ? 0 : spans.back().address + spans.back().len_bytes - vma.start();
  if (vma.kind() == pb::SPECIAL) return std::max<std::uint64_t>(taken, special(vma).size());
  auto backing = backings_.find(vma.file_id());
  bool knows_rest = vma.kind() == pb::ANONYMOUS_PRIVATE ||
                    (backing != backings_.end() && (backing->second.fd || backing->second.content));
  constexpr std::uint64_t kMayBeRead = 7;  // VM_READ | VM_WRITE | VM_EXEC
  if (!knows_rest || (vma.flags() & kMayBeRead) == 0 || len > kWholeBytes) return taken;
  return len;
}

Result<void> CoreMemory::copy(const pb::Vma& vma, std::uint64_t len_bytes, const Write& write) const {
  std::uint64_t end = vma.start() + len_bytes;
  auto buffer = std::vector<std::byte>(std::min<std::uint64_t>(kChunkBytes, len_bytes));
  auto backing = backings_.find(vma.file_id());
  if (auto bytes = special(vma); !bytes.empty()) {
    TRY(write(vma.start(), bytes.first(std::min<std::uint64_t>(bytes.size(), len_bytes))));
  } else if (backing != backings_.end()) {
    for (std::uint64_t at = vma.start(); at < end; at += buffer.size()) {
      auto piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), end - at));
      TRY(read_backing(backing->second, vma.file_offset() + (at - vma.start()), piece));
      if (!is_zero(piece)) TRY(write(at, piece));
    }
  }
  for (const auto& span : pages_.spans(*mm_, vma.start(), end))
    for (std::uint64_t done = 0; done < span.len_bytes;) {
      auto piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), span.len_bytes - done));
      TRY(image::read_fully(span.fd, piece, span.offset + done));
      TRY(write(span.address + done, piece));
      done += piece.size();
    }
  return {};
}

// What is beyond the end of the file, in a hole, or not to be had, is zero.
Result<void> CoreMemory::read_backing(const Backing& backing, std::uint64_t offset,
                                      std::span<std::byte> out) const {
  std::ranges::fill(out, std::byte{0});
  if (offset >= backing.size_bytes) return {};
  out = out.first(std::min<std::uint64_t>(out.size(), backing.size_bytes - offset));
  if (!backing.content) return backing.fd ? image::read_fully(backing.fd.get(), out, offset) : Result<void>{};
  const auto& extents = backing.content->extents();
  auto it =
      std::ranges::partition_point(extents, [&](const auto& e) { return e.offset() + e.length() <= offset; });
  for (; it != extents.end() && it->offset() < offset + out.size(); ++it) {
    std::uint64_t from = std::max(offset, it->offset());
    std::uint64_t to = std::min(offset + out.size(), it->offset() + it->length());
    TRY(image::read_fully(backing.fd.get(), out.subspan(from - offset, to - from),
                          it->image_offset() + (from - it->offset())));
  }
  return {};
}

// The vDSO is the kernel's and in no image. During one boot every process has the same one, so ours serves.
std::span<const std::byte> CoreMemory::special(const pb::Vma& vma) const {
  if (vma.kind() != pb::SPECIAL || vma.name() != "[vdso]") return {};
  std::uint64_t len = vma.end() - vma.start();
  const auto& manifest = reader_->manifest();
  auto ours = getauxval(AT_SYSINFO_EHDR);
  if (ours == 0 || manifest.boot_id().empty() || manifest.boot_id() != image::boot_id()) return {};
  auto bytes = vdso_bytes(ours);
  return bytes.size() == len ? bytes : std::span<const std::byte>{};
}

Result<std::string> CoreMemory::read_pages(std::uint64_t address, std::size_t len_bytes) const {
  std::string bytes(len_bytes, '\0');
  TRY(pages_.read(*mm_, address, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

}  // namespace bpfckpt
