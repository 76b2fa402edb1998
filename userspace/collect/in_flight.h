// SPDX-License-Identifier: Apache-2.0
// Files that are in flight in a socket's queue (SCM_RIGHTS).
//
// Which they are, BPF says by their struct file. Where some process of the tree has such a file open as well,
// that is all there is to know. Where nobody has, its record is still to be had: a look at the message
// (MSG_PEEK) gives us a descriptor of it for a moment, and then it is a file of ours, which the iterator
// shows like any other.
#pragma once

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "collect/programs.h"
#include "collect/records.h"

namespace bpfckpt::collect {

// file_record.fd: nobody has it open.
inline constexpr int kInFlight = -3;

class InFlight {
 public:
  InFlight(const Programs& programs, Records& records) : programs_(programs), records_(records) {}

  // Looks at the messages that came after the first `from_bytes` bytes of records, and appends the records of
  // the files in them that are not there yet. Precondition: the tree is frozen.
  Result<void> take(std::size_t from_bytes);

 private:
  struct Holder {
    pid_t pid = 0;  // 0: `fd` is ours
    int fd = -1;
  };
  Result<void> find_wanted(std::size_t from_bytes);
  Result<void> know_files();
  void know(const record_head& head);
  Result<void> look_into(std::uint64_t sock);

  const Programs& programs_;
  Records& records_;
  bool know_files_ = false;
  std::unordered_set<std::uint64_t> known_;            // struct file
  std::unordered_map<std::uint64_t, Holder> holders_;  // by struct sock, of those with messages
  std::unordered_set<std::uint64_t> wanted_;           // struct file
  std::vector<std::uint64_t> sockets_;                 // struct sock, whose messages carry wanted ones
  std::vector<Fd> ours_;
};

}  // namespace bpfckpt::collect
