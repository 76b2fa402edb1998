/* SPDX-License-Identifier: GPL-2.0 */
/* The rings of io_setup(2): fs/aio.c. */
#ifndef BPFCKPT_AIO_H
#define BPFCKPT_AIO_H

#include "bpf/emit.h"
#include "bpf/kernel_mm.h"
#include "bpf/per_cpu.h"

enum {
	AIO_RINGS = 256,	/* of one address space: what one show() can hold */
	AIO_POLLS = 1024,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kioctx_cpu {
	unsigned int reqs_available;
};

struct kioctx {
	unsigned long user_id;
	struct kioctx_cpu *cpu;
	unsigned int max_reqs, nr_events;
	unsigned long mmap_size;
	atomic_t reqs_available;
	struct list_head active_reqs;
	unsigned int tail, completed_events;
};

#pragma clang attribute pop

/* Requests that have a slot of the ring but no event in it yet: each takes one of nr_events - 1, and gives it back some
 * time after its event was seen (fs/aio.c:get_reqs_available(), refill_reqs_available()). */
static __always_inline __s32 requests_in_flight(const struct kioctx *ring)
{
	return BPF_CORE_READ(ring, nr_events) - 1 - BPF_CORE_READ(ring, reqs_available.counter) -
	       per_cpu_sum(BPF_CORE_READ(ring, cpu)) -
	       BPF_CORE_READ(ring, completed_events);
}

struct poll_walk {
	__u64 head, at;
	__u32 count;
};

static long count_poll(__u32 i, struct poll_walk *walk)
{
	(void)i;
	if (!walk->at || walk->at == walk->head)
		return 1;
	walk->count++;
	walk->at = read_at(__u64, walk->at);
	return 0;
}

/* Requests that can be cancelled: polls (fs/aio.c:aio_poll()), and reads of USB gadgets. They end when they like. */
static __always_inline __u32 polls(const struct kioctx *ring)
{
	struct poll_walk walk = { .head = (__u64)member_address(ring, struct kioctx, active_reqs) };

	walk.at = read_at(__u64, walk.head);
	bpf_loop(AIO_POLLS, count_poll, &walk, 0);
	return walk.count;
}

struct aio_walk {
	struct seq_file *seq;
	__u64 mm;
	const struct kioctx_table *table;
	__u32 tgid;
	__u32 slots;
};

static long write_aio_ring(__u32 i, struct aio_walk *walk)
{
	struct aio_ring_record record = {};
	const struct kioctx *ring;

	if (i >= walk->slots)
		return 1;
	ring = read_at(void *, member_address(walk->table, struct kioctx_table, table) + i * sizeof(void *));
	if (!ring)
		return 0;
	record.head.type = RECORD_AIO_RING;
	record.head.length = sizeof(record);
	record.mm = walk->mm;
	record.tgid = walk->tgid;
	record.address = BPF_CORE_READ(ring, user_id);
	record.size_bytes = BPF_CORE_READ(ring, mmap_size);
	record.max_requests = BPF_CORE_READ(ring, max_reqs);
	record.slots = BPF_CORE_READ(ring, nr_events);
	record.tail = BPF_CORE_READ(ring, tail);
	record.in_flight = requests_in_flight(ring);
	record.polls = polls(ring);
	bpf_seq_write(walk->seq, &record, sizeof(record));
	return 0;
}

/* The table of io_setup() contexts stays when the last of them is gone. */
static __always_inline void write_aio_rings(struct seq_file *seq, const struct mm_struct *mm, __u32 tgid)
{
	struct aio_walk walk = { .seq = seq, .mm = (__u64)mm, .tgid = tgid };
	const struct kioctx_table *table;

	if (!bpf_core_field_exists(mm->ioctx_table))
		return;
	table = BPF_CORE_READ(mm, ioctx_table);
	if (!table)
		return;
	walk.table = table;
	walk.slots = BPF_CORE_READ(table, nr);
	bpf_loop(AIO_RINGS, write_aio_ring, &walk, 0);
}

#endif
