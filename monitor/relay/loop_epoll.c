/*
 * The loop on epoll: the same operations, performed when a socket is ready. Each descriptor is registered once, edge-triggered, and
 * its readiness kept; an operation on a ready descriptor waits in a queue for its turn, in which it does a bounded amount, so that no
 * connection keeps the others from theirs. ACT_POLL asks poll(2) when it is started: its users need not drain what they poll for.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "monitor/relay/loop_in.h"
#include "util/err.h"
#include "util/fd.h"

struct place {
	struct act *in, *out;
	bool registered, ready_in, ready_out;
};

struct ready {
	int epoll;
	struct place *places; /* by descriptor */
	size_t size;
	struct act *queue, **queue_end;
};

struct ready *ready_new(void)
{
	struct ready *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->queue_end = &r->queue;
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	return r->epoll < 0 ? ready_free(r) : r;
}

struct ready *ready_free(struct ready *r)
{
	if (r == NULL)
		return NULL;
	(void)fd_close(r->epoll);
	free(r->places);
	free(r);
	return NULL;
}

static void enqueue(struct ready *r, struct act *op)
{
	if (op->queued)
		return;
	op->queued = true;
	op->next = NULL;
	*r->queue_end = op;
	r->queue_end = &op->next;
}

static struct place *place_of(struct ready *r, int fd)
{
	if ((size_t)fd >= r->size) {
		size_t size = r->size == 0 ? 64 : r->size;

		while (size <= (size_t)fd)
			size *= 2;
		struct place *places = realloc(r->places, size * sizeof(*places));
		if (places == NULL)
			return NULL;
		memset(places + r->size, 0, (size - r->size) * sizeof(*places));
		r->places = places;
		r->size = size;
	}
	return &r->places[fd];
}

static bool reads(const struct act *op)
{
	return op->kind == ACT_ACCEPT || op->kind == ACT_RECV || op->kind == ACT_RECV_ONCE ||
	       (op->kind == ACT_POLL && (op->events & POLLIN) != 0);
}

static bool writes(const struct act *op)
{
	return op->kind == ACT_SEND || op->kind == ACT_CONNECT || (op->kind == ACT_POLL && (op->events & POLLOUT) != 0);
}

void ready_start(struct loop *l, struct act *op)
{
	struct ready *r = l->ready;
	struct place *p = place_of(r, op->fd);

	if (p == NULL) {
		op->flags = ENOMEM;
		enqueue(r, op);
		return;
	}
	op->flags = 0;
	if (!p->registered) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = op->fd };

		if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, op->fd, &ev) < 0)
			op->flags = errno;
		p->registered = op->flags == 0;
		p->ready_in = p->ready_out = true;
	}
	if (reads(op))
		p->in = op;
	if (writes(op))
		p->out = op;
	/* What can be had is had in its turn; the others wait for an event. */
	if (op->flags != 0 || op->kind == ACT_POLL || op->kind == ACT_CONNECT || (reads(op) && p->ready_in) ||
	    (writes(op) && p->ready_out))
		enqueue(r, op);
}

static void forget(struct ready *r, const struct act *op)
{
	struct place *p = (size_t)op->fd < r->size ? &r->places[op->fd] : NULL;

	if (p != NULL && p->in == op)
		p->in = NULL;
	if (p != NULL && p->out == op)
		p->out = NULL;
}

void ready_cancel(struct loop *l, struct act *op)
{
	enqueue(l->ready, op);
}

void ready_close(struct loop *l, int fd)
{
	/* Closing takes it out of the epoll, as each of ours is the only descriptor of its description. */
	if ((size_t)fd < l->ready->size)
		l->ready->places[fd] = (struct place){ .in = NULL };
}

static void finish(struct loop *l, struct act *op, int res, struct chunk *c)
{
	forget(l->ready, op);
	op->kind = ACT_NONE;
	op->done(op, res, c);
}

static void do_accept(struct loop *l, struct act *op)
{
	for (int i = 0; i < 64; i++) {
		int fd = accept4(op->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && errno == EAGAIN) {
			l->ready->places[op->fd].ready_in = false;
			return;
		}
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0) {
			finish(l, op, -errno, NULL);
			return;
		}
		op->done(op, fd, NULL);
		if (op->cancelled || op->kind != ACT_ACCEPT)
			break;
	}
	if (op->kind == ACT_ACCEPT)
		enqueue(l->ready, op);
}

