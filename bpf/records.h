/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The records that the BPF iterators write and userspace/collect reads: one definition for both sides.
 *
 * A record begins with its type and its whole length (fixed part, trailing bytes and padding; a multiple of 8).
 * Fixed-width fields, explicit padding, sizes asserted. Kernel pointers are identities while the tree is frozen and
 * never leave bpfckpt. Numbers of processes are those of the reader's pid namespace unless said otherwise; devices are
 * in user space's encoding. What is not there (no mm, no terminal) is 0.
 */
#ifndef BPFCKPT_RECORDS_H
#define BPFCKPT_RECORDS_H

#include <linux/types.h>

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
#include "bpf/kinds/marks.h"
#include "bpf/kinds/pipe.h"
#include "bpf/kinds/procfs.h"
#include "bpf/kinds/regular.h"
#include "bpf/kinds/shmem.h"
#include "bpf/kinds/signalfd.h"
#include "bpf/kinds/sysv_shm.h"
#include "bpf/kinds/timerfd.h"
#include "bpf/kinds/tty.h"
#include "bpf/kinds/userfaultfd.h"
#include "bpf/parts.h"

enum record_type {
	RECORD_TASK = 1,	/* a thread: struct task_record */
	RECORD_PROCESS = 2,	/* a thread group: struct process_record */
	RECORD_TIMER = 3,	/* a POSIX timer: struct timer_record */
	RECORD_MM = 4,		/* an address space: struct mm_record */
	RECORD_FS = 5,		/* root, working directory, umask: struct fs_record */
	RECORD_CRED = 6,	/* credentials: struct cred_record */
	RECORD_FILE = 7,	/* a descriptor, or the file of a mapping: struct file_record */
	RECORD_VMA = 8,		/* a mapping: struct vma_record */
	RECORD_SUMMARY = 9,	/* a thread in short, for finding the tree: struct summary_record */
	RECORD_LOST = 10,	/* no room to build a record in: collect again; struct record_head alone */
	RECORD_SIGHAND = 11,	/* what a thread group does with signals: struct sighand_record */
	RECORD_WALK_END = 12,	/* where a walk goes on: struct walk_end_record */
	RECORD_EPOLL_ITEM = 13,	/* struct epoll_item_record */
	RECORD_MARK = 14,	/* struct mark_record */
	RECORD_LOCK = 15,	/* struct lock_record */
	RECORD_AIO_RING = 16,	/* an io_setup(2) ring: struct aio_ring_record */
	RECORD_UNIX_ITEM = 17,	/* what is in a unix socket's queue: bpf/kinds/unix_items.h */
	RECORD_INET_ITEM = 18,	/* a list of an Internet socket */
	RECORD_URING_ITEM = 19,	/* what belongs to an io_uring: struct uring_item_record */
	RECORD_MQUEUE_ITEM = 20,	/* a message in a POSIX message queue: struct mqueue_message_record */
};

/* Lists that are read after the file that has them (bpf/walks.h). */
enum walk_kind {
	WALK_NONE = 0,
	WALK_EPOLL = 1,
	WALK_MARKS = 2,
	WALK_LOCKS = 3,		/* of file_record.locks, where FILE_LOCKED is set */
	WALK_UNIX = 4,		/* the receive queue of a unix socket */
	WALK_INET = 5,
	WALK_URING = 6,
	WALK_MQUEUE = 7,	/* of a queue without a name */
};

enum {
	WALK_OBJECTS = 64,		/* of one request */
	WALK_BYTES = 24 * 1024,		/* of items in one reading: less than an iterator's buffer */
	WALK_STEPS = 4096,
};

/* What a reader asks for: items of the lists of `count` objects, beginning at `node` of number `index`. */
struct walk_request {
	__u64 objects[WALK_OBJECTS];
	__u64 node;		/* 0: the list's first */
	__u32 index;
	__u32 count;
};

struct walk_end_record {
	struct record_head head;
	__u64 node;
	__u32 index;		/* the request's `count`: all is read */
	__u32 pad;
};
BPFCKPT_SIZE(struct walk_end_record, 24);

