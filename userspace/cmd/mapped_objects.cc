// SPDX-License-Identifier: Apache-2.0
#include "cmd/mapped_objects.h"

#include <algorithm>

#include "images/kinds/regular.pb.h"
#include "images/kinds/shmem.pb.h"
#include "images/kinds/sysv_shm.pb.h"
#include "model/details.h"

namespace bpfckpt {
namespace {

bool is_shared(const pb::Vma& vma) {
  return vma.kind() == pb::FILE_SHARED || vma.kind() == pb::ANONYMOUS_SHARED;
}

// An inode means a file only there: all of the kernel's anonymous files (fs/anon_inodes.c) have the same one.
bool has_inode_of_its_own(const pb::File& file) {
  return file.kind() == "regular" && file.inode().number() != 0;
}

ObjectId inode_of(const pb::File& file) {
  return {ObjectId::Of::Inode, file.inode().number(), file.inode().device()};
}

}  // namespace

HeldContent::HeldContent(const pb::File& file, const pb::FileObject* object)
    : size_bytes_(file.inode().size()) {
  const google::protobuf::Any& detail = object != nullptr ? object->detail() : file.detail();
  if (detail.type_url().empty()) return;
  by_offset_ = detail.Is<pb::SharedMemory>() || detail.Is<pb::SysvSegment>() || detail.Is<pb::GhostFile>();
  auto visit = [&](const pb::Content& content) -> Result<void> {
    add(content);
    return {};
  };
  if (!for_each_content(detail, visit)) extents_.clear();
  std::ranges::sort(extents_, {}, &Extent::start);
  for (Extent& extent : extents_) {
    extent.before_bytes = held_bytes_;
    held_bytes_ += extent.len_bytes;
  }
}

void HeldContent::add(const pb::Content& content) {
  // The largest: a segment has another content for the end of its last page.
  if (by_offset_) size_bytes_ = std::max(size_bytes_, content.size());
  for (const pb::Extent& extent : content.extents())
    extents_.push_back({extent.offset(), extent.length(), 0});
}

std::uint64_t HeldContent::held_bytes(std::uint64_t start, std::uint64_t end) const {
  return by_offset_ ? before(end) - before(start) : std::min(held_bytes_, end - start);
}

std::uint64_t HeldContent::before(std::uint64_t offset) const {
  auto next = std::ranges::lower_bound(extents_, offset, {}, &Extent::start);
  if (next == extents_.begin()) return 0;
  const Extent& last = *std::prev(next);
  return last.before_bytes + std::min(offset - last.start, last.len_bytes);
}

MappedObjects::MappedObjects(const Model& model, const ModelIndex& index) : index_(index) {
  for (const pb::AddressSpace& mm : model.memory.address_spaces()) add_uses(mm);
  for (const auto& [id, object] : objects_)
    for (const MappedObject::Use& use : object.uses) held_[{use.mm_id, object.vma->kind()}] += use.held_bytes;
}

std::uint64_t MappedObjects::held_bytes(std::uint32_t mm_id, pb::VmaKind kind) const {
  auto it = held_.find({mm_id, kind});
  return it == held_.end() ? 0 : it->second;
}

std::uint64_t MappedObjects::held_bytes(const pb::Vma& vma) const {
  auto it = is_shared(vma) ? by_file_.find(vma.file_id()) : by_file_.end();
  if (it == by_file_.end()) return 0;
  const std::uint64_t len_bytes = vma.end() - vma.start();
  return it->second->content.held_bytes(vma.file_offset(), vma.file_offset() + len_bytes);
}

ObjectId MappedObjects::id_of(const pb::File& file) const {
  if (file.object_id() != 0) return {ObjectId::Of::Object, file.object_id()};
  if (has_inode_of_its_own(file) && objects_.contains(inode_of(file))) return inode_of(file);
  return {ObjectId::Of::Description, file.id()};
}

MappedObject& MappedObjects::object_of(const pb::Vma& vma) {
  MappedObject*& known = by_file_[vma.file_id()];
  if (known != nullptr) return *known;
  const pb::File& file = *index_.file(vma.file_id());
  const ObjectId id = file.object_id() == 0 && has_inode_of_its_own(file) ? inode_of(file) : id_of(file);
  auto [it, fresh] = objects_.try_emplace(
      id, MappedObject{&file, &vma, HeldContent(file, index_.object(file.object_id())), {}});
  return *(known = &it->second);
}

void MappedObjects::add_uses(const pb::AddressSpace& mm) {
  struct Piece {
    std::uint64_t start, end;  // in the object
  };
  std::unordered_map<MappedObject*, std::vector<Piece>> pieces;
  for (const pb::Vma& vma : mm.vmas()) {
    if (!is_shared(vma)) continue;
    MappedObject& object = object_of(vma);
    const std::uint64_t len_bytes = vma.end() - vma.start();
    pieces[&object].push_back({vma.file_offset(), vma.file_offset() + len_bytes});
    if (object.uses.empty() || object.uses.back().mm_id != mm.id())
      object.uses.push_back({.mm_id = mm.id(), .start = vma.start()});
    MappedObject::Use& use = object.uses.back();
    use.mappings++;
    use.mapped_bytes += len_bytes;
    use.flags |= vma.flags();
  }
  for (auto& [object, list] : pieces) {
    std::ranges::sort(list, {}, &Piece::start);
    std::uint64_t held = 0, counted = 0;  // up to there
    for (const Piece& piece : list) {
      if (piece.end <= counted) continue;
      held += object->content.held_bytes(std::max(piece.start, counted), piece.end);
      counted = piece.end;
    }
    object->uses.back().held_bytes = std::min(held, object->content.held_bytes());
  }
}

}  // namespace bpfckpt
