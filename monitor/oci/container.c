/*
 * Making a container: see container.h.
 *
 *   caller                              first process (child.c)
 *   config, policy, state, cgroup plan
 *   clone  ------------------------->   waits
 *   id maps, cgroups           -- GO -> namespaces, mounts
 *   gabion's filter is built
 *   hooks prestart, createRuntime  <- MOUNTED
 *                              -- GO -> hooks createContainer, change of root, settings, filter
 *   listener taken, helpers started <- LISTENER
 *                              -- GO -> ids, capabilities, its program looked up
 *   state, pid file <---------- READY   waits at exec.fifo
 *
 * What was made is written into the state before it is made, so that delete finds it wherever we are killed. A failure
 * takes all of it away again.
 */
#include "monitor/oci/container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "filter.h"
#include "monitor/oci/container_in.h"
#include "monitor/oci/hooks.h"
#include "monitor/oci/idmap.h"
#include "monitor/oci/proc_apply.h"
#include "monitor/oci/supervision.h"
#include "util/err.h"
#include "util/fd.h"

struct making {
	const struct oci_create_options *o;
	struct oci_config *c;
	struct supervision sup;
	struct oci_state s;
	struct oci_handle h;
	struct rootfs root;
	struct child ch;
	struct filter_box *box;
	struct oci_fault *fault;
	char *rootfs;
	char keyring[1100];
	int sync, childs; /* the pair; the child's end */
	int fifo, console, pidfd;
	int nsfd[OCI_NS_COUNT];
	pid_t pid;
	bool state; /* the directory is ours */
};

static const int clone_flags[OCI_NS_COUNT] = {
	[OCI_NS_USER] = CLONE_NEWUSER, [OCI_NS_PID] = CLONE_NEWPID, [OCI_NS_MOUNT] = CLONE_NEWNS, [OCI_NS_NET] = CLONE_NEWNET,
	[OCI_NS_IPC] = CLONE_NEWIPC,   [OCI_NS_UTS] = CLONE_NEWUTS, [OCI_NS_CGROUP] = 0,	  [OCI_NS_TIME] = 0,
};

static bool is_new(const struct oci_config *c, enum oci_ns ns)
{
	return c->ns[ns].wanted && c->ns[ns].path == NULL;
}

static int check(struct making *m)
{
	const struct oci_config *c = m->c;
	char real[PATH_MAX];
	int r;

	if (c->process == NULL)
		return oci_fail(m->fault, -EINVAL, "config.json: process is missing: a container needs one to be started");
	if (c->ns[OCI_NS_MOUNT].path != NULL)
		return oci_fail(m->fault, -EOPNOTSUPP, "config.json: linux.namespaces: a mount namespace by path is not supported");
	if (asprintf(&m->rootfs, "%s%s%s", c->rootfs[0] == '/' ? "" : m->o->bundle, c->rootfs[0] == '/' ? "" : "/", c->rootfs) < 0) {
		m->rootfs = NULL;
		return -ENOMEM;
	}
	if (realpath(m->rootfs, real) == NULL)
		return oci_fail_errno(m->fault, err_now(), "invalid rootfs: stat %s", m->rootfs);
	free(m->rootfs);
	m->rootfs = strdup(real);
	if (m->rootfs == NULL)
		return -ENOMEM;
	if (strcmp(m->rootfs, "/") == 0)
		return oci_fail(m->fault, -EINVAL, "invalid rootfs: it is the host's root");
	if ((r = proc_check_labels(c->process, c->mount_label, m->fault)) < 0)
		return r;
	if (!is_new(c, OCI_NS_USER))
		proc_check_caps(c->process);
	return 0;
}

