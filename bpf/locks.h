/* SPDX-License-Identifier: GPL-2.0 */
/* Which locks of an inode are held by a description, or by whom a descriptor table belongs to. */
#ifndef BPFCKPT_LOCKS_H
#define BPFCKPT_LOCKS_H

#include "bpf/kernel_fs.h"
#include "bpf/records.h"

enum {
	LOCKS_MOST = 1 << 20,
	FL_OFDLCK_ = 1024,	/* include/linux/filelock.h: FL_OFDLCK */
};

struct lock_walk {
	const void *node;
	const void *head;
	const void *file;
	const void *table;	/* NULL: nobody's */
	__u32 of_table;
	__u32 of_file;
};

static long count_lock(__u32 i __attribute__((unused)), struct lock_walk *walk)
{
	const struct file_lock *now = NULL;
	const struct file_lock___v61 *old;
	const void *owner, *file;
	__u32 flags;

	walk->node = read_at(void *, walk->node);
	if (!walk->node || walk->node == walk->head)
		return 1;
	if (bpf_core_field_exists(now->c.flc_list)) {
		now = walk->node - bpf_core_field_offset(struct file_lock, c.flc_list);
		owner = BPF_CORE_READ(now, c.flc_owner);
		flags = BPF_CORE_READ(now, c.flc_flags);
		file = BPF_CORE_READ(now, c.flc_file);
	} else {
		old = walk->node - bpf_core_field_offset(struct file_lock___v61, fl_list);
		owner = BPF_CORE_READ(old, fl_owner);
		flags = BPF_CORE_READ(old, fl_flags);
		file = BPF_CORE_READ(old, fl_file);
	}
	/* A POSIX lock is its owner's, whichever description it was taken through; all others are the description's. */
	if (owner == walk->table && !(flags & FL_OFDLCK_))
		walk->of_table++;
	else if (file == walk->file)
		walk->of_file++;
	return 0;
}

static __always_inline void count_locks(struct lock_walk *walk, const void *list)
{
	walk->head = walk->node = list;
	walk->of_table = walk->of_file = 0;
	bpf_loop(LOCKS_MOST, count_lock, walk, 0);
}

static __always_inline void fill_locks(const struct file_lock_context *context, const void *file, const void *table,
				       struct locks_part *held)
{
	struct lock_walk walk = { .file = file, .table = table };

	if (!context)
		return;
	count_locks(&walk, member_address(context, struct file_lock_context, flc_posix));
	held->posix = table ? walk.of_table : 0;
	held->open_file = walk.of_file;
	count_locks(&walk, member_address(context, struct file_lock_context, flc_flock));
	held->flock = walk.of_file;
	count_locks(&walk, member_address(context, struct file_lock_context, flc_lease));
	held->lease = walk.of_file;
}

#endif
