// SPDX-License-Identifier: Apache-2.0
// Records become the model: one walk over the records, each type in its own file.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "collect/late_details.h"
#include "collect/records.h"
#include "kinds/kind.h"
#include "model/model.h"

namespace bpfckpt::collect {

pb::MemoryPolicy to_memory_policy(const mempolicy_part& part);

class Builder {
 public:
  // `late`: gets what can wait; null: nothing does. `spare`: a model that is done with, for its memory.
  Builder(const Records& records, std::uint32_t root, LateDetails* late = nullptr, Model spare = {})
      : records_(records), root_(root), late_(late), model_(std::move(spare)) {
    model_.clear();
  }

  Result<Model> build();

 private:
  // One process on its way into the model.
  struct Group {
    const process_record* process = nullptr;
    std::vector<const task_record*> threads;  // in the iterator's order: the leader first
    std::vector<const timer_record*> timers;
    const mm_record* mm = nullptr;
    const sighand_record* sighand = nullptr;
    std::uint32_t parent = 0;  // 0: the root's

    // Neither the leader nor the group itself was missed.
    bool complete() const;
  };

  Result<void> sort_in(const record_head& head);

  // tasks.cc
  Result<void> add_processes();
  void fill_process(std::uint32_t tgid, const Group& group, pb::Process& process);
  void fill_state(const Group& group, pb::Process& process) const;
  void fill_sigactions(const Group& group, pb::Process& process) const;
  void fill_timers(const Group& group, pb::Process& process) const;
  void fill_obstacles(const Group& group, pb::Process& process);
  std::string foreign_namespaces(const Group& group) const;
  void fill_thread(const task_record& record, pb::Thread& thread);
  std::uint32_t namespaces_id(const ns_part& ns);
  void add_credentials(const cred_record& record);
  void add_label(const cred_record& record, pb::Credentials& message);
  void add_fs_context(const fs_record& record);

  // memory.cc
  void add_address_space(const mm_record& record);
  Result<void> add_vma(const vma_record& record);
  void add_aio_ring(const aio_ring_record& record);
  Result<void> settle_userfaultfds();
  void set_vma_file(pb::Vma& vma, const vma_record& record, const pb::File& file);

  // files.cc
  Result<void> add_file_record(const file_record& record);
  Result<std::uint32_t> file_id(const file_record& record);
  Result<void> describe(const file_record& record, pb::File& file);
  bool waits(const kinds::Kind& kind) const { return late_ != nullptr && kind.can_wait != nullptr; }
  Result<void> add_waiting();
  Result<void> add_lists();
  void add_socket_item(const record_head& head);
  // By which inode the object behind the file is known: a file on overlayfs has one where it is open and
  // another where it is mapped.
  std::uint64_t object_pointer(const file_record& record, const pb::File& file);

  // build_rings.cc
  Result<void> settle_urings();
  bool leads(std::uint32_t tid, std::uint32_t mm_id) const;

  // build_locks.cc
  void add_locks();
  bool is_ours(const lock_record& record) const;

  // What is left of an absolute expiry; at least 1 ns of what is armed. -1 if the clock is unknown.
  std::int64_t remaining_ns(clockid_t clock, std::uint64_t expires_ns) const;

  const Records& records_;
  const std::uint32_t root_;
  const std::uint32_t own_pid_ = static_cast<std::uint32_t>(::getpid());
  LateDetails* const late_;
  Model model_;
  std::map<std::uint32_t, Group> groups_;
  IdTable mm_ids_, table_ids_, fs_ids_, sighand_ids_, credentials_ids_, file_ids_, object_ids_;
  std::map<std::string, std::uint32_t> namespace_ids_;
  std::unordered_set<std::uint32_t> credentials_added_, fs_added_;
  std::vector<std::pair<pb::Vma*, std::uint64_t>> watched_vmas_;  // and their userfaultfd_ctx
  struct Userfaultfd {
    pb::File* file;
    std::uint64_t context, mm;
  };
  std::vector<Userfaultfd> userfaultfds_;
  struct Uring {
    pb::File* file;
    const file_record* record;
  };
  std::vector<Uring> urings_;
  std::unordered_map<std::uint64_t, std::uint32_t> eventfds_;       // by eventfd_ctx: file ids
  std::unordered_set<std::uint64_t> too_many_groups_;               // cred
  std::unordered_set<std::uint64_t> in_landlock_domain_;            // cred
  std::unordered_map<std::uint64_t, std::string> labels_not_kept_;  // by cred
  std::unordered_set<std::uint64_t> with_keys_;                     // cred
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t>
      overlay_inodes_;  // device, number -> inode
  std::unordered_map<std::uint32_t, pb::AddressSpace*> spaces_;
  std::unordered_map<std::uint32_t, pb::FdTable*> tables_;
  std::vector<pb::File*> files_;        // by id, from 1 on
  std::set<const kinds::Kind*> kinds_;  // of the files
  const kinds::Kind* last_kind_ = nullptr;
  struct List {
    pb::File* file = nullptr;
    std::vector<const record_head*> items;
    bool near = false;  // there are some which came with a descriptor
  };
  std::vector<std::pair<pb::File*, const file_record*>> waiting_;  // are described when their lists are there
  std::unordered_map<std::uint64_t, List> lists_;                  // by file_record.list
  std::uint64_t fresh_list_ = 0;  // that of the file_record which came last, if it was the first of its file
  std::unordered_map<std::uint64_t, std::uint64_t> listeners_;  // struct sock: that of the socket it waits at
  std::vector<const lock_record*> locks_;
  std::vector<std::uint32_t> references_;  // by file id: descriptors and mappings
  // Whose file the next file_record is: the mapping or the address space that came just before it.
  const vma_record* last_vma_record_ = nullptr;
  pb::Vma* last_vma_ = nullptr;
  pb::AddressSpace* last_space_ = nullptr;
};

// A path of `length` bytes with NUL at `string`, without " (deleted)" where that is the kernel's and not the
// name's.
pb::Path to_path(const path_part& part, std::string_view string);

}  // namespace bpfckpt::collect
