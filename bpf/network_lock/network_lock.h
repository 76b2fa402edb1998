/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the network lock's programs and user space share. */
#ifndef BPFCKPT_NETWORK_LOCK_H
#define BPFCKPT_NETWORK_LOCK_H

#include "bpf/parts.h"

/* A connection, from its own end; IPv4 addresses are mapped (::ffff:a.b.c.d). All in network byte order. */
struct lock_connection {
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
};
BPFCKPT_SIZE(struct lock_connection, 36);

/* Until when the lock holds. What is attached by links goes with who holds them; a classifier stays where it is. */
struct lock_state {
	__u64 until_ns;		/* CLOCK_MONOTONIC */
};

enum {
	LOCK_MOST_CONNECTIONS = 1 << 20,
	/* Packets with this mark pass: those by which a restore gives a connection the end that it had seen. */
	LOCK_PASS_MARK = 0x62706663,
};

#endif
