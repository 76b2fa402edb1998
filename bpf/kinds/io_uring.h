/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* An io_uring: io_uring/io_uring.c. What is registered with it, who uses it and what is in flight is a list:
 * io_uring_items.h. */
#ifndef BPFCKPT_KINDS_IO_URING_H
#define BPFCKPT_KINDS_IO_URING_H

#include <linux/types.h>

#include "bpf/parts.h"

enum uring_state {
	URING_DRAIN_DISABLED = 1,	/* IOSQE_CQE_SKIP_SUCCESS was used: IOSQE_IO_DRAIN is refused from then on */
	URING_COMPAT = 2,		/* made by a 32-bit process */
	URING_WORKER_LIMITS = 4,	/* IORING_REGISTER_IOWQ_MAX_WORKERS was called */
	URING_OPS_RESTRICTED = 8,	/* IORING_REGISTER_RESTRICTIONS: what may be submitted */
	URING_REGISTER_RESTRICTED = 16,	/* ... and what may be registered */
	URING_EVENTFD_ASYNC = 32,
	URING_BUFFER_GROUPS = 64,	/* provided buffers */
	URING_PERSONALITIES = 128,
	URING_REGION = 256,		/* IORING_REGISTER_MEM_REGION */
	URING_ZERO_COPY = 512,		/* IORING_REGISTER_ZCRX_IFQ */
	URING_BPF = 1024,		/* a BPF filter or loop */
	URING_SHARED_THREAD = 2048,	/* its SQPOLL thread serves other rings, too */
	URING_SUBMITTER_GONE = 4096,	/* IORING_SETUP_SINGLE_ISSUER, and that thread has ended */
	/* what only user space can say: */
	URING_OTHERS_CREDENTIALS = 8192,	/* its SQPOLL thread's are not bpfckpt's */
	URING_USED_OUTSIDE = 16384,
	URING_NO_DESCRIPTOR = 32768,	/* mapped, maybe registered; no table has it */
	URING_OTHERS_REGISTERED = 65536,	/* restricted, and threads have it registered that would not make it */
};

struct uring_record {
	__u64 mm;		/* struct mm_struct of who made it */
	__u64 eventfd;		/* struct eventfd_ctx; 0: none */
	__u64 register_allowed;	/* bits, by IORING_REGISTER_* */
	__u64 ops_allowed[2];	/* bits, by IORING_OP_* */
	__u32 setup_flags;	/* IORING_SETUP_* */
	__u32 state;		/* enum uring_state */
	__u32 sq_entries;
	__u32 cq_entries;
	__u32 sq_head;		/* what the kernel goes by, whatever the ring says */
	__u32 cq_tail;
	__u32 idle_jiffies;	/* of the SQPOLL thread */
	__s32 thread_cpu;	/* IORING_SETUP_SQ_AFF */
	__u32 submitter;	/* thread, of IORING_SETUP_SINGLE_ISSUER */
	__u32 files;		/* slots for registered files */
	__u32 buffers;
	__u32 alloc_start;	/* IORING_REGISTER_FILE_ALLOC_RANGE: [start, end) */
	__u32 alloc_end;
	__u32 worker_limits[2];
	__u32 clock;		/* IORING_REGISTER_CLOCK */
	__u8 flags_allowed;	/* IOSQE_* */
	__u8 flags_required;
	__u16 pad;
	__u32 sq_tail;		/* as user space left it */
};
BPFCKPT_SIZE(struct uring_record, 112);

enum uring_item_kind {
	URING_FILE = 1,		/* registered: `object` is the struct file */
	URING_BUFFER = 2,	/* registered: [object, object + length) */
	URING_KERNEL_BUFFER = 3,	/* registered by the kernel itself (ublk) */
	URING_REQUESTS = 4,	/* `count` of them wait for something; opcodes of the first ones */
	URING_OVERFLOW = 5,	/* `count` completions did not fit into the ring */
	URING_USER = 6,		/* a thread that has submitted; `count` requests of it, to any ring, are in flight */
	URING_WORKER = 7,	/* the same, of a thread of the kernel's (SQPOLL) */
	/* of the SQPOLL thread: `object` its effective capabilities; effective user and group, and those for files, in
	 * the halves of `length` and `tag` */
	URING_CREDENTIALS = 8,
};