/* What kind of thing is behind a file; the stems of userspace/kinds. Numbers never reach an image. */
enum file_kind {
	FILE_KIND_UNSUPPORTED = 0,
	FILE_KIND_REGULAR = 1,	/* regular files and directories */
	FILE_KIND_CHARDEV = 2,	/* character devices that are no terminals */
	FILE_KIND_PIPE = 3,	/* pipes and FIFOs */
	FILE_KIND_SHMEM = 4,	/* shared anonymous memory and memfd */
	FILE_KIND_TTY = 5,
	FILE_KIND_EVENTFD = 6,
	FILE_KIND_TIMERFD = 7,
	FILE_KIND_SIGNALFD = 8,
	FILE_KIND_EPOLL = 9,
	FILE_KIND_INOTIFY = 10,
	FILE_KIND_FANOTIFY = 11,
	FILE_KIND_PIDFD = 12,
	FILE_KIND_NSFS = 13,
	FILE_KIND_PROCFS = 14,
	FILE_KIND_MQUEUE = 15,
	FILE_KIND_BPF_MAP = 16,
	FILE_KIND_IO_URING = 17,
	FILE_KIND_USERFAULTFD = 18,
	FILE_KIND_PERF_EVENT = 19,
	FILE_KIND_LANDLOCK = 20,
	FILE_KIND_SECCOMP_NOTIFY = 21,
	FILE_KIND_TUN = 22,
	FILE_KIND_BPF_OTHER = 23,	/* programs, links, ... */
	FILE_KIND_BLOCKDEV = 24,
	FILE_KIND_AIO = 30,	/* io_setup(2) rings: mapped, never opened */
	FILE_KIND_SYSV_SHM = 31,	/* attached System V segments: mapped, never opened */
	FILE_KIND_UNIX = 32,
	FILE_KIND_TCP = 33,	/* over IPv4 and IPv6 */
	FILE_KIND_UDP = 34,	/* and UDP-Lite */
	FILE_KIND_RAW = 35,	/* of IPv4 and IPv6; and those for ICMP that are called ping sockets */
	FILE_KIND_PACKET = 36,
	FILE_KIND_NETLINK = 37,
	FILE_KIND_SOCKET_OTHER = 38,	/* of families and protocols that cannot be taken */
};

enum {
	RECORD_PATH_MAX = 4096,		/* bytes, NUL included: PATH_MAX */
	RECORD_VMA_NAME = 80,		/* ANON_VMA_NAME_MAX_LEN */
	RECORD_NS_LEVELS = 33,		/* MAX_PID_NS_LEVEL + 1 */
	RECORD_RLIMITS = 16,		/* RLIM_NLIMITS */
	RECORD_SIGNALS = 64,		/* _NSIG */
	RECORD_AUXV_WORDS = 64,		/* 6.1 has 48, 6.12 52, 6.18 56 */
	RECORD_GROUPS = 1024,		/* more are told by their number only */
	RECORD_CPU_BYTES = 1024,	/* affinity: 8192 cpus */
	RECORD_SECURITY_WORDS = 16,	/* of what security modules keep with credentials */
	RECORD_TIMERS = 400,		/* of one process: what one show() can hold; process_record.timers tells of more */
};

enum file_flags {
	FILE_CLOEXEC = 1,
	FILE_BACKING = 2,	/* the file under overlayfs or FUSE passthrough that a mapping really has */
	FILE_HUGETLB = 4,
	FILE_LOCKED = 8,	/* somebody holds a lock or a lease on the inode */
};

enum {
	FILE_OF_VMA = -1,	/* file_record.fd: follows its vma_record */
	FILE_OF_EXE = -2,	/* follows its mm_record */
};

