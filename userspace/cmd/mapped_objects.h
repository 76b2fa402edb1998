// SPDX-License-Identifier: Apache-2.0
// Shared memory: what lies behind shared mappings, who maps it where, and how much of it the images hold.
//
// Much of it no descriptor leads to: shared anonymous memory, System V segments, files that were closed when
// they were mapped.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "model/model.h"

namespace bpfckpt {

// Descriptions and mappings of one thing have the same of these.
struct ObjectId {
  enum class Of { Description, Object, Inode };  // which of the numbers it is
  Of of = Of::Description;
  std::uint64_t number = 0;
  std::uint32_t device = 0;  // of an inode
  auto operator<=>(const ObjectId&) const = default;
};

// The bytes of an object that the images hold.
class HeldContent {
 public:
  // Of the object, or of the description if it has none. What cannot be parsed holds nothing.
  HeldContent(const pb::File& file, const pb::FileObject* object);

  std::uint64_t size_bytes() const { return size_bytes_; }  // of the object; 0: not known
  std::uint64_t held_bytes() const { return held_bytes_; }
  // Of [start, end) of the object. Of a ring that is shared with the kernel it is only known how much of it
  // there is, and so it is at most that.
  std::uint64_t held_bytes(std::uint64_t start, std::uint64_t end) const;

 private:
  struct Extent {
    std::uint64_t start, len_bytes, before_bytes;  // held in front of it
  };
  void add(const pb::Content& content);
  std::uint64_t before(std::uint64_t offset) const;

  std::vector<Extent> extents_;  // by start
  bool by_offset_ = false;       // the extents are at the offsets of mappings
  std::uint64_t size_bytes_ = 0, held_bytes_ = 0;
};

struct MappedObject {
  // By one address space.
  struct Use {
    std::uint32_t mm_id = 0;
    std::uint64_t mappings = 0, mapped_bytes = 0, start = 0;  // address of the first mapping
    std::uint64_t flags = 0;                                  // VM_* that any of the mappings has
    std::uint64_t held_bytes = 0;  // by the images, of what is mapped, each byte once
  };
  const pb::File* file = nullptr;  // a description of it
  const pb::Vma* vma = nullptr;    // a mapping of it
  HeldContent content;
  std::vector<Use> uses;
};

class MappedObjects {
 public:
  // One pass over all mappings; the model outlives it.
  MappedObjects(const Model& model, const ModelIndex& index);

  const std::map<ObjectId, MappedObject>& all() const { return objects_; }
  // Two openings of a file are one thing where the file is mapped as shared memory.
  ObjectId id_of(const pb::File& file) const;
  // By the images, of what the address space maps as that kind, each byte of an object once.
  std::uint64_t held_bytes(std::uint32_t mm_id, pb::VmaKind kind) const;
  // Of what is mapped there; 0: it is no shared mapping.
  std::uint64_t held_bytes(const pb::Vma& vma) const;

 private:
  MappedObject& object_of(const pb::Vma& vma);
  void add_uses(const pb::AddressSpace& mm);

  const ModelIndex& index_;
  std::map<ObjectId, MappedObject> objects_;
  std::unordered_map<std::uint32_t, MappedObject*> by_file_;
  std::map<std::pair<std::uint32_t, pb::VmaKind>, std::uint64_t> held_;  // by address space
};

}  // namespace bpfckpt
