/*
 * The unwinder's process and its children: see unwinder.h.
 *
 * Should: receive, fork, wait, end a child that takes too long. Mustn't: look into what it received (the child does), keep
 * anything of the monitor's: descriptors are closed, the environment, which may hold secrets, is wiped.
 */
#include "monitor/unwinder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/isolate.h"
#include "monitor/launch.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	CHILD_MS = 2000,
	CHILD_MEMORY = 256 << 20,
	CHILD_FILES = 80,
	RECEIVE_BUFFER = 1 << 20,
};

struct job {
	struct tracer_snapshot head;
	unsigned char stack[TRACER_STACK_MAX];
	char maps[TRACER_MAPS_MAX];
	struct unwind_stack result;
};

static size_t size_of(const struct unwind_stack *s)
{
	return offsetof(struct unwind_stack, frame) + s->n * sizeof(s->frame[0]);
}

static void lower(__rlimit_resource_t what, rlim_t to)
{
	(void)setrlimit(what, &(struct rlimit){ .rlim_cur = to, .rlim_max = to });
}

/* In the child. Everything after the filter works on what the guest wrote. */
static _Noreturn void unwind_one(struct job *j, int memory, int root, int results)
{
	struct unwind_snapshot s = { .head = &j->head, .stack = j->stack, .maps = j->maps, .root = root };

	lower(RLIMIT_CPU, 1);
	lower(RLIMIT_AS, CHILD_MEMORY);
	lower(RLIMIT_NOFILE, CHILD_FILES);
	lower(RLIMIT_FSIZE, 0);
	if (isolate_unwinding() < 0)
		_exit(1);
	if (pread(memory, j->stack, j->head.stack_len, 0) != (ssize_t)j->head.stack_len ||
	    pread(memory, j->maps, j->head.maps_len, j->head.stack_len) != (ssize_t)j->head.maps_len ||
	    unwind_stack(&s, &j->result) < 0)
		_exit(1);
	_exit(send(results, &j->result, size_of(&j->result), MSG_NOSIGNAL) < 0 ? 1 : 0);
}

/* True where the child came to its end by itself, well. */
static bool await(pid_t pid)
{
	AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int status = 1;

	if (pidfd < 0 || poll(&p, 1, CHILD_MS) <= 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

/* The next snapshot's head and memory file. 0, -EAGAIN for one that is not sane, -EPIPE at the end. */
static int receive(int snapshots, struct tracer_snapshot *ret_head, int *ret_memory)
{
	struct tracer_snapshot head;
	struct iovec iov = { .iov_base = &head, .iov_len = sizeof(head) };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = { .buf = { 0 } };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf) };
	ssize_t n = recvmsg(snapshots, &mh, MSG_CMSG_CLOEXEC);
	AUTO_FD int fd = -1;

	if (n < 0 && errno == EINTR)
		return -EAGAIN;
	if (n <= 0)
		return -EPIPE;
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	if (n != sizeof(head) || fd < 0 || head.stack_len > TRACER_STACK_MAX || head.maps_len > TRACER_MAPS_MAX)
		return -EAGAIN;
	*ret_head = head;
	*ret_memory = fd_steal(&fd);
	return 0;
}

static _Noreturn void serve(int snapshots, int root, int results)
{
	static struct job job;

	for (;;) {
		AUTO_FD int memory = -1;
		int r = receive(snapshots, &job.head, &memory);

		if (r == -EPIPE)
			_exit(0);
		if (r < 0)
			continue;
		pid_t pid = fork();

		if (pid == 0)
			unwind_one(&job, memory, root, results);
		if (pid < 0 || !await(pid)) {
			/* No frame: it could not be unwound. */
			job.result = (struct unwind_stack){ .id = job.head.id };
			(void)send(results, &job.result, size_of(&job.result), MSG_NOSIGNAL | MSG_DONTWAIT);
		}
	}
}

static void wipe_environment(void)
{
	for (char **e = environ; *e != NULL; e++)
		explicit_bzero(*e, strlen(*e));
	environ = NULL;
}

static _Noreturn void unwinder_main(int snapshots, int results, int userns, int mntns, const struct floor_ids *ids, int report)
{
	static const int ignored[] = { SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)prctl(PR_SET_NAME, "gabion: unwind", 0, 0, 0);
	r = unwind_load();
	if (r == 0 && userns >= 0 && (setns(userns, CLONE_NEWUSER) < 0 || setns(mntns, CLONE_NEWNS) < 0))
		r = err_now();
	if (r == 0)
		r = launch_become_guest(ids, 0);
	if (r == 0)
		r = limits_no_new_privs();
	/* A change of ids clears it. */
	if (r == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
		r = err_now();
	int root = r < 0 ? r : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (r == 0 && root < 0)
		r = err_now();
	wipe_environment();
	(void)!write(report, &r, sizeof(r));
	int keep[] = { snapshots, results, root };

	for (int fd = 0; fd < 3; fd++)
		(void)close(fd);
	if (r < 0 || launch_close_all_but(keep, ARRAY_LEN(keep)) < 0 || isolate_unwinder() < 0)
		_exit(1);
	serve(snapshots, root, results);
}

int unwinder_start(int snapshots, int userns, int mntns, const struct floor_ids *ids, struct unwinder *ret_u)
{
	AUTO_FD int from = snapshots;
	int results[2], report[2], r = -EPIPE, on = RECEIVE_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, results) < 0)
		return err_now();
	if (pipe2(report, O_CLOEXEC) < 0) {
		r = err_now();
		(void)fd_close(results[0]);
		(void)fd_close(results[1]);
		return r;
	}
	(void)setsockopt(from, SOL_SOCKET, SO_RCVBUF, &on, sizeof(on));
	pid_t pid = fork();

	if (pid == 0)
		unwinder_main(from, results[1], userns, mntns, ids, report[1]);
	(void)fd_close(results[1]);
	(void)fd_close(report[1]);
	if (pid < 0)
		r = err_now();
	else if (read(report[0], &r, sizeof(r)) != sizeof(r))
		r = -EPIPE;
	(void)fd_close(report[0]);
	if (r < 0) {
		(void)fd_close(results[0]);
		while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return r;
	}
	*ret_u = (struct unwinder){ .pid = pid, .results = results[0] };
	return 0;
}

int unwinder_take(const struct unwinder *u, struct unwind_stack *ret_stack)
{
	ssize_t n = recv(u->results, ret_stack, sizeof(*ret_stack), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : err_now();
	if (n < (ssize_t)offsetof(struct unwind_stack, frame))
		return -EPIPE;
	if (ret_stack->n > UNWIND_FRAMES || (size_t)n != size_of(ret_stack))
		return -EPROTO;
	for (uint32_t i = 0; i < ret_stack->n; i++) {
		const struct unwind_frame *f = &ret_stack->frame[i];

		if (memchr(f->object, '\0', sizeof(f->object)) == NULL || memchr(f->symbol, '\0', sizeof(f->symbol)) == NULL ||
		    f->build_id_len > UNWIND_BUILD_ID_MAX)
			return -EPROTO;
	}
	return 0;
}

void unwinder_stop(struct unwinder *u)
{
	u->results = fd_close(u->results);
	if (u->pid > 0) {
		(void)kill(u->pid, SIGKILL);
		while (waitpid(u->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	u->pid = -1;
}
