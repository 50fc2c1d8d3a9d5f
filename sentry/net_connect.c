/*
 * socket, socketpair, connect, bind, listen.
 *
 * connect, bind and listen act on a duplicate of the caller's socket (one open file description, so what is
 * done to the one is done to the other), with our copy of the address. A Unix socket with a path is connected
 * by the path of the held object; it is bound by its last component in the held parent directory.
 *
 * Differences the guest can see: the peer of a Unix stream connected here is told the sentry's process id
 * (SO_PEERCRED; user and group are the guest's); getsockname() of a Unix socket bound here says the last
 * component only. Neither is met where the floor leaves these calls to the kernel.
 *
 * Syscalls: connect, bind, listen, getsockopt, umask, fchdir.
 */
#include <fcntl.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sentry/fs.h"
#include "sentry/net.h"
#include "sentry/net_bound.h"
#include "sentry/net_edge.h"
#include "sentry/net_names.h"
#include "sentry/net_unix.h"
#include "util/err.h"
#include "util/fd.h"

/* The kernel's mask of the type argument; flags stand above it. */
enum { TYPE_MASK = 0xf };

/* What the filter allows by value where the plan says native, written once more for the plans that ask. */
static bool socket_is_ordinary(int family, int type, int protocol, bool pair, bool datagrams)
{
	switch (family) {
	case AF_UNIX:
		return type == SOCK_STREAM || (type == SOCK_DGRAM && datagrams) || type == SOCK_SEQPACKET;
	case AF_INET:
	case AF_INET6:
		return !pair && ((type == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP)) ||
				 (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP)));
	case AF_NETLINK:
		return !pair && (type == SOCK_RAW || type == SOCK_DGRAM) && protocol == NETLINK_ROUTE;
	default:
		return false;
	}
}

/* All three arguments are plain numbers, so what is ordinary may be left to the kernel. */
static struct reply do_socket(struct call *c, bool pair)
{
	int family = (int)c->ev.args[0], type = (int)c->ev.args[1] & TYPE_MASK, protocol = (int)c->ev.args[2];
	char text[64];
	int n;

	/* Rings that may send would reach any path's socket from a Unix datagram socket. */
	if (socket_is_ordinary(family, type, protocol, pair, !c->s->plan->ring_sends))
		return reply_continue(c);
	n = snprintf(text, sizeof(text), "family %d type %d protocol %d", family, type, protocol);
	net_record(c, OP_CONNECT, text, (size_t)n);
	/* As the kernel answers whoever may not; a protocol refused like this makes programs take TCP. */
	if (family == AF_PACKET || ((family == AF_INET || family == AF_INET6) && type == SOCK_RAW))
		return call_refuse_plain(c, EPERM);
	if (family == AF_INET || family == AF_INET6 || family == AF_NETLINK)
		return call_refuse_plain(c, EPROTONOSUPPORT);
	return call_refuse_plain(c, EAFNOSUPPORT);
}

struct reply net_socket(struct call *c)
{
	return do_socket(c, false);
}

struct reply net_socketpair(struct call *c)
{
	return do_socket(c, true);
}

/*
 * Connects held[0]. The address is in path[0] (this call has no path of its own), unless held[1] holds the
 * Unix socket to connect to.
 */
static struct reply connect_now(struct call *c)
{
	struct net_addr addr = NET_ADDR_NULL;
	struct reply reply;
	int r;

	if (c->held[1] >= 0) {
		r = net_addr_hold(c, c->held[1], &addr);
		if (r < 0)
			return call_fail(c, r);
	} else {
		memcpy(&addr.a, c->path[0], c->path_len[0]);
		addr.len = (socklen_t)c->path_len[0];
	}
	if (!fs_ready(c, &reply))
		return reply;
	if (connect(c->held[0], &addr.a.any, addr.len) == 0)
		return reply_value(0);
	if (errno == EINTR)
		return net_interrupted(c->held[0], SO_SNDTIMEO);
	return fs_answer(-1);
}

/*
 * The relay dials what is to be connected to, so that the caller is told what it would be told without us. The kernel's
 * connect, with whatever address is in the guest's memory by then, leads to the edge, where the relay judges it.
 */
static struct reply ask_relay(struct call *c)
{
	struct relay_msg why = {.kind = RELAY_NONE};
	struct sockaddr_storage sa;
	struct net_address a;
	char text[RELAY_TEXT + 8];
	uint16_t port;
	int r, n;

	memcpy(&sa, c->path[0], sizeof(sa));
	if (net_address_of((struct sockaddr *)&sa, (socklen_t)c->path_len[0], &a, &port) < 0)
		return reply_deny(EINVAL);
	r = c->dial ? net_edge_dial_wait(c->dial, c->held[0], &why) : net_edge_dial(c->s->edge, c->held[0], &a, port, &why);
	if (r == EINTR)
		return net_interrupted(c->held[0], SO_SNDTIMEO);
	if (r == 0)
		return c->level == LEVEL_OBSERVE ? reply_continue(c) : connect_now(c);
	if (why.event != RELAY_EV_REFUSED && why.event != RELAY_EV_ADDRESS_REFUSED && why.event != RELAY_EV_LIMIT)
		return reply_deny(r);
	n = snprintf(text, sizeof(text), "%.*s:%u", (int)strnlen(why.text, RELAY_TEXT), why.text, port);
	net_record(c, OP_CONNECT, text, (size_t)n);
	/* Where the name leads to, which a rule would have to name. */
	if (why.event == RELAY_EV_ADDRESS_REFUSED) {
		c->object_len[1] = strnlen(why.origin, RELAY_TEXT);
		memcpy(c->object[1], why.origin, c->object_len[1]);
	}
	return call_refuse_plain(c, r);
}

