/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Handles on state of the kernel that cannot be read back or made again: known by name, so as to be refused by name. */
#ifndef BPFCKPT_KINDS_REFUSED_H
#define BPFCKPT_KINDS_REFUSED_H

#ifdef __bpf__
#include "bpf/kinds/anon.h"
#include "bpf/records.h"

/* FILE_KIND_*; 0: none of these */
static __always_inline __u32 refused_kind(const struct file_record *record)
{
	if (record->inode.magic != ANON_INODE_FS_MAGIC)
		return FILE_KIND_UNSUPPORTED;
	if (is_anonymous(&record->inode, record->name, "[perf_event]"))
		return FILE_KIND_PERF_EVENT;
	if (is_anonymous(&record->inode, record->name, "[landlock-ruleset]"))
		return FILE_KIND_LANDLOCK;
	if (is_anonymous(&record->inode, record->name, "seccomp notify"))
		return FILE_KIND_SECCOMP_NOTIFY;
	/* programs, links, iterators, statistics: "bpf-prog", "bpf_link", "bpf_iter", "bpf-stats"; maps were asked for */
	if (same_bytes(record->name, "bpf", 3) || same_bytes(record->name, "btf", 4))
		return FILE_KIND_BPF_OTHER;
	return FILE_KIND_UNSUPPORTED;
}

#endif /* __bpf__ */

#endif
