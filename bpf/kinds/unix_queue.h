/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Records of what is in the queue of a unix socket (RECORD_UNIX_ITEM); head.list is the struct sock whose queue it is. */
#ifndef BPFCKPT_KINDS_UNIX_QUEUE_H
#define BPFCKPT_KINDS_UNIX_QUEUE_H

#include <linux/types.h>

#include "bpf/parts.h"

enum unix_item {
	UNIX_ITEM_MESSAGE = 1,	/* struct unix_message_record */
	UNIX_ITEM_PENDING = 2,	/* struct unix_pending_record */
	UNIX_ITEM_HOLDER = 3,	/* struct unix_holder_record, which the collector adds */
};

/* Both begin with it. */
struct unix_item_head {
	struct item_head head;
	__u32 what;		/* enum unix_item */
	__u32 flags;		/* enum unix_message_flags */
};

enum unix_message_flags {
	UNIX_MESSAGE_CREDENTIALS = 1,
	UNIX_MESSAGE_SENDER_DEAD = 2, /* the socket that it was sent from was closed */
	UNIX_MESSAGE_OOB = 4,	/* the urgent byte */
	UNIX_MESSAGE_NEAR = 8,	/* it came with the record of each descriptor of the socket, and not by a walk */
};

/* Trailing: `data_bytes` of data, padded to 8; then `files` pointers to struct file. */
struct unix_message_record {
	struct item_head head;
	__u32 what;
	__u32 flags;
	__u64 sender;		/* struct sock */
	__u32 length;		/* unread */
	__u32 data_bytes;	/* `length`, or 0: they cannot be reached */
	__u32 files;		/* in flight with it */
	__u32 pid;
	__u32 uid;
	__u32 gid;
	__u32 sender_name_bytes;
	__u32 pad;
	char sender_name[112];	/* as unix_record.name */
};
BPFCKPT_SIZE(struct unix_message_record, 176);

#ifdef __bpf__
/*
 * A queue that comes with the socket's own record, as everything is at hand there. What one show() writes must fit into
 * the iterator's buffer, with two paths.
 */
enum { UNIX_NEAR_MESSAGES = 4, UNIX_NEAR_BYTES = 2048 };

struct near_messages {
	__u32 count;
	__u32 pad;
	__u64 data[UNIX_NEAR_MESSAGES]; /* where their bytes are */
	struct unix_message_record messages[UNIX_NEAR_MESSAGES];
};
#endif

enum { UNIX_PENDING_GROUPS = 32 };

/* A connection that nobody has accepted yet; its own queue is walked as that of `sock`. */
struct unix_pending_record {
	struct item_head head;
	__u32 what;
	__u32 client_dead;
	__u64 sock;		/* struct sock, that accept(2) would give a file */
	__u64 client;		/* struct sock at the other end */
	__u64 client_inode;	/* number; 0: it has no file (any more) */
	__u32 shutdown;
	__u32 queued;		/* messages for `sock` */
	__u32 pid;		/* who connected */
	__u32 uid;
	__u32 gid;
	__u32 groups_count;
	__u32 client_name_bytes;
	__u32 pad;
	__u32 groups[UNIX_PENDING_GROUPS];
	char client_name[112];
};
BPFCKPT_SIZE(struct unix_pending_record, 320);

/* Who has the other end, where no process of the tree has it. */
struct unix_holder_record {
	struct item_head head;
	__u32 what;
	__u32 pid;
	char comm[16];
};
BPFCKPT_SIZE(struct unix_holder_record, 40);

#endif
