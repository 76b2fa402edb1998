// SPDX-License-Identifier: GPL-2.0
/* What the programs share. */
#include "bpf/emit.h"

struct scratch_map scratch_slots SEC(".maps");

char _license[] SEC("license") = "GPL";
