/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A pipe or FIFO. */
#ifndef BPFCKPT_KINDS_PIPE_H
#define BPFCKPT_KINDS_PIPE_H

#include <linux/types.h>

struct pipe_record {
	__u32 ring_slots;	/* of PAGE_SIZE each: F_GETPIPE_SZ */
	__u32 used_slots;
	__u64 fill_bytes;	/* unread */
	__u32 readers;		/* open ends, here or elsewhere in the system */
	__u32 writers;
	__u32 packet_slots;	/* used slots in packet mode (O_DIRECT) */
	__u32 pad;
};

#endif
