/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A timerfd_create(2) timer. */
#ifndef BPFCKPT_KINDS_TIMERFD_H
#define BPFCKPT_KINDS_TIMERFD_H

#include <linux/types.h>

#include "bpf/parts.h"

enum timerfd_flags {
	TIMERFD_QUEUED = 1,	/* it is going to expire */
	TIMERFD_EXPIRED = 2,	/* it has, and nobody has read or asked since; an interval timer stands still meanwhile */
	TIMERFD_CANCELLED = 4,	/* the next read says ECANCELED */
};

struct timerfd_record {
	__s64 expires_ns;	/* absolute on `expires_clock`: the next expiry, or that which has been */
	__s64 now_ns;		/* CLOCK_MONOTONIC */
	__s64 now_boot_ns;	/* CLOCK_BOOTTIME */
	__u64 interval_ns;
	__u64 ticks;		/* expiries that are not read yet, as far as they are counted */
	__s32 clock;
	__s32 expires_clock;	/* CLOCK_REALTIME set relatively is counted by CLOCK_MONOTONIC (hrtimer_setup()) */
	__u32 settime_flags;	/* TFD_TIMER_* */
	__u32 flags;		/* enum timerfd_flags */
};

#ifdef __bpf__
#include "bpf/anon_inode.h"
#include "bpf/kernel_task.h"

enum { CLOCK_BOOTTIME_ = 7 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct timerfd_ctx {
	union {
		struct hrtimer tmr;
		struct alarm alarm;
	} t;
	long long tintv;
	long long moffs;
	__u64 ticks;
	int clockid;
	unsigned short expired;
	unsigned short settime_flags;
	_Bool might_cancel;
};

#pragma clang attribute pop

static __always_inline bool is_timerfd(const struct inode_part *inode, const char *name)
{
	return is_anon_inode(inode, name, "[timerfd]");
}

/* The timer runs on whether its owner is stopped or not: what an expiry changes is read in the order in which it is
 * changed (fs/timerfd.c:timerfd_triggered()), so that none is seen twice or not at all. */
static __always_inline void fill_timerfd(const struct file *file, struct timerfd_record *out)
{
	const struct timerfd_ctx *context = BPF_CORE_READ(file, private_data);
	const struct hrtimer_clock_base *base;
	const struct hrtimer *timer;
	bool expired;

	out->clock = BPF_CORE_READ(context, clockid);
	if (out->clock == CLOCK_REALTIME_ALARM_ || out->clock == CLOCK_BOOTTIME_ALARM_) {
		timer = member_address(context, struct timerfd_ctx, t.alarm.timer);
		base = BPF_CORE_READ(timer, base);
		out->expires_ns = BPF_CORE_READ(context, t.alarm.node.expires);
		out->expires_clock = out->clock == CLOCK_REALTIME_ALARM_ ? CLOCK_REALTIME_ : CLOCK_BOOTTIME_;
	} else {
		timer = member_address(context, struct timerfd_ctx, t.tmr);
		base = BPF_CORE_READ(timer, base);
		out->expires_ns = BPF_CORE_READ(timer, node.expires);
		out->expires_clock = BPF_CORE_READ(base, clockid);
	}
	out->interval_ns = BPF_CORE_READ(context, tintv);
	out->settime_flags = BPF_CORE_READ(context, settime_flags);
	if (hrtimer_queued(timer))
		out->flags |= TIMERFD_QUEUED;
	/* out of the queue, and its function has not said so yet */
	expired = !(out->flags & TIMERFD_QUEUED) && BPF_CORE_READ(base, running) == timer;
	out->ticks = BPF_CORE_READ(context, ticks);
	if (BPF_CORE_READ(context, expired))
		expired = true;
	else if (expired)
		out->ticks++;
	if (expired) {
		out->flags = TIMERFD_EXPIRED;
		if (!out->ticks)
			out->ticks = 1;
	}
	/* fs/timerfd.c:timerfd_canceled(): KTIME_MAX */
	if (BPF_CORE_READ(context, might_cancel) && BPF_CORE_READ(context, moffs) == 0x7fffffffffffffffLL)
		out->flags |= TIMERFD_CANCELLED;
	out->now_ns = bpf_ktime_get_ns();
	out->now_boot_ns = bpf_ktime_get_boot_ns();
}

#endif /* __bpf__ */

#endif
