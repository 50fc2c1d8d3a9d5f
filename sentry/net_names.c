/*
 * Names without a network namespace: see net_names.h.
 *
 * The guest's name server is the relay, as with a namespace, but it stands on the host's loopback: what the guest sends to one
 * of the host's name servers goes there instead, and the relay, told which port the guest's socket has, answers with synthetic
 * addresses. Connecting or sending to one of these, the sentry asks the relay where the name leads to and connects the guest's
 * own socket to that: first to last, as a program would that had been given the addresses themselves. So nothing stands between
 * the guest and the server afterwards, and every errno is the kernel's.
 *
 * What differs from a namespace: getpeername() tells the server's address, and the name server's is 127.0.0.1; what a server
 * sends comes from its own address; a connect that does not wait does wait for the name (docs/LIMITS.md).
 *
 * Syscalls: connect, bind, getsockname, getsockopt, and what net_edge.c uses.
 */
#include "sentry/net_names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs.h"
#include "sentry/net_edge.h"

/* A, for a socket of DOMAIN. Returns false where it cannot have that. */
static bool fitting(int domain, const struct net_address *a, uint16_t port, struct net_addr *ret_addr)
{
	struct net_addr addr = NET_ADDR_NULL;

	if (domain == AF_INET6 && a->family == AF_INET) {
		addr.a.in6.sin6_family = AF_INET6;
		addr.a.in6.sin6_port = htons(port);
		addr.a.in6.sin6_addr.s6_addr[10] = addr.a.in6.sin6_addr.s6_addr[11] = 0xff;
		memcpy(&addr.a.in6.sin6_addr.s6_addr[12], a->bytes, 4);
		addr.len = sizeof(addr.a.in6);
	} else if (domain == a->family) {
		addr.len = net_address_sockaddr(a, port, &addr.a.storage);
	}
	if (addr.len == 0)
		return false;
	*ret_addr = addr;
	return true;
}

/* The next address of the relay's list that a socket of DOMAIN can have; *AT is where to go on. */
static bool next_of(const struct relay_msg *m, size_t *at, int domain, uint16_t port, struct net_addr *ret_addr)
{
	char word[NET_ADDRESS_TEXT_SIZE];
	struct net_address a;
	int used;

	while (*at < sizeof(m->origin) && sscanf(m->origin + *at, "%63s%n", word, &used) == 1) {
		*at += (size_t)used;
		if (net_address_parse(word, &a) == 0 && fitting(domain, &a, port, ret_addr))
			return true;
	}
	return false;
}

/* Asks where ADDR leads. 0 with the relay's list, or false with the call's answer. */
static bool located(struct call *c, const struct net_socket *sock, const struct net_addr *addr, struct relay_msg *ret_m,
		    uint16_t *ret_port, struct reply *ret_reply)
{
	bool udp = sock->type == SOCK_DGRAM;
	union net_sockaddr sa = addr->a;
	char text[RELAY_TEXT + 16];
	struct net_address a;
	int r, n;

	memset(ret_m, 0, sizeof(*ret_m));
	if (sa.any.sa_family == AF_UNSPEC)
		sa.any.sa_family = AF_INET;
	if (net_address_of(&sa.any, addr->len, &a, ret_port) < 0) {
		*ret_reply = reply_deny(EINVAL);
		return false;
	}
	r = net_edge_locate(c->s->edge, sock->fd, &a, *ret_port, udp ? IPPROTO_UDP : IPPROTO_TCP, ret_m);
	if (r == EINTR) {
		*ret_reply = net_interrupted(sock->fd, SO_SNDTIMEO);
		return false;
	}
	if (r == 0 && ret_m->kind == RELAY_NONE) { /* the socket's own time limit was over first */
		*ret_reply = reply_deny(EINPROGRESS);
		return false;
	}
	ret_m->text[RELAY_TEXT - 1] = ret_m->origin[RELAY_TEXT - 1] = '\0';
	if (net_address_class(&a) == NET_CLASS_SYNTHETIC && ret_m->text[0] != '\0') {
		n = snprintf(text, sizeof(text), "%s:%u%s", ret_m->text, *ret_port, udp ? "/udp" : "");
		net_record(c, OP_CONNECT, text, (size_t)n);
	}
	if (r == 0)
		return true;
	if (ret_m->event != RELAY_EV_REFUSED && ret_m->event != RELAY_EV_ADDRESS_REFUSED && ret_m->event != RELAY_EV_LIMIT) {
		*ret_reply = reply_deny(r);
		return false;
	}
	if (ret_m->event == RELAY_EV_ADDRESS_REFUSED) {
		c->object_len[1] = strlen(ret_m->origin);
		memcpy(c->object[1], ret_m->origin, c->object_len[1]);
	}
	*ret_reply = call_refuse_plain(c, r);
	return false;
}

