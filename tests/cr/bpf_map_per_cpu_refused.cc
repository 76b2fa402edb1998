// SPDX-License-Identifier: Apache-2.0
// What a per-cpu map holds belongs to the machine's cpus.
#include "harness/cr_bpf.h"

void cr::test() {
  const int fd = create_map(BPF_MAP_TYPE_PERCPU_HASH, 4, 8, 4, 0, "by_cpu");
  if (fd < 0) skip("btf");
  checkpoint_here();
  CHECK_EQ(map_info(fd).key_size, 4u);
}

cr::Options cr::options() {
  return {.refused = "BPF map \"by_cpu\" is of type 5 (per-cpu hash)"};
}
