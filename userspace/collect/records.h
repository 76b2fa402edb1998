// SPDX-License-Identifier: Apache-2.0
// Raw records, as the iterators wrote them (bpf/records.h): kept as bytes inside the frozen window, read
// afterwards.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "bpf/records.h"

namespace bpfckpt::collect {

// What is compared with ourselves, and how to read what the kernel's structures have no name for:
// task_marks.h finds it out.
struct TaskMarks {
  using Security = std::array<std::uint64_t, RECORD_SECURITY_WORDS>;

  ns_part own_namespaces{};
  // Bits of task_record.thread_flags; 0: there is no such thing here.
  std::uint64_t no_tsc = 0;
  std::uint64_t no_cpuid = 0;
  // cred_record.security of ourselves, and which word of it is the Landlock domain; -1: not known.
  Security own_security{};
  int landlock_word = -1;
  // Of ourselves; null: there is none.
  std::uint64_t own_session_keyring = 0;
  // What a security module calls us; empty: none labels tasks.
  std::string own_label;
  bool apparmor = false;
};

// One reading of the iterators; move-only. Memory is taken in large populated pieces, the first of them by
// prepare(), so that a reading of ordinary size touches no fresh page while the tree is frozen.
class Records {
 public:
  // Room for the output of one show(): the kernel's seq buffer (kernel/bpf/bpf_iter.c: PAGE_SIZE << 3).
  static constexpr std::size_t kReadBytes = 32 * 1024;

  Result<void> prepare(std::size_t len_bytes);
  // At least kReadBytes of free room, to be read into; commit() says how much was.
  Result<std::span<std::byte>> room();
  void commit(std::size_t len_bytes) { pieces_[current_].used += len_bytes; }
  // A copy of the record, at the end.
  Result<record_head*> append(const record_head& record);
  std::size_t size_bytes() const;
  std::size_t capacity_bytes() const;
  // The records that came after the first `from_bytes` bytes (of size_bytes()).
  template <class Visit>
  Result<void> for_each_from(std::size_t from_bytes, Visit&& visit) const;
  // Forgets what came after the first `len_bytes` bytes.
  void truncate(std::size_t len_bytes);
  // Forgets everything but keeps the memory.
  void clear();

  // Calls `visit(const record_head&)` for every record, in the order written, until it returns an error. A
  // record whose length is impossible is Error::Bug.
  template <class Visit>
  Result<void> for_each(Visit&& visit) const {
    return for_each_from(0, std::forward<Visit>(visit));
  }

  // What a clock showed while the records were taken: absolute expiries in them mean something by it only.
  struct ClockSample {
    clockid_t clock;  // also CPU clocks of processes and threads, by their dynamic id
    std::int64_t now_ns;
  };
  void add_clock(clockid_t clock);
  // Nothing where the clock was not sampled or not to be had. CPU time that is counted in ticks may well be
  // 0.
  std::optional<std::int64_t> clock_ns(clockid_t clock) const;

  // Taken of tasks that were not stopped: what belongs together may be there in part.
  void set_of_running() { of_running_ = true; }
  bool of_running() const { return of_running_; }

  void set_marks(const TaskMarks& marks) { marks_ = marks; }
  const TaskMarks& marks() const { return marks_; }

  // Where a mapping's file is a backing one (overlayfs), the path and inode that the process sees.
  struct VisibleFile {
    std::string path;
    struct stat facts;
  };
  void add_visible_file(std::uint64_t file, VisibleFile visible) {
    visible_.emplace(file, std::move(visible));
  }
  // What a security module calls the tasks with these credentials, and what else they asked it for.
  struct Label {
    std::string text, more;
  };
  void add_label(std::uint64_t cred, const Label& label) { labels_.emplace(cred, label); }
  const Label* label(std::uint64_t cred) const {
    auto it = labels_.find(cred);
    return it == labels_.end() ? nullptr : &it->second;
  }

  const VisibleFile* visible_file(std::uint64_t file) const {
    auto it = visible_.find(file);
    return it == visible_.end() ? nullptr : &it->second;
  }

 private:
  struct Piece {
    Mapping memory;
    std::size_t used = 0;
  };
  Result<void> add_piece(std::size_t len_bytes);

  std::vector<Piece> pieces_;
  bool of_running_ = false;
  TaskMarks marks_;
  std::size_t current_ = 0;  // the piece that is written to; those after it are empty
  std::vector<ClockSample> clocks_;
  std::unordered_map<std::uint64_t, VisibleFile> visible_;
  std::unordered_map<std::uint64_t, Label> labels_;
};

// `head` as the record that its type says; null if it is too short to be one.
template <class Record>
const Record* as(const record_head& head) {
  return head.length < sizeof(Record) ? nullptr : reinterpret_cast<const Record*>(&head);
}

// The bytes that trail the fixed part of a record, padding included.
template <class Record>
std::span<const std::byte> trailing(const Record& record) {
  auto bytes = reinterpret_cast<const std::byte*>(&record);
  return {bytes + sizeof(Record), bytes + record.head.length};
}

// The trailing path of a file_record as the kernel gave it, without NUL.
std::string_view path_string(const file_record& record);
// The trailing name of a mapping, without NUL; empty: it has none.
std::string_view name_string(const vma_record& record);

template <class Visit>
Result<void> Records::for_each_from(std::size_t from_bytes, Visit&& visit) const {
  for (const Piece& piece : pieces_) {
    std::size_t at = std::min(from_bytes, piece.used);
    from_bytes -= at;
    while (at < piece.used) {
      auto head = reinterpret_cast<const record_head*>(piece.memory.data() + at);
      if (piece.used - at < sizeof(record_head) || head->length < sizeof(record_head) ||
          head->length % 8 != 0 || head->length > piece.used - at)
        return fail(Error::bug("collect: a record of impossible length"));
      TRY(visit(*head));
      at += head->length;
    }
  }
  return {};
}

}  // namespace bpfckpt::collect
