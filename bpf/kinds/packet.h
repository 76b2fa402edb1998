/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A packet socket: net/packet/af_packet.c. */
#ifndef BPFCKPT_KINDS_PACKET_H
#define BPFCKPT_KINDS_PACKET_H

#include <linux/types.h>

#include "bpf/parts.h"

enum { PACKET_MEMBERSHIPS = 8, PACKET_ADDRESS_BYTES = 32 };

struct packet_membership {
	__s32 interface;
	__u32 count;		/* how often it was added */
	__u16 type;		/* PACKET_MR_* */
	__u16 address_bytes;
	__u8 address[PACKET_ADDRESS_BYTES];
};

struct packet_record {
	__s32 interface;	/* that it is bound to; 0: any, -1: one that is gone */
	__u16 protocol;		/* network order */
	__u16 pad;
	__s32 copy_threshold;	/* PACKET_COPY_THRESH */
	__u32 rings;		/* 1: PACKET_RX_RING, 2: PACKET_TX_RING */
	__u32 fanout;		/* it is of a group */
	__u32 memberships;	/* more than PACKET_MEMBERSHIPS: the others are not here */
	struct packet_membership membership[PACKET_MEMBERSHIPS];	/* the newest first */
};

#ifdef __bpf__
#include "bpf/kernel_sock.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct packet_mclist {
	struct packet_mclist *next;
	int ifindex;
	int count;
	unsigned short type;
	unsigned short alen;
	unsigned char addr[PACKET_ADDRESS_BYTES];
};

struct packet_ring_buffer {
	void *pg_vec;
};

struct packet_sock {
	struct sock sk;
	void *fanout;
	struct packet_ring_buffer rx_ring, tx_ring;
	int copy_thresh;
	int ifindex;
	__be16 num;
	struct packet_mclist *mclist;
};

#pragma clang attribute pop

static __always_inline void fill_packet(struct sock *sk, struct packet_record *out)
{
	const struct packet_sock *packet = (const void *)sk;
	const struct packet_mclist *list = BPF_CORE_READ(packet, mclist);

	out->interface = BPF_CORE_READ(packet, ifindex);
	out->protocol = BPF_CORE_READ(packet, num);
	out->copy_threshold = BPF_CORE_READ(packet, copy_thresh);
	if (BPF_CORE_READ(packet, rx_ring.pg_vec))
		out->rings |= 1;
	if (BPF_CORE_READ(packet, tx_ring.pg_vec))
		out->rings |= 2;
	out->fanout = BPF_CORE_READ(packet, fanout) ? 1 : 0;
	for (int i = 0; i < PACKET_MEMBERSHIPS && list; i++) {
		struct packet_membership *membership = &out->membership[i];

		membership->interface = BPF_CORE_READ(list, ifindex);
		membership->count = BPF_CORE_READ(list, count);
		membership->type = BPF_CORE_READ(list, type);
		membership->address_bytes = BPF_CORE_READ(list, alen);
		bpf_probe_read_kernel(membership->address, PACKET_ADDRESS_BYTES,
				      member_address(list, struct packet_mclist, addr));
		out->memberships++;
		list = BPF_CORE_READ(list, next);
	}
	if (list)
		out->memberships++;
}

#endif /* __bpf__ */

#endif
