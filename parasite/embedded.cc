// SPDX-License-Identifier: Apache-2.0
#include "parasite/embedded.h"

// From embed.S and the architecture's gate.S.
extern "C" const std::byte bpfckpt_blob_begin[], bpfckpt_blob_end[], bpfckpt_stub_begin[], bpfckpt_stub_end[];
extern "C" const std::byte bpfckpt_gate_begin[], bpfckpt_gate_after_call[], bpfckpt_gate_home[],
    bpfckpt_gate_sigreturn[], bpfckpt_gate_end[];

namespace bpfckpt::parasite {

std::span<const std::byte> blob() {
  return {bpfckpt_blob_begin, bpfckpt_blob_end};
}

std::span<const std::byte> stub() {
  return {bpfckpt_stub_begin, bpfckpt_stub_end};
}

Gate gate() {
  const auto offset = [](const std::byte* label) {
    return static_cast<std::size_t>(label - bpfckpt_gate_begin);
  };
  return {{bpfckpt_gate_begin, bpfckpt_gate_end},
          offset(bpfckpt_gate_after_call),
          offset(bpfckpt_gate_home),
          offset(bpfckpt_gate_sigreturn)};
}

}  // namespace bpfckpt::parasite
