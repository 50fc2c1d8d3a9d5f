/*
 * The container's process before its exec: see child.h.
 *
 * Create: it is born in the new namespaces, waits until its maker has written the id maps and put it into its cgroups,
 * joins what was given by path, builds the file system (rootfs.h), lets hooks run, changes its root, and takes on what
 * `process` asks for. Exec: it is born outside, and enters the container's namespaces with nothing open but what it is
 * given, beyond the reach of those inside (not dumpable, CVE-2016-9962).
 *
 * Both install gabion's filter themselves, while they have the right to, and tell the number of its listener; the maker
 * takes it and gives it to the sentry, and only then they go on: nothing of the container's runs unsupervised. The
 * container's own profile comes after it. Without no_new_privs both need a capability, and come before the ids change; else they
 * come last, so that no list has to let through what only we need.
 *
 * Should: leave nothing open but the standard descriptors and those asked for. Mustn't: execute anything of the image
 * with a capability or an id that config.json does not give.
 */
#include "monitor/oci/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/oci/hooks.h"
#include "monitor/oci/proc_apply.h"
#include "util/err.h"
#include "util/fd.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

enum { WAIT_KILLABLE_RECV = 1 << 5 };

static _Noreturn void fail(const struct child *ch, int r, const struct oci_fault *f)
{
	(void)child_send(ch->sync, CHILD_MSG_FAILED, r, f->text[0] != '\0' ? f->text : oci_errno_text(r));
	_exit(EXIT_FAILURE);
}

static void check(const struct child *ch, int r, const struct oci_fault *f)
{
	if (r < 0)
		fail(ch, r, f);
}

/* FAILED is whether the libc call just made did. */
static void check_call(const struct child *ch, bool failed, const char *what)
{
	struct oci_fault f = OCI_FAULT_NULL;

	if (failed)
		fail(ch, oci_fail_errno(&f, err_now(), "%s", what), &f);
}

static void warn(void *ctx, const char *text)
{
	const struct child *ch = ctx;

	(void)child_send(ch->sync, CHILD_MSG_WARNING, 0, text);
}

static int await_go(const struct child *ch)
{
	struct oci_fault f = OCI_FAULT_NULL;
	int value = 0;

	if (child_wait(ch->sync, CHILD_MSG_GO, &value, &f) < 0)
		_exit(EXIT_FAILURE); /* the maker is gone: so are we */
	return value;
}

/* The maker's dispositions and mask are not the container's. */
static void default_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int write_sysctl(int proc, const struct oci_pair *s)
{
	struct open_how how = {.flags = O_WRONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
	bool slashes = s->key[strcspn(s->key, "./")] == '/';
	char path[300];
	int n = snprintf(path, sizeof(path), "sys/%s", s->key);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	/* sysctl(8): where dots separate, a slash stands for a dot in a name. */
	for (char *c = path + 4; !slashes && *c != '\0'; c++)
		*c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
	AUTO_FD int fd = (int)syscall(SYS_openat2, proc, path, &how, sizeof(how));
	if (fd < 0)
		return err_now();
	return write(fd, s->value, strlen(s->value)) == (ssize_t)strlen(s->value) ? 0 : err_now();
}

static void settings(const struct child *ch)
{
	struct oci_fault f = OCI_FAULT_NULL;

	for (size_t i = 0; i < ch->c->sysctl_n; i++) {
		int r = write_sysctl(ch->root->proc, &ch->c->sysctl[i]);
		if (r < 0)
			fail(ch, oci_fail_errno(&f, r, "sysctl %s", ch->c->sysctl[i].key), &f);
	}
	if (ch->c->personality_set)
		check_call(ch, personality(ch->c->personality) < 0, "unable to set personality");
}

static void offset(int fd, const char *clock, bool set, int64_t seconds, uint32_t nanoseconds, const struct child *ch)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s %lld %u\n", clock, (long long)seconds, nanoseconds);

	check_call(ch, set && write(fd, text, (size_t)n) != n, "error setting timeOffsets");
}

