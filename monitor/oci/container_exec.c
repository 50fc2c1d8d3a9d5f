/*
 * A further process in a running container: see container.h. It is a child of ours, enters the container's namespaces
 * itself (child.c), has the container's filter, which was kept when the container was made, and a listener of its own,
 * which the container's sentry takes on. If nobody is there to take it, it does not run.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/oci/config_json.h"
#include "monitor/oci/container_in.h"
#include "monitor/oci/proc_apply.h"
#include "monitor/oci/supervision.h"
#include "util/err.h"
#include "util/fd.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

struct execing {
	const struct oci_exec_options *o;
	struct oci_handle h;
	struct oci_state s;
	struct oci_config *c;
	struct oci_proc *own; /* of a file; the container's else */
	struct oci_proc *p;
	struct filter_box *box;
	struct child ch;
	int sync, console, target, pidfd, proc;
	pid_t pid;
	char keyring[1100];
	struct oci_fault *fault;
};

static int read_process(struct execing *e)
{
	json_error_t je;
	json_t *o = json_load_file(e->o->process, JSON_REJECT_DUPLICATES, &je);

	if (o == NULL)
		return oci_fail(e->fault, -EINVAL, "%s: line %d: %s", e->o->process, je.line, je.text);
	int r = oci_proc_parse(o, &e->own, e->fault);
	json_decref(o);
	e->p = e->own;
	return r;
}

