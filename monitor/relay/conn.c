/*
 * A connection: two descriptors, two directions, each with its own end.
 *
 *   receive (multishot, chunks of the pool) -> queue -> send, one at a time
 *
 * Back-pressure: a direction that holds QUEUE chunks receives no more until they are sent; with the pool half used, one is enough. What
 * the sender wrote beyond stays in its socket, and its window closes. Half-close is handed on when the queue is empty, a reset at
 * once (SO_LINGER 0, socket(7)).
 *
 * Rate: taken from the sender one piece at a time, each no larger than what the rate leaves, so the rate is exceeded by no more than
 * the pieces several connections take in the same moment, and that is owed.
 *
 * Splice: a direction that has moved SPLICE_AFTER bytes moves the rest through a pipe without copying (splice(2)), driven by poll. It
 * pays from full chunks on (bench/README.md); the number is bounded, as a pipe is two descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "monitor/relay/conn.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	QUEUE = 8,
	SPLICE_AFTER = 1 << 20,
	SPLICE_MOST = 32,
	PIPE_SIZE = 1 << 20,
	PUMP_ROUNDS = 16,
	KEEPALIVE_S = 60,
	RATE_MS = 20,
};

static void advance(struct dir *d);

static bool conn_idle(const struct conn *c)
{
	for (int i = 0; i < 2; i++)
		if (act_busy(&c->dir[i].recv) || act_busy(&c->dir[i].send))
			return false;
	return true;
}

static void unpause(struct conn *c)
{
	for (struct conn **at = &c->r->paused; c->waits && *at != NULL; at = &(*at)->next_paused)
		if (*at == c) {
			*at = c->next_paused;
			break;
		}
	c->waits = false;
}

static void release(struct conn *c)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct relay *r = c->r;

	if (!conn_idle(c))
		return;
	loop_timer_stop(r->loop, &c->timer);
	for (int i = 0; i < 2; i++) {
		struct dir *d = &c->dir[i];

		for (struct chunk *k = d->head, *next; k != NULL; k = next) {
			next = k->next;
			loop_chunk_free(r->loop, k);
		}
		if (d->spliced)
			r->splicing--;
		d->pipe[0] = fd_close(d->pipe[0]);
		d->pipe[1] = fd_close(d->pipe[1]);
		if (c->reset && c->fd[i] >= 0)
			(void)setsockopt(c->fd[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
	c->fd[0] = loop_close(r->loop, c->fd[0]);
	c->fd[1] = loop_close(r->loop, c->fd[1]);
	unpause(c);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		r->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	r->conn_count--;
	free(c);
	ingress_room(r);
}

void conn_end(struct conn *c, bool reset)
{
	if (c->ending)
		return;
	c->ending = true;
	c->reset = reset;
	dial_cancel(c->dial);
	c->dial = NULL;
	for (int i = 0; i < 2; i++) {
		loop_cancel(c->r->loop, &c->dir[i].recv);
		loop_cancel(c->r->loop, &c->dir[i].send);
	}
	/* Also where nothing is under way: not before the caller is through with it. */
	(void)loop_timer(c->r->loop, &c->timer, 0);
}

static void timer_fired(struct timer *t)
{
	struct conn *c = container(t, struct conn, timer);
	uint64_t quiet = loop_now(c->r->loop) - c->last;

	if (c->ending)
		release(c);
	else if (quiet >= c->r->idle_ms)
		conn_end(c, true);
	else
		(void)loop_timer(c->r->loop, t, c->r->idle_ms - quiet);
}

static void moved(struct dir *d, uint64_t bytes)
{
	struct conn *c = d->c;

	d->bytes += bytes;
	c->last = loop_now(c->r->loop);
	if (c->dest != NULL)
		account_moved(&c->r->account, c->dest, d->which, bytes);
	if (account_spent(&c->r->account)) {
		if (c->dest != NULL)
			account_tell(&c->r->account, c->dest, RELAY_EV_LIMIT, UINT32_MAX, 0, NULL);
		conn_end(c, true);
	}
}

/* Everything that came has been sent: hand the end on. Returns true where the whole connection is over. */
static bool ended(struct dir *d)
{
	struct conn *c = d->c;

	if (!d->shut) {
		d->shut = true;
		(void)shutdown(c->fd[!d->which], SHUT_WR);
	}
	if (!c->dir[!d->which].shut)
		return false;
	conn_end(c, false);
	return true;
}

/* Waits for the rate. */
static void pause_for_rate(struct dir *d)
{
	struct conn *c = d->c;

	if (act_busy(&d->recv))
		loop_cancel(c->r->loop, &d->recv);
	if (c->waits)
		return;
	c->waits = true;
	c->next_paused = c->r->paused;
	c->r->paused = c;
	if (c->r->rate.place == 0)
		(void)loop_timer(c->r->loop, &c->r->rate, RATE_MS);
}

