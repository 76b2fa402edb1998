/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* An epoll instance: its targets are a list of their own (bpf/walks.h). */
#ifndef BPFCKPT_KINDS_EPOLL_H
#define BPFCKPT_KINDS_EPOLL_H

#include <linux/types.h>

#include "bpf/parts.h"

/* One target. */
struct epoll_item_record {
	struct item_head head;
	__u64 file;		/* struct file that is watched */
	__u64 data;		/* epoll_event.data */
	__u32 events;		/* epoll_event.events; 0 but for private bits: a one-shot that has fired */
	__u32 fd;		/* the number by which it was added */
	__u32 ready;		/* on the ready list */
	__u32 pad;
};
BPFCKPT_SIZE(struct epoll_item_record, 48);

#ifdef __bpf__
#include "bpf/anon_inode.h"

static __always_inline bool is_epoll(const struct inode_part *inode, const char *name)
{
	return is_anon_inode(inode, name, "[eventpoll]");
}

#endif /* __bpf__ */

#endif
