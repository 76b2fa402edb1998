/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A character device that is no terminal, or a block device: inode.rdev says which. */
#ifndef BPFCKPT_KINDS_CHARDEV_H
#define BPFCKPT_KINDS_CHARDEV_H

#include <linux/types.h>

#include "bpf/parts.h"

struct chardev_record {
	__u32 major;
	__u32 minor;
};

#ifdef __bpf__
#include "bpf/kernel_fs.h"

static __always_inline bool is_chardev(const struct inode_part *inode)
{
	return (inode->mode & S_IFMT) == S_IFCHR;
}

static __always_inline bool is_blockdev(const struct inode_part *inode)
{
	return (inode->mode & S_IFMT) == S_IFBLK;
}

static __always_inline void fill_chardev(const struct inode_part *inode, struct chardev_record *out)
{
	out->major = (inode->rdev >> 8) & 0xfff;
	out->minor = (inode->rdev & 0xff) | ((inode->rdev >> 12) & 0xfff00);
}

#endif /* __bpf__ */

#endif
