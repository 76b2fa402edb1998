/* SPDX-License-Identifier: GPL-2.0 */
/* The targets of an epoll instance: fs/eventpoll.c keeps them in a red-black tree. */
#ifndef BPFCKPT_KINDS_EPOLL_ITEMS_H
#define BPFCKPT_KINDS_EPOLL_ITEMS_H

#include "bpf/kernel_fs.h"
#include "bpf/walks.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct rb_node {
	unsigned long __rb_parent_color;
	struct rb_node *rb_right;
	struct rb_node *rb_left;
};

struct rb_root_cached {
	struct rb_node *rb_leftmost;
};

struct eventpoll {
	struct rb_root_cached rbr;
};

struct epoll_filefd {
	struct file *file;
	int fd;
};

struct epoll_event {
	__u32 events;
	__u64 data;
};

struct epitem {
	struct rb_node rbn;
	struct list_head rdllink;
	struct epoll_filefd ffd;
	struct epoll_event event;
};

#pragma clang attribute pop

enum { RB_DEPTH = 64 };

static __always_inline const void *first_epoll_item(__u64 eventpoll)
{
	return BPF_CORE_READ((const struct eventpoll *)eventpoll, rbr.rb_leftmost);
}

struct rb_walk {
	const struct rb_node *node;
	const struct rb_node *from;
};

static long rb_go_left(__u32 i __attribute__((unused)), struct rb_walk *walk)
{
	const struct rb_node *node = walk->node; /* its own access must not be relocated */
	const struct rb_node *left = BPF_CORE_READ(node, rb_left);

	if (!left)
		return 1;
	walk->node = left;
	return 0;
}

/* Up, until we come from the left. */
static long rb_go_up(__u32 i __attribute__((unused)), struct rb_walk *walk)
{
	const struct rb_node *node = walk->node;
	const struct rb_node *up = (const void *)(BPF_CORE_READ(node, __rb_parent_color) & ~3UL);

	walk->from = node;
	walk->node = up;
	return !up || BPF_CORE_READ(up, rb_left) == walk->from;
}

static __always_inline const void *next_epoll_item(__u64 eventpoll __attribute__((unused)), const void *node)
{
	struct rb_walk walk = { .node = node };
	const struct rb_node *here = node, *right = BPF_CORE_READ(here, rb_right);

	if (right) {
		walk.node = right;
		bpf_loop(RB_DEPTH, rb_go_left, &walk, 0);
	} else {
		bpf_loop(RB_DEPTH, rb_go_up, &walk, 0);
	}
	return walk.node;
}

static __always_inline __u32 write_epoll_item(struct walk *walk)
{
	const void *node = walk->node;
	const struct epitem *item = container_of_core(node, struct epitem, rbn);
	struct epoll_item_record record = {};
	const void *link = member_address(item, struct epitem, rdllink);

	begin_item(walk, &record, RECORD_EPOLL_ITEM);
	record.file = (__u64)BPF_CORE_READ(item, ffd.file);
	record.fd = BPF_CORE_READ(item, ffd.fd);
	record.events = BPF_CORE_READ(item, event.events);
	record.data = BPF_CORE_READ(item, event.data);
	record.ready = read_at(void *, link) != link; /* ep_is_linked() */
	bpf_seq_write(walk->seq, &record, sizeof(record));
	return sizeof(record);
}

#endif
