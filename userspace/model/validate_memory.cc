// SPDX-License-Identifier: Apache-2.0
#include "model/details.h"
#include "model/page_place.h"
#include "model/validate.h"

namespace bpfckpt::validation {
namespace {

// The end of user space with five-level page tables; with four the kernel refuses what is beyond.
constexpr std::uint64_t kMaxAddress = (1ULL << 56) - kPageSize;
constexpr std::uint64_t kMaxPageIndex = 1ULL << 51;  // the largest file has 2^63 bytes
constexpr int kMaxAuxvWords = 128;                   // the kernel's array has 56 on 6.18

bool aligned(std::uint64_t value) {
  return value % kPageSize == 0;
}

Result<void> check_vma(const pb::Vma& vma, std::uint64_t previous_end, const ModelIndex& index) {
  if (!aligned(vma.start()) || !aligned(vma.end()) || vma.start() >= vma.end() || vma.end() > kMaxAddress)
    return refuse("bad bounds");
  if (vma.start() < previous_end) return refuse("overlaps the one before it");
  if (!pb::VmaKind_IsValid(vma.kind())) return refuse("bad kind {}", static_cast<int>(vma.kind()));
  if (!aligned(vma.file_offset()) || vma.file_offset() + (vma.end() - vma.start()) < vma.file_offset())
    return refuse("bad file offset {:#x}", vma.file_offset());
  if (!is_text(vma.name(), kMaxNameBytes)) return refuse("name is too long, or no UTF-8");
  bool needs_file =
      vma.kind() == pb::FILE_PRIVATE || vma.kind() == pb::FILE_SHARED || vma.kind() == pb::ANONYMOUS_SHARED;
  if (vma.file_id() == 0 ? needs_file : index.file(vma.file_id()) == nullptr)
    return refuse("no file {}", vma.file_id());
  return {};
}

Result<void> check_run(const pb::PageRun& run, std::uint64_t previous_end, const ModelIndex& index,
                       const pb::AddressSpace& mm) {
  if (!aligned(run.start()) || run.count() == 0 || run.start() > kMaxAddress) return refuse("bad bounds");
  if (run.start() < previous_end) return refuse("overlaps the run before it");
  if (run.index() > kMaxPageIndex) return refuse("bad index {}", run.index());
  const auto* owner = run.owner_mm_id() == 0 ? &mm : index.address_space(run.owner_mm_id());
  if (owner == nullptr) return refuse("no address space {}", run.owner_mm_id());
  const PagePlace place = PagePlace::of(run.index()), last = PagePlace::of(run.index() + run.count() - 1);
  if (place.image >= static_cast<std::uint64_t>(owner->page_images_size()))
    return refuse("its owner has no page image {}", place.image);
  if (last.image != place.image) return refuse("it goes beyond the end of its image");
  return {};
}

// Runs are ordered, and so are the mappings: one walk over both. A run may cross from a mapping into the next
// one where they touch.
Result<void> check_pages(const pb::AddressSpace& mm, const ModelIndex& index) {
  std::uint64_t previous_end = 0;
  int vma = 0;
  for (const auto& run : mm.pages()) {
    TRY(check_run(run, previous_end, index, mm), "page run {:#x}", run.start());
    std::uint64_t end = run.start() + run.count() * kPageSize;  // both are far below 2^63
    while (vma < mm.vmas_size() && mm.vmas(vma).end() <= run.start()) ++vma;
    std::uint64_t mapped = run.start();
    while (vma < mm.vmas_size() && mm.vmas(vma).start() <= mapped) {
      mapped = mm.vmas(vma).end();
      if (mapped >= end) break;
      ++vma;
    }
    if (mapped < end) return refuse("page run {:#x}: not inside of a mapping", run.start());
    previous_end = end;
  }
  return {};
}

Result<void> check_address_space(const pb::AddressSpace& mm, const ModelIndex& index) {
  if (mm.exe_file_id() != 0 && index.file(mm.exe_file_id()) == nullptr)
    return refuse("no file {}", mm.exe_file_id());
  if (mm.auxv_size() % 2 != 0 || mm.auxv_size() > kMaxAuxvWords) return refuse("bad auxv");
  if (mm.protection_keys() > 0xffff || mm.execute_only_key() > 15) return refuse("bad protection keys");
  for (const std::string& image : mm.page_images())
    if (image.empty() || !is_text(image, kMaxNameBytes))
      return refuse("name of a page image is empty, too long, or no UTF-8");
  std::uint64_t previous_end = 0;
  for (const auto& vma : mm.vmas()) {
    TRY(check_vma(vma, previous_end, index), "vma {:#x}-{:#x}", vma.start(), vma.end());
    previous_end = vma.end();
  }
  return check_pages(mm, index);
}

}  // namespace

Result<void> check_memory(const pb::Memory& memory, const ModelIndex& index) {
  for (const auto& mm : memory.address_spaces())
    TRY(check_address_space(mm, index), "address space {}", mm.id());
  return {};
}

}  // namespace bpfckpt::validation
