// SPDX-License-Identifier: GPL-2.0
/* What the programs share. */
#include "bpf/emit.h"
#include "bpf/per_cpu.h"
#include "bpf/walks.h"

struct scratch_map scratch_slots SEC(".maps");

struct walk_map walk_requests SEC(".maps");

struct cpu_places_map cpu_places SEC(".maps");

char _license[] SEC("license") = "GPL";
