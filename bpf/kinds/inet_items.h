/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Multicast groups of a UDP or raw socket, and the datagrams in its queue: their headers, and their payload where it is
 * in a buffer's linear part.
 *
 * A node is a pointer whose low bits say in which of the socket's lists it is.
 */
#ifndef BPFCKPT_KINDS_INET_ITEMS_H
#define BPFCKPT_KINDS_INET_ITEMS_H

#include "bpf/kernel_inet.h"
#include "bpf/kinds/inet.h"
#include "bpf/kinds/inet_queue.h"
#include "bpf/kinds/socket.h"
#include "bpf/walks.h"

enum inet_list {
	INET_LIST_V4 = 0,
	INET_LIST_V6 = 1,
	INET_LIST_READER = 2,	/* UDP: what a reader took from the queue to look at it (net/ipv4/udp.c) */
	INET_LIST_QUEUE = 3,
	INET_LISTS = 4,
	INET_LIST_MASK = 7,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ip_sf_socklist {
	unsigned int sl_count;
	__be32 sl_addr[1];
};

struct ip_mc_socklist {
	struct ip_mc_socklist *next_rcu;
	struct {
		int imr_ifindex;
	} multi; /* struct ip_mreqn of user space: group, address, index */
	unsigned int sfmode;
	struct ip_sf_socklist *sflist;
};

struct ip6_sf_socklist {
	unsigned int sl_count;
	struct in6_addr sl_addr[1];
};

struct ipv6_mc_socklist {
	struct in6_addr addr;
	int ifindex;
	unsigned int sfmode;
	struct ipv6_mc_socklist *next;
	struct ip6_sf_socklist *sflist;
};

struct sk_buff___headers {
	unsigned char *head;
	unsigned int end;
	unsigned int len;
	unsigned int data_len;
	unsigned char *data;
	__u16 transport_header;
	__u16 network_header;
};

/* All in anonymous members of the kernel's. */
struct sk_buff___checksum {
	__u8 ip_summed : 2;
	__u8 csum_valid : 1;
	__u32 csum;
};

struct skb_shared_info {
	unsigned short gso_size;
};

#pragma clang attribute pop

static __always_inline const void *inet_tagged(const void *node, enum inet_list list)
{
	return node ? (const void *)((__u64)node | list) : NULL;
}

static __always_inline __u32 inet_list_of(const void *node)
{
	return (__u64)node & INET_LIST_MASK;
}

static __always_inline const void *inet_untagged(const void *node)
{
	return (const void *)((__u64)node & ~(__u64)INET_LIST_MASK);
}

static __always_inline const void *inet_queue_of(__u64 sock, __u32 list)
{
	if (list == INET_LIST_READER)
		return member_address(sock, struct udp_sock, reader_queue);
	return member_address(sock, struct sock, sk_receive_queue);
}

/* A raw socket has no queue but the one. */
static __always_inline bool inet_is_udp(__u64 sock)
{
	__u32 protocol = BPF_CORE_READ((const struct sock *)sock, sk_protocol);

	return BPF_CORE_READ((const struct sock *)sock, sk_type) == 2 &&
	       (protocol == PROTOCOL_OF_UDP || protocol == PROTOCOL_OF_UDPLITE);
}

/* A function of its own: in the loop over the lists the offset would be taken before it is known to be there. */
static __noinline const void *inet_v6_memberships(const struct inet_sock *inet)
{
	return BPF_CORE_READ(inet, pinet6, ipv6_mc_list);
}

static __always_inline const void *inet_list_begin(__u64 sock, __u32 list)
{
	const struct inet_sock *inet = (const void *)sock;
	const void *queue, *node;

	if (list == INET_LIST_V4)
		return BPF_CORE_READ(inet, mc_list);
	if (list == INET_LIST_V6) {
		if (BPF_CORE_READ(inet, sk.__sk_common.skc_family) != AF_INET6_FAMILY ||
		    !bpf_core_field_exists(inet->pinet6)) /* CONFIG_IPV6 */
			return NULL;
		return inet_v6_memberships(inet);
	}
	if (!inet_is_udp(sock))
		return NULL;
	queue = inet_queue_of(sock, list);
	node = read_at(const void *, queue); /* sk_buff_head begins as a buffer does */
	return node == queue ? NULL : node;
}

/* The first node of the first list from `list` on that is not empty. */
static __always_inline const void *inet_first_from(__u64 sock, __u32 list)
{
	for (__u32 i = 0; i < INET_LISTS; i++) {
		const void *node = i < list ? NULL : inet_list_begin(sock, i);

		if (node)
			return inet_tagged(node, i);
	}
	return NULL;
}

static __always_inline const void *first_inet_item(__u64 sock)
{
	return inet_first_from(sock, 0);
}

static __always_inline const void *next_inet_item(__u64 sock, const void *tagged)
{
	__u32 list = inet_list_of(tagged);
	const void *node = inet_untagged(tagged), *next;

	if (list == INET_LIST_V4) {
		next = BPF_CORE_READ((const struct ip_mc_socklist *)node, next_rcu);
	} else if (list == INET_LIST_V6) {
		next = BPF_CORE_READ((const struct ipv6_mc_socklist *)node, next);
	} else {
		next = BPF_CORE_READ((const struct sk_buff *)node, next);
		if (next == inet_queue_of(sock, list))
			next = NULL;
	}
	return next ? inet_tagged(next, list) : inet_first_from(sock, list + 1);
}

static __always_inline __u32 write_inet_membership(struct walk *walk, const void *node, bool ipv6)
{
	const struct ip_mc_socklist *v4 = node;
	const struct ipv6_mc_socklist *v6 = node;
	const void *sources = ipv6 ? (const void *)BPF_CORE_READ(v6, sflist) : (const void *)BPF_CORE_READ(v4, sflist);
	struct scratch *slot = begin_show(walk->seq);
	struct inet_membership_record *record;
	__u32 bytes, multi[3] = {};

	if (!slot)
		return 0;
	record = (void *)slot->path;
	/* Sources beyond their number are whatever was in the slot. */
	__builtin_memset(record, 0, offsetof(struct inet_membership_record, sources));
	begin_item(walk, record, RECORD_INET_ITEM);
	record->what = INET_ITEM_MEMBERSHIP;
	record->ipv6 = ipv6;
	if (ipv6) {
		bpf_probe_read_kernel(record->group, 16, member_address(v6, struct ipv6_mc_socklist, addr));
		record->interface = BPF_CORE_READ(v6, ifindex);
		record->mode = BPF_CORE_READ(v6, sfmode);
	} else {
		bpf_probe_read_kernel(multi, sizeof(multi), member_address(v4, struct ip_mc_socklist, multi));
		__builtin_memcpy(record->group, &multi[0], 4);
		record->address = multi[1];
		record->interface = multi[2];
		record->mode = BPF_CORE_READ(v4, sfmode);
	}
	if (sources) {
		record->sources_count = ipv6 ? BPF_CORE_READ((const struct ip6_sf_socklist *)sources, sl_count) :
					       BPF_CORE_READ((const struct ip_sf_socklist *)sources, sl_count);
		bytes = record->sources_count * (ipv6 ? 16 : 4);
		if (bytes > sizeof(record->sources))
			bytes = sizeof(record->sources);
		barrier_var(bytes);
		if (bytes <= sizeof(record->sources))
			bpf_probe_read_kernel(record->sources, bytes,
					      ipv6 ? member_address(sources, struct ip6_sf_socklist, sl_addr) :
						     member_address(sources, struct ip_sf_socklist, sl_addr));
	}
	bpf_seq_write(walk->seq, record, sizeof(*record));
	end_show(slot);
	return sizeof(*record);
}

/* Of the payload; the header was pulled before the buffer was queued (net/ipv4/udp.c:udp_queue_rcv_one_skb()). */
static __always_inline __u32 inet_linear_bytes(const struct sk_buff___headers *buffer)
{
	__u32 len = BPF_CORE_READ(buffer, len);

	return BPF_CORE_READ(buffer, data_len) || len > WALK_MOST_DATA ? 0 : len;
}

/* The most that the record of walk->node takes. */
static __always_inline __u32 inet_item_bytes(const struct walk *walk)
{
	__u32 list = inet_list_of(walk->node);

	if (list == INET_LIST_V4 || list == INET_LIST_V6)
		return sizeof(struct inet_membership_record);
	return sizeof(struct inet_datagram_record) + padded(inet_linear_bytes(inet_untagged(walk->node)));
}

/*
 * Is it still to be seen whether the checksum is right? Of long ones from a device that does not look at it, it is the
 * reader who does, and who drops bad ones (net/ipv4/udp.c:udp_recvmsg(), include/linux/skbuff.h:
 * skb_csum_unnecessary()).
 */
static __always_inline bool inet_is_unchecked(const struct sk_buff___checksum *buffer)
{
	enum { CHECKSUM_NONE_ = 0 };

	return BPF_CORE_READ_BITFIELD_PROBED(buffer, ip_summed) == CHECKSUM_NONE_ &&
	       !BPF_CORE_READ_BITFIELD_PROBED(buffer, csum_valid);
}

/* Returns the bytes written. */
static __always_inline __u32 write_inet_datagram(struct walk *walk, const void *node)
{
	const struct sk_buff___headers *buffer = node;
	const unsigned char *head = BPF_CORE_READ(buffer, head);
	const unsigned char *ip = head + BPF_CORE_READ(buffer, network_header);
	const void *shared = head + BPF_CORE_READ(buffer, end);
	struct inet_datagram_record record = {};
	struct scratch *slot = begin_show(walk->seq);
	__u8 header[40] = {};
	__u16 udp[4] = {};

	if (!slot)
		return 0;
	begin_item(walk, &record, RECORD_INET_ITEM);
	record.what = INET_ITEM_DATAGRAM;
	record.length = BPF_CORE_READ(buffer, len);
	record.segment = BPF_CORE_READ((const struct skb_shared_info *)shared, gso_size);
	if (inet_is_unchecked(node)) {
		record.flags |= INET_DATAGRAM_UNCHECKED;
		record.sum = BPF_CORE_READ((const struct sk_buff___checksum *)node, csum);
	}
	bpf_probe_read_kernel(udp, sizeof(udp), head + BPF_CORE_READ(buffer, transport_header));
	record.source_port = udp[0];
	record.coverage = udp[2];
	bpf_probe_read_kernel(header, 20, ip);
	if (header[0] >> 4 == 6) {
		bpf_probe_read_kernel(header, 40, ip);
		record.flags |= INET_DATAGRAM_IPV6;
		record.ttl = header[7];
		record.tos = header[0] << 4 | header[1] >> 4;
		record.flow = (header[1] & 0xf) << 16 | header[2] << 8 | header[3];
		__builtin_memcpy(record.source, header + 8, 16);
		__builtin_memcpy(record.destination, header + 24, 16);
	} else {
		__u32 address;

		record.ttl = header[8];
		record.tos = header[1];
		__builtin_memcpy(&address, header + 12, 4);
		map_address(record.source, address);
		__builtin_memcpy(&address, header + 16, 4);
		map_address(record.destination, address);
	}
	record.data_bytes = inet_linear_bytes(buffer);
	record.head.record.length += padded(record.data_bytes);
	bpf_seq_write(walk->seq, &record, sizeof(record));
	write_bytes(walk, slot, BPF_CORE_READ(buffer, data), record.data_bytes);
	end_show(slot);
	return record.head.record.length;
}

static __always_inline __u32 write_inet_item(struct walk *walk)
{
	__u32 list = inet_list_of(walk->node);
	const void *node = inet_untagged(walk->node);

	if (list == INET_LIST_V4 || list == INET_LIST_V6)
		return write_inet_membership(walk, node, list == INET_LIST_V6);
	return write_inet_datagram(walk, node);
}

#endif
