/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where records are built, and how they leave.
 *
 * A program's stack has 512 bytes; records with a path want some kilobytes. A per-cpu buffer is not enough: an iterator
 * may be preempted, and another reader (programs are shared through bpffs) may run on the same cpu meanwhile. So there
 * is a small pool, and a show() holds one slot of it from begin to end.
 *
 * One show() writes all its records or, where they overflow the buffer, none: the kernel throws away what an
 * overflowing show() wrote and runs it again with an empty buffer (kernel/bpf/bpf_iter.c:bpf_seq_read()). What a show()
 * keeps for those after it (told_file) it keeps only when all of its records are written.
 */
#ifndef BPFCKPT_EMIT_H
#define BPFCKPT_EMIT_H

#include "bpf/kernel.h"
#include "bpf/kinds/socket.h"
#include "bpf/kinds/unix_queue.h"
#include "bpf/records.h"

struct scratch {
	__u64 busy;
	__u64 told_session;	/* bpf_iter_meta.session_id of the iterator that last wrote ... */
	__u64 told_mm;		/* ... of a mapping of this address space ... */
	__u64 told_file;	/* ... this file here */
	union {
		struct record_head head;
		struct file_record file;
		struct vma_record vma;
		struct task_record task;
		struct process_record process;
		struct sighand_record sighand;
		struct timer_record timer;
		struct mm_record mm;
		struct fs_record fs;
		struct cred_record cred;
		struct summary_record summary;
	};
	struct socket_record socket;
	struct near_messages near;
	char path[RECORD_PATH_MAX + 8];
	char path2[RECORD_PATH_MAX + 8];
};

enum { SCRATCH_SLOTS = 64, SCRATCH_TRIES = 8 };

struct scratch_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCH_SLOTS);
	__type(key, __u32);
	__type(value, struct scratch);
};

extern struct scratch_map scratch_slots SEC(".maps");

/* A slot, or NULL: then a RECORD_LOST is written, and the reader starts again. */
static __always_inline struct scratch *begin_show(struct seq_file *seq)
{
	struct record_head lost = { .type = RECORD_LOST, .length = sizeof(lost) };
	__u32 cpu = bpf_get_smp_processor_id();

	for (__u32 i = 0; i < SCRATCH_TRIES; i++) {
		__u32 key = (cpu * SCRATCH_TRIES + i) % SCRATCH_SLOTS;
		struct scratch *slot = bpf_map_lookup_elem(&scratch_slots, &key);

		if (slot && __sync_val_compare_and_swap(&slot->busy, 0, 1) == 0)
			return slot;
	}
	bpf_seq_write(seq, &lost, sizeof(lost));
	return NULL;
}

static __always_inline void end_show(struct scratch *slot)
{
	__sync_val_compare_and_swap(&slot->busy, 1, 0);
}

/* Clears the slot's record and says what it will be; `trailing` bytes follow the fixed part. */
#define begin_record(record, record_type) \
	({ \
		__builtin_memset((record), 0, sizeof(*(record))); \
		(record)->head.type = (record_type); \
		(record)->head.length = sizeof(*(record)); \
	})

#define write_record(seq, record) bpf_seq_write((seq), (record), sizeof(*(record)))

/* A string's room in a record: its bytes, NUL included, padded to 8. */
static __always_inline __u32 padded(__u32 bytes)
{
	return (bytes + 7) & ~7U;
}

static __always_inline void write_trailing(struct seq_file *seq, const void *bytes, __u32 len)
{
	len = padded(len);
	if (!len)
		return;
	/* Else both comparisons become one, of another register, from which 6.1 learns nothing of this one. */
	barrier_var(len);
	if (len <= RECORD_PATH_MAX)
		bpf_seq_write(seq, bytes, len);
}

#endif
