// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace bpfckpt {

// "openat"; "system call 999" for one that the headers we were built with do not know.
std::string syscall_name(long number);

}  // namespace bpfckpt
