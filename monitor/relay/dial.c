/*
 * From a name or an address to a connected socket (RFC 8305, happy eyeballs):
 *
 *   names    A and AAAA are asked for at once; IPv6 goes first, and is waited for 50 ms once IPv4 is known
 *   filter   every address is judged before it is dialled, and it is dialled itself: nothing is resolved twice (DNS rebinding)
 *   attempts families in turn, the next one 250 ms after the last or at once where that failed; the first connection wins
 *   proxy    where the host has one for the target, that is dialled instead and asked with CONNECT; it resolves the name
 *
 * The errno of a failure is what says most about the target, as a program that dials by itself would see it.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "monitor/relay/relay_in.h"
#include "util/err.h"
#include "util/fd.h"

enum { ATTEMPTS = 4, ATTEMPT_MS = 250, RESOLUTION_MS = 50, ADDRESSES = RESOLVE_ADDRESSES };

struct attempt {
	struct act act;
	struct dial *d;
	int fd;
	bool used;
	struct net_address a;
	struct sockaddr_storage sa;
};

struct dial {
	struct relay *r;
	struct target t;
	dial_fn done; /* NULL: told, or not wanted any more */
	void *owner;
	const struct proxy *proxy;
	struct question q;
	unsigned int awaited; /* families */
	struct net_address list[2][ADDRESSES]; /* IPv4, IPv6 */
	size_t n[2], next[2];
	unsigned int turn; /* family of the next attempt */
	struct attempt attempts[ATTEMPTS];
	struct timer pace, limit;
	bool resolved; /* some address could be dialled */
	bool over;     /* nothing is left to try */
	bool dropped;
	struct net_address dropped_a;
	int err;
	/* CONNECT */
	struct act ask;
	int fd;
	struct net_address a;
	char *talk;
	size_t talk_len;
};

