/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lists of any length: the targets of an epoll instance, the marks of an inotify group, the locks of an inode.
 *
 * What one show() writes must fit into the iterator's buffer of 32 KiB, or the iterator never gets past it
 * (kernel/bpf/bpf_iter.c:bpf_seq_read(), E2BIG). So such lists are not written with the file that has them. The reader
 * asks for them afterwards: it leaves a request, the objects whose lists it wants, in its own task's storage and reads
 * an iterator that visits nobody but the reader. That writes items until the buffer is full, and last where the next
 * reading is to go on. Nothing is shared with another reader, and what is left goes with the task.
 *
 * The objects are the kernel's pointers that earlier records gave. Of a frozen tree they hold still; of a running one
 * they may be anything by now: every access is a bpf_probe_read_kernel(), and the reader stops at some number.
 */
#ifndef BPFCKPT_WALKS_H
#define BPFCKPT_WALKS_H

#include "bpf/emit.h"

struct walk_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct walk_request);
};

extern struct walk_map walk_requests SEC(".maps");

struct walk {
	struct seq_file *seq;
	const struct walk_request *request;
	const void *node;	/* to be written next; NULL: the object is still to be begun */
	__u64 object;		/* whose list it is */
	__u32 index;		/* of the object in the request */
	__u32 room_bytes;
	__u32 level;		/* of the reader's pid namespace */
};

/* Begins a record of the list's present object. */
#define begin_item(walk, item, item_type) \
	({ \
		(item)->head.record.type = (item_type); \
		(item)->head.record.length = sizeof(*(item)); \
		(item)->head.list = (walk)->object; \
	})

enum {
	WALK_CHUNK = 4096,	/* what is copied at once: a scratch slot's path */
	WALK_CHUNKS = 5,
	/* Of one buffer's linear part, which SKB_MAX_ALLOC (include/linux/skbuff.h) keeps below it. */
	WALK_MOST_DATA = WALK_CHUNK * WALK_CHUNKS,
};

/* Behind an item: `bytes` of the kernel's memory at `data`, WALK_MOST_DATA at most, padded to 8. */
static __always_inline void write_bytes(struct walk *walk, struct scratch *slot, const unsigned char *data, __u32 bytes)
{
	for (__u32 i = 0; i < WALK_CHUNKS; i++) {
		__u32 done = i * WALK_CHUNK, len;

		if (done >= bytes)
			return;
		len = bytes - done;
		if (len > WALK_CHUNK)
			len = WALK_CHUNK;
		barrier_var(len);
		if (len > WALK_CHUNK)
			return;
		bpf_probe_read_kernel(slot->path, len, data + done);
		write_trailing(walk->seq, slot->path, len);
	}
}

/* The request, or false where there is none or this task is not the reader. */
static __always_inline bool begin_walk(struct bpf_iter__task *ctx, struct walk *walk)
{
	struct task_struct *reader = (struct task_struct *)bpf_get_current_task_btf();

	if (!ctx->task || ctx->task != reader)
		return false;
	walk->request = bpf_task_storage_get(&walk_requests, reader, NULL, 0);
	if (!walk->request)
		return false;
	walk->seq = ctx->meta->seq;
	walk->index = walk->request->index;
	walk->node = (const void *)walk->request->node;
	walk->room_bytes = WALK_BYTES;
	if (walk->index < WALK_OBJECTS)
		walk->object = walk->request->objects[walk->index];
	return true;
}

static __always_inline void end_walk(struct walk *walk)
{
	struct walk_end_record record = { .head = { .type = RECORD_WALK_END, .length = sizeof(record) } };

	record.index = walk->index;
	record.node = (__u64)walk->node;
	bpf_seq_write(walk->seq, &record, sizeof(record));
}

/*
 * One step of a walk, for bpf_loop(): writes an item, or begins the next object's list. `first(object)` and
 * `next(object, node)` give nodes, NULL at the end of the list; `write(walk)` writes the item at walk->node and says how
 * many bytes that took, `most_bytes` at most. DEFINE_WALK_IN: what write() remembers from one item to the next follows
 * the walk in a `type`.
 */
#define DEFINE_WALK(name, most_bytes, first, next, write) \
	DEFINE_WALK_IN(struct walk, name, most_bytes, first, next, write)

#define DEFINE_WALK_IN(type, name, most_bytes, first, next, write) \
	static long name##_step(__u32 i __attribute__((unused)), struct walk *walk) \
	{ \
		__u32 index = walk->index; \
		if (index >= WALK_OBJECTS || index >= walk->request->count) \
			return 1; \
		walk->object = walk->request->objects[index]; \
		if (!walk->node) \
			walk->node = first(walk->object); \
		if (walk->node) { \
			if (walk->room_bytes < (most_bytes)) \
				return 1; \
			walk->room_bytes -= write(walk); \
			walk->node = next(walk->object, walk->node); \
		} \
		if (!walk->node) \
			walk->index++; \
		return 0; \
	} \
	SEC("iter/task") \
	int name(struct bpf_iter__task *ctx) \
	{ \
		type whole = {}; \
		struct walk *walk = (struct walk *)&whole; \
		if (!begin_walk(ctx, walk)) \
			return 0; \
		walk->level = reader_level(); \
		bpf_loop(WALK_STEPS, name##_step, walk, 0); \
		end_walk(walk); \
		return 0; \
	}

#endif
