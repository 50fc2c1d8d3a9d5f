/*
 * Where connections begin: the edge's listeners, the guest's loopback (network.host), the host's published ports, Unix sockets, and
 * what the sentry asks to be dialled before a guest connects.
 *
 * A connection at the edge carries where the guest wanted to go as its local address. It is judged by that alone: which listener it
 * came by, and who handed the listener over, does not matter. Refused, it is reset. Allowed, it is joined with a connection that
 * was dialled ahead for the same place (which one does not matter, they are alike), else dialled for now.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "credential.h"
#include "monitor/relay/conn.h"
#include "util/err.h"
#include "util/fd.h"

enum { PARKED_MOST = 512, PARKED_MS = 10000, DIALING_MOST = 2048, REACH_MS = 10000, RETRY_MS = 20, RENEW_MS = 200, SPARES_LOW = 8 };

struct listener {
	struct listener *next;
	struct relay *r;
	struct act act;
	int fd;
	uint32_t kind, id;
	uint32_t peer; /* Unix sockets: the only process that may connect; 0: any */
	uint16_t port;
	struct net_address to; /* RELAY_PUBLISH */
	bool full;	       /* waits for connections to end */
	struct timer again;    /* after a failure to accept */
};

/* Dialled ahead. */
struct parked {
	struct parked *next;
	struct target t;
	int fd;
	uint64_t until;
};

struct dialing {
	struct dialing *next;
	struct relay *r;
	struct target t;
	struct dest *dest;
	struct dial *dial;
	uint32_t id;
};

/* A connection on its way to the guest or to a Unix socket. */
struct reach {
	struct reach *next; /* of those without a socket */
	struct relay *r;
	struct conn *c;
	struct act act;
	struct timer timer;
	int fd;
	uint32_t id;
	int type;
	uint64_t until;
	struct sockaddr_storage sa;
	socklen_t len;
};

struct unix_target {
	struct unix_target *next;
	uint32_t id;
	int fd; /* O_PATH */
	bool asked;
};

static struct reach *waiting; /* for sockets of the guest's namespace; one relay a process */

void target_text(const struct target *t, char ret_text[static NET_NAME_SIZE])
{
	if (t->name[0] != '\0')
		snprintf(ret_text, NET_NAME_SIZE, "%s", t->name);
	else
		net_address_text(&t->address, ret_text);
}

int target_dest(struct relay *r, const struct target *t, struct dest **ret_d)
{
	char text[NET_NAME_SIZE];

	target_text(t, text);
	return account_dest(&r->account, text, t->port, t->proto == NET_PROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP, ret_d);
}

int target_judge(const struct relay *r, const struct sockaddr *sa, socklen_t len, enum net_proto proto, struct target *ret_t)
{
	struct target t = { .proto = proto, .rule = UINT32_MAX };
	struct net_verdict v = NET_VERDICT_NULL;
	int e = ENETUNREACH;

	if (net_address_of(sa, len, &t.address, &t.port) == 0) {
		const char *name = synth_name(r->synth, &t.address);

		e = EACCES;
		if (name != NULL) {
			snprintf(t.name, sizeof(t.name), "%s", name);
			t.host = strcmp(name, NET_HOST_NAME) == 0;
			v = net_policy_name(r->policy, name, proto, t.port);
		} else if (net_address_class(&t.address) == NET_CLASS_SYNTHETIC) {
			e = ENETUNREACH; /* an address no name has */
		} else {
			v = net_policy_address(r->policy, &t.address, proto, t.port);
		}
	}
	if (v.kind == VERDICT_ALLOW) {
		e = 0;
		t.rule = v.rule->id;
	}
	*ret_t = t;
	return e;
}

bool target_reaches(const struct relay *r, const struct target *t, const struct net_address *a, uint32_t *ret_rule)
{
	struct net_verdict v = net_policy_reach(r->policy, a, t->proto, t->port);

	if (v.kind == VERDICT_ALLOW && v.rule == NULL && address_is_own(a))
		v = net_policy_address(r->policy, a, t->proto, t->port);
	if (v.kind == VERDICT_ALLOW && v.rule != NULL)
		*ret_rule = v.rule->id;
	return v.kind == VERDICT_ALLOW;
}

void ingress_say(struct relay *r, int fd, const struct relay_msg *m)
{
	int e = relay_send(fd, m, NULL, 0);

	if (e == -EAGAIN) { /* its reader is slow: it has a second */
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		(void)poll(&p, 1, 1000);
		e = relay_send(fd, m, NULL, 0);
	}
	if (e == -EAGAIN) {
		r->failed = e;
		loop_stop(r->loop);
	}
}