/* What the rate leaves to be taken from D's sender; UINT64_MAX: there is none. */
static uint64_t room_of(const struct dir *d)
{
	return d->c->dest == NULL ? UINT64_MAX : account_room(&d->c->r->account, d->which, loop_now(d->c->r->loop));
}

static void took(const struct dir *d, uint64_t bytes)
{
	if (d->c->dest != NULL)
		account_took(&d->c->r->account, d->which, bytes);
}

/* ---- splice ---- */

static bool splice_begin(struct dir *d)
{
	struct conn *c = d->c;

	d->switching = false;
	if (pipe2(d->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		d->pipe[0] = d->pipe[1] = -1;
		d->bytes = 0; /* later, perhaps */
		return false;
	}
	(void)fcntl(d->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
	for (int i = 0; i < 2; i++) /* splice() waits for a socket that blocks */
		if (fcntl(c->fd[i], F_SETFL, fcntl(c->fd[i], F_GETFL) | O_NONBLOCK) < 0)
			return false;
	d->spliced = true;
	c->r->splicing++;
	return true;
}

static void pump(struct dir *d)
{
	struct conn *c = d->c;
	int from = c->fd[d->which], to = c->fd[!d->which];
	bool empty = false, full = false;

	for (int i = 0; i < PUMP_ROUNDS && !full && !c->ending; i++) {
		uint64_t room = room_of(d);
		ssize_t n;

		if (!d->eof && !empty && d->in_pipe < PIPE_SIZE) {
			size_t most = PIPE_SIZE - d->in_pipe;

			if (room == 0 && d->in_pipe == 0) {
				pause_for_rate(d);
				return;
			}
			n = -1;
			errno = EAGAIN;
			if (room > 0)
				n = splice(from, NULL, d->pipe[1], NULL, room < most ? room : most,
					   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
			if (n == 0) {
				d->eof = true;
			} else if (n > 0) {
				d->in_pipe += (uint32_t)n;
				took(d, (uint64_t)n);
			} else if (errno == EAGAIN) {
				empty = true; /* or the pipe is full, and has something to give */
			} else if (errno != EINTR) {
				conn_end(c, true);
				return;
			}
		}
		if (d->in_pipe == 0)
			break;
		n = splice(d->pipe[0], NULL, to, NULL, d->in_pipe, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (n > 0) {
			d->in_pipe -= (uint32_t)n;
			moved(d, (uint64_t)n);
			empty = empty && d->in_pipe == 0;
		} else if (n < 0 && errno == EAGAIN) {
			full = true;
		} else if (n < 0 && errno != EINTR) {
			conn_end(c, true);
			return;
		}
		if (d->in_pipe == 0 && (d->eof || empty))
			break;
	}
	if (c->ending)
		return;
	if (d->in_pipe > 0)
		loop_poll(c->r->loop, &d->send, to, POLLOUT);
	else if (d->eof)
		(void)ended(d);
	else
		loop_poll(c->r->loop, &d->recv, from, POLLIN);
}

static void pumped(struct dir *d, int res)
{
	if (d->c->ending)
		release(d->c);
	else if (res < 0 && res != -ECANCELED)
		conn_end(d->c, true);
	else if (res >= 0)
		pump(d);
}

static void readable(struct act *act, int res, struct chunk *k)
{
	(void)k;
	pumped(container(act, struct dir, recv), res);
}

static void writable(struct act *act, int res, struct chunk *k)
{
	(void)k;
	pumped(container(act, struct dir, send), res);
}

static void splice_go(struct dir *d)
{
	d->recv.done = readable;
	d->send.done = writable;
	pump(d);
}

/* ---- receive and send ---- */

static void receive(struct dir *d)
{
	struct conn *c = d->c;

	if (d->eof || d->switching || act_busy(&d->recv))
		return;
	uint64_t room = room_of(d);
	if (room == 0)
		pause_for_rate(d);
	else if (room == UINT64_MAX)
		loop_recv(c->r->loop, &d->recv, c->fd[d->which]);
	else
		loop_recv_once(c->r->loop, &d->recv, c->fd[d->which], room < CHUNK_SIZE ? (uint32_t)room : CHUNK_SIZE);
}

static void send_next(struct dir *d)
{
	struct conn *c = d->c;

	if (d->head != NULL && !act_busy(&d->send))
		loop_send(c->r->loop, &d->send, c->fd[!d->which], loop_chunk_data(c->r->loop, d->head), d->head->len);
}

/* Nothing is queued and nothing is being sent: what now? */
static void advance(struct dir *d)
{
	if (d->head != NULL || act_busy(&d->send) || d->c->ending)
		return;
	if (d->eof) {
		(void)ended(d);
	} else if (d->switching) {
		if (act_busy(&d->recv))
			return; /* its last callback comes here */
		if (splice_begin(d))
			splice_go(d);
		else if (d->pipe[0] >= 0)
			conn_end(d->c, true);
		else
			receive(d);
	} else {
		receive(d);
	}
}

static unsigned int queue_most(const struct relay *r)
{
	return loop_chunks_used(r->loop) > CHUNK_COUNT / 2 ? 1 : QUEUE;
}

static void received(struct act *act, int res, struct chunk *k)
{
	struct dir *d = container(act, struct dir, recv);
	struct conn *c = d->c;

	if (c->ending) {
		loop_chunk_free(c->r->loop, k);
		release(c);
		return;
	}
	if (k != NULL) {
		k->next = NULL;
		*d->tail = k;
		d->tail = &k->next;
		d->queued++;
		took(d, k->len);
		send_next(d);
		if (!d->switching && c->splices && d->bytes >= SPLICE_AFTER && k->len == CHUNK_SIZE &&
		    c->r->splicing < SPLICE_MOST) {
			d->switching = true;
			loop_cancel(c->r->loop, &d->recv);
		} else if (d->queued >= queue_most(c->r)) {
			loop_cancel(c->r->loop, &d->recv);
		}
	}
	if (act_busy(&d->recv))
		return;
	if (res == 0) {
		d->eof = true;
	} else if (res < 0 && res != -ECANCELED) {
		conn_end(c, true);
		return;
	}
	advance(d);
}

static void sent(struct act *act, int res, struct chunk *unused)
{
	struct dir *d = container(act, struct dir, send);
	struct conn *c = d->c;
	struct chunk *k = d->head;

	(void)unused;
	if (c->ending) {
		release(c);
		return;
	}
	if (res < 0 || k == NULL) {
		conn_end(c, true);
		return;
	}
	d->head = k->next;
	if (d->head == NULL)
		d->tail = &d->head;
	d->queued--;
	moved(d, (uint64_t)res);
	loop_chunk_free(c->r->loop, k);
	if (c->ending)
		return;
	send_next(d);
	if (d->head == NULL)
		advance(d);
}

/* ---- life ---- */

int conn_new(struct relay *r, int guest, struct dest *dest, struct conn **ret_c)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL || loop_adopt(r->loop, guest) < 0) {
		free(c);
		(void)fd_close(guest);
		return -ENOMEM;
	}
	c->r = r;
	c->dest = dest;
	c->fd[0] = guest;
	c->fd[1] = -1;
	c->last = loop_now(r->loop);
	c->timer.fire = timer_fired;
	for (int i = 0; i < 2; i++) {
		struct dir *d = &c->dir[i];

		d->c = c;
		d->which = i;
		d->tail = &d->head;
		d->pipe[0] = d->pipe[1] = -1;
		d->recv.done = received;
		d->send.done = sent;
	}
	if (loop_timer(r->loop, &c->timer, r->idle_ms) < 0) {
		free(c);
		(void)fd_close(guest);
		return -ENOMEM;
	}
	c->next = r->conns;
	if (r->conns != NULL)
		r->conns->prev = c;
	r->conns = c;
	r->conn_count++;
	*ret_c = c;
	return 0;
}

static bool tune(int fd)
{
	static const int on = 1, idle = KEEPALIVE_S;

	/* What came as one piece leaves as one. Unix sockets know neither. */
	bool tcp = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)); /* urgent bytes stay where they were among the others */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
	return tcp;
}

