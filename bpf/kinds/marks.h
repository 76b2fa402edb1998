/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What an inotify or fanotify group watches: a list of its own (bpf/walks.h). */
#ifndef BPFCKPT_KINDS_MARKS_H
#define BPFCKPT_KINDS_MARKS_H

#include <linux/types.h>

#include "bpf/parts.h"

/* What a mark's inode is called. The kernel keeps the inode, not a name: there is one as long as the cache has it. */
enum mark_name {
	MARK_NAME_NONE = 0,	/* nothing in the cache leads to it */
	MARK_NAME_WHOLE = 1,
	MARK_NAME_UNLINKED = 2,	/* its names that are in the cache were removed */
	MARK_NAME_CUT = 3,	/* too long, or it leads to no root */
	MARK_NAME_BESIDE = 4,	/* in the same directory as that of the last whole name before it in the list */
};

/* Trailing: the components of a whole name, from the last to the first below the root of the file system, each with its
 * NUL; of one that is beside another, the last component only. `name_bytes` of them, padded to 8. */
struct mark_record {
	struct item_head head;
	__u64 number;		/* of the inode */
	__u32 device;		/* of the super block */
	__u32 mode;
	__s32 wd;		/* inotify */
	__u32 mask;
	__u32 ignore_mask;
	__u32 mark_flags;	/* FSNOTIFY_MARK_FLAG_* */
	__u32 object;		/* enum fsnotify_obj_type */
	__u32 mount_id;		/* of a mount's mark */
	__u32 name;		/* enum mark_name */
	__u32 name_bytes;
};
BPFCKPT_SIZE(struct mark_record, 64);

#endif
