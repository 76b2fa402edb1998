// SPDX-License-Identifier: GPL-2.0
/*
 * The network lock: while a connection is nobody's, its packets are dropped, in and out, and the other end takes them
 * for lost on the way. An object of its own, since not every kernel takes all of its programs; which are loaded is
 * userspace/kernel/network_lock.cc's choice.
 */
#include "bpf/kernel.h"
#include "bpf/network_lock/network_lock.h"

#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "GPL";

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_IPV6 = 0x86dd,
	PROTOCOL_TCP = 6,
	/* include/uapi/linux/netfilter.h */
	NF_DROP_PACKET = 0,
	NF_ACCEPT_PACKET = 1,
	NF_HOOK_LOCAL_IN = 1,
	/* include/uapi/linux/pkt_cls.h */
	TC_DROP_PACKET = 2,
	TC_NEXT = -1,
	IPV6_EXTENSIONS = 8,	/* as many are looked through */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LOCK_MOST_CONNECTIONS);
	__type(key, struct lock_connection);
	__type(value, __u32);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lock_state);
} state SEC(".maps");

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sk_buff {
	__u32 mark;
};
struct nf_hook_state {
	__u8 hook;
	__u8 pf;
};
#pragma clang attribute pop

struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

/* since 6.4 */
extern int bpf_dynptr_from_skb(struct sk_buff *skb, __u64 flags, struct bpf_dynptr *dynptr) __ksym __weak;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *dynptr, __u32 offset, void *buffer, __u32 buffer__szk) __ksym
	__weak;

struct addresses {
	__u8 source[16];
	__u8 destination[16];
};

struct ports {
	__u16 source;
	__u16 destination;
};

static __always_inline bool is_locked(const struct addresses *addresses, const struct ports *ports, bool inward)
{
	struct lock_connection key = {};
	const struct lock_state *until;
	__u32 zero = 0;

	__builtin_memcpy(key.local, inward ? addresses->destination : addresses->source, 16);
	__builtin_memcpy(key.remote, inward ? addresses->source : addresses->destination, 16);
	key.local_port = inward ? ports->destination : ports->source;
	key.remote_port = inward ? ports->source : ports->destination;
	if (!bpf_map_lookup_elem(&connections, &key))
		return false;
	until = bpf_map_lookup_elem(&state, &zero);
	return until && bpf_ktime_get_ns() < until->until_ns;
}

static __always_inline void map_addresses(struct addresses *addresses, __u32 source, __u32 destination)
{
	__builtin_memset(addresses, 0, sizeof(*addresses));
	addresses->source[10] = addresses->source[11] = 0xff;
	addresses->destination[10] = addresses->destination[11] = 0xff;
	__builtin_memcpy(addresses->source + 12, &source, 4);
	__builtin_memcpy(addresses->destination + 12, &destination, 4);
}

struct ipv4_header {
	__u8 version_length;
	__u8 rest[8];
	__u8 protocol;
	__u16 checksum;
	__u32 source;
	__u32 destination;
};

struct ipv6_header {
	__u8 flow[4];
	__u16 length;
	__u8 next;
	__u8 hops;
	struct addresses addresses;
};

struct extension {
	__u8 next;
	__u8 length;	/* in units of 8 bytes, the first not counted */
};

/* Hop-by-hop and destination options, and routing; what else there is hides the ports for good. */
static __always_inline bool is_extension(__u8 header)
{
	return header == 0 || header == 43 || header == 60;
}

/* Both kinds of program read a packet, from its network header on, by a macro of this shape: false where that fails. */
#define DEFINE_PACKET_IS_LOCKED(name, context_type, read) \
	static __always_inline bool name(context_type *context, bool ipv6, bool inward) \
	{ \
		struct addresses addresses; \
		struct ports ports; \
		__u32 at; \
		__u8 next; \
		if (ipv6) { \
			struct ipv6_header header; \
			if (!read(context, 0, &header)) \
				return false; \
			addresses = header.addresses; \
			next = header.next; \
			at = sizeof(header); \
			for (int i = 0; i < IPV6_EXTENSIONS && is_extension(next); i++) { \
				struct extension extension; \
				if (!read(context, at, &extension)) \
					return false; \
				next = extension.next; \
				at += (extension.length + 1) * 8; \
			} \
		} else { \
			struct ipv4_header header; \
			if (!read(context, 0, &header)) \
				return false; \
			map_addresses(&addresses, header.source, header.destination); \
			next = header.protocol; \
			at = (header.version_length & 15) * 4; \
		} \
		if (next != PROTOCOL_TCP || !read(context, at, &ports)) \
			return false; \
		return is_locked(&addresses, &ports, inward); \
	}

#define read_dynptr(dynptr, offset, to) \
	({ \
		__u8 buffer_[sizeof(*(to))]; \
		const void *from_ = bpf_dynptr_slice(dynptr, offset, buffer_, sizeof(buffer_)); \
		if (from_) \
			__builtin_memcpy(to, from_, sizeof(*(to))); \
		from_ != NULL; \
	})

#define read_skb(skb, offset, to) \
	(bpf_skb_load_bytes_relative(skb, offset, to, sizeof(*(to)), BPF_HDR_START_NET) == 0)

DEFINE_PACKET_IS_LOCKED(dynptr_is_locked, struct bpf_dynptr, read_dynptr)
DEFINE_PACKET_IS_LOCKED(skb_is_locked, struct __sk_buff, read_skb)

/* Attached to LOCAL_IN and LOCAL_OUT, where fragments are put together. A section that libbpf 1.1 does not know: user
 * space says which type this is. */
SEC("lock/netfilter")
int lock_hook(struct bpf_nf_ctx *context)
{
	struct bpf_dynptr packet;

	if (context->skb->mark == LOCK_PASS_MARK || bpf_dynptr_from_skb(context->skb, 0, &packet))
		return NF_ACCEPT_PACKET;
	return dynptr_is_locked(&packet, context->state->pf == 10, context->state->hook == NF_HOOK_LOCAL_IN)
		       ? NF_DROP_PACKET
		       : NF_ACCEPT_PACKET;
}

/* Attached to every interface; passing on to the next program or classifier is 'not me'. */
static __always_inline int classify(struct __sk_buff *skb, bool inward)
{
	bool ipv6 = skb->protocol == bpf_htons(ETHERTYPE_IPV6);

	if (skb->mark == LOCK_PASS_MARK || (!ipv6 && skb->protocol != bpf_htons(ETHERTYPE_IPV4)))
		return TC_NEXT;
	return skb_is_locked(skb, ipv6, inward) ? TC_DROP_PACKET : TC_NEXT;
}

SEC("tc")
int lock_in(struct __sk_buff *skb)
{
	return classify(skb, true);
}

SEC("tc")
int lock_out(struct __sk_buff *skb)
{
	return classify(skb, false);
}
