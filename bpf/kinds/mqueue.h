/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A POSIX message queue. */
#ifndef BPFCKPT_KINDS_MQUEUE_H
#define BPFCKPT_KINDS_MQUEUE_H

#include <linux/types.h>

#include "bpf/parts.h"

struct mqueue_record {
	__u64 max_messages;
	__u64 message_bytes;	/* the most that one may have */
	__u64 messages;
	__u32 notified;		/* somebody waits for the next message by mq_notify(3) */
	__u32 notified_tgid;	/* 0: it has no number here */
};

enum {
	MQUEUE_MOST_DATA = 20 * 1024,		/* of a message that is read */
	MQUEUE_MOST_BYTES = 64 * 1024 * 1024,	/* of a queue whose messages are */
};

/* A message in a queue (RECORD_MQUEUE_ITEM), by rising priority, the oldest of equals first; head.list is the struct
 * mqueue_inode_info. Trailing: `data_bytes`, padded to 8. */
struct mqueue_message_record {
	struct item_head head;
	__u64 length;
	__u32 priority;
	__u32 data_bytes;	/* `length`, or 0: it is too long */
};
BPFCKPT_SIZE(struct mqueue_message_record, 32);

#ifdef __bpf__
#include "bpf/kernel_fs.h"

enum { MQUEUE_MAGIC = 0x19800202 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct mq_attr {
	long mq_maxmsg, mq_msgsize, mq_curmsgs;
};

struct mqueue_inode_info {
	struct inode vfs_inode;
	struct mq_attr attr;
	struct pid *notify_owner;
	unsigned long qsize;
};

#pragma clang attribute pop

static __always_inline bool is_mqueue(const struct inode_part *inode, __u32 open_mode)
{
	/* not there without CONFIG_POSIX_MQUEUE */
	return bpf_core_field_exists(((struct mqueue_inode_info *)0)->notify_owner) && inode->magic == MQUEUE_MAGIC &&
	       (inode->mode & S_IFMT) == S_IFREG && !(open_mode & FMODE_PATH);
}

/* Whose messages are to be read: there is no other way to a queue without a name. */
static __always_inline __u64 mqueue_list(const struct file *file)
{
	const struct inode *inode = BPF_CORE_READ(file, f_inode);
	const struct mqueue_inode_info *queue = container_of_core(inode, struct mqueue_inode_info, vfs_inode);

	if (BPF_CORE_READ(queue, attr.mq_curmsgs) == 0 || BPF_CORE_READ(queue, qsize) > MQUEUE_MOST_BYTES)
		return 0;
	return (__u64)queue;
}

static __always_inline void fill_mqueue(const struct file *file, __u32 level, struct mqueue_record *out)
{
	const struct inode *inode = BPF_CORE_READ(file, f_inode);
	const struct mqueue_inode_info *queue = container_of_core(inode, struct mqueue_inode_info, vfs_inode);
	const struct pid *owner = BPF_CORE_READ(queue, notify_owner);

	out->max_messages = BPF_CORE_READ(queue, attr.mq_maxmsg);
	out->message_bytes = BPF_CORE_READ(queue, attr.mq_msgsize);
	out->messages = BPF_CORE_READ(queue, attr.mq_curmsgs);
	out->notified = owner != NULL;
	out->notified_tgid = pid_number(owner, level);
}

#endif /* __bpf__ */

#endif
