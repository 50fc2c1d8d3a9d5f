/*
 * The sentry's side of the network edge: see net_edge.h.
 *
 * Nothing here keeps the guest from anything: at the edge the relay judges every connection by where it was made to. What is
 * judged here becomes the record's reason and an errno at once, and a blocking connect is answered after the relay has
 * dialled, so that the guest sees what it would see without us.
 *
 * One thread reads the relay's channel and wakes whoever waits; every thread may write to it. Rules are an immutable object that
 * is swapped when one is added; old ones stay, since calls in flight hold them and people add few.
 *
 * Syscalls: socket, sendmsg, recvmsg, sendto, recvfrom, poll, read, write, eventfd2, getsockopt, close.
 */
#include "sentry/net_edge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "keeper.h"
#include "sentry/pool.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	STACK = 256 * 1024,
	PORTS = 65536,
	AT_START = 64, /* ports named by more rules than these have no listener yet (floor/edge.c) */
	DNS_PORT = 53,
	EXIT_LOST = 1,
	RESOLVERS = 8,
};

/* Who waits for the relay's answer. */
struct waiter {
	struct waiter *next;
	uint32_t id;
	int wake; /* eventfd */
	bool done;
	struct relay_msg answer;
};

struct net_dial {
	struct net_edge *e;
	struct waiter w;
	bool asked;
};

struct net_edge {
	int channel, keeper;
	uint16_t names_port;
	struct net_address resolvers[RESOLVERS]; /* the host's */
	size_t resolver_count;
	const struct net_policy *policy;
	struct net_address own[4]; /* the guest's end and the edge's, of both families */
	pthread_mutex_t lock;	   /* waiters, ids */
	struct waiter *waiters;
	uint32_t last_id;
	pthread_mutex_t asking; /* the keeper: one question at a time; ports */
	uint8_t tcp[PORTS / 8], udp[PORTS / 8];
};

static const struct net_policy *policy_of(const struct net_edge *e)
{
	return __atomic_load_n(&e->policy, __ATOMIC_ACQUIRE);
}

/* Sockets in the guest's namespace, where we live, for what the relay connects to in there. */
static int give_sockets(struct net_edge *e, const struct relay_msg *want)
{
	struct relay_msg m = {.kind = RELAY_SOCKETS, .id = want->id, .family = want->family};
	int fds[RELAY_FDS], r;
	size_t n = 0;

	if (want->family != AF_INET && want->family != AF_INET6)
		return -EPROTO;
	for (; n < want->count && n < RELAY_FDS; n++) {
		fds[n] = socket(want->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fds[n] < 0)
			break;
	}
	m.count = (uint32_t)n;
	r = relay_send(e->channel, &m, fds, n);
	while (n > 0)
		fd_close(fds[--n]);
	return r;
}

static void wake(struct net_edge *e, const struct relay_msg *m)
{
	const uint64_t one = 1;

	(void)pthread_mutex_lock(&e->lock);
	for (struct waiter *w = e->waiters; w; w = w->next) {
		if (w->id != m->id)
			continue;
		w->answer = *m;
		w->done = true;
		(void)!write(w->wake, &one, sizeof(one));
	}
	(void)pthread_mutex_unlock(&e->lock);
}

/* No repair of a broken peer: the sentry's end is the run's. */
static void *read_loop(void *arg)
{
	struct net_edge *e = arg;
	int fds[RELAY_FDS];
	struct relay_msg m;
	size_t n;

	(void)pool_thread_start();
	for (;;) {
		int r = relay_recv(e->channel, 0, &m, fds, &n);

		if (r == -EINTR)
			continue;
		if (r != 1 || n != 0)
			_exit(EXIT_LOST);
		if (m.kind == RELAY_DIALLED)
			wake(e, &m);
		else if (m.kind != RELAY_WANT_SOCKETS || give_sockets(e, &m) < 0)
			_exit(EXIT_LOST);
	}
	return NULL;
}

