/* SPDX-License-Identifier: GPL-2.0 */
/* The list of a process's POSIX timers: a hlist since 6.12, a circular list before. */
#ifndef BPFCKPT_TIMERS_H
#define BPFCKPT_TIMERS_H

#include "bpf/kernel_task.h"

struct timer_walk {
	const void *node;
	const void *head;
	struct seq_file *seq;
	__u32 tgid;
	__u32 level;
	__u32 count;
};

/* `posix_timers` has a `first` where it is a hlist_head. */
static __always_inline bool timers_are_hlist(void)
{
	return bpf_core_field_exists(((struct signal_struct *)0)->posix_timers.first);
}

static __always_inline void begin_timers(const struct signal_struct *signal, struct timer_walk *walk)
{
	if (timers_are_hlist())
		walk->head = member_address(signal, struct signal_struct, posix_timers);
	else
		walk->head = member_address(signal, struct signal_struct___v61, posix_timers);
	walk->node = walk->head;
}

/* `next` and `first` are the first member of both kinds of list. A hlist ends with NULL, a circular one at its head. */
static __always_inline const void *next_timer(struct timer_walk *walk)
{
	const void *next = read_at(void *, walk->node);

	if (!next || next == walk->head)
		return NULL;
	walk->node = next;
	walk->count++;
	return next;
}

static long count_timer(__u32 i __attribute__((unused)), struct timer_walk *walk)
{
	return next_timer(walk) ? 0 : 1;
}

static __always_inline __u32 count_timers(const struct signal_struct *signal)
{
	struct timer_walk walk = {};

	begin_timers(signal, &walk);
	bpf_loop(1 << 20, count_timer, &walk, 0);
	return walk.count;
}

#endif
