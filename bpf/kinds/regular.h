/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Regular files and directories, and everything opened with O_PATH: there is little to them but their name. */
#ifndef BPFCKPT_KINDS_REGULAR_H
#define BPFCKPT_KINDS_REGULAR_H

#include <linux/types.h>

#include "bpf/parts.h"

struct regular_record {
	__u32 ra_pages;		/* of the description; posix_fadvise(POSIX_FADV_SEQUENTIAL) doubles it */
	__u32 device_ra_pages;	/* what it was when it was opened */
	__u32 write_hint;	/* RWH_WRITE_LIFE_* of the inode */
	__u32 pad;
};

#ifdef __bpf__
#include "bpf/kernel_fs.h"

enum rw_hint { RW_HINT_ANY_ } __attribute__((packed)); /* a byte in the kernel, too */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct file_ra_state {
	unsigned int ra_pages;
};

struct file___read_ahead {
	struct file_ra_state f_ra;
};

struct backing_dev_info {
	unsigned long ra_pages;
};

struct super_block___bdi {
	struct backing_dev_info *s_bdi;
};

/* a __u8 up to 6.8 ("fs: Fix rw_hint validation", "block, fs: Restore the per-bio/request data lifetime fields") */
struct inode___hint {
	enum rw_hint i_write_hint;
};

struct inode___hint_v61 {
	__u8 i_write_hint;
};

#pragma clang attribute pop

static __always_inline bool is_regular(const struct inode_part *inode, const struct path_part *path, __u32 open_mode)
{
	__u32 type = inode->mode & S_IFMT;

	if (path->flags & PATH_PSEUDO)
		return false;
	if (open_mode & FMODE_PATH)
		return type != S_IFIFO || !(path->flags & PATH_UNLINKED);
	return type == S_IFREG || type == S_IFDIR;
}

/* A place among things that have none, opened with O_PATH through /proc/PID/fd: there is no more behind it than the
 * anonymous inode or the socket's, and private_data is not set (fs/open.c:do_dentry_open()). */
static __always_inline bool is_nameless_place(const struct path_part *path, __u32 open_mode)
{
	return (path->flags & PATH_PSEUDO) && (open_mode & FMODE_PATH);
}

static __always_inline void fill_regular(const struct file *file, struct regular_record *out)
{
	const struct file___read_ahead *reading = (const void *)file;
	const struct inode *inode = file->f_inode;
	const struct super_block___bdi *super = (const void *)inode->i_sb;
	const struct inode___hint_v61 *old = (const void *)inode;
	const struct inode___hint *hint = (const void *)inode;

	out->ra_pages = reading->f_ra.ra_pages;
	out->device_ra_pages = super->s_bdi->ra_pages;
	if (bpf_core_field_exists(old->i_write_hint))
		out->write_hint = old->i_write_hint;
	else if (bpf_core_field_exists(hint->i_write_hint))
		out->write_hint = hint->i_write_hint;
}

#endif /* __bpf__ */

#endif
