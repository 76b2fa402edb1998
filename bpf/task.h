/* SPDX-License-Identifier: GPL-2.0 */
/* A thread: task_record. */
#ifndef BPFCKPT_TASK_H
#define BPFCKPT_TASK_H

#include "bpf/emit.h"
#include "bpf/kernel_task.h"
#include "bpf/mempolicy.h"
#include "bpf/restart.h"

/* Bytes of the affinity masks: set by the loader from the number of possible cpus. */
const volatile __u32 cpu_mask_bytes = 8;

enum {
	NSEC_PER_SEC_ = 1000000000,
	TASK_NO_NEW_PRIVS_BIT = 0,		/* PFA_NO_NEW_PRIVS in atomic_flags */
	SYSCALL_WORK_USER_DISPATCH_BIT = 6,	/* include/linux/thread_info.h: SYSCALL_WORK_BIT_SYSCALL_USER_DISPATCH */
	SECCOMP_FILTERS = 32768 / 5,		/* kernel/seccomp.c: MAX_INSNS_PER_PATH, 4 and a program each */
	RESTART_SYSCALL_NUMBER = 219,		/* x86: restart_syscall(2) */
	FEATURE_SHADOW_STACK = 1,		/* x86: include/uapi/asm/prctl.h, ARCH_SHSTK_SHSTK */
};

static __always_inline void fill_namespaces(const struct task_struct *task, struct ns_part *ns)
{
	const struct nsproxy *proxy = BPF_CORE_READ(task, nsproxy);
	const struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = pid ? BPF_CORE_READ(pid, level) : 0;

	ns->user = BPF_CORE_READ(task, cred, user_ns, ns.inum);
	if (pid) {
		const struct pid_namespace *own = read_at(
			void *, member_address(pid, struct pid, numbers) + level * bpf_core_type_size(struct upid) +
					bpf_core_field_offset(struct upid, ns));
		ns->pid = BPF_CORE_READ(own, ns.inum);
	}
	if (!proxy) /* a zombie */
		return;
	ns->mount = BPF_CORE_READ(proxy, mnt_ns, ns.inum);
	ns->uts = BPF_CORE_READ(proxy, uts_ns, ns.inum);
	ns->ipc = BPF_CORE_READ(proxy, ipc_ns, ns.inum);
	ns->net = BPF_CORE_READ(proxy, net_ns, ns.inum);
	ns->pid_for_children = BPF_CORE_READ(proxy, pid_ns_for_children, ns.inum);
	ns->cgroup = BPF_CORE_READ(proxy, cgroup_ns, ns.inum);
	ns->time = BPF_CORE_READ(proxy, time_ns, ns.inum);
	ns->time_for_children = BPF_CORE_READ(proxy, time_ns_for_children, ns.inum);
}

/* A look into the kernel's symbols, which says "0x..." where it has none. */
static __always_inline __u64 restart_function(__u64 address)
{
	char name[32] = {};

	if (BPF_SNPRINTF(name, sizeof(name), "%ps", address) < 0)
		return RESTART_UNKNOWN;
	if (!__builtin_memcmp(name, "hrtimer_nanosleep_restart", 25) ||
	    !__builtin_memcmp(name, "posix_cpu_nsleep_restart", 24) ||
	    !__builtin_memcmp(name, "alarm_timer_nsleep_restart", 26))
		return RESTART_SLEEP;
	if (!__builtin_memcmp(name, "futex_wait_restart", 18))
		return RESTART_FUTEX;
	return __builtin_memcmp(name, "do_restart_poll", 15) ? RESTART_UNKNOWN : RESTART_POLL;
}

