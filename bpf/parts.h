/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Parts that several records share. */
#ifndef BPFCKPT_PARTS_H
#define BPFCKPT_PARTS_H

#include <linux/types.h>

#ifdef __cplusplus
#define BPFCKPT_SIZE(type, bytes) static_assert(sizeof(type) == (bytes))
#else
#define BPFCKPT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
#endif

struct record_head {
	__u32 type;
	__u32 length;
};

/* Begins the record of an item of a list (bpf/walks.h). */
struct item_head {
	struct record_head record;
	__u64 list;		/* file_record.list of whom it belongs to */
};

struct inode_part {
	__u64 pointer;		/* struct inode */
	__u64 number;
	__u64 size;
	__u64 magic;		/* of the super block */
	__s64 mtime_ns;
	__u32 device;
	__u32 rdev;
	__u32 mode;
	__u32 links;
	__u32 uid;
	__u32 gid;
	__u32 generation;
	__u32 pad;
};
BPFCKPT_SIZE(struct inode_part, 72);

enum path_flags {
	PATH_UNLINKED = 1,	/* the dentry is out of its directory: d_path() has added " (deleted)" */
	PATH_PSEUDO = 2,	/* made up by the file system ("pipe:[7]", "/memfd:x (deleted)"): no name anywhere */
	PATH_FAILED = 4,	/* d_path() failed (too long): the string is empty */
};

/* A place; the string of `length` bytes, NUL included, trails the record (padded to 8), as d_path() gave it. */
struct path_part {
	__u64 dentry;
	__u64 inode;
	__u32 device;
	__u32 mode;
	__u32 mount_id;
	__u32 flags;		/* enum path_flags */
	__u32 length;
	__u32 mount_flags;	/* vfsmount.mnt_flags: MNT_INTERNAL is 0x4000 */
};
BPFCKPT_SIZE(struct path_part, 40);

#endif
