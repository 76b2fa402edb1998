/* SPDX-License-Identifier: GPL-2.0 */
/* A message in the queue of a unix socket: what is said of it, whoever reads the queue. */
#ifndef BPFCKPT_KINDS_UNIX_MESSAGE_H
#define BPFCKPT_KINDS_UNIX_MESSAGE_H

#include "bpf/emit.h"
#include "bpf/kernel_sock.h"
#include "bpf/kinds/socket.h"
#include "bpf/kinds/unix_queue.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct scm_fp_list {
	short count;
	struct file *fp[253];
};

struct unix_skb_parms {
	struct pid *pid;
	kuid_t uid;
	kgid_t gid;
	struct scm_fp_list *fp;
	__u32 consumed;
};

#pragma clang attribute pop

/* A copy of a buffer's control block, which is read at once: each reading on its own costs as much. */
struct unix_parms {
	char bytes[48];
} __attribute__((aligned(8)));

#define unix_parm(parms, type, field) \
	(*(type *)((void *)(parms) + bpf_core_field_offset(struct unix_skb_parms, field)))

static __always_inline void read_unix_parms(const struct sk_buff *buffer, struct unix_parms *parms)
{
	__builtin_memset(parms, 0, sizeof(*parms));
	bpf_probe_read_kernel(parms, sizeof(*parms), member_address(buffer, struct sk_buff, cb));
}

/* Bytes that are unread, and here: those in pages cannot be reached from here. */
static __always_inline __u32 unix_linear_bytes(__u32 len, __u32 data_len, __u32 consumed, __u32 most)
{
	if (data_len || consumed >= len || len - consumed > most)
		return 0;
	return len - consumed;
}

/* `record` is cleared, but for its head. */
static __always_inline void fill_unix_message(const struct sock *sender, const struct unix_parms *parms, __u32 level,
					      struct unix_message_record *record)
{
	const struct pid *pid = unix_parm(parms, const struct pid *, pid);

	record->what = UNIX_ITEM_MESSAGE;
	record->sender = (__u64)sender;
	if (pid) {
		record->flags |= UNIX_MESSAGE_CREDENTIALS;
		record->pid = pid_number(pid, level);
		record->uid = unix_parm(parms, __u32, uid.val);
		record->gid = unix_parm(parms, __u32, gid.val);
	}
	if (!sender)
		return;
	if (sock_flag_is_set(BPF_CORE_READ(sender, __sk_common.skc_flags), SOCK_DEAD))
		record->flags |= UNIX_MESSAGE_SENDER_DEAD;
	record->sender_name_bytes =
		read_unix_name(BPF_CORE_READ((const struct unix_sock *)(const void *)sender, addr), record->sender_name);
}

/* The queue into `near`, where it is short and of short messages without files. False: it is left to a walk. */
static __always_inline bool fill_near_messages(struct unix_sock *un, __u32 level, struct near_messages *near)
{
	struct sk_buff *buffer = un->sk.sk_receive_queue.next;
	__u32 count = un->sk.sk_receive_queue.qlen;

	near->count = 0;
	if (count > UNIX_NEAR_MESSAGES || un->sk.__sk_common.skc_state == TCP_LISTEN_)
		return false;
	for (__u32 i = 0; i < UNIX_NEAR_MESSAGES; i++) {
		struct unix_message_record *record = &near->messages[i];
		struct unix_parms parms;
		__u32 len, consumed;

		if (i >= count)
			break;
		read_unix_parms(buffer, &parms);
		len = buffer->len;
		consumed = unix_parm(&parms, __u32, consumed);
		if (buffer->data_len || consumed > len || len - consumed > UNIX_NEAR_BYTES ||
		    unix_parm(&parms, __u64, fp))
			return false;
		__builtin_memset(record, 0, sizeof(*record));
		record->head.record.type = RECORD_UNIX_ITEM;
		record->head.record.length = sizeof(*record) + padded(len - consumed);
		record->head.list = (__u64)un;
		fill_unix_message(buffer->sk, &parms, level, record);
		record->flags |= UNIX_MESSAGE_NEAR;
		record->length = len - consumed;
		record->data_bytes = len - consumed;
		/* not there without CONFIG_AF_UNIX_OOB */
		if (bpf_core_field_exists(un->oob_skb) && un->oob_skb == buffer)
			record->flags |= UNIX_MESSAGE_OOB;
		near->data[i] = (__u64)buffer->data + consumed;
		buffer = buffer->next;
	}
	near->count = count;
	return true;
}

/* Behind the socket's own records; `bytes` has room for UNIX_NEAR_BYTES. */
static __always_inline void write_near_messages(struct seq_file *seq, struct near_messages *near, char *bytes)
{
	for (__u32 i = 0; i < UNIX_NEAR_MESSAGES; i++) {
		__u32 len = near->messages[i].data_bytes;

		if (i >= near->count)
			return;
		write_record(seq, &near->messages[i]);
		barrier_var(len); /* see write_trailing() */
		if (len > UNIX_NEAR_BYTES)
			continue;
		bpf_probe_read_kernel(bytes, len, (const void *)near->data[i]);
		write_trailing(seq, bytes, len);
	}
}

#endif
