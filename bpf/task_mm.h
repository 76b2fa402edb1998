/* SPDX-License-Identifier: GPL-2.0 */
/* What threads may share: address space (mm_record), root and working directory (fs_record). */
#ifndef BPFCKPT_TASK_MM_H
#define BPFCKPT_TASK_MM_H

#include "bpf/aio.h"
#include "bpf/files.h"
#include "bpf/kernel_mm.h"
#include "bpf/kernel_task.h"

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

#endif
