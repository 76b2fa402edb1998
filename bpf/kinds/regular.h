/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Regular files and directories, and everything opened with O_PATH: there is nothing to them but their name. Only a FIFO
 * without a name may be open elsewhere and hold data. */
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
	if (open_mode & FMODE_PATH)
		return type != S_IFIFO || !(path->flags & PATH_UNLINKED);
	return type == S_IFREG || type == S_IFDIR;
}

/* A place among things that have none, opened with O_PATH through /proc/PID/fd: there is no more behind it than the
 * anonymous inode or the socket's, and private_data is not set (fs/open.c:do_dentry_open()). */
static __always_inline bool is_nameless_place(const struct path_part *path, __u32 open_mode)
{
	return (path->flags & PATH_PSEUDO) && (open_mode & FMODE_PATH);
}

#endif /* __bpf__ */

#endif
