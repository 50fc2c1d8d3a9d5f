/*
 * Internet sockets over loopback: which there are, connecting, binding, sending, and what cannot be reached.
 * Natively the program makes itself a network namespace such as a supervised guest has (loopback only).
 *
 * not: bare without a network namespace Internet sockets reach nothing
 */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "guest.h"

static struct sockaddr_in *v4(const char *host, int port)
{
	struct sockaddr_in *in = tail(sizeof(*in));

	*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	inet_pton(AF_INET, host, &in->sin_addr);
	return in;
}

static struct sockaddr_in6 *v6(const char *host, int port)
{
	struct sockaddr_in6 *in6 = tail(sizeof(*in6));

	*in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	inet_pton(AF_INET6, host, &in6->sin6_addr);
	return in6;
}

#define L4 (socklen_t)sizeof(struct sockaddr_in)
#define L6 (socklen_t)sizeof(struct sockaddr_in6)

static int port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		die("getsockname");
	return ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

static int made(int family, int type, int protocol)
{
	int fd = (int)SYS(socket, family, type, protocol);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static void sockets(void)
{
	SHOW(made(AF_UNIX, SOCK_STREAM, 0));
	SHOW(made(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	SHOW(made(AF_UNIX, SOCK_STREAM | 0x100000, 0));
	SHOW(made(AF_INET, SOCK_STREAM, 0));
	SHOW(made(AF_INET, SOCK_STREAM, IPPROTO_TCP));
	SHOW(made(AF_INET, SOCK_DGRAM, IPPROTO_UDP));
	SHOW(made(AF_INET6, SOCK_STREAM, 0));
	SHOW(made(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	SHOW(made(12345, SOCK_STREAM, 0));
	if (geteuid() != 0) {
		SHOW(made(AF_INET, SOCK_RAW, IPPROTO_ICMP));
		SHOW(made(AF_INET6, SOCK_RAW, IPPROTO_RAW));
		SHOW(made(AF_PACKET, SOCK_DGRAM, 0));
	}
	SHOW(SYS(socketpair, AF_UNIX, SOCK_DGRAM, 0, BAD));
}

static void tcp(int family)
{
	int server = socket(family, SOCK_STREAM, 0), c = socket(family, SOCK_STREAM, 0), s, port;
	const char *any = family == AF_INET ? "127.0.0.1" : "::1";
	struct sockaddr *to;
	socklen_t len = family == AF_INET ? L4 : L6;
	char buf[16];

	to = family == AF_INET ? (struct sockaddr *)v4(any, 0) : (struct sockaddr *)v6(any, 0);
	SHOW(SYS(bind, server, to, len));
	SHOW(SYS(bind, server, to, len));
	SHOW(SYS(bind, c, to, len - 8));
	port = port_of(server);
	to = family == AF_INET ? (struct sockaddr *)v4(any, port) : (struct sockaddr *)v6(any, port);
	SHOW(SYS(connect, c, to, len));
	SHOW(SYS(listen, server, 5));
	SHOW(SYS(connect, c, to, 1));
	SHOW(SYS(connect, c, to, 8));
	SHOW(SYS(connect, c, BAD, len));
	SHOW(SYS(connect, c, to, len));
	SHOW(SYS(connect, c, to, len));
	s = accept(server, NULL, NULL);
	SHOW(SYS(sendto, c, "data", 4L, 0, to, (long)len));
	SHOW(read(s, buf, sizeof(buf)));
	close(s);
	/* Not waiting: the answer comes later. */
	close(c);
	c = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	SHOW(SYS(connect, c, to, len));
	SHOW(poll(&(struct pollfd){.fd = c, .events = POLLOUT}, 1, 1000));
	SHOW(SYS(connect, c, to, len));
	SHOW(SYS(connect, c, to, len));
	close(c);
	/* Every name of this host. */
	c = socket(AF_INET6, SOCK_STREAM, 0);
	if (family == AF_INET) {
		SHOW(SYS(connect, c, v6("::ffff:127.0.0.1", port), L6));
		SHOW(SYS(connect, c, v4("127.0.0.1", port), L4));
		close(c);
		c = socket(AF_INET, SOCK_STREAM, 0);
		SHOW(SYS(connect, c, v4("0.0.0.0", port), L4));
		SHOW(SYS(connect, c, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)));
		SHOW(SYS(connect, c, v4("127.0.0.1", port), L4));
	} else {
		SHOW(SYS(connect, c, v6("::", port), L6));
	}
	close(c), close(server);
	c = socket(family, SOCK_STREAM, 0);
	SHOW(SYS(connect, c, to, len));
	close(c);
}

static void udp(void)
{
	int server = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0), c6, port;
	struct iovec iov = {tail_open("data"), 4};
	struct msghdr m = {.msg_namelen = L4, .msg_iov = &iov, .msg_iovlen = 1};
	struct sockaddr_in *un;
	char buf[16], *big = calloc(1, 70000);

	SHOW(SYS(bind, server, v4("0.0.0.0", 0), L4));
	port = port_of(server);
	SHOW(SYS(sendto, c, "data", 4L, 0, v4("127.0.0.1", port), (long)L4));
	SHOW(read(server, buf, sizeof(buf)));
	un = v4("127.0.0.1", port);
	un->sin_family = AF_UNSPEC;
	SHOW(SYS(sendto, c, "data", 4L, 0, un, (long)L4));
	SHOW(read(server, buf, sizeof(buf)));
	SHOW(SYS(sendto, c, "data", 4L, 0, v4("127.0.0.1", port), 8L));
	SHOW(SYS(sendto, c, "data", 4L, 0, v4("127.0.0.1", 0), (long)L4));
	SHOW(SYS(sendto, c, big, 65508L, 0, v4("127.0.0.1", port), (long)L4));
	SHOW(SYS(sendto, c, big, 65507L, 0, v4("127.0.0.1", port), (long)L4));
	SHOW(read(server, buf, sizeof(buf)));
	m.msg_name = v4("127.0.0.1", port);
	SHOW(SYS(sendmsg, c, &m, 0));
	SHOW(read(server, buf, sizeof(buf)));
	c6 = socket(AF_INET6, SOCK_DGRAM, 0);
	SHOW(SYS(sendto, c6, "data", 4L, 0, v4("127.0.0.1", port), (long)L4));
	SHOW(SYS(sendto, c6, "data", 4L, 0, v6("::ffff:127.0.0.1", port), (long)L6));
	SHOW(SYS(sendto, c6, "data", 4L, 0, un, (long)L4));
	SHOW(SYS(connect, c, v4("127.0.0.1", port), L4));
	SHOW(write(c, "data", 4));
	SHOW(SYS(sendto, c, "data", 4L, 0, NULL, 0L));
	free(big);
	close(server), close(c), close(c6);
}

/* Nothing but loopback is there. */
static void elsewhere(void)
{
	int c = socket(AF_INET, SOCK_STREAM, 0), d = socket(AF_INET, SOCK_DGRAM, 0),
	    c6 = socket(AF_INET6, SOCK_STREAM, 0);

	SHOW(SYS(connect, c, v4("203.0.113.5", 443), L4));
	SHOW(SYS(connect, d, v4("203.0.113.5", 443), L4));
	SHOW(SYS(sendto, d, "data", 4L, 0, v4("203.0.113.5", 53), (long)L4));
	SHOW(SYS(connect, c6, v6("2001:db8::1", 443), L6));
	SHOW(SYS(connect, c6, v6("::ffff:203.0.113.5", 443), L6));
	SHOW(SYS(bind, c, v4("203.0.113.5", 0), L4));
	SHOW(SYS(connect, c, &(struct sockaddr){.sa_family = 77}, sizeof(struct sockaddr)));
	SHOW(SYS(sendto, d, "data", 4L, 0, &(struct sockaddr){.sa_family = 77}, 16L));
	close(c), close(d), close(c6);
}

/* Asking the kernel for its interfaces, as getaddrinfo and getifaddrs do. */
static void netlink(void)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} ask = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
		       .nlmsg_type = RTM_GETLINK,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		 .g = {.rtgen_family = AF_UNSPEC}};
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char buf[8192];

	SHOW(SYS(bind, fd, &nl, sizeof(nl)));
	SHOW(SYS(sendto, fd, &ask, (long)ask.h.nlmsg_len, 0, &nl, (long)sizeof(nl)));
	SHOW_OK(recv(fd, buf, sizeof(buf), 0));
	SAY("link %d", ((struct nlmsghdr *)buf)->nlmsg_type == RTM_NEWLINK);
	close(fd);
}

/* Under supervision this is refused, and not needed. */
static void own_network(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}, {0}};
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		die("lo");
	close(fd);
	/* As in a guest, no capability in the new namespace. */
	ordinary_user();
	if (SYS(capset, &head, none) < 0)
		die("capset");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	own_network();
	sockets();
	tcp(AF_INET);
	tcp(AF_INET6);
	udp();
	elsewhere();
	netlink();
	return 0;
}
