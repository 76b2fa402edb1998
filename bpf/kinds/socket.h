/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What every socket has, and what its family has.
 *
 * A socket_record trails the file_record of each socket, behind the path; a second path may follow it
 * (unix_record.node). records.h knows nothing of it, so that a family's record can change without rebuilding all.
 */
#ifndef BPFCKPT_KINDS_SOCKET_H
#define BPFCKPT_KINDS_SOCKET_H

#include <linux/types.h>

#include "bpf/kinds/inet.h"
#include "bpf/kinds/netlink.h"
#include "bpf/kinds/packet.h"
#include "bpf/kinds/unix.h"
#include "bpf/parts.h"

enum socket_flags {
	SOCKET_KEEPALIVE = 1 << 0,
	SOCKET_LINGER = 1 << 1,
	SOCKET_BROADCAST = 1 << 2,
	SOCKET_OOB_INLINE = 1 << 3,
	SOCKET_TIMESTAMP = 1 << 4,	/* SO_TIMESTAMP, SO_TIMESTAMPNS, or their _NEW */
	SOCKET_TIMESTAMP_NS = 1 << 5,	/* with the former */
	SOCKET_TIMESTAMP_NEW = 1 << 6,
	SOCKET_DONT_ROUTE = 1 << 7,
	SOCKET_RXQ_OVERFLOW = 1 << 8,
	SOCKET_ZEROCOPY = 1 << 9,
	SOCKET_WIFI_STATUS = 1 << 10,
	SOCKET_NO_FCS = 1 << 11,
	SOCKET_FILTER_LOCKED = 1 << 12,
	SOCKET_SELECT_ERROR_QUEUE = 1 << 13,
	SOCKET_TXTIME = 1 << 14,
	SOCKET_RECEIVE_MARK = 1 << 15,
	SOCKET_RECEIVE_PRIORITY = 1 << 16,
	SOCKET_DEBUG = 1 << 17,
	SOCKET_REUSE_PORT = 1 << 18,
	SOCKET_NO_CHECK = 1 << 19,
	SOCKET_PASS_CREDENTIALS = 1 << 20,
	SOCKET_PASS_SECURITY = 1 << 21,
	SOCKET_PASS_PIDFD = 1 << 22,
	SOCKET_PASS_NO_RIGHTS = 1 << 23, /* SO_PASSRIGHTS was switched off */
	SOCKET_TXTIME_DEADLINE = 1 << 24,
	SOCKET_TXTIME_REPORT = 1 << 25,
	SOCKET_PREFER_BUSY_POLL = 1 << 26,
	SOCKET_HAS_FILTER = 1 << 27,
};

enum { SOCKET_PEER_GROUPS = 32 };

struct socket_record {
	__u64 sock;		/* struct sock */
	__u64 cookie;		/* SO_COOKIE; 0: nobody has asked yet */
	__s64 receive_timeout;	/* jiffies; LONG_MAX: none */
	__s64 send_timeout;
	__u64 max_pacing_rate;
	__u32 net;		/* inode number of the net namespace */
	__u32 family;
	__u32 type;
	__u32 protocol;
	__u32 state;		/* TCP_*, of families other than TCP too; 10 is TCP_LISTEN */
	__u32 socket_state;	/* SS_*: 1 unconnected, 3 connected */
	__u32 shutdown;		/* 1: nothing more is received, 2: sent */
	__s32 error;		/* SO_ERROR, an errno */
	__u32 flags;		/* enum socket_flags */
	__s32 receive_buffer;	/* SO_RCVBUF, as getsockopt(2) shows it */
	__s32 send_buffer;
	__u32 buffer_locks;	/* SO_BUF_LOCK, and others of sk_userlocks */
	__s32 receive_low;	/* SO_RCVLOWAT */
	__u32 priority;
	__u32 mark;
	__s32 device;		/* SO_BINDTOIFINDEX; 0: none */
	__u32 reuse;		/* SO_REUSEADDR */
	__s32 incoming_cpu;
	__u32 busy_poll_us;
	__u32 busy_poll_budget;
	__s32 peek_offset;	/* SO_PEEK_OFF; -1: off */
	__u32 timestamping;	/* SO_TIMESTAMPING */
	__s32 bind_phc;
	__u32 tx_rehash;
	__u32 clock;		/* SO_TXTIME */
	__u32 reserved_memory;
	__u32 uid;		/* sk_uid */
	__u32 queued;		/* buffers in the receive queue */
	__u32 errors_queued;	/* in the error queue */
	__s32 receive_memory;	/* bytes that the kernel counts for what is queued */
	__s32 send_memory;
	__u32 backlog;		/* now */
	__u32 max_backlog;	/* listen(2) */
	__u32 peer_pid;		/* SO_PEERCRED */
	__u32 has_peer;
	__u32 peer_uid;
	__u32 peer_gid;
	__u32 peer_groups_count; /* SO_PEERGROUPS: of them the first SOCKET_PEER_GROUPS are here */
	__u32 peer_groups[SOCKET_PEER_GROUPS];
	__u32 pad[3];
	union {
		__u64 words[64];
		struct unix_record un;
		struct inet_record inet;
		struct netlink_record netlink;
		struct packet_record packet;
	} detail;
};
BPFCKPT_SIZE(struct socket_record, 848);