/* A time namespace is entered by the next exec or by setns, and can be set until somebody is in it. */
static void new_time(const struct child *ch)
{
	const struct oci_config *c = ch->c;

	check_call(ch, unshare(CLONE_NEWTIME) < 0, "unshare time namespace");
	AUTO_FD int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	check_call(ch, fd < 0, "open timens_offsets");
	offset(fd, "monotonic", c->monotonic.set, c->monotonic.seconds, c->monotonic.nanoseconds, ch);
	offset(fd, "boottime", c->boottime.set, c->boottime.seconds, c->boottime.nanoseconds, ch);
	AUTO_FD int space = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	check_call(ch, space < 0 || setns(space, CLONE_NEWTIME) < 0, "enter time namespace");
}

static void namespaces(const struct child *ch)
{
	static const int order[] = {OCI_NS_NET, OCI_NS_IPC, OCI_NS_UTS, OCI_NS_CGROUP, OCI_NS_TIME};
	const struct oci_config *c = ch->c;

	/* Root of the new user namespace, whoever we were. */
	if (c->ns[OCI_NS_USER].wanted) {
		(void)setgroups(0, NULL);
		check_call(ch, setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0, "ids of the user namespace");
	}
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		check_call(ch, ch->nsfd[order[i]] >= 0 && setns(ch->nsfd[order[i]], 0) < 0,
			   "failed to setns into a namespace given by path");
	/* What it sees as its root is where it has been put meanwhile. */
	check_call(ch, c->ns[OCI_NS_CGROUP].wanted && c->ns[OCI_NS_CGROUP].path == NULL && unshare(CLONE_NEWCGROUP) < 0,
		   "unshare cgroup namespace");
	if (c->ns[OCI_NS_TIME].wanted && c->ns[OCI_NS_TIME].path == NULL)
		new_time(ch);
	check_call(ch, c->hostname != NULL && sethostname(c->hostname, strlen(c->hostname)) < 0, "sethostname");
	check_call(ch, c->domainname != NULL && setdomainname(c->domainname, strlen(c->domainname)) < 0, "setdomainname");
}

static void keyring(const struct child *ch)
{
	if (ch->keyring != NULL && syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, ch->keyring) < 0 && errno != ENOSYS)
		warn((void *)(uintptr_t)ch, "no session keyring of its own: the host does not permit it");
}

static void hook_state(const struct child *ch, const char *status, int pid)
{
	if (ch->state == NULL)
		return;
	(void)json_object_set_new(ch->state, "status", json_string(status));
	(void)json_object_set_new(ch->state, "pid", json_integer(pid));
}

static void hooks(const struct child *ch, enum oci_hook_kind kind)
{
	struct oci_fault f = OCI_FAULT_NULL;

	if (ch->c == NULL || ch->c->hooks[kind].n == 0)
		return;
	AUTO_FREE char *text = json_dumps(ch->state, JSON_COMPACT);
	check_call(ch, text == NULL, "state for hooks");
	check(ch, hooks_run(&ch->c->hooks[kind], oci_hook_names()[kind], text, false, &f), &f);
}

/* gabion's own filter: its number is told, and the answer awaited by calls that the filter always lets through. */
static void supervised(const struct child *ch)
{
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	struct sock_fprog prog = {.len = ch->filter->len, .filter = (struct sock_filter *)(uintptr_t)ch->filter->insns};
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | WAIT_KILLABLE_RECV, &prog);

	if (fd < 0 && errno == EINVAL) /* before 5.19 */
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	check_call(ch, fd < 0, "seccomp: gabion's filter");
	struct child_msg m = {.kind = CHILD_MSG_LISTENER, .value = (int32_t)fd};
	/* A maker without rights over us, beyond whose reach we are meanwhile, cannot take it; sending is never notified in a
	 * container's plan. */
	bool sent = ch->userns && child_send_fd(ch->sync, &m, (int)fd) == 0;
	if ((!sent && write(ch->sync, &m, sizeof(m)) != (ssize_t)sizeof(m)) || read(ch->sync, &m, sizeof(m)) != (ssize_t)sizeof(m) ||
	    m.kind != CHILD_MSG_GO)
		_exit(EXIT_FAILURE);
	(void)close((int)fd);
}

