/*
 * The host's names: see resolve.h. c-ares does the talking to the resolvers and the reading of their answers; it is given every
 * setting up front, so that it opens no file later, and plain questions only (ares_query: no search list, no file look-up).
 * Its sockets are polled by the loop.
 */
#include "monitor/relay/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>

#include "util/err.h"

enum { SLOTS = 32, HASH = 256, TTL_MIN = 1, TTL_MAX = 3600, TTL_NONE = 5, HOSTS_MAX = 65536 };

/* A line of the hosts file gives one of these for each name. */
struct known {
	struct known *next;
	struct net_address a;
	char name[];
};

struct half {
	bool asked, have;
	int err;
	size_t n;
	uint64_t until; /* ms */
	struct net_address a[RESOLVE_ADDRESSES];
};

struct entry {
	struct entry *next;
	struct resolver *r;
	struct question *waiting;
	uint64_t used;
	struct half half[2];
	unsigned int pending; /* queries c-ares has */
	char name[];
};

struct slot {
	struct act op;
	struct resolver *r;
	int fd; /* -1: free, once its operation is over */
	short wanted;
};

struct resolver {
	struct loop *l;
	ares_channel channel;
	struct known *hosts[HASH];
	struct entry *cache[HASH];
	size_t cached;
	struct slot slots[SLOTS];
	struct timer timer;
	bool closing;
};

static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return (h ^ h >> 16) % HASH;
}

/* ---- /etc/hosts (hosts(5)) ---- */

static int hosts_line(struct resolver *r, char *line)
{
	struct net_address a;
	char *save = NULL, name[NET_NAME_SIZE];

	line[strcspn(line, "#\n")] = '\0';
	char *word = strtok_r(line, " \t\r", &save);
	if (word == NULL || net_address_parse(word, &a) != 0)
		return 0;
	while ((word = strtok_r(NULL, " \t\r", &save)) != NULL) {
		if (net_name_canon(word, strlen(word), name) != 0)
			continue;
		size_t len = strlen(name);
		struct known *k = calloc(1, sizeof(*k) + len + 1);
		if (k == NULL)
			return -ENOMEM;
		memcpy(k->name, name, len);
		k->a = a;
		struct known **at = &r->hosts[hash(name)];
		while (*at != NULL) /* in the file's order */
			at = &(*at)->next;
		*at = k;
	}
	return 0;
}

const char *resolver_host_name(const struct resolver *r, const struct net_address *a, size_t i)
{
	for (size_t h = 0; h < HASH; h++)
		for (const struct known *k = r->hosts[h]; k != NULL; k = k->next)
			if (net_address_equal(&k->a, a) && i-- == 0)
				return k->name;
	return NULL;
}

static int hosts_read(struct resolver *r, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[4096];
	int e = 0;

	if (f == NULL)
		return 0;
	for (int n = 0; e == 0 && n < HOSTS_MAX && fgets(line, sizeof(line), f) != NULL; n++)
		e = hosts_line(r, line);
	(void)fclose(f);
	return e;
}

static size_t hosts_find(const struct resolver *r, const char *name, sa_family_t family, struct net_address *ret_a, bool *ret_any)
{
	size_t n = 0;

	for (const struct known *k = r->hosts[hash(name)]; k != NULL; k = k->next) {
		if (strcmp(k->name, name) != 0)
			continue;
		*ret_any = true;
		if (k->a.family == family && n < RESOLVE_ADDRESSES)
			ret_a[n++] = k->a;
	}
	return n;
}

/* ---- c-ares' sockets and timeouts ---- */

static void set_timer(struct resolver *r)
{
	struct timeval tv, *t = ares_timeout(r->channel, NULL, &tv);

	if (t == NULL)
		loop_timer_stop(r->l, &r->timer);
	else
		(void)loop_timer(r->l, &r->timer, (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000 + 1);
}

static void timed_out(struct timer *t)
{
	struct resolver *r = container(t, struct resolver, timer);

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(r);
}

static void slot_poll(struct slot *s)
{
	if (s->fd >= 0 && s->wanted != 0 && !act_busy(&s->op))
		loop_poll(s->r->l, &s->op, s->fd, s->wanted);
}

static void slot_ready(struct act *op, int res, struct chunk *c)
{
	struct slot *s = container(op, struct slot, op);
	struct resolver *r = s->r;
	int fd = s->fd;

	(void)c;
	if (fd >= 0 && res > 0)
		ares_process_fd(r->channel, (res & (POLLIN | POLLERR | POLLHUP)) != 0 ? fd : ARES_SOCKET_BAD,
				(res & (POLLOUT | POLLERR)) != 0 ? fd : ARES_SOCKET_BAD);
	slot_poll(s);
	set_timer(r);
}

static void sock_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = data;
	short wanted = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
	struct slot *s = NULL;

	for (int i = 0; i < SLOTS && s == NULL; i++)
		if (r->slots[i].fd == fd)
			s = &r->slots[i];
	for (int i = 0; i < SLOTS && s == NULL && wanted != 0; i++)
		if (r->slots[i].fd < 0 && !act_busy(&r->slots[i].op))
			s = &r->slots[i];
	if (s == NULL)
		return; /* it will time out */
	s->r = r;
	s->op.done = slot_ready;
	s->fd = wanted == 0 ? -1 : fd;
	if (act_busy(&s->op) && s->wanted != wanted)
		loop_cancel(r->l, &s->op);
	s->wanted = wanted;
	if (wanted == 0)
		loop_forget(r->l, fd);
	else
		slot_poll(s);
}

