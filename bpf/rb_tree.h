/* SPDX-License-Identifier: GPL-2.0 */
/* Red-black trees of the kernel (lib/rbtree.c), in their order. */
#ifndef BPFCKPT_RB_TREE_H
#define BPFCKPT_RB_TREE_H

#include "bpf/kernel_fs.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct rb_node {
	unsigned long __rb_parent_color;
	struct rb_node *rb_right;
	struct rb_node *rb_left;
};

#pragma clang attribute pop

enum { RB_DEPTH = 64 };

struct rb_walk {
	const struct rb_node *node;
	const struct rb_node *from;
};

static long rb_go_left(__u32 i __attribute__((unused)), struct rb_walk *walk)
{
	const struct rb_node *node = walk->node; /* its own access must not be relocated */
	const struct rb_node *left = BPF_CORE_READ(node, rb_left);

	if (!left)
		return 1;
	walk->node = left;
	return 0;
}

/* Up, until we come from the left. */
static long rb_go_up(__u32 i __attribute__((unused)), struct rb_walk *walk)
{
	const struct rb_node *node = walk->node;
	const struct rb_node *up = (const void *)(BPF_CORE_READ(node, __rb_parent_color) & ~3UL);

	walk->from = node;
	walk->node = up;
	return !up || BPF_CORE_READ(up, rb_left) == walk->from;
}

/* The one that comes first below `root`, which may be NULL. */
static __always_inline const void *rb_first(const void *root)
{
	struct rb_walk walk = { .node = root };

	if (root)
		bpf_loop(RB_DEPTH, rb_go_left, &walk, 0);
	return walk.node;
}

/* The one behind it, or NULL. */
static __always_inline const void *rb_after(const void *node)
{
	struct rb_walk walk = { .node = node };
	const struct rb_node *here = node, *right = BPF_CORE_READ(here, rb_right);

	if (right) {
		walk.node = right;
		bpf_loop(RB_DEPTH, rb_go_left, &walk, 0);
	} else {
		bpf_loop(RB_DEPTH, rb_go_up, &walk, 0);
	}
	return walk.node;
}

#endif
