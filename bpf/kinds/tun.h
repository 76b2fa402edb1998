/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* /dev/net/tun. Its driver may be a module, whose structures are not asked for here: inode.rdev alone says what it is. */
#ifndef BPFCKPT_KINDS_TUN_H
#define BPFCKPT_KINDS_TUN_H

#include "bpf/parts.h"

#ifdef __bpf__
#include "bpf/kernel_fs.h"

static __always_inline bool is_tun(const struct inode_part *inode)
{
	/* Documentation/admin-guide/devices.txt: 10 200 */
	return (inode->mode & S_IFMT) == S_IFCHR && inode->rdev == (10 << 8 | 200);
}

#endif /* __bpf__ */

#endif
