/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* An eventfd(2). */
#ifndef BPFCKPT_KINDS_EVENTFD_H
#define BPFCKPT_KINDS_EVENTFD_H

#include <linux/types.h>

#include "bpf/parts.h"

struct eventfd_record {
	__u64 count;
	__u32 flags;		/* EFD_SEMAPHORE 1; others are those of creation */
	__u32 pad;
};

#ifdef __bpf__
#include "bpf/anon_inode.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct eventfd_ctx {
	__u64 count;
	unsigned int flags;
};

#pragma clang attribute pop

static __always_inline bool is_eventfd(const struct inode_part *inode, const char *name)
{
	return is_anon_inode(inode, name, "[eventfd]");
}

static __always_inline void fill_eventfd(const struct file *file, struct eventfd_record *out)
{
	const struct eventfd_ctx *context = BPF_CORE_READ(file, private_data);

	out->count = BPF_CORE_READ(context, count);
	out->flags = BPF_CORE_READ(context, flags);
}

#endif /* __bpf__ */

#endif
