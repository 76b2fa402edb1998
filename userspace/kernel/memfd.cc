// SPDX-License-Identifier: Apache-2.0
#include "kernel/memfd.h"

#include <sys/mman.h>

#include <cerrno>

#include "base/fd.h"

namespace bpfckpt::kernel {

bool memfd_exec_known() {
  // Refused by vm.memfd_noexec=2 with EACCES, where it is known.
  const Fd fd(::memfd_create("probe", MFD_CLOEXEC | kMemfdExec));
  return fd || errno != EINVAL;
}

}  // namespace bpfckpt::kernel
