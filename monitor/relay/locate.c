/*
 * Where an allowed name leads, for a guest without a network namespace. It connects and sends by itself (the sentry does, on the
 * guest's own socket), so nothing is dialled here: the name behind a synthetic address is judged, resolved, and the addresses
 * that may be reached are told, and used as they are (DNS rebinding). An address in figures that no rule names may be one that the
 * host's hosts file gives to a name: such a guest reads that file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/relay/relay_in.h"
#include "util/err.h"

enum { LOCATING_MOST = 1024 };

struct locating {
	struct locating *next;
	struct relay *r;
	struct target t;
	struct question q;
	struct timer limit;
	unsigned int awaited; /* families */
	struct net_address list[2][RESOLVE_ADDRESSES], dropped;
	size_t n[2];
	uint32_t id;
	bool starting;
};

static void add(char *text, size_t size, const struct net_address *a)
{
	size_t len = strlen(text);
	char one[NET_ADDRESS_TEXT_SIZE];

	net_address_text(a, one);
	if (len + strlen(one) + 2 < size)
		(void)snprintf(text + len, size - len, "%s%s", len > 0 ? " " : "", one);
}

/* IPv6 first, as RFC 6724 would have it. */
static void answer(struct locating *l, int err, enum relay_event ev)
{
	struct relay *r = l->r;
	struct relay_msg m = { .kind = RELAY_DIALLED,
			       .id = l->id,
			       .err = err,
			       .event = (uint8_t)ev,
			       .rule = l->t.rule,
			       .port = l->t.port,
			       .proto = l->t.proto == NET_PROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP };
	struct dest *d = NULL;

	target_text(&l->t, m.text);
	for (int six = 1; err == 0 && six >= 0; six--)
		for (size_t i = 0; i < l->n[six]; i++)
			add(m.origin, sizeof(m.origin), &l->list[six][i]);
	if (err != 0 && l->dropped.family != 0)
		add(m.origin, sizeof(m.origin), &l->dropped);
	if (target_dest(r, &l->t, &d) == 0) {
		if (err == 0)
			d->connections += l->t.proto == NET_PROTO_TCP || d->connections == 0;
		else if (ev == RELAY_EV_REFUSED || ev == RELAY_EV_ADDRESS_REFUSED)
			account_refuse(d, l->t.rule, err);
		else
			account_tell(&r->account, d, ev, l->t.rule, err, NULL);
	}
	ingress_say(r, r->edge, &m);
}

static void finish(struct locating *l)
{
	struct relay *r = l->r;

	for (struct locating **at = &r->locating; *at != NULL; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			break;
		}
	loop_timer_stop(r->loop, &l->limit);
	resolve_drop(r->resolver, &l->q);
	free(l);
}

static void decide(struct locating *l)
{
	if (l->n[0] + l->n[1] > 0)
		answer(l, 0, RELAY_EV_OPENED);
	else if (l->dropped.family != 0)
		answer(l, EACCES, RELAY_EV_ADDRESS_REFUSED);
	else
		answer(l, EHOSTUNREACH, RELAY_EV_UNRESOLVED);
	finish(l);
}

static void out_of_time(struct timer *t)
{
	decide(container(t, struct locating, limit));
}

static void take(struct locating *l, const struct net_address *a)
{
	unsigned int six = a->family == AF_INET6;

	if (!target_reaches(l->r, &l->t, a, &l->t.rule))
		l->dropped = *a;
	else if (l->n[six] < RESOLVE_ADDRESSES)
		l->list[six][l->n[six]++] = *a;
}

static void known(struct question *q, sa_family_t family, const struct net_address *a, size_t n, int err)
{
	struct locating *l = container(q, struct locating, q);

	(void)err;
	l->awaited &= ~(1u << (family == AF_INET6));
	for (size_t i = 0; i < n; i++)
		take(l, &a[i]);
	if (l->awaited == 0 && !l->starting)
		decide(l);
}

/* Has A, which no rule names, a name in the hosts file that one does? */
static bool named_by_hosts(const struct relay *r, struct target *t)
{
	const char *name;

	for (size_t i = 0; (name = resolver_host_name(r->resolver, &t->address, i)) != NULL; i++) {
		struct net_verdict v = net_policy_name(r->policy, name, t->proto, t->port);

		if (v.kind != VERDICT_ALLOW)
			continue;
		(void)snprintf(t->name, sizeof(t->name), "%s", name);
		t->rule = v.rule->id;
		return true;
	}
	return false;
}

void locate(struct relay *r, const struct relay_msg *m)
{
	static const struct net_address loopback[2] = {
		{ .family = AF_INET, .bytes = { 127, 0, 0, 1 } },
		{ .family = AF_INET6, .bytes = { [15] = 1 } },
	};
	struct net_address a = { .family = m->family };
	struct sockaddr_storage sa;
	struct locating now = { .r = r, .id = m->id, .limit.fire = out_of_time, .starting = true }, *l;
	size_t n = 0;

	memcpy(a.bytes, m->addr, m->family == AF_INET ? 4 : 16);
	socklen_t len = net_address_sockaddr(&a, m->port, &sa);
	int e = target_judge(r, (struct sockaddr *)&sa, len, m->proto == IPPROTO_UDP ? NET_PROTO_UDP : NET_PROTO_TCP, &now.t);
	bool listed = e == EACCES && now.t.name[0] == '\0' && named_by_hosts(r, &now.t);
	if (e != 0 && !listed) {
		answer(&now, e, RELAY_EV_REFUSED);
		return;
	}
	if (listed || now.t.name[0] == '\0') {
		take(&now, &a);
		answer(&now, now.dropped.family != 0 ? EACCES : 0, now.dropped.family != 0 ? RELAY_EV_ADDRESS_REFUSED : RELAY_EV_OPENED);
		return;
	}
	if (now.t.host) {
		for (int i = 0; i < 2; i++)
			now.list[i][now.n[i]++] = loopback[i];
		answer(&now, 0, RELAY_EV_OPENED);
		return;
	}
	for (l = r->locating; l != NULL; l = l->next)
		n++;
	l = n < LOCATING_MOST ? malloc(sizeof(*l)) : NULL;
	if (l == NULL) {
		answer(&now, ENOBUFS, RELAY_EV_FAILED);
		return;
	}
	*l = now;
	l->next = r->locating;
	r->locating = l;
	l->awaited = 3;
	if (loop_timer(r->loop, &l->limit, r->connect_ms) < 0) {
		answer(l, ENOBUFS, RELAY_EV_FAILED);
		finish(l);
		return;
	}
	resolve(r->resolver, &l->q, l->t.name, known);
	l->starting = false;
	if (l->awaited == 0)
		decide(l);
}

void locate_cancel(struct relay *r, uint32_t id)
{
	for (struct locating *l = r->locating; l != NULL; l = l->next)
		if (l->id == id) {
			finish(l);
			return;
		}
}

void locate_free(struct relay *r)
{
	for (struct locating *l = r->locating, *next; l != NULL; l = next) {
		next = l->next;
		free(l);
	}
	r->locating = NULL;
}
