/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* An inotify instance; its watches are marks (bpf/kinds/marks.h). */
#ifndef BPFCKPT_KINDS_INOTIFY_H
#define BPFCKPT_KINDS_INOTIFY_H

#include <linux/types.h>

#include "bpf/parts.h"

struct inotify_record {
	__u32 next_wd;		/* where the search for a free number goes on; 0: from 1 */
	__u32 unread;		/* events */
};
BPFCKPT_SIZE(struct inotify_record, 8);

#ifdef __bpf__
#include "bpf/kernel_fsnotify.h"

static __always_inline bool is_inotify(const struct inode_part *inode, const char *name)
{
	return is_anon_inode(inode, name, "inotify");
}

static __always_inline void fill_inotify(__u64 private_data, struct inotify_record *record)
{
	const struct fsnotify_group *group = (const void *)private_data;

	record->next_wd = BPF_CORE_READ(group, inotify_data.idr.idr_next);
	record->unread = BPF_CORE_READ(group, q_len);
}
#endif /* __bpf__ */

#endif
