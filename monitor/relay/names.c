/*
 * The guest's name server: dns.c behind the edge's sockets of port 53, UDP and TCP. Whatever address a guest asks there, it is
 * answered here, and from the address it asked.
 *
 * Without network namespaces the sockets are guarded ones on the host's own loopback, where anybody may write to them: only who the
 * sentry has said is the guest's, by port, is answered. It says so before, or just after, the guest can ask, so an unknown one is
 * looked for among what it has said meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/relay/dgram.h"
#include "monitor/relay/dns.h"
#include "monitor/relay/relay_in.h"
#include "util/err.h"
#include "util/fd.h"

enum { QUERY_MAX = 4096, TCP_MOST = 128, TCP_MS = 10000, BURST = 64 };

struct names_udp {
	struct names_udp *next;
	struct relay *r;
	struct act act;
	int fd;
	bool guarded;
};

struct names_conn {
	struct names_conn *next;
	struct relay *r;
	struct act recv, send;
	struct timer timer;
	int fd;
	bool ending, guarded;
	struct chunk *rest;	 /* received, not yet read */
	size_t got;
	uint8_t query[2 + QUERY_MAX];
	uint8_t answer[2 + DNS_ANSWER_MAX];
};

static struct names_udp *sockets; /* one relay a process */
static struct names_conn *conns;
static unsigned int conn_count;

static size_t answer(struct relay *r, const uint8_t *q, size_t len, uint8_t ret_a[static DNS_ANSWER_MAX])
{
	struct dns_note note;
	struct dest *d = NULL;
	size_t n = dns_answer(r->policy, r->synth, r->cfg->ipv6, q, len, ret_a, &note);

	if (n > 0 && note.refused && account_refused(&r->account, note.name, 53, IPPROTO_UDP, &d) == 0)
		account_tell(&r->account, d, RELAY_EV_NAME_REFUSED, UINT32_MAX, 0, NULL);
	return n;
}

void names_expect(struct relay *r, const struct relay_msg *m)
{
	unsigned int which = m->proto == IPPROTO_UDP;

	r->expected[which][r->expect_next[which]++ % EXPECTED_MOST] = m->port;
}

static bool expected(struct relay *r, const struct sockaddr *sa, socklen_t len, unsigned int which)
{
	static const struct net_address loopback = { .family = AF_INET, .bytes = { 127, 0, 0, 1 } };
	struct net_address a;
	uint16_t port;

	if (net_address_of(sa, len, &a, &port) < 0 || port == 0 || !net_address_equal(&a, &loopback))
		return false;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < EXPECTED_MOST; i++)
			if (r->expected[which][i] == port)
				return true;
		if (round == 0)
			relay_drain_edge(r);
	}
	return false;
}

static void asked(struct act *act, int res, struct chunk *c)
{
	struct names_udp *s = container(act, struct names_udp, act);
	uint8_t query[QUERY_MAX], reply[DNS_ANSWER_MAX];
	struct dgram d;

	(void)c;
	if (res < 0)
		return;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = dgram_recv(s->fd, query, sizeof(query), &d);

		if (n < 0 && n != -EINTR)
			break;
		if (n > 0 && s->guarded && !expected(s->r, (struct sockaddr *)&d.from, d.from_len, 1))
			continue;
		size_t len = n > 0 ? answer(s->r, query, (size_t)n, reply) : 0;
		if (len > 0)
			dgram_answer(s->fd, reply, len, &d);
	}
	loop_poll(s->r->loop, act, s->fd, POLLIN);
}

int names_udp(struct relay *r, int fd, bool guarded)
{
	struct names_udp *s = calloc(1, sizeof(*s));
	int e = s == NULL ? -ENOMEM : dgram_prepare(fd);

	if (e < 0) {
		free(s);
		(void)fd_close(fd);
		return e;
	}
	*s = (struct names_udp){ .next = sockets, .r = r, .fd = fd, .guarded = guarded, .act.done = asked };
	sockets = s;
	loop_poll(r->loop, &s->act, fd, POLLIN);
	return 0;
}

/* ---- TCP (RFC 1035, 4.2.2; RFC 7766): two bytes of length before each message, one after the other ---- */

static void end(struct names_conn *t)
{
	if (!t->ending) {
		t->ending = true;
		loop_cancel(t->r->loop, &t->recv);
		loop_cancel(t->r->loop, &t->send);
		(void)loop_timer(t->r->loop, &t->timer, 0);
	}
}

