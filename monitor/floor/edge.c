/*
 * The edge and its keeper: see edge.h.
 *
 *   guest's namespace             edge's namespace
 *   eth0 198.18.0.2  --veth--  edge 198.18.0.1     local 0.0.0.0/0 dev lo, local ::/0 dev lo (table main: in table local
 *   default via 198.18.0.1          |               they would swallow the answers)
 *                               relay's listeners, bound to the device
 *
 * The neighbours at both ends are entered by hand, so no ARP or neighbour discovery comes before the first connection, and
 * IPv6 needs no duplicate address detection.
 *
 * Where every address is local, a packet whose source is not the guest's is a martian (IPv4), and an answer to a made-up source
 * (IPv6) would come back to the edge itself over lo: listeners are bound to the device, so nobody takes it.
 *
 * Should: hold CAP_NET_BIND_SERVICE in its user namespace, make sockets, pass them on. Mustn't: read anything a guest wrote, open a
 * file, connect, leave the edge.
 */
#include "monitor/floor/edge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/floor/rtnl.h"
#include "monitor/isolate.h"
#include "monitor/launch.h"
#include "monitor/relay/relay.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	MTU = 65520,
	AT_START = 64, /* more ports than these are made on demand */
	BACKLOG = 4096,
	DNS_PORT = 53,
};

#define BIND_CAP (1ULL << 10) /* NET_BIND_SERVICE */

static const char device[] = "edge", guest_device[] = "eth0";
static const uint8_t edge_mac[6] = {0x02, 0x67, 0x61, 0x62, 0x00, 0x01};
static const uint8_t guest_mac[6] = {0x02, 0x67, 0x61, 0x62, 0x00, 0x02};

enum stage {
	STAGE_NONE = 0,
	STAGE_LO,
	STAGE_SPACE,
	STAGE_VETH,
	STAGE_ADDRESS,
	STAGE_GUEST,
	STAGE_LISTEN,
	STAGE_HOST,
	STAGE_CONFINE,
	STAGE_COUNT
};

static const char *const stage_names[STAGE_COUNT] = {
	[STAGE_NONE] = "network edge",
	[STAGE_LO] = "network edge: loopback",
	[STAGE_SPACE] = "network edge: namespace",
	[STAGE_VETH] = "network edge: veth interface",
	[STAGE_ADDRESS] = "network edge: addresses and routes",
	[STAGE_GUEST] = "network edge: the guest's interface",
	[STAGE_LISTEN] = "network edge: listeners",
	[STAGE_HOST] = "network edge: listeners on the guest's loopback",
	[STAGE_CONFINE] = "network edge: confinement",
};

static void address(int family, const char *text4, const char *text6, void *ret_bytes)
{
	(void)inet_pton(family, family == AF_INET ? text4 : text6, ret_bytes);
}

/* One end: OWN here, OTHER at the end of the wire, with its hardware address. */
static int configure(int fd, int index, int family, bool guest)
{
	uint8_t own[16], other[16];
	int r;

	address(family, guest ? RELAY_GUEST4 : RELAY_EDGE4, guest ? RELAY_GUEST6 : RELAY_EDGE6, own);
	address(family, guest ? RELAY_EDGE4 : RELAY_GUEST4, guest ? RELAY_EDGE6 : RELAY_GUEST6, other);
	r = rtnl_address(fd, index, family, own, other, family == AF_INET ? 32 : 128);
	if (r == 0)
		r = rtnl_neighbour(fd, index, family, other, guest ? edge_mac : guest_mac);
	if (r == 0)
		r = rtnl_default(fd, guest ? index : 1, family, guest ? other : NULL);
	return r;
}

/* A host without IPv6 has an edge without. */
static int configure_both(int fd, int index, bool guest)
{
	int r = configure(fd, index, AF_INET, guest);

	if (r == 0)
		(void)configure(fd, index, AF_INET6, guest);
	return r;
}

