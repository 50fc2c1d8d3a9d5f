/*
 * Calls whose callers the tracer holds. The receiver asks and goes on; one thread listens to the tracer and answers the
 * calls. Before it does it asks whether the notification lives: if it does now, after the seize, then the thread that was
 * seized is the one that called, whatever became of numbers in between.
 *
 * The listening thread waits for nobody but the tracer, and never for the guest.
 *
 * Syscalls: clone3, recvfrom, sendto, openat, read, close, clock_gettime.
 */
#include "sentry/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "nr.h"
#include "sentry/caller.h"
#include "sentry/pool.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	BUCKETS = 256,
	PENDING_MAX = 4096, /* of sibling threads that wait for each other's exec, or of a tracer that is slow */
	STACK_SIZE = 256 * 1024,
	CMDLINE_MAX = 128 << 10,
	ARGS_MAX = 4096,
	EXIT_LOST = 1,
};

/* A request whose answer is awaited; without .call: whose arguments will be asked about. */
struct pending {
	struct pending *next;
	uint64_t id;
	struct call *call;
	const struct policy *policy;
	struct trace_args args;
};

struct trace {
	struct sentry *s;
	int fd;
	pthread_mutex_t lock;
	struct pending *bucket[BUCKETS];
	unsigned int count;
	uint64_t last_id;
};

static void args_clear(struct trace_args *a)
{
	for (unsigned int i = 0; i < a->n; i++)
		free(a->program[i].path);
	*a = (struct trace_args){.n = 0};
}

struct trace_request *trace_request_free(struct trace_request *r)
{
	if (r != NULL) {
		args_clear(&r->args);
		r->reply.fd = fd_close(r->reply.fd);
	}
	free(r);
	return NULL;
}

static void put(struct trace *t, struct pending *p)
{
	(void)pthread_mutex_lock(&t->lock);
	p->next = t->bucket[p->id % BUCKETS];
	t->bucket[p->id % BUCKETS] = p;
	t->count++;
	(void)pthread_mutex_unlock(&t->lock);
}

static struct pending *get(struct trace *t, uint64_t id)
{
	struct pending *p;

	(void)pthread_mutex_lock(&t->lock);
	for (struct pending **at = &t->bucket[id % BUCKETS]; (p = *at) != NULL; at = &p->next)
		if (p->id == id) {
			*at = p->next;
			t->count--;
			break;
		}
	(void)pthread_mutex_unlock(&t->lock);
	return p;
}

static struct pending *pending_free(struct pending *p)
{
	if (p != NULL)
		args_clear(&p->args);
	free(p);
	return NULL;
}

/* The reply that was waiting, with what it owns. */
static struct reply held_reply(struct call *c)
{
	struct reply r = c->request->reply;

	c->request->reply = REPLY_NULL;
	return r;
}

/* The tracer could not take hold of the caller. */
static struct reply not_held(struct call *c, int err)
{
	if (err == ESRCH)
		return reply_deny(EINTR); /* gone: nobody is told */
	if (c->request->msg.kind == TRACER_SNAPSHOT)
		return held_reply(c);
	/* Traced by a debugger of the guest's. */
	if (err == EPERM && c->s->plan->exec_held)
		return reply_continue(c);
	if (err == EPERM)
		return call_refuse_plain(c, EACCES);
	return call_fail(c, -err);
}

static void on_held(struct trace *t, struct pending *p, int err)
{
	struct call *c = p->call;
	struct reply r;

	if (err == 0 && call_alive(c) != 0) {
		/* What was held is a stranger, or dying: it stops once. */
		pool_put(c->s->pool, c);
		(void)pending_free(p);
		return;
	}
	r = err == 0 ? held_reply(c) : not_held(c, err);
	if (c->request->msg.kind == TRACER_SNAPSHOT && err != 0)
		c->request->msg.id = 0;
	if (err == 0 && c->request->args.n > 0) {
		/* The arguments will be asked about. */
		p->args = c->request->args;
		p->policy = c->policy;
		p->call = NULL;
		c->request->args.n = 0;
		put(t, p);
		p = NULL;
	}
	handle_finish(c, r);
	(void)pending_free(p);
}

