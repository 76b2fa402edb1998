/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A namespace that is held open: /proc/PID/ns/TYPE, or what is mounted elsewhere of that. inode.number says which. */
#ifndef BPFCKPT_KINDS_NSFS_H
#define BPFCKPT_KINDS_NSFS_H

#include <linux/types.h>

#include "bpf/parts.h"

struct nsfs_record {
	char type[16];		/* as in /proc/PID/ns: "net" */
};

#ifdef __bpf__
#include "bpf/kernel_fs.h"

enum { NSFS_MAGIC = 0x6e736673 };

static __always_inline bool is_nsfs(const struct inode_part *inode)
{
	return inode->magic == NSFS_MAGIC;
}

static __always_inline void fill_nsfs(const struct file *file, struct nsfs_record *out)
{
	const struct ns_common *ns = BPF_CORE_READ(file, f_inode, i_private);

	bpf_probe_read_kernel_str(out->type, sizeof(out->type), BPF_CORE_READ(ns, ops, name));
}

#endif /* __bpf__ */

#endif
