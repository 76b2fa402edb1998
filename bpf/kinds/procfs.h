/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Files and directories of proc. */
#ifndef BPFCKPT_KINDS_PROCFS_H
#define BPFCKPT_KINDS_PROCFS_H

#include <linux/types.h>

#include "bpf/parts.h"

struct procfs_record {
	__u32 process;		/* whose directory it is in: "/proc/PID/..."; 0: none */
	__u32 task;		/* that it speaks of: "/proc/PID/task/TID/..."; 0: none */
	__u32 depth;		/* names on the way from the root of proc; 0: the root itself */
	__u32 alive;		/* the process exists, if only as a zombie */
};

#ifdef __bpf__
#include "bpf/kernel_fs.h"

enum { PROCFS_MAGIC = 0x9fa0, PROCFS_MOST_DEPTH = 16 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
};

struct pid___tasks {
	struct hlist_head tasks[1];
};

#pragma clang attribute pop

static __always_inline bool is_procfs(const struct inode_part *inode, const struct path_part *path)
{
	return inode->magic == PROCFS_MAGIC && !(path->flags & PATH_PSEUDO);
}

static __always_inline const struct pid *procfs_pid(const struct inode *inode)
{
	return inode ? BPF_CORE_READ(container_of_core(inode, struct proc_inode, vfs_inode), pid) : NULL;
}

static __always_inline void fill_procfs(const struct file *file, __u32 level, struct procfs_record *out)
{
	const struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry), *top = NULL, *up;
	const struct pid *process;
	const struct pid___tasks *tasks;

	for (int i = 0; i < PROCFS_MOST_DEPTH; i++) {
		up = BPF_CORE_READ(dentry, d_parent);
		if (up == dentry)
			break;
		out->depth++;
		top = dentry;
		dentry = up;
	}
	if (!top)
		return;
	out->task = pid_number(procfs_pid(BPF_CORE_READ(file, f_inode)), level);
	process = procfs_pid(BPF_CORE_READ(top, d_inode));
	out->process = pid_number(process, level);
	tasks = (const void *)process;
	out->alive = process && BPF_CORE_READ(tasks, tasks[0].first);
}

#endif /* __bpf__ */

#endif