static void do_recv(struct loop *l, struct act *op)
{
	for (int i = 0; i < 2; i++) {
		struct chunk *c = loop_chunk_take(l);

		if (c == NULL) {
			loop_starve(l, op);
			return;
		}
		ssize_t n = recv(op->fd, loop_chunk_data(l, c), op->kind == ACT_RECV ? CHUNK_SIZE : op->len, MSG_DONTWAIT);
		int e = errno;
		if (n <= 0)
			loop_chunk_free(l, c);
		if (n < 0 && (e == EAGAIN || e == EINTR)) {
			if (e == EAGAIN)
				l->ready->places[op->fd].ready_in = false;
			else
				enqueue(l->ready, op);
			return;
		}
		if (n <= 0) {
			finish(l, op, n < 0 ? -e : 0, NULL);
			return;
		}
		c->len = (uint32_t)n;
		if (op->kind == ACT_RECV_ONCE) {
			finish(l, op, (int)n, c);
			return;
		}
		op->done(op, (int)n, c);
		if (op->cancelled || op->kind != ACT_RECV)
			break;
	}
	if (op->kind == ACT_RECV)
		enqueue(l->ready, op);
}

static void do_send(struct loop *l, struct act *op)
{
	const uint8_t *from = op->data;

	while (op->sent < op->len) {
		ssize_t n = send(op->fd, from + op->sent, op->len - op->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			l->ready->places[op->fd].ready_out = false;
			return;
		}
		if (n < 0) {
			finish(l, op, -errno, NULL);
			return;
		}
		op->sent += (uint32_t)n;
	}
	finish(l, op, (int)op->sent, NULL);
}

static void do_connect(struct loop *l, struct act *op)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (op->sent == 0) {
		op->sent = 1;
		if (connect(op->fd, op->data, op->len) == 0)
			finish(l, op, 0, NULL);
		else if (errno != EINPROGRESS)
			finish(l, op, -errno, NULL);
		return; /* an event follows */
	}
	struct pollfd p = { .fd = op->fd, .events = POLLOUT };
	if (poll(&p, 1, 0) <= 0)
		return;
	if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	finish(l, op, -err, NULL);
}

static void do_poll(struct loop *l, struct act *op)
{
	struct pollfd p = { .fd = op->fd, .events = op->events };

	if (poll(&p, 1, 0) > 0)
		finish(l, op, p.revents, NULL);
}

static void turn_of(struct loop *l, struct act *op)
{
	if (op->cancelled) {
		finish(l, op, -ECANCELED, NULL);
		return;
	}
	if (op->flags != 0) {
		finish(l, op, -op->flags, NULL);
		return;
	}
	switch ((enum act_kind)op->kind) {
	case ACT_ACCEPT:
		do_accept(l, op);
		break;
	case ACT_RECV:
	case ACT_RECV_ONCE:
		do_recv(l, op);
		break;
	case ACT_SEND:
		do_send(l, op);
		break;
	case ACT_CONNECT:
		do_connect(l, op);
		break;
	case ACT_POLL:
		do_poll(l, op);
		break;
	case ACT_NONE:
		break;
	}
}

int ready_turn(struct loop *l, int64_t timeout_ms)
{
	enum { BATCH = 256 };
	struct ready *r = l->ready;
	struct epoll_event ev[BATCH];
	int n = epoll_wait(r->epoll, ev, BATCH, r->queue != NULL ? 0 : (int)timeout_ms);

	if (n < 0 && errno != EINTR)
		return err_now();
	for (int i = 0; i < n; i++) {
		struct place *p = &r->places[ev[i].data.fd];

		if ((ev[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
			p->ready_in = true;
			if (p->in != NULL && !p->in->starved)
				enqueue(r, p->in);
		}
		if ((ev[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
			p->ready_out = true;
			if (p->out != NULL && !p->out->starved)
				enqueue(r, p->out);
		}
	}
	/* What is queued now has its turn; what these start comes next time. */
	struct act *op = r->queue;
	r->queue = NULL;
	r->queue_end = &r->queue;
	while (op != NULL) {
		struct act *next = op->next;

		op->queued = false;
		turn_of(l, op);
		op = next;
	}
	return 0;
}