static int set_strings(char ***to, char *const *from)
{
	size_t n = 0;

	while (from[n] != NULL)
		n++;
	char **v = calloc(n + 1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if ((v[i] = strdup(from[i])) == NULL) {
			oj_strings_free(v);
			return -ENOMEM;
		}
	oj_strings_free(*to);
	*to = v;
	return 0;
}

static int add_env(struct oci_proc *p, const char *const *more)
{
	size_t n = 0, k = 0;

	while (p->env != NULL && p->env[n] != NULL)
		n++;
	while (more != NULL && more[k] != NULL)
		k++;
	char **v = reallocarray(p->env, n + k + 1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	p->env = v;
	v[n] = NULL;
	for (size_t i = 0; i < k; i++) {
		v[n + i + 1] = NULL;
		if ((v[n + i] = strdup(more[i])) == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* "UID[:GID]". */
static int set_user(struct oci_proc *p, const char *text, struct oci_fault *fault)
{
	char *end = NULL;
	unsigned long uid = strtoul(text, &end, 10), gid = p->gid;

	if (end == text || text[0] == '-' || (*end != '\0' && *end != ':'))
		return oci_fail(fault, -EINVAL, "parsing %s as int for uid failed", text);
	if (*end == ':') {
		const char *group = end + 1;
		gid = strtoul(group, &end, 10);
		if (end == group || *end != '\0' || group[0] == '-')
			return oci_fail(fault, -EINVAL, "parsing %s as int for gid failed", group);
	}
	if (uid >= UINT32_MAX || gid >= UINT32_MAX)
		return oci_fail(fault, -EINVAL, "user %s is out of range", text);
	p->uid = (uid_t)uid;
	p->gid = (gid_t)gid;
	return 0;
}

static int set_text(char **to, const char *from)
{
	char *copy = from[0] == '\0' ? NULL : strdup(from);

	if (copy == NULL && from[0] != '\0')
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

/* The container's own process with what the command line says. */
static int from_options(struct execing *e)
{
	const struct oci_exec_options *o = e->o;
	struct oci_proc *p = e->c->process;
	int r = set_strings(&p->args, o->args);

	e->p = p;
	p->terminal = o->tty;
	if (r == 0)
		r = add_env(p, o->env);
	if (r == 0 && o->user != NULL)
		r = set_user(p, o->user, e->fault);
	if (r == 0 && o->cwd != NULL)
		r = set_text(&p->cwd, o->cwd);
	if (r == 0 && o->apparmor != NULL)
		r = set_text(&p->apparmor, o->apparmor);
	if (r == 0 && o->process_label != NULL)
		r = set_text(&p->selinux, o->process_label);
	p->no_new_privs = p->no_new_privs || o->no_new_privs;
	for (size_t i = 0; r == 0 && o->caps != NULL && o->caps[i] != NULL; i++) {
		int cap = oci_cap_number(o->caps[i]);
		if (cap < 0)
			return oci_fail(e->fault, -EINVAL, "unknown capability %s", o->caps[i]);
		p->caps[OCI_BOUNDING] |= 1ULL << cap;
		p->caps[OCI_EFFECTIVE] |= 1ULL << cap;
		p->caps[OCI_PERMITTED] |= 1ULL << cap;
	}
	if (r == 0 && o->groups_n > 0) {
		gid_t *v = reallocarray(p->groups, p->groups_n + o->groups_n, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		p->groups = v;
		memcpy(v + p->groups_n, o->groups, o->groups_n * sizeof(*v));
		p->groups_n += o->groups_n;
	}
	if (r == 0 && (p->args[0] == NULL || p->cwd[0] != '/'))
		r = oci_fail(e->fault, -EINVAL, "exec: args must not be empty, and cwd must be an absolute path");
	return r;
}

/* The container's namespaces that are not ours: entering one's own user namespace is an error, and the others need no entering. */
static int differing(pid_t pid, int *ret_flags)
{
	static const struct {
		const char *name;
		int flag;
	} v[] = {{"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS},	    {"net", CLONE_NEWNET},   {"ipc", CLONE_NEWIPC},
		 {"uts", CLONE_NEWUTS},	  {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}, {"pid", CLONE_NEWPID}};
	int flags = 0;

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		char ours[32], its[48];
		struct stat a, b;
		(void)snprintf(ours, sizeof(ours), "/proc/self/ns/%s", v[i].name);
		(void)snprintf(its, sizeof(its), "/proc/%d/ns/%s", (int)pid, v[i].name);
		if (stat(ours, &a) < 0 || stat(its, &b) < 0) {
			if (v[i].flag == CLONE_NEWTIME) /* before 5.6 */
				continue;
			return err_now();
		}
		if (a.st_ino != b.st_ino)
			flags |= v[i].flag;
	}
	*ret_flags = flags;
	return 0;
}

/* What the first process is. A dead or another one with its number is none. */
static int find_target(struct execing *e, int *ret_flags)
{
	enum oci_status status = oci_state_status(&e->s);

	if (status == OCI_PAUSED && !e->o->ignore_paused)
		return oci_fail(e->fault, -EBUSY, "cannot exec in a paused container (use --ignore-paused to override)");
	if (status == OCI_STOPPED || status == OCI_CREATING)
		return oci_fail(e->fault, -ESRCH, "cannot exec in a stopped container");
	e->target = oci_process_open(e->s.init);
	if (e->target < 0)
		return oci_fail(e->fault, -ESRCH, "cannot exec in a stopped container");
	int r = differing(e->s.init.pid, ret_flags);
	/* Read of the one the descriptor holds. */
	if (r < 0 || !oci_process_alive(e->s.init))
		return oci_fail(e->fault, -ESRCH, "cannot exec in a stopped container");
	return 0;
}

/*
 * An ordinary user has rights over the container's namespaces only inside its user namespace: a step between joins that, beyond the
 * reach of those inside, makes the process, and is gone.
 */
static pid_t born_inside(struct execing *e)
{
	int told[2];
	pid_t pid = -EPIPE;

	if (pipe2(told, O_CLOEXEC) < 0)
		return err_now();
	pid_t step = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (step == 0) {
		pid = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setns(e->target, CLONE_NEWUSER) < 0 ||
				      ((e->ch.spaces & CLONE_NEWPID) && setns(e->target, CLONE_NEWPID) < 0)
			      ? err_now()
			      : (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
		if (pid == 0) {
			(void)close(e->sync);
			e->ch.spaces &= ~(CLONE_NEWUSER | CLONE_NEWPID);
			child_exec(&e->ch);
		}
		(void)!write(told[1], &pid, sizeof(pid));
		_exit(EXIT_SUCCESS);
	}
	(void)close(told[1]);
	if (step < 0 || read(told[0], &pid, sizeof(pid)) != sizeof(pid))
		pid = -EPIPE;
	(void)close(told[0]);
	while (step > 0 && waitpid(step, NULL, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 && pid >= -4095)
		errno = -pid;
	return pid < 0 ? -1 : pid;
}

static int spawn(struct execing *e, int flags)
{
	int pair[2], own = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return oci_fail_errno(e->fault, err_now(), "sockets");
	e->sync = pair[0];
	e->ch = (struct child){.p = e->p,
			       .sync = pair[1],
			       .console = e->console,
			       .filter = e->box,
			       .own = e->ch.own,
			       .proc = e->proc,
			       .userns = (flags & CLONE_NEWUSER) != 0,
			       .fifo = -1,
			       .keyring = e->keyring,
			       .target = e->target,
			       .spaces = flags & ~CLONE_NEWPID};
	e->ch.preserve = container_preserve(e->o->preserve_fds, &e->ch.listen);
	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		e->ch.nsfd[i] = -1;
	bool inside = (flags & CLONE_NEWUSER) != 0 && geteuid() != 0;
	if (inside)
		e->ch.spaces = flags;
	if ((flags & CLONE_NEWPID) && !inside) {
		own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
		if (own < 0 || setns(e->target, CLONE_NEWPID) < 0) {
			int r = err_now();
			(void)fd_close(own);
			(void)close(pair[1]);
			return oci_fail_errno(e->fault, r, "joining the pid namespace");
		}
	}
	e->pid = inside ? born_inside(e) : (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (e->pid == 0) {
		(void)close(e->sync);
		child_exec(&e->ch);
	}
	int r = e->pid < 0 ? err_now() : 0;
	(void)close(pair[1]);
	if (own >= 0)
		(void)setns(own, CLONE_NEWPID);
	own = fd_close(own);
	if (r == 0 && (e->pidfd = (int)syscall(SYS_pidfd_open, e->pid, 0)) < 0)
		r = err_now();
	return r < 0 ? oci_fail_errno(e->fault, r, "creating the process") : 0;
}

static int converse(struct execing *e)
{
	AUTO_FD int listener = -1;
	int number = -1;
	int sent = -1;
	int r = e->s.cgroup == NULL ? 0 : oci_cgroup_enter(e->s.cgroup, e->pid, e->o->cgroup, e->fault);

	if (r == 0)
		(void)child_send(e->sync, CHILD_MSG_GO, (int)e->pid, "");
	if (r == 0)
		r = child_wait_fd(e->sync, CHILD_MSG_LISTENER, &number, &sent, e->fault);
	listener = sent;
	if (r == 0 && listener < 0 && (r = container_take_listener(e->pidfd, number, &listener)) < 0)
		r = oci_fail_errno(e->fault, r, "taking the listener of the process");
	if (r == 0)
		r = helper_listen(e->h.dir, listener, e->fault);
	listener = fd_close(listener);
	if (r == 0)
		(void)child_send(e->sync, CHILD_MSG_GO, 0, "");
	if (r == 0)
		r = child_wait(e->sync, CHILD_MSG_READY, NULL, e->fault);
	if (r == 0 && e->o->pid_file != NULL)
		r = container_pid_file(e->o->pid_file, e->pid, e->fault);
	if (r == 0)
		(void)child_send(e->sync, CHILD_MSG_GO, 0, "");
	if (r < 0)
		return r;
	/* Its end of the pair goes with the exec. */
	struct oci_fault f = OCI_FAULT_NULL;
	r = child_wait(e->sync, CHILD_MSG_NONE, NULL, &f);
	if (r == -EPIPE)
		return 0;
	*e->fault = f;
	return r;
}

static int run_exec(struct execing *e, int internal)
{
	const struct oci_exec_options *o = e->o;
	int flags = 0;
	int r = oci_state_peek(o->root, o->id, &e->h, e->fault);

	if (r == 0)
		r = oci_state_read(&e->h, &e->s, e->fault);
	if (r == 0)
		r = find_target(e, &flags);
	if (r == 0)
		r = container_config(e->h.dir, &e->c, e->fault);
	if (r == 0)
		r = o->process != NULL ? read_process(e) : from_options(e);
	if (r == 0)
		r = proc_check_labels(e->p, NULL, e->fault);
	if (r == 0)
		r = container_check_terminal(e->p->terminal, o->detach && internal < 0, internal >= 0 ? "" : o->console_socket, e->fault);
	if (r == 0 && !(flags & CLONE_NEWUSER))
		proc_check_caps(e->p);
	if (r == 0)
		r = oci_seccomp_build(e->c->seccomp, &e->ch.own, e->fault);
	if (r == 0 && (r = container_filter_read(e->h.dir, e->box)) < 0)
		r = oci_fail_errno(e->fault, r, "the container's filter");
	if (r == 0 && o->console_socket != NULL)
		r = console_connect(o->console_socket, &e->console, e->fault);
	else if (r == 0 && internal >= 0)
		e->console = fcntl(internal, F_DUPFD_CLOEXEC, 3);
	if (r == 0 && (e->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		r = oci_fail_errno(e->fault, err_now(), "/proc");
	(void)snprintf(e->keyring, sizeof(e->keyring), "_ses.%s", o->id);
	if (r == 0)
		r = spawn(e, flags);
	return r == 0 ? converse(e) : r;
}

static int wants_terminal(const struct oci_exec_options *o, bool *ret)
{
	json_t *p = o->process == NULL ? NULL : json_load_file(o->process, 0, NULL);

	*ret = o->process == NULL ? o->tty : json_is_true(json_object_get(p, "terminal"));
	json_decref(p);
	return 0;
}

int oci_exec(const struct oci_exec_options *o, int *ret_status, struct oci_fault *fault)
{
	struct execing e = {.o = o, .h = OCI_HANDLE_NULL, .s = OCI_STATE_NULL, .sync = -1, .console = -1, .target = -1,
			    .pidfd = -1, .proc = -1, .pid = -1, .fault = fault};
	int pair[2] = {-1, -1}, master = -1, r = 0;
	bool terminal = false;

	e.ch.own = OCI_SECCOMP_NULL;
	e.box = mmap(NULL, sizeof(*e.box), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (e.box == MAP_FAILED)
		return oci_fail_errno(fault, -ENOMEM, "memory");
	(void)wants_terminal(o, &terminal);
	if (terminal && !o->detach && o->console_socket == NULL)
		r = container_console_pair(pair);
	if (r == 0)
		r = run_exec(&e, pair[0]);
	if (r == 0 && pair[1] >= 0)
		r = container_master(pair[1], &master);
	(void)fd_close(pair[0]);
	(void)fd_close(pair[1]);
	if (r < 0 && e.pid > 0) {
		(void)kill(e.pid, SIGKILL);
		while (waitpid(e.pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	oci_seccomp_free(&e.ch.own);
	(void)fd_close(e.sync);
	(void)fd_close(e.console);
	(void)fd_close(e.target);
	(void)fd_close(e.proc);
	oci_state_close(&e.h);
	oci_state_clear(&e.s);
	oci_proc_free(e.own);
	oci_config_free(e.c);
	(void)munmap(e.box, sizeof(*e.box));
	if (r == 0)
		*ret_status = o->detach ? 0 : container_wait(e.pid, e.pidfd, master);
	(void)fd_close(master);
	(void)fd_close(e.pidfd);
	return r;
}