static __always_inline void fill_restart(const struct task_struct *task, struct task_record *record)
{
	struct restart_part *out = &record->restart;
	const struct restart_block *block = member_address(task, struct task_struct, restart_block);
	const struct restart_block___v7 *v7 = (const void *)block;

	if (record->ax == -ERESTART_RESTARTBLOCK_ && record->orig_ax == RESTART_SYSCALL_NUMBER)
		out->function = restart_function((__u64)BPF_CORE_READ(block, fn));
	out->futex_uaddr = (__u64)BPF_CORE_READ(block, futex.uaddr);
	out->futex_time_ns = BPF_CORE_READ(block, futex.time);
	out->futex_val = BPF_CORE_READ(block, futex.val);
	out->futex_flags = BPF_CORE_READ(block, futex.flags);
	out->futex_bitset = BPF_CORE_READ(block, futex.bitset);
	out->sleep_clock = BPF_CORE_READ(block, nanosleep.clockid);
	out->sleep_rmtp = (__u64)BPF_CORE_READ(block, nanosleep.rmtp);
	out->sleep_expires_ns = BPF_CORE_READ(block, nanosleep.expires);
	out->poll_ufds = (__u64)BPF_CORE_READ(block, poll.ufds);
	out->poll_nfds = BPF_CORE_READ(block, poll.nfds);
	out->poll_has_timeout = BPF_CORE_READ(block, poll.has_timeout);
	if (bpf_core_field_exists(v7->poll.end_time))
		out->poll_end_ns = BPF_CORE_READ(v7, poll.end_time.tv_sec) * NSEC_PER_SEC_ +
				   BPF_CORE_READ(v7, poll.end_time.tv_nsec);
	else
		out->poll_end_ns = BPF_CORE_READ(block, poll.tv_sec) * NSEC_PER_SEC_ +
				   BPF_CORE_READ(block, poll.tv_nsec);
}

static __always_inline void fill_robust_and_rseq(const struct task_struct *task, struct task_record *record)
{
	const struct task_struct___v7 *v7 = (const void *)task;

	if (bpf_core_field_exists(v7->futex.robust_list))
		record->robust_list = (__u64)BPF_CORE_READ(v7, futex.robust_list);
	else
		record->robust_list = (__u64)BPF_CORE_READ(task, robust_list);
	if (bpf_core_field_exists(v7->rseq.usrptr)) {
		record->rseq = (__u64)BPF_CORE_READ(v7, rseq.usrptr);
		record->rseq_len = BPF_CORE_READ(v7, rseq.len);
		record->rseq_sig = BPF_CORE_READ(v7, rseq.sig);
		return;
	}
	record->rseq = (__u64)BPF_CORE_READ(task, rseq);
	record->rseq_sig = BPF_CORE_READ(task, rseq_sig);
	if (bpf_core_field_exists(task->rseq_len))
		record->rseq_len = BPF_CORE_READ(task, rseq_len);
	else if (record->rseq)
		record->rseq_len = 32; /* sizeof(struct rseq): the only length that was taken before 6.3 */
}

/*
 * Every thread group with more than one thread has a list, shared by CLONE_SYSVSEM (ipc/sem.c:copy_semundo()); only
 * what is in it is state.
 */
static __always_inline bool has_semaphore_undo(const struct task_struct *task)
{
	struct sem_undo_list *list;

	if (!bpf_core_field_exists(task->sysvsem.undo_list))
		return false;
	list = BPF_CORE_READ(task, sysvsem.undo_list);
	return list && (void *)BPF_CORE_READ(list, list_proc.next) !=
			       (void *)list + bpf_core_field_offset(struct sem_undo_list, list_proc);
}

static long find_listener(__u32 i __attribute__((unused)), const struct seccomp_filter **filter)
{
	if (!*filter || BPF_CORE_READ(*filter, notif))
		return 1;
	*filter = BPF_CORE_READ(*filter, prev);
	return 0;
}

static __always_inline void fill_seccomp(const struct task_struct *task, struct task_record *record)
{
	const struct seccomp_filter *filter = BPF_CORE_READ(task, seccomp.filter);

	record->seccomp_mode = BPF_CORE_READ(task, seccomp.mode);
	record->seccomp_filters = BPF_CORE_READ(task, seccomp.filter_count.counter);
	record->seccomp_filter = (__u64)filter;
	if (!filter)
		return;
	bpf_loop(SECCOMP_FILTERS, find_listener, &filter, 0);
	if (filter)
		record->flags |= TASK_SECCOMP_NOTIFY;
}

