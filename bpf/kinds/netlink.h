/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A netlink socket. */
#ifndef BPFCKPT_KINDS_NETLINK_H
#define BPFCKPT_KINDS_NETLINK_H

#include <linux/types.h>

#include "bpf/parts.h"

enum { NETLINK_GROUP_WORDS = 32 }; /* groups 1 to 2048 */

struct netlink_record {
	__u32 port;
	__u32 peer_port;	/* connect(2) */
	__u32 peer_groups;
	__u32 bound;
	__u32 groups_count;	/* that the protocol has; more than there is room for are not in `groups` */
	__u32 dumping;		/* an answer is on its way (NLM_F_DUMP) */
	__u64 options;		/* bits as the kernel has them: by getsockopt(2) */
	__u64 groups[NETLINK_GROUP_WORDS];
};

#ifdef __bpf__
#include "bpf/kernel_sock.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct netlink_sock {
	struct sock sk;
	__u32 portid;
	__u32 dst_portid;
	__u32 dst_group;
	__u32 ngroups;
	unsigned long *groups;
	_Bool bound;
	_Bool cb_running;
};

#pragma clang attribute pop

/* There is no helper that makes a netlink_sock of a sock. */
static __always_inline void fill_netlink(const struct sock *sk, struct netlink_record *out)
{
	const struct netlink_sock *netlink = (const void *)sk;
	__u32 count = BPF_CORE_READ(netlink, ngroups), bytes;

	out->port = BPF_CORE_READ(netlink, portid);
	out->peer_port = BPF_CORE_READ(netlink, dst_portid);
	out->peer_groups = BPF_CORE_READ(netlink, dst_group);
	out->bound = BPF_CORE_READ(netlink, bound);
	out->dumping = BPF_CORE_READ(netlink, cb_running);
	out->groups_count = count;
	if (count > NETLINK_GROUP_WORDS * 64)
		count = NETLINK_GROUP_WORDS * 64;
	bytes = (count + 63) / 64 * 8;
	barrier_var(bytes);
	if (bytes <= sizeof(out->groups))
		bpf_probe_read_kernel(out->groups, bytes, BPF_CORE_READ(netlink, groups));
}

#endif /* __bpf__ */

#endif
