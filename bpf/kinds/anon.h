/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Anonymous inodes: all of them share one inode or have one that tells nothing; what the file is, is told by the name
 * that the kernel gave its dentry (fs/anon_inodes.c:anon_inode_getfile()). */
#ifndef BPFCKPT_KINDS_ANON_H
#define BPFCKPT_KINDS_ANON_H

#ifdef __bpf__
#include "bpf/kernel_fs.h"
#include "bpf/parts.h"

/* Is the file called `literal`, which is compared with its terminating zero? `name` is file_record's. */
#define is_anonymous(inode, name, literal) \
	((inode)->magic == ANON_INODE_FS_MAGIC && same_bytes(name, literal, sizeof(literal)))

/* `size` is a constant. */
static __always_inline bool same_bytes(const char *a, const char *b, __u32 size)
{
	for (__u32 i = 0; i < size; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

#endif /* __bpf__ */

#endif
