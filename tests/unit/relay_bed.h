/*
 * Three network namespaces for tests of the relay, made and held by the test process:
 *
 *   edge   every address is local, as at a run's edge: where guests connect and the relay's listeners are
 *   host   where the relay runs: 192.0.2.1, fd00:2::1, a resolver on its loopback
 *   away   the internet: 203.0.113.5, 203.0.113.6, 10.9.9.9, 2001:db8::5 and others, behind a veth
 *
 * A socket stays in the namespace it was made in, so one process can be everybody.
 */
#ifndef GABION_TESTS_RELAY_BED_H
#define GABION_TESTS_RELAY_BED_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/relay/relay.h"
#include "net_policy.h"

enum bed_ns { EDGE, HOST, AWAY };

struct bed {
	int ns[3];
	char dir[64];
	/* of the relay under test */
	pid_t relay;
	int monitor, edge; /* our ends */
	struct net_policy *policy;
	struct relay_config cfg;
};

static struct bed bed;

__attribute__((unused)) static void enter(enum bed_ns where)
{
	if (setns(bed.ns[where], CLONE_NEWNET) < 0) {
		perror("setns");
		abort();
	}
}

static bool sh(const char *format, ...)
{
	char cmd[4096];
	va_list ap;

	va_start(ap, format);
	vsnprintf(cmd, sizeof(cmd), format, ap);
	va_end(ap);
	int status = system(cmd); /* NOLINT: fixed commands of the test's own */
	return status == 0;
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

/* Returns why the tests cannot be run here, or NULL. */
static const char *bed_make(void)
{
	char map[64];
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (system("command -v ip >/dev/null 2>&1") != 0) /* NOLINT */
		return "no ip (iproute2) here";
	if (uid != 0) {
		if (unshare(CLONE_NEWUSER) < 0)
			return "no user namespaces here";
		put_file("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		put_file("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		put_file("/proc/self/gid_map", map);
	}
	for (int i = 0; i < 3; i++) {
		if (unshare(CLONE_NEWNET) < 0)
			return "no network namespaces here";
		bed.ns[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (bed.ns[i] < 0 || !sh("ip link set lo up"))
			return "ip does not work here";
	}
	enter(EDGE);
	if (!sh("ip route add local 0.0.0.0/0 dev lo table main && ip -6 route add local ::/0 dev lo table main"))
		return "no local routes here";
	enter(HOST);
	if (!sh("ip link add up0 type veth peer name down0 netns /proc/%d/fd/%d", (int)getpid(), bed.ns[AWAY]) ||
	    !sh("ip link set up0 up && ip addr add 192.0.2.1/24 dev up0 && ip -6 addr add 2001:db8::1/64 dev up0 nodad && "
		"ip route add default via 192.0.2.2 && ip -6 route add default via 2001:db8::2"))
		return "no veth here";
	enter(AWAY);
	if (!sh("ip link set down0 up && ip addr add 192.0.2.2/24 dev down0 && ip -6 addr add 2001:db8::2/64 dev down0 nodad && "
		"for a in 203.0.113.5 203.0.113.6 10.9.9.9 169.254.169.254 172.16.3.4 100.64.1.1; do ip addr add $a/32 dev down0; done && "
		"ip -6 addr add 2001:db8::5/128 dev down0 nodad && ip -6 addr add fd00:ec2::254/128 dev down0 nodad && "
		"ip route add 192.0.2.1/32 dev down0"))
		return "no addresses here";
	snprintf(bed.dir, sizeof(bed.dir), "/tmp/relay-bed.XXXXXX");
	if (mkdtemp(bed.dir) == NULL)
		return "no directory";
	return NULL;
}

static struct sockaddr_storage addr_of(const char *text, uint16_t port, socklen_t *ret_len)
{
	struct sockaddr_storage sa;
	struct net_address a;

	if (net_address_parse(text, &a) != 0)
		abort();
	*ret_len = net_address_sockaddr(&a, port, &sa);
	return sa;
}

/* A bound socket of TYPE in namespace WHERE; listening, where it can. */
static int server_at(enum bed_ns where, const char *ip, uint16_t port, int type)
{
	socklen_t len;
	struct sockaddr_storage sa = addr_of(ip, port, &len);
	int on = 1, off = 0;

	enter(where);
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, strcmp(ip, "::") == 0 && type == SOCK_STREAM ? &off : &on, sizeof(on));
	/* A relay that has just ended may still have it: a ring is taken apart after its process. */
	int e = -1;
	for (int i = 0; i < 200 && (e = bind(fd, (struct sockaddr *)&sa, len)) < 0 && errno == EADDRINUSE; i++)
		usleep(10000);
	if (fd < 0 || e < 0 || (type == SOCK_STREAM && listen(fd, 4096) < 0)) {
		fprintf(stderr, "%s:%u: %s\n", ip, port, strerror(errno));
		abort();
	}
	return fd;
}

/* Connects from WHERE; -1 with errno. */
static int client_at(enum bed_ns where, const char *ip, uint16_t port, int type)
{
	socklen_t len;
	struct sockaddr_storage sa = addr_of(ip, port, &len);

	enter(where);
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, len) < 0) {
		int e = errno;

		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

/* ---- the relay ---- */

static struct relay_msg msg(enum relay_kind kind, uint16_t port)
{
	struct relay_msg m;

	memset(&m, 0, sizeof(m));
	m.kind = kind;
	m.port = port;
	m.proto = IPPROTO_TCP;
	return m;
}

static void hand(int channel, enum relay_kind kind, uint16_t port, int fd)
{
	struct relay_msg m = msg(kind, port);
	int domain = AF_INET;
	socklen_t len = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	m.family = (uint16_t)domain;
	if (relay_send(channel, &m, &fd, 1) < 0)
		abort();
	close(fd);
}

/* Starts a relay with the N rules of RULES; bed.cfg's other fields are the caller's. */
static void bed_start(const char *const *rules, size_t n)
{
	struct net_text texts[64];
	struct net_fault fault;
	static char hosts[128], resolv[128];
	int a[2], b[2];

	for (size_t i = 0; i < n; i++)
		texts[i] = (struct net_text){ .text = rules[i], .origin = "test" };
	if (net_policy_compile(texts, n, &bed.policy, &fault) != 0) {
		fprintf(stderr, "rule %zu: %s\n", fault.index, fault.text);
		abort();
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, a) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, b) < 0)
		abort();
	snprintf(hosts, sizeof(hosts), "%s/hosts", bed.dir);
	snprintf(resolv, sizeof(resolv), "%s/resolv.conf", bed.dir);
	bed.monitor = a[0];
	bed.edge = b[0];
	bed.cfg.policy = bed.policy;
	bed.cfg.monitor = a[1];
	bed.cfg.edge = b[1];
	bed.cfg.hosts = hosts;
	bed.cfg.resolv_conf = resolv;
	bed.cfg.ipv6 = true;
	enter(HOST);
	if (relay_start(&bed.cfg, &bed.relay) < 0)
		abort();
	close(a[1]);
	close(b[1]);
}