static void reset(int fd)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)fd_close(fd);
}

static void told(struct relay *r, struct dest *d, enum relay_event ev, uint32_t rule, int err, const struct net_address *a)
{
	char text[NET_ADDRESS_TEXT_SIZE] = "";

	if (a != NULL)
		net_address_text(a, text);
	account_tell(&r->account, d, ev, rule, err, a != NULL ? text : NULL);
}

/* ---- the edge ---- */

/*
 * A connection to a credential's host: both ends go to the process that has the value, under the name that was resolved. Where that
 * cannot be, the connection ends: never is one to such a host relayed as it is.
 */
static void hand_over(struct conn *c, int upstream)
{
	struct relay *r = c->r;
	struct relay_msg m = { .kind = RELAY_HAND, .port = c->port, .proto = IPPROTO_TCP };
	int fds[2] = { c->fd[0], upstream };
	bool handed;

	snprintf(m.text, sizeof(m.text), "%s", c->host);
	handed = relay_send(r->cfg->credential, &m, fds, 2) == 0;
	(void)loop_close(r->loop, upstream);
	if (handed) {
		c->dest->connections++;
		c->fd[0] = loop_close(r->loop, c->fd[0]);
	}
	conn_end(c, !handed);
}

static void join(struct conn *c, int upstream)
{
	if (c->handed)
		hand_over(c, upstream);
	else
		conn_join(c, upstream);
}

static void dialled(void *owner, int fd, int err, enum relay_event ev, const struct net_address *a)
{
	struct conn *c = owner;

	c->dial = NULL;
	told(c->r, c->dest, ev, c->rule, err, a);
	if (fd >= 0)
		join(c, fd);
	else
		conn_end(c, true);
}

static int take_parked(struct relay *r, const struct target *t)
{
	for (struct parked **at = &r->parked; *at != NULL; at = &(*at)->next) {
		struct parked *p = *at;

		if (p->t.port == t->port && net_address_equal(&p->t.address, &t->address) && p->t.host == t->host) {
			int fd = p->fd;

			*at = p->next;
			free(p);
			return fd;
		}
	}
	return -1;
}

/* T was judged with result E. FD is used up. */
static void outward(struct relay *r, int fd, const struct target *t, int e)
{
	struct dest *d = NULL;
	struct conn *c = NULL;

	if (target_dest(r, t, &d) < 0) {
		reset(fd);
		return;
	}
	if (e != 0 || account_spent(&r->account)) {
		account_tell(&r->account, d, e != 0 ? RELAY_EV_REFUSED : RELAY_EV_LIMIT, t->rule, EACCES, NULL);
		reset(fd);
		return;
	}
	if (conn_new(r, fd, d, &c) < 0)
		return;
	c->rule = t->rule;
	c->handed = r->cfg->credentials != NULL && credential_list_names(r->cfg->credentials, t->name, t->port);
	if (c->handed) {
		snprintf(c->host, sizeof(c->host), "%s", t->name);
		c->port = t->port;
	}
	int upstream = take_parked(r, t);
	if (upstream >= 0)
		join(c, upstream);
	else if (dial_start(r, t, dialled, c, &c->dial) < 0)
		conn_end(c, true);
}

static void at_edge(struct listener *l, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct target t;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
		(void)fd_close(fd);
		return;
	}
	int e = target_judge(l->r, (struct sockaddr *)&sa, len, NET_PROTO_TCP, &t);
	outward(l->r, fd, &t, e);
}

/* The guest's loopback stands for the host's, for the ports that rules name for it. */
static void at_loopback(struct listener *l, int fd)
{
	struct target t = { .name = NET_HOST_NAME, .port = l->port, .proto = NET_PROTO_TCP, .rule = UINT32_MAX, .host = true };
	struct net_verdict v = net_policy_name(l->r->policy, t.name, t.proto, t.port);

	if (v.kind == VERDICT_ALLOW)
		t.rule = v.rule->id;
	outward(l->r, fd, &t, v.kind == VERDICT_ALLOW ? 0 : EACCES);
}

/* ---- dialled ahead ---- */

/* A refusal is recorded by the sentry, which knows who asked. A: what the name leads to, or NULL. */
static void answer_dial(struct relay *r, const struct dialing *d, int err, enum relay_event ev, const struct net_address *a)
{
	struct relay_msg m = { .kind = RELAY_DIALLED,
			       .id = d->id,
			       .err = err,
			       .event = (uint8_t)ev,
			       .rule = d->t.rule,
			       .port = d->t.port,
			       .proto = d->t.proto == NET_PROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP };

	target_text(&d->t, m.text);
	if (a != NULL)
		net_address_text(a, m.origin);
	ingress_say(r, r->edge, &m);
}

