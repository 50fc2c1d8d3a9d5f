/*
 * Limits where no control group holds them. Rlimits do for the moment: RLIMIT_NPROC for the number of processes, RLIMIT_DATA for each
 * process's memory. They neither limit the memory of the whole tree nor say that they were met. So a thread counts, some times a second:
 * where the tree has more memory than the limit, its largest process is killed, as the kernel would; and the record learns which limit
 * was met, for the summary.
 *
 * What a process asks for at once and is refused (ENOMEM) leaves no trace to be counted, nor does a fork that fails between two looks.
 *
 * A look at N processes costs N small files; looks are so far apart that they take a twentieth of a processor at most.
 *
 * Syscalls: openat, getdents64, read, close, fcntl, getuid, pidfd_open, pidfd_send_signal, poll, clock_gettime, clock_nanosleep.
 */
#include "sentry/tally.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nr.h"
#include "sentry/pool.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	STACK = 256 * 1024,
	PROCESSES_MAX = 65536,
	INTERVAL_MS = 50,
	SHARE = 20, /* at most one part in so many of the time is spent looking */
	DEATH_MS = 1000,
};

struct process {
	pid_t pid, parent;
	uint64_t memory, data;
	bool known, ours; /* whether it belongs to the tree has been found out, and does */
};

struct scan {
	struct process *v;
	size_t n;
	uint64_t threads;
};

/* The number behind FIELD at the begin of a line of TEXT; 0 where there is none. */
static uint64_t field(const char *text, const char *name)
{
	const size_t len = strlen(name);

	for (const char *p = text; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, name, len) == 0)
			return strtoull(p + len, NULL, 10);
	}
	return 0;
}

/* True where there was such a process. */
static bool look_at(int proc_fd, pid_t pid, uid_t uid, struct scan *s)
{
	char name[32], text[4096];

	(void)snprintf(name, sizeof(name), "%d/status", (int)pid);
	AUTO_FD int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	if (field(text, "Uid:\t") == uid)
		s->threads += field(text, "Threads:\t");
	s->v[s->n++] = (struct process){
		.pid = pid,
		.parent = (pid_t)field(text, "PPid:\t"),
		.memory = (field(text, "RssAnon:\t") + field(text, "VmSwap:\t")) * 1024,
		.data = field(text, "VmData:\t") * 1024,
	};
	return true;
}

static int by_pid(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static struct process *find(const struct scan *s, pid_t pid)
{
	const struct process key = {.pid = pid};

	return s->n == 0 ? NULL : bsearch(&key, s->v, s->n, sizeof(key), by_pid);
}

/* Whether P lies below INIT; what is found out of its ancestors is kept. */
static bool belongs(const struct scan *s, struct process *p, pid_t init)
{
	struct process *up = p;
	bool ours = false;

	for (size_t i = 0; up != NULL && i < s->n; i++) {
		if (up->known || up->parent == init) {
			ours = !up->known || up->ours;
			break;
		}
		up = find(s, up->parent);
	}
	for (size_t i = 0; p != NULL && !p->known && i < s->n; i++) {
		p->known = true;
		p->ours = ours;
		p = p == up ? NULL : find(s, p->parent);
	}
	return ours;
}

int tally_scan(const struct sentry *s, struct tally *ret_t)
{
	struct scan scan = {.n = 0};
	struct tally t = {.threads = 0};
	const uid_t uid = getuid();
	const struct dirent *e = NULL;
	int fd = openat(s->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t room = 0;

	if (dir == NULL) {
		(void)fd_close(fd);
		return err_now();
	}
	while (scan.n < PROCESSES_MAX && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		if (scan.n == room) {
			struct process *v = reallocarray(scan.v, room + 256, sizeof(*v));

			if (v == NULL)
				break;
			scan.v = v;
			room += 256;
		}
		(void)look_at(s->proc_fd, (pid_t)atoi(e->d_name), uid, &scan);
	}
	(void)closedir(dir);
	if (scan.n > 0)
		qsort(scan.v, scan.n, sizeof(*scan.v), by_pid);
	t.threads = scan.threads;
	for (size_t i = 0; i < scan.n; i++) {
		struct process *p = &scan.v[i];

		if (!belongs(&scan, p, s->init))
			continue;
		t.memory += p->memory;
		if (p->data > t.largest_data)
			t.largest_data = p->data;
		if (p->memory > t.largest_memory) {
			t.largest_memory = p->memory;
			t.largest = p->pid;
		}
	}
	free(scan.v);
	*ret_t = t;
	return 0;
}

/* Kills PID if it has as much memory still as it had, and waits for its end. */
static bool end_process(const struct sentry *s, const struct tally *t)
{
	AUTO_FD int pidfd = (int)syscall(NR_pidfd_open, t->largest, 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	struct tally now;

	/* Held first, then looked at again: the number may be another's by now. */
	if (pidfd < 0 || tally_scan(s, &now) < 0 || now.largest != t->largest || poll(&p, 1, 0) != 0 ||
	    syscall(NR_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
		return false;
	(void)poll(&p, 1, DEATH_MS);
	return true;
}

struct watch {
	struct sentry *s;
	uint64_t memory, pids;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void judge(const struct watch *w, const struct tally *t)
{
	if (w->pids != 0 && t->threads >= w->pids)
		record_limit_met(w->s->ring, RECORD_LIMIT_PIDS);
	/* The last sixteenth: a request for more was refused, or will be. */
	if (w->memory != 0 && t->largest_data >= w->memory - w->memory / 16)
		record_limit_met(w->s->ring, RECORD_LIMIT_DATA);
	if (w->memory != 0 && t->memory > w->memory && t->largest > 0 && end_process(w->s, t))
		record_limit_met(w->s->ring, RECORD_LIMIT_MEMORY);
}

static void *watch_loop(void *arg)
{
	static struct watch w;

	w = *(struct watch *)arg;
	free(arg);
	(void)pool_thread_start();
	for (;;) {
		const uint64_t from = now_ns();
		struct tally t;

		if (tally_scan(w.s, &t) == 0)
			judge(&w, &t);
		uint64_t pause = (now_ns() - from) * SHARE;

		if (pause < INTERVAL_MS * UINT64_C(1000000))
			pause = INTERVAL_MS * UINT64_C(1000000);
		const struct timespec ts = {.tv_sec = (time_t)(pause / 1000000000), .tv_nsec = (long)(pause % 1000000000)};

		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	}
	return NULL;
}

int tally_start(struct sentry *s, uint64_t memory, uint64_t pids)
{
	struct watch *w = NULL;
	pthread_attr_t attr;
	pthread_t thread;
	int r = 0;

	if ((memory == 0 && pids == 0) || s->ring == NULL)
		return 0;
	w = malloc(sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	*w = (struct watch){.s = s, .memory = memory, .pids = pids};
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK);
	r = pthread_create(&thread, &attr, watch_loop, w);
	(void)pthread_attr_destroy(&attr);
	if (r != 0)
		free(w);
	return -r;
}
