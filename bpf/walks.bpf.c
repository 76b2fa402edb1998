// SPDX-License-Identifier: GPL-2.0
/* One program a kind of list: see walks.h. */
#include "bpf/walks.h"

#include "bpf/kernel_task.h"
#include "bpf/kinds/epoll_items.h"
#include "bpf/kinds/inet_items.h"
#include "bpf/kinds/io_uring_items.h"
#include "bpf/kinds/mark_items.h"
#include "bpf/kinds/mqueue_items.h"
#include "bpf/kinds/unix_items.h"
#include "bpf/lock_items.h"

DEFINE_WALK(walk_epoll, sizeof(struct epoll_item_record), first_epoll_item, next_epoll_item, write_epoll_item)
DEFINE_WALK(walk_locks, sizeof(struct lock_record), first_lock, lock_after, write_lock)
DEFINE_WALK_IN(struct mark_walk, walk_marks, MARK_MOST_BYTES, first_mark, next_mark, write_mark)
DEFINE_WALK(walk_inet, inet_item_bytes(walk), first_inet_item, next_inet_item, write_inet_item)
DEFINE_WALK(walk_mqueues, mqueue_item_bytes(walk), first_mqueue_item, next_mqueue_item, write_mqueue_item)
DEFINE_WALK(walk_unix, unix_item_bytes(walk), first_unix_item, next_unix_item, write_unix_item)
DEFINE_WALK(walk_urings, sizeof(struct uring_item_record), first_uring_item, next_uring_item, write_uring_item)
