/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A packet socket. */
#ifndef BPFCKPT_KINDS_PACKET_H
#define BPFCKPT_KINDS_PACKET_H

#include <linux/types.h>

#include "bpf/parts.h"

struct packet_record {
	__u64 pad;
};

#ifdef __bpf__
#include "bpf/kernel_sock.h"

static __always_inline void fill_packet(struct sock *sk, struct packet_record *out)
{
	(void)sk;
	out->pad = 0;
}

#endif /* __bpf__ */

#endif