enum { URING_OPCODES = 16, URING_RINGS_REGISTERED = 16 /* io_uring/tctx.h: IO_RINGFD_REG_MAX */ };

struct uring_item_record {
	struct item_head head;
	__u64 object;
	__u64 length;
	__u64 tag;
	__u32 kind;		/* enum uring_item_kind */
	__u32 index;		/* of the slot; of a user: the thread */
	__s32 count;
	__u32 registered;	/* of requests: all have the first one's opcode; of a user: bit N: the ring is N of its registered ones (IORING_REGISTER_RING_FDS) */
	__u8 opcodes[URING_OPCODES];
};
BPFCKPT_SIZE(struct uring_item_record, 72);

#ifdef __bpf__
#include "bpf/kernel_task.h"
#include "bpf/kinds/anon.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct xarray {
	void *xa_head;
};

struct io_mapped_region {
	unsigned int nr_pages;
};

struct io_ev_fd {
	void *cq_ev_fd;
	unsigned int eventfd_async;
};

struct io_ev_fd___bits {
	unsigned int eventfd_async : 1;
};

struct io_restriction {
	unsigned long register_op[1];
	unsigned long sqe_op[1];
	__u8 sqe_flags_allowed, sqe_flags_required;
};

/* up to 6.18; since 7.x which kind of restrictions there are is said apart */
struct io_restriction___v6 {
	bool registered;
};

struct refcount_struct___uring {
	atomic_t refs;
};

struct io_sq_data {
	struct refcount_struct___uring refs;
	int sq_cpu;
};

struct io_rsrc_data {
	__u64 **tags;
	unsigned int nr;
};

/* since 6.13 ("io_uring/rsrc: get rid of per-ring io_rsrc_node list"): a node for each slot */
struct io_rsrc_data___nodes {
	unsigned int nr;
	void **nodes;
};

struct io_file_table {
	void *files;
};

struct io_file_table___nodes {
	struct io_rsrc_data___nodes data;
};

struct io_hash_table {
	void *hbs;
	unsigned int hash_bits;
};

struct percpu_counter {
	__s64 count;
	__s32 *counters;
};

struct io_uring_task {
	int cached_refs;
	struct file *registered_rings[URING_RINGS_REGISTERED];
	struct percpu_counter inflight;
};

struct io_uring {
	__u32 head, tail;
};

struct io_rings {
	struct io_uring sq;
};

struct io_ring_ctx {
	unsigned int flags;
	struct task_struct *submitter_task;
	struct io_rings *rings;
	unsigned int sq_thread_idle;
	unsigned int cached_sq_head, sq_entries, cached_cq_tail, cq_entries;
	struct io_file_table file_table;
	struct io_hash_table cancel_table;
	struct io_ev_fd *io_ev_fd;
	struct list_head timeout_list, ltimeout_list, cq_overflow_list, defer_list, tctx_list;
	const struct cred *sq_creds;
	struct io_sq_data *sq_data;
	unsigned int file_alloc_start, file_alloc_end;
	struct io_restriction restrictions;
	struct xarray io_bl_xa, personalities;
	void *mm_account;
	__u32 iowq_limits[2];
};

/* up to 6.12 */
struct io_ring_ctx___slots {
	unsigned int nr_user_files, nr_user_bufs;
	void **user_bufs;
	struct io_rsrc_data *file_data, *buf_data;
	struct io_hash_table cancel_table_locked;
};

/* up to 6.2: the first buffer groups are in an array, which is there when one was */
struct io_ring_ctx___groups {
	void *io_bl;
};

/* since 6.13 */
struct io_ring_ctx___nodes {
	struct io_rsrc_data___nodes buf_table;
};

/* each of them since some kernel after 6.1 */
struct io_ring_ctx___later {
	int clockid;
	struct hlist_head waitid_list, futex_list, cancelable_uring_cmd;
	struct io_mapped_region param_region;
	struct xarray zcrx_ctxs;
	__s64 napi_busy_poll_dt;
};

struct io_ring_ctx___bits {
	unsigned int compat : 1;
	unsigned int drain_disabled : 1;
	unsigned int iowq_limits_set : 1;
};

/* 7.x: IO_RING_F_* */
struct io_ring_ctx___v7 {
	unsigned int int_flags;
	void *bpf_filters;
	void *bpf_ops;
};

#pragma clang attribute pop

