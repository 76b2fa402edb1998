/* SPDX-License-Identifier: GPL-2.0 */
/* The marks of a group, and the names of what they are on. */
#ifndef BPFCKPT_KINDS_MARK_ITEMS_H
#define BPFCKPT_KINDS_MARK_ITEMS_H

#include "bpf/kernel_fsnotify.h"
#include "bpf/kinds/marks.h"
#include "bpf/walks.h"

enum {
	NAME_MAX_BYTES = 256,		/* a component's, NUL included */
	MARK_ALIASES = 256,		/* names of one inode that are looked at */
	MARK_DEPTH = RECORD_PATH_MAX / 2, /* "a" and NUL */
	MARK_MOST_BYTES = sizeof(struct mark_record) + RECORD_PATH_MAX,
};

static __always_inline const void *mark_or_end(const void *node, __u64 group)
{
	return node == member_address(group, struct fsnotify_group, marks_list) ? NULL : node;
}

static __always_inline const void *first_mark(__u64 group)
{
	return mark_or_end(BPF_CORE_READ((const struct fsnotify_group *)group, marks_list.next), group);
}

static __always_inline const void *next_mark(__u64 group, const void *node)
{
	return mark_or_end(BPF_CORE_READ((const struct list_head *)node, next), group);
}

/* What the mark is on: see struct fsnotify_mark_connector. */
#define marked_object(connector, type, member) \
	({ \
		void *object_ = BPF_CORE_READ((connector), obj); \
		if (!bpf_core_field_exists((connector)->prio)) \
			object_ -= bpf_core_field_offset(type, member); \
		object_; \
	})

static __always_inline __u32 marked_mount_id(const struct fsnotify_mark_connector *connector)
{
	const void *object = BPF_CORE_READ(connector, obj);

	if (bpf_core_field_exists(connector->prio))
		return mount_id(object);
	return BPF_CORE_READ(container_of_core(object, struct mount___marks, mnt_fsnotify_marks), mnt_id);
}

static __always_inline const struct super_block *marked_file_system(const struct fsnotify_mark_connector *connector)
{
	const void *object = BPF_CORE_READ(connector, obj);

	if (bpf_core_field_exists(connector->prio))
		return object;
	return object - bpf_core_field_offset(struct super_block___marks, s_fsnotify_marks);
}

struct alias_walk {
	const void *node;	/* struct hlist_node */
	const struct dentry *found;
	const struct dentry *unlinked;
};

static long look_at_alias(__u32 i __attribute__((unused)), struct alias_walk *walk)
{
	const struct hlist_node *node = walk->node;
	const struct dentry *dentry, *parent;
	__u64 offset;

	if (!node)
		return 1;
	if (bpf_core_field_exists(((struct dentry___v7 *)0)->d_alias))
		offset = bpf_core_field_offset(struct dentry___v7, d_alias);
	else
		offset = bpf_core_field_offset(struct dentry___alias, d_u.d_alias);
	dentry = (const void *)node - offset;
	parent = BPF_CORE_READ(dentry, d_parent);
	if (parent == dentry || BPF_CORE_READ(dentry, d_hash.pprev)) {
		walk->found = dentry;
		return 1;
	}
	walk->node = BPF_CORE_READ(node, next);
	walk->unlinked = dentry;
	return 0;
}

struct name_walk {
	const struct dentry *dentry;
	struct scratch *slot;
	__u32 bytes;
	__u32 cut;
};

static long add_component(__u32 i __attribute__((unused)), struct name_walk *walk)
{
	const struct dentry *dentry = walk->dentry;
	const struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	__u32 at = walk->bytes;
	long len;

	if (parent == dentry)
		return 1;
	if (at > RECORD_PATH_MAX - NAME_MAX_BYTES) {
		walk->cut = 1;
		return 1;
	}
	len = bpf_probe_read_kernel_str(walk->slot->path + at, NAME_MAX_BYTES, BPF_CORE_READ(dentry, d_name.name));
	if (len <= 1 || len > NAME_MAX_BYTES) {
		walk->cut = 1;
		return 1;
	}
	walk->bytes = at + len;
	walk->dentry = parent;
	return 0;
}

