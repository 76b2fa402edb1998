/* SPDX-License-Identifier: GPL-2.0 */
/* The targets of an epoll instance: fs/eventpoll.c keeps them in a red-black tree. */
#ifndef BPFCKPT_KINDS_EPOLL_ITEMS_H
#define BPFCKPT_KINDS_EPOLL_ITEMS_H

#include "bpf/kernel_fs.h"
#include "bpf/rb_tree.h"
#include "bpf/walks.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

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

static __always_inline const void *first_epoll_item(__u64 eventpoll)
{
	return BPF_CORE_READ((const struct eventpoll *)eventpoll, rbr.rb_leftmost);
}

static __always_inline const void *next_epoll_item(__u64 eventpoll __attribute__((unused)), const void *node)
{
	return rb_after(node);
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