static int describe(struct making *m)
{
	struct timespec now;
	struct tm tm;
	char text[64];
	const struct passwd *pw = NULL;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, sizeof(text) - n, ".%09ldZ", now.tv_nsec);
	m->s.created = strdup(text);
	m->s.id = strdup(m->o->id);
	m->s.bundle = strdup(m->o->bundle);
	m->s.rootfs = strdup(m->rootfs);
	if (getuid() == 0)
		m->s.owner = strdup("root");
	else if ((pw = getpwuid(getuid())) != NULL)
		m->s.owner = strdup(pw->pw_name);
	else if (asprintf(&m->s.owner, "%u", getuid()) < 0)
		m->s.owner = NULL;
	m->s.annotations = m->c->annotations == NULL ? NULL : json_incref(m->c->annotations);
	m->s.creator = oci_process_of(getpid());
	return m->s.created && m->s.id && m->s.bundle && m->s.rootfs && m->s.owner ? 0 : -ENOMEM;
}

static int write_config(struct making *m)
{
	AUTO_FREE char *text = json_dumps(m->c->json, JSON_COMPACT);
	AUTO_FD int fd = openat(m->h.dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (text == NULL)
		return -ENOMEM;
	return fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ? err_now() : 0;
}

/* The container's directory, with all that is known before anything is made. */
static int begin(struct making *m)
{
	int r = describe(m);

	if (r == 0)
		r = oci_cgroup_plan(m->o->cgroup_manager, m->c->cgroups_path, m->o->id, m->o->cgroups_optional, &m->s.cgroup, m->fault);
	if (r < 0)
		return r;
	r = oci_state_new(m->o->root, &m->s, &m->h, m->fault);
	if (r < 0)
		return r;
	m->state = true;
	if ((r = write_config(m)) < 0)
		return oci_fail_errno(m->fault, r, "writing %s/config.json", m->h.path);
	if (mkfifoat(m->h.dir, "exec.fifo", 0600) < 0 ||
	    (m->fifo = openat(m->h.dir, "exec.fifo", O_RDWR | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return oci_fail_errno(m->fault, err_now(), "exec.fifo");
	return 0;
}

static int open_namespaces(struct making *m)
{
	for (int i = 0; i < OCI_NS_COUNT; i++) {
		const char *path = m->c->ns[i].path;
		if (path == NULL)
			continue;
		m->nsfd[i] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (m->nsfd[i] < 0)
			return oci_fail_errno(m->fault, err_now(), "failed to open namespace %s", path);
		/* A file that is none is told now, not by the first process. */
		if (syscall(SYS_ioctl, m->nsfd[i], 0xb703 /* NS_GET_NSTYPE */) < 0)
			return oci_fail(m->fault, -EINVAL, "%s is not a namespace", path);
	}
	return 0;
}

static pid_t born(struct making *m, int flags)
{
	pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0) {
		(void)close(m->sync);
		child_create(&m->ch);
	}
	return pid < 0 ? err_now() : pid;
}

/* In a user namespace given by path the new namespaces are to be its own: a step between joins it, and is gone. */
static pid_t born_inside(struct making *m, int flags)
{
	int told[2];
	pid_t pid = -EPIPE;

	if (pipe2(told, O_CLOEXEC) < 0)
		return err_now();
	pid_t step = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (step == 0) {
		pid = m->nsfd[OCI_NS_PID] >= 0 && setns(m->nsfd[OCI_NS_PID], CLONE_NEWPID) < 0 ? err_now() : 0;
		if (pid == 0 && setns(m->nsfd[OCI_NS_USER], CLONE_NEWUSER) < 0)
			pid = err_now();
		if (pid == 0)
			pid = born(m, flags | CLONE_PARENT);
		(void)!write(told[1], &pid, sizeof(pid));
		_exit(EXIT_SUCCESS);
	}
	(void)close(told[1]);
	if (step < 0 || read(told[0], &pid, sizeof(pid)) != sizeof(pid))
		pid = -EPIPE;
	(void)close(told[0]);
	while (step > 0 && waitpid(step, NULL, 0) < 0 && errno == EINTR)
		;
	return pid;
}

static int spawn(struct making *m)
{
	int pair[2], flags = 0;

	for (int i = 0; i < OCI_NS_COUNT; i++)
		if (is_new(m->c, (enum oci_ns)i))
			flags |= clone_flags[i];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return oci_fail_errno(m->fault, err_now(), "sockets");
	m->sync = pair[0];
	m->childs = pair[1];
	m->ch = (struct child){.p = m->c->process,
			       .sync = pair[1],
			       .console = m->console,
			       .filter = m->box,
			       .own = m->ch.own,
			       .proc = -1,
			       .userns = m->c->ns[OCI_NS_USER].wanted,
			       .c = m->c,
			       .root = &m->root,
			       .fifo = m->fifo,
			       .no_pivot = m->o->no_pivot,
			       .keyring = m->o->no_new_keyring ? NULL : m->keyring,
			       .state = m->ch.state,
			       .target = -1};
	m->ch.preserve = container_preserve(m->o->preserve_fds, &m->ch.listen);
	memcpy(m->ch.nsfd, m->nsfd, sizeof(m->nsfd));
	if (m->nsfd[OCI_NS_USER] >= 0) {
		m->pid = born_inside(m, flags);
	} else {
		int own = -1;
		/* Of children alone; ours is as it was for what we do afterwards. */
		if (m->nsfd[OCI_NS_PID] >= 0 && ((own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC)) < 0 ||
						 setns(m->nsfd[OCI_NS_PID], CLONE_NEWPID) < 0)) {
			int r = err_now();
			(void)fd_close(own);
			return oci_fail_errno(m->fault, r, "joining the pid namespace");
		}
		m->pid = born(m, flags);
		if (own >= 0 && setns(own, CLONE_NEWPID) < 0)
			return oci_fail_errno(m->fault, err_now(), "leaving the pid namespace");
		own = fd_close(own);
	}
	m->childs = fd_close(m->childs);
	if (m->pid < 0) {
		int r = m->pid;
		m->pid = -1;
		return oci_fail_errno(m->fault, r, "creating the namespaces of the container");
	}
	m->pidfd = (int)syscall(SYS_pidfd_open, m->pid, 0);
	return m->pidfd < 0 ? oci_fail_errno(m->fault, err_now(), "pidfd_open") : 0;
}

/* What has to be done from outside before the first process goes on. */
static int furnish(struct making *m)
{
	const struct oci_config *c = m->c;
	AUTO_FD int userns = -1;
	int r = 0;

	if (is_new(c, OCI_NS_USER)) {
		char path[64];
		if ((r = idmap_write(m->pid, &c->uids, &c->gids, m->fault)) < 0)
			return r;
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)m->pid);
		userns = open(path, O_RDONLY | O_CLOEXEC);
	} else if (m->nsfd[OCI_NS_USER] >= 0) {
		userns = fcntl(m->nsfd[OCI_NS_USER], F_DUPFD_CLOEXEC, 3);
	}
	if ((r = rootfs_idmap(&m->root, userns, m->fault)) < 0)
		return r;
	m->s.init = oci_process_of(m->pid);
	if ((r = oci_state_write(&m->h, &m->s, m->fault)) < 0)
		return r;
	return oci_cgroup_make(m->s.cgroup, &c->resources, m->pid, 0, m->fault);
}

