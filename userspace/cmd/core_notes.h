// SPDX-License-Identifier: Apache-2.0
// The notes of an ELF core: processes, threads, registers, mapped files, in the kernel's layout
// (fs/binfmt_elf.c:elf_core_dump(), core(5)).
#pragma once

#include <string>

#include "cmd/core_memory.h"
#include "model/model.h"

namespace bpfckpt {

// The contents of the PT_NOTE segment. `memory` gives the command line.
Result<std::string> core_notes(const pb::Process& process, const ModelIndex& index, const CoreMemory& memory);

}  // namespace bpfckpt
