/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A character device that is no terminal: inode.rdev says which. */
#ifndef BPFCKPT_KINDS_CHARDEV_H
#define BPFCKPT_KINDS_CHARDEV_H

#include <linux/types.h>

struct chardev_record {
	__u32 major;
	__u32 minor;
};

#endif
