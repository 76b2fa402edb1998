/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Shared anonymous memory, memfd, and the like on hugetlbfs: files of the kernel's internal mounts. */
#ifndef BPFCKPT_KINDS_SHMEM_H
#define BPFCKPT_KINDS_SHMEM_H

#include <linux/types.h>

#include "bpf/parts.h"

struct shmem_record {
	__u32 seals;		/* F_SEAL_* */
	__u32 huge_page_shift;	/* hugetlb: log2 of the page size; else 0 */
	__u32 policies;		/* mbind(2) was used on a mapping of it */
	__u32 pad;
};

#ifdef __bpf__
#include "bpf/kernel_fs.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct rb_root {
	void *rb_node;
};

struct shared_policy {
	struct rb_root root;
};

struct shmem_inode_info {
	unsigned int seals;
	struct shared_policy policy;
	struct inode vfs_inode;
};

struct hugetlbfs_inode_info {
	struct inode vfs_inode;
	unsigned int seals;
};

#pragma clang attribute pop

/* Files of the internal mounts have no place in any directory; those of a mounted tmpfs are regular files. */
static __always_inline bool is_shmem(const struct inode_part *inode, const struct path_part *path)
{
	return (path->flags & PATH_PSEUDO) && (inode->mode & S_IFMT) == S_IFREG &&
	       (inode->magic == TMPFS_MAGIC || inode->magic == HUGETLBFS_MAGIC);
}

static __always_inline void fill_shmem(const struct file *file, const struct inode_part *inode,
				       struct shmem_record *out)
{
	const struct inode *node = BPF_CORE_READ(file, f_inode);

	if (inode->magic == HUGETLBFS_MAGIC) {
		out->seals = BPF_CORE_READ(container_of_core(node, struct hugetlbfs_inode_info, vfs_inode), seals);
		out->huge_page_shift = BPF_CORE_READ(node, i_sb, s_blocksize_bits);
	} else {
		const struct shmem_inode_info *info = container_of_core(node, struct shmem_inode_info, vfs_inode);

		out->seals = BPF_CORE_READ(info, seals);
		if (bpf_core_field_exists(info->policy.root.rb_node)) /* not without CONFIG_NUMA */
			out->policies = BPF_CORE_READ(info, policy.root.rb_node) ? 1 : 0;
	}
}

#endif /* __bpf__ */

#endif
