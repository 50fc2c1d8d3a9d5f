/*
 * A connection: two sockets, TLS on each, and between them requests and responses (message.c). Driven by edge-triggered epoll: whatever
 * happens, all that can be done is done, a bounded number of rounds at a time. What is not yet written on one side is not read
 * on the other beyond CLIENT_BUFFER.
 */
#include "monitor/credential/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "util/err.h"
#include "util/fd.h"

enum { ROUNDS = 32, READ_SIZE = 16 << 10 };

uint64_t client_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool buf_room(struct buf *b, size_t n)
{
	size_t len = buf_len(b), room = b->room > 0 ? b->room : 4096;
	char *p;

	if (b->room - b->end >= n && b->p)
		return true;
	if (b->p && b->at > 0 && b->room - len >= n) {
		memmove(b->p, b->p + b->at, len);
		b->at = 0;
		b->end = len;
		return true;
	}
	while (room < len + n)
		room *= 2;
	p = malloc(room);
	if (!p)
		return false;
	if (b->p && len > 0)
		memcpy(p, b->p + b->at, len);
	if (b->p)
		explicit_bzero(b->p, b->room);
	free(b->p);
	*b = (struct buf){.p = p, .end = len, .room = room};
	return true;
}

bool buf_add(struct buf *b, const char *bytes, size_t n)
{
	if (!buf_room(b, n))
		return false;
	if (n > 0)
		memcpy(b->p + b->end, bytes, n);
	b->end += n;
	return true;
}

void buf_free(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->room);
	free(b->p);
	*b = (struct buf){.p = NULL};
}

static void side_fail(struct side *s)
{
	if (!s->why)
		s->why = tls_why(s->ssl);
	s->failed = true;
}

/* What a call of OpenSSL's that returned R means; true: try again when there is an event. */
static bool later(struct side *s, int r)
{
	int e = SSL_get_error(s->ssl, r);

	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return true;
	if (e == SSL_ERROR_ZERO_RETURN)
		s->eof = true;
	else
		side_fail(s);
	return false;
}

static bool handshake(struct side *s)
{
	if (s->open || s->failed)
		return false;
	ERR_clear_error();
	int r = SSL_do_handshake(s->ssl);
	if (r == 1) {
		s->open = true;
		return true;
	}
	return !later(s, r);
}

static bool fill(struct side *s)
{
	if (!s->open || s->eof || s->failed || buf_len(&s->in) >= CLIENT_BUFFER + READ_SIZE)
		return false;
	if (!buf_room(&s->in, READ_SIZE)) {
		s->failed = true;
		return true;
	}
	ERR_clear_error();
	int r = SSL_read(s->ssl, s->in.p + s->in.end, READ_SIZE);
	if (r > 0) {
		s->in.end += (size_t)r;
		return true;
	}
	return !later(s, r);
}

static bool flush(struct side *s)
{
	if (!s->open || s->failed || buf_len(&s->out) == 0)
		return false;
	ERR_clear_error();
	size_t n = buf_len(&s->out) < READ_SIZE ? buf_len(&s->out) : READ_SIZE;
	int r = SSL_write(s->ssl, s->out.p + s->out.at, (int)n);
	if (r <= 0)
		return !later(s, r);
	s->out.at += (size_t)r;
	if (s->out.at == s->out.end)
		buf_free(&s->out);
	return true;
}

static void side_close(struct side *s, bool reset)
{
	static const struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (reset && s->fd >= 0)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	SSL_free(s->ssl);
	s->ssl = NULL;
	s->fd = fd_close(s->fd);
	buf_free(&s->in);
	buf_free(&s->out);
}

static void flow_free(struct flow *f)
{
	scrub_clear(&f->scrub);
	buf_free(&f->trailer);
}

void client_free(struct client *c)
{
	bool reset = c->guest.failed || (!c->draining && c->started);

	if (c->asked)
		message_record(c, CREDENTIAL_EV_FAILED, c->up.why ? c->up.why : "the connection ended in the middle");
	side_close(&c->guest, reset);
	side_close(&c->up, c->up.failed);
	flow_free(&c->req);
	flow_free(&c->resp);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->h->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->h->conn_count--;
	free(c);
}

/* An answer of ours, or the last response: out to the guest, a proper end, and what it still sends is read for a moment, or a reset
 * would overtake the answer. */