static void mark(uint8_t *ports, const struct net_policy *p, enum net_proto proto)
{
	const struct net_range *v = NULL;
	size_t n = net_policy_ports(p, proto, &v), sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (size_t)(v[i].to - v[i].from) + 1;
	for (size_t i = 0; sum <= AT_START && i < n; i++)
		for (unsigned int port = v[i].from; port <= v[i].to; port++)
			ports[port / 8] |= (uint8_t)(1u << port % 8);
}

/* resolv.conf(5), as the guest reads it: without a line of it the C library asks this host. */
static void read_resolvers(struct net_edge *e)
{
	static const char *const otherwise[] = {"127.0.0.1", "::1"};
	FILE *f = fopen("/etc/resolv.conf", "re");
	char line[512], word[NET_ADDRESS_TEXT_SIZE];

	while (f && e->resolver_count < RESOLVERS && fgets(line, sizeof(line), f))
		if (sscanf(line, " nameserver %63[^ \t\n%%#;]", word) == 1 &&
		    net_address_parse(word, &e->resolvers[e->resolver_count]) == 0)
			e->resolver_count++;
	for (size_t i = 0; e->resolver_count == 0 && i < ARRAY_LEN(otherwise); i++)
		(void)net_address_parse(otherwise[i], &e->resolvers[i]);
	if (e->resolver_count == 0)
		e->resolver_count = ARRAY_LEN(otherwise);
	if (f)
		(void)fclose(f);
}

int net_edge_new(int channel, int keeper, uint16_t names_port, const struct net_policy *policy, struct net_edge **ret_e)
{
	static const char *const own[] = {RELAY_GUEST4, RELAY_GUEST6, RELAY_EDGE4, RELAY_EDGE6};
	struct net_edge *e = calloc(1, sizeof(*e));
	pthread_attr_t attr;
	pthread_t t;
	int r;

	if (!e)
		return -ENOMEM;
	e->channel = channel;
	e->keeper = keeper;
	e->policy = policy;
	e->names_port = names_port;
	if (names_port != 0)
		read_resolvers(e);
	(void)pthread_mutex_init(&e->lock, NULL);
	(void)pthread_mutex_init(&e->asking, NULL);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		(void)net_address_parse(own[i], &e->own[i]);
	mark(e->tcp, policy, NET_PROTO_TCP);
	mark(e->udp, policy, NET_PROTO_UDP);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK);
	r = pthread_create(&t, &attr, read_loop, e);
	(void)pthread_attr_destroy(&attr);
	if (r != 0) {
		free(e);
		return -r;
	}
	*ret_e = e;
	return 0;
}

/* Is PORT named for PROTO by a rule about names? Then a synthetic address may stand for one of them: the relay knows. */
static const struct net_rule *name_rule(const struct net_policy *p, uint16_t port, enum net_proto proto)
{
	for (size_t i = 0; i < net_policy_count(p); i++) {
		const struct net_rule *rule = net_policy_rule(p, i);

		if (rule->proto != proto || rule->kind == NET_RULE_BLOCK)
			continue;
		for (unsigned int k = 0; k < rule->port_count; k++)
			if (port >= rule->ports[k].from && port <= rule->ports[k].to)
				return rule;
	}
	return NULL;
}

