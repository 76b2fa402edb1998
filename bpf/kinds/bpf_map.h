/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A BPF map: kernel/bpf/syscall.c, struct bpf_map. */
#ifndef BPFCKPT_KINDS_BPF_MAP_H
#define BPFCKPT_KINDS_BPF_MAP_H

#include <linux/types.h>

struct bpf_map_record {
	__u64 map_extra;
	__s64 references;	/* descriptions, and whoever else keeps it: programs, pins, other maps */
	__u32 type;		/* enum bpf_map_type */
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;	/* BPF_F_* that stay with the map */
	__s32 numa_node;
	__u32 btf_key_type;	/* type ids; both 0: no BTF */
	__u32 btf_value_type;
	__u32 frozen;		/* BPF_MAP_FREEZE */
	__u32 id;
	__u32 special;		/* values hold what the kernel manages: locks, timers, pointers */
	__u32 pad;
	char name[16];
};

#ifdef __bpf__
#include "bpf/kernel_fs.h"
#include "bpf/kinds/anon.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_map {
	enum bpf_map_type map_type;
	__u32 key_size, value_size, max_entries;
	__u64 map_extra;
	__u32 map_flags, id;
	void *record; /* struct btf_record */
	int numa_node;
	__u32 btf_key_type_id, btf_value_type_id;
	char name[16];
	atomic64_t refcnt;
	bool frozen;
};

/* up to 6.1 ("bpf: Consolidate spin_lock, timer management into btf_record", 6.2) */
struct bpf_map___v61 {
	int spin_lock_off, timer_off;
	void *kptr_off_tab;
};

#pragma clang attribute pop

static __always_inline bool is_bpf_map(const struct inode_part *inode, const char *name)
{
	return is_anonymous(inode, name, "bpf-map");
}

/* An error pointer where the value is no structure (kernel/bpf/syscall.c:map_check_btf()). */
static __always_inline bool is_table(const void *fields)
{
	return fields && (__u64)fields < (__u64)-4095;
}

static __always_inline bool has_special_fields(const struct bpf_map *map)
{
	const struct bpf_map___v61 *old = (const void *)map;

	if (bpf_core_field_exists(map->record))
		return is_table(BPF_CORE_READ(map, record));
	return BPF_CORE_READ(old, spin_lock_off) >= 0 || BPF_CORE_READ(old, timer_off) >= 0 ||
	       is_table(BPF_CORE_READ(old, kptr_off_tab));
}

static __always_inline void fill_bpf_map(const struct file *file, struct bpf_map_record *out)
{
	const struct bpf_map *map = BPF_CORE_READ(file, private_data);

	out->map_extra = BPF_CORE_READ(map, map_extra);
	out->references = BPF_CORE_READ(map, refcnt.counter);
	out->type = BPF_CORE_READ(map, map_type);
	out->key_size = BPF_CORE_READ(map, key_size);
	out->value_size = BPF_CORE_READ(map, value_size);
	out->max_entries = BPF_CORE_READ(map, max_entries);
	out->map_flags = BPF_CORE_READ(map, map_flags);
	out->numa_node = BPF_CORE_READ(map, numa_node);
	out->btf_key_type = BPF_CORE_READ(map, btf_key_type_id);
	out->btf_value_type = BPF_CORE_READ(map, btf_value_type_id);
	out->frozen = BPF_CORE_READ(map, frozen);
	out->id = BPF_CORE_READ(map, id);
	out->special = has_special_fields(map);
	bpf_probe_read_kernel(out->name, sizeof(out->name), member_address(map, struct bpf_map, name));
}

#endif /* __bpf__ */

#endif
