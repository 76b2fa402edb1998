/* SPDX-License-Identifier: GPL-2.0 */
/* Address spaces and mappings: see kernel.h. */
#ifndef BPFCKPT_KERNEL_MM_H
#define BPFCKPT_KERNEL_MM_H

#include "bpf/kernel.h"
#include "bpf/kernel_fs.h"

#define VM_SHARED 0x8UL
#define VM_HUGETLB 0x400000UL

/* mm->flags: include/linux/sched/coredump.h, include/linux/mm_types.h since 6.18. The first word. */
enum {
	MMF_DUMPABLE_MASK_ = 3,
	MMF_THP_EXCEPT_ADVISED_BIT = 23,	/* since 6.18; before, MMF_HUGE_ZERO_PAGE */
	MMF_DISABLE_THP_BIT = 24,
	MMF_HAS_MDWE_BIT = 28,			/* since 6.3 */
	MMF_HAS_MDWE_NO_INHERIT_BIT = 29,	/* since 6.7 */
	MMF_VM_MERGE_ANY_BIT = 30,		/* since 6.4, 6.4 to 6.6 as 29 */
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* x86: the keys with CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS, both 16 bits wide; ldt with CONFIG_MODIFY_LDT_SYSCALL. */
typedef struct {
	void *ldt;
	unsigned short pkey_allocation_map;
	short execute_only_pkey;
	unsigned long lam_cr3_mask;	/* with CONFIG_ADDRESS_MASKING, since 6.4 */
} mm_context_t;

struct mm_struct {
	mm_context_t context;
	atomic_t membarrier_state;
	int map_count;
	unsigned long total_vm, def_flags;
	unsigned long start_code, end_code, start_data, end_data;
	unsigned long start_brk, brk, start_stack;
	unsigned long arg_start, arg_end, env_start, env_end;
	unsigned long saved_auxv[56];
	unsigned long flags;
	struct kioctx_table *ioctx_table;
	struct user_namespace *user_ns;
	struct file *exe_file;
};

/* since 6.18 ("mm: add bitmap mm->flags field" and its like) */
typedef struct {
	unsigned long __mm_flags[1];
} mm_flags_t;

struct mm_struct___v618 {
	mm_flags_t flags;
};

struct kioctx_table {
	unsigned int nr;
	void *table[1];
};

struct vm_userfaultfd_ctx {
	void *ctx;
};

/* No userfaultfd context without CONFIG_USERFAULTFD, no anon_name without CONFIG_ANON_VMA_NAME (up to 6.1 always). */
struct anon_vma_name {
	char name[1];
};

struct vm_special_mapping {
	const char *name;
};

struct vm_operations_struct {
	const char *(*name)(struct vm_area_struct *vma);
};

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_flags;
	void *anon_vma;
	const struct vm_operations_struct *vm_ops;
	unsigned long vm_pgoff;
	struct file *vm_file;
	void *vm_private_data;
	void *vm_policy;
	struct vm_userfaultfd_ctx vm_userfaultfd_ctx;
	struct anon_vma_name *anon_name;
};

#pragma clang attribute pop

#endif
