// SPDX-License-Identifier: Apache-2.0
// One pass over every process of the machine, as they run, cut by process: where all of them are looked at, a
// link, an iterator and two reads for each of them would cost more than what they say.
#pragma once

#include <sys/types.h>

#include <unordered_map>
#include <vector>

#include "collect/packed.h"
#include "collect/peers.h"
#include "collect/programs.h"
#include "collect/records.h"

namespace bpfckpt::collect {

// What one program says of all tasks, cut by process.
class MachinePass {
 public:
  static Result<MachinePass> take(const Programs& programs, Program program);
  // The same for a snapshot: without what nobody asks running processes about, and of mappings also the
  // outline. What the records say of unix sockets is added to `ends`.
  static Result<MachinePass> take(const Programs& programs, Program program, UnixEnds& ends);

  Program program() const { return program_; }
  // Appends what it said of the process, its leader first; nothing where there was no such process.
  Result<void> append(pid_t tgid, Records& records) const;
  Result<void> append_outline(pid_t tgid, Records& records) const;

 private:
  class Cutting;
  explicit MachinePass(Program program) : program_(program) {}

  struct Cut {
    std::vector<PackedRecords::Run> leader, others, outline;
  };

  Program program_;
  PackedRecords records_, outlines_;
  std::unordered_map<std::uint32_t, Cut> cuts_;
};

class Snapshot {
 public:
  static Result<Snapshot> take(const Programs& programs);
  static bool has(Program program) {
    return program == Program::DumpTasks || program == Program::DumpFiles || program == Program::DumpVmas;
  }

  // Appends what `program`, one that it has(), said of the process.
  Result<void> append(Program program, pid_t tgid, Records& records) const;
  // Its mappings in short (outline.h).
  Result<void> append_outline(pid_t tgid, Records& records) const;
  const UnixEnds& unix_ends() const { return ends_; }

 private:
  Result<const MachinePass*> pass(Program program) const;

  std::vector<MachinePass> passes_;
  UnixEnds ends_;
};

}  // namespace bpfckpt::collect
