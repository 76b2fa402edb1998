/* SPDX-License-Identifier: GPL-2.0 */
/* Credentials: cred_record. */
#ifndef BPFCKPT_TASK_CRED_H
#define BPFCKPT_TASK_CRED_H

#include "bpf/emit.h"
#include "bpf/kernel_task.h"

static __always_inline __u64 capabilities(const struct cred *cred, __u64 offset)
{
	return read_at(__u64, (const void *)cred + offset);
}

static __always_inline __u32 keys_in(const struct key *keyring)
{
	return keyring ? BPF_CORE_READ(keyring, keys.nr_leaves_on_tree) : 0;
}

static __always_inline void fill_keys(const struct cred *cred, struct cred_record *record)
{
	if (!bpf_core_field_exists(cred->session_keyring))
		return;
	record->session_keyring = (__u64)BPF_CORE_READ(cred, session_keyring);
	record->session_keys = keys_in(BPF_CORE_READ(cred, session_keyring));
	record->own_keys = keys_in(BPF_CORE_READ(cred, thread_keyring)) + keys_in(BPF_CORE_READ(cred, process_keyring));
}

static __always_inline void write_cred(struct seq_file *seq, struct scratch *slot, struct task_struct *task, __u32 level)
{
	struct cred_record *record = &slot->cred;
	const struct cred *cred = BPF_CORE_READ(task, cred);
	const struct group_info *groups = BPF_CORE_READ(cred, group_info);
	__u32 bytes;

	begin_record(record, RECORD_CRED);
	record->cred = (__u64)cred;
	record->tid = pid_number(BPF_CORE_READ(task, thread_pid), level);
	record->ruid = BPF_CORE_READ(cred, uid.val);
	record->euid = BPF_CORE_READ(cred, euid.val);
	record->suid = BPF_CORE_READ(cred, suid.val);
	record->fsuid = BPF_CORE_READ(cred, fsuid.val);
	record->rgid = BPF_CORE_READ(cred, gid.val);
	record->egid = BPF_CORE_READ(cred, egid.val);
	record->sgid = BPF_CORE_READ(cred, sgid.val);
	record->fsgid = BPF_CORE_READ(cred, fsgid.val);
	record->securebits = BPF_CORE_READ(cred, securebits);
	record->cap_inheritable = capabilities(cred, bpf_core_field_offset(struct cred, cap_inheritable));
	record->cap_permitted = capabilities(cred, bpf_core_field_offset(struct cred, cap_permitted));
	record->cap_effective = capabilities(cred, bpf_core_field_offset(struct cred, cap_effective));
	record->cap_bounding = capabilities(cred, bpf_core_field_offset(struct cred, cap_bset));
	record->cap_ambient = capabilities(cred, bpf_core_field_offset(struct cred, cap_ambient));
	if (bpf_core_field_exists(cred->security))
		bpf_probe_read_kernel(record->security, sizeof(record->security), BPF_CORE_READ(cred, security));
	fill_keys(cred, record);
	record->groups = BPF_CORE_READ(groups, ngroups);
	bytes = record->groups * sizeof(__u32);
	if (record->groups > RECORD_GROUPS)
		bytes = RECORD_GROUPS * sizeof(__u32);
	if (bpf_probe_read_kernel(slot->path, bytes, member_address(groups, struct group_info, gid)))
		record->groups = bytes = 0;
	record->head.length += padded(bytes);
	write_record(seq, record);
	write_trailing(seq, slot->path, bytes);
}

#endif
