/*
 * gabion's own processes of a container: see supervision.h.
 *
 *   create --fork--> monitor --fork--> sentry
 *                       \--fork-->  tracer (where execs are verified)
 *
 * Nobody of them is an ancestor of the container's processes. The sentry is made with the container's first process
 * waiting: it takes a procfs of the caller's pid namespace along, where those processes have the ids notifications carry,
 * enters their mount, network, IPC, UTS and user namespaces, gives up every capability but SYS_PTRACE and DAC_READ_SEARCH (in
 * the container's user namespace, or ours where it has none), and confines itself. The monitor keeps the record and waits at
 * ROOT/ID/sentry.sock for the listeners of exec. When one of the three ends, the others do; what is not answered any more
 * gets ENOSYS from the kernel.
 *
 * Should: hold no descriptor of the engine's (its pipes would never end). Mustn't: signal or reap a process of the
 * container's, which are the engine's.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/audit.h"
#include "monitor/isolate.h"
#include "monitor/launch.h"
#include "monitor/oci/supervision.h"
#include "monitor/tracer.h"
#include "record.h"
#include "sentry.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	RING_REFUSED = 32 << 10,
	RING_OTHER = 64 << 10,
	BACKLOG = 64,
	EXEC_ANSWER_MS = 10000,
};

/*
 * SYS_PTRACE to read a caller's memory; DAC_READ_SEARCH to see what it calls by a path, or a descriptor, that only its own user may search:
 * what is not seen is not judged, and refused where it is to be verified.
 */
#define SENTRY_CAPS ((1ULL << 19) | (1ULL << 2))
#define TRACER_CAPS ((1ULL << 19) | (1ULL << 5) | (1ULL << 2)) /* KILL, too: of what was not to be loaded */

/* The order of the processes in the container's state. */
enum role { ROLE_SENTRY = 0, ROLE_MONITOR, ROLE_TRACER, ROLES };

/* To who started us: of each process that started, or what failed. */
struct start_msg {
	int32_t err; /* negative errno; 0 */
	int32_t pid;
	int32_t role;
	char text[120];
};

struct ends {
	int start;	  /* to create */
	int more[2];	  /* [0] monitor, [1] sentry: listeners */
	int trace[2];	  /* [0] sentry, [1] tracer */
	int socket;	  /* sentry.sock */
	int proc;
};

static _Noreturn void failed(const struct ends *e, int r, const char *what)
{
	struct start_msg m = {.err = r};

	(void)snprintf(m.text, sizeof(m.text), "%s", what);
	(void)!write(e->start, &m, sizeof(m));
	_exit(EXIT_FAILURE);
}

static int drop_stdio(void)
{
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_now();
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return err_now();
	return 0;
}