enum net_edge_verdict net_edge_judge(struct net_edge *e, const struct net_address *a, uint16_t port, int proto,
				     const struct net_rule **ret_rule)
{
	enum net_proto kind = proto == IPPROTO_TCP ? NET_PROTO_TCP : proto == IPPROTO_UDP ? NET_PROTO_UDP : NET_PROTO_NONE;
	const struct net_policy *p = policy_of(e);
	enum net_class class = net_address_class(a);

	*ret_rule = NULL;
	/* Without an edge nothing stands for a name, and loopback is the host's. */
	for (size_t i = 0; e->keeper >= 0 && i < ARRAY_LEN(e->own); i++)
		if (net_address_equal(a, &e->own[i]))
			return i < 2 || port == DNS_PORT ? NET_EDGE_OWN : NET_EDGE_REFUSED;
	if (class == NET_CLASS_NEVER)
		return NET_EDGE_NOWHERE;
	if (class == NET_CLASS_SYNTHETIC) {
		return name_rule(p, port, kind) ? NET_EDGE_ALLOWED : NET_EDGE_REFUSED;
	}
	struct net_verdict v = net_policy_address(p, a, kind, port);
	if (e->keeper < 0 && class == NET_CLASS_LOOPBACK && v.kind == VERDICT_DENY)
		v = net_policy_name(p, NET_HOST_NAME, kind, port);
	*ret_rule = v.rule;
	return v.kind == VERDICT_ALLOW ? NET_EDGE_ALLOWED : NET_EDGE_REFUSED;
}

int net_edge_listen(struct net_edge *e, uint16_t port, int proto)
{
	uint8_t *ports = proto == IPPROTO_TCP ? e->tcp : e->udp, bit = (uint8_t)(1u << port % 8);
	struct edge_request q = {.port = port, .proto = (uint8_t)proto};
	struct edge_answer a = {.err = EIO};
	int r = 0;

	if (e->keeper < 0 || port == 0 || (__atomic_load_n(&ports[port / 8], __ATOMIC_ACQUIRE) & bit) != 0)
		return 0;
	(void)pthread_mutex_lock(&e->asking);
	if ((ports[port / 8] & bit) == 0) {
		if (send(e->keeper, &q, sizeof(q), MSG_NOSIGNAL) != sizeof(q))
			r = -EIO;
		/* It answers at once; a signal of the caller's must not leave its answer to the next who asks. */
		ssize_t n;
		do {
			n = r == 0 ? recv(e->keeper, &a, sizeof(a), 0) : 0;
		} while (n < 0 && errno == EINTR);
		if (r == 0)
			r = n == sizeof(a) ? -a.err : -EIO;
		if (r == 0)
			(void)__atomic_or_fetch(&ports[port / 8], bit, __ATOMIC_RELEASE);
	}
	(void)pthread_mutex_unlock(&e->asking);
	return r;
}

static void join(struct net_edge *e, struct waiter *w)
{
	(void)pthread_mutex_lock(&e->lock);
	w->id = ++e->last_id;
	w->next = e->waiters;
	e->waiters = w;
	(void)pthread_mutex_unlock(&e->lock);
}

static void leave(struct net_edge *e, const struct waiter *w)
{
	(void)pthread_mutex_lock(&e->lock);
	for (struct waiter **at = &e->waiters; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			break;
		}
	(void)pthread_mutex_unlock(&e->lock);
}

/* How long a connect on FD may take: SO_SNDTIMEO in ms, -1: as long as it takes. */
static int patience(int fd)
{
	struct timeval tv = {0};
	socklen_t len = sizeof(tv);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, &len) < 0 || (tv.tv_sec == 0 && tv.tv_usec == 0))
		return -1;
	return tv.tv_sec > INT_MAX / 1000 - 1 ? -1 : (int)(tv.tv_sec * 1000 + (tv.tv_usec + 999) / 1000);
}

static struct net_dial *begin(struct net_edge *e, enum relay_kind kind, const struct net_address *a, uint16_t port, int proto)
{
	struct relay_msg m = {.kind = kind, .family = a->family, .port = port, .proto = (uint8_t)proto};
	struct net_dial *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->e = e;
	d->w.wake = eventfd(0, EFD_CLOEXEC);
	if (d->w.wake < 0) {
		free(d);
		return NULL;
	}
	join(e, &d->w);
	m.id = d->w.id;
	memcpy(m.addr, a->bytes, sizeof(m.addr));
	d->asked = relay_send(e->channel, &m, NULL, 0) == 0;
	return d;
}

