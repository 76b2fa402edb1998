/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A pidfd_open(2) descriptor of a process or thread. */
#ifndef BPFCKPT_KINDS_PIDFD_H
#define BPFCKPT_KINDS_PIDFD_H

#include <linux/types.h>

#include "bpf/parts.h"

struct pidfd_record {
	__u32 pid;		/* 0: it has no number here */
	__u32 dead;		/* nobody goes by that number any more: ended, and waited for */
};

#ifdef __bpf__
#include "bpf/anon_inode.h"

enum { PIDFS_MAGIC = 0x50494446 };

/* A file system of their own since 6.9 ("pidfd: add pidfs"); before, and without CONFIG_FS_PID, anonymous inodes. */
static __always_inline bool is_pidfd(const struct inode_part *inode, const char *name)
{
	return inode->magic == PIDFS_MAGIC || is_anon_inode(inode, name, "[pidfd]");
}

static __always_inline void fill_pidfd(const struct file *file, const struct inode_part *inode, __u32 level,
				       struct pidfd_record *out)
{
	const struct pid *pid;

	if (inode->magic == PIDFS_MAGIC)
		pid = BPF_CORE_READ(file, f_inode, i_private);
	else
		pid = BPF_CORE_READ(file, private_data);
	out->pid = pid_number(pid, level);
	/* tasks[PIDTYPE_PID].first */
	out->dead = !read_at(void *, member_address(pid, struct pid, tasks));
}

#endif /* __bpf__ */

#endif
