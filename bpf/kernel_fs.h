/* SPDX-License-Identifier: GPL-2.0 */
/* Files, inodes, mounts: see kernel.h. */
#ifndef BPFCKPT_KERNEL_FS_H
#define BPFCKPT_KERNEL_FS_H

#include "bpf/kernel.h"

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000

#define FMODE_PATH (1U << 14)
/* include/linux/fs.h: bit 25 since 6.5 ("fs: use backing_file container ..."), bit 24 since 6.14, where 25 says that
 * fanotify opened the file. Taking one for the other costs a look at map_files and nothing else. */
#define FMODE_BACKING (3U << 24)

enum {
	TMPFS_MAGIC = 0x01021994,
	HUGETLBFS_MAGIC = 0x958458f6,
	ANON_INODE_FS_MAGIC = 0x09041934,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
	unsigned long s_magic;
	__u32 s_dev;
	unsigned char s_blocksize_bits;
};

struct inode {
	unsigned short i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	struct super_block *i_sb;
	unsigned int i_nlink;
	__u32 i_rdev;
	long long i_size;
	unsigned int i_blkbits;
	__u32 i_generation;
	struct file_lock_context *i_flctx;
	struct pipe_inode_info *i_pipe;
	void *i_private;
};

/* i_ino is unsigned long, u64 since 7.x: both are 8 bytes here, and the kind (int) is the same. */
struct inode___number {
	unsigned long i_ino;
};

struct timespec64 {
	long long tv_sec;
	long tv_nsec;
};

/* up to 6.5; __i_mtime in 6.6 to 6.10 ("fs: rename i_atime and i_mtime fields to __i_atime and __i_mtime"); split
 * since 6.11 ("fs: turn inode ctime fields into discrete integers", and its like). */
struct inode___mtime {
	struct timespec64 i_mtime;
};

struct inode___v66 {
	struct timespec64 __i_mtime;
};

struct inode___v611 {
	long long i_mtime_sec;
	unsigned int i_mtime_nsec;
};

struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
	int mnt_flags;
};

struct mount {
	struct vfsmount mnt;
	int mnt_id;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

enum pid_type { PIDTYPE_ANY_ };

struct fown_struct {
	struct pid *pid;
	enum pid_type pid_type;
	kuid_t uid, euid;
	int signum;
};

struct file {
	unsigned int f_mode;
	const void *f_op;
	void *private_data;
	struct inode *f_inode;
	unsigned int f_flags;
	struct fown_struct *f_owner;
	struct path f_path;
	long long f_pos;
	struct hlist_head *f_ep;
};

/* Embedded up to 6.11 ("file: reclaim 24 bytes from f_owner"). The flavour's own name for the structure keeps the
 * kinds apart: a pointer there, a structure here. */
struct file___v61 {
	struct fown_struct f_owner;
};

/* References: f_count up to 6.12; f_ref since 6.13 ("fs: add file_ref"), where 0 is one reference. */
struct file___count {
	struct {
		long counter;
	} f_count;
};

struct file___ref {
	struct {
		struct {
			long counter;
		} refcnt;
	} f_ref;
};

struct file_lock_context {
	struct list_head flc_flock, flc_posix, flc_lease;
};

struct fdtable {
	unsigned int max_fds;
	unsigned long *close_on_exec;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	int umask;
	struct path root, pwd;
};

#pragma clang attribute pop

/* `inode` of these two is reached by walking from the iterator's objects. */
static __always_inline __u64 inode_number(const struct inode *inode)
{
	return ((const struct inode___number *)inode)->i_ino;
}

static __always_inline __s64 inode_mtime_ns(const struct inode *inode)
{
	const struct inode___v611 *split = (const void *)inode;
	const struct inode___v66 *renamed = (const void *)inode;
	const struct inode___mtime *old = (const void *)inode;

	if (bpf_core_field_exists(split->i_mtime_sec))
		return split->i_mtime_sec * 1000000000LL + split->i_mtime_nsec;
	if (bpf_core_field_exists(renamed->__i_mtime))
		return renamed->__i_mtime.tv_sec * 1000000000LL +
		       renamed->__i_mtime.tv_nsec;
	return old->i_mtime.tv_sec * 1000000000LL + old->i_mtime.tv_nsec;
}

static __always_inline __u64 file_references(const struct file *file)
{
	const struct file___ref *counted = (const void *)file;
	const struct file___count *old = (const void *)file;

	if (bpf_core_field_exists(counted->f_ref))
		return BPF_CORE_READ(counted, f_ref.refcnt.counter) + 1;
	return BPF_CORE_READ(old, f_count.counter);
}

static __always_inline __u32 mount_id(const struct vfsmount *mnt)
{
	return BPF_CORE_READ(container_of_core(mnt, struct mount, mnt), mnt_id);
}

#endif