static int bind_to(int fd, int family, const char *text4, const char *text6, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int one = 1;

	if (family == AF_INET) {
		address(family, text4, text6, &in.sin_addr);
		return bind(fd, (struct sockaddr *)&in, sizeof(in));
	}
	address(family, text4, text6, &in6.sin6_addr);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return -1;
	return bind(fd, (struct sockaddr *)&in6, sizeof(in6));
}

/* A socket of FAMILY that serves PORT, passed to the relay as KIND. */
static int serve(int channel, enum relay_kind kind, int family, int type, const char *text4, const char *text6, uint16_t port,
		 const char *dev)
{
	AUTO_FD int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct relay_msg m = {.kind = kind,
			      .family = (uint16_t)family,
			      .port = port,
			      .proto = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP};
	int one = 1;

	if (fd < 0)
		return err_now();
	/* A wildcard may stand beside the name server. */
	if (setsockopt(fd, SOL_SOCKET, type == SOCK_STREAM && port == DNS_PORT ? SO_REUSEPORT : SO_REUSEADDR, &one,
		       sizeof(one)) < 0)
		return err_now();
	if (dev && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, (socklen_t)strlen(dev) + 1) < 0)
		return err_now();
	if (bind_to(fd, family, text4, text6, port) < 0 || (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		return err_now();
	return relay_send(channel, &m, &fd, 1);
}

/* No IPv6 on this host: IPv4 alone. */
static bool lacks_family(int r)
{
	return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL || r == -EACCES;
}

static int listen_both(int channel, uint16_t port, int proto)
{
	enum relay_kind kind = proto == IPPROTO_TCP ? RELAY_LISTEN_TCP : RELAY_LISTEN_UDP;
	int type = proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	int r = serve(channel, kind, AF_INET, type, "0.0.0.0", "::", port, device);

	if (r < 0)
		return r;
	r = serve(channel, kind, AF_INET6, type, "0.0.0.0", "::", port, device);
	return lacks_family(r) ? 0 : r;
}

static size_t port_count(const struct net_policy *p, enum net_proto proto)
{
	const struct net_range *v = NULL;
	size_t n = net_policy_ports(p, proto, &v), sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (size_t)(v[i].to - v[i].from) + 1;
	return sum;
}

static int listen_all(const struct edge_config *cfg, enum net_proto proto)
{
	const struct net_range *v = NULL;
	size_t n = net_policy_ports(cfg->policy, proto, &v);
	int r = 0;

	if (port_count(cfg->policy, proto) > AT_START)
		return 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		for (unsigned int port = v[i].from; r == 0 && port <= v[i].to; port++)
			r = listen_both(cfg->channel, (uint16_t)port, proto == NET_PROTO_TCP ? IPPROTO_TCP : IPPROTO_UDP);
	return r;
}

static int listen_dns(int channel)
{
	int r = serve(channel, RELAY_DNS_UDP, AF_INET, SOCK_DGRAM, RELAY_EDGE4, RELAY_EDGE6, DNS_PORT, device);

	if (r == 0)
		r = serve(channel, RELAY_DNS_TCP, AF_INET, SOCK_STREAM, RELAY_EDGE4, RELAY_EDGE6, DNS_PORT, device);
	return r;
}

/* In the guest's namespace, before we leave it: its loopback ports that stand for the host's. */
static int listen_host(const struct edge_config *cfg)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cfg->host_port_count; i++) {
		r = serve(cfg->channel, RELAY_LISTEN_HOST, AF_INET, SOCK_STREAM, "127.0.0.1", "::1", cfg->host_ports[i], NULL);
		if (r == 0) {
			r = serve(cfg->channel, RELAY_LISTEN_HOST, AF_INET6, SOCK_STREAM, "127.0.0.1", "::1",
				  cfg->host_ports[i], NULL);
			r = lacks_family(r) ? 0 : r;
		}
	}
	return r;
}