/* Trailing: path; of a socket, a struct socket_record (bpf/kinds/socket.h) and what that has trailing. */
struct file_record {
	struct record_head head;
	__u64 table;		/* struct files_struct; 0 for a mapping's file */
	__u64 file;		/* struct file */
	__u64 operations;	/* f_op */
	__u64 private_data;
	__u64 locks;		/* i_flctx: not 0 where a lock or lease was ever taken on the inode */
	__u64 epoll_items;	/* f_ep: not 0 where the file was ever watched by epoll */
	__s64 position;
	__u32 tgid;
	__s32 fd;		/* or FILE_OF_* */
	__u32 kind;		/* enum file_kind */
	__u32 flags;		/* enum file_flags */
	__u32 open_flags;	/* f_flags: O_*, without O_CLOEXEC; O_PATH is in mode on kernels that lack it here */
	__u32 open_mode;	/* f_mode: FMODE_PATH is 0x4000 */
	__u32 owner_pid;	/* F_SETOWN: 0 none */
	__u32 owner_type;	/* enum pid_type: 0 PID (a thread), 1 TGID, 2 PGID */
	__u32 owner_signal;
	__u32 owner_uid;
	__u32 owner_euid;
	__u32 walk;		/* enum walk_kind: which list is behind it */
	__u64 list;		/* the object whose list that is */
	__u32 socket_bytes;	/* of the socket_record and what trails it; 0: no socket */
	__u32 pad;
	struct inode_part inode;
	struct path_part path;
	char name[32];		/* of the dentry: "[eventfd]", cut */
	union {
		__u64 words[16];
		struct bpf_map_record bpf_map;
		struct chardev_record chardev;
		struct eventfd_record eventfd;
		struct pipe_record pipe;
		struct procfs_record procfs;
		struct regular_record regular;
		struct shmem_record shmem;
		struct sysv_shm_record sysv_shm;
		struct tty_record tty;
		struct timerfd_record timerfd;
		struct signalfd_record signalfd;
		struct pidfd_record pidfd;
		struct nsfs_record nsfs;
		struct mqueue_record mqueue;
		struct userfaultfd_record userfaultfd;
		struct inotify_record inotify;
		struct fanotify_record fanotify;
		struct uring_record io_uring;
	} detail;
};
BPFCKPT_SIZE(struct file_record, 400);

/* include/linux/filelock.h: FL_*, the same numbers since 3.15 */
enum lock_flags {
	LOCK_IS_POSIX = 1,	/* FL_POSIX */
	LOCK_IS_FLOCK = 2,	/* FL_FLOCK */
	LOCK_IS_DELEGATION = 4,	/* FL_DELEG */
	LOCK_IS_LEASE = 32,	/* FL_LEASE */
	LOCK_DOWNGRADE_PENDING = 256,	/* FL_DOWNGRADE_PENDING: a lease is being broken by a reader */
	LOCK_UNLOCK_PENDING = 512,	/* FL_UNLOCK_PENDING: by a writer */
	LOCK_IS_OPEN_FILE = 1024,	/* FL_OFDLCK, with FL_POSIX */
};

/* A lock or a lease on an inode, whoever holds it; head.list is file_record.locks. */
struct lock_record {
	struct item_head head;
	__u64 owner;		/* POSIX: struct files_struct; all others: struct file */
	__u64 file;		/* struct file through which it was taken */
	__s64 start;		/* bytes [start, end]; of locks on ranges only */
	__s64 end;
	__u64 references;	/* to `file` */
	__u64 waiter_file;	/* struct file through which the first one waits; 0 for who opens a leased file */
	__u32 flags;		/* enum lock_flags and others */
	__u32 type;		/* F_RDLCK, F_WRLCK */
	__s32 pid;		/* thread group that took it, in the initial pid namespace; -1: not said */
	__s32 waiter_pid;	/* the same of who waits */
	__s32 fd;		/* of a lease: descriptor in its signals */
	__u32 has_waiter;
};
BPFCKPT_SIZE(struct lock_record, 88);

/* struct mempolicy; mode 0 (MPOL_DEFAULT): none */
struct mempolicy_part {
	__u64 nodes;		/* as set_mempolicy(2) was given them; the first 64 */
	__u16 mode;
	__u16 flags;		/* the kernel's own among them; include/uapi/linux/mempolicy.h: MPOL_MODE_FLAGS */
	__s32 home_node;	/* -1: none */
	__u32 more_nodes;	/* there are others beyond the first 64 */
	__u32 present;
};
BPFCKPT_SIZE(struct mempolicy_part, 24);

enum vma_record_flags {
	VMA_SHMEM = 1,		/* the file is on tmpfs or the kernel's internal shmem mount */
	VMA_HUGETLB = 2,
	VMA_SPECIAL = 4,	/* name is that of a special mapping: "[vdso]" */
	VMA_ANON_NAME = 8,	/* name was given by prctl(PR_SET_VMA_ANON_NAME) */
	VMA_HAS_ANON = 16,	/* anon_vma is there: may have pages of its own */
	VMA_HAS_OPS = 32,	/* vm_ops is there: not plain anonymous memory */
	VMA_FILE_TOLD = 64,	/* no file_record follows: the same pass has brought one of this file before */
};

