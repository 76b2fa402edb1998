// SPDX-License-Identifier: Apache-2.0
// The parasite's machine code as bytes of this program.
#pragma once

#include <cstddef>
#include <span>

namespace bpfckpt::parasite {

// The batch interpreter, position independent, entered at its first byte (x86_64/arch.h says with which
// registers).
std::span<const std::byte> blob();
// A static ELF program that maps a control area and enters the interpreter (stub.cc).
std::span<const std::byte> stub();

// The piece of code that is written into the tail of a target's vDSO (x86_64/gate.S), and its entries.
struct Gate {
  std::span<const std::byte> code;
  std::size_t after_call;  // offset of the instruction after the system call
  std::size_t home;        // offset of the entry that unmaps and goes home
  std::size_t sigreturn;   // offset of the entry that only goes home
};
Gate gate();

}  // namespace bpfckpt::parasite