static void release(struct names_conn *t)
{
	if (act_busy(&t->recv) || act_busy(&t->send))
		return;
	loop_timer_stop(t->r->loop, &t->timer);
	for (struct names_conn **at = &conns; *at != NULL; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	for (struct chunk *c = t->rest, *next; c != NULL; c = next) {
		next = c->next;
		loop_chunk_free(t->r->loop, c);
	}
	conn_count--;
	(void)loop_close(t->r->loop, t->fd);
	free(t);
}

static void timed_out(struct timer *timer)
{
	struct names_conn *t = container(timer, struct names_conn, timer);

	if (t->ending)
		release(t);
	else
		end(t);
}

static bool asker_expected(const struct names_conn *t)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	return getpeername(t->fd, (struct sockaddr *)&sa, &len) == 0 && expected(t->r, (struct sockaddr *)&sa, len, 0);
}

/* Reads what is there up to one message and answers it. */
static void next_query(struct names_conn *t)
{
	while (t->rest != NULL && !act_busy(&t->send) && !t->ending) {
		struct chunk *c = t->rest;
		size_t want = t->got < 2 ? 2 : 2 + ((size_t)t->query[0] << 8 | t->query[1]);
		size_t some = c->len - c->off;

		if (want > sizeof(t->query)) {
			end(t);
			return;
		}
		if (some > want - t->got)
			some = want - t->got;
		memcpy(t->query + t->got, loop_chunk_data(t->r->loop, c) + c->off, some);
		t->got += some;
		c->off += (uint32_t)some;
		if (c->off == c->len) {
			t->rest = c->next;
			loop_chunk_free(t->r->loop, c);
		}
		if (t->got < 2 || t->got < 2 + ((size_t)t->query[0] << 8 | t->query[1]))
			continue;
		size_t n = t->guarded && !asker_expected(t) ? 0 : answer(t->r, t->query + 2, t->got - 2, t->answer + 2);
		t->got = 0;
		if (n == 0) {
			end(t);
			return;
		}
		t->answer[0] = (uint8_t)(n >> 8);
		t->answer[1] = (uint8_t)n;
		(void)loop_timer(t->r->loop, &t->timer, TCP_MS);
		loop_send(t->r->loop, &t->send, t->fd, t->answer, (uint32_t)(2 + n));
	}
}

static void sent(struct act *act, int res, struct chunk *c)
{
	struct names_conn *t = container(act, struct names_conn, send);

	(void)c;
	if (t->ending)
		release(t);
	else if (res < 0)
		end(t);
	else
		next_query(t);
}

static void received(struct act *act, int res, struct chunk *c)
{
	struct names_conn *t = container(act, struct names_conn, recv);
	struct chunk **at = &t->rest;
	unsigned int n = 0;

	if (t->ending) {
		loop_chunk_free(t->r->loop, c);
		release(t);
		return;
	}
	if (c != NULL) {
		for (; *at != NULL; at = &(*at)->next)
			n++;
		c->next = NULL;
		*at = c;
		next_query(t);
	}
	if (n > 16 || (!act_busy(act) && (res <= 0 || t->rest != NULL)))
		end(t);
}

int names_tcp_conn(struct relay *r, int fd, bool guarded)
{
	struct names_conn *t = conn_count < TCP_MOST ? calloc(1, sizeof(*t)) : NULL;

	if (t == NULL || loop_adopt(r->loop, fd) < 0) {
		free(t);
		(void)fd_close(fd);
		return -ENOBUFS;
	}
	t->r = r;
	t->fd = fd;
	t->guarded = guarded;
	t->recv.done = received;
	t->send.done = sent;
	t->timer.fire = timed_out;
	t->next = conns;
	conns = t;
	conn_count++;
	(void)loop_timer(r->loop, &t->timer, TCP_MS);
	loop_recv(r->loop, &t->recv, fd);
	return 0;
}

void names_free(struct relay *r)
{
	(void)r;
	for (struct names_udp *s = sockets, *next; s != NULL; s = next) {
		next = s->next;
		(void)fd_close(s->fd);
		free(s);
	}
	for (struct names_conn *t = conns, *next; t != NULL; t = next) {
		next = t->next;
		(void)fd_close(t->fd);
		free(t);
	}
	sockets = NULL;
	conns = NULL;
	conn_count = 0;
}