/* Trailing: name. */
struct vma_record {
	struct record_head head;
	__u64 mm;
	__u64 start;
	__u64 end;
	__u64 vm_flags;
	__u64 pgoff;		/* pages */
	__u64 file;		/* struct file: a file_record with FILE_OF_VMA follows (but VMA_FILE_TOLD) */
	__u64 userfaultfd;	/* context */
	__u32 tgid;
	__u32 flags;		/* enum vma_record_flags */
	__u32 name_bytes;	/* NUL included; 0: no name */
	__u32 pad;
	struct mempolicy_part memory_policy;
};
BPFCKPT_SIZE(struct vma_record, 104);

struct ns_part {
	__u32 mount;
	__u32 uts;
	__u32 ipc;
	__u32 net;
	__u32 pid;
	__u32 pid_for_children;
	__u32 user;
	__u32 cgroup;
	__u32 time;
	__u32 time_for_children;
};
BPFCKPT_SIZE(struct ns_part, 40);

/* restart_block: which of the three views holds is told by the call, and of restart_syscall(2) by `function`. */
struct restart_part {
	__u64 function;		/* enum restart_function */
	__u64 futex_uaddr;
	__u64 futex_time_ns;	/* absolute */
	__u32 futex_val;
	__u32 futex_flags;
	__u32 futex_bitset;
	__s32 sleep_clock;
	__u64 sleep_rmtp;
	__u64 sleep_expires_ns;	/* absolute */
	__u64 poll_ufds;
	__s64 poll_end_ns;	/* absolute, CLOCK_MONOTONIC */
	__u32 poll_nfds;
	__u32 poll_has_timeout;
};
BPFCKPT_SIZE(struct restart_part, 80);

enum task_record_flags {
	TASK_RESET_ON_FORK = 1,
	TASK_NO_NEW_PRIVS = 2,
	TASK_SAVED_SIGMASK = 4,	/* inside sigsuspend(), ppoll(), ...: saved_sigmask is what it goes back to */
	TASK_USER_DISPATCH = 32,	/* prctl(PR_SET_SYSCALL_USER_DISPATCH) */
	TASK_LEADER = 64,
	TASK_SEMUNDO = 128,	/* System V semaphore undo list */
	TASK_SEGMENTS = 512,	/* x86: set_thread_area(2), which gs or es may lead to */
	TASK_IO_PORTS = 1024,	/* x86: ioperm(2), iopl(2) */
	TASK_COMPAT = 2048,	/* x86: was in 32-bit mode when it entered the kernel */
	TASK_CORE_COOKIE = 4096,	/* prctl(PR_SCHED_CORE) */
	TASK_SHADOW_STACK = 8192,	/* x86: arch_prctl(ARCH_SHSTK_ENABLE) */
	TASK_UTIL_MIN = 16384,	/* util_min was set by sched_setattr(2) */
	TASK_UTIL_MAX = 32768,	/* util_max */
	TASK_SECCOMP_NOTIFY = 256,	/* a seccomp filter has a listener (SECCOMP_FILTER_FLAG_NEW_LISTENER) */
};

