// SPDX-License-Identifier: Apache-2.0
// What of a task has no name in the kernel's types: it is done to a task of our own, and what changes tells
// where it is. None of it is left behind.
#pragma once

#include "base/result.h"
#include "collect/programs.h"
#include "collect/records.h"

namespace bpfckpt::collect {

// Everything but the Landlock word. `scratch` is read into, and empty afterwards. The calling thread gets
// SIGSEGV for RDTSC and CPUID for some microseconds, in which no more is done than to read iterators.
Result<TaskMarks> find_task_marks(const Programs& programs, Records& scratch);

// Which word of cred_record.security a Landlock domain changes, by a thread that enters one and ends; -1
// where there is no Landlock. `own` is what our own threads have.
Result<int> find_landlock_word(const Programs& programs, const TaskMarks::Security& own);

}  // namespace bpfckpt::collect
