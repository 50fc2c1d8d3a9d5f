/*
 * UDP (QUIC, NTP, ...): one flow for each (guest's address and port, destination), with a connected socket of its own upstream, so
 * that only who was asked can answer. A flow is judged when it begins, and again when rules are added; it ends when nothing was
 * sent either way for a while, or when there are too many and it is the quietest (RFC 4787 asks for two minutes at least for what
 * is not a well-known port; QUIC's own timeout is 30 s).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/relay/dgram.h"
#include "monitor/relay/relay_in.h"
#include "util/err.h"
#include "util/fd.h"

enum { FLOWS_MOST = 2048, HASH = 512, WAITING_MOST = 8, WAITING_BYTES = 4096, BURST = 64, DGRAM_MAX = 65536 };

struct udp_port {
	struct udp_port *next;
	struct relay *r;
	struct act act;
	int fd;
	uint16_t port;
};

struct waiting {
	struct waiting *next;
	size_t len;
	uint8_t data[];
};

struct udp_flow {
	struct udp_flow *next; /* of its hash */
	struct relay *r;
	struct udp_port *port;
	struct dgram who; /* the guest's end, and where it sent to */
	struct target t;
	struct dest *dest;
	struct act act;
	struct timer timer;
	struct question q;
	bool resolving, ending;
	int fd;
	uint64_t last;
	struct net_address found[2 * RESOLVE_ADDRESSES]; /* IPv4 first */
	size_t found_n;
	struct waiting *wait; /* datagrams until the name is known */
	unsigned int wait_n;
};

static struct udp_flow *table[HASH]; /* one relay a process */
static uint8_t *buf;

static uint32_t hash(const struct dgram *d, const struct udp_port *p)
{
	uint32_t h = 2166136261u ^ p->port;
	const uint8_t *s = (const uint8_t *)&d->from;

	for (socklen_t i = 0; i < d->from_len; i++)
		h = (h ^ s[i]) * 16777619u;
	for (size_t i = 0; i < sizeof(d->to.bytes); i++)
		h = (h ^ d->to.bytes[i]) * 16777619u;
	return (h ^ h >> 16) % HASH;
}

static struct udp_flow *find(const struct dgram *d, const struct udp_port *p)
{
	struct udp_flow *f = table[hash(d, p)];

	while (f != NULL && (f->ending || f->port != p || f->who.from_len != d->from_len ||
			     memcmp(&f->who.from, &d->from, d->from_len) != 0 || !net_address_equal(&f->who.to, &d->to)))
		f = f->next;
	return f;
}

static void release(struct udp_flow *f)
{
	struct udp_flow **at = &table[hash(&f->who, f->port)];

	if (act_busy(&f->act))
		return;
	while (*at != NULL && *at != f)
		at = &(*at)->next;
	if (*at == f)
		*at = f->next;
	loop_timer_stop(f->r->loop, &f->timer);
	resolve_drop(f->r->resolver, &f->q);
	for (struct waiting *w = f->wait, *next; w != NULL; w = next) {
		next = w->next;
		free(w);
	}
	f->r->flow_count--;
	(void)loop_close(f->r->loop, f->fd);
	free(f);
}

static void end(struct udp_flow *f)
{
	if (f->ending)
		return;
	f->ending = true;
	loop_cancel(f->r->loop, &f->act);
	(void)loop_timer(f->r->loop, &f->timer, 0);
}

static void timer_fired(struct timer *t)
{
	struct udp_flow *f = container(t, struct udp_flow, timer);
	uint64_t quiet = loop_now(f->r->loop) - f->last;

	if (f->ending)
		release(f);
	else if (quiet >= f->r->udp_idle_ms)
		end(f);
	else
		(void)loop_timer(f->r->loop, t, f->r->udp_idle_ms - quiet);
}

