/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A TCP, UDP, UDP-Lite, ICMP or raw socket. */
#ifndef BPFCKPT_KINDS_INET_H
#define BPFCKPT_KINDS_INET_H

#include <linux/types.h>

#include "bpf/parts.h"

enum inet_flags {
	INET_IPV6_ONLY = 1,
	INET_IP_OPTIONS = 2,		/* IP_OPTIONS, or headers of IPV6_RTHDR and its like, go with each packet */
	INET_MEMBERSHIPS = 4,		/* of multicast groups */
	INET_ANYCAST = 8,		/* IPV6_JOIN_ANYCAST */
	INET_CORKED = 16,		/* UDP: a datagram is being put together */
	INET_REUSEPORT_PROGRAM = 32,	/* SO_ATTACH_REUSEPORT_CBPF, _EBPF */
	TCP_HAS_TIMESTAMPS = 1 << 8,
	TCP_HAS_WINDOW_SCALE = 1 << 9,
	TCP_HAS_SACK = 1 << 10,
	TCP_TIMESTAMPS_US = 1 << 11,	/* in microseconds, instead of milliseconds */
	TCP_HAS_ULP = 1 << 12,		/* kTLS and its like */
	TCP_SIGNED = 1 << 13,		/* TCP_MD5SIG, TCP_AO */
	TCP_MULTIPATH = 1 << 14,	/* a subflow of MPTCP */
	TCP_URGENT = 1 << 15,		/* an urgent byte was announced, and is not read */
	TCP_IN_REPAIR = 1 << 16,
	TCP_FAST_OPEN = 1 << 17,	/* a handshake that carries data is under way */
};

enum { INET_OPTION_WORDS = 20 };

struct inet_record {
	__u8 local[16];		/* IPv4 is mapped (::ffff:a.b.c.d), in these three */
	__u8 bound[16];		/* what bind(2) was given; zeroes, or ::ffff:0.0.0.0: any */
	__u8 remote[16];
	__u16 local_port;	/* network order, in these three */
	__u16 bound_port;	/* 0: it was never bound, or is not any more */
	__u16 remote_port;
	__u16 user_mss;		/* TCP_MAXSEG as it was set */
	__u32 flags;		/* enum inet_flags */
	__u32 reader_queue;	/* UDP: buffers that are queued beyond socket_record.queued */
	/* TCP; the numbers are sequence numbers */
	__u32 received;		/* rcv_nxt */
	__u32 read;		/* copied_seq */
	__u32 acknowledged;	/* snd_una */
	__u32 written;		/* write_seq */
	__u32 window_update;	/* rcv_wup: what was received when the window was last told */
	__u32 receive_window;	/* told then */
	__u32 send_window;
	__u32 max_window;	/* the largest send_window ever */
	__u32 window_segment;	/* snd_wl1: whose segment told send_window */
	__u32 window_clamp;
	__u32 timestamp;	/* the next packet's */
	__u16 mss_clamp;
	__u8 send_scale;
	__u8 receive_scale;
	/* All that options change: sockets in which these words are the same have the same options. */
	__u64 options[INET_OPTION_WORDS];
};
BPFCKPT_SIZE(struct inet_record, 272);

#ifdef __bpf__
#include "bpf/kernel_inet.h"

#include <bpf/bpf_endian.h>

enum { AF_INET6_FAMILY = 10, PROTOCOL_OF_TCP = 6, PROTOCOL_OF_UDP = 17, PROTOCOL_OF_UDPLITE = 136 };

static __always_inline void map_address(__u8 *out, __u32 address)
{
	out[10] = out[11] = 0xff;
	__builtin_memcpy(out + 12, &address, 4);
}

#define read_member(type, pointer, structure, member) read_at(type, member_address(pointer, structure, member))

