/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The messages of a POSIX message queue (ipc/mqueue.c): in a tree by priority, and first in, first out among equals. A
 * message is a page with a header, and as many pages behind it as it takes (ipc/msgutil.c:alloc_msg()).
 */
#ifndef BPFCKPT_KINDS_MQUEUE_ITEMS_H
#define BPFCKPT_KINDS_MQUEUE_ITEMS_H

#include "bpf/kinds/mqueue.h"
#include "bpf/rb_tree.h"
#include "bpf/walks.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct rb_root___mqueue {
	struct rb_node *rb_node;
};

struct mqueue_inode_info___tree {
	struct rb_root___mqueue msg_tree;
};

struct posix_msg_tree_node {
	struct rb_node rb_node;
	struct list_head msg_list;
	int priority;
};

struct msg_msgseg {
	struct msg_msgseg *next;
};

struct msg_msg {
	struct list_head m_list;
	long m_type;
	size_t m_ts;
	struct msg_msgseg *next;
};

#pragma clang attribute pop

enum {
	MQUEUE_PAGE = 4096,
	MQUEUE_PARTS = 6,	/* as many as MQUEUE_MOST_DATA is in */
};

/* The first message of the tree's node, or of those behind it. A node without messages is none: they are removed with
 * their last message (msg_get()). */
static __always_inline const void *mqueue_message_in(const void *node)
{
	const struct posix_msg_tree_node *leaf;
	const struct list_head *first;

	if (!node)
		return NULL;
	leaf = container_of_core(node, struct posix_msg_tree_node, rb_node);
	first = BPF_CORE_READ(leaf, msg_list.next);
	if (!first || (const void *)first == member_address(leaf, struct posix_msg_tree_node, msg_list))
		return NULL;
	return container_of_core(first, struct msg_msg, m_list);
}

static __always_inline const void *mqueue_root(__u64 queue)
{
	return BPF_CORE_READ((const struct mqueue_inode_info___tree *)queue, msg_tree.rb_node);
}

static __always_inline const void *first_mqueue_item(__u64 queue)
{
	return mqueue_message_in(rb_first(mqueue_root(queue)));
}

struct priority_search {
	const struct rb_node *node;
	long priority;
};

static long mqueue_search(__u32 i __attribute__((unused)), struct priority_search *search)
{
	const struct rb_node *node = search->node; /* its own access must not be relocated */
	const struct posix_msg_tree_node *leaf;
	long priority;

	if (!node)
		return 1;
	leaf = container_of_core(node, struct posix_msg_tree_node, rb_node);
	priority = BPF_CORE_READ(leaf, priority);
	if (priority == search->priority)
		return 1;
	search->node = search->priority < priority ? BPF_CORE_READ(node, rb_left) : BPF_CORE_READ(node, rb_right);
	return 0;
}

/* A message's list ends at its node of the tree, which its priority leads to. */
static __always_inline const void *next_mqueue_item(__u64 queue, const void *node)
{
	const struct msg_msg *message = node;
	const struct list_head *next = BPF_CORE_READ(message, m_list.next);
	struct priority_search search = {
		.node = mqueue_root(queue),
		.priority = BPF_CORE_READ(message, m_type),
	};
	const struct posix_msg_tree_node *leaf;

	bpf_loop(RB_DEPTH, mqueue_search, &search, 0);
	if (!search.node || !next)
		return NULL;
	node = search.node;
	leaf = container_of_core(node, struct posix_msg_tree_node, rb_node);
	if ((const void *)next != member_address(leaf, struct posix_msg_tree_node, msg_list))
		return container_of_core(next, struct msg_msg, m_list);
	return mqueue_message_in(rb_after(node));
}

static __always_inline __u32 mqueue_data_bytes(const struct msg_msg *message)
{
	__u64 len = BPF_CORE_READ(message, m_ts);

	return len > MQUEUE_MOST_DATA ? 0 : len;
}

static __always_inline __u32 mqueue_item_bytes(const struct walk *walk)
{
	return sizeof(struct mqueue_message_record) + padded(mqueue_data_bytes(walk->node));
}

static __always_inline void write_mqueue_data(struct walk *walk, struct scratch *slot, const struct msg_msg *message,
					      __u32 bytes)
{
	const __u32 header = bpf_core_type_size(struct msg_msg);
	const void *data = (const void *)message + header, *part = BPF_CORE_READ(message, next);
	__u32 done = 0, room = MQUEUE_PAGE - header;

	for (__u32 i = 0; i < MQUEUE_PARTS; i++) {
		__u32 len = bytes - done;

		if (done >= bytes)
			return;
		if (len > room)
			len = room;
		barrier_var(len);
		if (len > WALK_CHUNK)
			return;
		bpf_probe_read_kernel(slot->path, len, data);
		write_trailing(walk->seq, slot->path, len);
		done += len;
		data = part + sizeof(void *);
		room = MQUEUE_PAGE - sizeof(void *);
		part = read_at(const void *, part);
	}
}

static __always_inline __u32 write_mqueue_item(struct walk *walk)
{
	const struct msg_msg *message = walk->node;
	struct mqueue_message_record record = {};
	struct scratch *slot = begin_show(walk->seq);

	if (!slot)
		return 0;
	begin_item(walk, &record, RECORD_MQUEUE_ITEM);
	record.length = BPF_CORE_READ(message, m_ts);
	record.priority = BPF_CORE_READ(message, m_type);
	record.data_bytes = mqueue_data_bytes(message);
	record.head.record.length += padded(record.data_bytes);
	bpf_seq_write(walk->seq, &record, sizeof(record));
	write_mqueue_data(walk, slot, message, record.data_bytes);
	end_show(slot);
	return record.head.record.length;
}

#endif
