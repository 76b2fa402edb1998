/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A fanotify group; its marks are a list of their own (bpf/kinds/marks.h). */
#ifndef BPFCKPT_KINDS_FANOTIFY_H
#define BPFCKPT_KINDS_FANOTIFY_H

#include <linux/types.h>

#include "bpf/parts.h"

struct fanotify_record {
	__u32 init_flags;	/* fanotify_init(2): FAN_* */
	__u32 event_flags;	/* the same: O_* of the files that come with events */
	__u32 unread;		/* events */
	__u32 unanswered;	/* permission events that were read; somebody waits for the answer */
};
BPFCKPT_SIZE(struct fanotify_record, 16);

#ifdef __bpf__
#include "bpf/kernel_fsnotify.h"

enum { FANOTIFY_ANSWERS = 65536 };

static __always_inline bool is_fanotify(const struct inode_part *inode, const char *name)
{
	return is_anon_inode(inode, name, "[fanotify]");
}

struct answer_walk {
	const void *node;	/* struct list_head */
	const void *end;
	__u32 count;
};

static long count_answer(__u32 i __attribute__((unused)), struct answer_walk *walk)
{
	const struct list_head *node = walk->node;

	if (!node || node == walk->end)
		return 1;
	walk->count++;
	walk->node = BPF_CORE_READ(node, next);
	return 0;
}

static __always_inline void fill_fanotify(__u64 private_data, struct fanotify_record *record)
{
	const struct fsnotify_group___fanotify *group = (const void *)private_data;
	struct answer_walk walk = {};

	record->unread = BPF_CORE_READ((const struct fsnotify_group *)private_data, q_len);
	if (!bpf_core_field_exists(group->fanotify_data)) /* CONFIG_FANOTIFY */
		return;
	record->init_flags = BPF_CORE_READ(group, fanotify_data.flags);
	record->event_flags = BPF_CORE_READ(group, fanotify_data.f_flags);
	walk.end = member_address(group, struct fsnotify_group___fanotify, fanotify_data.access_list);
	walk.node = BPF_CORE_READ(group, fanotify_data.access_list.next);
	bpf_loop(FANOTIFY_ANSWERS, count_answer, &walk, 0);
	record->unanswered = walk.count;
}
#endif /* __bpf__ */

#endif