/* A datagram of LEN bytes in DIRECTION may go: limits. What is over the rate is lost, as it would be in a network. */
static bool may_go(struct udp_flow *f, int direction, size_t len)
{
	struct account *a = &f->r->account;

	if (account_spent(a)) {
		account_tell(a, f->dest, RELAY_EV_LIMIT, f->t.rule, 0, NULL);
		end(f);
		return false;
	}
	if (account_room(a, direction, loop_now(f->r->loop)) == 0)
		return false;
	account_took(a, direction, len);
	account_moved(a, f->dest, direction, len);
	f->last = loop_now(f->r->loop);
	return true;
}

static void answered(struct act *act, int res, struct chunk *c)
{
	struct udp_flow *f = container(act, struct udp_flow, act);

	(void)c;
	if (f->ending) {
		release(f);
		return;
	}
	if (res < 0) {
		end(f);
		return;
	}
	for (int i = 0; i < BURST; i++) {
		ssize_t n = recv(f->fd, buf, DGRAM_MAX, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n >= 0 && may_go(f, 1, (size_t)n))
			dgram_answer(f->port->fd, buf, (size_t)n, &f->who);
		if (f->ending)
			return;
	}
	loop_poll(f->r->loop, &f->act, f->fd, POLLIN);
}

static void outward(struct udp_flow *f, const void *data, size_t len)
{
	if (may_go(f, 0, len))
		(void)send(f->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The first address that there is a way to. */
static void connect_flow(struct udp_flow *f)
{
	int err = EHOSTUNREACH;

	for (size_t i = 0; i < f->found_n && f->fd < 0; i++) {
		struct sockaddr_storage sa;
		socklen_t len = net_address_sockaddr(&f->found[i], f->t.port, &sa);
		int fd = loop_socket(f->r->loop, f->found[i].family, SOCK_DGRAM, 0);

		if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, len) == 0) {
			f->fd = fd;
		} else {
			err = errno;
			(void)fd_close(fd);
		}
	}
	if (f->fd < 0) {
		account_tell(&f->r->account, f->dest, f->found_n == 0 ? RELAY_EV_UNRESOLVED : RELAY_EV_FAILED, f->t.rule, err, NULL);
		end(f);
		return;
	}
	f->dest->connections++;
	account_tell(&f->r->account, f->dest, RELAY_EV_OPENED, f->t.rule, 0, NULL);
	struct waiting *w = f->wait;
	f->wait = NULL;
	for (struct waiting *next; w != NULL; w = next) {
		next = w->next;
		outward(f, w->data, w->len);
		free(w);
	}
	if (f->ending)
		return;
	f->act.done = answered;
	loop_poll(f->r->loop, &f->act, f->fd, POLLIN);
}

static void known(struct question *q, sa_family_t family, const struct net_address *a, size_t n, int err)
{
	struct udp_flow *f = container(q, struct udp_flow, q);
	bool refused = false;

	(void)err;
	for (size_t i = 0; i < n && f->found_n < ARRAY_LEN(f->found); i++) {
		if (!target_reaches(f->r, &f->t, &a[i], &f->t.rule)) {
			refused = true;
			continue;
		}
		if (family == AF_INET) { /* no attempts can be made: the family that works most goes first */
			memmove(f->found + 1, f->found, f->found_n * sizeof(*f->found));
			f->found[0] = a[i];
			f->found_n++;
		} else {
			f->found[f->found_n++] = a[i];
		}
	}
	if (refused && f->found_n == 0)
		account_tell(&f->r->account, f->dest, RELAY_EV_ADDRESS_REFUSED, f->t.rule, EACCES, NULL);
	if (q->open == 0 && f->resolving) {
		f->resolving = false;
		connect_flow(f);
	}
}

static void make_room(const struct relay *r)
{
	struct udp_flow *quietest = NULL;

	if (r->flow_count < FLOWS_MOST)
		return;
	for (size_t i = 0; i < HASH; i++)
		for (struct udp_flow *f = table[i]; f != NULL; f = f->next)
			if (!f->ending && (quietest == NULL || f->last < quietest->last))
				quietest = f;
	if (quietest != NULL)
		end(quietest);
}