/* Trailing: affinity, `cpu_bytes` long. */
struct task_record {
	struct record_head head;
	__u64 task;
	__u64 cred;
	__u64 real_cred;
	__u64 files;
	__u64 fs;
	__u64 mm;
	__u64 sighand;
	__u64 signal;
	__u64 jobctl;
	__u64 blocked;
	__u64 saved_sigmask;
	__u64 pending;
	__u64 altstack_sp;
	__u64 altstack_size;
	__u64 clear_child_tid;
	__u64 set_child_tid;
	__u64 robust_list;
	__u64 rseq;
	__u64 timer_slack_ns;
	__u64 default_timer_slack_ns;
	__u64 dl_runtime_ns;
	__u64 dl_deadline_ns;
	__u64 dl_period_ns;
	__u64 start_boottime_ns;
	__u64 dispatch_offset;
	__u64 dispatch_len;
	__u64 dispatch_selector;
	__u64 atomic_flags;	/* PFA_* */
	__u64 thread_flags;	/* thread_info.flags: numbers differ between kernels (collect/task_marks.h) */
	__u64 slice_ns;		/* of policies other than deadline, as sched_setattr(2) was given it; 0: the default */
	__u64 seccomp_filter;	/* the newest; the same for who inherited it */
	__s64 orig_ax;		/* system call that the task is in; -1: none */
	__s64 ax;		/* its result so far: -516 is ERESTART_RESTARTBLOCK */
	struct restart_part restart;
	struct mempolicy_part memory_policy;
	struct ns_part ns;
	__u32 tid;
	__u32 tgid;
	__u32 real_parent;	/* tgid */
	__u32 tracer;		/* tgid of who traces it; 0: nobody */
	__u32 state;		/* __state */
	__u32 exit_state;	/* EXIT_ZOMBIE 0x20, EXIT_DEAD 0x10 */
	__u32 exit_code;
	__s32 exit_signal;
	__u32 pdeath_signal;
	__u32 task_flags;	/* PF_* */
	__u32 personality;
	__u32 ptrace;
	__u32 altstack_flags;
	__u32 rseq_len;
	__u32 rseq_sig;
	__u32 policy;
	__s32 static_prio;	/* nice + 120 */
	__u32 rt_priority;
	__u32 dl_flags;
	__u32 io_priority;
	__u32 seccomp_mode;
	__u32 seccomp_filters;
	__u32 flags;		/* enum task_record_flags */
	__u32 cpu_bytes;
	__u32 loginuid;
	__u32 ns_level;
	__u32 ns_tid[RECORD_NS_LEVELS];	/* from the initial namespace inwards, ns_level + 1 of them */
	char comm[16];
	__u32 registered_rings;	/* slots that IORING_REGISTER_RING_FDS filled */
	__u32 util_min;		/* of 1024: utilization clamps */
	__u32 util_max;
};
BPFCKPT_SIZE(struct task_record, 680);

struct itimer_part {
	__u64 value_ns;		/* real: absolute CLOCK_MONOTONIC; virtual and prof: absolute CPU time; 0: not armed */
	__u64 interval_ns;
};

enum process_flags {
	PROCESS_SUBREAPER = 1,
	PROCESS_SESSION_LEADER = 2,
};

/* Trailing: cgroup v2 path, `cgroup_len` bytes, NUL included. */
struct process_record {
	struct record_head head;
	__u64 signal;
	__u64 shared_pending;
	__u64 now_ns;		/* CLOCK_MONOTONIC */
	__u64 now_boot_ns;	/* CLOCK_BOOTTIME */
	struct itimer_part itimer_real;
	struct itimer_part itimer_virtual;
	struct itimer_part itimer_prof;
	__u64 cgroup_id;
	struct {
		__u64 soft;
		__u64 hard;
	} rlimits[RECORD_RLIMITS];
	struct tty_record tty;	/* controlling terminal; driver_major 0: none */
	__u32 tgid;
	__u32 pgid;
	__u32 sid;
	__u32 signal_flags;	/* SIGNAL_STOP_STOPPED 1, SIGNAL_GROUP_EXIT 4 */
	__s32 group_exit_code;
	__u32 group_stop_count;
	__u32 threads;
	__u32 live;		/* threads that have not begun to exit */
	__s32 oom_score_adj;
	__s32 oom_score_adj_min;
	__u32 flags;		/* enum process_flags */
	__u32 timers;		/* POSIX timers there are */
	__u32 cgroup_len;
	__s32 ptracer;		/* prctl(PR_SET_PTRACER): a thread's number; -1: anybody; 0: nobody */
};
BPFCKPT_SIZE(struct process_record, 456);

/* As rt_sigaction(2) gives it, except for bits of sa_flags that only the kernel sees. */
struct sigaction_part {
	__u64 handler;
	__u64 flags;
	__u64 restorer;
	__u64 mask;
};

struct sighand_record {
	struct record_head head;
	__u64 sighand;
	__u32 tgid;
	__u32 pad;
	struct sigaction_part actions[RECORD_SIGNALS];	/* of signal 1 and on */
};
BPFCKPT_SIZE(struct sighand_record, 2072);

