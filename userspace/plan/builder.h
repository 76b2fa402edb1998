// SPDX-License-Identifier: Apache-2.0
// Builds a plan: what planners and kinds call.
#pragma once

#include <ctime>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "kernel/clamps.h"
#include "model/model.h"
#include "model/special_mapping.h"
#include "plan/plan.h"

namespace bpfckpt {

// What planning must ask of the machine. Tests give their own.
class Environment {
 public:
  virtual ~Environment() = default;
  // Is there something of that name (not following a last symbolic link)?
  virtual bool path_exists(const std::string& path) const = 0;
  // Of bpfckpt itself, and so of every process that it starts; ascending.
  virtual std::vector<SpecialMapping> special_mappings() const = 0;
  // One past the highest descriptor that bpfckpt, and what it starts, may have.
  virtual int descriptor_limit() const = 0;
  // A descriptor of bpfckpt's that is its terminal, or -1.
  virtual int caller_terminal() const = 0;
  // Does timer_create(2) take the wanted id (PR_TIMER_CREATE_RESTORE_IDS, since 6.16)?
  virtual bool timer_ids_restorable() const = 0;
  // Of bpfckpt, and so of what it starts.
  virtual int oom_score_adj() const = 0;
  // The same: bits of /proc/PID/coredump_filter.
  virtual std::uint32_t coredump_filter() const = 0;
  // Highest capability number that this kernel knows.
  virtual int last_capability() const = 0;
  // Is there a POSIX message queue of that name (without the slash)?
  virtual bool queue_exists(const std::string& name) const = 0;
  // Is there a System V segment of that id?
  virtual bool segment_exists(std::uint32_t) const { return false; }
  // Of bpfckpt, and so of what it starts: root's, or another user's who has root's capabilities.
  struct Ids {
    std::uint32_t ruid = 0, euid = 0, suid = 0, egid = 0;
  };
  virtual Ids ids() const { return {}; }
  // What a security module calls bpfckpt, and so what it starts (kernel/security_label.h); empty: none labels
  // tasks.
  virtual std::string security_label() const { return {}; }
  // Utilization clamps of bpfckpt's own; none: the kernel has no such thing.
  virtual std::optional<kernel::Clamps> own_clamps() const { return kernel::Clamps{}; }
  // Does keyctl(2) let a process have a session keyring of its own?
  virtual bool can_join_session_keyring() const { return true; }
  // The time of CLOCK_REALTIME, CLOCK_MONOTONIC or CLOCK_BOOTTIME.
  virtual std::int64_t clock_ns(clockid_t clock) const = 0;
  // Cpus that may ever be there.
  virtual std::uint32_t possible_cpus() const = 0;
  // What getsockopt(2) shows as SO_RCVBUF and SO_SNDBUF of a new unix, UDP or raw socket.
  struct SocketBuffers {
    std::uint32_t receive = 212992, send = 212992;
  };
  virtual SocketBuffers socket_buffers() const { return {}; }
};

class PlanBuilder {
 public:
  PlanBuilder(const Model& model, const ModelIndex& index, const Environment& environment)
      : model_(model), index_(index), environment_(environment) {}

  const Model& model() const { return model_; }
  const ModelIndex& index() const { return index_; }
  const Environment& environment() const { return environment_; }
  Plan& plan() { return plan_; }

  // Ends the phase that is open and begins the next.
  void phase(std::string name, bool ordered = false);

  // A data block. Text is stored with its terminating zero.
  DataId data(std::span<const std::byte> bytes);
  DataId text(std::string_view text);
  template <class T>
  DataId bytes_of(const T& value) {
    return data(std::as_bytes(std::span(&value, 1)));
  }
  DataId zeroes(std::size_t len_bytes);
  // A block of at least that size for bpfckpt's own operations, the same each time: what one leaves there the
  // next one takes.
  DataId scratch(std::size_t len_bytes);
  void fix(DataId block, std::size_t offset, std::size_t width, Operand operand);

  // A system call; arguments that are not given are zero.
  OpId call(Actor actor, long number, std::initializer_list<Operand> args, const char* note = "");
  // The same where a failure is no error.
  OpId try_call(Actor actor, long number, std::initializer_list<Operand> args, const char* note = "");
  // The same where only the result `expect` is success.
  OpId call_expecting(Actor actor, std::uint64_t expect, long number, std::initializer_list<Operand> args,
                      const char* note = "");
  OpId op(Op::Code code, Actor actor, std::initializer_list<Operand> args, const char* note = "");

  // The actor, a task, adds to the 32-bit word at `address`; its new value must be `expect` (UINT64_MAX:
  // any).
  OpId add_to_word(Actor actor, Operand address, Operand value, std::uint64_t expect = UINT64_MAX,
                   const char* note = "");
  // The actor, a task, performs its next `operations` operations (calls and add_to_word()) `times` times in
  // turn, as one: they take as long as they take. Of other operations they may use results, but nobody may
  // use theirs.
  void repeat(Actor actor, std::size_t operations, std::uint64_t times, const char* note = "");