#ifdef __bpf__
#include "bpf/kernel_sock.h"
#include "bpf/records.h"

enum { SOCKFS_MAGIC = 0x534f434b };

enum {
	AF_UNIX_ = 1,
	AF_INET_ = 2,
	AF_INET6_ = 10,
	AF_NETLINK_ = 16,
	AF_PACKET_ = 17,
	SOCK_STREAM_ = 1,
	SOCK_DGRAM_ = 2,
	SOCK_RAW_ = 3,
	IPPROTO_ICMP_ = 1,
	IPPROTO_TCP_ = 6,
	IPPROTO_UDP_ = 17,
	IPPROTO_ICMPV6_ = 58,
	IPPROTO_UDPLITE_ = 136,
	SOCKET_STREAM_MEMORY_OFFSET = 1, /* what refcount_t counts more than there is: net/core/sock.c:sk_alloc() */
};

/* Places of path-only descriptors were asked for before. */
static __always_inline bool is_socket(const struct inode_part *inode)
{
	return inode->magic == SOCKFS_MAGIC && (inode->mode & S_IFMT) == S_IFSOCK;
}

static __always_inline __u32 socket_kind(const struct socket_record *record)
{
	switch (record->family) {
	case AF_UNIX_:
		return FILE_KIND_UNIX;
	case AF_NETLINK_:
		return FILE_KIND_NETLINK;
	case AF_PACKET_:
		return FILE_KIND_PACKET;
	case AF_INET_:
	case AF_INET6_:
		if (record->type == SOCK_RAW_)
			return FILE_KIND_RAW;
		if (record->type == SOCK_STREAM_ && record->protocol == IPPROTO_TCP_)
			return FILE_KIND_TCP;
		if (record->type == SOCK_DGRAM_ &&
		    (record->protocol == IPPROTO_UDP_ || record->protocol == IPPROTO_UDPLITE_))
			return FILE_KIND_UDP;
		if (record->type == SOCK_DGRAM_ &&
		    (record->protocol == IPPROTO_ICMP_ || record->protocol == IPPROTO_ICMPV6_))
			return FILE_KIND_RAW;
	}
	return FILE_KIND_SOCKET_OTHER;
}

