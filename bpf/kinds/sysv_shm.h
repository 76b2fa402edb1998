/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* An attachment of a System V shared memory segment (shmat(2)): ipc/shm.c. */
#ifndef BPFCKPT_KINDS_SYSV_SHM_H
#define BPFCKPT_KINDS_SYSV_SHM_H

#include <linux/types.h>

#include "bpf/parts.h"

enum sysv_shm_flags {
	SYSV_SHM_FOUND = 1,	/* all but `id` and `ipc_ns` are known */
	SYSV_SHM_NORESERVE = 2,
};

struct sysv_shm_record {
	__u64 size_bytes;	/* as shmget(2) was given it */
	__u64 attachments;	/* mappings of it, whoever has them */
	__u32 id;
	__s32 key;
	__u32 ipc_ns;		/* inode number of the IPC namespace that it belongs to */
	__u32 mode;		/* permissions, SHM_LOCKED, SHM_DEST */
	__u32 uid;
	__u32 gid;
	__u32 creator_uid;
	__u32 creator_gid;
	__u32 creator_pid;	/* 0: not known here */
	__u32 huge_page_shift;	/* log2 of the page size; 0: ordinary pages */
	__u32 policies;		/* mbind(2) was used on a mapping of it */
	__u32 flags;		/* enum sysv_shm_flags */
};

#ifdef __bpf__
#include "bpf/kernel_fs.h"
#include "bpf/kernel_task.h"
#include "bpf/kinds/io_uring.h"
#include "bpf/kinds/shmem.h"

#define SYSV_VM_NORESERVE 0x200000UL	/* include/linux/mm.h: VM_NORESERVE */

enum {
	IPC_SHM_IDS_ = 2,	/* ipc/util.h */
	XARRAY_LEVELS = 6,
	XARRAY_ENTRY = 3,	/* include/linux/xarray.h: the bits that tell what an entry is */
	XARRAY_NODE = 2,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct xa_node {
	unsigned char shift;
	void *slots[1];
};

struct idr___tree {
	struct xarray idr_rt;
};

struct ipc_ids {
	struct idr___tree ipcs_idr;
};

struct ipc_namespace___ids {
	struct ipc_ids ids[3];
};

struct kern_ipc_perm {
	int id;
	int key;
	kuid_t uid;
	kgid_t gid;
	kuid_t cuid;
	kgid_t cgid;
	unsigned short mode;
};

struct shmid_kernel {
	struct kern_ipc_perm shm_perm;
	struct file *shm_file;
	unsigned long shm_nattch;
	unsigned long shm_segsz;
	struct pid *shm_cprid;
};

struct shm_file_data {
	int id;
	struct ipc_namespace *ns;
	struct file *file;
};

struct shmem_inode_info___flags {
	unsigned long flags;
};

#pragma clang attribute pop

/* A file of shmat(2)'s own, which stands before the segment's: fs of both is the same, and so is the name. Other files
 * of the internal mounts have no private data (a segment that was opened through /proc/PID/map_files has not). */
static __always_inline bool is_sysv_shm(const struct file *file, const struct inode_part *inode,
					const struct path_part *path)
{
	const struct shm_file_data *data = BPF_CORE_READ(file, private_data);

	return is_shmem(inode, path) && data && BPF_CORE_READ(data, id) == (int)inode->number &&
	       (__u64)BPF_CORE_READ(data, file, f_inode) == inode->pointer;
}

/* What the tree has under `index`: include/linux/xarray.h, lib/xarray.c:xas_load(). */
static __always_inline void *xarray_entry(const struct xarray *array, __u64 index)
{
	const __u64 slots = bpf_core_field_size(((struct xa_node *)0)->slots) / sizeof(void *);
	void *entry = BPF_CORE_READ(array, xa_head);

	for (int i = 0; i < XARRAY_LEVELS; i++) {
		const struct xa_node *node;

		if (((__u64)entry & XARRAY_ENTRY) != XARRAY_NODE)
			break;
		node = entry - XARRAY_NODE;
		entry = read_at(void *, member_address(node, struct xa_node, slots) +
						(index >> BPF_CORE_READ(node, shift) & (slots - 1)) * sizeof(void *));
	}
	return ((__u64)entry & XARRAY_ENTRY) ? NULL : entry;
}

static __always_inline const struct shmid_kernel *find_segment(const struct ipc_namespace *ns, int id)
{
	const struct ipc_ids *ids = member_address(ns, struct ipc_namespace___ids, ids) +
				    IPC_SHM_IDS_ * bpf_core_type_size(struct ipc_ids);
	const struct xarray *array = member_address(ids, struct ipc_ids, ipcs_idr.idr_rt);

	/* The index is the low 15 bits of the id, or 24 (ipcmni_extend): include/linux/ipc_namespace.h. */
	for (int bits = 15; bits <= 24; bits += 9) {
		const struct shmid_kernel *segment = xarray_entry(array, id & ((1U << bits) - 1));

		if (segment && BPF_CORE_READ(segment, shm_perm.id) == id)
			return segment;
	}
	return NULL;
}

static __always_inline void fill_sysv_shm(const struct file *file, const struct inode_part *inode, __u32 level,
					  struct sysv_shm_record *out)
{
	const struct shm_file_data *data = BPF_CORE_READ(file, private_data);
	const struct ipc_namespace *ns = BPF_CORE_READ(data, ns);
	const struct shmid_kernel *segment;
	const struct shmem_inode_info *info;
	const struct shmem_inode_info___flags *flags;

	out->id = BPF_CORE_READ(data, id);
	out->ipc_ns = BPF_CORE_READ(ns, ns.inum);
	if (inode->magic == HUGETLBFS_MAGIC) {
		out->huge_page_shift = BPF_CORE_READ(file, f_inode, i_sb, s_blocksize_bits);
	} else {
		info = container_of_core(BPF_CORE_READ(file, f_inode), struct shmem_inode_info, vfs_inode);
		flags = (const void *)info;
		if (bpf_core_field_exists(info->policy.root.rb_node))
			out->policies = BPF_CORE_READ(info, policy.root.rb_node) ? 1 : 0;
		if (bpf_core_field_exists(flags->flags) && (BPF_CORE_READ(flags, flags) & SYSV_VM_NORESERVE))
			out->flags |= SYSV_SHM_NORESERVE;
	}
	segment = find_segment(ns, out->id);
	if (!segment)
		return;
	out->flags |= SYSV_SHM_FOUND;
	out->size_bytes = BPF_CORE_READ(segment, shm_segsz);
	out->attachments = BPF_CORE_READ(segment, shm_nattch);
	out->key = BPF_CORE_READ(segment, shm_perm.key);
	out->mode = BPF_CORE_READ(segment, shm_perm.mode);
	out->uid = BPF_CORE_READ(segment, shm_perm.uid.val);
	out->gid = BPF_CORE_READ(segment, shm_perm.gid.val);
	out->creator_uid = BPF_CORE_READ(segment, shm_perm.cuid.val);
	out->creator_gid = BPF_CORE_READ(segment, shm_perm.cgid.val);
	out->creator_pid = pid_number(BPF_CORE_READ(segment, shm_cprid), level);
}

#endif /* __bpf__ */

#endif
