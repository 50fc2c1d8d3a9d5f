/*
 * The life of a container: create, start, run, exec, hooks. The command line (cli*.c) fills the options, and prints
 * what a fault says.
 *
 * Processes: create forks the container's first process, which prepares everything and waits at ROOT/ID/exec.fifo, and
 * gabion's own (container_helper.c: a monitor and the sentry, detached), and ends; the engine's subreaper inherits
 * both. The first process has no parent of gabion's and no parent-death signal. The helpers end with the last process
 * they supervise; delete kills what is left of them (oci_state.helpers).
 */
#ifndef GABION_OCI_CONTAINER_H
#define GABION_OCI_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "monitor/oci/cgroup.h"
#include "monitor/oci/config.h"
#include "monitor/oci/fault.h"
#include "monitor/oci/state.h"

struct oci_create_options {
	const char *root; /* of oci_state_root() */
	const char *id, *bundle; /* bundle absolute */
	const char *console_socket, *pid_file; /* NULL: none */
	unsigned int preserve_fds; /* 3 .. 3+N-1 are passed on, and LISTEN_FDS */
	bool no_pivot, no_new_keyring;
	enum oci_cgroup_manager cgroup_manager;
	bool cgroups_optional; /* see oci_cgroup_plan() */
	/* run alone */
	bool detach, keep;
};

#define OCI_CREATE_OPTIONS_NULL ((struct oci_create_options){.root = NULL})

/*
 * Makes the container; its first process waits for oci_start(). On failure nothing of it is left. -errno with FAULT, in
 * runc's words where engines look at them.
 */
int oci_create(const struct oci_create_options *o, struct oci_fault *fault);
/* Lets it run; the hooks startContainer (inside) and poststart. -errno with FAULT ("cannot start a container that has stopped", ...). */
int oci_start(const char *root, const char *id, struct oci_fault *fault);
/*
 * create and start; without .detach waits for the end, passes signals and the terminal on, deletes the container
 * (but with .keep) by DELETE, and gives the exit status (128 + signal).
 */
int oci_run(const struct oci_create_options *o, int (*delete)(const char *root, const char *id, struct oci_fault *fault),
	    int *ret_status, struct oci_fault *fault);

struct oci_exec_options {
	const char *root, *id;
	const char *process; /* file with a process object; NULL: the container's own process with what follows */
	const char *console_socket, *pid_file;
	unsigned int preserve_fds;
	bool detach, tty;
	const char *user, *cwd; /* "UID[:GID]"; NULL: as the container's */
	const char *const *env, *const *caps; /* NULL-terminated or NULL: added */
	const gid_t *groups;
	size_t groups_n;
	bool no_new_privs;
	const char *apparmor, *process_label;
	const char *cgroup; /* below the container's; NULL: the container's */
	bool ignore_paused;
	char *const *args; /* NULL-terminated; ignored with .process */
};

#define OCI_EXEC_OPTIONS_NULL ((struct oci_exec_options){.root = NULL})

/* Runs a process in a running container. Without .detach waits and gives its exit status; with it 0. */
int oci_exec(const struct oci_exec_options *o, int *ret_status, struct oci_fault *fault);

/*
 * Runs the hooks of KIND of the container in H, with its state on their standard input, in this process's namespaces. The first that
 * fails ends it, but for POSTSTART and POSTSTOP, whose failures are warnings in the log. For delete's OCI_POSTSTOP.
 */
int oci_hooks_run(const struct oci_handle *h, const struct oci_state *s, enum oci_hook_kind kind,
		  enum oci_status status, struct oci_fault *fault);

/*
 * To be called first of all by create, run and exec: goes on as a copy of the program that cannot be written to through
 * /proc/PID/exe from inside (CVE-2019-5736), by executing itself once. Returns where it is one already; -errno else.
 */
int oci_self_protect(char **argv, struct oci_fault *fault);

#endif