struct net_dial *net_edge_dial_begin(struct net_edge *e, const struct net_address *a, uint16_t port)
{
	struct pollfd p = {.fd = e->channel, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && p.revents == POLLOUT ? begin(e, RELAY_DIAL, a, port, IPPROTO_TCP) : NULL;
}

int net_edge_dial_wait(struct net_dial *d, int fd, struct relay_msg *ret_why)
{
	struct pollfd p = {.fd = d->w.wake, .events = POLLIN};
	int r;

	if (!d->asked)
		return ENETUNREACH;
	r = poll(&p, 1, patience(fd));
	if (r < 0)
		return errno == EINTR ? EINTR : ENOBUFS;
	if (r == 0)
		return 0;
	*ret_why = d->w.answer; /* written before it was woken for, and once */
	return d->w.answer.err < 0 ? ENETUNREACH : d->w.answer.err;
}

struct net_dial *net_edge_dial_free(struct net_dial *d)
{
	struct relay_msg m = {.kind = RELAY_DIAL_CANCEL};

	if (!d)
		return NULL;
	leave(d->e, &d->w); /* nobody writes to it from here on */
	m.id = d->w.id;
	if (d->asked && !d->w.done)
		(void)relay_send(d->e->channel, &m, NULL, 0);
	(void)fd_close(d->w.wake);
	free(d);
	return NULL;
}

static int ask(struct net_edge *e, enum relay_kind kind, int fd, const struct net_address *a, uint16_t port, int proto,
	       struct relay_msg *ret_why)
{
	struct net_dial *d = begin(e, kind, a, port, proto);
	int r = d ? net_edge_dial_wait(d, fd, ret_why) : ENOBUFS;

	(void)net_edge_dial_free(d);
	return r;
}

int net_edge_dial(struct net_edge *e, int fd, const struct net_address *a, uint16_t port, struct relay_msg *ret_why)
{
	return ask(e, RELAY_DIAL, fd, a, port, IPPROTO_TCP, ret_why);
}

int net_edge_locate(struct net_edge *e, int fd, const struct net_address *a, uint16_t port, int proto, struct relay_msg *ret_why)
{
	return ask(e, RELAY_LOCATE, fd, a, port, proto, ret_why);
}

bool net_edge_is_resolver(const struct net_edge *e, const struct net_address *a, uint16_t port)
{
	if (port != DNS_PORT)
		return false;
	for (size_t i = 0; i < e->resolver_count; i++)
		if (net_address_equal(a, &e->resolvers[i]))
			return true;
	return false;
}

void net_edge_names(const struct net_edge *e, struct net_address *ret_a, uint16_t *ret_port)
{
	*ret_a = (struct net_address){.family = AF_INET, .bytes = {127, 0, 0, 1}};
	*ret_port = e->names_port;
}

int net_edge_expect(struct net_edge *e, int fd)
{
	struct relay_msg m = {.kind = RELAY_EXPECT, .family = AF_INET};
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa), type_len = sizeof(int);
	struct net_address a;
	int type;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0)
		return err_now();
	m.proto = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	int r = net_address_of((struct sockaddr *)&sa, len, &a, &m.port);
	return r < 0 ? r : relay_send(e->channel, &m, NULL, 0);
}

int net_edge_add(struct net_edge *e, const char *text, const char *origin)
{
	const struct net_policy *old = policy_of(e);
	size_t n = net_policy_count(old);
	AUTO_FREE struct net_text *texts = calloc(n + 1, sizeof(*texts));
	struct net_policy *p = NULL;
	struct net_fault fault;

	if (!texts)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		texts[i] = (struct net_text){net_policy_rule(old, i)->text, net_policy_rule(old, i)->origin};
	texts[n] = (struct net_text){text, origin};
	int r = net_policy_compile(texts, n + 1, &p, &fault);
	if (r == 0)
		__atomic_store_n(&e->policy, p, __ATOMIC_RELEASE);
	return r;
}
