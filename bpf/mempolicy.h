/* SPDX-License-Identifier: GPL-2.0 */
/* Memory policies of tasks and mappings: mm/mempolicy.c. */
#ifndef BPFCKPT_MEMPOLICY_H
#define BPFCKPT_MEMPOLICY_H

#include "bpf/kernel.h"
#include "bpf/records.h"

enum {
	MPOL_LOCAL_ = 4,		/* has no nodes, and the field is not set (mm/mempolicy.c:mpol_set_nodemask()) */
	MPOL_F_USER_NODES = 3 << 14,	/* MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES: what was asked for is kept */
	NODEMASK_WORDS = 16,		/* MAX_NUMNODES is 1024 at most */
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	unsigned long bits[1];
} nodemask_t;

struct mempolicy {
	unsigned short mode, flags;
	nodemask_t nodes;
	int home_node;
	union {
		nodemask_t user_nodemask;
	} w;
};

#pragma clang attribute pop

static __always_inline void fill_mempolicy(const struct mempolicy *policy, struct mempolicy_part *out)
{
	__u32 words = bpf_core_field_size(policy->nodes) / sizeof(__u64);
	const void *nodes;

	if (!policy)
		return;
	out->present = 1;
	out->mode = BPF_CORE_READ(policy, mode);
	out->flags = BPF_CORE_READ(policy, flags);
	out->home_node = BPF_CORE_READ(policy, home_node);
	if (out->mode == MPOL_LOCAL_)
		return;
	if (out->flags & MPOL_F_USER_NODES)
		nodes = member_address(policy, struct mempolicy, w.user_nodemask);
	else
		nodes = member_address(policy, struct mempolicy, nodes);
	out->nodes = read_at(__u64, nodes);
	for (__u32 i = 1; i < NODEMASK_WORDS && i < words; i++)
		if (read_at(__u64, nodes + i * sizeof(__u64)))
			out->more_nodes = 1;
}

#endif
