/* SPDX-License-Identifier: GPL-2.0 */
/* A thread group, with the first of its threads: process_record and sighand_record. */
#ifndef BPFCKPT_TASK_PROCESS_H
#define BPFCKPT_TASK_PROCESS_H

#include "bpf/emit.h"
#include "bpf/kernel_task.h"
#include "bpf/kinds/tty.h"
#include "bpf/timers.h"

/* security/yama/yama_lsm.c:ptracer_relations, a list: set by the loader; 0: there is no Yama, or it does not show. */
const volatile __u64 ptracer_relations = 0;

enum {
	RELATIONS = 8192,
	CGROUP_DEPTH = 32,
	CGROUP_NAME = 128,
};

static __always_inline const struct kernfs_node *kernfs_parent(const struct kernfs_node *node)
{
	const struct kernfs_node___v615 *renamed = (const void *)node;

	if (bpf_core_field_exists(renamed->__parent))
		return BPF_CORE_READ(renamed, __parent);
	return BPF_CORE_READ(node, parent);
}

/* The names from the inside out, then the path from the outside in. The length, NUL included; 0 where a name or the
 * nesting is beyond our room, and then the cgroup is known by its id only. */
static __always_inline __u32 fill_cgroup(const struct kernfs_node *node, char *names, char *string)
{
	__u32 length = 0, depth = 0;
	const struct kernfs_node *parent;
	long copied;

	for (; depth < CGROUP_DEPTH && node; depth++) {
		parent = kernfs_parent(node);
		if (!parent)
			break;
		copied = bpf_probe_read_kernel_str(names + depth * CGROUP_NAME, CGROUP_NAME, BPF_CORE_READ(node, name));
		if (copied <= 0 || copied >= CGROUP_NAME)
			return 0;
		node = parent;
	}
	if (depth == CGROUP_DEPTH)
		return 0;
	for (__u32 i = 0; i < CGROUP_DEPTH; i++) {
		if (i >= depth)
			break;
		if (length > RECORD_PATH_MAX - CGROUP_NAME - 2)
			return 0;
		string[length++] = '/';
		copied = bpf_probe_read_kernel_str(string + length, CGROUP_NAME,
						   names + (depth - 1 - i) % CGROUP_DEPTH * CGROUP_NAME);
		if (copied <= 0 || copied > CGROUP_NAME)
			return 0;
		length += copied - 1;
	}
	if (length == 0)
		string[length++] = '/';
	string[length++] = 0;
	return length;
}

static __always_inline void fill_itimers(const struct signal_struct *signal, struct process_record *record)
{
	const struct hrtimer *timer = member_address(signal, struct signal_struct, real_timer);

	if (hrtimer_queued(timer))
		record->itimer_real.value_ns = BPF_CORE_READ(timer, node.expires);
	record->itimer_real.interval_ns = BPF_CORE_READ(signal, it_real_incr);
	/* it[]: CPUCLOCK_PROF 0, CPUCLOCK_VIRT 1 */
	record->itimer_prof.value_ns = BPF_CORE_READ(signal, it[0].expires);
	record->itimer_prof.interval_ns = BPF_CORE_READ(signal, it[0].incr);
	record->itimer_virtual.value_ns = BPF_CORE_READ(signal, it[1].expires);
	record->itimer_virtual.interval_ns = BPF_CORE_READ(signal, it[1].incr);
}

/* The same file's, and the same since 3.5. No CO-RE: most kernels' types are without it (collect/programs.cc). */
struct ptrace_relation_ {
	const struct task_struct *tracer; /* null: anybody */
	const struct task_struct *tracee; /* a leader */
	__u8 invalid;
	struct {
		__u64 next, prev;
	} node;
};

struct relation_walk {
	__u64 node;
	const struct task_struct *leader;
	struct ptrace_relation_ found;
};

