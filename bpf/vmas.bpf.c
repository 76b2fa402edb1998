// SPDX-License-Identifier: GPL-2.0
/* Every mapping of a process, each followed by its file. */
#include "bpf/files.h"
#include "bpf/kernel_mm.h"
#include "bpf/mempolicy.h"

/* Mappings that the kernel made for the process ("[vdso]") have a vm_special_mapping, which brings the name. In the
 * trees of processes only their vm_ops have name() (mm/mmap.c, mm/vma.c: special_mapping_vmops). */
static __always_inline bool is_special(const struct vm_area_struct *vma)
{
	return !vma->vm_file && vma->vm_ops && vma->vm_ops->name;
}

/* Into `name`, RECORD_VMA_NAME bytes. */
static __always_inline void fill_name(const struct vm_area_struct *vma, struct vma_record *record, char *name)
{
	const struct vm_special_mapping *special;
	const struct anon_vma_name *given;
	const void *from = NULL;
	__u32 flag = VMA_ANON_NAME;
	long bytes;

	if (is_special(vma)) {
		special = BPF_CORE_READ(vma, vm_private_data);
		from = BPF_CORE_READ(special, name);
		flag = VMA_SPECIAL;
	} else if (!vma->vm_file && bpf_core_field_exists(vma->anon_name)) {
		/* shares its place with the interval tree of file mappings up to 6.1 */
		given = BPF_CORE_READ(vma, anon_name);
		if (given)
			from = member_address(given, struct anon_vma_name, name);
	}
	if (!from)
		return;
	bytes = bpf_probe_read_kernel_str(name, RECORD_VMA_NAME, from);
	if (bytes <= 0)
		return;
	record->flags |= flag;
	record->name_bytes = bytes;
	record->head.length += padded(bytes);
}

/* A library has some mappings in a row, of one file. Each process is told for itself: a reader may want but one of them. */
static __always_inline bool is_told(const struct scratch *slot, __u64 session, const struct vm_area_struct *vma)
{
	return slot->told_session == session && slot->told_mm == (__u64)vma->vm_mm &&
	       slot->told_file == (__u64)vma->vm_file;
}

static __always_inline void keep_told(struct scratch *slot, __u64 session, const struct vm_area_struct *vma,
				      const struct seq_file *seq)
{
	if (seq->count == seq->size)
		return; /* seq_has_overflowed() */
	slot->told_session = session;
	slot->told_mm = (__u64)vma->vm_mm;
	slot->told_file = (__u64)vma->vm_file;
}

SEC("iter/task_vma")
int dump_vmas(struct bpf_iter__task_vma *ctx)
{
	struct vm_area_struct *vma = ctx->vma;
	struct task_struct *task = ctx->task;
	struct seq_file *seq = ctx->meta->seq;
	const __u64 session = ctx->meta->session_id;
	struct vma_record *record;
	struct scratch *slot;
	struct file *file;

	if (!task || !vma)
		return 0;
	slot = begin_show(seq);
	if (!slot)
		return 0;
	record = &slot->vma;
	file = vma->vm_file;
	begin_record(record, RECORD_VMA);
	record->tgid = task_tgid(task, reader_level());
	record->mm = (__u64)vma->vm_mm;
	record->start = vma->vm_start;
	record->end = vma->vm_end;
	record->vm_flags = vma->vm_flags;
	record->pgoff = vma->vm_pgoff;
	record->file = (__u64)file;
	if (bpf_core_field_exists(vma->vm_userfaultfd_ctx.ctx))
		record->userfaultfd = (__u64)vma->vm_userfaultfd_ctx.ctx;
	if (vma->anon_vma)
		record->flags |= VMA_HAS_ANON;
	if (vma->vm_ops)
		record->flags |= VMA_HAS_OPS;
	if (record->vm_flags & VM_HUGETLB)
		record->flags |= VMA_HUGETLB;
	if (bpf_core_field_exists(vma->vm_policy))
		fill_mempolicy(vma->vm_policy, &record->memory_policy);
	if (file && file->f_inode->i_sb->s_magic == TMPFS_MAGIC)
		record->flags |= VMA_SHMEM;
	fill_name(vma, record, slot->path);
	if (file && is_told(slot, session, vma))
		record->flags |= VMA_FILE_TOLD;
	write_record(seq, record);
	write_trailing(seq, slot->path, record->name_bytes);
	if (file && !(record->flags & VMA_FILE_TOLD)) {
		write_file(seq, slot, file, record->tgid, FILE_OF_VMA, 0, false);
		keep_told(slot, session, vma, seq);
	}
	end_show(slot);
	return 0;
}
