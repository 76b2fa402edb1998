/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What restart_syscall(2) goes on with: restart_block.fn by its name, since its address says nothing. */
#ifndef BPFCKPT_RESTART_H
#define BPFCKPT_RESTART_H

enum {
	ERESTART_RESTARTBLOCK_ = 516,	/* include/linux/errno.h */
};

/* All that set_restart_fn() is called with. */
enum restart_function {
	RESTART_UNKNOWN = 0,	/* or the thread is not in restart_syscall(2) */
	RESTART_SLEEP = 1,	/* hrtimer_nanosleep_restart(), posix_cpu_nsleep_restart(), alarm_timer_nsleep_restart() */
	RESTART_FUTEX = 2,	/* futex_wait_restart() */
	RESTART_POLL = 3,	/* do_restart_poll() */
};

#endif