/* Arguments of process PID, split. Returns their number, or a negative errno; RET_BUF holds them. */
static int read_args(const struct sentry *s, pid_t pid, char **ret_buf, const char **ret_args)
{
	AUTO_FREE char *buf = malloc(CMDLINE_MAX + 1);
	char name[32];
	size_t len = 0;
	int n = 0;

	(void)snprintf(name, sizeof(name), "%d/cmdline", (int)pid);
	AUTO_FD int fd = buf == NULL ? -1 : openat(s->proc_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return buf == NULL ? -ENOMEM : err_now();
	while (len < CMDLINE_MAX) {
		ssize_t got = read(fd, buf + len, CMDLINE_MAX - len);
		if (got < 0)
			return err_now();
		if (got == 0)
			break;
		len += (size_t)got;
	}
	buf[len] = '\0';
	for (size_t at = 0; at < len && n < ARGS_MAX; at += strlen(buf + at) + 1)
		ret_args[n++] = buf + at;
	*ret_buf = STEAL(buf);
	return n;
}

static bool args_allowed(const struct sentry *s, const struct pending *p, pid_t pid)
{
	AUTO_FREE char *buf = NULL;
	AUTO_FREE const char **args = calloc(ARGS_MAX, sizeof(*args));
	int n = args == NULL ? -ENOMEM : read_args(s, pid, &buf, args);

	for (unsigned int i = 0; n >= 0 && i < p->args.n; i++) {
		unsigned int first = p->args.program[i].first;
		unsigned int left = (unsigned int)n > first ? (unsigned int)n - first : 0;
		const char *path = p->args.program[i].path;

		if (policy_exec_args(p->policy, path, strlen(path), args + first, left).kind != VERDICT_ALLOW)
			return false;
	}
	return n >= 0;
}

static void tell(struct trace *t, const struct tracer_msg *m)
{
	if (send(t->fd, m, sizeof(*m), MSG_NOSIGNAL) != (ssize_t)sizeof(*m))
		_exit(EXIT_LOST);
}

static void on_stopped(struct trace *t, const struct tracer_msg *m)
{
	struct pending *p = get(t, m->id);
	struct tracer_msg go = {.kind = TRACER_GO, .id = m->id, .tgid = m->tgid, .err = EACCES};

	if (p == NULL)
		_exit(EXIT_LOST);
	if (args_allowed(t->s, p, m->tgid))
		go.err = 0;
	tell(t, &go);
	(void)pending_free(p);
}

static void on_killed(struct trace *t, const struct tracer_msg *m)
{
	struct caller_status st = CALLER_STATUS_NULL;
	struct record rec = {.nr = NR_execve,
			     .flags = RECORD_REFUSED | RECORD_KILLED,
			     .result = -EACCES,
			     .rule = UINT32_MAX,
			     .level = LEVEL_VERIFY,
			     .op = OP_EXEC};
	struct timespec now;

	if (t->s->ring == NULL)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	rec.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	rec.tid = m->tgid;
	if (caller_status(t->s->proc_fd, m->tgid, &st) == 0)
		rec.tid = st.guest_tid;
	memcpy(rec.comm, st.comm, sizeof(rec.comm));
	rec.object_len = (uint16_t)strnlen(m->path, sizeof(m->path));
	memcpy(rec.object, m->path, rec.object_len);
	(void)record_put(t->s->ring, &rec);
}

static void *listen_loop(void *arg)
{
	struct trace *t = arg;
	struct tracer_msg m;
	struct pending *p;
	ssize_t n;

	(void)pool_thread_start();
	for (;;) {
		n = recv(t->fd, &m, sizeof(m), MSG_TRUNC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(m))
			_exit(EXIT_LOST);
		switch ((enum tracer_kind)m.kind) {
		case TRACER_HELD:
			p = get(t, m.id);
			if (p == NULL || p->call == NULL)
				_exit(EXIT_LOST);
			on_held(t, p, m.err);
			break;
		case TRACER_STOPPED:
			on_stopped(t, &m);
			break;
		case TRACER_ENDED:
			(void)pending_free(get(t, m.id));
			break;
		case TRACER_KILLED:
			on_killed(t, &m);
			break;
		case TRACER_NONE:
		case TRACER_EXEC:
		case TRACER_SNAPSHOT:
		case TRACER_GO:
		default:
			_exit(EXIT_LOST);
		}
	}
	return NULL;
}

int trace_new(struct sentry *s, int socket, struct trace **ret_t)
{
	struct trace *t = calloc(1, sizeof(*t));
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (t == NULL)
		return -ENOMEM;
	t->s = s;
	t->fd = socket;
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	r = pthread_create(&thread, &attr, listen_loop, t);
	(void)pthread_attr_destroy(&attr);
	if (r != 0) {
		free(t);
		return -r;
	}
	*ret_t = t;
	return 0;
}

struct reply trace_later(struct call *c, struct trace_request *req)
{
	c->request = req;
	return (struct reply){.kind = REPLY_LATER, .fd = -1};
}

int trace_submit(struct call *c)
{
	struct trace *t = c->s->trace;
	struct tracer_msg m = c->request->msg;
	struct caller_status st;
	struct pending *p;
	int r;

	if (t == NULL)
		return -EOPNOTSUPP;
	r = caller_status(c->s->proc_fd, c->ev.tid, &st);
	if (r < 0)
		return r;
	c->request->known = true;
	c->request->caller = st;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	(void)pthread_mutex_lock(&t->lock);
	m.id = ++t->last_id;
	r = t->count >= PENDING_MAX ? -EAGAIN : 0;
	(void)pthread_mutex_unlock(&t->lock);
	if (r < 0) {
		(void)pending_free(p);
		return r;
	}
	m.tid = c->ev.tid;
	m.tgid = st.tgid;
	m.flags = c->request->args.n > 0 ? (uint32_t)TRACER_WANTS_ARGS : 0;
	c->request->msg.id = m.id;
	p->id = m.id;
	p->call = c;
	put(t, p);
	/* From here on the call is the listening thread's. */
	tell(t, &m);
	return 0;
}

void trace_snapshot(struct call *c, struct reply r, uint32_t bytes)
{
	struct trace_request *req = c->s->trace == NULL ? NULL : calloc(1, sizeof(*req));

	if (req != NULL) {
		*req = (struct trace_request){.msg = {.kind = TRACER_SNAPSHOT, .bytes = bytes}, .reply = r};
		(void)trace_request_free(c->request);
		c->request = req;
		if (trace_submit(c) == 0)
			return;
		req->msg.id = 0;
		r = held_reply(c);
	}
	handle_finish(c, r);
}