static long find_relation(__u32 i __attribute__((unused)), struct relation_walk *walk)
{
	struct ptrace_relation_ relation = {};

	if (!walk->node || walk->node == ptracer_relations)
		return 1;
	bpf_probe_read_kernel(&relation, sizeof(relation),
			      (const void *)(walk->node - offsetof(struct ptrace_relation_, node)));
	if (relation.tracee == walk->leader && !relation.invalid) {
		walk->found = relation;
		return 1;
	}
	walk->node = relation.node.next;
	return 0;
}

static __always_inline __s32 find_ptracer(const struct task_struct *task, __u32 level)
{
	struct relation_walk walk = {};
	const struct task_struct *tracer;

	if (!ptracer_relations)
		return 0;
	walk.node = read_at(__u64, ptracer_relations);
	walk.leader = BPF_CORE_READ(task, group_leader);
	bpf_loop(RELATIONS, find_relation, &walk, 0);
	if (!walk.found.tracee)
		return 0;
	tracer = walk.found.tracer; /* BPF_CORE_READ() would have relocated the way to it, too */
	return tracer ? pid_number(BPF_CORE_READ(tracer, thread_pid), level) : -1;
}

static __always_inline void write_process(struct seq_file *seq, struct scratch *slot, struct task_struct *task,
					  __u32 level)
{
	struct process_record *record = &slot->process;
	struct signal_struct *signal = task->signal;
	const struct kernfs_node *node = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	const struct tty_struct *tty;

	if (!signal)
		return;
	begin_record(record, RECORD_PROCESS);
	record->signal = (__u64)signal;
	record->tgid = task_tgid(task, level);
	record->pgid = pid_number(BPF_CORE_READ(signal, pids[PID_OF_PGRP]), level);
	record->sid = pid_number(BPF_CORE_READ(signal, pids[PID_OF_SESSION]), level);
	record->shared_pending = signal->shared_pending.signal.sig[0];
	record->now_ns = bpf_ktime_get_ns();
	record->now_boot_ns = bpf_ktime_get_boot_ns();
	record->signal_flags = signal->flags;
	record->group_exit_code = signal->group_exit_code;
	record->group_stop_count = signal->group_stop_count;
	record->threads = signal->nr_threads;
	record->live = signal->live.counter;
	record->oom_score_adj = signal->oom_score_adj;
	record->oom_score_adj_min = signal->oom_score_adj_min;
	if (BPF_CORE_READ_BITFIELD_PROBED(signal, is_child_subreaper))
		record->flags |= PROCESS_SUBREAPER;
	if (signal->leader)
		record->flags |= PROCESS_SESSION_LEADER;
	bpf_probe_read_kernel(record->rlimits, sizeof(record->rlimits),
			      member_address(signal, struct signal_struct, rlim));
	fill_itimers(signal, record);
	tty = BPF_CORE_READ(signal, tty);
	if (tty)
		describe_tty(tty, level, &record->tty);
	record->ptracer = find_ptracer(task, level);
	record->timers = count_timers(BPF_CORE_READ(task, signal));
	record->cgroup_id = BPF_CORE_READ(node, id);
	record->cgroup_len = node ? fill_cgroup(node, slot->path, slot->path2) : 0;
	record->head.length += padded(record->cgroup_len);
	write_record(seq, record);
	write_trailing(seq, slot->path2, record->cgroup_len);
}

/* k_sigaction has sigaction_part's layout on every 64-bit architecture that has SA_RESTORER. */
static __always_inline void write_sighand(struct seq_file *seq, struct scratch *slot, struct task_struct *task,
					  __u32 level)
{
	struct sighand_record *record = &slot->sighand;
	const struct sighand_struct *sighand = BPF_CORE_READ(task, sighand);

	if (!sighand || bpf_core_type_size(struct k_sigaction) != sizeof(struct sigaction_part))
		return;
	/* not by begin_record(): too large for a memset, and the reading fills, or on failure clears, the actions */
	record->head.type = RECORD_SIGHAND;
	record->head.length = sizeof(*record);
	record->pad = 0;
	record->sighand = (__u64)sighand;
	record->tgid = task_tgid(task, level);
	bpf_probe_read_kernel(record->actions, sizeof(record->actions),
			      member_address(sighand, struct sighand_struct, action));
	write_record(seq, record);
}

#endif