static int build_filter(struct making *m)
{
	struct sock_fprog prog = {.len = 0};
	int r = filter_build(&m->sup.plan, &prog);

	if (r == 0 && prog.len > BPF_MAXINSNS)
		r = -E2BIG;
	if (r == 0) {
		memcpy(m->box->insns, prog.filter, prog.len * sizeof(*prog.filter));
		m->box->len = prog.len;
		r = container_filter_write(m->h.dir, m->box);
	}
	filter_free(&prog);
	return r < 0 ? oci_fail_errno(m->fault, r, "gabion's filter") : 0;
}

static int runtime_hooks(struct making *m)
{
	const struct oci_hooks *h = m->c->hooks;
	int r = 0;

	if (h[OCI_PRESTART].n + h[OCI_CREATE_RUNTIME].n == 0)
		return 0;
	json_t *state = oci_state_json(&m->s, OCI_CREATING);
	AUTO_FREE char *text = state == NULL ? NULL : json_dumps(state, JSON_COMPACT);
	json_decref(state);
	if (text == NULL)
		return oci_fail_errno(m->fault, -ENOMEM, "state for hooks");
	r = hooks_run(&h[OCI_PRESTART], "prestart", text, false, m->fault);
	return r < 0 ? r : hooks_run(&h[OCI_CREATE_RUNTIME], "createRuntime", text, false, m->fault);
}