bool address_is_own(const struct net_address *a)
{
	struct sockaddr_storage to, from;
	socklen_t len = net_address_sockaddr(a, 9, &to), from_len = sizeof(from);
	struct net_address mine;
	uint16_t port;
	AUTO_FD int fd = socket(a->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* The kernel takes an address of the host's own as the source of what it sends there. */
	return fd >= 0 && connect(fd, (struct sockaddr *)&to, len) == 0 &&
	       getsockname(fd, (struct sockaddr *)&from, &from_len) == 0 &&
	       net_address_of((struct sockaddr *)&from, from_len, &mine, &port) == 0 && net_address_equal(&mine, a);
}

static bool idle(const struct dial *d)
{
	for (int i = 0; i < ATTEMPTS; i++)
		if (d->attempts[i].used)
			return false;
	return !act_busy(&d->ask);
}

static void release(struct dial *d)
{
	if (d->done != NULL || !idle(d))
		return;
	loop_timer_stop(d->r->loop, &d->pace);
	loop_timer_stop(d->r->loop, &d->limit);
	resolve_drop(d->r->resolver, &d->q);
	d->fd = loop_close(d->r->loop, d->fd);
	free(d->talk);
	free(d);
}

static void stop(struct dial *d)
{
	loop_timer_stop(d->r->loop, &d->pace);
	loop_timer_stop(d->r->loop, &d->limit);
	resolve_drop(d->r->resolver, &d->q);
	d->awaited = 0;
	for (int i = 0; i < ATTEMPTS; i++)
		if (d->attempts[i].used)
			loop_cancel(d->r->loop, &d->attempts[i].act);
	loop_cancel(d->r->loop, &d->ask);
}

void dial_cancel(struct dial *d)
{
	if (d == NULL)
		return;
	d->done = NULL;
	stop(d);
	release(d);
}

/* The end, either way. */
static void finish(struct dial *d, int fd, int err, enum relay_event ev)
{
	dial_fn done = d->done;
	const struct net_address a = d->dropped && fd < 0 ? d->dropped_a : d->a;
	void *owner = d->owner;

	if (done == NULL)
		return;
	stop(d);
	d->done = NULL;
	done(owner, fd, err, ev, a.family != 0 ? &a : NULL);
	release(d);
}

static int weight(int err)
{
	switch (err) {
	case 0:
		return 0;
	case ENETUNREACH:
	case EAFNOSUPPORT:
	case EADDRNOTAVAIL:
		return 1;
	case EHOSTUNREACH:
		return 3;
	case ETIMEDOUT:
		return 4;
	case ECONNREFUSED:
		return 5;
	default:
		return 2;
	}
}

static void note(struct dial *d, int err)
{
	if (weight(err) > weight(d->err))
		d->err = err;
}

/* Nothing is under way and nothing can be tried any more. */
static void give_up(struct dial *d)
{
	if (d->dropped && !d->resolved)
		finish(d, -1, EACCES, RELAY_EV_ADDRESS_REFUSED);
	else if (!d->resolved)
		finish(d, -1, EHOSTUNREACH, RELAY_EV_UNRESOLVED);
	else
		finish(d, -1, d->err == 0 || weight(d->err) == 1 ? ENETUNREACH : d->err, RELAY_EV_FAILED);
}

static void out_of_time(struct timer *t)
{
	struct dial *d = container(t, struct dial, limit);

	if (d->resolved && !d->over)
		note(d, ETIMEDOUT);
	give_up(d);
}

static void asked(struct act *act, int res, struct chunk *c);

static void won(struct dial *d, struct attempt *at)
{
	int fd = at->fd;

	at->used = false;
	at->fd = -1;
	d->a = at->a;
	if (d->proxy == NULL) {
		finish(d, fd, 0, RELAY_EV_OPENED);
		return;
	}
	loop_timer_stop(d->r->loop, &d->pace);
	for (int i = 0; i < ATTEMPTS; i++)
		if (d->attempts[i].used)
			loop_cancel(d->r->loop, &d->attempts[i].act);
	char host[NET_NAME_SIZE];
	target_text(&d->t, host);
	d->fd = fd;
	d->talk = malloc(PROXY_ANSWER_MAX + 1);
	d->talk_len = d->talk == NULL ? 0 : proxy_request(d->proxy, host, d->t.port, d->talk);
	if (d->talk_len == 0) {
		finish(d, -1, ENOMEM, RELAY_EV_FAILED);
		return;
	}
	d->ask.done = asked;
	loop_send(d->r->loop, &d->ask, fd, d->talk, (uint32_t)d->talk_len);
}

static void try_next(struct dial *d);

static void connected(struct act *act, int res, struct chunk *c)
{
	struct attempt *at = container(act, struct attempt, act);
	struct dial *d = at->d;

	(void)c;
	if (res == 0 && d->done != NULL && d->fd < 0) {
		won(d, at);
		return;
	}
	at->fd = loop_close(d->r->loop, at->fd);
	at->used = false;
	if (d->done == NULL) {
		release(d);
		return;
	}
	if (d->fd >= 0)
		return; /* another one won */
	if (res != -ECANCELED)
		note(d, -res);
	try_next(d);
}

/* What answers arrive before is taken out of the socket to the last byte of the header, and not one more: the rest is the target's. */
static void asked(struct act *act, int res, struct chunk *c)
{
	struct dial *d = container(act, struct dial, ask);
	char peek[1024];
	size_t used = 0;

	(void)c;
	if (d->done == NULL) {
		release(d);
		return;
	}
	if (res < 0) {
		finish(d, -1, -res, RELAY_EV_FAILED);
		return;
	}
	if (d->talk_len != 0 && d->ask.len != 0) { /* the request is out; the buffer is the answer's from here */
		d->ask.len = 0;
		d->talk_len = 0;
	} else {
		ssize_t n = recv(d->fd, peek, sizeof(peek), MSG_PEEK | MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			finish(d, -1, n == 0 ? ECONNRESET : errno, RELAY_EV_FAILED);
			return;
		}
		if (n > 0) {
			size_t before = d->talk_len, room = PROXY_ANSWER_MAX - before;
			size_t some = (size_t)n < room ? (size_t)n : room;

			memcpy(d->talk + before, peek, some);
			int status = proxy_answer(d->talk, before + some, &used);
			if (status >= 0)
				some = used - before;
			if (recv(d->fd, peek, some, MSG_DONTWAIT) != (ssize_t)some)
				status = -2;
			d->talk_len += some;
			if (status >= 200 && status < 300) {
				int fd = fd_steal(&d->fd);

				finish(d, fd, 0, RELAY_EV_OPENED);
				return;
			}
			if (status >= 0 || status == -2) {
				finish(d, -1, status == 403 || status == 407 ? EACCES : EHOSTUNREACH, RELAY_EV_FAILED);
				return;
			}
		}
	}
	loop_poll(d->r->loop, &d->ask, d->fd, POLLIN);
}

static void paced(struct timer *t)
{
	try_next(container(t, struct dial, pace));
}

/* Starts one attempt, if there is an address and a place for it. */
static void try_next(struct dial *d)
{
	struct attempt *at = NULL;
	unsigned int under_way = 0;

	if (d->done == NULL || d->fd >= 0)
		return;
	for (int i = 0; i < ATTEMPTS; i++)
		if (d->attempts[i].used)
			under_way++;
		else
			at = &d->attempts[i];
	while (at != NULL) {
		if (d->next[d->turn] >= d->n[d->turn])
			d->turn ^= 1;
		if (d->next[d->turn] >= d->n[d->turn])
			break;
		*at = (struct attempt){ .d = d, .fd = -1, .a = d->list[d->turn][d->next[d->turn]++] };
		d->turn ^= 1;
		d->resolved = true;
		at->fd = loop_socket(d->r->loop, at->a.family, SOCK_STREAM, 0);
		if (at->fd < 0) {
			note(d, errno);
			continue;
		}
		at->used = true;
		at->act.done = connected;
		socklen_t len = net_address_sockaddr(&at->a, d->proxy != NULL ? d->proxy->port : d->t.port, &at->sa);
		loop_connect(d->r->loop, &at->act, at->fd, (struct sockaddr *)&at->sa, len);
		(void)loop_timer(d->r->loop, &d->pace, ATTEMPT_MS);
		return;
	}
	if (under_way == 0 && d->awaited == 0) {
		/* Never from inside dial_start(). */
		d->over = true;
		(void)loop_timer(d->r->loop, &d->limit, 0);
	}
}

static void known(struct question *q, sa_family_t family, const struct net_address *a, size_t n, int err)
{
	struct dial *d = container(q, struct dial, q);
	unsigned int which = family == AF_INET6;

	d->awaited &= ~(1u << which);
	if (err == -ETIMEDOUT || err == -EIO)
		note(d, EHOSTUNREACH);
	for (size_t i = 0; i < n && d->n[which] < ADDRESSES; i++) {
		if (d->proxy != NULL || target_reaches(d->r, &d->t, &a[i], &d->t.rule)) {
			d->list[which][d->n[which]++] = a[i];
		} else {
			d->dropped = true;
			d->dropped_a = a[i];
		}
	}
	if (d->awaited == 0 || (which == 1 && d->n[1] > 0))
		try_next(d);
	else if (d->n[which] > 0)
		(void)loop_timer(d->r->loop, &d->pace, RESOLUTION_MS);
}

int dial_start(struct relay *r, const struct target *t, dial_fn done, void *owner, struct dial **ret_d)
{
	struct dial *d = calloc(1, sizeof(*d));
	static const struct net_address loopback[2] = {
		{ .family = AF_INET, .bytes = { 127, 0, 0, 1 } },
		{ .family = AF_INET6, .bytes = { [15] = 1 } },
	};

	if (d == NULL)
		return -ENOMEM;
	d->r = r;
	d->t = *t;
	d->done = done;
	d->owner = owner;
	d->fd = -1;
	d->turn = 1;
	d->pace.fire = paced;
	d->limit.fire = out_of_time;
	if (loop_timer(r->loop, &d->limit, r->connect_ms) < 0 || loop_timer(r->loop, &d->pace, ATTEMPT_MS) < 0) {
		loop_timer_stop(r->loop, &d->limit);
		free(d);
		return -ENOMEM;
	}
	*ret_d = d;
	if (!t->host)
		d->proxy = proxy_for(&r->proxies, t->name, &t->address, t->port);
	if (t->host) {
		d->turn = 0;
		for (int i = 0; i < 2; i++)
			d->list[i][d->n[i]++] = loopback[i];
		try_next(d);
		return 0;
	}
	bool named = d->proxy != NULL ? d->proxy->named : t->name[0] != '\0';
	if (named) {
		d->awaited = 3;
		resolve(r->resolver, &d->q, d->proxy != NULL ? d->proxy->name : t->name, known);
		return 0;
	}
	const struct net_address *a = d->proxy != NULL ? &d->proxy->address : &t->address;
	unsigned int which = a->family == AF_INET6;
	d->list[which][d->n[which]++] = *a;
	try_next(d);
	return 0;
}
