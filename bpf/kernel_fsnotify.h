/* SPDX-License-Identifier: GPL-2.0 */
/* What inotify and fanotify are made of (fs/notify): see kernel.h. */
#ifndef BPFCKPT_KERNEL_FSNOTIFY_H
#define BPFCKPT_KERNEL_FSNOTIFY_H

#include "bpf/kernel_fs.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct idr {
	unsigned int idr_next;
};

struct inotify_group_private_data {
	struct idr idr;
};

struct fsnotify_group {
	struct list_head notification_list;
	unsigned int q_len;
	struct list_head marks_list;
	struct inotify_group_private_data inotify_data;
};

struct fanotify_group_private_data {
	struct list_head access_list;
	int flags;
	int f_flags;
};

struct fsnotify_group___fanotify {
	struct fanotify_group_private_data fanotify_data;
};

/* `obj` is the inode, vfsmount or super block since 6.10 ("fsnotify: pass object pointer and type to fsnotify mark
 * helpers"), and so where there is `prio`, which came with it; before, the place in it that leads to the connector. */
struct fsnotify_mark_connector {
	unsigned char type;
	unsigned char prio;
	void *obj;
};

struct fsnotify_mark {
	__u32 mask;
	struct list_head g_list;
	struct fsnotify_mark_connector *connector;
	__u32 ignore_mask;
	unsigned int flags;
};

struct inotify_inode_mark {
	struct fsnotify_mark fsn_mark;
	int wd;
};

struct inode___watched {
	struct super_block *i_sb;
	struct hlist_head i_dentry;
	struct fsnotify_mark_connector *i_fsnotify_marks;
};

struct mount___marks {
	struct fsnotify_mark_connector *mnt_fsnotify_marks;
	int mnt_id;
};

/* up to 6.9; in a structure of its own since ("fsnotify: create helpers to get sb and connp from object", and on) */
struct super_block___marks {
	struct fsnotify_mark_connector *s_fsnotify_marks;
};

struct super_block___root {
	struct dentry *s_root;
};

struct dentry_union {
	struct hlist_node d_alias;
};

struct dentry___alias {
	struct dentry_union d_u;
};

/* d_u has lost its name in 7.x. */
struct dentry___v7 {
	struct hlist_node d_alias;
};

#pragma clang attribute pop

/* enum fsnotify_obj_type */
enum {
	MARK_OF_INODE = 0,
	MARK_OF_MOUNT = 1,
	MARK_OF_FILE_SYSTEM = 2,
};

#endif
