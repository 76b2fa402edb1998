// SPDX-License-Identifier: Apache-2.0
// What must be so before anything is made: free pids, files that are what they were. Everything that is not
// is named at once.
#pragma once

#include <cstdint>
#include <vector>

#include "images/manifest.pb.h"
#include "model/model.h"

namespace bpfckpt::restore {

// What of the CPU must be here that was there (--cpu-cap).
struct CpuCheck {
  bool instructions = true;  // every instruction that programs may have found there
  bool state = true;         // every register that the kernel had switched on
  bool exact = false;        // the very model
};
// Error::Conflict names what is missing. A checkpoint that does not say what there was passes.
Result<void> check_cpu(const pb::CpuFeatures& there, const CpuCheck& check);

// Error::Conflict: a thread was taken inside of its kernel's vDSO, and this kernel has another one. It would
// go on in the middle of a function that is not here.
Result<void> check_outside_vdso(const Model& model);

// Error::Conflict lists every pid and tid of the tree that somebody has.
Result<void> check_pids_free(const Model& model);

// Error::Conflict lists every file that is missing, is of another type or size, or has other permissions
// (unless `permissions` is false) than at dump. Files whose id is in `except` are given by the caller.
Result<void> check_files(const Model& model, bool permissions, const std::vector<std::uint32_t>& except);

// Locks that a process outside holds against those that are to be taken, told before anything is made: which
// file, and who where the kernel says it. `except` as above.
Result<void> check_locks(const Model& model, const std::vector<std::uint32_t>& except);

}  // namespace bpfckpt::restore
