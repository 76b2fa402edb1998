// SPDX-License-Identifier: Apache-2.0
#include "base/syscall_name.h"

#include <asm/unistd.h>
#include <fmt/format.h>

namespace bpfckpt {

std::string syscall_name(long number) {
  switch (number) {
#define NAME(call)  \
  case __NR_##call: \
    return #call;
#include "syscall_names.inc"
#undef NAME
  }
  return fmt::format("system call {}", number);
}

}  // namespace bpfckpt