struct timer_record {
	struct record_head head;
	__u64 sigev_value;
	__u64 expires_ns;	/* absolute on `expires_clock`; 0: not armed */
	__u64 interval_ns;
	__s32 id;
	__s32 clock;
	__u32 notify;
	__u32 signal_number;
	__u32 notify_tid;
	__u32 overrun;
	__u32 tgid;
	__u32 cpu_pid;		/* CPU-time clocks: whose time; the clock's bit 2 says thread or process */
	__s32 expires_clock;	/* CLOCK_REALTIME set relatively is counted by CLOCK_MONOTONIC (common_hrtimer_arm()) */
	__u32 pad;
};
BPFCKPT_SIZE(struct timer_record, 72);

enum mm_record_flags {
	MM_THP_DISABLED = 1,
	MM_MDWE = 2,
	MM_MDWE_NO_INHERIT = 4,
	MM_MERGE_ANY = 8,
	MM_THP_EXCEPT_ADVISED = 16,
	MM_MANY_AIO = 32,	/* more io_setup() rings than have records */
	MM_LDT = 64,		/* x86: modify_ldt(2) */
	MM_TAGGED = 128,	/* x86: arch_prctl(ARCH_ENABLE_TAGGED_ADDR) */
};

struct mm_record {
	struct record_head head;
	__u64 mm;
	__u64 start_code;
	__u64 end_code;
	__u64 start_data;
	__u64 end_data;
	__u64 start_brk;
	__u64 brk;
	__u64 start_stack;
	__u64 arg_start;
	__u64 arg_end;
	__u64 env_start;
	__u64 env_end;
	__u64 def_flags;
	__u64 raw_flags;	/* mm->flags, first word */
	__u64 exe;		/* struct file: a file_record with FILE_OF_EXE follows */
	__u64 membarrier_state;
	__u64 total_pages;
	__u32 tgid;
	__u32 maps;
	__u32 dumpable;
	__u32 flags;		/* enum mm_record_flags */
	__u32 user_ns;
	__u32 auxv_words;
	__u32 protection_keys;	/* allocated ones; bit 0 is always set where there are any */
	__s32 execute_only_key;	/* 0, -1: none */
	__u64 auxv[RECORD_AUXV_WORDS];
};
BPFCKPT_SIZE(struct mm_record, 688);

/* Trailing: path of cwd, path of root. */
/* Follows the mm_record. */
struct aio_ring_record {
	struct record_head head;
	__u64 mm;
	__u64 address;		/* of the ring, and the context's id for user space */
	__u64 size_bytes;
	__u32 max_requests;	/* io_setup(2)'s argument */
	__u32 slots;		/* of the ring */
	__u32 tail;		/* where the next event goes; the head is user space's */
	__s32 in_flight;	/* requests without an event yet */
	__u32 polls;		/* those of them that wait for something */
	__u32 tgid;
};
BPFCKPT_SIZE(struct aio_ring_record, 56);

struct fs_record {
	struct record_head head;
	__u64 fs;
	__u32 tgid;
	__u32 umask;
	struct path_part cwd;
	struct path_part root;
};
BPFCKPT_SIZE(struct fs_record, 104);

/* Trailing: groups, `groups` of them but at most RECORD_GROUPS. */
struct cred_record {
	struct record_head head;
	__u64 cred;
	__u64 cap_inheritable;
	__u64 cap_permitted;
	__u64 cap_effective;
	__u64 cap_bounding;
	__u64 cap_ambient;
	__u64 security[RECORD_SECURITY_WORDS];	/* pointers and numbers of the modules; beyond the last one anything */
	__u64 session_keyring;	/* struct key */
	__u32 ruid;
	__u32 euid;
	__u32 suid;
	__u32 fsuid;
	__u32 rgid;
	__u32 egid;
	__u32 sgid;
	__u32 fsgid;
	__u32 securebits;
	__u32 groups;
	__u32 tid;
	__u32 own_keys;		/* in the keyrings of the thread and of the process */
	__u32 session_keys;	/* in that of the session */
	__u32 pad;
};
BPFCKPT_SIZE(struct cred_record, 248);

struct summary_record {
	struct record_head head;
	__u64 jobctl;
	__u32 tid;
	__u32 tgid;
	__u32 real_parent;	/* tgid */
	__u32 tracer;		/* tgid; 0: not traced */
	__u32 state;
	__u32 exit_state;
	__u32 task_flags;
	__u32 signal_flags;
	__u32 pgid;
	__u32 sid;
	char comm[16];
};
BPFCKPT_SIZE(struct summary_record, 72);

#endif
