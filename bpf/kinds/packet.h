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

/* PACKET_RX_RING, PACKET_TX_RING; no blocks: there is none. */
struct packet_ring_part {
	__u32 blocks;
	__u32 block_bytes;
	__u32 frame_bytes;
	__u32 frames;
	__u32 head;		/* frame that the kernel fills, or sends, next */
	/* TPACKET_V3's, of what is received: */
	__u32 active_block;	/* that the kernel fills */
	__u32 retire_ms;	/* after which it hands over a block that is not full */
	__u32 private_bytes;	/* of each block, that are the program's */
	__u32 features;
	__u32 pad;
};

struct packet_record {
	__s32 interface;	/* that it is bound to; 0: any, -1: one that is gone */
	__u16 protocol;		/* network order */
	__u16 pad;
	__s32 copy_threshold;	/* PACKET_COPY_THRESH */
	__u32 version;		/* enum tpacket_versions: 0, 1, 2 */
	__u32 fanout;		/* it is of a group */
	__u32 memberships;	/* more than PACKET_MEMBERSHIPS: the others are not here */
	struct packet_membership membership[PACKET_MEMBERSHIPS];	/* the newest first */
	struct packet_ring_part rx, tx;
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

enum tpacket_versions { TPACKET_FIRST };

struct tpacket_kbdq_core {
	unsigned int feature_req_word;
	unsigned short kactive_blk_num;
	unsigned short blk_sizeof_priv;
	unsigned short retire_blk_tov;	/* up to 6.17 */
};

/* since 6.18 ("net: af_packet: Use hrtimer to do the retire operation") */
struct tpacket_kbdq_core___hrtimer {
	long long interval_ktime;
};

struct packet_ring_buffer {
	void *pg_vec;
	unsigned int head;
	unsigned int frame_size;
	unsigned int frame_max;
	unsigned int pg_vec_pages;
	unsigned int pg_vec_len;
	struct tpacket_kbdq_core prb_bdqc;
};

struct packet_sock {
	struct sock sk;
	void *fanout;
	struct packet_ring_buffer rx_ring, tx_ring;
	int copy_thresh;
	enum tpacket_versions tp_version;
	int ifindex;
	__be16 num;
	struct packet_mclist *mclist;
};

#pragma clang attribute pop

static __always_inline void fill_packet_ring(const struct packet_ring_buffer *ring, bool blocks,
					     struct packet_ring_part *out)
{
	const struct tpacket_kbdq_core *core;
	const struct tpacket_kbdq_core___hrtimer *newer;

	if (!BPF_CORE_READ(ring, pg_vec))
		return;
	out->blocks = BPF_CORE_READ(ring, pg_vec_len);
	out->block_bytes = BPF_CORE_READ(ring, pg_vec_pages) * 4096;
	out->frame_bytes = BPF_CORE_READ(ring, frame_size);
	out->frames = BPF_CORE_READ(ring, frame_max) + 1;
	out->head = BPF_CORE_READ(ring, head);
	if (!blocks)
		return;
	core = member_address(ring, struct packet_ring_buffer, prb_bdqc);
	newer = (const void *)core;
	out->active_block = BPF_CORE_READ(core, kactive_blk_num);
	out->private_bytes = BPF_CORE_READ(core, blk_sizeof_priv);
	out->features = BPF_CORE_READ(core, feature_req_word);
	if (bpf_core_field_exists(newer->interval_ktime))
		out->retire_ms = (__u64)BPF_CORE_READ(newer, interval_ktime) / 1000000;
	else
		out->retire_ms = BPF_CORE_READ(core, retire_blk_tov);
}

static __always_inline void fill_packet(struct sock *sk, struct packet_record *out)
{
	const struct packet_sock *packet = (const void *)sk;
	const struct packet_mclist *list = BPF_CORE_READ(packet, mclist);

	out->interface = BPF_CORE_READ(packet, ifindex);
	out->protocol = BPF_CORE_READ(packet, num);
	out->copy_threshold = BPF_CORE_READ(packet, copy_thresh);
	out->version = BPF_CORE_READ(packet, tp_version);
	fill_packet_ring(member_address(packet, struct packet_sock, rx_ring), out->version == 2, &out->rx);
	fill_packet_ring(member_address(packet, struct packet_sock, tx_ring), false, &out->tx);
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