/*
 * Everything above the preserved descriptors is closed but what is ours, which the exec closes. In an exec before the container's
 * namespaces are entered.
 */
static void close_others(const struct child *ch)
{
	unsigned int from = 3 + ch->preserve;
	int keep[5] = {ch->sync, ch->console, ch->fifo, ch->proc, ch->target};
	struct oci_fault f = OCI_FAULT_NULL;

	for (size_t i = 0; i < ARRAY_LEN(keep); i++) /* ascending */
		for (size_t k = i; k > 0 && keep[k - 1] > keep[k]; k--) {
			int t = keep[k];
			keep[k] = keep[k - 1];
			keep[k - 1] = t;
		}
	for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
		if (keep[i] < (int)from)
			continue;
		if ((unsigned int)keep[i] > from)
			(void)syscall(SYS_close_range, from, (unsigned int)keep[i] - 1, 0);
		from = (unsigned int)keep[i] + 1;
	}
	if (syscall(SYS_close_range, from, ~0U, 0) < 0 || syscall(SYS_close_range, 3 + ch->preserve, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		fail(ch, oci_fail_errno(&f, err_now(), "close_range"), &f);
	/* What is passed on is so although it was opened otherwise. */
	for (unsigned int fd = 3; fd < 3 + ch->preserve; fd++) {
		int flags = fcntl((int)fd, F_GETFD);
		if (flags >= 0)
			(void)fcntl((int)fd, F_SETFD, flags & ~FD_CLOEXEC);
	}
}

/* From here on create and exec are the same. SLAVE: the terminal, or -1. PID: for the hooks. */
static _Noreturn void tail(const struct child *ch, int slave, int pid)
{
	const struct oci_proc *p = ch->p;
	struct oci_fault f = OCI_FAULT_NULL;
	char **env = NULL, *path = NULL;
	bool late;

	check_call(ch, slave >= 0 && console_take(slave) < 0, "setting the controlling terminal");
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	check_call(ch, root < 0, "open /");
	check(ch, proc_env(p, root, ch->listen, &env), &f);
	/* Before the working directory is entered: no way there leads over a descriptor of ours (CVE-2024-21626). */
	root = fd_close(root);
	close_others(ch);
	int r = proc_chdir(p, false, &f);
	late = r == -EAGAIN;
	check(ch, late ? 0 : r, &f);
	check(ch, proc_limits(p, warn, (void *)(uintptr_t)ch, &f), &f);
	check_call(ch, p->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0, "no_new_privs");
	/* A filter needs no_new_privs or a capability. */
	if (!p->no_new_privs) {
		supervised(ch);
		if ((r = oci_seccomp_install(&ch->own)) < 0)
			fail(ch, oci_fail_errno(&f, r, "unable to init seccomp"), &f);
	}
	check(ch, proc_become(p, &f), &f);
	check(ch, late ? proc_chdir(p, true, &f) : 0, &f);
	check(ch, proc_find(p, env, &path, &f), &f);
	if (p->no_new_privs)
		supervised(ch);
	/*
	 * Until the exec our memory belongs to the host's user namespace, where a sentry in the container's has no rights; that it can
	 * be read (the exec's path) needs this. Whoever inside can trace us now gains a process like his own, with the filter on.
	 */
	check_call(ch, ch->userns && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0, "dumpable");
	if (child_send(ch->sync, CHILD_MSG_READY, 0, "") < 0)
		_exit(EXIT_FAILURE);
	if (ch->fifo >= 0) {
		char c;
		ssize_t n;
		(void)close(ch->sync);
		do {
			n = read(ch->fifo, &c, 1);
		} while (n < 0 && errno == EINTR);
		if (n != 1)
			_exit(EXIT_FAILURE);
		hook_state(ch, "created", pid);
		if (ch->c->hooks[OCI_START_CONTAINER].n > 0)
			hooks(ch, OCI_START_CONTAINER);
	} else {
		(void)await_go(ch);
	}
	if (p->no_new_privs && (r = oci_seccomp_install(&ch->own)) < 0)
		fail(ch, oci_fail_errno(&f, r, "unable to init seccomp"), &f);
	(void)execve(path, p->args, env);
	r = err_now();
	if (ch->fifo < 0)
		fail(ch, oci_fail_errno(&f, r, "exec: \"%s\"", path), &f);
	dprintf(2, "exec %s: %s\n", path, oci_errno_text(r));
	_exit(r == -ENOENT || r == -ENOTDIR ? 127 : 126);
}

_Noreturn void child_create(const struct child *ch)
{
	const struct oci_config *c = ch->c;
	struct oci_fault f = OCI_FAULT_NULL;
	int master = -1, slave = -1;

	default_signals();
	int pid = await_go(ch);
	/* Others are in there already. */
	if (c->ns[OCI_NS_PID].path != NULL)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)umask(0);
	check_call(ch, setsid() < 0, "setsid");
	namespaces(ch);
	keyring(ch);
	check(ch, rootfs_begin(ch->root, &f), &f);
	check(ch, rootfs_mounts(ch->root, &f), &f);
	if (child_send(ch->sync, CHILD_MSG_MOUNTED, 0, "") < 0)
		_exit(EXIT_FAILURE);
	(void)await_go(ch);
	hook_state(ch, "creating", pid);
	hooks(ch, OCI_CREATE_CONTAINER);
	check(ch, rootfs_cover_sockets(ch->root, &f), &f);
	if (ch->p->terminal) {
		check(ch, console_open(ch->p, ch->root->root, true, &master, &slave, &f), &f);
		check_call(ch, console_send(ch->console, master, "/dev/pts/0") < 0, "sending the terminal to the console socket");
		master = fd_close(master);
	}
	check(ch, rootfs_finish(ch->root, &f), &f);
	check(ch, rootfs_enter(ch->root, ch->no_pivot, &f), &f);
	settings(ch);
	check(ch, proc_priorities(ch->p, ch->root->proc, warn, (void *)(uintptr_t)ch, &f), &f);
	check(ch, proc_labels(ch->p, ch->root->proc, &f), &f);
	tail(ch, slave, pid);
}

_Noreturn void child_exec(const struct child *ch)
{
	struct oci_fault f = OCI_FAULT_NULL;
	int master = -1, slave = -1;

	default_signals();
	(void)await_go(ch);
	check_call(ch, setsid() < 0, "setsid");
	close_others(ch);
	check(ch, proc_priorities(ch->p, ch->proc, warn, (void *)(uintptr_t)ch, &f), &f);
	check(ch, proc_labels(ch->p, ch->proc, &f), &f);
	(void)close(ch->proc);
	check_call(ch, prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0, "beyond the container's reach");
	check_call(ch, setns(ch->target, ch->spaces) < 0, "failed to setns into the container's namespaces");
	if (ch->userns) {
		(void)setgroups(0, NULL);
		check_call(ch, setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0, "ids of the user namespace");
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	}
	(void)close(ch->target);
	(void)umask(0);
	keyring(ch);
	if (ch->p->terminal) {
		AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		check_call(ch, root < 0, "open /");
		check(ch, console_open(ch->p, root, false, &master, &slave, &f), &f);
		check_call(ch, console_send(ch->console, master, "/dev/pts/exec") < 0, "sending the terminal to the console socket");
		master = fd_close(master);
	}
	tail(ch, slave, 0);
}
