/*
 * Addresses of sockets: copied once, judged as what the kernel will take them for, used from our copy.
 *
 * What an address means depends on the socket, not on its family field alone: a UDP socket takes AF_UNSPEC
 * for AF_INET when it sends, an IPv6 socket takes IPv4 addresses plain and mapped, and every Unix address is
 * looked at by Unix sockets only. So the socket's own domain (of the duplicate that is used afterwards) comes
 * first.
 *
 * With a network namespace of its own the guest may use loopback, in all its spellings; everything else leads to the
 * edge (net_edge.h), where the relay judges it whatever we say: here a refusal gets its reason, and an errno at once. Where
 * no rule names a host everything else is as unreachable as the kernel finds it. Without a namespace what the rules name is
 * reached, by our own call on our own copy, and nothing else (names: net_names.c). Unix sockets with a path are files: OP_CONNECT on
 * their canonical path. Abstract ones
 * have no path and end at the network namespace or at Landlock's scope; without either they are the host's.
 *
 * Syscalls: getsockopt, fcntl, fchdir, and what path.c uses.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "sentry/fs.h"
#include "sentry/net.h"
#include "sentry/net_bound.h"
#include "sentry/net_edge.h"
#include "sentry/net_unix.h"
#include "util/err.h"
#include "util/fd.h"

enum { UN_HEAD = offsetof(struct sockaddr_un, sun_path), IN6_MIN = 24 /* without the scope, RFC 2133 */ };

int net_socket_describe(int fd, struct net_socket *ret_sock)
{
	socklen_t len = sizeof(int);
	int domain, type, flags;

	/* A descriptor opened with O_PATH is no descriptor to socket calls. */
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return errno == ENOTSOCK || errno == EBADF ? errno : err_now();
	len = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return err_now();
	flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return err_now();
	*ret_sock = (struct net_socket){
		.fd = fd,
		.domain = domain,
		.type = type,
		.nonblocking = (flags & O_NONBLOCK) != 0,
	};
	return 0;
}

int net_socket_get(struct call *c, int fd, struct net_socket *ret_sock)
{
	AUTO_FD int dup = -1;
	int r;

	r = fs_getfd(c, fd, &dup);
	if (r == 0)
		r = net_socket_describe(dup, ret_sock);
	if (r == 0)
		(void)fd_steal(&dup);
	return r;
}

int net_addr_copy(const struct call *c, uint64_t addr, int len, struct net_addr *ret_addr)
{
	struct net_addr a;
	int r;

	if (len < 0 || (size_t)len > sizeof(a.a))
		return EINVAL;
	memset(&a, 0, sizeof(a));
	if (len > 0) {
		r = call_read(c, addr, &a.a, (size_t)len);
		if (r != 0)
			return r;
	}
	a.len = (socklen_t)len;
	*ret_addr = a;
	return 0;
}

