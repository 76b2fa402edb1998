/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A terminal: an end of a pseudo terminal, or a console. */
#ifndef BPFCKPT_KINDS_TTY_H
#define BPFCKPT_KINDS_TTY_H

#include <linux/types.h>

struct tty_record {
	__u32 driver_major;	/* 0: no terminal (hung up) */
	__u32 minor_start;
	__u32 index;
	__u32 type;		/* TTY_DRIVER_TYPE_*: 4 is PTY */
	__u32 subtype;		/* PTY: 1 master, 2 slave */
	__u32 session;
	__u32 pgrp;		/* foreground group */
	__u32 pad;
	char driver[16];	/* name */
};

#endif
