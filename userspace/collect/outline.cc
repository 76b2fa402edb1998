// SPDX-License-Identifier: Apache-2.0
#include "collect/outline.h"

#include "model/vm_flags.h"

namespace bpfckpt::collect {
namespace {

bool may_be_plain(const vma_record& vma) {
  constexpr std::uint32_t kSpecialKinds = VMA_SHMEM | VMA_HUGETLB | VMA_SPECIAL;
  return (vma.flags & kSpecialKinds) == 0 && (vma.file != 0 || (vma.flags & VMA_HAS_OPS) == 0) &&
         (vma.vm_flags & (vm::kGrowsDown | vm::kPfnMap | vm::kIo | vm::kMixedMap)) == 0 &&
         vma.userfaultfd == 0 && vma.memory_policy.present == 0 && vma.memory_policy.more_nodes == 0;
}

// What has no name any more, or one beginning with a dot, as file systems give to what is deleted and open,
// may have another name in the tree, or there may be too much of it; on overlayfs only a look from outside
// tells.
bool is_plain(const file_record& file) {
  return file.kind == FILE_KIND_REGULAR && file.locks == 0 && (file.flags & FILE_BACKING) == 0 &&
         (file.path.flags & PATH_UNLINKED) == 0 && file.inode.links != 0 && file.name[0] != '.';
}

}  // namespace

Result<void> Outline::add(const record_head& record, const Out& out) {
  if (auto vma = record.type == RECORD_VMA ? as<vma_record>(record) : nullptr) return add_mapping(*vma, out);
  if (auto file = record.type == RECORD_FILE ? as<file_record>(record) : nullptr;
      file != nullptr && !last_.empty())
    return add_file(*file, out);
  return out(record);
}

Result<void> Outline::end(const Out& out) {
  if (!last_.empty()) TRY(add_other(out));
  plain_files_.clear();
  left_out_.clear();
  if (plain_.end != 0) TRY(out(plain_.head));
  plain_ = {};
  return {};
}

Result<void> Outline::add_mapping(const vma_record& record, const Out& out) {
  if (!last_.empty()) TRY(add_other(out));
  auto bytes = reinterpret_cast<const std::byte*>(&record);
  last_.assign(bytes, bytes + record.head.length);
  const bool told = (record.flags & VMA_FILE_TOLD) != 0;
  if (record.file != 0 && !told) return {};
  const auto file = plain_files_.find(record.file);
  const bool has_plain_file = told && file != plain_files_.end();
  if (may_be_plain(record) && (record.file == 0 || has_plain_file)) return add_plain(out);
  if (!has_plain_file) return add_other(out);
  // It is no plain mapping: its file has to be told now.
  const std::size_t at = file->second;
  plain_files_.erase(file);
  reinterpret_cast<vma_record*>(last_.data())->flags &= ~VMA_FILE_TOLD;
  TRY(add_other(out));
  return out(*reinterpret_cast<const record_head*>(left_out_.data() + at));
}

Result<void> Outline::add_file(const file_record& record, const Out& out) {
  if (!may_be_plain(last()) || !is_plain(record)) {
    TRY(add_other(out));
    return out(record.head);
  }
  plain_files_.emplace(record.file, left_out_.size());
  auto bytes = reinterpret_cast<const std::byte*>(&record);
  left_out_.insert(left_out_.end(), bytes, bytes + record.head.length);
  return add_plain(out);
}

Result<void> Outline::add_plain(const Out& out) {
  const vma_record vma = last();
  last_.clear();
  if (plain_.end == vma.start) {
    plain_.end = vma.end;
    return {};
  }
  if (plain_.end != 0) TRY(out(plain_.head));
  plain_ = {};
  plain_.head = {RECORD_VMA, sizeof plain_};
  plain_.mm = vma.mm;
  plain_.tgid = vma.tgid;
  plain_.start = vma.start;
  plain_.end = vma.end;
  return {};
}

// Records stay in the order of addresses.
Result<void> Outline::add_other(const Out& out) {
  if (plain_.end != 0) TRY(out(plain_.head));
  plain_ = {};
  TRY(out(last().head));
  last_.clear();
  return {};
}

}  // namespace bpfckpt::collect