/* The namespaces the sentry goes along into. */
static int spaces(const struct oci_config *c)
{
	static const enum oci_ns along[] = {OCI_NS_MOUNT, OCI_NS_NET, OCI_NS_IPC, OCI_NS_UTS, OCI_NS_USER};
	int flags = 0;

	for (size_t i = 0; i < ARRAY_LEN(along); i++)
		if (c->ns[along[i]].wanted)
			flags |= clone_flags[along[i]];
	return flags;
}

static int supervise(struct making *m)
{
	AUTO_FD int listener = -1;
	int number = -1;
	int sent = -1;
	int r = child_wait_fd(m->sync, CHILD_MSG_LISTENER, &number, &sent, m->fault);

	listener = sent;
	if (r == 0 && listener < 0 && (r = container_take_listener(m->pidfd, number, &listener)) < 0)
		r = oci_fail_errno(m->fault, r, "taking the listener of the container's process");
	if (r < 0)
		return r;
	struct helper_config h = {.s = &m->sup,
				  .init = m->pid,
				  .pidfd = m->pidfd,
				  .spaces = spaces(m->c),
				  .listener = listener,
				  .dir = m->h.dir,
				  .userns = m->c->ns[OCI_NS_USER].wanted};
	r = helper_start(&h, m->s.helpers, &m->s.helpers_n, m->fault);
	if (r < 0)
		return r;
	for (size_t i = 0; i < m->s.helpers_n; i++)
		(void)oci_cgroup_enter_helper(m->s.cgroup, m->s.helpers[i].pid);
	return child_send(m->sync, CHILD_MSG_GO, 0, "");
}

static int go(struct making *m)
{
	return child_send(m->sync, CHILD_MSG_GO, (int)m->pid, "") < 0
		       ? child_wait(m->sync, CHILD_MSG_GO, NULL, m->fault) /* it has said why */
		       : 0;
}

static int run_create(struct making *m, int internal)
{
	const char *policy = m->c->annotations == NULL
				     ? NULL
				     : json_string_value(json_object_get(m->c->annotations, "dev.gabion.policy"));
	int r = check(m);

	if (r == 0)
		r = supervision_open(policy, m->rootfs, m->c->ns[OCI_NS_PID].wanted, &m->sup, m->fault);
	if (r == 0)
		r = oci_seccomp_build(m->c->seccomp, &m->ch.own, m->fault);
	if (r == 0)
		r = begin(m);
	if (r == 0 && m->o->console_socket != NULL)
		r = console_connect(m->o->console_socket, &m->console, m->fault);
	else if (r == 0 && internal >= 0)
		m->console = fcntl(internal, F_DUPFD_CLOEXEC, 3);
	if (r == 0)
		r = open_namespaces(m);
	m->root = (struct rootfs){.c = m->c,
				  .cgroup = m->s.cgroup,
				  .bundle = m->o->bundle,
				  .path = m->rootfs,
				  .userns = m->c->ns[OCI_NS_USER].wanted,
				  .base = -1,
				  .root = -1,
				  .proc = -1};
	if (r == 0)
		r = rootfs_sources(&m->root, m->fault);
	if (r == 0)
		r = rootfs_find_sockets(&m->root, m->sup.policy, m->fault);
	if (r < 0)
		return r;
	m->ch.state = oci_state_json(&m->s, OCI_CREATING);
	(void)snprintf(m->keyring, sizeof(m->keyring), "_ses.%s", m->o->id);
	r = spawn(m);
	if (r == 0)
		r = furnish(m);
	if (r == 0)
		r = go(m);
	if (r == 0)
		r = build_filter(m);
	if (r == 0)
		r = child_wait(m->sync, CHILD_MSG_MOUNTED, NULL, m->fault);
	if (r == 0)
		r = runtime_hooks(m);
	if (r == 0)
		r = go(m);
	if (r == 0)
		r = supervise(m);
	if (r == 0)
		r = child_wait(m->sync, CHILD_MSG_READY, NULL, m->fault);
	if (r == 0 && m->o->pid_file != NULL)
		r = container_pid_file(m->o->pid_file, m->pid, m->fault);
	if (r == 0) {
		m->s.created_done = true;
		m->s.creator = (struct oci_process){.pid = 0};
		r = oci_state_write(&m->h, &m->s, m->fault);
	}
	return r;
}