static struct reply connect_located(struct call *c, const struct net_socket *sock, const struct net_addr *to)
{
	struct net_addr addr;
	struct relay_msg m;
	struct reply reply;
	uint16_t port;
	size_t at = 0;
	int err = ENETUNREACH;

	if (!located(c, sock, to, &m, &port, &reply))
		return reply;
	while (next_of(&m, &at, sock->domain, port, &addr)) {
		if (!fs_ready(c, &reply))
			return reply;
		if (connect(sock->fd, &addr.a.any, addr.len) == 0)
			return reply_value(0);
		if (errno == EINTR)
			return net_interrupted(sock->fd, SO_SNDTIMEO);
		/* An address that the host has no way to says less than one that answered. */
		if (errno != ENETUNREACH && errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT)
			err = errno;
		if (errno != ECONNREFUSED && errno != ETIMEDOUT && errno != EHOSTUNREACH && errno != ENETUNREACH &&
		    errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT)
			break;
	}
	return reply_deny(err);
}

struct reply net_names_connect(struct call *c)
{
	struct net_socket sock = NET_SOCKET_NULL;
	struct net_addr addr = NET_ADDR_NULL;
	struct net_address a;
	struct reply reply;
	uint16_t port;
	int r = net_socket_describe(c->held[0], &sock), err;

	if (r != 0)
		return call_fail(c, r);
	memcpy(&addr.a, c->path[0], sizeof(addr.a));
	addr.len = (socklen_t)c->path_len[0];
	if (c->net_way == NET_WAY_LOCATE)
		return connect_located(c, &sock, &addr);
	net_edge_names(c->s->edge, &a, &port);
	if (!fitting(sock.domain, &a, port, &addr))
		return reply_deny(ENETUNREACH);
	if (!fs_ready(c, &reply))
		return reply;
	err = connect(sock.fd, &addr.a.any, addr.len) == 0 ? 0 : errno;
	if (err == EINTR)
		return net_interrupted(sock.fd, SO_SNDTIMEO);
	if (c->net_way == NET_WAY_NAMES && (err == 0 || err == EINPROGRESS)) {
		r = net_edge_expect(c->s->edge, sock.fd);
		if (r < 0)
			return call_fail(c, r);
	}
	return err == 0 ? reply_value(0) : reply_deny(err);
}

/* The relay has to know the socket's port before it hears from it. */
static int announce(struct call *c, const struct net_socket *sock)
{
	static const struct net_address loopback = {.family = AF_INET, .bytes = {127, 0, 0, 1}};
	union net_sockaddr name;
	socklen_t len = sizeof(name);
	struct net_addr own;

	if (getsockname(sock->fd, &name.any, &len) < 0)
		return -errno;
	/* The port is at the same place in both. Not on every address: nobody else shall send to it. */
	if (name.in.sin_port == 0 &&
	    (!fitting(sock->domain, &loopback, 0, &own) || bind(sock->fd, &own.a.any, own.len) < 0))
		return -errno;
	return net_edge_expect(c->s->edge, sock->fd);
}

int net_names_send(struct call *c, const struct net_socket *sock, struct net_addr *addr, struct reply *ret_reply)
{
	struct net_address a;
	struct relay_msg m;
	uint16_t port;
	size_t at = 0;
	int r;

	if (c->net_way == NET_WAY_LOCATE) {
		if (!located(c, sock, addr, &m, &port, ret_reply))
			return -1;
		return next_of(&m, &at, sock->domain, port, addr) ? 0 : ENETUNREACH;
	}
	/* A stream that is connected by its first message (MSG_FASTOPEN) would be heard of before it is expected. */
	if (sock->type != SOCK_DGRAM)
		return EOPNOTSUPP;
	net_edge_names(c->s->edge, &a, &port);
	if (!fitting(sock->domain, &a, port, addr))
		return ENETUNREACH;
	if (call_alive(c) != 0)
		return EINTR;
	r = announce(c, sock);
	if (r == 0)
		return 0;
	*ret_reply = call_fail(c, r);
	return -1;
}
