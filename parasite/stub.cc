// SPDX-License-Identifier: Apache-2.0
// The program that every restored tree begins as: maps the control area and becomes the interpreter.
//
// It is executed by bpfckpt (target/stub.h) with all signals blocked and argv: base, length, descriptor,
// address of the slot, all hexadecimal. The rest of the tree is forked from it while it is this small.
// Nothing of it is needed once the interpreter runs: everything but the area and the kernel's special
// mappings may be unmapped.
//
// Exit status if something fails: 120 bad arguments, 121 the code, 122 the data could not be mapped.
#include "arch.h"
#include "parasite/protocol.h"

namespace bpfckpt::parasite {
namespace {

constexpr int64_t kProtRead = 1;
constexpr int64_t kProtWrite = 2;
constexpr int64_t kProtExec = 4;
constexpr int64_t kMapSharedFixedNoReplace = 0x100001;
constexpr uint64_t kAtSysinfoEhdr = 33;  // include/uapi/linux/auxvec.h

uint64_t hexadecimal(const char* text) {
  uint64_t value = 0;
  for (; *text != '\0'; ++text)
    value = value * 16 + static_cast<uint64_t>(*text <= '9' ? *text - '0' : *text - 'a' + 10);
  return value;
}

uint64_t auxiliary(const uint64_t* auxv, uint64_t type) {
  for (; auxv[0] != 0; auxv += 2)
    if (auxv[0] == type) return auxv[1];
  return 0;
}

void map(uint64_t start, uint64_t len_bytes, int64_t prot, uint64_t fd, uint64_t offset, int64_t status) {
  const int64_t at =
      system_call(kSysMmap, static_cast<int64_t>(start), static_cast<int64_t>(len_bytes), prot,
                  kMapSharedFixedNoReplace, static_cast<int64_t>(fd), static_cast<int64_t>(offset));
  if (at != static_cast<int64_t>(start)) system_call(kSysExitGroup, status);
}

}  // namespace

// `stack` is as execve(2) leaves it: argc, argv, 0, the environment, 0, the auxiliary vector.
extern "C" [[noreturn, gnu::used]] void bpfckpt_stub(const uint64_t* stack) {
  if (stack[0] != 5) system_call(kSysExitGroup, 120);
  const auto* const argv = reinterpret_cast<const char* const*>(stack + 1);
  const uint64_t base = hexadecimal(argv[1]);
  const uint64_t len_bytes = hexadecimal(argv[2]);
  const uint64_t fd = hexadecimal(argv[3]);
  const uint64_t slot = hexadecimal(argv[4]);

  const uint64_t* after_env = stack + 1 + stack[0] + 1;
  while (*after_env != 0) ++after_env;

  map(base, kCodeBytes, kProtRead | kProtExec, fd, 0, 121);
  map(base + kCodeBytes, len_bytes - kCodeBytes, kProtRead | kProtWrite, fd, kCodeBytes, 122);
  system_call(kSysCloseRange, 0, 0xffffffff);
  reinterpret_cast<Header*>(base + kCodeBytes)->vdso = auxiliary(after_env + 1, kAtSysinfoEhdr);
  enter_blob(base, slot);
}

}  // namespace bpfckpt::parasite
