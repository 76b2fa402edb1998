// SPDX-License-Identifier: GPL-2.0
/* Every descriptor of a process. */
#include "bpf/files.h"

SEC("iter/task_file")
int dump_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct seq_file *seq = ctx->meta->seq;
	struct file *file = ctx->file;
	__u32 fd = ctx->fd;
	struct scratch *slot;
	unsigned long *close_on_exec, word = 0;

	if (!task || !file)
		return 0;
	slot = begin_show(seq);
	if (!slot)
		return 0;
	close_on_exec = task->files->fdt->close_on_exec;
	bpf_probe_read_kernel(&word, sizeof(word), close_on_exec + fd / 64);
	write_file(seq, slot, file, task_tgid(task, reader_level()), fd, (__u64)task->files, word >> (fd % 64) & 1);
	end_show(slot);
	return 0;
}