  // If the restore fails after operation `made` succeeded, bpfckpt performs this call when all processes are
  // gone.
  void undo_call(OpId made, long number, std::initializer_list<Operand> args);

  // What the following operations are about, for error messages: a file id, an fd; 0: nothing.
  void about(std::uint32_t subject) { subject_ = subject; }

  // --- for kinds
  // -------------------------------------------------------------------------------------------------
  // Operations of bpfckpt itself are what a kind plans, unless the object can only be made inside of a
  // process.

  // An image file, opened by bpfckpt for reading; the same operation for the same name until
  // release_mapped().
  OpId open_image(const std::string& name);
  // Says that the description is that descriptor of bpfckpt's.
  void set_file(std::uint32_t file_id, Operand fd) { files_[file_id] = fd; }
  // Says by which descriptor of bpfckpt's an object can be opened again.
  void set_object(std::uint32_t object_id, Operand fd) { objects_[object_id] = fd; }
  // A further descriptor that came with making the object (a pipe's writing end).
  void set_object_end(std::uint32_t object_id, Operand fd) { object_ends_[object_id] = fd; }
  const Operand* object_end(std::uint32_t object_id) const { return find(object_ends_, object_id); }
  // A description that process `maker` made (kinds/kind.h: make_inside()): its descriptor there, and, when
  // bpfckpt has taken it, ours.
  struct Inside {
    Actor maker = kSelf;
    Operand fd;
  };
  void set_made_inside(std::uint32_t file_id, Inside made) { inside_[file_id] = made; }
  const Inside* made_inside(std::uint32_t file_id) const {
    auto it = inside_.find(file_id);
    return it == inside_.end() ? nullptr : &it->second;
  }
  // Null where it is not made yet, or released.
  const Operand* file(std::uint32_t file_id) const { return find(files_, file_id); }
  const Operand* object(std::uint32_t object_id) const { return find(objects_, object_id); }
  // A new description of what `fd` leads to.
  OpId reopen(Operand fd, std::uint32_t flags, const char* note = "");
  // Closes a descriptor that nobody needs beyond this point, once the files of this round are released.
  void close_later(Operand fd) { close_later_.push_back(fd); }
  // Copies `content` into bpfckpt's `fd`, whose size is set by this; what is not listed stays a hole.
  void fill(Operand fd, const pb::Content& content);

  // The same for the file of a mapping, opened for writing or not. It and its object stay until
  // release_mapped().
  void set_mapped(std::uint32_t file_id, bool write, Operand fd) { mapped_[mapped_key(file_id, write)] = fd; }
  const Operand* mapped(std::uint32_t file_id, bool write) const {
    return find(mapped_, mapped_key(file_id, write));
  }
  void keep_object(std::uint32_t object_id) { kept_objects_.insert(object_id); }
  bool object_kept(std::uint32_t object_id) const { return kept_objects_.contains(object_id); }

  // A directory that was called `path` is under another name for the time of the restore.
  void move_place(const std::string& path, const std::string& to) { moved_places_[path] = to; }
  // Where what was called `path` is to be made.
  std::string place(const std::string& path) const;
  // What of the arena is free: address and length, as 64-bit words of a data block.
  DataId free_arena();

  // Plans to remove a name when all is made.
  void remove_at_end(const std::string& path) { removed_at_end_.insert(path); }
  const std::set<std::string>& removed_at_end() const { return removed_at_end_; }

  // Plans to close every descriptor of the files and objects made since the last call, but for kept objects.
  void release_files();
  // Plans to close what mappings needed.
  void release_mapped();

  Plan finish();

 private:
  using OperandMap = std::unordered_map<std::uint32_t, Operand>;
  static const Operand* find(const OperandMap& map, std::uint32_t id) {
    auto it = map.find(id);
    return it == map.end() ? nullptr : &it->second;
  }
  static std::uint32_t mapped_key(std::uint32_t file_id, bool write) {
    return file_id << 1 | (write ? 1 : 0);
  }
  OpId add(Op op, std::initializer_list<Operand> args);
  void close_all(std::vector<std::pair<std::uint32_t, Operand>> fds);

  const Model& model_;
  const ModelIndex& index_;
  const Environment& environment_;
  Plan plan_;
  OperandMap files_;
  OperandMap objects_;
  OperandMap object_ends_;
  OperandMap mapped_;
  std::unordered_map<std::uint32_t, Inside> inside_;
  std::unordered_set<std::uint32_t> kept_objects_;
  std::unordered_map<std::string, OpId> images_;
  std::vector<Operand> close_later_;
  std::map<std::string, std::string> moved_places_;
  std::set<std::string> removed_at_end_;
  std::uint32_t subject_ = 0;
  DataId scratch_ = UINT32_MAX;
};

}  // namespace bpfckpt
