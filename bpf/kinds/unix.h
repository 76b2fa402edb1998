/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A unix socket. */
#ifndef BPFCKPT_KINDS_UNIX_H
#define BPFCKPT_KINDS_UNIX_H

#include <linux/types.h>

#include "bpf/parts.h"

enum { UNIX_NAME_MAX = 112 }; /* sun_path, padded */

enum unix_flags {
	UNIX_BOUND = 1,		/* bind(2) gave it its name; else it was accepted, and the name is the listener's */
	UNIX_HAS_NODE = 2,	/* `node` is where the name was made; its path trails */
	UNIX_PEER_DEAD = 4,	/* it was closed */
	UNIX_PEER_PENDING = 8,	/* nobody has accepted it yet */
	UNIX_INQ = 16,		/* SO_INQ */
	UNIX_UNSURE = 32,	/* set by the collector: taken of a tree that runs, whose other sockets come and go */
};

/* The name: sun_path, `name_bytes` long; a path may end with a NUL, an abstract name begins with one; 0: none. */
struct unix_record {
	__u64 peer;		/* struct sock; 0: none */
	__u64 address;		/* struct unix_address, which a listener shares with what is accepted from it */
	__u64 peer_inode;	/* number; 0: it has no file */
	__u32 flags;		/* enum unix_flags */
	__u32 name_bytes;
	__u32 peer_name_bytes;
	__u32 node_uid;
	__u32 node_gid;
	__u32 pad;
	struct path_part node;	/* its string of node.length bytes trails the socket_record */
	char name[UNIX_NAME_MAX];
	char peer_name[UNIX_NAME_MAX];
};
BPFCKPT_SIZE(struct unix_record, 312);

#ifdef __bpf__
#include "bpf/kernel_sock.h"

enum {
	UNIX_HASH_MOD = 255,	/* include/net/af_unix.h; the second half of the table is of abstract names */
	SUN_FAMILY_BYTES = 2,
	UNIX_PATH_MAX = 108,
	TCP_ESTABLISHED_ = 1,
	TCP_LISTEN_ = 10,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sockaddr_un_ {
	unsigned short sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un_ name[0];
};

struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
	struct path path;
	struct sock *peer;
	struct sk_buff *oob_skb;
};

/* since 6.18 ("af_unix: Add SO_INQ...") */
struct unix_sock___inq {
	_Bool recvmsg_inq;
};

#pragma clang attribute pop

/* sun_path into `name`, which is cleared; returns its length. Of a path the NUL is counted, where there is room for one
 * (net/unix/af_unix.c:unix_mkname_bsd()). */
static __always_inline __u32 read_unix_name(const struct unix_address *address, char *name)
{
	int len = address ? BPF_CORE_READ(address, len) : 0;
	__u32 bytes;

	if (len <= SUN_FAMILY_BYTES)
		return 0;
	bytes = len - SUN_FAMILY_BYTES;
	if (bytes > UNIX_PATH_MAX)
		bytes = UNIX_PATH_MAX;
	barrier_var(bytes); /* see write_trailing() */
	if (bytes <= UNIX_PATH_MAX)
		bpf_probe_read_kernel(name, bytes,
				      member_address(address, struct unix_address, name) + SUN_FAMILY_BYTES);
	return bytes;
}

/* Was it bound itself? An accepted socket has the listener's name and place, but is in no table of names. */
static __always_inline bool unix_is_bound(const struct sock *sk)
{
	return sk->__sk_common.skc_hash > UNIX_HASH_MOD || sk->__sk_common.skc_bind_node.pprev;
}

/* What is needed of one that is not in the tree: others have records of their own. */
static __always_inline void fill_unix_peer(const struct sock *peer, struct unix_record *out)
{
	const struct unix_sock *socket = (const void *)peer;
	const struct socket *open = peer->sk_socket;

	if (open)
		out->peer_inode = socket_inode_number(BPF_CORE_READ(peer, sk_socket)); /* see kernel.h */
	out->peer_name_bytes = read_unix_name(BPF_CORE_READ(socket, addr), out->peer_name);
	if (open)
		return;
	if (sock_flag_is_set(peer->__sk_common.skc_flags, SOCK_DEAD))
		out->flags |= UNIX_PEER_DEAD;
	else
		out->flags |= UNIX_PEER_PENDING;
}

static __always_inline void fill_unix(struct unix_sock *socket, struct unix_record *out)
{
	const struct unix_sock___inq *inq = (const void *)socket;
	const struct sock *peer = socket->peer;

	out->peer = (__u64)peer;
	out->address = (__u64)socket->addr;
	out->name_bytes = read_unix_name(socket->addr, out->name);
	if (unix_is_bound(&socket->sk))
		out->flags |= UNIX_BOUND;
	if (bpf_core_field_exists(inq->recvmsg_inq) && inq->recvmsg_inq)
		out->flags |= UNIX_INQ;
	if (peer)
		fill_unix_peer(peer, out);
}

#endif /* __bpf__ */

#endif
