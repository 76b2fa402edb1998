// SPDX-License-Identifier: Apache-2.0
// Programs cannot be taken, and the refusal says so.
#include <fcntl.h>

#include "harness/cr_bpf.h"

void cr::test() {
  const bpf_insn instructions[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1},
                                   {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  bpf_attr load = bpf_attribute();
  load.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  load.insns = reinterpret_cast<std::uint64_t>(instructions);
  load.insn_cnt = 2;
  load.license = reinterpret_cast<std::uint64_t>("GPL");
  const int program = bpf(BPF_PROG_LOAD, load);
  if (program < 0) skip("btf");
  checkpoint_here();
  CHECK(::fcntl(program, F_GETFD) >= 0);
}

cr::Options cr::options() {
  return {.refused = "a BPF object (bpf-prog)"};
}