/* Ends it by closing the channel; returns its wait status. */
static int bed_stop(void)
{
	int status = -1;

	close(bed.monitor);
	close(bed.edge);
	waitpid(bed.relay, &status, 0);
	bed.policy = net_policy_free(bed.policy);
	bed.relay = -1;
	return status;
}

/* The next message on CHANNEL of KIND (others are dropped), within MS; false: none. */
__attribute__((unused)) static bool next_msg(int channel, enum relay_kind kind, int ms, struct relay_msg *ret)
{
	struct pollfd p = { .fd = channel, .events = POLLIN };
	int fds[RELAY_FDS];
	size_t n;

	while (poll(&p, 1, ms) == 1) {
		if (relay_recv(channel, MSG_DONTWAIT, ret, fds, &n) != 1)
			return false;
		if (ret->kind == (uint32_t)kind)
			return true;
	}
	return false;
}

__attribute__((unused)) static unsigned int fds_of(pid_t pid)
{
	char cmd[64];
	unsigned int n = 0;

	snprintf(cmd, sizeof(cmd), "ls /proc/%d/fd 2>/dev/null | wc -l", (int)pid);
	FILE *f = popen(cmd, "r"); /* NOLINT */
	if (f == NULL || fscanf(f, "%u", &n) != 1)
		n = 0;
	if (f != NULL)
		pclose(f);
	return n;
}

__attribute__((unused)) static long rss_kb(pid_t pid)
{
	char path[64], line[256];
	long kb = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kb;
}

/* ---- servers: a thread each, in the namespace of its socket ---- */

/* Answers A and AAAA from a table; what is not in it does not exist. Counts. */
struct record {
	const char *name, *a, *aaaa;
};
static const struct record *zone;
static int asked_upstream;

