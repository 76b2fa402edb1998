// SPDX-License-Identifier: GPL-2.0
/* Every thread, and with the first of its kind: the thread group, address space, root and cwd, credentials. */
#include "bpf/task.h"
#include "bpf/task_cred.h"
#include "bpf/task_mm.h"
#include "bpf/task_process.h"

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
