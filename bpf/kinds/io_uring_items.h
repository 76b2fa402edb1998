/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What belongs to an io_uring: registered files and buffers, requests that wait, who uses it.
 *
 * These are several tables and lists of one ring. A node is a section and an index in it, but of the list of users,
 * which comes last: there it is the list's node itself, an address.
 */
#ifndef BPFCKPT_KINDS_IO_URING_ITEMS_H
#define BPFCKPT_KINDS_IO_URING_ITEMS_H

#include "bpf/kinds/io_uring.h"
#include "bpf/per_cpu.h"
#include "bpf/walks.h"

enum uring_section {
	SECTION_FILES,
	SECTION_BUFFERS,
	SECTION_POLLED,		/* buckets of the table of requests that can be cancelled */
	SECTION_POLLED_LOCKED,	/* up to 6.12 those of requests under the ring's lock are apart */
	SECTION_LISTS,
	SECTIONS,
};

enum uring_list { LIST_WAITID, LIST_FUTEX, LIST_COMMAND, LIST_TIMEOUT, LIST_LINKED, LIST_DEFERRED, LIST_OVERFLOW, THREAD_CREDENTIALS, LISTS };

enum {
	URING_INDEX_BITS = 32,
	URING_CHAIN = 4096,	/* requests of one list that are counted */
	URING_MOST_FILES = 1 << 20,	/* io_uring/rsrc.h: IORING_MAX_FIXED_FILES */
	URING_MOST_BUFFERS = 1 << 14,	/* io_uring/rsrc.c: IORING_MAX_REG_BUFFERS */
	URING_MOST_HASH_BITS = 16,
	URING_TAGS_A_PAGE = 512,	/* up to 6.12: io_uring/rsrc.c, IO_RSRC_TAG_TABLE_SIZE of them by page */
	OP_TIMEOUT = 11,
	OP_LINK_TIMEOUT = 15,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct io_rsrc_node {
	__u64 tag;
	unsigned long file_ptr;
	struct io_mapped_ubuf *buf;
};

struct io_mapped_ubuf {
	__u64 ubuf;
};

struct io_mapped_ubuf___v61 {
	__u64 ubuf_end;
};

/* 7.x: size_t */
struct io_mapped_ubuf___v612 {
	unsigned int len;
};

/* since 6.15 ("io_uring: add support for kernel registered bvecs") */
struct io_mapped_ubuf___v615 {
	bool is_kbuf;
};

struct io_mapped_ubuf___v7 {
	__u8 flags;
};

struct io_hash_bucket {
	struct hlist_head list;
};

struct io_kiocb {
	__u8 opcode;
	struct hlist_node hash_node;
};

struct io_tctx_node {
	struct list_head ctx_node;
	struct task_struct *task;
};

#pragma clang attribute pop

/* Memory that is being freed may say anything: nobody walks it for ever. */
static __always_inline __u32 at_most(__u32 size, __u32 most)
{
	return size > most ? most : size;
}

static __always_inline __u32 section_size(const struct io_ring_ctx *ring, __u32 section)
{
	const struct io_ring_ctx___slots *slots = (const void *)ring;

	switch (section) {
	case SECTION_FILES:
		return at_most(uring_files(ring), URING_MOST_FILES);
	case SECTION_BUFFERS:
		return at_most(uring_buffers(ring), URING_MOST_BUFFERS);
	case SECTION_POLLED:
		return 1U << at_most(BPF_CORE_READ(ring, cancel_table.hash_bits), URING_MOST_HASH_BITS);
	case SECTION_POLLED_LOCKED:
		if (!bpf_core_field_exists(slots->cancel_table_locked))
			return 0;
		barrier_var(slots);
		return 1U << at_most(BPF_CORE_READ(slots, cancel_table_locked.hash_bits), URING_MOST_HASH_BITS);
	case SECTION_LISTS:
		return LISTS;
	}
	return 0;
}

static __always_inline const void *user_or_end(const struct io_ring_ctx *ring, const void *node)
{
	return node == member_address(ring, struct io_ring_ctx, tctx_list) ? NULL : node;
}

/* The place itself, or the next one that there is. 0 is no node, and so places are counted from 1. */
static __always_inline const void *uring_place(const struct io_ring_ctx *ring, __u32 section, __u32 index)
{
	for (__u32 i = 0; i < SECTIONS; i++) {
		if (section >= SECTIONS)
			break;
		if (index < section_size(ring, section))
			return (const void *)(((__u64)section << URING_INDEX_BITS | index) + 1);
		section++;
		index = 0;
	}
	return user_or_end(ring, BPF_CORE_READ(ring, tctx_list.next));
}

static __always_inline bool is_user(const void *node)
{
	return (__u64)node > (__u64)SECTIONS << URING_INDEX_BITS;
}

static __always_inline const void *first_uring_item(__u64 ring)
{
	return uring_place((const void *)ring, 0, 0);
}

static __always_inline const void *next_uring_item(__u64 ring, const void *node)
{
	__u64 place = (__u64)node - 1;

	if (is_user(node))
		return user_or_end((const void *)ring, BPF_CORE_READ((const struct list_head *)node, next));
	return uring_place((const void *)ring, place >> URING_INDEX_BITS, (__u32)place + 1);
}

static __always_inline __u64 slot_tag(const struct io_rsrc_data *data, __u32 index)
{
	__u64 table = (__u64)BPF_CORE_READ(data, tags);
	__u64 page = read_at(__u64, table + index / URING_TAGS_A_PAGE * sizeof(__u64));

	return read_at(__u64, page + index % URING_TAGS_A_PAGE * sizeof(__u64));
}

static __always_inline bool fill_uring_file(const struct io_ring_ctx *ring, struct uring_item_record *out)
{
	const struct io_ring_ctx___slots *slots = (const void *)ring;
	const struct io_file_table___nodes *table = member_address(ring, struct io_ring_ctx, file_table);
	const struct io_rsrc_node *node;

	out->kind = URING_FILE;
	if (bpf_core_field_exists(slots->nr_user_files)) {
		barrier_var(slots);
		out->object = read_at(__u64, (__u64)BPF_CORE_READ(ring, file_table.files) + out->index * sizeof(__u64));
		out->tag = slot_tag(BPF_CORE_READ(slots, file_data), out->index);
	} else {
		barrier_var(table);
		node = read_at(void *, (__u64)BPF_CORE_READ(table, data.nodes) + out->index * sizeof(__u64));
		if (!node)
			return false;
		out->object = BPF_CORE_READ(node, file_ptr);
		out->tag = BPF_CORE_READ(node, tag);
	}
	out->object &= ~7ULL; /* io_uring/filetable.h: FFS_MASK */
	return out->object;
}

static __always_inline bool fill_uring_buffer(const struct io_ring_ctx *ring, struct uring_item_record *out)
{
	const struct io_ring_ctx___slots *slots = (const void *)ring;
	const struct io_ring_ctx___nodes *nodes = (const void *)ring;
	const struct io_mapped_ubuf *buffer;
	const struct io_mapped_ubuf___v61 *v61;
	const struct io_mapped_ubuf___v612 *v612;
	const struct io_mapped_ubuf___v615 *v615;
	const struct io_mapped_ubuf___v7 *v7;
	const struct io_rsrc_node *node;

	if (bpf_core_field_exists(slots->user_bufs)) {
		barrier_var(slots);
		buffer = read_at(void *, (__u64)BPF_CORE_READ(slots, user_bufs) + out->index * sizeof(__u64));
		out->tag = slot_tag(BPF_CORE_READ(slots, buf_data), out->index);
	} else {
		barrier_var(nodes);
		node = read_at(void *, (__u64)BPF_CORE_READ(nodes, buf_table.nodes) + out->index * sizeof(__u64));
		if (!node)
			return false;
		buffer = BPF_CORE_READ(node, buf);
		out->tag = BPF_CORE_READ(node, tag);
	}
	if (!buffer)
		return false;
	v61 = (const void *)buffer;
	v612 = (const void *)buffer;
	v615 = (const void *)buffer;
	v7 = (const void *)buffer;
	out->kind = URING_BUFFER;
	out->object = BPF_CORE_READ(buffer, ubuf);
	if (bpf_core_field_exists(v61->ubuf_end)) {
		barrier_var(v61);
		out->length = BPF_CORE_READ(v61, ubuf_end) - out->object;
	} else if (bpf_core_field_size(v612->len) == sizeof(__u64))
		out->length = read_at(__u64, member_address(v612, struct io_mapped_ubuf___v612, len));
	else
		out->length = BPF_CORE_READ(v612, len);
	if (bpf_core_field_exists(v615->is_kbuf) && BPF_CORE_READ(v615, is_kbuf))
		out->kind = URING_KERNEL_BUFFER;
	if (bpf_core_field_exists(v7->flags) && BPF_CORE_READ(v7, flags) & 1 /* IO_REGBUF_F_KBUF */)
		out->kind = URING_KERNEL_BUFFER;
	/* an empty slot may have the kernel's own (io_uring/rsrc.c: dummy_ubuf) */
	return out->object != ~0ULL;
}

struct chain_walk {
	__u64 node;
	__u64 end;
	__u32 offset;		/* of the node in its request; 0: opcodes are not asked for */
	__u32 count;
	struct uring_item_record *out;
};

static long count_request(__u32 i, struct chain_walk *walk)
{
	struct uring_item_record *out = walk->out;

	if (!walk->node || walk->node == walk->end)
		return 1;
	if (walk->offset && i < URING_OPCODES)
		out->opcodes[i & (URING_OPCODES - 1)] =
			read_at(__u8, walk->node - walk->offset + bpf_core_field_offset(struct io_kiocb, opcode));
	walk->count++;
	walk->node = read_at(__u64, walk->node);
	return 0;
}

static __always_inline bool fill_chain(__u64 first, __u64 end, bool has_opcodes, struct uring_item_record *out)
{
	struct chain_walk walk = { .node = first, .end = end, .out = out };

	if (has_opcodes)
		walk.offset = bpf_core_field_offset(struct io_kiocb, hash_node);
	bpf_loop(URING_CHAIN, count_request, &walk, 0);
	out->kind = URING_REQUESTS;
	out->count = walk.count;
	return walk.count;
}

static __always_inline bool fill_bucket(const void *buckets, struct uring_item_record *out)
{
	__u64 list = (__u64)buckets + out->index * bpf_core_type_size(struct io_hash_bucket) +
		     bpf_core_field_offset(struct io_hash_bucket, list);

	return fill_chain(read_at(__u64, list), 0, true, out);
}

static __always_inline bool fill_list(const void *head, __u8 opcode, struct uring_item_record *out)
{
	if (!fill_chain(read_at(__u64, head), (__u64)head, false, out))
		return false;
	out->opcodes[0] = opcode;
	out->registered = 1;
	return true;
}

static __always_inline bool fill_thread_credentials(const struct io_ring_ctx *ring, struct uring_item_record *out)
{
	const struct cred *cred = BPF_CORE_READ(ring, sq_creds);

	if (!cred || !BPF_CORE_READ(ring, sq_data))
		return false;
	out->kind = URING_CREDENTIALS;
	out->object = read_at(__u64, member_address(cred, struct cred, cap_effective));
	out->length = (__u64)BPF_CORE_READ(cred, euid.val) << 32 | BPF_CORE_READ(cred, egid.val);
	out->tag = (__u64)BPF_CORE_READ(cred, fsuid.val) << 32 | BPF_CORE_READ(cred, fsgid.val);
	return true;
}

static __always_inline bool fill_uring_list(const struct io_ring_ctx *ring, struct uring_item_record *out)
{
	const struct io_ring_ctx___later *later = (const void *)ring;

	switch (out->index) {
	case LIST_WAITID:
		if (!bpf_core_field_exists(later->waitid_list))
			return false;
		barrier_var(later);
		return fill_chain((__u64)BPF_CORE_READ(later, waitid_list.first), 0, true, out);
	case LIST_FUTEX:
		if (!bpf_core_field_exists(later->futex_list))
			return false;
		barrier_var(later);
		return fill_chain((__u64)BPF_CORE_READ(later, futex_list.first), 0, true, out);
	case LIST_COMMAND:
		if (!bpf_core_field_exists(later->cancelable_uring_cmd))
			return false;
		barrier_var(later);
		return fill_chain((__u64)BPF_CORE_READ(later, cancelable_uring_cmd.first), 0, true, out);
	case LIST_TIMEOUT:
		return fill_list(member_address(ring, struct io_ring_ctx, timeout_list), OP_TIMEOUT, out);
	case LIST_LINKED:
		return fill_list(member_address(ring, struct io_ring_ctx, ltimeout_list), OP_LINK_TIMEOUT, out);
	case LIST_DEFERRED:
		return fill_list(member_address(ring, struct io_ring_ctx, defer_list), 0, out);
	case LIST_OVERFLOW:
		if (!fill_list(member_address(ring, struct io_ring_ctx, cq_overflow_list), 0, out))
			return false;
		out->kind = URING_OVERFLOW;
		return true;
	case THREAD_CREDENTIALS:
		return fill_thread_credentials(ring, out);
	}
	return false;
}

static __always_inline bool fill_uring_user(__u64 ring, __u32 level, const void *node, struct uring_item_record *out)
{
	const struct io_tctx_node *use = container_of_core(node, struct io_tctx_node, ctx_node);
	const struct task_struct *task = BPF_CORE_READ(use, task);
	const struct io_uring_task *own = BPF_CORE_READ(task, io_uring);

	if (!own)
		return false;
	out->kind = is_io_worker(task) ? URING_WORKER : URING_USER;
	out->index = pid_number(BPF_CORE_READ(task, thread_pid), level);
	/* what is counted includes what the task has put by for its next requests (io_task_refs_refill()) */
	out->count = (__s32)BPF_CORE_READ(own, inflight.count) +
		     (__s32)per_cpu_sum(BPF_CORE_READ(own, inflight.counters)) - BPF_CORE_READ(own, cached_refs);
	for (__u32 i = 0; i < URING_RINGS_REGISTERED; i++) {
		const struct file *file = BPF_CORE_READ(own, registered_rings[i]);

		if (file && (__u64)BPF_CORE_READ(file, private_data) == ring)
			out->registered |= 1U << i;
	}
	return true;
}

static __always_inline bool fill_uring_place(const struct io_ring_ctx *ring, __u32 section,
					     struct uring_item_record *out)
{
	const struct io_ring_ctx___slots *slots = (const void *)ring;

