/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The file behind an AIO ring: it is mapped and never opened. The ring itself: bpf/aio.h. */
#ifndef BPFCKPT_KINDS_AIO_H
#define BPFCKPT_KINDS_AIO_H

#include "bpf/parts.h"

/* fs/aio.c: of the rings, and of their file system (aio_init_fs_context()) */
#define AIO_RING_MAGIC 0xa10a10a1U

#ifdef __bpf__
static __always_inline bool is_aio(const struct inode_part *inode)
{
	return inode->magic == AIO_RING_MAGIC;
}
#endif /* __bpf__ */

#endif
