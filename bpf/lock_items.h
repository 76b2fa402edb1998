/* SPDX-License-Identifier: GPL-2.0 */
/* Locks and leases of an inode, each with who waits for it: fs/locks.c. */
#ifndef BPFCKPT_LOCK_ITEMS_H
#define BPFCKPT_LOCK_ITEMS_H

#include "bpf/locks.h"
#include "bpf/walks.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Leases are file_lease since 6.9, which begins with the same file_lock_core and goes on with fl_fasync. */
struct file_lock_core {
	struct list_head flc_list;
	struct list_head flc_blocked_requests, flc_blocked_member;
	void *flc_owner;
	unsigned int flc_flags;
	unsigned char flc_type;
	int flc_pid;
	struct file *flc_file;
};

/* since 6.9 ("filelock: split common fields into struct file_lock_core") */
struct file_lock {
	struct file_lock_core c;
	long long fl_start, fl_end;
};

struct file_lock___v61 {
	struct list_head fl_list;
	struct list_head fl_blocked_requests, fl_blocked_member;
	void *fl_owner;
	unsigned int fl_flags;
	unsigned char fl_type;
	unsigned int fl_pid;
	struct file *fl_file;
	long long fl_start, fl_end;
	struct fasync_struct *fl_fasync;
};

struct fasync_struct {
	int fa_fd;
};

#pragma clang attribute pop

static __always_inline void fill_lock(const void *node, struct lock_record *record)
{
	const struct file_lock *lock = container_of_core(node, struct file_lock, c.flc_list);
	const void *blocked = member_address(lock, struct file_lock, c.flc_blocked_requests);
	const void *waiting = read_at(void *, blocked);
	const struct fasync_struct *fasync;

	record->owner = (__u64)BPF_CORE_READ(lock, c.flc_owner);
	record->file = (__u64)BPF_CORE_READ(lock, c.flc_file);
	record->flags = BPF_CORE_READ(lock, c.flc_flags);
	record->type = BPF_CORE_READ(lock, c.flc_type);
	record->pid = BPF_CORE_READ(lock, c.flc_pid);
	if (record->flags & LOCK_IS_LEASE) {
		/* What is behind the core: the type itself is unknown to older kernels. */
		fasync = read_at(void *, (const void *)lock + bpf_core_field_size(lock->c));
		record->fd = fasync ? BPF_CORE_READ(fasync, fa_fd) : -1;
	} else {
		record->start = BPF_CORE_READ(lock, fl_start);
		record->end = BPF_CORE_READ(lock, fl_end);
	}
	if (!waiting || waiting == blocked)
		return;
	lock = container_of_core(waiting, struct file_lock, c.flc_blocked_member);
	record->has_waiter = 1;
	record->waiter_file = (__u64)BPF_CORE_READ(lock, c.flc_file);
	record->waiter_pid = BPF_CORE_READ(lock, c.flc_pid);
}

static __always_inline void fill_lock_v61(const void *node, struct lock_record *record)
{
	const struct file_lock___v61 *lock = container_of_core(node, struct file_lock___v61, fl_list);
	const void *blocked = member_address(lock, struct file_lock___v61, fl_blocked_requests);
	const void *waiting = read_at(void *, blocked);
	const struct fasync_struct *fasync;

	record->owner = (__u64)BPF_CORE_READ(lock, fl_owner);
	record->file = (__u64)BPF_CORE_READ(lock, fl_file);
	record->flags = BPF_CORE_READ(lock, fl_flags);
	record->type = BPF_CORE_READ(lock, fl_type);
	record->pid = BPF_CORE_READ(lock, fl_pid);
	fasync = BPF_CORE_READ(lock, fl_fasync);
	record->fd = fasync ? BPF_CORE_READ(fasync, fa_fd) : -1;
	record->start = BPF_CORE_READ(lock, fl_start);
	record->end = BPF_CORE_READ(lock, fl_end);
	if (!waiting || waiting == blocked)
		return;
	lock = container_of_core(waiting, struct file_lock___v61, fl_blocked_member);
	record->has_waiter = 1;
	record->waiter_file = (__u64)BPF_CORE_READ(lock, fl_file);
	record->waiter_pid = BPF_CORE_READ(lock, fl_pid);
}

static __always_inline __u32 write_lock(struct walk *walk)
{
	const struct file_lock *now = NULL;
	struct lock_record record = {};

	begin_item(walk, &record, RECORD_LOCK);
	if (bpf_core_field_exists(now->c.flc_list))
		fill_lock(walk->node, &record);
	else
		fill_lock_v61(walk->node, &record);
	record.references = file_references((const void *)record.file);
	bpf_seq_write(walk->seq, &record, sizeof(record));
	return sizeof(record);
}

#endif