static size_t zone_answer(const uint8_t *q, size_t len, uint8_t *out)
{
	char name[256] = "";
	size_t at = 12, n = 0;

	while (at < len && q[at] != 0) {
		if (n > 0)
			name[n++] = '.';
		memcpy(name + n, q + at + 1, q[at]);
		n += q[at];
		at += q[at] + 1u;
	}
	name[n] = '\0';
	unsigned int type = (unsigned int)q[at + 1] << 8 | q[at + 2];
	size_t end = at + 5;
	memcpy(out, q, end);
	out[2] = 0x81;
	out[3] = 0x83;
	memset(out + 6, 0, 6);
	for (const struct record *r = zone; r->name != NULL; r++) {
		const char *list = type == 1 ? r->a : r->aaaa;
		struct net_address a;
		char text[64];

		if (strcasecmp(r->name, name) != 0)
			continue;
		out[3] = 0x80;
		while (list != NULL && *list != '\0') {
			size_t some = strcspn(list, " ");

			snprintf(text, sizeof(text), "%.*s", (int)some, list);
			list += some + (list[some] == ' ');
			bool ok = net_address_parse(text, &a) == 0;
			size_t size = type == 1 ? 4 : 16;
			if (type == 28 && (!ok || a.family == AF_INET)) { /* a mapped one, as bytes */
				inet_pton(AF_INET6, text, a.bytes);
			}
			const uint8_t rr[] = { 0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)size };
			memcpy(out + end, rr, sizeof(rr));
			memcpy(out + end + sizeof(rr), a.bytes, size);
			end += sizeof(rr) + size;
			out[7]++;
		}
	}
	return end;
}

static void *dns_server(void *arg)
{
	int fd = *(int *)arg;
	uint8_t q[1500], a[1500];
	struct sockaddr_storage from;

	while (true) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, q, 512, 0, (struct sockaddr *)&from, &len);

		if (n < 17)
			continue;
		__atomic_add_fetch(&asked_upstream, 1, __ATOMIC_RELAXED);
		sendto(fd, a, zone_answer(q, (size_t)n, a), 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

/* Sends back what comes, until the end; then ends. */
static void *echo_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	static __thread char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0, w; at < n; at += w)
			if ((w = write(fd, buf + at, (size_t)(n - at))) <= 0) {
				close(fd);
				return NULL;
			}
	close(fd);
	return NULL;
}

static void spawn(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	if (pthread_create(&t, &attr, fn, arg) != 0)
		abort();
	pthread_attr_destroy(&attr);
}

__attribute__((unused)) static void *echo_server(void *arg)
{
	int fd = *(int *)arg, c;

	while ((c = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		spawn(echo_one, (void *)(intptr_t)c);
	return NULL;
}

__attribute__((unused)) static void *udp_echo(void *arg)
{
	int fd = *(int *)arg;
	static char buf[65536];
	struct sockaddr_storage from;

	while (true) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n >= 0)
			sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

__attribute__((unused)) static void bed_servers(const struct record *z)
{
	static int dns, tcp[8], udp;
	static const char *const at[] = { "203.0.113.5", "10.9.9.9", "2001:db8::5", "169.254.169.254", "fd00:ec2::254", "172.16.3.4" };

	zone = z;
	dns = server_at(HOST, "127.0.0.1", 53, SOCK_DGRAM);
	spawn(dns_server, &dns);
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		tcp[i] = server_at(AWAY, at[i], 7, SOCK_STREAM);
		spawn(echo_server, &tcp[i]);
	}
	tcp[7] = server_at(HOST, "127.0.0.1", 7, SOCK_STREAM);
	spawn(echo_server, &tcp[7]);
	udp = server_at(AWAY, "203.0.113.5", 7, SOCK_DGRAM);
	spawn(udp_echo, &udp);
	char path[128];
	snprintf(path, sizeof(path), "%s/resolv.conf", bed.dir);
	put_file(path, "nameserver 127.0.0.1\n");
	snprintf(path, sizeof(path), "%s/hosts", bed.dir);
	put_file(path, "127.0.0.1 localhost\n203.0.113.5 listed.test\n");
}

/* Asks the relay's name server over UDP at the edge; returns the address as text, or "" and the code in *ret_code. */
__attribute__((unused)) static const char *ask(const char *name, unsigned int type, unsigned int *ret_code)
{
	static char text[64];
	uint8_t q[512] = { 0x12, 0x34, 1, 0, 0, 1 }, a[512];
	size_t n = 12;
	struct net_address found = NET_ADDRESS_NULL;

	for (const char *s = name; *s != '\0';) {
		size_t len = strcspn(s, ".");

		q[n++] = (uint8_t)len;
		memcpy(q + n, s, len);
		n += len;
		s += len + (s[len] == '.');
	}
	q[n++] = 0;
	q[n++] = (uint8_t)(type >> 8);
	q[n++] = (uint8_t)type;
	q[n++] = 0;
	q[n++] = 1;
	int fd = client_at(EDGE, RELAY_EDGE4, 53, SOCK_DGRAM);
	struct timeval tv = { .tv_sec = 5 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	text[0] = '\0';
	*ret_code = 99;
	ssize_t got = send(fd, q, n, 0) == (ssize_t)n ? recv(fd, a, sizeof(a), 0) : -1;
	close(fd);
	if (got < (ssize_t)n)
		return text;
	*ret_code = a[3] & 15;
	if (a[7] == 1) {
		found.family = type == 1 ? AF_INET : AF_INET6;
		memcpy(found.bytes, a + n + 12, type == 1 ? 4 : 16);
		net_address_text(&found, text);
	}
	return text;
}

#endif