/* In the container's namespaces, without rights there but to look. */
static void enter(const struct helper_config *h, const struct ends *e, uint64_t caps)
{
	struct floor_ids ids = FLOOR_IDS_NULL;
	/* Without privileges (podman without root) supplementary groups may not be given up. */
	bool rootless = h->userns || !oci_privileged();
	int r;

	if (setns(h->pidfd, h->spaces) < 0)
		failed(e, err_now(), "entering the container's namespaces");
	ids.mode = rootless ? FLOOR_ROOTLESS : FLOOR_ROOT;
	/* Where the namespace has no root we stay who we are in it: with the capability, without any files. */
	if (h->userns && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		r = limits_drop_caps(caps);
	else
		r = launch_become_guest(&ids, caps);
	if (r < 0)
		failed(e, r, "ids of the sentry");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || limits_no_new_privs() < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		failed(e, err_now(), "isolation of the sentry");
}

static _Noreturn void sentry_process(const struct helper_config *h, struct ends *e, struct record_ring *ring)
{
	(void)fd_close(e->more[0]);
	(void)fd_close(e->trace[1]);
	(void)fd_close(e->socket);
	enter(h, e, SENTRY_CAPS);
	/*
	 * Can its memory be read, and its descriptors taken? Every call with a path would fail otherwise. In a user namespace not yet:
	 * its memory is still ours, of the host (child.c says when).
	 */
	AUTO_FD int probe = h->userns ? -1 : (int)syscall(SYS_pidfd_getfd, h->pidfd, 2, 0);
	if (probe < 0 && !h->userns && errno != EBADF)
		failed(e, err_now(), "reaching the container's process (CAP_SYS_PTRACE)");
	probe = fd_close(probe);
	struct start_msg ready = {.pid = (int32_t)syscall(SYS_getpid), .role = ROLE_SENTRY};
	struct sentry_config sc = {.listener = h->listener,
				   .proc_fd = e->proc,
				   .control = -1,
				   .tracer = e->trace[0],
				   .listeners = e->more[1],
				   .memfd_exec = h->s->o.memfd_exec,
				   .init = h->init,
				   .rules = h->s->rules,
				   .policy = h->s->policy,
				   .plan = &h->s->plan,
				   .ring = ring,
				   .relay = -1,
				   .keeper = -1,
				   .names = -1};
	if (write(e->start, &ready, sizeof(ready)) != (ssize_t)sizeof(ready))
		_exit(EXIT_FAILURE);
	int keep[] = {sc.listener, sc.proc_fd, sc.tracer, sc.listeners, record_eventfd(ring)};
	if (launch_close_all_but(keep, ARRAY_LEN(keep)) < 0)
		_exit(EXIT_FAILURE);
	_exit(sentry_run(&sc) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static _Noreturn void tracer_process(const struct helper_config *h, struct ends *e)
{
	(void)fd_close(e->more[0]);
	(void)fd_close(e->more[1]);
	(void)fd_close(e->trace[0]);
	(void)fd_close(e->socket);
	(void)fd_close(h->listener);
	enter(h, e, TRACER_CAPS);
	struct start_msg ready = {.pid = (int32_t)syscall(SYS_getpid), .role = ROLE_TRACER};
	struct tracer_config tc = {.sentry = e->trace[1], .snapshots = -1, .proc_fd = e->proc};
	if (write(e->start, &ready, sizeof(ready)) != (ssize_t)sizeof(ready))
		_exit(EXIT_FAILURE);
	int keep[] = {tc.sentry, tc.proc_fd};
	if (launch_close_all_but(keep, ARRAY_LEN(keep)) < 0)
		_exit(EXIT_FAILURE);
	tracer_run(&tc);
}

/* A message of one of both ends, with a descriptor (*FD, or -1). False: the other end is gone or talks nonsense. */
static bool take_listener(int from, struct listener_msg *m, int *fd)
{
	struct iovec iov = {.iov_base = m, .iov_len = sizeof(*m)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u;
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};
	ssize_t n = recvmsg(from, &mh, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n == (ssize_t)sizeof(*m) ? CMSG_FIRSTHDR(&mh) : NULL;

	*fd = -1;
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return n == (ssize_t)sizeof(*m);
}

static int pass_listener(int to, int fd)
{
	struct listener_msg m = {.kind = LISTENER_MSG_ADD};
	struct iovec iov = {.iov_base = &m, .iov_len = sizeof(m)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = {.buf = {0}};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(to, &mh, MSG_NOSIGNAL) < 0 ? err_now() : 0;
}

/* An exec with its listener. One at a time: the sentry answers at once. A peer that dawdles is left. */
static void serve(int socket, int sentry)
{
	struct timeval patience = {.tv_sec = 2};
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t len = sizeof(who);
	struct listener_msg m = {.kind = 0};
	int fd = -1;
	AUTO_FD int peer = accept4(socket, NULL, NULL, SOCK_CLOEXEC);

	if (peer < 0 || getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || (who.uid != 0 && who.uid != geteuid()) ||
	    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return;
	bool whole = take_listener(peer, &m, &fd);
	if (whole && fd >= 0 && m.kind == LISTENER_MSG_ADD) {
		m.value = pass_listener(sentry, fd);
		if (m.value == 0 && recv(sentry, &m, sizeof(m), 0) != (ssize_t)sizeof(m))
			m.value = -EPIPE;
		(void)send(peer, &m, sizeof(m), MSG_NOSIGNAL);
	}
	(void)fd_close(fd);
}

static void loop(const struct ends *e, struct audit *audit, int sentry)
{
	for (;;) {
		enum { EXEC, AUDIT, SENTRY, ALL };
		struct pollfd p[ALL] = {[EXEC] = {.fd = e->socket, .events = POLLIN},
					[AUDIT] = {.fd = audit_fd(audit), .events = POLLIN},
					[SENTRY] = {.fd = sentry, .events = POLLIN}};
		int n = poll(p, ALL, audit_timeout(audit));
		if (n < 0 && errno != EINTR)
			return;
		if (n <= 0 || p[AUDIT].revents != 0)
			audit_drain(audit);
		if (n > 0 && p[EXEC].revents != 0)
			serve(e->socket, e->more[0]);
		if ((n > 0 && p[SENTRY].revents != 0) || audit_broken(audit))
			return;
	}
}

static pid_t fork_one(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

/* No session, signal disposition, directory or descriptor of who made us. */
static int detach(const struct helper_config *h, const struct ends *e)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};
	int keep[] = {h->listener, h->pidfd, h->dir, e->start, e->more[0], e->more[1], e->socket, e->proc};
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)prctl(PR_SET_NAME, "gabion-oci");
	if (setsid() < 0 || chdir("/") < 0)
		return err_now();
	int r = drop_stdio();
	return r < 0 ? r : launch_close_all_but(keep, ARRAY_LEN(keep));
}

static _Noreturn void monitor_process(const struct helper_config *h, struct ends *e)
{
	struct record_ring *ring = NULL;
	struct audit *audit = NULL;
	struct sock_fprog self = {.len = 0};
	char path[64];
	int r = detach(h, e);

	if (r < 0)
		failed(e, r, "detaching");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/record.jsonl", h->dir);
	r = record_ring_new(RING_REFUSED, RING_OTHER, &ring);
	if (r == 0)
		r = audit_open(path, 0, ring, h->s->policy, &audit);
	if (r < 0)
		failed(e, r, "the record");
	bool traced = h->s->plan.level[PLAN_EXEC] == LEVEL_VERIFY;
	if (traced && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->trace) < 0)
		failed(e, err_now(), "sockets");
	pid_t tracer = traced ? fork_one() : 1;
	if (tracer == 0)
		tracer_process(h, e);
	e->trace[1] = fd_close(e->trace[1]);
	pid_t sentry = tracer < 0 ? -1 : fork_one();
	if (sentry == 0)
		sentry_process(h, e, ring);
	if (sentry < 0)
		failed(e, err_now(), "processes of gabion");
	/* The listener above all: with the sentry the last of it must be gone. */
	(void)close(h->listener);
	(void)close(h->pidfd);
	(void)close(h->dir);
	e->proc = fd_close(e->proc);
	e->more[1] = fd_close(e->more[1]);
	e->trace[0] = fd_close(e->trace[0]);
	AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, sentry, 0);
	struct start_msg m = {.pid = (int32_t)syscall(SYS_getpid), .role = ROLE_MONITOR};
	if (pidfd < 0 || write(e->start, &m, sizeof(m)) != (ssize_t)sizeof(m))
		_exit(EXIT_FAILURE);
	e->start = fd_close(e->start);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || isolate_monitor_build(&self) < 0 || isolate_monitor(&self) < 0)
		_exit(EXIT_FAILURE);
	(void)malloc_trim(0);
	loop(e, audit, pidfd);
	/* Its listeners go with it: what calls now gets ENOSYS. */
	(void)kill(sentry, SIGKILL);
	(void)waitpid(sentry, NULL, 0);
	(void)audit_close(audit);
	_exit(EXIT_SUCCESS);
}

/* ROOT/ID/sentry.sock, however long that path is. */
static int address(int dir, struct sockaddr_un *ret_a)
{
	*ret_a = (struct sockaddr_un){.sun_family = AF_UNIX};
	return snprintf(ret_a->sun_path, sizeof(ret_a->sun_path), "/proc/self/fd/%d/sentry.sock", dir) > 0 ? 0 : -EINVAL;
}

static int listen_at(int dir, int *ret_fd)
{
	struct sockaddr_un a;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = address(dir, &a);

	if (r < 0)
		return r;
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, BACKLOG) < 0)
		return err_now();
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* Their words until all have started. */
static int await(int start, size_t wanted, struct oci_process *ret_helpers, size_t *ret_n, struct oci_fault *fault)
{
	struct oci_process v[ROLES] = {{0}};
	size_t n = 0;

	while (n < wanted) {
		struct start_msg m;
		ssize_t k = read(start, &m, sizeof(m));
		if (k < 0 && errno == EINTR)
			continue;
		if (k != (ssize_t)sizeof(m))
			return oci_fail(fault, -ECHILD, "gabion's own processes ended before they were ready");
		m.text[sizeof(m.text) - 1] = '\0';
		if (m.err < 0)
			return oci_fail_errno(fault, m.err, "gabion's own processes: %s", m.text);
		if (m.role < 0 || m.role >= (int32_t)wanted || v[m.role].pid != 0)
			return oci_fail(fault, -EPROTO, "gabion's own processes said what cannot be said");
		v[m.role] = oci_process_of((pid_t)m.pid);
		n++;
	}
	memcpy(ret_helpers, v, n * sizeof(*v));
	*ret_n = n;
	return 0;
}