static void dialing_done(void *owner, int fd, int err, enum relay_event ev, const struct net_address *a)
{
	struct dialing *d = owner;
	struct relay *r = d->r;
	struct parked *p;
	size_t n = 0;

	for (struct dialing **at = &r->dialing; *at != NULL; at = &(*at)->next)
		if (*at == d) {
			*at = d->next;
			break;
		}
	if (ev == RELAY_EV_REFUSED || ev == RELAY_EV_ADDRESS_REFUSED || ev == RELAY_EV_LIMIT)
		account_refuse(d->dest, d->t.rule, err);
	else
		told(r, d->dest, ev, d->t.rule, err, a);
	if (fd >= 0) {
		for (p = r->parked; p != NULL; p = p->next)
			n++;
		p = n < PARKED_MOST ? calloc(1, sizeof(*p)) : NULL;
		if (p == NULL) {
			(void)loop_close(r->loop, fd); /* it will be dialled once more */
		} else {
			*p = (struct parked){ .next = r->parked, .t = d->t, .fd = fd, .until = loop_now(r->loop) + PARKED_MS };
			r->parked = p;
			(void)loop_timer(r->loop, &r->tick, 1000);
		}
	}
	answer_dial(r, d, err, ev, a);
	free(d);
}

void ingress_dial(struct relay *r, const struct relay_msg *m)
{
	struct sockaddr_storage sa;
	struct net_address a = { .family = m->family };
	struct dialing now = { .r = r, .id = m->id }, *d;
	enum net_proto proto = m->proto == IPPROTO_UDP ? NET_PROTO_UDP : NET_PROTO_TCP;
	size_t n = 0;

	memcpy(a.bytes, m->addr, m->family == AF_INET ? 4 : 16);
	socklen_t len = net_address_sockaddr(&a, m->port, &sa);
	int e = target_judge(r, (struct sockaddr *)&sa, len, proto, &now.t);
	if (target_dest(r, &now.t, &now.dest) < 0) {
		answer_dial(r, &now, ENOBUFS, RELAY_EV_FAILED, NULL);
		return;
	}
	if (e == 0 && account_spent(&r->account)) {
		account_refuse(now.dest, now.t.rule, EACCES);
		answer_dial(r, &now, EACCES, RELAY_EV_LIMIT, NULL);
		return;
	}
	if (e != 0) {
		account_refuse(now.dest, now.t.rule, e);
		answer_dial(r, &now, e, RELAY_EV_REFUSED, NULL);
		return;
	}
	for (d = r->dialing; d != NULL; d = d->next)
		n++;
	/* Datagrams need no connection; too many at once are dialled when they come. */
	d = proto == NET_PROTO_UDP || n >= DIALING_MOST ? NULL : calloc(1, sizeof(*d));
	if (d == NULL) {
		answer_dial(r, &now, 0, RELAY_EV_NONE, NULL);
		return;
	}
	*d = now;
	d->next = r->dialing;
	r->dialing = d;
	if (dial_start(r, &d->t, dialing_done, d, &d->dial) < 0) {
		r->dialing = d->next;
		free(d);
		answer_dial(r, &now, ENOBUFS, RELAY_EV_FAILED, NULL);
	}
}

void ingress_dial_cancel(struct relay *r, uint32_t id)
{
	for (struct dialing **at = &r->dialing; *at != NULL; at = &(*at)->next) {
		struct dialing *d = *at;

		if (d->id == id) {
			*at = d->next;
			dial_cancel(d->dial);
			free(d);
			return;
		}
	}
}

void ingress_tick(struct relay *r)
{
	for (struct parked **at = &r->parked; *at != NULL;) {
		struct parked *p = *at;

		if (p->until > loop_now(r->loop)) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		(void)loop_close(r->loop, p->fd);
		free(p);
	}
	if (r->parked != NULL)
		(void)loop_timer(r->loop, &r->tick, 1000);
}

/* ---- published ports and Unix sockets: inwards, and to what was handed over ---- */

static void want_sockets(struct relay *r, sa_family_t family)
{
	bool six = family == AF_INET6;

	if (r->wanted[six] || r->edge < 0)
		return;
	struct relay_msg m = { .kind = RELAY_WANT_SOCKETS, .family = family, .count = RELAY_FDS };
	r->wanted[six] = true;
	ingress_say(r, r->edge, &m);
}