/* ---- the cache ---- */

static void answer(struct entry *e, int which)
{
	const struct half *h = &e->half[which];
	struct question *q = e->waiting, *next;

	for (; q != NULL; q = next) {
		next = q->next;
		if ((q->open & 1u << which) == 0)
			continue;
		q->open &= ~(1u << which);
		if (q->open == 0)
			resolve_drop(e->r, q);
		q->done(q, which == 0 ? AF_INET : AF_INET6, h->a, h->n, h->err);
		next = e->waiting; /* anything may have been dropped: from the front, those answered are passed over */
	}
}

struct arg {
	struct entry *e;
	int which;
};

static int clamp(int ttl)
{
	return ttl < TTL_MIN ? TTL_MIN : ttl > TTL_MAX ? TTL_MAX : ttl;
}

static void read_answer(struct half *h, int which, const unsigned char *abuf, int alen, uint64_t now)
{
	struct ares_addrttl a4[RESOLVE_ADDRESSES];
	struct ares_addr6ttl a6[RESOLVE_ADDRESSES];
	int n = RESOLVE_ADDRESSES, ttl = TTL_MAX;
	int status = which == 0 ? ares_parse_a_reply(abuf, alen, NULL, a4, &n) : ares_parse_aaaa_reply(abuf, alen, NULL, a6, &n);

	h->err = status == ARES_SUCCESS || status == ARES_ENODATA ? 0 : -EIO;
	h->n = 0;
	for (int i = 0; status == ARES_SUCCESS && i < n; i++) {
		struct sockaddr_in sin = { .sin_family = AF_INET };
		struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
		const struct sockaddr *sa = which == 0 ? (struct sockaddr *)&sin : (struct sockaddr *)&sin6;
		uint16_t port;

		/* One reading for every spelling: net_address_of() unwraps a mapped address. */
		if (which == 0)
			memcpy(&sin.sin_addr, &a4[i].ipaddr, sizeof(sin.sin_addr));
		else
			memcpy(&sin6.sin6_addr, &a6[i].ip6addr, sizeof(sin6.sin6_addr));
		if (net_address_of(sa, which == 0 ? sizeof(sin) : sizeof(sin6), &h->a[h->n], &port) == 0)
			h->n++;
		ttl = which == 0 ? (a4[i].ttl < ttl ? a4[i].ttl : ttl) : (a6[i].ttl < ttl ? a6[i].ttl : ttl);
	}
	h->until = now + 1000 * (uint64_t)(h->n > 0 ? clamp(ttl) : TTL_NONE);
}

static void answered(void *p, int status, int timeouts, unsigned char *abuf, int alen)
{
	struct arg *arg = p;
	struct entry *e = arg->e;
	int which = arg->which;
	struct half *h = &e->half[which];

	(void)timeouts;
	free(arg);
	e->pending--;
	if (e->r->closing)
		return;
	h->asked = false;
	h->have = true;
	h->n = 0;
	h->until = loop_now(e->r->l); /* a failure is not kept */
	h->err = status == ARES_ENOTFOUND || status == ARES_ENODATA ? -ENOENT : status == ARES_ETIMEOUT ? -ETIMEDOUT : -EIO;
	if (status == ARES_SUCCESS)
		read_answer(h, which, abuf, alen, loop_now(e->r->l));
	else if (h->err == -ENOENT)
		h->until += (uint64_t)1000 * TTL_NONE;
	if (h->err == 0 && h->n == 0)
		h->err = -ENOENT;
	answer(e, which);
}

static void ask(struct entry *e, int which)
{
	struct resolver *r = e->r;
	struct half *h = &e->half[which];
	bool listed = false;

	h->n = hosts_find(r, e->name, which == 0 ? AF_INET : AF_INET6, h->a, &listed);
	if (listed) {
		h->have = true;
		h->err = h->n > 0 ? 0 : -ENOENT;
		h->until = UINT64_MAX;
		return;
	}
	struct arg *arg = malloc(sizeof(*arg));
	if (arg == NULL) {
		h->have = true;
		h->err = -ENOMEM;
		h->until = 0;
		return;
	}
	*arg = (struct arg){ .e = e, .which = which };
	h->asked = true;
	h->have = false;
	e->pending++;
	ares_query(r->channel, e->name, ns_c_in, which == 0 ? ns_t_a : ns_t_aaaa, answered, arg);
	set_timer(r);
}

