/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's structures, as far as bpfckpt reads them: own declarations, relocated by CO-RE when a program is loaded.
 *
 * Rules that were learned by measuring:
 * - A nested type is matched by the names of the fields on the way and by their kind (int, enum, pointer, struct), not
 *   by its own name; an int where the kernel has an enum poisons the access.
 * - A flavour (struct name___when) declares what another kernel calls differently. Which one holds is asked with
 *   bpf_core_field_exists() on a structure that every kernel has; bpf_core_type_exists() on a type that is missing would
 *   make libbpf look through the modules, which asks for CAP_SYS_ADMIN.
 * - A variable offset from a BTF pointer is refused by the verifier: such a pointer is read with BPF_CORE_READ first.
 */
#ifndef BPFCKPT_KERNEL_H
#define BPFCKPT_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* The structure of which `member` is at `pointer`; offsets are the running kernel's. */
#define container_of_core(pointer, type, member) \
	((type *)((void *)(pointer) - bpf_core_field_offset(type, member)))
/* The address of a member, where the verifier wants no BTF arithmetic. */
#define member_address(pointer, type, member) ((void *)(pointer) + bpf_core_field_offset(type, member))

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next, *prev;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	long long counter;
} atomic64_t;

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned int val;
} kgid_t;

typedef struct {
	unsigned long sig[1];
} sigset_t;

struct seq_file {
	unsigned long size;
	unsigned long count;
};

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct proc_ns_operations {
	const char *name;
};

/* Namespaces: the inode number is all that is asked, and of a file the type. */
struct ns_common {
	const struct proc_ns_operations *ops;
	unsigned int inum;
};

struct user_namespace {
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
	unsigned int level;
};

struct uts_namespace {
	struct ns_common ns;
};

struct ipc_namespace {
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct net {
	struct ns_common ns;
};

struct cgroup_namespace {
	struct ns_common ns;
};

struct time_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct uts_namespace *uts_ns;
	struct ipc_namespace *ipc_ns;
	struct mnt_namespace *mnt_ns;
	struct pid_namespace *pid_ns_for_children;
	struct net *net_ns;
	struct time_namespace *time_ns;
	struct time_namespace *time_ns_for_children;
	struct cgroup_namespace *cgroup_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct hlist_head tasks[4];	/* by enum pid_type: who goes by it, as thread, process, group, session */
	struct upid numbers[1];
};

struct group_info {
	int ngroups;
	kgid_t gid[1];
};

/* kernel_cap_t is two __u32 in an array up to 6.2, one u64 since 6.3 ("capability: just use a 'u64' instead of a
 * 'u32[2]' array"): the same eight bytes on little-endian machines, read as bytes. */
struct kernel_cap {
	char bytes[8];
};

/* Of a keyring: `keys` is in a union with what other keys hold. With CONFIG_KEYS. */
struct assoc_array {
	unsigned long nr_leaves_on_tree;
};

struct key {
	struct assoc_array keys;
};

struct cred {
	kuid_t uid, suid, euid, fsuid;
	kgid_t gid, sgid, egid, fsgid;
	unsigned int securebits;
	struct kernel_cap cap_inheritable, cap_permitted, cap_effective, cap_bset, cap_ambient;
	struct key *session_keyring, *process_keyring, *thread_keyring;
	struct user_namespace *user_ns;
	struct group_info *group_info;
	void *security;
};

#pragma clang attribute pop

/* Contexts of the iterators: stable layout. */
struct task_struct;
struct file;
struct vm_area_struct;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};

/* Reads a scalar or pointer at a computed address; 0 where that fails. */
#define read_at(type, address) \
	({ \
		type value_ = (type)0; \
		bpf_probe_read_kernel(&value_, sizeof(value_), (const void *)(address)); \
		value_; \
	})

/* The number of `pid` at `level`; 0 where it has none there. */
static __always_inline __u32 pid_number(const struct pid *pid, __u32 level)
{
	if (!pid || level > BPF_CORE_READ(pid, level))
		return 0;
	return read_at(int, member_address(pid, struct pid, numbers) +
				    level * bpf_core_type_size(struct upid) +
				    bpf_core_field_offset(struct upid, nr));
}

/* The kernel's dev_t (20 bits of minor) as stat(2) gives it: include/linux/kdev_t.h, new_encode_dev(). */
static __always_inline __u32 user_device(__u32 device)
{
	__u32 major = device >> 20, minor = device & 0xfffff;

	return (minor & 0xff) | (major << 8) | ((minor & ~0xffU) << 12);
}

#endif
