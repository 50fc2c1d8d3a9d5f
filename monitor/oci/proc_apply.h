/*
 * What the member `process` asks for, done by the process itself. Each says what failed; what a host does not permit but
 * need not end anything (a limit that cannot be raised) is told through WARN.
 */
#ifndef GABION_OCI_PROC_APPLY_H
#define GABION_OCI_PROC_APPLY_H

#include "monitor/oci/config.h"
#include "monitor/oci/fault.h"

typedef void proc_warn_fn(void *ctx, const char *text);

/* By the caller, before: labels of an LSM that is not there are refused. */
int proc_check_labels(const struct oci_proc *p, const char *mount_label, struct oci_fault *fault);
/* By the caller, before: takes out of P's sets what this host cannot give at all, with a line in the log. */
void proc_check_caps(struct oci_proc *p);

int proc_limits(const struct oci_proc *p, proc_warn_fn *warn, void *ctx, struct oci_fault *fault);
/* Scheduler, I/O priority, OOM score. PROC: directory of a procfs. */
int proc_priorities(const struct oci_proc *p, int proc, proc_warn_fn *warn, void *ctx, struct oci_fault *fault);
/* AppArmor profile, SELinux label: for the next exec. */
int proc_labels(const struct oci_proc *p, int proc, struct oci_fault *fault);
/* Ids, groups, umask, capabilities. Nothing is left that P does not name. */
int proc_become(const struct oci_proc *p, struct oci_fault *fault);
/* The working directory, and that it is one of the container's (CVE-2024-21626). LAST: nobody will try again. -EAGAIN else. */
int proc_chdir(const struct oci_proc *p, bool last, struct oci_fault *fault);

/* proc_find.c. The file of P->args[0] by the PATH of ENV, allocated; in runc's words where there is none. */
int proc_find(const struct oci_proc *p, char *const *env, char **ret_path, struct oci_fault *fault);
/* P's environment with HOME (of the user's account in ROOT's /etc/passwd) and, for LISTEN > 0, LISTEN_FDS. NULL-terminated. */
int proc_env(const struct oci_proc *p, int root, unsigned int listen, char ***ret_env);

/* console.c. A terminal of the container's own devpts, /dev/console bound to it where ROOT is before its change. */
int console_open(const struct oci_proc *p, int root, bool bind, int *ret_master, int *ret_slave, struct oci_fault *fault);
/* Sends the master to who keeps it, over the connected socket. */
int console_send(int socket, int master, const char *name);
/* Makes SLAVE the standard descriptors and the controlling terminal. A leader of a session calls it. */
int console_take(int slave);
/* Connects to the engine's console socket. */
int console_connect(const char *path, int *ret_fd, struct oci_fault *fault);

#endif
