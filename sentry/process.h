/* Handlers of what concerns processes: working directory, signals, others' limits and scheduling. */
#ifndef GABION_SENTRY_PROCESS_H
#define GABION_SENTRY_PROCESS_H

#include "sentry/handle.h"

/* process.c */
handler_fn process_chdir, process_fchdir, process_ptrace, process_process_vm_readv, process_process_vm_writev,
	process_kcmp, process_pidfd_getfd, process_process_madvise, process_process_mrelease,
	process_get_robust_list, process_move_pages, process_migrate_pages, process_prlimit64,
	process_setpriority, process_ioprio_set, process_sched_setparam, process_sched_setscheduler,
	process_sched_setaffinity, process_sched_setattr;

/* process_signal.c */
handler_fn process_kill, process_tkill, process_tgkill, process_rt_sigqueueinfo, process_rt_tgsigqueueinfo,
	process_pidfd_send_signal, process_pidfd_open;

#endif
