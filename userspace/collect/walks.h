// SPDX-License-Identifier: Apache-2.0
// Lists of any length behind objects that earlier records named (bpf/walks.h).
#pragma once

#include <map>
#include <unordered_set>
#include <vector>

#include "collect/programs.h"
#include "collect/records.h"

namespace bpfckpt::collect {

// What reads lists: made when the first list of a kind is read, and kept for the next reading.
class Walkers {
 public:
  // `programs` must outlive it.
  explicit Walkers(const Programs& programs) : programs_(programs) {}

  Result<int> link(Program program);
  // A pidfd of ourselves: the key of our storage.
  Result<int> self();
  int requests() const { return programs_.requests_fd(); }

 private:
  const Programs& programs_;
  std::map<Program, Fd> links_;
  Fd self_;
};

// Gathers, from file records, whose lists are to be read, and reads them. Each list is read once.
class Walks {
 public:
  void add(const record_head& head);
  // Is there a list that was added and not read yet?
  bool waiting() const;
  // Appends the items of all lists that were added since the last call. Precondition: called by the thread
  // group's leader, in whose storage the requests are left.
  Result<void> read(Walkers& walkers, Records& records);

 private:
  void add(std::uint32_t kind, std::uint64_t object);

  struct Lists {
    std::vector<std::uint64_t> objects;
    std::unordered_set<std::uint64_t> seen;
  };
  std::map<std::uint32_t, Lists> lists_;  // by enum walk_kind
};

}  // namespace bpfckpt::collect
