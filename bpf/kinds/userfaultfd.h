/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A userfaultfd: fs/userfaultfd.c. */
#ifndef BPFCKPT_KINDS_USERFAULTFD_H
#define BPFCKPT_KINDS_USERFAULTFD_H

#include <linux/types.h>

struct userfaultfd_record {
	__u64 mm;		/* struct mm_struct that it watches */
	__u32 create_flags;	/* of userfaultfd(2): UFFD_USER_MODE_ONLY among them */
	__u32 features;		/* of UFFDIO_API; bit 31: it was called */
	__u32 faults;		/* 1: somebody waits in a fault */
	__u32 events;		/* 1: somebody waits for an event (fork, remap, ...) to be read */
};

#ifdef __bpf__
#include "bpf/kernel_fs.h"
#include "bpf/kinds/anon.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct wait_queue_head {
	struct list_head head;
};

struct userfaultfd_ctx {
	struct wait_queue_head fault_pending_wqh, fault_wqh, event_wqh;
	unsigned int flags, features;
	void *mm;
};

#pragma clang attribute pop

static __always_inline bool is_userfaultfd(const struct inode_part *inode, const char *name)
{
	return is_anonymous(inode, name, "[userfaultfd]");
}

#define somebody_waits(ctx, queue) \
	(BPF_CORE_READ(ctx, queue.head.next) != \
	 (void *)member_address(ctx, struct userfaultfd_ctx, queue.head))

static __always_inline void fill_userfaultfd(const struct file *file, struct userfaultfd_record *out)
{
	const struct userfaultfd_ctx *ctx = BPF_CORE_READ(file, private_data);

	if (!bpf_core_field_exists(ctx->mm)) /* CONFIG_USERFAULTFD */
		return;
	out->mm = (__u64)BPF_CORE_READ(ctx, mm);
	out->create_flags = BPF_CORE_READ(ctx, flags);
	out->features = BPF_CORE_READ(ctx, features);
	out->faults = somebody_waits(ctx, fault_pending_wqh) || somebody_waits(ctx, fault_wqh);
	out->events = somebody_waits(ctx, event_wqh);
}

#endif /* __bpf__ */

#endif