enum {
	URING_SETUP_SINGLE_ISSUER = 1 << 12,
	URING_F_OP_RESTRICTED = 2,
	URING_F_REG_RESTRICTED = 4,
	URING_F_DRAIN_DISABLED = 1024,
	URING_F_COMPAT = 2048,
	URING_F_IOWQ_LIMITS_SET = 4096,
	TASK_PF_EXITING = 4,
	TASK_PF_IO_WORKER = 16,
};

/* A thread of the kernel's that works for the process (io-wq, SQPOLL): neither stopped nor taken by anybody. */
static __always_inline bool is_io_worker(const struct task_struct *task)
{
	return BPF_CORE_READ(task, flags) & TASK_PF_IO_WORKER;
}

static __always_inline __u32 registered_rings(const struct io_uring_task *own)
{
	__u32 count = 0;

	for (__u32 i = 0; i < URING_RINGS_REGISTERED; i++)
		count += BPF_CORE_READ(own, registered_rings[i]) != NULL;
	return count;
}

static __always_inline bool is_io_uring(const struct inode_part *inode, const char *name)
{
	return is_anonymous(inode, name, "[io_uring]");
}

static __always_inline __u32 uring_flags(const struct io_ring_ctx *ring)
{
	const struct io_ring_ctx___v7 *v7 = (const void *)ring;
	const struct io_ring_ctx___bits *bits = (const void *)ring;
	const struct io_restriction___v6 *old = member_address(ring, struct io_ring_ctx, restrictions);
	__u32 state = 0, word;

	if (bpf_core_field_exists(v7->int_flags)) {
		word = BPF_CORE_READ(v7, int_flags);
		state |= word & URING_F_DRAIN_DISABLED ? URING_DRAIN_DISABLED : 0;
		state |= word & URING_F_COMPAT ? URING_COMPAT : 0;
		state |= word & URING_F_IOWQ_LIMITS_SET ? URING_WORKER_LIMITS : 0;
		state |= word & URING_F_OP_RESTRICTED ? URING_OPS_RESTRICTED : 0;
		state |= word & URING_F_REG_RESTRICTED ? URING_REGISTER_RESTRICTED : 0;
		if (BPF_CORE_READ(v7, bpf_filters) || BPF_CORE_READ(v7, bpf_ops))
			state |= URING_BPF;
		return state;
	}
	state |= BPF_CORE_READ_BITFIELD_PROBED(bits, drain_disabled) ? URING_DRAIN_DISABLED : 0;
	state |= BPF_CORE_READ_BITFIELD_PROBED(bits, compat) ? URING_COMPAT : 0;
	state |= BPF_CORE_READ_BITFIELD_PROBED(bits, iowq_limits_set) ? URING_WORKER_LIMITS : 0;
	/* for both (io_uring/register.c:io_register_restrictions()), and before they hold */
	if (bpf_core_field_exists(old->registered) && BPF_CORE_READ(old, registered))
		state |= URING_OPS_RESTRICTED | URING_REGISTER_RESTRICTED;
	return state;
}

static __always_inline __u32 uring_extras(const struct io_ring_ctx *ring)
{
	const struct io_ring_ctx___later *later = (const void *)ring;
	const struct io_ring_ctx___groups *groups = (const void *)ring;
	__u32 state = 0;

	if (BPF_CORE_READ(ring, io_bl_xa.xa_head))
		state |= URING_BUFFER_GROUPS;
	if (bpf_core_field_exists(groups->io_bl) && BPF_CORE_READ(groups, io_bl))
		state |= URING_BUFFER_GROUPS;
	if (BPF_CORE_READ(ring, personalities.xa_head))
		state |= URING_PERSONALITIES;
	if (bpf_core_field_exists(later->param_region) && BPF_CORE_READ(later, param_region.nr_pages))
		state |= URING_REGION;
	if (bpf_core_field_exists(later->zcrx_ctxs) && BPF_CORE_READ(later, zcrx_ctxs.xa_head))
		state |= URING_ZERO_COPY;
	return state;
}

static __always_inline __u32 uring_files(const struct io_ring_ctx *ring)
{
	const struct io_ring_ctx___slots *slots = (const void *)ring;
	const struct io_file_table___nodes *table = member_address(ring, struct io_ring_ctx, file_table);

	if (bpf_core_field_exists(slots->nr_user_files)) {
		barrier_var(slots); /* else both ways become one read of a chosen address, one of which is not there */
		return BPF_CORE_READ(slots, nr_user_files);
	}
	barrier_var(table); /* nor is its address made before it is known that there is one */
	return BPF_CORE_READ(table, data.nr);
}