static struct udp_flow *begin(struct udp_port *p, const struct dgram *d)
{
	struct relay *r = p->r;
	struct sockaddr_storage sa;
	socklen_t len = net_address_sockaddr(&d->to, p->port, &sa);
	struct dest *dest = NULL;
	struct target t;
	int e = target_judge(r, (struct sockaddr *)&sa, len, NET_PROTO_UDP, &t);

	if (target_dest(r, &t, &dest) < 0)
		return NULL;
	if (e != 0) {
		account_tell(&r->account, dest, RELAY_EV_REFUSED, UINT32_MAX, e, NULL);
		return NULL;
	}
	make_room(r);
	struct udp_flow *f = r->flow_count < 2 * FLOWS_MOST ? calloc(1, sizeof(*f)) : NULL;
	if (f == NULL)
		return NULL;
	f->r = r;
	f->port = p;
	f->who = *d;
	f->t = t;
	f->dest = dest;
	f->fd = -1;
	f->last = loop_now(r->loop);
	f->timer.fire = timer_fired;
	if (loop_timer(r->loop, &f->timer, r->udp_idle_ms) < 0) {
		free(f);
		return NULL;
	}
	struct udp_flow **at = &table[hash(d, p)];
	f->next = *at;
	*at = f;
	r->flow_count++;
	if (t.host) {
		f->found[f->found_n++] = (struct net_address){ .family = AF_INET, .bytes = { 127, 0, 0, 1 } };
		connect_flow(f);
	} else if (t.name[0] == '\0') {
		f->found[f->found_n++] = t.address;
		connect_flow(f);
	} else {
		f->resolving = true;
		resolve(r->resolver, &f->q, t.name, known);
	}
	return f;
}

static void keep(struct udp_flow *f, const void *data, size_t len)
{
	struct waiting **at = &f->wait;
	struct waiting *w = f->wait_n < WAITING_MOST && len <= WAITING_BYTES ? malloc(sizeof(*w) + len) : NULL;

	if (w == NULL)
		return;
	while (*at != NULL)
		at = &(*at)->next;
	w->next = NULL;
	w->len = len;
	memcpy(w->data, data, len);
	*at = w;
	f->wait_n++;
}

static void at_edge(struct act *act, int res, struct chunk *c)
{
	struct udp_port *p = container(act, struct udp_port, act);
	struct dgram d;

	(void)c;
	if (res < 0)
		return;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = dgram_recv(p->fd, buf, DGRAM_MAX, &d);

		if (n < 0 && n != -EINTR)
			break;
		if (n < 0)
			continue;
		struct udp_flow *f = find(&d, p);
		if (f == NULL)
			f = begin(p, &d);
		if (f == NULL || f->ending)
			continue;
		if (f->resolving)
			keep(f, buf, (size_t)n);
		else
			outward(f, buf, (size_t)n);
	}
	loop_poll(p->r->loop, act, p->fd, POLLIN);
}

int udp_listen(struct relay *r, const struct relay_msg *m, int fd)
{
	struct udp_port *p = calloc(1, sizeof(*p));
	int e = p == NULL ? -ENOMEM : dgram_prepare(fd);

	if (buf == NULL && e == 0 && (buf = malloc(DGRAM_MAX)) == NULL)
		e = -ENOMEM;
	if (e < 0) {
		free(p);
		(void)fd_close(fd);
		return e;
	}
	*p = (struct udp_port){ .next = r->udp, .r = r, .fd = fd, .port = m->port, .act.done = at_edge };
	r->udp = p;
	loop_poll(r->loop, &p->act, fd, POLLIN);
	return 0;
}

void udp_free(struct relay *r)
{
	for (size_t i = 0; i < HASH; i++) {
		for (struct udp_flow *f = table[i], *next; f != NULL; f = next) {
			next = f->next;
			for (struct waiting *w = f->wait, *then; w != NULL; w = then) {
				then = w->next;
				free(w);
			}
			(void)fd_close(f->fd);
			free(f);
		}
		table[i] = NULL;
	}
	for (struct udp_port *p = r->udp, *next; p != NULL; p = next) {
		next = p->next;
		(void)fd_close(p->fd);
		free(p);
	}
	r->udp = NULL;
	free(buf);
	buf = NULL;
}
