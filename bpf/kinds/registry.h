/* SPDX-License-Identifier: GPL-2.0 */
/* Which kind a file is: one line a kind, asked in this order. */
#ifndef BPFCKPT_KINDS_REGISTRY_H
#define BPFCKPT_KINDS_REGISTRY_H

#include "bpf/kinds/aio.h"
#include "bpf/kinds/bpf_map.h"
#include "bpf/kinds/chardev.h"
#include "bpf/kinds/epoll.h"
#include "bpf/kinds/eventfd.h"
#include "bpf/kinds/mqueue.h"
#include "bpf/kinds/nsfs.h"
#include "bpf/kinds/pidfd.h"
#include "bpf/kinds/fanotify.h"
#include "bpf/kinds/inotify.h"
#include "bpf/kinds/io_uring.h"
#include "bpf/kinds/pipe.h"
#include "bpf/kinds/refused.h"
#include "bpf/kinds/procfs.h"
#include "bpf/kinds/regular.h"
#include "bpf/kinds/shmem.h"
#include "bpf/kinds/signalfd.h"
#include "bpf/kinds/socket.h"
#include "bpf/kinds/sysv_shm.h"
#include "bpf/kinds/timerfd.h"
#include "bpf/kinds/tty.h"
#include "bpf/kinds/tun.h"
#include "bpf/kinds/userfaultfd.h"
#include "bpf/records.h"

/* The common part of `record` is filled; sets kind and detail. */
static __always_inline void fill_kind(const struct file *file, __u32 level, struct file_record *record)
{
	const struct inode_part *inode = &record->inode;
	const struct path_part *path = &record->path;

	/* these may have names too */
	if (is_nsfs(inode)) {
		record->kind = FILE_KIND_NSFS;
		fill_nsfs(file, &record->detail.nsfs);
	} else if (is_mqueue(inode, record->open_mode)) {
		record->kind = FILE_KIND_MQUEUE;
		fill_mqueue(file, level, &record->detail.mqueue);
		if (path->flags & PATH_UNLINKED)
			record->list = mqueue_list(file);
		if (record->list)
			record->walk = WALK_MQUEUE;
	} else if (is_procfs(inode, path)) {
		record->kind = FILE_KIND_PROCFS;
		fill_procfs(file, level, &record->detail.procfs);
	} else if (is_regular(inode, path, record->open_mode)) {
		record->kind = FILE_KIND_REGULAR;
		fill_regular(file, &record->detail.regular);
	} else if (is_pipe(inode)) {
		record->kind = FILE_KIND_PIPE;
		fill_pipe(file, &record->detail.pipe);
	} else if (is_sysv_shm(file, inode, path)) {
		record->kind = FILE_KIND_SYSV_SHM;
		fill_sysv_shm(file, inode, level, &record->detail.sysv_shm);
	} else if (is_shmem(inode, path)) {
		record->kind = FILE_KIND_SHMEM;
		fill_shmem(file, inode, &record->detail.shmem);
	} else if (is_nameless_place(path, record->open_mode)) {
		record->kind = FILE_KIND_UNSUPPORTED;
	} else if (is_socket(inode)) {
		record->kind = FILE_KIND_SOCKET_OTHER; /* fill_socket() says more */
	} else if (is_tty(inode)) {
		record->kind = FILE_KIND_TTY;
		fill_tty(file, level, &record->detail.tty);
	} else if (is_tun(inode)) {
		record->kind = FILE_KIND_TUN;
	} else if (is_chardev(inode)) {
		record->kind = FILE_KIND_CHARDEV;
		fill_chardev(inode, &record->detail.chardev);
	} else if (is_epoll(inode, record->name)) {
		record->kind = FILE_KIND_EPOLL;
		record->walk = WALK_EPOLL;
		record->list = record->private_data;
	} else if (is_eventfd(inode, record->name)) {
		record->kind = FILE_KIND_EVENTFD;
		fill_eventfd(file, &record->detail.eventfd);
	} else if (is_bpf_map(inode, record->name)) {
		record->kind = FILE_KIND_BPF_MAP;
		fill_bpf_map(file, &record->detail.bpf_map);
	} else if (is_timerfd(inode, record->name)) {
		record->kind = FILE_KIND_TIMERFD;
		fill_timerfd(file, &record->detail.timerfd);
	} else if (is_signalfd(inode, record->name)) {
		record->kind = FILE_KIND_SIGNALFD;
		fill_signalfd(file, &record->detail.signalfd);
	} else if (is_pidfd(inode, record->name)) {
		record->kind = FILE_KIND_PIDFD;
		fill_pidfd(file, inode, level, &record->detail.pidfd);
	} else if (is_userfaultfd(inode, record->name)) {
		record->kind = FILE_KIND_USERFAULTFD;
		fill_userfaultfd(file, &record->detail.userfaultfd);
	} else if (is_aio(inode)) {
		record->kind = FILE_KIND_AIO;
	} else if (is_blockdev(inode)) {
		record->kind = FILE_KIND_BLOCKDEV;
		fill_chardev(inode, &record->detail.chardev);
	} else if (is_inotify(inode, record->name)) {
		record->kind = FILE_KIND_INOTIFY;
		record->walk = WALK_MARKS;
		record->list = record->private_data;
		fill_inotify(record->private_data, &record->detail.inotify);
	} else if (is_fanotify(inode, record->name)) {
		record->kind = FILE_KIND_FANOTIFY;
		record->walk = WALK_MARKS;
		record->list = record->private_data;
		fill_fanotify(record->private_data, &record->detail.fanotify);
	} else if (is_io_uring(inode, record->name)) {
		record->kind = FILE_KIND_IO_URING;
		record->walk = WALK_URING;
		record->list = record->private_data;
		fill_io_uring(file, level, &record->detail.io_uring);
	} else {
		record->kind = refused_kind(record);
	}
}

#endif
