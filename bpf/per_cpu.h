/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sums of per-cpu variables.
 *
 * Per-cpu variables lie at the same offset of every cpu's area, and the areas' places are a data symbol, which is not
 * told without KALLSYMS_ALL. A per-cpu map tells them: its value's offset is in the map, its address comes from a
 * lookup.
 */
#ifndef BPFCKPT_PER_CPU_H
#define BPFCKPT_PER_CPU_H

#include "bpf/kernel.h"

enum { CPUS = 8192 };

struct cpu_places_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
};

extern struct cpu_places_map cpu_places SEC(".maps");

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_array {
	void *pptrs[1];
};

#pragma clang attribute pop

/* A pointer as a number with which one may reckon. */
static __always_inline __u64 number_of(const void *pointer)
{
	const void *volatile place = pointer;
	__u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), (const void *)&place);
	return number;
}

struct cpu_sum {
	__u64 variable;
	__u64 map_variable;
	__u32 sum;
};

static long add_cpu(__u32 cpu, struct cpu_sum *sum)
{
	__u32 zero = 0;
	const void *value = bpf_map_lookup_percpu_elem(&cpu_places, &zero, cpu);

	if (!value)
		return 1;
	sum->sum += read_at(__u32, sum->variable + (number_of(value) - sum->map_variable));
	return 0;
}

/* Of a 32-bit variable, by its per-cpu pointer. */
static __always_inline __u32 per_cpu_sum(const void *variable)
{
	struct cpu_sum sum = {
		.variable = (__u64)variable,
		.map_variable = read_at(__u64, number_of(&cpu_places) + bpf_core_field_offset(struct bpf_array, pptrs)),
	};

	bpf_loop(CPUS, add_cpu, &sum, 0);
	return sum.sum;
}

#endif