static void reach_over(struct reach *x, bool ok)
{
	struct relay *r = x->r;

	loop_timer_stop(r->loop, &x->timer);
	for (struct reach **at = &waiting; *at != NULL; at = &(*at)->next)
		if (*at == x) {
			*at = x->next;
			break;
		}
	if (ok)
		conn_join(x->c, x->fd);
	else
		conn_end(x->c, true);
	if (!ok)
		(void)loop_close(r->loop, x->fd);
	free(x);
}

static void reached(struct act *act, int res, struct chunk *c)
{
	(void)c;
	reach_over(container(act, struct reach, act), res == 0);
}

static bool reach_guest(struct reach *x)
{
	struct relay *r = x->r;
	bool six = x->sa.ss_family == AF_INET6;

	if (r->spares[six] <= SPARES_LOW)
		want_sockets(r, x->sa.ss_family);
	if (r->spares[six] == 0)
		return false;
	x->fd = r->spare[six][--r->spares[six]];
	x->act.done = reached;
	loop_connect(r->loop, &x->act, x->fd, (struct sockaddr *)&x->sa, x->len);
	return true;
}

static struct unix_target *target_of(const struct relay *r, uint32_t id)
{
	struct unix_target *t = r->targets;

	while (t != NULL && t->id != id)
		t = t->next;
	return t;
}

