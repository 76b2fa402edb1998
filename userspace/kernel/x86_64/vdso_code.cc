// SPDX-License-Identifier: Apache-2.0
#include <sys/syscall.h>

#include <cstring>
#include <initializer_list>

#include "kernel/vdso.h"

namespace bpfckpt::kernel {
namespace {

std::vector<std::byte> code(std::initializer_list<unsigned> bytes) {
  std::vector<std::byte> out;
  for (unsigned byte : bytes) out.push_back(static_cast<std::byte>(byte));
  return out;
}

template <class T>
void append(std::vector<std::byte>& out, T value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

}  // namespace

std::vector<std::byte> jump_to(std::uint64_t address) {
  std::vector<std::byte> out = code({0xff, 0x25, 0, 0, 0, 0});  // jmp *0(%rip)
  append(out, address);
  return out;
}

std::vector<std::byte> call_instead_of(std::string_view function) {
  struct Call {
    std::string_view name;
    long number;
  };
  // Arguments are where the system call wants them: none has more than three. __vdso_getrandom() takes two
  // more, its state, which is not used then.
  constexpr Call kCalls[] = {{"clock_gettime", SYS_clock_gettime},
                             {"clock_getres", SYS_clock_getres},
                             {"gettimeofday", SYS_gettimeofday},
                             {"time", SYS_time},
                             {"getcpu", SYS_getcpu},
                             {"getrandom", SYS_getrandom}};
  constexpr std::string_view kPrefix = "__vdso_";
  if (function.starts_with(kPrefix)) function.remove_prefix(kPrefix.size());
  for (const Call& call : kCalls) {
    if (call.name != function) continue;
    std::vector<std::byte> out = code({0xb8});  // mov $number, %eax
    append(out, static_cast<std::uint32_t>(call.number));
    for (std::byte byte : code({0x0f, 0x05, 0xc3})) out.push_back(byte);  // syscall; ret
    return out;
  }
  return {};
}

bool works_by_itself(std::string_view function) {
  // Since 7.x: a robust futex is let go by instructions at which the kernel would clean up behind a task that
  // dies there. On another kernel it does not, as it never did before.
  return function.starts_with("__vdso_futex_robust_list") ||
         // An enclave belongs to an open device (/dev/sgx_enclave), with which nobody is taken.
         function == "__vdso_sgx_enter_enclave";
}

}  // namespace bpfckpt::kernel
