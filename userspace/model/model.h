// SPDX-License-Identifier: Apache-2.0
// The model: everything that is known of a process tree, as plain values.
//
// It is the same type after collecting from the kernel and after reading an image: the protobuf messages of
// images/, with sharing said by ids. It holds no descriptors, no ptrace, no libbpf. validate() runs on it
// after both.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "images/file.pb.h"
#include "images/memory.pb.h"
#include "images/task.pb.h"

namespace bpfckpt {

// Vma.userfaultfd_file_id of a mapping that somebody outside of the tree watches; never in a checkpoint.
inline constexpr std::uint32_t kNobodysUserfaultfd = UINT32_MAX;

struct Model {
  pb::Tasks tasks;
  pb::Memory memory;
  pb::Files files;

  // Empties it and keeps the memory of its messages.
  void clear() {
    tasks.Clear();
    memory.Clear();
    files.Clear();
  }
};

// Look-ups by id. Points into the model, which must outlive it and must not be changed in its shape
// meanwhile.
class ModelIndex {
 public:
  explicit ModelIndex(const Model& model);

  // Null where there is none.
  const pb::Process* process(std::uint32_t pid) const { return find(processes_, pid); }
  const pb::AddressSpace* address_space(std::uint32_t id) const { return find(address_spaces_, id); }
  const pb::File* file(std::uint32_t id) const { return find(files_, id); }
  const pb::FileObject* object(std::uint32_t id) const { return find(objects_, id); }
  const pb::FdTable* fd_table(std::uint32_t id) const { return find(fd_tables_, id); }
  const pb::FsContext* fs_context(std::uint32_t id) const { return find(fs_contexts_, id); }
  const pb::Credentials* credentials(std::uint32_t id) const { return find(credentials_, id); }
  const pb::Namespaces* namespaces(std::uint32_t id) const { return find(namespaces_, id); }
  const pb::SeccompFilter* seccomp_filter(std::uint32_t id) const { return find(seccomp_filters_, id); }

 private:
  // Ids that we gave are the numbers from 1 on; pids, and what a foreign image says, can be any.
  template <class T>
  class Table {
   public:
    void expect_ids_to(int last) { dense_.resize(static_cast<std::size_t>(last) + 1); }
    void add(std::uint32_t key, const T* value) {
      if (key >= dense_.size())
        sparse_.emplace(key, value);
      else if (dense_[key] == nullptr)
        dense_[key] = value;
    }
    const T* find(std::uint32_t key) const {
      if (key < dense_.size()) return dense_[key];
      auto it = sparse_.find(key);
      return it == sparse_.end() ? nullptr : it->second;
    }

   private:
    std::vector<const T*> dense_;
    std::unordered_map<std::uint32_t, const T*> sparse_;
  };
  template <class T>
  static const T* find(const Table<T>& table, std::uint32_t key) {
    return table.find(key);
  }

  Table<pb::Process> processes_;
  Table<pb::AddressSpace> address_spaces_;
  Table<pb::File> files_;
  Table<pb::FileObject> objects_;
  Table<pb::FdTable> fd_tables_;
  Table<pb::FsContext> fs_contexts_;
  Table<pb::Credentials> credentials_;
  Table<pb::Namespaces> namespaces_;
  Table<pb::SeccompFilter> seccomp_filters_;
};

// Checks that the model hangs together: ids unique and resolved, parents before children, mappings ordered
// and page-aligned, page runs inside of mappings, register blobs of the right size, numbers in range. Nothing
// is trusted: the model may come from a hostile image. Error::BadImage names the first thing found.
Result<void> validate(const Model& model);

}  // namespace bpfckpt
