/* SPDX-License-Identifier: GPL-2.0 */
/* Paths, inodes and files into records. */
#ifndef BPFCKPT_FILES_H
#define BPFCKPT_FILES_H

#include "bpf/emit.h"
#include "bpf/kernel_fs.h"
#include "bpf/kernel_task.h"
#include "bpf/kinds/registry.h"
#include "bpf/kinds/unix_message.h"
#include "bpf/locks.h"

/* What is reached by walking from the iterator's own objects is read directly: the kernel guards such loads, and they
 * cost a fraction of bpf_probe_read_kernel().
 *
 * `path` must be reached by walking from the iterator's own objects: bpf_d_path() takes nothing else. `string` gets
 * part->length bytes. */
static __always_inline void fill_place(const struct path *path, struct path_part *part)
{
	struct dentry *dentry = path->dentry;
	struct vfsmount *mnt = path->mnt;
	struct inode *inode = dentry->d_inode;
	bool root = dentry->d_parent == dentry;

	part->dentry = (__u64)dentry;
	part->mount_id = mount_id(mnt);
	part->mount_flags = mnt->mnt_flags;
	if (inode) {
		part->inode = inode_number(inode);
		part->device = user_device(inode->i_sb->s_dev);
		part->mode = inode->i_mode;
	}
	/* include/linux/dcache.h:d_unlinked(), which is what makes d_path() say " (deleted)" */
	if (!root && !dentry->d_hash.pprev)
		part->flags |= PATH_UNLINKED;
	/* what d_path() asks before it lets the file system make up a name */
	if (root && mnt->mnt_root != dentry)
		part->flags |= PATH_PSEUDO;
}

static __always_inline void fill_path(struct path *path, struct path_part *part, char *string)
{
	long length = bpf_d_path(path, string, RECORD_PATH_MAX);

	fill_place(path, part);
	if (length > 0 && length <= RECORD_PATH_MAX)
		part->length = length;
	else
		part->flags |= PATH_FAILED;
}

static __always_inline void fill_inode(struct inode *inode, struct inode_part *part)
{
	part->pointer = (__u64)inode;
	part->number = inode_number(inode);
	part->size = inode->i_size;
	part->magic = inode->i_sb->s_magic;
	part->mtime_ns = inode_mtime_ns(inode);
	part->device = user_device(inode->i_sb->s_dev);
	part->rdev = user_device(inode->i_rdev);
	part->mode = inode->i_mode;
	part->links = inode->i_nlink;
	part->uid = inode->i_uid.val;
	part->gid = inode->i_gid.val;
	part->generation = inode->i_generation;
}

static __always_inline void fill_owner(struct file *file, __u32 level, struct file_record *record)
{
	const struct fown_struct *owner;

	/* The flavour's field is a structure where it is embedded; field_exists compares the kinds too. */
	if (bpf_core_field_exists(((struct file___v61 *)0)->f_owner))
		owner = member_address(file, struct file___v61, f_owner);
	else
		owner = BPF_CORE_READ(file, f_owner);
	if (!owner)
		return;
	/* F_SETSIG needs no owner. */
	record->owner_signal = BPF_CORE_READ(owner, signum);
	if (!BPF_CORE_READ(owner, pid))
		return;
	record->owner_pid = pid_number(BPF_CORE_READ(owner, pid), level);
	record->owner_type = BPF_CORE_READ(owner, pid_type);
	record->owner_uid = BPF_CORE_READ(owner, uid.val);
	record->owner_euid = BPF_CORE_READ(owner, euid.val);
}

/* The socket behind the file, into slot->socket; the path of a unix socket's node, into slot->path2; what is in its
 * queue into slot->near, where it is `with_messages`. */
static __always_inline void fill_socket(struct file *file, __u32 level, bool with_messages, struct scratch *slot,
					struct file_record *record)
{
	struct socket_record *part = &slot->socket;
	struct socket *socket = bpf_sock_from_file(file);
	struct unix_sock *un;
	struct sock *sk;

