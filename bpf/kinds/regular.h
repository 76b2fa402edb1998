/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Regular files and directories, and everything opened with O_PATH: there is nothing to them but their name. */
#ifndef BPFCKPT_KINDS_REGULAR_H
#define BPFCKPT_KINDS_REGULAR_H

#include "bpf/parts.h"

#ifdef __bpf__
#include "bpf/kernel_fs.h"

static __always_inline bool is_regular(const struct inode_part *inode, const struct path_part *path, __u32 open_mode)
{
	__u32 type = inode->mode & S_IFMT;

	if (path->flags & PATH_PSEUDO)
		return false;
	return (open_mode & FMODE_PATH) || type == S_IFREG || type == S_IFDIR;
}

#endif /* __bpf__ */

#endif