/* x86: include/asm/segment.h, __USER32_CS. */
#define USER_CS_32 0x23

static __always_inline void fill_segments(const struct task_struct *task, const struct pt_regs *regs,
					  struct task_record *record)
{
	if (bpf_core_field_exists(regs->cs) && BPF_CORE_READ(regs, cs) == USER_CS_32)
		record->flags |= TASK_COMPAT;
	if (bpf_core_field_exists(task->thread.tls_array)) {
		const void *tls = member_address(task, struct task_struct, thread.tls_array);
		/* 8 bytes each */
		if (read_at(__u64, tls) || read_at(__u64, tls + 8) || read_at(__u64, tls + 16))
			record->flags |= TASK_SEGMENTS;
	}
	if ((bpf_core_field_exists(task->thread.io_bitmap) && BPF_CORE_READ(task, thread.io_bitmap)) ||
	    (bpf_core_field_exists(task->thread.iopl_emul) && BPF_CORE_READ(task, thread.iopl_emul)))
		record->flags |= TASK_IO_PORTS;
}

static __always_inline void fill_clamps(const struct task_struct *task, struct task_record *record)
{
	if (!bpf_core_field_exists(task->uclamp_req))
		return;
	record->util_min = BPF_CORE_READ_BITFIELD_PROBED(task, uclamp_req[0].value);
	record->util_max = BPF_CORE_READ_BITFIELD_PROBED(task, uclamp_req[1].value);
	if (BPF_CORE_READ_BITFIELD_PROBED(task, uclamp_req[0].user_defined))
		record->flags |= TASK_UTIL_MIN;
	if (BPF_CORE_READ_BITFIELD_PROBED(task, uclamp_req[1].user_defined))
		record->flags |= TASK_UTIL_MAX;
}

static __always_inline void fill_flags(const struct task_struct *task, struct task_record *record)
{
	if (BPF_CORE_READ_BITFIELD_PROBED(task, sched_reset_on_fork))
		record->flags |= TASK_RESET_ON_FORK;
	record->atomic_flags = BPF_CORE_READ(task, atomic_flags);
	if (record->atomic_flags >> TASK_NO_NEW_PRIVS_BIT & 1)
		record->flags |= TASK_NO_NEW_PRIVS;
	if (BPF_CORE_READ_BITFIELD_PROBED(task, restore_sigmask))
		record->flags |= TASK_SAVED_SIGMASK;
	if (bpf_core_field_exists(task->io_uring) && BPF_CORE_READ(task, io_uring))
		record->registered_rings = registered_rings(BPF_CORE_READ(task, io_uring));
	if (bpf_core_field_exists(task->mempolicy))
		fill_mempolicy(BPF_CORE_READ(task, mempolicy), &record->memory_policy);
	if (bpf_core_field_exists(task->core_cookie) && BPF_CORE_READ(task, core_cookie))
		record->flags |= TASK_CORE_COOKIE;
	if (bpf_core_field_exists(task->thread.features) && BPF_CORE_READ(task, thread.features) & FEATURE_SHADOW_STACK)
		record->flags |= TASK_SHADOW_STACK;
	if (bpf_core_field_exists(task->thread_info.flags))
		record->thread_flags = BPF_CORE_READ(task, thread_info.flags);
	if (bpf_core_field_exists(task->se.custom_slice) && BPF_CORE_READ(task, se.custom_slice))
		record->slice_ns = BPF_CORE_READ(task, se.slice);
	if (has_semaphore_undo(task))
		record->flags |= TASK_SEMUNDO;
	if (bpf_core_field_exists(task->thread_info.syscall_work) &&
	    BPF_CORE_READ(task, thread_info.syscall_work) >> SYSCALL_WORK_USER_DISPATCH_BIT & 1) {
		record->flags |= TASK_USER_DISPATCH;
		record->dispatch_offset = BPF_CORE_READ(task, syscall_dispatch.offset);
		record->dispatch_len = BPF_CORE_READ(task, syscall_dispatch.len);
		record->dispatch_selector = (__u64)BPF_CORE_READ(task, syscall_dispatch.selector);
	}
}

