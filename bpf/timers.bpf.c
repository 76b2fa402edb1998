// SPDX-License-Identifier: GPL-2.0
/* The POSIX timers of a process: asked for only where process_record.timers says that there are some. */
#include "bpf/emit.h"
#include "bpf/timers.h"

/* Where the timer's clock keeps the expiry, by kernel/time/posix-timers.c:clockid_to_kclock(). */
static __always_inline __u64 expiry(const struct k_itimer *timer, __s32 clock, bool armed)
{
	if (clock < 0 || clock == 2 || clock == 3) /* CPU time; 0 where it is not armed */
		return BPF_CORE_READ(timer, it.cpu.node.expires);
	if (!armed)
		return 0;
	if (clock == CLOCK_REALTIME_ALARM_ || clock == CLOCK_BOOTTIME_ALARM_)
		return BPF_CORE_READ(timer, it.alarm.alarmtimer.node.expires);
	return BPF_CORE_READ(timer, it.real.timer.node.expires);
}

static long write_timer(__u32 i __attribute__((unused)), struct timer_walk *walk)
{
	struct timer_record record = { .head = { .type = RECORD_TIMER, .length = sizeof(record) } };
	const void *node = next_timer(walk);
	const struct k_itimer___v613 *embedded;
	const struct k_itimer___v61 *old;
	const struct k_itimer *timer;
	const struct sigqueue *queue;
	bool armed;

	if (!node)
		return 1;
	if (timers_are_hlist())
		timer = container_of_core(node, struct k_itimer, list);
	else
		timer = (const void *)container_of_core(node, struct k_itimer___v61, list);
	embedded = (const void *)timer;
	old = (const void *)timer;
	record.id = BPF_CORE_READ(timer, it_id);
	record.clock = BPF_CORE_READ(timer, it_clock);
	record.notify = BPF_CORE_READ(timer, it_sigev_notify);
	record.interval_ns = BPF_CORE_READ(timer, it_interval);
	record.overrun = BPF_CORE_READ(timer, it_overrun_last);
	record.notify_tid = pid_number(BPF_CORE_READ(timer, it_pid), walk->level);
	record.tgid = walk->tgid;
	if (bpf_core_field_exists(old->it_active)) {
		/* SIGEV_NONE timers are never active, their expiry is all there is to them */
		armed = BPF_CORE_READ(old, it_active) || record.notify == 1 || record.interval_ns;
		queue = BPF_CORE_READ(old, sigq);
	} else {
		armed = BPF_CORE_READ(embedded, it_status) != 0 || record.notify == 1;
		queue = member_address(timer, struct k_itimer___v613, sigq);
	}
	record.expires_ns = expiry(timer, record.clock, armed);
	record.expires_clock = record.clock;
	if (record.clock == CLOCK_REALTIME_ && record.expires_ns)
		record.expires_clock = BPF_CORE_READ(timer, it.real.timer.base, clockid);
	if (record.clock < 0 || record.clock == 2 || record.clock == 3)
		record.cpu_pid = pid_number(BPF_CORE_READ(timer, it.cpu.pid), walk->level);
	record.signal_number = BPF_CORE_READ(queue, info.si_signo);
	record.sigev_value = (__u64)BPF_CORE_READ(queue, info._sifields._timer._sigval.sival_ptr);
	bpf_seq_write(walk->seq, &record, sizeof(record));
	return 0;
}

SEC("iter/task")
int dump_timers(struct bpf_iter__task *ctx)
{
	struct timer_walk walk = { .seq = ctx->meta->seq };
	struct task_struct *task = ctx->task;

	if (!task || task->group_leader != task)
		return 0;
	walk.level = reader_level();
	walk.tgid = task_tgid(task, walk.level);
	begin_timers(BPF_CORE_READ(task, signal), &walk);
	bpf_loop(RECORD_TIMERS, write_timer, &walk, 0);
	return 0;
}