static __always_inline void fill_inet_options(const struct inet_sock *inet, const struct ipv6_pinfo *v6, __u64 *words)
{
	/* tos, min_ttl, mc_ttl, pmtudisc */
	words[0] = read_member(__u32, inet, struct inet_sock, tos);
	if (bpf_core_field_exists(((struct inet_sock___v66 *)0)->inet_flags))
		words[1] = read_member(__u64, inet, struct inet_sock___v66, inet_flags);
	else
		words[1] = (__u64)read_member(__u16, inet, struct inet_sock___v61, cmsg_flags) << 32 |
			   read_at(__u16, member_address(inet, struct inet_sock, pmtudisc) + 1);
	words[2] = (__u64)(__u16)read_member(short, inet, struct inet_sock, uc_ttl) << 32 |
		   read_member(__u32, inet, struct inet_sock, uc_index);
	words[3] = (__u64)read_member(__u32, inet, struct inet_sock, mc_index) << 32 |
		   read_member(__u32, inet, struct inet_sock, mc_addr);
	if (bpf_core_field_exists(((struct inet_sock___range *)0)->local_port_range))
		words[4] = read_member(__u32, inet, struct inet_sock___range, local_port_range);
	if (!v6)
		return;
	{
		/* All settings lie together; what is put among them, no option changes. */
		__u32 end = bpf_core_field_offset(struct ipv6_pinfo, rcv_flowinfo);
		__u32 begin = bpf_core_field_offset(struct ipv6_pinfo, sticky_pktinfo) <
					      bpf_core_field_offset(struct ipv6_pinfo, flow_label)
				      ? bpf_core_field_offset(struct ipv6_pinfo, frag_size)
				      : bpf_core_field_offset(struct ipv6_pinfo, opt) + 8;
		__u32 length = end - begin;

		barrier_var(length);
		if (length > 48)
			length = 48;
		bpf_probe_read_kernel(&words[5], length, (const void *)v6 + begin);
	}
	words[11] = read_member(__u32, v6, struct ipv6_pinfo, flow_label) |
		    (__u64)read_member(__u32, v6, struct ipv6_pinfo, sticky_pktinfo.ipi6_ifindex) << 32;
}

static __always_inline void fill_tcp(struct tcp_sock *tp, struct inet_record *out)
{
	const struct inet_connection_sock *icsk = &tp->inet_conn;
	__u64 *words = &out->options[12];
	__u64 now = bpf_ktime_get_ns();

	out->received = tp->rcv_nxt;
	out->read = tp->copied_seq;
	out->acknowledged = tp->snd_una;
	out->written = tp->write_seq;
	out->window_update = tp->rcv_wup;
	out->receive_window = tp->rcv_wnd;
	out->send_window = tp->snd_wnd;
	out->max_window = tp->max_window;
	out->window_segment = tp->snd_wl1;
	out->window_clamp = tp->window_clamp;
	out->user_mss = tp->rx_opt.user_mss;
	out->mss_clamp = tp->rx_opt.mss_clamp;
	out->send_scale = BPF_CORE_READ_BITFIELD(tp, rx_opt.snd_wscale);
	out->receive_scale = BPF_CORE_READ_BITFIELD(tp, rx_opt.rcv_wscale);
	if (BPF_CORE_READ_BITFIELD(tp, rx_opt.tstamp_ok))
		out->flags |= TCP_HAS_TIMESTAMPS;
	if (BPF_CORE_READ_BITFIELD(tp, rx_opt.wscale_ok))
		out->flags |= TCP_HAS_WINDOW_SCALE;
	if (BPF_CORE_READ_BITFIELD(tp, rx_opt.sack_ok))
		out->flags |= TCP_HAS_SACK;
	if (BPF_CORE_READ_BITFIELD(tp, repair))
		out->flags |= TCP_IN_REPAIR;
	if (bpf_core_field_exists(((struct tcp_sock___usec *)0)->tcp_usec_ts) &&
	    BPF_CORE_READ_BITFIELD((struct tcp_sock___usec *)tp, tcp_usec_ts))
		out->flags |= TCP_TIMESTAMPS_US;
	/* net/ipv4/tcp_output.c: tcp_clock_ts() */
	out->timestamp = tp->tsoffset + (out->flags & TCP_TIMESTAMPS_US ? now / 1000 : now / 1000000);
	if (icsk->icsk_ulp_ops)
		out->flags |= TCP_HAS_ULP;
	if (bpf_core_field_exists(tp->md5sig_info) && tp->md5sig_info)
		out->flags |= TCP_SIGNED;
	if (bpf_core_field_exists(((struct tcp_sock___ao *)0)->ao_info) &&
	    BPF_CORE_READ((struct tcp_sock___ao *)tp, ao_info))
		out->flags |= TCP_SIGNED;
	if (bpf_core_field_exists(tp->is_mptcp) && tp->is_mptcp)
		out->flags |= TCP_MULTIPATH;
	if (tp->urg_data)
		out->flags |= TCP_URGENT;
	if (tp->fastopen_rsk || tp->fastopen_req)
		out->flags |= TCP_FAST_OPEN;
	words[0] = BPF_CORE_READ_BITFIELD(tp, nonagle) | BPF_CORE_READ_BITFIELD(tp, recvmsg_inq) << 4 |
		   BPF_CORE_READ_BITFIELD(tp, thin_lto) << 5 | BPF_CORE_READ_BITFIELD(tp, fastopen_connect) << 6 |
		   BPF_CORE_READ_BITFIELD(tp, fastopen_no_cookie) << 7 |
		   BPF_CORE_READ_BITFIELD(tp, save_syn) << 8 | (__u64)tp->keepalive_probes << 16 |
		   (__u64)icsk->icsk_syn_retries << 24 | (__u64)icsk->icsk_accept_queue.rskq_defer_accept << 32;
	words[1] = tp->notsent_lowat | (__u64)tp->tcp_tx_delay << 32;
	words[2] = tp->keepalive_time | (__u64)tp->keepalive_intvl << 32;
	words[3] = (__u32)tp->linger2 | (__u64)icsk->icsk_user_timeout << 32;
	words[4] = (__u64)icsk->icsk_ca_ops;
	words[5] = icsk->icsk_accept_queue.fastopenq.max_qlen;
	/* What a route says of them is not the socket's; what nobody changed is the same in all. */
	words[6] = icsk->icsk_rto_min | (__u64)icsk->icsk_delack_max << 32;
	if (bpf_core_field_exists(((struct inet_connection_sock___rto *)0)->icsk_rto_max))
		words[7] = BPF_CORE_READ((struct inet_connection_sock___rto *)icsk, icsk_rto_max);
}