static __always_inline void fill_ids(const struct task_struct *task, __u32 level, struct task_record *record)
{
	const struct pid *pid = BPF_CORE_READ(task, thread_pid);

	record->tid = pid_number(pid, level);
	record->tgid = task_tgid(task, level);
	record->real_parent = task_tgid(BPF_CORE_READ(task, real_parent), level);
	if (BPF_CORE_READ(task, ptrace))
		record->tracer = task_tgid(BPF_CORE_READ(task, parent), level);
	if (!pid)
		return;
	record->ns_level = BPF_CORE_READ(pid, level);
	for (__u32 i = 0; i < RECORD_NS_LEVELS && i <= record->ns_level; i++)
		record->ns_tid[i] = pid_number(pid, i);
}

static __always_inline void fill_task(struct task_struct *task, __u32 level, struct task_record *record)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	fill_ids(task, level, record);
	record->task = (__u64)task;
	record->cred = (__u64)task->cred;
	record->real_cred = (__u64)task->real_cred;
	record->files = (__u64)task->files;
	record->fs = (__u64)task->fs;
	record->mm = (__u64)task->mm;
	record->sighand = (__u64)task->sighand;
	record->signal = (__u64)task->signal;
	record->jobctl = task->jobctl;
	record->blocked = task->blocked.sig[0];
	record->saved_sigmask = task->saved_sigmask.sig[0];
	record->pending = task->pending.signal.sig[0];
	record->altstack_sp = task->sas_ss_sp;
	record->altstack_size = task->sas_ss_size;
	record->altstack_flags = task->sas_ss_flags;
	record->clear_child_tid = (__u64)task->clear_child_tid;
	record->set_child_tid = (__u64)task->set_child_tid;
	record->timer_slack_ns = task->timer_slack_ns;
	record->default_timer_slack_ns = task->default_timer_slack_ns;
	record->dl_runtime_ns = task->dl.dl_runtime;
	record->dl_deadline_ns = task->dl.dl_deadline;
	record->dl_period_ns = task->dl.dl_period;
	record->dl_flags = task->dl.flags;
	record->start_boottime_ns = task->start_boottime;
	record->orig_ax = regs->orig_ax;
	record->ax = regs->ax;
	record->state = task->__state;
	record->exit_state = task->exit_state;
	record->exit_code = task->exit_code;
	record->exit_signal = task->exit_signal;
	record->pdeath_signal = task->pdeath_signal;
	record->task_flags = task->flags;
	record->personality = task->personality;
	record->ptrace = task->ptrace;
	record->policy = task->policy;
	record->static_prio = task->static_prio;
	record->rt_priority = task->rt_priority;
	record->io_priority = BPF_CORE_READ(task, io_context, ioprio);
	record->loginuid = bpf_core_field_exists(task->loginuid) ? BPF_CORE_READ(task, loginuid.val) : -1;
	if (task->group_leader == task)
		record->flags |= TASK_LEADER;
	bpf_probe_read_kernel(record->comm, sizeof(record->comm), task->comm);
	fill_flags(task, record);
	fill_clamps(task, record);
	fill_segments(task, regs, record);
	fill_seccomp(task, record);
	fill_robust_and_rseq(task, record);
	fill_restart(task, record);
	fill_namespaces(task, &record->ns);
}

static __always_inline void write_task(struct seq_file *seq, struct scratch *slot, struct task_struct *task,
				       __u32 level)
{
	struct task_record *record = &slot->task;
	__u32 bytes = cpu_mask_bytes;

	begin_record(record, RECORD_TASK);
	fill_task(task, level, record);
	if (bytes <= RECORD_CPU_BYTES && !bpf_probe_read_kernel(slot->path, bytes, task->cpus_ptr)) {
		record->cpu_bytes = bytes;
		record->head.length += padded(bytes);
	}
	write_record(seq, record);
	write_trailing(seq, slot->path, record->cpu_bytes);
}

#endif
