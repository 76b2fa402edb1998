// SPDX-License-Identifier: Apache-2.0
#include "cmd/shared_things.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "cmd/text.h"
#include "kinds/names.h"
#include "kinds/sysv_shm.h"
#include "model/details.h"
#include "model/vm_flags.h"

namespace bpfckpt {
namespace {

// More pieces of memory of one kind than that, which the same processes share, are one row: nobody reads
// thousands.
constexpr std::size_t kMostAlike = 16;

struct Thing {
  const pb::File* file = nullptr;
  const MappedObject* mapped = nullptr;              // null: only descriptors lead to it
  std::map<std::size_t, std::string> descriptors{};  // by process: "fd 5 r, fd 6 w"
};

const char* access_of(std::uint32_t flags) {
  constexpr std::array kModes = {" r", " w", " rw", ""};
  return (flags & O_PATH) != 0 ? "" : kModes[flags & O_ACCMODE];
}

// "16 KiB rw at 0x7f0000000000"
std::string describe_use(const MappedObject::Use& use) {
  std::string access;
  if (use.flags & vm::kRead) access += 'r';
  if (use.flags & vm::kWrite) access += 'w';
  if (use.flags & vm::kExec) access += 'x';
  const std::string what =
      fmt::format("{}{}{}", human_size(use.mapped_bytes), access.empty() ? "" : " ", access);
  if (use.mappings == 1) return fmt::format("{} at {:#x}", what, use.start);
  return fmt::format("{} in {} mappings from {:#x} on", what, use.mappings, use.start);
}

std::string describe_size(std::uint64_t size_bytes, std::uint64_t held_bytes) {
  if (size_bytes == 0) return held_bytes == 0 ? "" : fmt::format("{} in the images", human_size(held_bytes));
  if (held_bytes == 0) return fmt::format("{}, nothing of it in the images", human_size(size_bytes));
  return fmt::format("{}, {} of it in the images", human_size(size_bytes), human_size(held_bytes));
}

class SharedThings {
 public:
  SharedThings(const ModelIndex& index, const MappedObjects& mapped,
               std::span<const pb::Process* const> processes)
      : index_(index), processes_(processes) {
    for (std::size_t i = 0; i < processes.size(); i++) {
      if (processes[i] == nullptr) continue;
      by_mm_.emplace(processes[i]->mm_id(), i);
      add_descriptors(i, mapped);
    }
    for (const auto& [id, object] : mapped.all()) {
      Thing& thing = things_[id];
      if (thing.file == nullptr) thing.file = object.file;
      thing.mapped = &object;
    }
  }

  std::vector<Picture::Shared> rows() {
    add_memory();
    for (const auto& [id, thing] : things_)
      if (thing.mapped == nullptr && thing.descriptors.size() > 1) add_row({&thing});
    return std::move(rows_);
  }

 private:
  void add_descriptors(std::size_t process, const MappedObjects& mapped) {
    const pb::FdTable* table = index_.fd_table(processes_[process]->fd_table_id());
    if (table == nullptr || !tables_seen_.insert(table->id()).second) return;
    for (const pb::FdEntry& entry : table->entries()) {
      const pb::File* file = index_.file(entry.file_id());
      if (file == nullptr) continue;
      Thing& thing = things_[mapped.id_of(*file)];
      if (thing.file == nullptr) thing.file = file;
      std::string& how = thing.descriptors[process];
      how += fmt::format("{}fd {}{}", how.empty() ? "" : ", ", entry.fd(), access_of(file->flags()));
    }
  }

  void add_memory() {
    std::vector<std::vector<const Thing*>> groups;  // of those that are told by the same words
    std::map<std::pair<std::string, std::vector<std::size_t>>, std::size_t> alike;
    for (const auto& [id, thing] : things_) {
      if (thing.mapped == nullptr) continue;
      std::vector<std::size_t> holders = holders_of(thing);
      if (holders.size() < 2) continue;
      std::size_t place = groups.size();
      if (thing.descriptors.empty())
        place = alike.try_emplace({kind_of(thing), std::move(holders)}, place).first->second;
      if (place == groups.size()) groups.emplace_back();
      groups[place].push_back(&thing);
    }
    for (const std::vector<const Thing*>& group : groups)
      if (group.size() > kMostAlike)
        add_row(group);
      else
        for (const Thing* thing : group) add_row({thing});
  }