/* Tries once. Returns true where it is decided. */
static bool reach_unix(struct reach *x)
{
	struct relay *r = x->r;
	struct unix_target *t = target_of(r, x->id);
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (t == NULL) { /* the other channel may be slower */
		bool late = loop_now(r->loop) >= x->until;

		if (late)
			reach_over(x, false);
		else
			(void)loop_timer(r->loop, &x->timer, RETRY_MS);
		return late;
	}
	if (x->fd < 0)
		x->fd = socket(AF_UNIX, x->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d", t->fd);
	if (x->fd >= 0 && connect(x->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		int e = errno;

		if (e == EAGAIN && loop_now(r->loop) < x->until) { /* its queue is full */
			(void)loop_timer(r->loop, &x->timer, RETRY_MS);
			return false;
		}
		if (e == ECONNREFUSED && !t->asked) {
			struct relay_msg m = { .kind = RELAY_WANT_UNIX, .id = t->id };

			t->asked = true;
			ingress_say(r, r->monitor, &m);
			(void)loop_timer(r->loop, &x->timer, RENEW_MS);
			return false;
		}
		reach_over(x, false);
		return true;
	}
	if (x->fd >= 0 && x->type == SOCK_SEQPACKET) {
		int guest = fd_steal(&x->c->fd[0]), up = fd_steal(&x->fd);

		reach_over(x, false);
		(void)unix_seqpacket(r, guest, up);
		return true;
	}
	reach_over(x, x->fd >= 0);
	return true;
}

static void reach_again(struct timer *t)
{
	struct reach *x = container(t, struct reach, timer);

	if (x->sa.ss_family == AF_UNSPEC)
		(void)reach_unix(x);
	else if (!act_busy(&x->act))
		reach_over(x, false); /* no socket came in time */
}

static void inward(struct listener *l, int fd)
{
	struct relay *r = l->r;
	struct dest *d = NULL;
	struct conn *c = NULL;
	struct reach *x = calloc(1, sizeof(*x));
	socklen_t len = sizeof(int);
	char text[64];
	int type = SOCK_STREAM;

	snprintf(text, sizeof(text), l->kind == RELAY_PUBLISH ? "published" : "unix socket %u", l->id);
	if (x == NULL || account_dest(&r->account, text, l->port, IPPROTO_TCP, &d) < 0 || conn_new(r, fd, d, &c) < 0) {
		if (c == NULL && d == NULL)
			(void)fd_close(fd);
		free(x);
		return;
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	*x = (struct reach){ .r = r, .c = c, .fd = -1, .id = l->id, .type = type };
	x->until = loop_now(r->loop) + REACH_MS;
	x->timer.fire = reach_again;
	if (l->kind != RELAY_PUBLISH) {
		(void)reach_unix(x);
		return;
	}
	x->len = net_address_sockaddr(&l->to, l->port, &x->sa);
	(void)loop_timer(r->loop, &x->timer, REACH_MS);
	if (!reach_guest(x)) {
		x->next = waiting;
		waiting = x;
	}
}

void ingress_sockets(struct relay *r, const struct relay_msg *m, const int *fds, size_t n)
{
	bool six = m->family == AF_INET6;

	r->wanted[six] = false;
	for (size_t i = 0; i < n; i++)
		if (r->spares[six] < ARRAY_LEN(r->spare[six]) && loop_adopt(r->loop, fds[i]) == 0)
			r->spare[six][r->spares[six]++] = fds[i];
		else
			(void)fd_close(fds[i]);
	for (struct reach **at = &waiting; *at != NULL && n > 0;) {
		struct reach *x = *at;

		if (x->sa.ss_family != m->family) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		if (!reach_guest(x)) {
			x->next = *at;
			*at = x;
			break;
		}
	}
}

int ingress_unix_target(struct relay *r, uint32_t id, int fd)
{
	struct unix_target *t = target_of(r, id);

	if (t == NULL) {
		t = calloc(1, sizeof(*t));
		if (t == NULL) {
			(void)fd_close(fd);
			return -ENOMEM;
		}
		t->id = id;
		t->fd = -1;
		t->next = r->targets;
		r->targets = t;
	}
	(void)fd_close(t->fd);
	t->fd = fd;
	t->asked = false;
	return 0;
}

int unix_target_fd(const struct relay *r, uint32_t id)
{
	const struct unix_target *t = target_of(r, id);

	return t == NULL ? -1 : t->fd;
}

/* ---- listeners ---- */

static bool made_by(int fd, uint32_t pid)
{
	struct ucred u = { .pid = 0 };
	socklen_t len = sizeof(u);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) == 0 && u.pid > 0 && (uint32_t)u.pid == pid;
}

static void accepted(struct act *act, int res, struct chunk *unused)
{
	struct listener *l = container(act, struct listener, act);
	struct relay *r = l->r;

	(void)unused;
	if (res >= 0) {
		switch (l->kind) {
		case RELAY_LISTEN_TCP:
			at_edge(l, res);
			break;
		case RELAY_LISTEN_HOST:
			at_loopback(l, res);
			break;
		case RELAY_DNS_TCP:
			(void)names_tcp_conn(r, res, l->id == RELAY_GUARDED);
			break;
		default:
			if (l->peer != 0 && !made_by(res, l->peer)) {
				(void)fd_close(res);
				break;
			}
			inward(l, res);
			break;
		}
		if (r->conn_count >= r->most && act_busy(act) && l->kind != RELAY_DNS_TCP)
			loop_cancel(r->loop, act);
	}
	if (act_busy(act))
		return;
	if (r->conn_count >= r->most && l->kind != RELAY_DNS_TCP)
		l->full = true;
	else /* EMFILE and the like: not at once */
		(void)loop_timer(r->loop, &l->again, res < 0 && res != -ECANCELED && res != -ECONNABORTED ? 100 : 0);
}

static void accept_again(struct timer *t)
{
	struct listener *l = container(t, struct listener, again);

	if (!act_busy(&l->act))
		loop_accept(l->r->loop, &l->act, l->fd);
}

void ingress_room(struct relay *r)
{
	if (r->conn_count >= r->most)
		return;
	for (struct listener *l = r->listeners; l != NULL; l = l->next)
		if (l->full && !act_busy(&l->act)) {
			l->full = false;
			loop_accept(r->loop, &l->act, l->fd);
		}
}

int ingress_listen(struct relay *r, const struct relay_msg *m, int fd)
{
	struct listener *l = calloc(1, sizeof(*l));
	int e = l == NULL ? -ENOMEM : loop_adopt(r->loop, fd);

	if (e < 0) {
		free(l);
		(void)fd_close(fd);
		return e;
	}
	*l = (struct listener){ .next = r->listeners, .r = r, .fd = fd, .kind = m->kind, .id = m->id, .port = m->port };
	l->peer = m->kind == RELAY_LISTEN_UNIX ? m->count : 0;
	l->to.family = m->family;
	memcpy(l->to.bytes, m->addr, m->family == AF_INET ? 4 : 16);
	l->act.done = accepted;
	l->again.fire = accept_again;
	r->listeners = l;
	if (m->kind == RELAY_PUBLISH)
		want_sockets(r, m->family);
	loop_accept(r->loop, &l->act, fd);
	return 0;
}

void ingress_free(struct relay *r)
{
	for (struct listener *l = r->listeners, *next; l != NULL; l = next) {
		next = l->next;
		(void)fd_close(l->fd);
		free(l);
	}
	for (struct parked *p = r->parked, *next; p != NULL; p = next) {
		next = p->next;
		(void)fd_close(p->fd);
		free(p);
	}
	for (struct unix_target *t = r->targets, *next; t != NULL; t = next) {
		next = t->next;
		(void)fd_close(t->fd);
		free(t);
	}
	for (int six = 0; six < 2; six++)
		while (r->spares[six] > 0)
			(void)fd_close(r->spare[six][--r->spares[six]]);
	r->listeners = NULL;
	r->parked = NULL;
	r->targets = NULL;
}
