/* SPDX-License-Identifier: GPL-2.0 */
/* Sockets of the Internet families: see kernel.h. */
#ifndef BPFCKPT_KERNEL_INET_H
#define BPFCKPT_KERNEL_INET_H

#include "bpf/kernel_sock.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	__u8 bytes[16];
};

struct ipv6_pinfo {
	struct in6_addr saddr;
	__be32 flow_label;
	struct ipv6_txoptions *opt;
	__u32 frag_size;
	__be32 rcv_flowinfo;
	struct {
		int ipi6_ifindex;
	} sticky_pktinfo;
	struct ipv6_mc_socklist *ipv6_mc_list;
	struct ipv6_ac_socklist *ipv6_ac_list;
};

/* Addresses and ports in sock_common are in anonymous unions: a flavour of their own. */
struct sock_common___addresses {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct inet_sock {
	struct sock sk;
	struct ipv6_pinfo *pinet6;
	__be32 inet_saddr;
	short uc_ttl;
	__be16 inet_sport;
	struct ip_options_rcu *inet_opt;
	__u8 tos, min_ttl, mc_ttl, pmtudisc, rcv_tos;
	int uc_index;
	int mc_index;
	__be32 mc_addr;
	struct ip_mc_socklist *mc_list;
};

/* since 6.6 ("inet: introduce inet->inet_flags"); before, bits between pmtudisc and rcv_tos */
struct inet_sock___v66 {
	unsigned long inet_flags;
};

/* up to 6.6 */
struct inet_sock___v61 {
	__u16 cmsg_flags;
};

/* since 6.3; a pair of __u16 up to 6.8 */
struct inet_sock___range {
	__u32 local_port_range;
};

struct tcp_congestion_ops;
struct tcp_ulp_ops;

struct request_sock_queue {
	__u8 rskq_defer_accept;
	struct {
		int max_qlen;
	} fastopenq;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct request_sock_queue icsk_accept_queue;
	const struct tcp_congestion_ops *icsk_ca_ops;
	const struct tcp_ulp_ops *icsk_ulp_ops;
	__u8 icsk_syn_retries;
	__u32 icsk_user_timeout;
	__u32 icsk_rto_min;
	__u32 icsk_delack_max;
};

/* since 6.15 ("tcp: add TCP_RTO_MAX_MS socket option") */
struct inet_connection_sock___rto {
	__u32 icsk_rto_max;
};

struct tcp_options_received {
	__u16 tstamp_ok : 1;
	__u16 wscale_ok : 1;
	__u16 sack_ok : 3;
	__u16 snd_wscale : 4;
	__u16 rcv_wscale : 4;
	__u16 user_mss;
	__u16 mss_clamp;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 max_window;
	__u32 notsent_lowat;
	__u32 tsoffset;
	__u32 snd_wnd;
	__u8 repair : 1;
	__u8 recvmsg_inq : 1;
	__u32 copied_seq;
	__u32 snd_wl1;
	__u16 urg_data;
	__u32 write_seq;
	__u8 nonagle : 4;
	__u32 rcv_nxt;
	__u32 snd_nxt;
	__u32 snd_una;
	__u32 window_clamp;
	__u32 rcv_wnd;
	struct tcp_options_received rx_opt;
	__u32 rcv_wup;
	__u8 thin_lto : 1;
	__u8 fastopen_connect : 1;
	__u8 fastopen_no_cookie : 1;
	__u8 save_syn : 2;
	__u8 keepalive_probes;
	__u32 tcp_tx_delay;
	unsigned int keepalive_time;
	unsigned int keepalive_intvl;
	int linger2;
	bool is_mptcp;
	struct tcp_md5sig_info *md5sig_info;
	struct request_sock *fastopen_rsk;
	struct tcp_fastopen_request *fastopen_req;
};

/* since 6.7 ("net: tcp: add TCP-AO"), where it is configured */
struct tcp_sock___ao {
	struct tcp_ao_info *ao_info;
};

/* since 6.7 ("tcp: add support for usec resolution in TCP TS values") */
struct tcp_sock___usec {
	__u8 tcp_usec_ts : 1;
};

struct udp_sock {
	struct inet_sock inet;
	int pending;
	struct sk_buff_head reader_queue;
};

struct sock___reuseport {
	struct sock_reuseport *sk_reuseport_cb;
};

struct sock_reuseport {
	struct bpf_prog *prog;
};

#pragma clang attribute pop

#endif