  std::vector<std::size_t> holders_of(const Thing& thing) const {
    std::vector<std::size_t> holders;
    for (const auto& [process, how] : thing.descriptors) holders.push_back(process);
    for (const MappedObject::Use& use : thing.mapped->uses)
      if (auto it = by_mm_.find(use.mm_id); it != by_mm_.end()) holders.push_back(it->second);
    std::ranges::sort(holders);
    holders.erase(std::ranges::unique(holders).begin(), holders.end());
    return holders;
  }

  static std::string kind_of(const Thing& thing) {
    const pb::File& file = *thing.file;
    if (file.kind() == "sysv_shm") return "System V segment";
    if (file.kind() == "shmem")
      return file.path().path().starts_with("/memfd:") ? "memfd" : "anonymous memory";
    if (file.kind() == "regular" && thing.mapped != nullptr) return "mapped file";
    return file.kind();
  }

  std::string name_of(const Thing& thing) const {
    const pb::FileObject* object = index_.object(thing.file->object_id());
    if (auto segment = object == nullptr ? std::nullopt : kinds::seen_segment(*object)) {
      const bool removed = (segment->mode() & kinds::kSegmentRemoved) != 0;
      return fmt::format("id {}, {}{}", segment->id(),
                         segment->key() == 0
                             ? "no key"
                             : fmt::format("key {:#010x}", static_cast<std::uint32_t>(segment->key())),
                         removed ? ", removed" : "");
    }
    // Its path is that of the device by which the kernel makes it. It may be named by prctl(2)
    // (PR_SET_VMA_ANON_NAME), and that name is kept as printable.
    if (kind_of(thing) == "anonymous memory")
      return thing.mapped == nullptr ? "" : printable(from_printable(thing.mapped->vma->name()));
    return printable(kinds::describe_name(*thing.file));
  }

  // All are of one kind; several together have no descriptors.
  void add_row(const std::vector<const Thing*>& things) {
    const Thing& first = *things.front();
    Picture::Shared row{.kind = kind_of(first), .name = name_of(first), .holders = {}, .size = {}};
    if (things.size() > 1)
      row.name = row.name.empty() ? fmt::format("{} pieces", things.size())
                                  : fmt::format("{} and {} more", row.name, things.size() - 1);
    std::map<std::size_t, std::string> holders = first.descriptors;
    std::map<std::size_t, MappedObject::Use> uses;  // by process
    std::uint64_t size_bytes = 0, held_bytes = 0;
    for (const Thing* thing : things) {
      if (thing->mapped == nullptr) continue;
      size_bytes += thing->mapped->content.size_bytes();
      held_bytes += thing->mapped->content.held_bytes();
      for (const MappedObject::Use& use : thing->mapped->uses) add_use(use, uses);
    }
    for (const auto& [process, use] : uses) {
      std::string& how = holders[process];
      how += (how.empty() ? "" : ", ") + describe_use(use);
    }
    if (first.mapped != nullptr) row.size = describe_size(size_bytes, held_bytes);
    for (auto& [process, how] : holders) row.holders.push_back({process, std::move(how)});
    rows_.push_back(std::move(row));
  }

  void add_use(const MappedObject::Use& use, std::map<std::size_t, MappedObject::Use>& uses) const {
    auto process = by_mm_.find(use.mm_id);
    if (process == by_mm_.end()) return;
    auto [it, fresh] = uses.try_emplace(process->second, use);
    if (fresh) return;
    it->second.mappings += use.mappings;
    it->second.mapped_bytes += use.mapped_bytes;
    it->second.start = std::min(it->second.start, use.start);
    it->second.flags |= use.flags;
  }

  const ModelIndex& index_;
  std::span<const pb::Process* const> processes_;
  std::unordered_map<std::uint32_t, std::size_t> by_mm_;  // the first process of each address space
  std::unordered_set<std::uint32_t> tables_seen_;
  std::map<ObjectId, Thing> things_;
  std::vector<Picture::Shared> rows_;
};

}  // namespace

std::vector<Picture::Shared> find_shared_things(const ModelIndex& index, const MappedObjects& mapped,
                                                std::span<const pb::Process* const> processes) {
  return SharedThings(index, mapped, processes).rows();
}

}  // namespace bpfckpt