/* What a walk remembers of the marks before. Most of a group's are in few directories. */
struct mark_walk {
	struct walk walk;
	__u64 list;
	const void *parent;	/* struct dentry above the last whole name of that list */
	const void *super;	/* struct super_block of the last inode */
	__u64 device;		/* of that */
};

/* Leaves the name in slot->path. */
static __always_inline void name_inode(const struct inode *inode, struct mark_walk *walk, struct scratch *slot,
				       struct mark_record *record)
{
	const struct inode___watched *watched = (const void *)inode;
	struct alias_walk aliases = { .node = BPF_CORE_READ(watched, i_dentry.first) };
	struct name_walk name = { .slot = slot };
	const struct super_block___root *file_system;
	const struct dentry *found, *parent;

	if (look_at_alias(0, &aliases) == 0)
		bpf_loop(MARK_ALIASES, look_at_alias, &aliases, 0);
	if (!aliases.found) {
		record->name = aliases.unlinked ? MARK_NAME_UNLINKED : MARK_NAME_NONE;
		return;
	}
	found = aliases.found;
	name.dentry = found;
	parent = BPF_CORE_READ(found, d_parent);
	if (parent != found && parent == walk->parent && walk->walk.object == walk->list) {
		add_component(0, &name);
		if (!name.cut) {
			record->name = MARK_NAME_BESIDE;
			record->name_bytes = name.bytes;
			return;
		}
	}
	file_system = (const void *)BPF_CORE_READ(inode, i_sb);
	bpf_loop(MARK_DEPTH, add_component, &name, 0);
	if (name.cut || name.dentry != BPF_CORE_READ(file_system, s_root)) {
		record->name = MARK_NAME_CUT;
		return;
	}
	record->name = MARK_NAME_WHOLE;
	record->name_bytes = name.bytes;
	walk->list = walk->walk.object;
	walk->parent = parent;
}

static __always_inline void fill_marked_inode(const struct inode *inode, struct mark_walk *walk, struct scratch *slot,
					      struct mark_record *record)
{
	const struct super_block *super = BPF_CORE_READ(inode, i_sb);

	if (super != walk->super) {
		walk->super = super;
		walk->device = user_device(BPF_CORE_READ(super, s_dev));
	}
	record->device = walk->device;
	record->number = BPF_CORE_READ((const struct inode___number *)inode, i_ino);
	record->mode = BPF_CORE_READ(inode, i_mode);
	name_inode(inode, walk, slot, record);
}

/* Returns the bytes written. */
static __always_inline __u32 write_mark(struct walk *walk)
{
	const void *node = walk->node;
	const struct fsnotify_mark *mark = container_of_core(node, struct fsnotify_mark, g_list);
	const struct inotify_inode_mark *watch = container_of_core(mark, struct inotify_inode_mark, fsn_mark);
	const struct fsnotify_mark_connector *connector = BPF_CORE_READ(mark, connector);
	struct scratch *slot = begin_show(walk->seq);
	struct mark_record record = {};

	if (!slot)
		return 0;
	begin_item(walk, &record, RECORD_MARK);
	record.mask = BPF_CORE_READ(mark, mask);
	record.ignore_mask = BPF_CORE_READ(mark, ignore_mask);
	record.mark_flags = BPF_CORE_READ(mark, flags);
	record.wd = BPF_CORE_READ(watch, wd);
	record.object = BPF_CORE_READ(connector, type);
	if (record.object == MARK_OF_INODE)
		fill_marked_inode(marked_object(connector, struct inode___watched, i_fsnotify_marks), (struct mark_walk *)walk,
				  slot, &record);
	else if (record.object == MARK_OF_MOUNT)
		record.mount_id = marked_mount_id(connector);
	else if (record.object == MARK_OF_FILE_SYSTEM)
		record.device = user_device(BPF_CORE_READ(marked_file_system(connector), s_dev));
	record.head.record.length += padded(record.name_bytes);
	bpf_seq_write(walk->seq, &record, sizeof(record));
	write_trailing(walk->seq, slot->path, record.name_bytes);
	end_show(slot);
	return record.head.record.length;
}

#endif
