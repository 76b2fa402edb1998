/* SPDX-License-Identifier: GPL-2.0 */
/* The three lists of locks that an inode may have: POSIX and OFD, flock, leases. Their members have the same head. */
#ifndef BPFCKPT_LOCKS_H
#define BPFCKPT_LOCKS_H

#include "bpf/kernel_fs.h"

static __always_inline const void *posix_locks(__u64 context)
{
	return member_address(context, struct file_lock_context, flc_posix);
}

static __always_inline const void *flocks(__u64 context)
{
	return member_address(context, struct file_lock_context, flc_flock);
}

static __always_inline const void *leases(__u64 context)
{
	return member_address(context, struct file_lock_context, flc_lease);
}

/* The node after `link` in whichever of the lists; NULL after the last. */
static __always_inline const void *lock_after(__u64 context, const void *link)
{
	const void *node = read_at(void *, link);

	if (node == posix_locks(context))
		node = read_at(void *, flocks(context));
	if (node == flocks(context))
		node = read_at(void *, leases(context));
	return node == leases(context) ? NULL : node;
}

static __always_inline const void *first_lock(__u64 context)
{
	return lock_after(context, posix_locks(context));
}

static __always_inline bool has_locks(__u64 context)
{
	return first_lock(context) != NULL;
}

#endif