static bool in_use(const struct entry *e)
{
	return e->pending > 0 || e->waiting != NULL;
}

/* The entry not used for the longest time goes. */
static void evict(struct resolver *r)
{
	struct entry **oldest = NULL;

	for (int i = 0; i < HASH; i++)
		for (struct entry **at = &r->cache[i]; *at != NULL; at = &(*at)->next)
			if (!in_use(*at) && (oldest == NULL || (*at)->used < (*oldest)->used))
				oldest = at;
	if (oldest != NULL) {
		struct entry *e = *oldest;

		*oldest = e->next;
		free(e);
		r->cached--;
	}
}

static struct entry *entry_of(struct resolver *r, const char *name)
{
	struct entry **at = &r->cache[hash(name)];

	for (struct entry *e = *at; e != NULL; e = e->next)
		if (strcmp(e->name, name) == 0)
			return e;
	if (r->cached >= RESOLVE_CACHE)
		evict(r);
	if (r->cached >= RESOLVE_CACHE + RESOLVE_WAITING)
		return NULL; /* all of them wait for answers */
	at = &r->cache[hash(name)];
	size_t len = strlen(name);
	struct entry *e = calloc(1, sizeof(*e) + len + 1);
	if (e == NULL)
		return NULL;
	memcpy(e->name, name, len);
	e->r = r;
	e->next = *at;
	*at = e;
	r->cached++;
	return e;
}

void resolve(struct resolver *r, struct question *q, const char *name, resolve_fn done)
{
	struct entry *e = entry_of(r, name);

	*q = (struct question){ .done = done, .open = 3, .entry = e };
	if (e == NULL) {
		q->open = 0;
		done(q, AF_INET6, NULL, 0, -ENOMEM);
		done(q, AF_INET, NULL, 0, -ENOMEM);
		return;
	}
	e->used = loop_now(r->l);
	q->next = e->waiting;
	e->waiting = q;
	for (int which = 1; which >= 0; which--) /* RFC 8305, 3: AAAA first */
		if (!e->half[which].asked && (!e->half[which].have || e->half[which].until <= e->used))
			ask(e, which);
	/* What is known already, unless it came while it was asked for. The last one drops the question. */
	for (int which = 1; which >= 0; which--) {
		struct half h = e->half[which];
		bool open = (q->open & 1u << which) != 0;

		if (h.asked || !h.have || !open)
			continue;
		q->open &= ~(1u << which);
		bool last = q->open == 0;
		if (last)
			resolve_drop(r, q);
		done(q, which == 0 ? AF_INET : AF_INET6, h.a, h.n, h.err);
		if (last || q->entry == NULL)
			return;
	}
}

void resolve_drop(struct resolver *r, struct question *q)
{
	struct entry *e = q->entry;

	(void)r;
	if (e == NULL)
		return;
	for (struct question **at = &e->waiting; *at != NULL; at = &(*at)->next)
		if (*at == q) {
			*at = q->next;
			break;
		}
	q->entry = NULL;
	q->open = 0;
}

void resolver_attach(struct resolver *r, struct loop *l)
{
	r->l = l;
}

int resolver_new(const char *hosts, const char *resolv_conf, struct resolver **ret_r)
{
	static char lookups[] = "b";
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	for (int i = 0; i < SLOTS; i++)
		r->slots[i].fd = -1;
	r->timer.fire = timed_out;
	char *path = strdup(resolv_conf);
	struct ares_options o = { .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
				  .timeout = 3000,
				  .tries = 3,
				  .lookups = lookups,
				  .resolvconf_path = path,
				  .sock_state_cb = sock_state,
				  .sock_state_cb_data = r };
	int e = path == NULL ? -ENOMEM : hosts_read(r, hosts);
	if (e == 0 && ares_init_options(&r->channel, &o,
					ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
						ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
		r->channel = NULL;
		e = -EIO;
	}
	free(path);
	if (e < 0) {
		resolver_free(r);
		return e;
	}
	*ret_r = r;
	return 0;
}

struct resolver *resolver_free(struct resolver *r)
{
	if (r == NULL)
		return NULL;
	r->closing = true;
	if (r->channel != NULL)
		ares_destroy(r->channel);
	for (int i = 0; i < HASH; i++) {
		for (struct known *k = r->hosts[i], *next; k != NULL; k = next) {
			next = k->next;
			free(k);
		}
		for (struct entry *e = r->cache[i], *next; e != NULL; e = next) {
			next = e->next;
			free(e);
		}
	}
	free(r);
	return NULL;
}
