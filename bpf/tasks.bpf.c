// SPDX-License-Identifier: GPL-2.0
/* Every thread, and with the first of its kind: the thread group, address space, root and cwd, credentials. */
#include "bpf/aio.h"
#include "bpf/files.h"
#include "bpf/kernel_mm.h"
#include "bpf/kernel_task.h"
#include "bpf/mempolicy.h"
#include "bpf/timers.h"

/* Bytes of the affinity masks: set by the loader from the number of possible cpus. */
const volatile __u32 cpu_mask_bytes = 8;

enum {
	NSEC_PER_SEC_ = 1000000000,
	TASK_NO_NEW_PRIVS_BIT = 0,		/* PFA_NO_NEW_PRIVS in atomic_flags */
	SYSCALL_WORK_USER_DISPATCH_BIT = 6,	/* include/linux/thread_info.h: SYSCALL_WORK_BIT_SYSCALL_USER_DISPATCH */
	SECCOMP_FILTERS = 32768 / 5,		/* kernel/seccomp.c: MAX_INSNS_PER_PATH, 4 and a program each */
	FEATURE_SHADOW_STACK = 1,		/* x86: include/uapi/asm/prctl.h, ARCH_SHSTK_SHSTK */
	CGROUP_DEPTH = 32,
	CGROUP_NAME = 128,
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

static __always_inline void fill_restart(const struct task_struct *task, struct restart_part *out)
{
	const struct restart_block *block = member_address(task, struct task_struct, restart_block);
	const struct restart_block___v7 *v7 = (const void *)block;

	out->function = (__u64)BPF_CORE_READ(block, fn);
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
	fill_segments(task, regs, record);
	fill_seccomp(task, record);
	fill_robust_and_rseq(task, record);
	fill_restart(task, &record->restart);
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

static __always_inline void fill_mm_flags(struct task_struct *task, struct mm_struct *mm, struct mm_record *record)
{
	const struct mm_struct___v618 *bitmap = (const void *)mm;
	const struct task_struct___v7 *v7 = (const void *)task;
	bool is_bitmap = bpf_core_field_exists(bitmap->flags.__mm_flags);

	record->raw_flags = is_bitmap ? BPF_CORE_READ(bitmap, flags.__mm_flags[0]) : BPF_CORE_READ(mm, flags);
	if (record->raw_flags >> MMF_DISABLE_THP_BIT & 1)
		record->flags |= MM_THP_DISABLED;
	if (is_bitmap && record->raw_flags >> MMF_THP_EXCEPT_ADVISED_BIT & 1)
		record->flags |= MM_THP_EXCEPT_ADVISED;
	if (record->raw_flags >> MMF_HAS_MDWE_BIT & 1)
		record->flags |= MM_MDWE;
	if (record->raw_flags >> MMF_HAS_MDWE_NO_INHERIT_BIT & 1)
		record->flags |= MM_MDWE_NO_INHERIT;
	if (record->raw_flags >> MMF_VM_MERGE_ANY_BIT & 1)
		record->flags |= MM_MERGE_ANY;
	if (bpf_core_field_exists(mm->ioctx_table) && BPF_CORE_READ(mm, ioctx_table) &&
	    BPF_CORE_READ(mm, ioctx_table, nr) > AIO_RINGS)
		record->flags |= MM_MANY_AIO;
	if (bpf_core_field_exists(mm->context.ldt) && BPF_CORE_READ(mm, context.ldt))
		record->flags |= MM_LDT;
	if (bpf_core_field_exists(mm->context.lam_cr3_mask) && BPF_CORE_READ(mm, context.lam_cr3_mask))
		record->flags |= MM_TAGGED;
	/* since 7.x the task's exec_state has what the mm had */
	if (bpf_core_field_exists(v7->exec_state)) {
		record->dumpable = BPF_CORE_READ(v7, exec_state, dumpable);
		record->user_ns = BPF_CORE_READ(v7, exec_state, user_ns, ns.inum);
	} else {
		record->dumpable = record->raw_flags & MMF_DUMPABLE_MASK_;
		record->user_ns = BPF_CORE_READ(mm, user_ns, ns.inum);
	}
}

static __always_inline void write_mm(struct seq_file *seq, struct scratch *slot, struct task_struct *task, __u32 level)
{
	struct mm_record *record = &slot->mm;
	struct mm_struct *mm = task->mm;
	__u32 auxv_bytes = bpf_core_field_size(mm->saved_auxv);
	struct file *exe;

	if (!mm)
		return;
	exe = mm->exe_file;
	begin_record(record, RECORD_MM);
	record->mm = (__u64)mm;
	record->tgid = task_tgid(task, level);
	record->start_code = mm->start_code;
	record->end_code = mm->end_code;
	record->start_data = mm->start_data;
	record->end_data = mm->end_data;
	record->start_brk = mm->start_brk;
	record->brk = mm->brk;
	record->start_stack = mm->start_stack;
	record->arg_start = mm->arg_start;
	record->arg_end = mm->arg_end;
	record->env_start = mm->env_start;
	record->env_end = mm->env_end;
	record->def_flags = mm->def_flags;
	record->exe = (__u64)exe;
	record->membarrier_state = mm->membarrier_state.counter;
	record->total_pages = mm->total_vm;
	record->maps = mm->map_count;
	fill_mm_flags(task, mm, record);
	if (bpf_core_field_exists(mm->context.pkey_allocation_map)) {
		record->protection_keys = BPF_CORE_READ(mm, context.pkey_allocation_map);
		record->execute_only_key = BPF_CORE_READ(mm, context.execute_only_pkey);
	}
	if (auxv_bytes > sizeof(record->auxv))
		auxv_bytes = sizeof(record->auxv);
	if (!bpf_probe_read_kernel(record->auxv, auxv_bytes,
				   member_address(BPF_CORE_READ(task, mm), struct mm_struct, saved_auxv)))
		record->auxv_words = auxv_bytes / sizeof(record->auxv[0]);
	write_record(seq, record);
	if (exe)
		write_file(seq, slot, exe, task_tgid(task, level), FILE_OF_EXE, 0, false);
	write_aio_rings(seq, BPF_CORE_READ(task, mm), task_tgid(task, level));
}

static __always_inline void write_fs(struct seq_file *seq, struct scratch *slot, struct task_struct *task, __u32 level)
{
	struct fs_record *record = &slot->fs;
	struct fs_struct *fs = task->fs;

	if (!fs)
		return;
	begin_record(record, RECORD_FS);
	record->fs = (__u64)fs;
	record->tgid = task_tgid(task, level);
	record->umask = fs->umask;
	fill_path(&fs->pwd, &record->cwd, slot->path);
	fill_path(&fs->root, &record->root, slot->path2);
	record->head.length += padded(record->cwd.length) + padded(record->root.length);
	write_record(seq, record);
	write_trailing(seq, slot->path, record->cwd.length);
	write_trailing(seq, slot->path2, record->root.length);
}

static __always_inline __u64 capabilities(const struct cred *cred, __u64 offset)
{
	return read_at(__u64, (const void *)cred + offset);
}

static __always_inline void write_cred(struct seq_file *seq, struct scratch *slot, struct task_struct *task, __u32 level)
{
	struct cred_record *record = &slot->cred;
	const struct cred *cred = BPF_CORE_READ(task, cred);
	const struct group_info *groups = BPF_CORE_READ(cred, group_info);
	__u32 bytes;

	begin_record(record, RECORD_CRED);
	record->cred = (__u64)cred;
	record->tid = pid_number(BPF_CORE_READ(task, thread_pid), level);
	record->ruid = BPF_CORE_READ(cred, uid.val);
	record->euid = BPF_CORE_READ(cred, euid.val);
	record->suid = BPF_CORE_READ(cred, suid.val);
	record->fsuid = BPF_CORE_READ(cred, fsuid.val);
	record->rgid = BPF_CORE_READ(cred, gid.val);
	record->egid = BPF_CORE_READ(cred, egid.val);
	record->sgid = BPF_CORE_READ(cred, sgid.val);
	record->fsgid = BPF_CORE_READ(cred, fsgid.val);
	record->securebits = BPF_CORE_READ(cred, securebits);
	record->cap_inheritable = capabilities(cred, bpf_core_field_offset(struct cred, cap_inheritable));
	record->cap_permitted = capabilities(cred, bpf_core_field_offset(struct cred, cap_permitted));
	record->cap_effective = capabilities(cred, bpf_core_field_offset(struct cred, cap_effective));
	record->cap_bounding = capabilities(cred, bpf_core_field_offset(struct cred, cap_bset));
	record->cap_ambient = capabilities(cred, bpf_core_field_offset(struct cred, cap_ambient));
	if (bpf_core_field_exists(cred->security))
		bpf_probe_read_kernel(record->security, sizeof(record->security), BPF_CORE_READ(cred, security));
	record->groups = BPF_CORE_READ(groups, ngroups);
	bytes = record->groups * sizeof(__u32);
	if (record->groups > RECORD_GROUPS)
		bytes = RECORD_GROUPS * sizeof(__u32);
	if (bpf_probe_read_kernel(slot->path, bytes, member_address(groups, struct group_info, gid)))
		record->groups = bytes = 0;
	record->head.length += padded(bytes);
	write_record(seq, record);
	write_trailing(seq, slot->path, bytes);
}

SEC("iter/task")
int dump_tasks(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task, *leader;
	__u32 level = reader_level();
	struct scratch *slot;
	bool first;

	if (!task || is_io_worker(task))
		return 0;
	leader = task->group_leader;
	first = task == leader;
	slot = begin_show(seq);
	if (!slot)
		return 0;
	write_task(seq, slot, task, level);
	if (first) {
		write_process(seq, slot, task, level);
		write_sighand(seq, slot, task, level);
	}
	/* What a thread shares with its leader is told once; a leader that exited has let go of it. */
	if (first || leader->cred != task->cred)
		write_cred(seq, slot, task, level);
	if (first || leader->mm != task->mm)
		write_mm(seq, slot, task, level);
	if (first || leader->fs != task->fs)
		write_fs(seq, slot, task, level);
	end_show(slot);
	return 0;
}

SEC("iter/task")
int list_tasks(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct summary_record record = { .head = { .type = RECORD_SUMMARY, .length = sizeof(record) } };
	struct signal_struct *signal;
	__u32 level;

	if (!task || !task->signal || is_io_worker(task))
		return 0;
	level = reader_level();
	signal = task->signal;
	record.jobctl = task->jobctl;
	record.tid = pid_number(BPF_CORE_READ(task, thread_pid), level);
	record.tgid = task_tgid(task, level);
	record.real_parent = task_tgid(BPF_CORE_READ(task, real_parent), level);
	if (task->ptrace)
		record.tracer = task_tgid(BPF_CORE_READ(task, parent), level);
	record.state = task->__state;
	record.exit_state = task->exit_state;
	record.task_flags = task->flags;
	record.signal_flags = signal->flags;
	record.pgid = pid_number(BPF_CORE_READ(signal, pids[PID_OF_PGRP]), level);
	record.sid = pid_number(BPF_CORE_READ(signal, pids[PID_OF_SESSION]), level);
	bpf_probe_read_kernel(record.comm, sizeof(record.comm), task->comm);
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}
