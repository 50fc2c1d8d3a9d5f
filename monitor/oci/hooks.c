/*
 * Running hooks: see hooks.h. What a hook writes to its standard output and error is kept, up to a limit, for the fault;
 * a hook that outlives its time, or leaves its output open, is killed with its process group.
 */
#include "monitor/oci/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

enum { OUTPUT_MAX = 1024 };

struct output {
	char text[OUTPUT_MAX];
	size_t n;
};

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A file to be read from its start, so that a hook that reads nothing holds nobody up. */
static int as_file(const char *text)
{
	AUTO_FD int fd = memfd_create("state", MFD_CLOEXEC);
	size_t n = strlen(text);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) < 0)
		return err_now();
	return fd_steal(&fd);
}

static _Noreturn void become(const struct oci_hook *h, int in, int out)
{
	char *only_path[] = {h->path, NULL}, *none[] = {NULL};
	sigset_t set;

	(void)setpgid(0, 0);
	sigemptyset(&set);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || syscall(SYS_close_range, 3, ~0U, 0) < 0)
		_exit(126);
	(void)execve(h->path, h->args != NULL && h->args[0] != NULL ? h->args : only_path, h->env != NULL ? h->env : none);
	dprintf(2, "%s: %s", h->path, strerror(errno));
	_exit(127);
}

static void take(int fd, struct output *o)
{
	char rest[512];
	char *to = o->n < OUTPUT_MAX - 1 ? o->text + o->n : rest;
	size_t room = o->n < OUTPUT_MAX - 1 ? OUTPUT_MAX - 1 - o->n : sizeof(rest);
	ssize_t n = read(fd, to, room);

	if (n > 0 && to != rest)
		o->n += (size_t)n;
}

/* Until it has ended or its time is over. 0, -ETIMEDOUT. */
static int wait_for(pid_t pid, int out, unsigned int seconds, struct output *o, int *ret_status)
{
	AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int64_t end = seconds == 0 ? INT64_MAX : now_ms() + (int64_t)seconds * 1000;
	int r = pidfd < 0 ? err_now() : 0;

	while (r == 0) {
		struct pollfd p[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = out, .events = POLLIN}};
		int64_t left = end == INT64_MAX ? -1 : end - now_ms();
		if (end != INT64_MAX && left <= 0)
			r = -ETIMEDOUT;
		else if (poll(p, 2, left > INT32_MAX ? INT32_MAX : (int)left) < 0 && errno != EINTR)
			r = err_now();
		else if (p[1].revents & POLLIN)
			take(out, o);
		else if (p[1].revents != 0)
			out = -1;
		if (r == 0 && p[0].revents != 0 && !(p[1].revents & POLLIN))
			break;
	}
	if (r < 0)
		(void)kill(-pid, SIGKILL), (void)kill(pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return r;
}

static int run_one(const struct oci_hook *h, const char *name, size_t i, const char *state, struct oci_fault *fault)
{
	struct output o = {.n = 0};
	int out[2], status = 0;
	AUTO_FD int in = as_file(state);

	if (in < 0 || pipe2(out, O_CLOEXEC) < 0)
		return oci_fail_errno(fault, in < 0 ? in : err_now(), "error running %s hook #%zu", name, i);
	pid_t pid = fork();
	if (pid == 0)
		become(h, in, out[1]);
	(void)close(out[1]);
	int r = pid < 0 ? err_now() : wait_for(pid, out[0], h->timeout, &o, &status);
	(void)close(out[0]);
	o.text[o.n] = '\0';
	while (o.n > 0 && o.text[o.n - 1] == '\n')
		o.text[--o.n] = '\0';
	if (r == -ETIMEDOUT)
		return oci_fail(fault, r, "error running %s hook #%zu: hook ran past specified timeout of %u.0s", name, i, h->timeout);
	if (r < 0)
		return oci_fail_errno(fault, r, "error running %s hook #%zu", name, i);
	if (WIFSIGNALED(status))
		return oci_fail(fault, -ECHILD, "error running %s hook #%zu: signal: %d, output: %s", name, i, WTERMSIG(status), o.text);
	if (WEXITSTATUS(status) != 0)
		return oci_fail(fault, -ECHILD, "error running %s hook #%zu: exit status %d, output: %s", name, i, WEXITSTATUS(status),
				o.text);
	return 0;
}

int hooks_run(const struct oci_hooks *h, const char *name, const char *state, bool go_on, struct oci_fault *fault)
{
	int r = 0;

	for (size_t i = 0; i < h->n && r == 0; i++) {
		r = run_one(&h->v[i], name, i, state, fault);
		if (r < 0 && go_on) {
			oci_log(OCI_WARNING, "%s", fault->text);
			r = 0;
		}
	}
	return r;
}