struct reply net_connect(struct call *c)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct net_socket sock = NET_SOCKET_NULL;
	struct net_address a;
	struct net_addr addr;
	struct reply reply;
	uint16_t port;
	int r, not_socket;

	not_socket = net_socket_get(c, (int)c->ev.args[0], &sock);
	if (not_socket != 0 && not_socket != ENOTSOCK)
		return call_fail(c, not_socket);
	c->held[0] = sock.fd;
	/* This one looks at the address before it asks whether the descriptor is a socket. */
	r = net_addr_copy(c, c->ev.args[1], (int)c->ev.args[2], &addr);
	if (r != 0)
		return fs_fault(r);
	if (not_socket != 0)
		return reply_deny(not_socket);
	if (!net_judge(c, &sock, &addr, NET_CONNECT, &o, &reply))
		return reply;
	if (c->net_way == NET_WAY_PROXIED && net_unix_find(o.path, &addr)) {
		o.fd = fd_close(o.fd);
		c->net_way = NET_WAY_STRAIGHT;
	}
	memcpy(c->path[0], &addr.a, sizeof(addr.a));
	c->path_len[0] = addr.len;
	if (c->ask_relay) {
		if (net_address_of(&addr.a.any, addr.len, &a, &port) == 0)
			c->dial = net_edge_dial_begin(c->s->edge, &a, port);
		return call_handoff(c, ask_relay);
	}
	if (c->net_way != NET_WAY_STRAIGHT)
		return sock.type == SOCK_DGRAM && c->net_way != NET_WAY_LOCATE ? net_names_connect(c)
									       : call_handoff(c, net_names_connect);
	if (c->level == LEVEL_OBSERVE)
		return reply_continue(c);
	c->held[1] = fd_steal(&o.fd);
	/* Only these wait for the other side. */
	if (!sock.nonblocking && (sock.type == SOCK_STREAM || sock.type == SOCK_SEQPACKET))
		return call_handoff(c, connect_now);
	return connect_now(c);
}

/* Binds by the last component, from within the held parent. */
static struct reply bind_in_parent(struct call *c, const struct net_socket *sock, const struct object *o)
{
	struct net_addr addr = NET_ADDR_NULL;
	char name[NAME_MAX + 2];
	struct reply reply;
	struct stat st;
	int r, n;

	n = snprintf(name, sizeof(name), "%s%s", o->name, o->slash ? "/" : "");
	if (n < 0 || (size_t)n > sizeof(addr.a.un.sun_path))
		return reply_deny(ENAMETOOLONG);
	addr.a.un.sun_family = AF_UNIX;
	memcpy(addr.a.un.sun_path, name, (size_t)n);
	/* The kernel puts the zero byte behind it. */
	addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);
	r = fs_umask(c);
	if (r != 0)
		return call_fail(c, r);
	if (!fs_ready(c, &reply))
		return reply;
	/* Fails as the guest's own walk would where it may not search the directory. */
	reply = fs_answer(fchdir(o->parent));
	if (reply.kind == REPLY_VALUE)
		reply = fs_answer(bind(sock->fd, &addr.a.any, addr.len));
	/* By the name just made: only the guest could have put another file there meanwhile, and no socket of the host's. */
	if (reply.kind == REPLY_VALUE && fstatat(o->parent, o->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
		net_bound_add(&st);
	r = fs_enter_fds(c);
	return r == 0 ? reply : call_fail(c, r);
}

struct reply net_bind(struct call *c)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct net_socket sock = NET_SOCKET_NULL;
	struct net_addr addr;
	struct reply reply;
	int r;

	r = net_socket_get(c, (int)c->ev.args[0], &sock);
	if (r != 0)
		return call_fail(c, r);
	c->held[0] = sock.fd;
	r = net_addr_copy(c, c->ev.args[1], (int)c->ev.args[2], &addr);
	if (r != 0)
		return fs_fault(r);
	if (!net_judge(c, &sock, &addr, NET_BIND, &o, &reply))
		return reply;
	if (o.parent >= 0 && c->level != LEVEL_OBSERVE)
		return bind_in_parent(c, &sock, &o);
	if (!fs_ready(c, &reply))
		return reply;
	return fs_answer(bind(sock.fd, &addr.a.any, addr.len));
}

/* An Internet socket that was not bound is bound by listen to a free port of every address. */
struct reply net_listen(struct call *c)
{
	struct net_socket sock = NET_SOCKET_NULL;
	struct reply reply;
	int r;

	r = net_socket_get(c, (int)c->ev.args[0], &sock);
	if (r != 0)
		return call_fail(c, r);
	c->held[0] = sock.fd;
	if ((sock.domain == AF_INET || sock.domain == AF_INET6) && (c->s->plan->floor & FLOOR_NETNS) == 0) {
		static const char text[] = "listen";

		net_record(c, OP_WRITE, text, sizeof(text) - 1);
		return call_refuse_plain(c, EACCES);
	}
	if (!fs_ready(c, &reply))
		return reply;
	return fs_answer(listen(sock.fd, (int)c->ev.args[1]));
}
