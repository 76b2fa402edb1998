/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Records of what belongs to a UDP or raw socket (RECORD_INET_ITEM); head.list is the struct sock. In the order of the
 * lists: memberships as they were joined, newest first; datagrams, oldest first. */
#ifndef BPFCKPT_KINDS_INET_QUEUE_H
#define BPFCKPT_KINDS_INET_QUEUE_H

#include <linux/types.h>

#include "bpf/parts.h"

enum inet_item {
	INET_ITEM_MEMBERSHIP = 1,	/* struct inet_membership_record */
	INET_ITEM_DATAGRAM = 2,		/* struct inet_datagram_record */
};

/* Both begin with it. */
struct inet_item_head {
	struct item_head head;
	__u32 what;		/* enum inet_item */
	__u32 flags;
};

enum { INET_SOURCES = 64 };	/* as many as net.ipv6.mld_max_msf allows by itself */

struct inet_membership_record {
	struct item_head head;
	__u32 what;
	__u32 ipv6;
	__u32 interface;	/* index */
	__u32 mode;		/* MCAST_EXCLUDE 0, MCAST_INCLUDE 1 */
	__u32 address;		/* IPv4: of the interface, as it was joined; network order */
	__u32 sources_count;	/* more than INET_SOURCES: the others are not here */
	__u8 group[16];		/* IPv4 in the first four bytes */
	__u8 sources[INET_SOURCES * 16];	/* 4 or 16 bytes each */
};
BPFCKPT_SIZE(struct inet_membership_record, 1080);

enum inet_datagram_flags {
	INET_DATAGRAM_IPV6 = 1,
	INET_DATAGRAM_UNCHECKED = 2,	/* its checksum is to be looked at when it is read: `sum` */
};

/* Trailing: `data_bytes` of payload, padded to 8. */
struct inet_datagram_record {
	struct item_head head;
	__u32 what;
	__u32 flags;		/* enum inet_datagram_flags */
	__u32 length;		/* of its payload */
	__u16 source_port;	/* network order */
	__u8 ttl;
	__u8 tos;
	__u32 flow;		/* IPv6: flow label */
	__u32 data_bytes;	/* `length`, or 0: they cannot be reached */
	__u32 sum;		/* of its headers, by which with that of its payload it is a good one (skb->csum) */
	__u16 coverage;		/* network order: UDP's length; UDP-Lite: how much of it the checksum covers, or 0 for all */
	__u16 segment;		/* bytes of payload of each but the last that UDP_GRO put together; 0: it did not */
	__u8 source[16];	/* IPv4 is mapped, in both */
	__u8 destination[16];
};
BPFCKPT_SIZE(struct inet_datagram_record, 80);

#endif