/* Nothing of it is left. */
static void undo(struct making *m)
{
	struct oci_fault quiet = OCI_FAULT_NULL;

	if (m->pid > 0) {
		(void)kill(m->pid, SIGKILL);
		while (waitpid(m->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	for (size_t i = 0; i < m->s.helpers_n; i++)
		if (oci_process_alive(m->s.helpers[i]))
			(void)kill(m->s.helpers[i].pid, SIGKILL);
	if (m->s.cgroup != NULL && m->pid > 0)
		(void)oci_cgroup_remove(m->s.cgroup, &quiet);
	if (m->pid > 0)
		(void)oci_hooks_run(&m->h, &m->s, OCI_POSTSTOP, OCI_STOPPED, &quiet);
	if (m->state && m->h.dir >= 0)
		(void)oci_state_remove(m->o->root, &m->h, &quiet);
}

static void release(struct making *m)
{
	oci_seccomp_free(&m->ch.own);
	json_decref(m->ch.state);
	if (m->root.c != NULL)
		rootfs_close(&m->root);
	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		(void)fd_close(m->nsfd[i]);
	(void)fd_close(m->sync);
	(void)fd_close(m->fifo);
	(void)fd_close(m->console);
	(void)fd_close(m->pidfd);
	oci_state_close(&m->h);
	oci_state_clear(&m->s);
	supervision_close(&m->sup);
	oci_config_free(m->c);
	free(m->rootfs);
	if (m->box != NULL)
		(void)munmap(m->box, sizeof(*m->box));
}

int container_create(const struct oci_create_options *o, int internal, struct made *ret_m, struct oci_fault *fault)
{
	struct making m = {.o = o,
			   .sup = SUPERVISION_NULL,
			   .s = OCI_STATE_NULL,
			   .h = OCI_HANDLE_NULL,
			   .root = ROOTFS_NULL,
			   .fault = fault,
			   .sync = -1,
			   .childs = -1,
			   .fifo = -1,
			   .console = -1,
			   .pidfd = -1,
			   .pid = -1};
	int r = oci_state_check_id(o->id, fault);

	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		m.nsfd[i] = -1;
	m.ch.own = OCI_SECCOMP_NULL;
	m.box = mmap(NULL, sizeof(*m.box), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m.box == MAP_FAILED) {
		m.box = NULL;
		r = oci_fail_errno(fault, -ENOMEM, "memory");
	}
	if (r == 0)
		r = oci_config_load(o->bundle, &m.c, fault);
	if (r == 0 && m.c->process != NULL)
		r = container_check_terminal(m.c->process->terminal, o->detach && internal < 0,
					     internal >= 0 ? "" : o->console_socket, fault);
	if (r == 0)
		r = run_create(&m, internal);
	if (r < 0) {
		undo(&m);
		if (fault->text[0] == '\0')
			(void)oci_fail_errno(fault, r, "creating the container");
	} else {
		*ret_m = (struct made){.pid = m.pid, .pidfd = fd_steal(&m.pidfd), .master = -1};
	}
	release(&m);
	return r;
}

int oci_create(const struct oci_create_options *o, struct oci_fault *fault)
{
	struct oci_create_options detached = *o;
	struct made m = MADE_NULL;

	detached.detach = true;
	int r = container_create(&detached, -1, &m, fault);

	(void)fd_close(m.pidfd);
	return r;
}
