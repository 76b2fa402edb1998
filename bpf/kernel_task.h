/* SPDX-License-Identifier: GPL-2.0 */
/* Tasks, signals, timers, terminals: see kernel.h. */
#ifndef BPFCKPT_KERNEL_TASK_H
#define BPFCKPT_KERNEL_TASK_H

#include "bpf/kernel.h"
#include "bpf/kernel_fs.h"
#include "bpf/kernel_mm.h"

enum {
	PID_OF_PGRP = 2,	/* PIDTYPE_PGID in signal_struct.pids */
	PID_OF_SESSION = 3,	/* PIDTYPE_SID */
	CLOCK_REALTIME_ = 0,
	CLOCK_REALTIME_ALARM_ = 8,
	CLOCK_BOOTTIME_ALARM_ = 9,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct timerqueue_node {
	long long expires;
};

/* node is a timerqueue_linked_node in 7.x: the way to `expires` is the same. */
struct hrtimer_clock_base {
	int clockid;
	struct hrtimer *running;	/* whose function is being called */
};

struct hrtimer {
	struct timerqueue_node node;
	struct hrtimer_clock_base *base;
	unsigned char state;	/* HRTIMER_STATE_ENQUEUED 1 */
};

/* since 7.x, in the place of `state` */
struct hrtimer___v7 {
	_Bool is_queued;
};

struct alarm {
	struct timerqueue_node node;
	struct hrtimer timer;
	int state;		/* ALARMTIMER_STATE_ENQUEUED 1 */
};

struct cpu_timer {
	struct timerqueue_node node;
	struct pid *pid;
};

typedef union sigval {
	void *sival_ptr;
} sigval_t;

union __sifields {
	struct {
		int _tid;
		int _overrun;
		sigval_t _sigval;
	} _timer;
};

struct kernel_siginfo {
	int si_signo;
	union __sifields _sifields;
};

struct sigqueue {
	struct kernel_siginfo info;
};

struct k_itimer {
	struct hlist_node list;
	int it_clock;
	int it_id;
	int it_sigev_notify;
	long long it_overrun_last;
	long long it_interval;
	struct pid *it_pid;
	union {
		struct {
			struct hrtimer timer;
		} real;
		struct cpu_timer cpu;
		struct {
			struct alarm alarmtimer;
		} alarm;
	} it;
};

/* a pointer up to 6.12, embedded since 6.13 ("posix-timers: Embed sigqueue in struct k_itimer") */
struct k_itimer___v61 {
	struct list_head list;	/* hlist_node since 6.12 ("posix-timers: Convert timer list to hlist") */
	struct sigqueue *sigq;
	int it_active;
};

struct k_itimer___v613 {
	struct sigqueue sigq;
	int it_status;		/* in the place of it_active: POSIX_TIMER_DISARMED 0 */
};

enum tty_driver_type { TTY_DRIVER_TYPE_ANY_ };
enum tty_driver_subtype { TTY_DRIVER_SUBTYPE_ANY_ };

struct tty_driver {
	const char *name;
	int major, minor_start;
	enum tty_driver_type type;
	enum tty_driver_subtype subtype;
};

/* numbers up to 6.15 ("tty: make tty_driver::type an enum" and its like) */
struct tty_driver___v61 {
	short type, subtype;
};

struct tty_struct {
	int index;
	struct tty_driver *driver;
	struct {
		struct pid *pgrp, *session;
	} ctrl;
};

struct tty_file_private {
	struct tty_struct *tty;
};

struct sigpending {
	sigset_t signal;
};

struct cpu_itimer {
	__u64 expires, incr;
};

struct rlimit {
	unsigned long rlim_cur, rlim_max;
};

struct signal_struct {
	atomic_t live;
	int nr_threads;
	struct sigpending shared_pending;
	int group_exit_code;
	int group_stop_count;
	unsigned int flags;
	unsigned int is_child_subreaper : 1;	/* a bool since 7.x: a bit field's access takes both */
	struct hlist_head posix_timers;
	struct hrtimer real_timer;
	long long it_real_incr;
	struct cpu_itimer it[2];
	struct pid *pids[4];
	int leader;
	struct tty_struct *tty;
	struct rlimit rlim[16];
	short oom_score_adj, oom_score_adj_min;
};

/* a list_head up to 6.11 */
struct signal_struct___v61 {
	struct list_head posix_timers;
};

struct sigaction {
	void *sa_handler;
	unsigned long sa_flags;
	void *sa_restorer;
	sigset_t sa_mask;
};

struct k_sigaction {
	struct sigaction sa;
};

struct sighand_struct {
	struct k_sigaction action[64];
};

struct notification;

struct seccomp_filter {
	struct notification *notif;
	struct seccomp_filter *prev;
};

struct seccomp {
	int mode;
	atomic_t filter_count;
	struct seccomp_filter *filter;
};

struct kernfs_node {
	const char *name;
	struct kernfs_node *parent;
	__u64 id;
};

/* since 6.15 ("kernfs: Use RCU to access kernfs_node::parent") */
struct kernfs_node___v615 {
	struct kernfs_node *__parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct sched_dl_entity {
	__u64 dl_runtime, dl_deadline, dl_period;
	unsigned int flags;
};

struct sched_entity {
	unsigned char custom_slice;	/* with slice since 6.12 ("sched/eevdf: Allow shorter slices to wakeup-preempt" and its like) */
	__u64 slice;
};

/* sched_setattr(2): SCHED_FLAG_UTIL_CLAMP_MIN and _MAX. With CONFIG_UCLAMP_TASK. */
struct uclamp_se {
	unsigned int value : 11;
	unsigned int user_defined : 1;	/* else the system's default */
};

struct io_context {
	unsigned short ioprio;
};

/* ipc/sem.c */
struct sem_undo_list {
	struct list_head list_proc;
};

/* x86: no io_bitmap and iopl_emul without CONFIG_X86_IOPL_IOPERM. */
struct desc_struct {
	__u16 limit0, base0;
};

struct thread_struct {
	struct desc_struct tls_array[3];
	void *io_bitmap;
	unsigned long iopl_emul;
	unsigned long features;	/* with CONFIG_X86_USER_SHADOW_STACK, since 6.6 */
};

struct sysv_sem {
	struct sem_undo_list *undo_list;
};

struct syscall_user_dispatch {
	char *selector;
	unsigned long offset, len;
};

struct thread_info {
	unsigned long flags;
	unsigned long syscall_work;
};

enum timespec_type { TT_ANY_ };

struct restart_block {
	void *fn;
	struct {
		__u32 *uaddr;
		__u32 val, flags, bitset;
		long long time;
	} futex;
	struct {
		int clockid;
		enum timespec_type type;
		void *rmtp;
		long long expires;
	} nanosleep;
	struct {
		void *ufds;
		int nfds, has_timeout;
		unsigned long tv_sec, tv_nsec;
	} poll;
};

/* since 7.x ("restart_block: simplify expiration timestamps") */
struct restart_block___v7 {
	struct {
		struct timespec64 end_time;
	} poll;
};

struct robust_list_head;
struct rseq;
struct cpumask;

struct task_struct {
	struct thread_info thread_info;
	unsigned int __state;
	unsigned int flags;
	unsigned int ptrace;
	int static_prio;
	unsigned int rt_priority;
	struct sched_entity se;
	struct sched_dl_entity dl;
	struct uclamp_se uclamp_req[2];	/* UCLAMP_MIN, UCLAMP_MAX */
	unsigned long core_cookie;	/* with CONFIG_SCHED_CORE */
	unsigned int policy;
	const struct cpumask *cpus_ptr;
	struct mm_struct *mm;
	int exit_state, exit_code, exit_signal, pdeath_signal;
	unsigned long jobctl;
	unsigned int personality;
	unsigned int sched_reset_on_fork : 1;
	unsigned int restore_sigmask : 1;
	unsigned long atomic_flags;
	struct restart_block restart_block;
	int pid, tgid;
	struct task_struct *real_parent, *parent, *group_leader;
	struct pid *thread_pid;
	int *set_child_tid, *clear_child_tid;
	__u64 start_boottime;
	const struct cred *real_cred, *cred;
	char comm[16];
	struct sysv_sem sysvsem;
	struct fs_struct *fs;
	struct files_struct *files;
	void *io_uring;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct sighand_struct *sighand;
	sigset_t blocked, saved_sigmask;
	struct sigpending pending;
	unsigned long sas_ss_sp, sas_ss_size;
	unsigned int sas_ss_flags;
	kuid_t loginuid;
	struct seccomp seccomp;
	struct syscall_user_dispatch syscall_dispatch;
	struct io_context *io_context;
	struct css_set *cgroups;
	struct robust_list_head *robust_list;
	void *mempolicy;
	struct rseq *rseq;
	__u32 rseq_len, rseq_sig;	/* rseq_len since 6.3 ("rseq: Introduce extensible rseq ABI") */
	__u64 timer_slack_ns, default_timer_slack_ns;
	struct thread_struct thread;
};

struct futex_sched_data {
	struct robust_list_head *robust_list;
};

struct rseq_data {
	struct rseq *usrptr;
	__u32 len, sig;
};

enum task_dumpable { TASK_DUMPABLE_ANY_ };

struct task_exec_state {
	enum task_dumpable dumpable;
	struct user_namespace *user_ns;
};

struct task_struct___v7 {
	struct futex_sched_data futex;
	struct rseq_data rseq;
	struct task_exec_state *exec_state;
};

/* General registers at the entry to the kernel: x86-64's struct pt_regs. */
struct pt_regs {
	unsigned long ax, orig_ax, cs;
};

#pragma clang attribute pop

static __always_inline bool hrtimer_queued(const struct hrtimer *timer)
{
	const struct hrtimer___v7 *v7 = (const void *)timer;

	if (bpf_core_field_exists(v7->is_queued))
		return BPF_CORE_READ(v7, is_queued);
	return BPF_CORE_READ(timer, state) & 1;
}

/* The reader's level in the tree of pid namespaces: in its numbers we speak. */
static __always_inline __u32 reader_level(void)
{
	const struct task_struct *reader = (const void *)bpf_get_current_task_btf();

	return reader->thread_pid->level;
}

/* A thread group's number, also where its leader is gone already. */
static __always_inline __u32 task_tgid(const struct task_struct *task, __u32 level)
{
	return task ? pid_number(BPF_CORE_READ(task, group_leader, thread_pid), level) : 0;
}

#endif