size_t net_addr_text(const struct net_addr *addr, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";
	size_t name_len;
	int n;

	switch (addr->a.any.sa_family) {
	case AF_UNSPEC:
	case AF_INET:
		(void)inet_ntop(AF_INET, &addr->a.in.sin_addr, host, sizeof(host));
		n = snprintf(buf, size, "%s:%u", host, ntohs(addr->a.in.sin_port));
		break;
	case AF_INET6:
		(void)inet_ntop(AF_INET6, &addr->a.in6.sin6_addr, host, sizeof(host));
		n = snprintf(buf, size, "[%s]:%u", host, ntohs(addr->a.in6.sin6_port));
		break;
	case AF_UNIX:
		if (addr->len <= UN_HEAD) {
			n = snprintf(buf, size, "unix:unnamed");
			break;
		}
		/* An abstract name is bytes, zeros included; its first byte is a zero. */
		name_len = addr->len - UN_HEAD;
		if (name_len > size)
			name_len = size;
		memcpy(buf, addr->a.un.sun_path, name_len);
		buf[0] = '@';
		return name_len;
	default:
		n = snprintf(buf, size, "family %d", addr->a.any.sa_family);
		break;
	}
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

void net_record(struct call *c, enum op op, const char *text, size_t len)
{
	if (len > sizeof(c->object[0]))
		len = sizeof(c->object[0]);
	memcpy(c->object[0], text, len);
	c->object_len[0] = len;
	c->op = op;
	c->verdict = (struct verdict){.kind = VERDICT_ALLOW};
	c->judged = true;
}

/* As a rule about hosts would be written: what is sent without a connection is UDP's. */
static void record_addr(struct call *c, const struct net_socket *sock, enum net_use use, const struct net_addr *addr)
{
	static const char udp[] = "/udp";
	char text[160];
	size_t len = net_addr_text(addr, text, sizeof(text) - sizeof(udp));

	if (sock->type == SOCK_DGRAM && sock->domain != AF_UNIX && sock->domain != AF_NETLINK) {
		memcpy(text + len, udp, sizeof(udp) - 1);
		len += sizeof(udp) - 1;
	}

	net_record(c, use == NET_BIND ? OP_WRITE : OP_CONNECT, text, len);
}

static bool refuse(struct call *c, int err, struct reply *ret_reply)
{
	*ret_reply = call_refuse_plain(c, err);
	return false;
}

static bool answer(int err, struct reply *ret_reply)
{
	*ret_reply = reply_deny(err);
	return false;
}

/* Loopback, or "this host", which Linux takes for it. */
static bool is_loopback4(struct in_addr in)
{
	uint32_t a = ntohl(in.s_addr);

	return a >> 24 == 127 || a == INADDR_ANY;
}

static bool is_loopback6(const struct in6_addr *in6)
{
	struct in_addr mapped;

	if (IN6_IS_ADDR_LOOPBACK(in6) || IN6_IS_ADDR_UNSPECIFIED(in6))
		return true;
	if (!IN6_IS_ADDR_V4MAPPED(in6))
		return false;
	memcpy(&mapped, &in6->s6_addr[12], sizeof(mapped));
	return is_loopback4(mapped);
}

/* The rules' word on ADDR, which is not the guest's own loopback. */
static bool judge_remote(struct call *c, const struct net_socket *sock, const struct net_addr *addr, enum net_use use,
			 struct reply *ret_reply)
{
	int proto = sock->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP, r;
	union net_sockaddr sa = addr->a;
	bool own = (c->s->plan->floor & FLOOR_NETNS) != 0;
	const struct net_rule *rule;
	struct net_address a;
	uint16_t port;

	if (c->s->edge == NULL)
		return refuse(c, ENETUNREACH, ret_reply);
	if (sa.any.sa_family == AF_UNSPEC)
		sa.any.sa_family = AF_INET;
	if (net_address_of(&sa.any, addr->len, &a, &port) < 0)
		return answer(EINVAL, ret_reply);
	switch (net_edge_judge(c->s->edge, &a, port, proto, &rule)) {
	case NET_EDGE_OWN:
		return true;
	case NET_EDGE_ALLOWED:
		r = net_edge_listen(c->s->edge, port, proto);
		if (r < 0) {
			*ret_reply = call_fail(c, r);
			return false;
		}
		c->ask_relay = own && use == NET_CONNECT && proto == IPPROTO_TCP && !sock->nonblocking;
		if (!own && net_address_class(&a) == NET_CLASS_SYNTHETIC)
			c->net_way = NET_WAY_LOCATE;
		return true;
	case NET_EDGE_NOWHERE:
		return refuse(c, ENETUNREACH, ret_reply);
	case NET_EDGE_REFUSED:
		break;
	}
	if (!own && net_edge_is_resolver(c->s->edge, &a, port)) {
		c->net_way = NET_WAY_NAMES;
		return true;
	}
	/* How resolvers find out which of a name's addresses are near (RFC 6724): nothing is sent, and nothing would answer. */
	if (use == NET_CONNECT && proto == IPPROTO_UDP && net_address_class(&a) == NET_CLASS_SYNTHETIC) {
		c->judged = false;
		c->net_way = own ? NET_WAY_STRAIGHT : NET_WAY_NOWHERE;
		return true;
	}
	/* A name stands behind it, and only the relay knows which: it refuses, and tells. */
	if (own && use == NET_CONNECT && proto == IPPROTO_TCP && net_address_class(&a) == NET_CLASS_SYNTHETIC) {
		c->ask_relay = true;
		return true;
	}
	/* The same, or an address the host's hosts file has, which such a guest reads. */
	if (!own && net_address_class(&a) != NET_CLASS_LOOPBACK) {
		c->net_way = NET_WAY_LOCATE;
		return true;
	}
	return refuse(c, EACCES, ret_reply);
}

static bool judge_inet(struct call *c, const struct net_socket *sock, const struct net_addr *addr,
		       enum net_use use, struct reply *ret_reply)
{
	bool own = (c->s->plan->floor & FLOOR_NETNS) != 0, loopback;

	c->net_way = NET_WAY_STRAIGHT;
	if (addr->len < sizeof(sa_family_t))
		return answer(EINVAL, ret_reply);
	switch (addr->a.any.sa_family) {
	case AF_UNSPEC:
		/* connect: takes the peer away again. An IPv6 socket sends to nobody in particular then. */
		if (use == NET_CONNECT || (use == NET_SEND && sock->domain == AF_INET6))
			return true;
		/* fall through: an IPv4 socket takes it for AF_INET. */
		__attribute__((fallthrough));
	case AF_INET:
		if (addr->len < sizeof(addr->a.in))
			return answer(EINVAL, ret_reply);
		loopback = is_loopback4(addr->a.in.sin_addr);
		break;
	case AF_INET6:
		if (addr->len < IN6_MIN)
			return answer(EINVAL, ret_reply);
		loopback = is_loopback6(&addr->a.in6.sin6_addr);
		break;
	default:
		return answer(EAFNOSUPPORT, ret_reply);
	}
	record_addr(c, sock, use, addr);
	if (!own && (use == NET_BIND || c->s->edge == NULL))
		return refuse(c, EACCES, ret_reply);
	if (!own)
		return judge_remote(c, sock, addr, use, ret_reply);
	/* In a namespace of its own the guest may have any address the kernel lets it have. */
	if (loopback || use == NET_BIND)
		return true;
	return judge_remote(c, sock, addr, use, ret_reply);
}

/* The path in a Unix address, as the kernel ends it: at a zero byte or at the address's length. */
static void path_of(const struct net_addr *addr, char ret_path[sizeof(addr->a.un.sun_path) + 1])
{
	size_t len = addr->len - UN_HEAD;

	memcpy(ret_path, addr->a.un.sun_path, len);
	ret_path[len] = '\0';
}

/*
 * In a place that the host sees as well, a socket must be one that the guest bound: one of the host's listens outside. Where binds
 * are the kernel's affair nobody can tell, and a rule let it (docs/LIMITS.md).
 */
static bool own_socket(struct call *c, const struct object *o, struct reply *ret_reply)
{
	struct stat st;

	if (policy_is_private(c->policy, o->path) || c->s->plan->level[PLAN_BIND] != LEVEL_EMULATE)
		return true;
	if (fstat(o->fd, &st) < 0)
		return answer(errno, ret_reply);
	/* What is no socket gets the kernel's own answer. */
	if (!S_ISSOCK(st.st_mode) || net_bound_has(&st))
		return true;
	return refuse(c, EACCES, ret_reply);
}

static bool judge_unix_path(struct call *c, const struct net_addr *addr, enum net_use use,
			    struct object *ret_obj, struct reply *ret_reply)
{
	char path[sizeof(addr->a.un.sun_path) + 1];
	struct net_addr stand_in;
	int r;

	path_of(addr, path);
	r = path_resolve(c, AT_FDCWD, path, use == NET_BIND ? PATH_PARENT | PATH_NOFOLLOW : 0, ret_obj);
	if (r != 0) {
		*ret_reply = r > 0 && c->level == LEVEL_OBSERVE ? reply_continue(c) : call_fail(c, r);
		return false;
	}
	if (use == NET_CONNECT && (c->s->plan->floor & FLOOR_NETNS) == 0 && net_unix_find(ret_obj->path, &stand_in)) {
		net_record(c, OP_CONNECT, ret_obj->path, strlen(ret_obj->path));
		c->net_way = NET_WAY_PROXIED;
		return true;
	}
	if (use != NET_BIND)
		return fs_permit(c, 0, OP_CONNECT, ret_obj, ret_reply) && own_socket(c, ret_obj, ret_reply);
	if (ret_obj->dots || ret_obj->fd >= 0)
		return fs_permit(c, 0, OP_STAT, ret_obj, ret_reply) && answer(EADDRINUSE, ret_reply);
	return fs_permit(c, 0, OP_WRITE, ret_obj, ret_reply);
}

static bool judge_unix(struct call *c, const struct net_socket *sock, const struct net_addr *addr,
		       enum net_use use, struct object *ret_obj, struct reply *ret_reply)
{
	c->net_way = NET_WAY_STRAIGHT;
	/* Whatever is no Unix address only disconnects, or is an error. */
	if (addr->len < sizeof(sa_family_t) || addr->a.any.sa_family != AF_UNIX)
		return true;
	if (addr->len < UN_HEAD || addr->len > sizeof(addr->a.un))
		return answer(EINVAL, ret_reply);
	/* Only datagram sockets look at the address of a message. */
	if (use == NET_SEND && sock->type != SOCK_DGRAM)
		return true;
	/* Without a name: an error, but for bind, which then makes up an abstract one. */
	if (addr->len == UN_HEAD && use != NET_BIND)
		return answer(EINVAL, ret_reply);
	if (addr->len > UN_HEAD && addr->a.un.sun_path[0] != '\0')
		return judge_unix_path(c, addr, use, ret_obj, ret_reply);
	record_addr(c, sock, use, addr);
	if ((c->s->plan->floor & (FLOOR_NETNS | FLOOR_LANDLOCK_SCOPE)) != 0)
		return true;
	return refuse(c, EPERM, ret_reply);
}

/* Questions to the kernel (routes, addresses) are ordinary; other processes' netlink sockets are not ours to
 * reach. */
static bool judge_netlink(struct call *c, const struct net_socket *sock, const struct net_addr *addr,
			  enum net_use use, struct reply *ret_reply)
{
	struct sockaddr_nl nl;

	if (addr->len < sizeof(nl) || addr->a.any.sa_family != AF_NETLINK || use == NET_BIND)
		return true;
	memcpy(&nl, &addr->a, sizeof(nl));
	if ((c->s->plan->floor & FLOOR_NETNS) != 0 || (nl.nl_pid == 0 && nl.nl_groups == 0))
		return true;
	record_addr(c, sock, use, addr);
	return refuse(c, EPERM, ret_reply);
}

bool net_judge(struct call *c, const struct net_socket *sock, const struct net_addr *addr, enum net_use use,
	       struct object *ret_obj, struct reply *ret_reply)
{
	switch (sock->domain) {
	case AF_UNIX:
		return judge_unix(c, sock, addr, use, ret_obj, ret_reply);
	case AF_INET:
	case AF_INET6:
		return judge_inet(c, sock, addr, use, ret_reply);
	case AF_NETLINK:
		return judge_netlink(c, sock, addr, use, ret_reply);
	default:
		record_addr(c, sock, use, addr);
		return refuse(c, EPERM, ret_reply);
	}
}

int net_addr_hold(const struct call *c, int fd, struct net_addr *ret_addr)
{
	struct net_addr a = NET_ADDR_NULL;
	char path[32];
	size_t len;
	int r;

	r = fs_enter_fds(c);
	if (r < 0)
		return r;
	path_of_fd(fd, path);
	len = strlen(path) + 1;
	a.a.un.sun_family = AF_UNIX;
	memcpy(a.a.un.sun_path, path, len);
	a.len = (socklen_t)(UN_HEAD + len);
	*ret_addr = a;
	return 0;
}

struct reply net_interrupted(int fd, int option)
{
	struct timeval tv = {0};
	socklen_t len = sizeof(tv);

	if (getsockopt(fd, SOL_SOCKET, option, &tv, &len) == 0 && (tv.tv_sec != 0 || tv.tv_usec != 0))
		return reply_deny(EINTR);
	return reply_restart();
}