static __always_inline __u32 common_socket_flags(const struct sock *sk)
{
	unsigned long bits = sk->__sk_common.skc_flags;
	__u32 flags = 0;

	if (sock_flag_is_set(bits, SOCK_KEEPOPEN))
		flags |= SOCKET_KEEPALIVE;
	if (sock_flag_is_set(bits, SOCK_LINGER))
		flags |= SOCKET_LINGER;
	if (sock_flag_is_set(bits, SOCK_BROADCAST))
		flags |= SOCKET_BROADCAST;
	if (sock_flag_is_set(bits, SOCK_URGINLINE))
		flags |= SOCKET_OOB_INLINE;
	if (sock_flag_is_set(bits, SOCK_RCVTSTAMP))
		flags |= SOCKET_TIMESTAMP;
	if (sock_flag_is_set(bits, SOCK_RCVTSTAMPNS))
		flags |= SOCKET_TIMESTAMP_NS;
	if (sock_flag_is_set(bits, SOCK_TSTAMP_NEW))
		flags |= SOCKET_TIMESTAMP_NEW;
	if (sock_flag_is_set(bits, SOCK_LOCALROUTE))
		flags |= SOCKET_DONT_ROUTE;
	if (sock_flag_is_set(bits, SOCK_RXQ_OVFL))
		flags |= SOCKET_RXQ_OVERFLOW;
	if (sock_flag_is_set(bits, SOCK_ZEROCOPY))
		flags |= SOCKET_ZEROCOPY;
	if (sock_flag_is_set(bits, SOCK_WIFI_STATUS))
		flags |= SOCKET_WIFI_STATUS;
	if (sock_flag_is_set(bits, SOCK_NOFCS))
		flags |= SOCKET_NO_FCS;
	if (sock_flag_is_set(bits, SOCK_FILTER_LOCKED))
		flags |= SOCKET_FILTER_LOCKED;
	if (sock_flag_is_set(bits, SOCK_SELECT_ERR_QUEUE))
		flags |= SOCKET_SELECT_ERROR_QUEUE;
	if (sock_flag_is_set(bits, SOCK_TXTIME))
		flags |= SOCKET_TXTIME;
	if (sock_flag_is_set(bits, SOCK_RCVMARK))
		flags |= SOCKET_RECEIVE_MARK;
	if (bpf_core_enum_value_exists(enum sock_flags, SOCK_RCVPRIORITY) &&
	    sock_flag_is_set(bits, SOCK_RCVPRIORITY))
		flags |= SOCKET_RECEIVE_PRIORITY;
	if (sock_flag_is_set(bits, SOCK_DBG))
		flags |= SOCKET_DEBUG;
	if (BPF_CORE_READ_BITFIELD(&sk->__sk_common, skc_reuseport))
		flags |= SOCKET_REUSE_PORT;
	if (BPF_CORE_READ_BITFIELD(sk, sk_no_check_tx))
		flags |= SOCKET_NO_CHECK;
	if (BPF_CORE_READ_BITFIELD(sk, sk_txtime_deadline_mode))
		flags |= SOCKET_TXTIME_DEADLINE;
	if (BPF_CORE_READ_BITFIELD(sk, sk_txtime_report_errors))
		flags |= SOCKET_TXTIME_REPORT;
	if (bpf_core_field_exists(sk->sk_prefer_busy_poll) && sk->sk_prefer_busy_poll)
		flags |= SOCKET_PREFER_BUSY_POLL;
	if (sk->sk_filter)
		flags |= SOCKET_HAS_FILTER;
	return flags;
}

/* What is received with messages: SO_PASSCRED and its like. */
static __always_inline __u32 pass_flags(const struct socket *socket, const struct sock *sk)
{
	const struct sock___scm *scm = (const void *)sk;
	__u32 flags = 0;

	if (bpf_core_field_exists(scm->sk_scm_credentials)) {
		if (sk->__sk_common.skc_family != AF_UNIX_ && sk->__sk_common.skc_family != AF_NETLINK_)
			return 0;
		if (BPF_CORE_READ_BITFIELD(scm, sk_scm_credentials))
			flags |= SOCKET_PASS_CREDENTIALS;
		if (BPF_CORE_READ_BITFIELD(scm, sk_scm_security))
			flags |= SOCKET_PASS_SECURITY;
		if (BPF_CORE_READ_BITFIELD(scm, sk_scm_pidfd))
			flags |= SOCKET_PASS_PIDFD;
		if (sk->__sk_common.skc_family == AF_UNIX_ && !BPF_CORE_READ_BITFIELD(scm, sk_scm_rights))
			flags |= SOCKET_PASS_NO_RIGHTS;
		return flags;
	}
	if (socket->flags >> SOCK_PASSCRED_BIT & 1)
		flags |= SOCKET_PASS_CREDENTIALS;
	if (socket->flags >> SOCK_PASSSEC_BIT & 1)
		flags |= SOCKET_PASS_SECURITY;
	if (socket->flags >> SOCK_PASSPIDFD_BIT & 1)
		flags |= SOCKET_PASS_PIDFD;
	return flags;
}

