/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A pipe or FIFO. */
#ifndef BPFCKPT_KINDS_PIPE_H
#define BPFCKPT_KINDS_PIPE_H

#include <linux/types.h>

#include "bpf/parts.h"

struct pipe_record {
	__u32 ring_slots;	/* of PAGE_SIZE each: F_GETPIPE_SZ */
	__u32 used_slots;
	__u64 fill_bytes;	/* unread */
	__u32 readers;		/* open ends, here or elsewhere in the system */
	__u32 writers;
	__u32 packet_slots;	/* used slots in packet mode (O_DIRECT) */
	__u32 notifications;	/* O_NOTIFICATION_PIPE: the kernel writes to it */
};

#ifdef __bpf__
#include "bpf/kernel_fs.h"

enum { PIPE_BUF_FLAG_PACKET_ = 8 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pipe_buffer {
	unsigned int len;
	unsigned int flags;
};

struct pipe_inode_info {
	unsigned int head, tail;
	unsigned int ring_size;
	unsigned int readers, writers;
	struct pipe_buffer *bufs;
	void *watch_queue;	/* with CONFIG_WATCH_QUEUE */
};

#pragma clang attribute pop

static __always_inline bool is_pipe(const struct inode_part *inode)
{
	return (inode->mode & S_IFMT) == S_IFIFO;
}

struct pipe_walk {
	const struct pipe_buffer *slots;
	__u32 tail;
	__u32 mask;
	__u64 fill_bytes;
	__u32 packet_slots;
};

static long pipe_walk_slot(__u32 i, struct pipe_walk *walk)
{
	const struct pipe_buffer *slot = (const void *)walk->slots + ((walk->tail + i) & walk->mask) *
									bpf_core_type_size(struct pipe_buffer);

	walk->fill_bytes += BPF_CORE_READ(slot, len);
	if (BPF_CORE_READ(slot, flags) & PIPE_BUF_FLAG_PACKET_)
		walk->packet_slots++;
	return 0;
}

static __always_inline void fill_pipe(const struct file *file, struct pipe_record *out)
{
	const struct pipe_inode_info *pipe = file->f_inode->i_pipe;
	struct pipe_walk walk = {};

	if (!pipe) /* a FIFO that nobody has open, through O_PATH */
		return;
	out->ring_slots = pipe->ring_size;
	out->readers = pipe->readers;
	out->writers = pipe->writers;
	if (bpf_core_field_exists(pipe->watch_queue))
		out->notifications = pipe->watch_queue != NULL;
	/* By the helper, which makes a number of it: 6.1 lets nobody calculate with a pointer that it knows. */
	walk.slots = BPF_CORE_READ(pipe, bufs);
	walk.tail = pipe->tail;
	walk.mask = out->ring_slots - 1;
	out->used_slots = pipe->head - walk.tail;
	if (out->used_slots <= out->ring_slots)
		bpf_loop(out->used_slots, pipe_walk_slot, &walk, 0);
	out->fill_bytes = walk.fill_bytes;
	out->packet_slots = walk.packet_slots;
}

#endif /* __bpf__ */

#endif