	switch (section) {
	case SECTION_FILES:
		return fill_uring_file(ring, out);
	case SECTION_BUFFERS:
		return fill_uring_buffer(ring, out);
	case SECTION_POLLED:
		return fill_bucket(BPF_CORE_READ(ring, cancel_table.hbs), out);
	case SECTION_POLLED_LOCKED:
		if (!bpf_core_field_exists(slots->cancel_table_locked))
			return false;
		barrier_var(slots);
		return fill_bucket(BPF_CORE_READ(slots, cancel_table_locked.hbs), out);
	case SECTION_LISTS:
		return fill_uring_list(ring, out);
	}
	return false;
}

static __always_inline __u32 write_uring_item(struct walk *walk)
{
	struct uring_item_record record = {};
	__u64 place = (__u64)walk->node - 1;
	bool found;

	begin_item(walk, &record, RECORD_URING_ITEM);
	if (is_user(walk->node)) {
		found = fill_uring_user(walk->object, walk->level, walk->node, &record);
	} else {
		record.index = (__u32)place;
		found = fill_uring_place((const void *)walk->object, place >> URING_INDEX_BITS, &record);
	}
	if (!found)
		return 0;
	bpf_seq_write(walk->seq, &record, sizeof(record));
	return sizeof(record);
}

#endif