	if (!socket)
		return;
	sk = socket->sk;
	if (!sk)
		return;
	__builtin_memset(part, 0, sizeof(*part));
	slot->near.count = 0;
	record->socket_bytes = sizeof(*part);
	fill_common_socket(socket, sk, level, part);
	record->kind = socket_kind(part);
	if (record->kind == FILE_KIND_UNIX) {
		un = bpf_skc_to_unix_sock(sk);
		if (!un)
			return;
		fill_unix(un, &part->detail.un);
		if (un->path.dentry) {
			part->detail.un.flags |= UNIX_HAS_NODE;
			fill_path(&un->path, &part->detail.un.node, slot->path2);
			part->detail.un.node_uid = un->path.dentry->d_inode->i_uid.val;
			part->detail.un.node_gid = un->path.dentry->d_inode->i_gid.val;
			record->socket_bytes += padded(part->detail.un.node.length);
		}
		record->list = part->sock;
		if (part->queued && !(with_messages && fill_near_messages(un, level, &slot->near)))
			record->walk = WALK_UNIX;
	} else if (record->kind == FILE_KIND_NETLINK) {
		fill_netlink(sk, &part->detail.netlink);
	} else if (record->kind == FILE_KIND_PACKET) {
		fill_packet(sk, &part->detail.packet);
	} else if (record->kind != FILE_KIND_SOCKET_OTHER) {
		fill_inet(sk, &part->detail.inet);
		record->list = part->sock;
		if (record->kind != FILE_KIND_TCP &&
		    ((part->detail.inet.flags & INET_MEMBERSHIPS) || part->queued || part->detail.inet.reader_queue))
			record->walk = WALK_INET;
	}
}

/* Is it what a stacked file system opened below? FMODE_BACKING marks it since 6.5; before, it can be told by its path,
 * which is the one that was opened, and its inode, which is the one underneath. */
static __always_inline bool is_backing(const struct file *file)
{
	return (file->f_mode & FMODE_BACKING) ||
	       ((file->f_inode->i_mode & S_IFMT) == S_IFREG && file->f_path.dentry->d_inode != file->f_inode);
}

/* Writes the file_record of `file`, and of a socket that is open as `fd` the messages that wait there; `file` as for
 * fill_path(). */
static __always_inline void write_file(struct seq_file *seq, struct scratch *slot, struct file *file, __u32 tgid,
				       __s32 fd, __u64 table, bool close_on_exec)
{
	struct file_record *record = &slot->file;
	const bool with_messages = table != 0; /* a constant, where it is false */
	__u32 level = reader_level();

	begin_record(record, RECORD_FILE);
	record->table = table;
	record->file = (__u64)file;
	record->tgid = tgid;
	record->fd = fd;
	record->operations = (__u64)file->f_op;
	record->private_data = (__u64)file->private_data;
	record->locks = (__u64)file->f_inode->i_flctx;
	record->epoll_items = (__u64)file->f_ep;
	record->position = file->f_pos;
	record->open_flags = file->f_flags;
	record->open_mode = file->f_mode;
	if (close_on_exec)
		record->flags |= FILE_CLOEXEC;
	if (record->locks && has_locks(record->locks))
		record->flags |= FILE_LOCKED;
	if (is_backing(file))
		record->flags |= FILE_BACKING;
	fill_inode(file->f_inode, &record->inode);
	if (record->inode.magic == HUGETLBFS_MAGIC)
		record->flags |= FILE_HUGETLB;
	if (is_socket(&record->inode)) {
		/* "socket:[7]" is said by the inode's number, and there may be many. */
		fill_place(&file->f_path, &record->path);
	} else {
		fill_path(&file->f_path, &record->path, slot->path);
		bpf_probe_read_kernel_str(record->name, sizeof(record->name), file->f_path.dentry->d_name.name);
	}
	fill_owner(file, level, record);
	fill_kind(file, level, record);
	if (record->kind == FILE_KIND_SOCKET_OTHER)
		fill_socket(file, level, with_messages, slot, record);
	record->head.length += padded(record->path.length) + record->socket_bytes;
	write_record(seq, record);
	write_trailing(seq, slot->path, record->path.length);
	if (!record->socket_bytes)
		return;
	bpf_seq_write(seq, &slot->socket, sizeof(slot->socket));
	if (record->kind == FILE_KIND_UNIX)
		write_trailing(seq, slot->path2, slot->socket.detail.un.node.length);
	if (with_messages)
		write_near_messages(seq, &slot->near, slot->path);
}

#endif