static bool finish(struct client *c)
{
	if (c->guest.failed || (c->guest.eof && buf_len(&c->guest.out) == 0)) {
		c->over = true;
		return true;
	}
	if (flush(&c->guest))
		return true;
	if (buf_len(&c->guest.out) > 0)
		return false;
	if (!c->draining) {
		c->draining = true;
		c->until = client_now() + DRAIN_MS;
		ERR_clear_error();
		(void)SSL_shutdown(c->guest.ssl);
		(void)shutdown(c->guest.fd, SHUT_WR);
		side_close(&c->up, false);
	}
	bool more = fill(&c->guest);
	c->guest.in.at = c->guest.in.end = 0;
	return more;
}

/* The upstream is of no more use before a response came. */
static bool upstream_gone(struct client *c, bool more)
{
	bool stuck = c->up.eof && !more && buf_len(&c->guest.out) < CLIENT_BUFFER;

	if (!c->up.failed && !stuck && !(c->up.eof && buf_len(&c->up.in) == 0))
		return false;
	if (c->resp.phase == PHASE_CLOSE && c->up.eof)
		return false; /* that is its end: message_response() */
	if (!c->asked) {
		/* Idle: the guest's next request comes by another connection. Never handshaken: it is told why. */
		if (c->up.open) {
			c->close = c->answering = true;
			return true;
		}
		return false;
	}
	if (c->started) {
		c->over = true;
		return true;
	}
	message_refuse(c, CREDENTIAL_EV_FAILED, 502, c->up.why ? c->up.why : "the server ended the connection without an answer");
	return true;
}

static bool one_round(struct client *c)
{
	bool more = false;

	if (c->answering)
		return finish(c);
	more |= handshake(&c->up);
	more |= handshake(&c->guest);
	if (c->guest.failed && !c->guest.open) {
		if (!c->guest.why)
			c->guest.why = "no TLS";
		message_record(c, CREDENTIAL_EV_FAILED, c->guest.why);
		c->over = true;
		return true;
	}
	if (buf_len(&c->up.out) < CLIENT_BUFFER)
		more |= fill(&c->guest);
	if (buf_len(&c->guest.out) < CLIENT_BUFFER)
		more |= fill(&c->up);
	if (buf_len(&c->up.out) < CLIENT_BUFFER && message_request(c))
		more = true;
	if (c->answering)
		return true;
	if (buf_len(&c->guest.out) < CLIENT_BUFFER && message_response(c))
		more = true;
	if (c->answering)
		return true;
	more |= flush(&c->up);
	more |= flush(&c->guest);
	if (upstream_gone(c, more))
		return true;
	/* A guest that leaves gets no answer; what it has said before its end was served. */
	if (c->guest.failed || (c->guest.eof && (buf_len(&c->guest.in) == 0 || c->asked) && buf_len(&c->up.out) == 0 &&
				 (c->resp.phase == PHASE_HEAD || c->resp.phase == PHASE_TUNNEL) && !more)) {
		c->over = true;
		return true;
	}
	return more;
}

void client_run(struct client *c)
{
	int i = 0;

	if (!c->draining)
		c->until = client_now() + (!c->guest.open				     ? HANDSHAKE_MS
					 : !c->asked && buf_len(&c->guest.in) > 0 ? HEAD_MS
										     : IDLE_MS);
	while (!c->over && i < ROUNDS && one_round(c))
		i++;
	c->ready = !c->over && i == ROUNDS;
}

static bool prepare(struct holder *h, struct side *s, struct client *c)
{
	static const int on = 1;
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
	int flags = fcntl(s->fd, F_GETFL);

	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	return flags >= 0 && fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) == 0 && epoll_ctl(h->epoll, EPOLL_CTL_ADD, s->fd, &ev) == 0;
}

void client_new(struct holder *h, const char *name, uint16_t port, int guest, int up)
{
	struct client *c = h->conn_count < CLIENT_MOST ? calloc(1, sizeof(*c)) : NULL;
	const struct host_words *host = NULL;

	for (size_t i = 0; i < h->host_count; i++)
		if (h->hosts[i].port == port && strcmp(h->hosts[i].name, name) == 0)
			host = &h->hosts[i];
	if (!c || !host) {
		free(c);
		(void)fd_close(guest);
		(void)fd_close(up);
		return;
	}
	c->h = h;
	c->host = host;
	c->guest.fd = guest;
	c->up.fd = up;
	c->credential = UINT32_MAX;
	c->guest.ssl = tls_accept(h->tls, host->name, guest);
	c->up.ssl = tls_connect(h->tls, host->name, up);
	c->next = h->conns;
	if (h->conns)
		h->conns->prev = c;
	h->conns = c;
	h->conn_count++;
	if (!c->guest.ssl || !c->up.ssl || !prepare(h, &c->guest, c) || !prepare(h, &c->up, c)) {
		client_free(c);
		return;
	}
	client_run(c);
}
