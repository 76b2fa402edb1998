// SPDX-License-Identifier: Apache-2.0
// A target's memory from outside. None of it needs the target stopped, all of it makes sense only then.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <type_traits>

#include "base/fd.h"
#include "base/result.h"
#include "target/address.h"

namespace bpfckpt::target {

// process_vm_readv()/writev(): as the target itself could read and write. All or Error::System (EFAULT if a
// part is not mapped so).
Result<void> read_memory(pid_t pid, RemoteAddress from, std::span<std::byte> to);
Result<void> write_memory(pid_t pid, RemoteAddress to, std::span<const std::byte> bytes);

template <class T>
  requires std::is_trivially_copyable_v<T>
Result<T> read_object(pid_t pid, RemoteAddress from) {
  T object;
  TRY(read_memory(pid, from, std::as_writable_bytes(std::span(&object, 1))));
  return object;
}

// Writes over any protection, the vDSO's too, as a debugger does: one pwrite() to /proc/PID/mem, so that
// bytes within one page are written all or not at all, whenever we are killed.
Result<void> poke_memory(pid_t pid, RemoteAddress to, std::span<const std::byte> bytes);

// /proc/PID/map_files/START-END, opened read-write: the file behind that mapping. `range` must be exactly
// that of a mapping. Needs CAP_CHECKPOINT_RESTORE.
Result<Fd> open_mapped_file(pid_t pid, const RemoteRange& range);

}  // namespace bpfckpt::target
