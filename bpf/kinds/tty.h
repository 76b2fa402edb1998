/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A terminal: an end of a pseudo terminal, or a console. */
#ifndef BPFCKPT_KINDS_TTY_H
#define BPFCKPT_KINDS_TTY_H

#include <linux/types.h>

#include "bpf/parts.h"

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

#ifdef __bpf__
#include "bpf/kernel_task.h"

/* Majors of Documentation/admin-guide/devices.txt: 4 consoles and serial lines, 5 /dev/tty and /dev/ptmx, 136 to 143
 * pseudo terminals. Terminals of other drivers are taken for character devices. */
static __always_inline bool is_tty(const struct inode_part *inode)
{
	__u32 major = (inode->rdev >> 8) & 0xfff;

	return (inode->mode & S_IFMT) == S_IFCHR && (major == 4 || major == 5 || (major >= 136 && major <= 143));
}

static __always_inline void describe_tty(const struct tty_struct *tty, __u32 level, struct tty_record *out)
{
	const struct tty_driver *driver = BPF_CORE_READ(tty, driver);
	const struct tty_driver___v61 *numbers = (const void *)driver;

	if (!driver)
		return;
	out->driver_major = BPF_CORE_READ(driver, major);
	out->minor_start = BPF_CORE_READ(driver, minor_start);
	out->index = BPF_CORE_READ(tty, index);
	if (bpf_core_field_exists(numbers->subtype)) {
		out->type = BPF_CORE_READ(numbers, type);
		out->subtype = BPF_CORE_READ(numbers, subtype);
	} else {
		out->type = BPF_CORE_READ(driver, type);
		out->subtype = BPF_CORE_READ(driver, subtype);
	}
	out->session = pid_number(BPF_CORE_READ(tty, ctrl.session), level);
	out->pgrp = pid_number(BPF_CORE_READ(tty, ctrl.pgrp), level);
	bpf_probe_read_kernel_str(out->driver, sizeof(out->driver), BPF_CORE_READ(driver, name));
}

static __always_inline void fill_tty(const struct file *file, __u32 level, struct tty_record *out)
{
	const struct tty_file_private *opened = BPF_CORE_READ(file, private_data);
	const struct tty_struct *tty = opened ? BPF_CORE_READ(opened, tty) : NULL;

	if (tty)
		describe_tty(tty, level, out);
}

#endif /* __bpf__ */

#endif
