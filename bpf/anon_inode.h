/* SPDX-License-Identifier: GPL-2.0 */
/* Files on the kernel's one anonymous inode (fs/anon_inodes.c): their names tell them apart. */
#ifndef BPFCKPT_ANON_INODE_H
#define BPFCKPT_ANON_INODE_H

#include "bpf/kernel_fs.h"
#include "bpf/parts.h"

/* `name` is file_record.name, `literal` what the kernel gave to anon_inode_getfile(). */
#define is_anon_inode(inode, name, literal) \
	((inode)->magic == ANON_INODE_FS_MAGIC && !__builtin_memcmp((name), (literal), sizeof(literal)))

#endif