static __always_inline void fill_inet(struct sock *sk, struct inet_record *out)
{
	const struct inet_sock *inet = (const void *)sk;
	const struct ipv6_pinfo *v6 = NULL;
	const void *common = (const void *)sk;
	const struct sock_reuseport *reuseport = BPF_CORE_READ((const struct sock___reuseport *)sk, sk_reuseport_cb);
	__u32 protocol = sk->sk_protocol;
	struct tcp_sock *tp;

	out->local_port = read_member(__u16, inet, struct inet_sock, inet_sport);
	out->bound_port = bpf_htons(read_member(__u16, common, struct sock_common___addresses, skc_num));
	out->remote_port = read_member(__u16, common, struct sock_common___addresses, skc_dport);
	if (sk->__sk_common.skc_family == AF_INET6_FAMILY && bpf_core_field_exists(inet->pinet6)) {
		v6 = read_member(const struct ipv6_pinfo *, inet, struct inet_sock, pinet6);
		bpf_probe_read_kernel(out->local, 16, member_address(v6, struct ipv6_pinfo, saddr));
		bpf_probe_read_kernel(out->bound, 16,
				      member_address(common, struct sock_common___addresses, skc_v6_rcv_saddr));
		bpf_probe_read_kernel(out->remote, 16,
				      member_address(common, struct sock_common___addresses, skc_v6_daddr));
		if (BPF_CORE_READ_BITFIELD(&sk->__sk_common, skc_ipv6only))
			out->flags |= INET_IPV6_ONLY;
		if (BPF_CORE_READ(v6, opt))
			out->flags |= INET_IP_OPTIONS;
		if (BPF_CORE_READ(v6, ipv6_mc_list))
			out->flags |= INET_MEMBERSHIPS;
		if (BPF_CORE_READ(v6, ipv6_ac_list))
			out->flags |= INET_ANYCAST;
	} else {
		map_address(out->local, read_member(__u32, inet, struct inet_sock, inet_saddr));
		map_address(out->bound, read_member(__u32, common, struct sock_common___addresses, skc_rcv_saddr));
		map_address(out->remote, read_member(__u32, common, struct sock_common___addresses, skc_daddr));
	}
	if (BPF_CORE_READ(inet, inet_opt))
		out->flags |= INET_IP_OPTIONS;
	if (BPF_CORE_READ(inet, mc_list))
		out->flags |= INET_MEMBERSHIPS;
	if (reuseport && BPF_CORE_READ(reuseport, prog))
		out->flags |= INET_REUSEPORT_PROGRAM;
	fill_inet_options(inet, v6, out->options);
	if (protocol == PROTOCOL_OF_TCP && sk->sk_type == 1) {
		tp = bpf_skc_to_tcp_sock(sk);
		if (tp)
			fill_tcp(tp, out);
	} else if (sk->sk_type == 2 && (protocol == PROTOCOL_OF_UDP || protocol == PROTOCOL_OF_UDPLITE)) {
		out->reader_queue = BPF_CORE_READ((const struct udp_sock *)sk, reader_queue.qlen);
		if (BPF_CORE_READ((const struct udp_sock *)sk, pending))
			out->flags |= INET_CORKED;
	}
}

#endif /* __bpf__ */

#endif