static __always_inline __u32 uring_buffers(const struct io_ring_ctx *ring)
{
	const struct io_ring_ctx___slots *slots = (const void *)ring;
	const struct io_ring_ctx___nodes *nodes = (const void *)ring;

	if (bpf_core_field_exists(slots->nr_user_bufs)) {
		barrier_var(slots);
		return BPF_CORE_READ(slots, nr_user_bufs);
	}
	barrier_var(nodes);
	return BPF_CORE_READ(nodes, buf_table.nr);
}

static __always_inline void fill_uring_eventfd(const struct io_ring_ctx *ring, struct uring_record *out)
{
	const struct io_ev_fd *eventfd = BPF_CORE_READ(ring, io_ev_fd);
	const struct io_ev_fd___bits *bits = (const void *)eventfd;

	if (!eventfd)
		return;
	out->eventfd = (__u64)BPF_CORE_READ(eventfd, cq_ev_fd);
	if (BPF_CORE_READ_BITFIELD_PROBED(bits, eventfd_async))
		out->state |= URING_EVENTFD_ASYNC;
}

static __always_inline void fill_io_uring(const struct file *file, __u32 level, struct uring_record *out)
{
	const struct io_ring_ctx *ring = BPF_CORE_READ(file, private_data);
	const struct io_ring_ctx___later *later = (const void *)ring;
	const struct io_sq_data *thread = BPF_CORE_READ(ring, sq_data);
	const struct task_struct *submitter = BPF_CORE_READ(ring, submitter_task);

	out->mm = (__u64)BPF_CORE_READ(ring, mm_account);
	out->setup_flags = BPF_CORE_READ(ring, flags);
	out->state = uring_flags(ring) | uring_extras(ring);
	out->sq_entries = BPF_CORE_READ(ring, sq_entries);
	out->cq_entries = BPF_CORE_READ(ring, cq_entries);
	out->sq_head = BPF_CORE_READ(ring, cached_sq_head);
	out->sq_tail = BPF_CORE_READ(ring, rings, sq.tail);
	out->cq_tail = BPF_CORE_READ(ring, cached_cq_tail);
	out->files = uring_files(ring);
	out->buffers = uring_buffers(ring);
	out->alloc_start = BPF_CORE_READ(ring, file_alloc_start);
	out->alloc_end = BPF_CORE_READ(ring, file_alloc_end);
	out->worker_limits[0] = BPF_CORE_READ(ring, iowq_limits[0]);
	out->worker_limits[1] = BPF_CORE_READ(ring, iowq_limits[1]);
	if (bpf_core_field_exists(later->clockid))
		out->clock = BPF_CORE_READ(later, clockid);
	out->register_allowed = BPF_CORE_READ(ring, restrictions.register_op[0]);
	out->ops_allowed[0] = BPF_CORE_READ(ring, restrictions.sqe_op[0]);
	if (bpf_core_field_size(ring->restrictions.sqe_op) > sizeof(__u64))
		out->ops_allowed[1] = read_at(__u64, member_address(ring, struct io_ring_ctx, restrictions.sqe_op) +
							     sizeof(__u64));
	out->flags_allowed = BPF_CORE_READ(ring, restrictions.sqe_flags_allowed);
	out->flags_required = BPF_CORE_READ(ring, restrictions.sqe_flags_required);
	fill_uring_eventfd(ring, out);
	if (thread) {
		out->idle_jiffies = BPF_CORE_READ(ring, sq_thread_idle);
		out->thread_cpu = BPF_CORE_READ(thread, sq_cpu);
		if (BPF_CORE_READ(thread, refs.refs.counter) != 1)
			out->state |= URING_SHARED_THREAD;
	}
	if (out->setup_flags & URING_SETUP_SINGLE_ISSUER && submitter) {
		out->submitter = pid_number(BPF_CORE_READ(submitter, thread_pid), level);
		if (!out->submitter || BPF_CORE_READ(submitter, flags) & TASK_PF_EXITING)
			out->state |= URING_SUBMITTER_GONE;
	}
}

#endif /* __bpf__ */

#endif
