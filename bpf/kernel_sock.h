/* SPDX-License-Identifier: GPL-2.0 */
/* Sockets of every family: see kernel.h. */
#ifndef BPFCKPT_KERNEL_SOCK_H
#define BPFCKPT_KERNEL_SOCK_H

#include "bpf/kernel_fs.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node___sock {
	struct hlist_node *next, **pprev;
};

typedef struct {
	struct net *net;
} possible_net_t;

typedef struct {
	atomic_t refs;
} refcount_t;

struct sock_common {
	unsigned int skc_hash;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_reuse : 4;
	unsigned char skc_reuseport : 1;
	unsigned char skc_ipv6only : 1;
	int skc_bound_dev_if;
	struct hlist_node___sock skc_bind_node;
	possible_net_t skc_net;
	atomic64_t skc_cookie;
	unsigned long skc_flags;
	int skc_incoming_cpu;
	refcount_t skc_refcnt;
};

struct sk_buff;

struct sk_buff_head {
	struct sk_buff *next;
	unsigned int qlen;
};

struct sock {
	struct sock_common __sk_common;
	int sk_peek_off;
	struct sk_buff_head sk_error_queue;
	struct sk_buff_head sk_receive_queue;
	struct {
		atomic_t rmem_alloc;
	} sk_backlog;
	unsigned int sk_ll_usec;
	unsigned short sk_busy_poll_budget;
	unsigned char sk_prefer_busy_poll;
	unsigned char sk_userlocks;	/* four bits up to 6.8 */
	int sk_rcvbuf;
	void *sk_filter;
	long sk_rcvtimeo;
	int sk_rcvlowat;
	int sk_err;
	struct socket *sk_socket;
	unsigned int sk_reserved_mem;
	unsigned int sk_tsflags;	/* u16 up to 6.5 */
	int sk_err_soft;
	refcount_t sk_wmem_alloc;
	unsigned long sk_max_pacing_rate;
	long sk_sndtimeo;
	unsigned int sk_priority;
	unsigned int sk_mark;
	kuid_t sk_uid;
	unsigned short sk_protocol;
	unsigned short sk_type;
	int sk_sndbuf;
	unsigned char sk_no_check_tx : 1;
	unsigned char sk_shutdown;
	unsigned long sk_lingertime;
	unsigned int sk_ack_backlog;
	unsigned int sk_max_ack_backlog;
	int sk_bind_phc;
	struct pid *sk_peer_pid;
	const struct cred *sk_peer_cred;
	unsigned char sk_txrehash;	/* means something for TCP only: shares its place since 6.16 */
	unsigned char sk_clockid;
	unsigned char sk_txtime_deadline_mode : 1;
	unsigned char sk_txtime_report_errors : 1;
	void *sk_user_data;
};

/* since 6.16 ("net: Restrict SO_PASS{CRED,PIDFD,SEC} to AF_{UNIX,NETLINK,BLUETOOTH}" and its like); before, bits of
 * socket.flags, and no SO_PASSRIGHTS */
struct sock___scm {
	unsigned char sk_scm_credentials : 1;
	unsigned char sk_scm_security : 1;
	unsigned char sk_scm_pidfd : 1;
	unsigned char sk_scm_rights : 1;
};

enum socket_state_ { SS_FREE_ };

struct socket {
	enum socket_state_ state;
	unsigned long flags;
	struct sock *sk;
};

struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

/* Bits of sock.sk_flags; later ones were put in between now and then. */
enum sock_flags {
	SOCK_DEAD,
	SOCK_URGINLINE,
	SOCK_KEEPOPEN,
	SOCK_LINGER,
	SOCK_BROADCAST,
	SOCK_DBG,
	SOCK_RCVTSTAMP,
	SOCK_RCVTSTAMPNS,
	SOCK_LOCALROUTE,
	SOCK_RXQ_OVFL,
	SOCK_ZEROCOPY,
	SOCK_WIFI_STATUS,
	SOCK_NOFCS,
	SOCK_FILTER_LOCKED,
	SOCK_SELECT_ERR_QUEUE,
	SOCK_TXTIME,
	SOCK_TSTAMP_NEW,
	SOCK_RCVMARK,
	SOCK_RCVPRIORITY,
};

struct sk_buff {
	struct sk_buff *next;
	struct sock *sk;
	char cb[48];
	unsigned int len;
	unsigned int data_len;
	unsigned char *data;
};

#pragma clang attribute pop

/* include/linux/net.h: bits of socket.flags up to 6.15 */
enum {
	SOCK_PASSCRED_BIT = 3,
	SOCK_PASSSEC_BIT = 4,
	SOCK_PASSPIDFD_BIT = 7,
};

#define sock_flag_is_set(flags, name) ((flags) >> bpf_core_enum_value(enum sock_flags, name) & 1)

/* The inode number of a socket; 0 where it has no file (any more). */
static __always_inline __u64 socket_inode_number(const struct socket *socket)
{
	if (!socket)
		return 0;
	return BPF_CORE_READ((const struct inode___number *)member_address(
				     container_of_core(socket, struct socket_alloc, socket), struct socket_alloc,
				     vfs_inode),
			     i_ino);
}

#endif
