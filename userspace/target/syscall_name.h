// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace bpfckpt::target {

// "openat"; "system call 999" for one that is not in the table of those we make.
std::string syscall_name(long nr);

}  // namespace bpfckpt::target