static int build(const struct edge_config *cfg, enum stage *ret_stage)
{
	pid_t guest = getppid();
	int r, index;

	*ret_stage = STAGE_LO;
	r = net_loopback_up();
	AUTO_FD int theirs = r < 0 ? r : rtnl_open();
	if (theirs < 0)
		return r < 0 ? r : theirs;
	*ret_stage = STAGE_HOST;
	r = listen_host(cfg);
	if (r < 0)
		return r;
	*ret_stage = STAGE_SPACE;
	if (unshare(CLONE_NEWNET) < 0)
		return err_now();
	AUTO_FD int ours = rtnl_open();
	if (ours < 0)
		return ours;
	r = net_loopback_up();
	if (r < 0)
		return r;
	*ret_stage = STAGE_VETH;
	r = rtnl_veth(ours, device, edge_mac, guest_device, guest_mac, guest, MTU);
	index = r < 0 ? r : rtnl_index(device, ours);
	if (index < 0)
		return index;
	(void)rtnl_no_link_local(ours, index); /* without IPv6 there is nothing to make */
	r = rtnl_up(ours, index);
	*ret_stage = STAGE_ADDRESS;
	if (r == 0)
		r = configure_both(ours, index, false);
	if (r < 0)
		return r;
	*ret_stage = STAGE_GUEST;
	index = rtnl_index(guest_device, theirs);
	if (index > 0)
		(void)rtnl_no_link_local(theirs, index);
	r = index < 0 ? index : rtnl_up(theirs, index);
	if (r == 0)
		r = configure_both(theirs, index, true);
	if (r < 0)
		return r;
	*ret_stage = STAGE_LISTEN;
	r = listen_dns(cfg->channel);
	if (r == 0)
		r = listen_all(cfg, NET_PROTO_TCP);
	if (r == 0)
		r = listen_all(cfg, NET_PROTO_UDP);
	return r;
}

static bool answer(int fd, int err, enum stage stage)
{
	struct edge_answer a = {.err = err < 0 ? -err : err, .stage = stage};
	return send(fd, &a, sizeof(a), MSG_NOSIGNAL) == sizeof(a);
}

/* An end of the file table that leaves the two channels: 0 is the sentry's, 1 the relay's. */
static int settle(int fd, int channel)
{
	AUTO_FD int relay = fcntl(channel, F_DUPFD_CLOEXEC, 3);

	if (relay < 0 || dup2(fd, 0) < 0 || dup2(relay, 1) < 0 || syscall(SYS_close_range, 2, ~0U, 0) < 0)
		return err_now();
	relay = -1;
	return 0;
}

static _Noreturn void keeper(const struct edge_config *cfg, int fd)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};
	enum stage stage = STAGE_NONE;
	struct edge_request q;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	prctl(PR_SET_NAME, "gabion: edge", 0, 0, 0);
	r = prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? err_now() : build(cfg, &stage);
	if (r == 0) {
		stage = STAGE_CONFINE;
		r = settle(fd, cfg->channel);
		fd = r == 0 ? 0 : fd;
	}
	if (r == 0)
		r = launch_become_guest(cfg->ids, BIND_CAP);
	if (r == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
		r = err_now();
	if (r == 0)
		r = isolate_edge();
	if (!answer(fd, r, stage) || r < 0)
		_exit(EXIT_FAILURE);
	while (recv(fd, &q, sizeof(q), 0) == sizeof(q)) {
		r = q.port == 0 || (q.proto != IPPROTO_TCP && q.proto != IPPROTO_UDP) ? -EPROTO
										      : listen_both(1, q.port, q.proto);
		if (r == -EPROTO || !answer(fd, r, STAGE_NONE))
			break;
	}
	_exit(EXIT_SUCCESS);
}

int edge_start(const struct edge_config *cfg, int *ret_fd)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_now();
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		keeper(cfg, pair[1]);
	}
	int err = err_now();
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err;
	}
	*ret_fd = pair[0];
	return 0;
}

int edge_ready(int fd, const char **ret_stage)
{
	struct edge_answer a = {.err = 0};
	ssize_t n;

	do {
		n = recv(fd, &a, sizeof(a), 0);
	} while (n < 0 && errno == EINTR);
	*ret_stage = stage_names[n == sizeof(a) && a.stage < STAGE_COUNT ? a.stage : STAGE_NONE];
	if (n != sizeof(a))
		return n < 0 ? err_now() : -ECHILD;
	return -a.err;
}
