// SPDX-License-Identifier: Apache-2.0
// One pass over every process of the machine, as they run, cut by process: where all of them are looked at, a
// link, an iterator and two reads for each of them would cost more than what they say.
#pragma once

#include <sys/types.h>

#include <unordered_map>
#include <vector>

#include "collect/peers.h"
#include "collect/programs.h"
#include "collect/records.h"

namespace bpfckpt::collect {

class Snapshot {
 public:
  static Result<Snapshot> take(const Programs& programs);
  static bool has(Program program) {
    return program == Program::DumpTasks || program == Program::DumpFiles || program == Program::DumpVmas;
  }

  // Appends what `program`, one that it has(), said of the process, its leader first; nothing where
  // there was no such process.
  Result<void> append(Program program, pid_t tgid, Records& records) const;
  const UnixEnds& unix_ends() const { return ends_; }

 private:
  struct Cut {
    std::vector<const record_head*> leader, others;
  };
  using ByProcess = std::unordered_map<std::uint32_t, Cut>;
  struct Pass {
    explicit Pass(Program of) : program(of) {}

    Program program;
    Records records;
    ByProcess cuts;

    Result<void> cut();
  };

  std::vector<Pass> passes_;
  UnixEnds ends_;
};

}  // namespace bpfckpt::collect
