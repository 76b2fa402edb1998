/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A TCP, UDP, UDP-Lite, ICMP or raw socket. */
#ifndef BPFCKPT_KINDS_INET_H
#define BPFCKPT_KINDS_INET_H

#include <linux/types.h>

#include "bpf/parts.h"

struct inet_record {
	__u64 pad;
};

#ifdef __bpf__
#include "bpf/kernel_sock.h"

static __always_inline void fill_inet(struct sock *sk, struct inet_record *out)
{
	(void)sk;
	out->pad = 0;
}

#endif /* __bpf__ */

#endif