int helper_start(const struct helper_config *h, struct oci_process *ret_helpers, size_t *ret_n, struct oci_fault *fault)
{
	struct ends e = {.start = -1, .more = {-1, -1}, .trace = {-1, -1}, .socket = -1, .proc = -1};
	int start[2];
	int r = listen_at(h->dir, &e.socket);

	if (r < 0)
		return oci_fail_errno(fault, r, "sentry.sock");
	e.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e.proc < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, start) < 0) {
		r = err_now();
		(void)fd_close(e.proc);
		(void)fd_close(e.socket);
		return oci_fail_errno(fault, r, "gabion's own processes");
	}
	e.start = start[1];
	pid_t pid = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e.more) < 0
			    ? -1
			    : (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		(void)close(start[0]);
		monitor_process(h, &e);
	}
	r = pid < 0 ? oci_fail_errno(fault, err_now(), "gabion's own processes") : 0;
	(void)close(start[1]);
	(void)fd_close(e.more[0]);
	(void)fd_close(e.more[1]);
	(void)fd_close(e.socket);
	(void)fd_close(e.proc);
	if (r == 0)
		r = await(start[0], h->s->plan.level[PLAN_EXEC] == LEVEL_VERIFY ? 3 : 2, ret_helpers, ret_n, fault);
	(void)close(start[0]);
	if (r < 0 && pid > 0) {
		(void)kill(pid, SIGKILL); /* the others die with it */
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return r;
}

int helper_listen(int dir, int listener, struct oci_fault *fault)
{
	struct timeval patience = {.tv_sec = EXEC_ANSWER_MS / 1000};
	struct listener_msg m = {.kind = 0, .value = -EPIPE};
	struct sockaddr_un a;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int r = address(dir, &a);

	if (r == 0 && (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		       setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0))
		r = err_now();
	if (r == 0)
		r = pass_listener(fd, listener);
	if (r == 0 && recv(fd, &m, sizeof(m), 0) != (ssize_t)sizeof(m))
		r = -EPIPE;
	if (r == 0)
		r = m.value;
	return r < 0 ? oci_fail_errno(fault, r, "the container's sentry does not answer") : 0;
}