void conn_join(struct conn *c, int upstream)
{
	c->dial = NULL;
	c->fd[1] = upstream;
	c->last = loop_now(c->r->loop);
	if (c->ending)
		return;
	if (loop_adopt(c->r->loop, upstream) < 0) {
		conn_end(c, true);
		return;
	}
	c->splices = true;
	for (int i = 0; i < 2; i++)
		c->splices &= tune(c->fd[i]);
	if (c->dest != NULL)
		c->dest->connections++;
	for (int i = 0; i < 2; i++)
		receive(&c->dir[i]);
}

void conn_resume(struct relay *r)
{
	struct conn *list = r->paused;

	r->paused = NULL;
	for (struct conn *c = list, *next; c != NULL; c = next) {
		next = c->next_paused;
		c->waits = false;
		for (int i = 0; i < 2 && !c->ending && c->fd[1] >= 0; i++) {
			struct dir *d = &c->dir[i];

			if (act_busy(&d->recv) || act_busy(&d->send) || d->shut)
				continue;
			if (d->spliced)
				pump(d);
			else
				advance(d);
		}
	}
}

void conn_free_all(struct relay *r)
{
	for (struct conn *c = r->conns, *next; c != NULL; c = next) {
		next = c->next;
		for (int i = 0; i < 2; i++) {
			(void)fd_close(c->fd[i]);
			(void)fd_close(c->dir[i].pipe[0]);
			(void)fd_close(c->dir[i].pipe[1]);
		}
		free(c);
	}
	r->conns = NULL;
	r->conn_count = 0;
}