static __always_inline void fill_peer_credentials(const struct sock *sk, __u32 level, struct socket_record *record)
{
	const struct cred *cred = sk->sk_peer_cred;
	const struct group_info *groups;
	const struct pid *pid;
	__u32 count;

	if (!sk->sk_peer_pid || !cred)
		return;
	pid = BPF_CORE_READ(sk, sk_peer_pid); /* is calculated with: see kernel.h */
	record->has_peer = 1;
	record->peer_pid = pid_number(pid, level);
	record->peer_uid = cred->euid.val;
	record->peer_gid = cred->egid.val;
	count = cred->group_info->ngroups;
	record->peer_groups_count = count;
	if (!count)
		return;
	if (count > SOCKET_PEER_GROUPS)
		count = SOCKET_PEER_GROUPS;
	groups = BPF_CORE_READ(sk, sk_peer_cred, group_info);
	barrier_var(count); /* see write_trailing() */
	if (count > SOCKET_PEER_GROUPS)
		return;
	bpf_probe_read_kernel(record->peer_groups, count * sizeof(__u32),
			      member_address(groups, struct group_info, gid));
}

static __always_inline void fill_common_socket(const struct socket *socket, struct sock *sk, __u32 level,
					       struct socket_record *record)
{
	record->sock = (__u64)sk;
	record->cookie = sk->__sk_common.skc_cookie.counter;
	record->receive_timeout = sk->sk_rcvtimeo;
	record->send_timeout = sk->sk_sndtimeo;
	record->max_pacing_rate = sk->sk_max_pacing_rate;
	record->net = sk->__sk_common.skc_net.net->ns.inum;
	record->family = sk->__sk_common.skc_family;
	record->type = sk->sk_type;
	record->protocol = sk->sk_protocol;
	record->state = sk->__sk_common.skc_state;
	record->socket_state = socket->state;
	record->shutdown = sk->sk_shutdown;
	record->error = sk->sk_err;
	record->flags = common_socket_flags(sk) | pass_flags(socket, sk);
	record->receive_buffer = sk->sk_rcvbuf;
	record->send_buffer = sk->sk_sndbuf;
	record->buffer_locks = BPF_CORE_READ_BITFIELD(sk, sk_userlocks);
	record->receive_low = sk->sk_rcvlowat;
	record->priority = sk->sk_priority;
	record->mark = sk->sk_mark;
	record->device = sk->__sk_common.skc_bound_dev_if;
	record->reuse = BPF_CORE_READ_BITFIELD(&sk->__sk_common, skc_reuse);
	record->incoming_cpu = sk->__sk_common.skc_incoming_cpu;
	/* 0 without CONFIG_NET_RX_BUSY_POLL */
	if (bpf_core_field_exists(sk->sk_ll_usec))
		record->busy_poll_us = sk->sk_ll_usec;
	if (bpf_core_field_exists(sk->sk_busy_poll_budget))
		record->busy_poll_budget = sk->sk_busy_poll_budget;
	record->peek_offset = sk->sk_peek_off;
	record->timestamping = BPF_CORE_READ_BITFIELD(sk, sk_tsflags);
	record->bind_phc = sk->sk_bind_phc;
	record->tx_rehash = sk->sk_txrehash;
	record->clock = sk->sk_clockid;
	record->reserved_memory = sk->sk_reserved_mem;
	record->uid = sk->sk_uid.val;
	record->queued = sk->sk_receive_queue.qlen;
	record->errors_queued = sk->sk_error_queue.qlen;
	record->receive_memory = sk->sk_backlog.rmem_alloc.counter;
	record->send_memory = sk->sk_wmem_alloc.refs.counter - SOCKET_STREAM_MEMORY_OFFSET;
	record->backlog = sk->sk_ack_backlog;
	record->max_backlog = sk->sk_max_ack_backlog;
	fill_peer_credentials(sk, level, record);
}

#endif /* __bpf__ */

#endif
