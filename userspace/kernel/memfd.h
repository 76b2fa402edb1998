// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace bpfckpt::kernel {

inline constexpr unsigned kMemfdNoExecSeal = 0x8;  // MFD_NOEXEC_SEAL
inline constexpr unsigned kMemfdExec = 0x10;       // MFD_EXEC

// Does memfd_create(2) know these two? Since 6.3 ("mm/memfd: add MFD_NOEXEC_SEAL and MFD_EXEC"). What is made
// with neither is what the sysctl vm.memfd_noexec says.
bool memfd_exec_known();

}  // namespace bpfckpt::kernel
