/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A signalfd(2). */
#ifndef BPFCKPT_KINDS_SIGNALFD_H
#define BPFCKPT_KINDS_SIGNALFD_H

#include <linux/types.h>

#include "bpf/parts.h"

struct signalfd_record {
	__u64 mask;		/* signal n is bit n - 1 */
};

#ifdef __bpf__
#include "bpf/anon_inode.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct signalfd_ctx {
	sigset_t sigmask;	/* what is not taken */
};

#pragma clang attribute pop

static __always_inline bool is_signalfd(const struct inode_part *inode, const char *name)
{
	return is_anon_inode(inode, name, "[signalfd]");
}

static __always_inline void fill_signalfd(const struct file *file, struct signalfd_record *out)
{
	const struct signalfd_ctx *context = BPF_CORE_READ(file, private_data);

	out->mask = ~BPF_CORE_READ(context, sigmask.sig[0]);
}

#endif /* __bpf__ */

#endif
