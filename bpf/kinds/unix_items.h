/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is in the receive queue of a unix socket: messages, or, where it listens, connections that nobody has accepted.
 *
 * Bytes that lie in a buffer's linear part travel with its record, so that nothing has to be asked of the socket. Those
 * in pages (long messages, spliced ones) cannot be reached from here.
 */
#ifndef BPFCKPT_KINDS_UNIX_ITEMS_H
#define BPFCKPT_KINDS_UNIX_ITEMS_H

#include "bpf/kernel_sock.h"
#include "bpf/kinds/socket.h"
#include "bpf/kinds/unix_message.h"
#include "bpf/walks.h"

enum { UNIX_FILES_MAX = 253 }; /* SCM_MAX_FD */

static __always_inline const void *unix_item_or_end(const void *node, __u64 sock)
{
	return node == member_address(sock, struct sock, sk_receive_queue) ? NULL : node;
}

static __always_inline const void *first_unix_item(__u64 sock)
{
	return unix_item_or_end(BPF_CORE_READ((const struct sock *)sock, sk_receive_queue.next), sock);
}

static __always_inline const void *next_unix_item(__u64 sock, const void *node)
{
	return unix_item_or_end(BPF_CORE_READ((const struct sk_buff *)node, next), sock);
}

static __always_inline bool unix_is_listener(__u64 sock)
{
	return BPF_CORE_READ((const struct sock *)sock, __sk_common.skc_state) == TCP_LISTEN_;
}

/* Bytes of the buffer at walk->node that are unread, and here. */
static __always_inline __u32 linear_bytes_of(const struct sk_buff *buffer, const struct unix_parms *parms)
{
	return unix_linear_bytes(BPF_CORE_READ(buffer, len), BPF_CORE_READ(buffer, data_len),
				 unix_parm(parms, __u32, consumed), WALK_MOST_DATA);
}

/* The most that the record of walk->node takes. */
static __always_inline __u32 unix_item_bytes(const struct walk *walk)
{
	struct unix_parms parms;

	if (unix_is_listener(walk->object))
		return sizeof(struct unix_pending_record);
	read_unix_parms(walk->node, &parms);
	return sizeof(struct unix_message_record) + padded(linear_bytes_of(walk->node, &parms)) +
	       (unix_parm(&parms, __u64, fp) ? UNIX_FILES_MAX * 8 : 0);
}

static __always_inline __u32 write_unix_pending(struct walk *walk)
{
	const void *node = walk->node;
	const struct sock *sock = BPF_CORE_READ((const struct sk_buff *)node, sk);
	const struct unix_sock *socket = (const void *)sock;
	const struct sock *client = BPF_CORE_READ(socket, peer);
	const struct unix_sock *client_socket = (const void *)client;
	const struct cred *cred = BPF_CORE_READ(sock, sk_peer_cred);
	const struct group_info *groups;
	struct scratch *slot = begin_show(walk->seq);
	struct unix_pending_record *record;
	__u32 count;

	if (!slot)
		return 0;
	record = (void *)slot->path; /* a walk and its step have a stack of 512 bytes between them */
	__builtin_memset(record, 0, sizeof(*record));
	begin_item(walk, record, RECORD_UNIX_ITEM);
	record->what = UNIX_ITEM_PENDING;
	record->sock = (__u64)sock;
	record->client = (__u64)client;
	record->shutdown = BPF_CORE_READ(sock, sk_shutdown);
	record->queued = BPF_CORE_READ(sock, sk_receive_queue.qlen);
	record->pid = pid_number(BPF_CORE_READ(sock, sk_peer_pid), walk->level);
	if (client) {
		record->client_dead = sock_flag_is_set(BPF_CORE_READ(client, __sk_common.skc_flags), SOCK_DEAD);
		record->client_inode = socket_inode_number(BPF_CORE_READ(client, sk_socket));
		record->client_name_bytes = read_unix_name(BPF_CORE_READ(client_socket, addr), record->client_name);
	}
	if (cred) {
		record->uid = BPF_CORE_READ(cred, euid.val);
		record->gid = BPF_CORE_READ(cred, egid.val);
		groups = BPF_CORE_READ(cred, group_info);
		count = BPF_CORE_READ(groups, ngroups);
		record->groups_count = count;
		if (count > UNIX_PENDING_GROUPS)
			count = UNIX_PENDING_GROUPS;
		barrier_var(count);
		if (count > UNIX_PENDING_GROUPS)
			count = 0;
		bpf_probe_read_kernel(record->groups, count * sizeof(__u32),
				      member_address(groups, struct group_info, gid));
	}
	bpf_seq_write(walk->seq, record, sizeof(*record));
	end_show(slot);
	return sizeof(*record);
}

/* Returns the bytes written. */
static __always_inline __u32 write_unix_message(struct walk *walk)
{
	const struct sk_buff *buffer = walk->node;
	const struct unix_sock *receiver = (const void *)walk->object;
	const struct scm_fp_list *files;
	struct unix_message_record *record;
	struct unix_parms parms;
	struct scratch *slot = begin_show(walk->seq);
	__u32 consumed, file_bytes = 0, length, linear;
	int count;

	if (!slot)
		return 0;
	record = &slot->near.messages[0];
	__builtin_memset(record, 0, sizeof(*record));
	read_unix_parms(buffer, &parms);
	consumed = unix_parm(&parms, __u32, consumed);
	files = unix_parm(&parms, const struct scm_fp_list *, fp);
	linear = linear_bytes_of(buffer, &parms);
	begin_item(walk, record, RECORD_UNIX_ITEM);
	fill_unix_message(BPF_CORE_READ(buffer, sk), &parms, walk->level, record);
	record->length = BPF_CORE_READ(buffer, len) - consumed;
	record->data_bytes = linear;
	/* not there without CONFIG_AF_UNIX_OOB */
	if (bpf_core_field_exists(receiver->oob_skb) && BPF_CORE_READ(receiver, oob_skb) == buffer)
		record->flags |= UNIX_MESSAGE_OOB;
	if (files) {
		count = BPF_CORE_READ(files, count);
		if (count > 0 && count <= UNIX_FILES_MAX)
			file_bytes = count * 8;
	}
	record->files = file_bytes / 8;
	record->head.record.length += padded(linear) + file_bytes;
	length = record->head.record.length;
	write_record(walk->seq, record);
	write_bytes(walk, slot, BPF_CORE_READ(buffer, data) + consumed, linear);
	barrier_var(file_bytes);
	if (file_bytes <= UNIX_FILES_MAX * 8) {
		bpf_probe_read_kernel(slot->path2, file_bytes, member_address(files, struct scm_fp_list, fp));
		bpf_seq_write(walk->seq, slot->path2, file_bytes);
	}
	end_show(slot);
	return length;
}

static __always_inline __u32 write_unix_item(struct walk *walk)
{
	if (unix_is_listener(walk->object))
		return write_unix_pending(walk);
	return write_unix_message(walk);
}

#endif
