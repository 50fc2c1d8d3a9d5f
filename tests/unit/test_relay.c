/*
 * The relay as a process, between namespaces (relay_bed.h): every way in, every refusal, both ways of performing operations. Needs root
 * or user namespaces, and ip.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/relay_bed.h"

static const struct record names[] = {
	{ "echo.test", "203.0.113.5", NULL },
	{ "six.test", NULL, "2001:db8::5" },
	{ "both.test", "203.0.113.5", "2001:db8::5" },
	{ "dead6.test", "203.0.113.5", "2001:db8::dead" },
	{ "private.test", "10.9.9.9", NULL },
	{ "allowed-private.test", "10.9.9.9", NULL },
	{ "loop.test", "127.0.0.1", "::1" },
	{ "mapped.test", NULL, "::ffff:127.0.0.1" },
	{ "nat64.test", NULL, "64:ff9b::7f00:1" },
	{ "meta.test", "169.254.169.254", "fd00:ec2::254" },
	{ "own.test", "192.0.2.1", NULL },
	{ "closed.test", "203.0.113.6", NULL },
	{ NULL, NULL, NULL },
};

static const char *const rules[] = {
	"echo.test:7", "six.test:7", "both.test:7", "dead6.test:7", "private.test:7", "loop.test:7", "mapped.test:7",
	"nat64.test:7", "meta.test:7", "own.test:7", "closed.test:7", "listed.test:7", "nowhere.test:7", "*.wild.test:7",
	"echo.test:7/udp", "203.0.113.5:7/udp", "172.16.3.4:7", "203.0.113.5:8", "host.gabion.internal:7",
};

static bool epoll;

static void serve_ports(void)
{
	hand(bed.edge, RELAY_LISTEN_TCP, 7, server_at(EDGE, "::", 7, SOCK_STREAM));
	hand(bed.edge, RELAY_LISTEN_TCP, 8, server_at(EDGE, "::", 8, SOCK_STREAM));
	hand(bed.edge, RELAY_LISTEN_UDP, 7, server_at(EDGE, "0.0.0.0", 7, SOCK_DGRAM));
	hand(bed.edge, RELAY_LISTEN_UDP, 7, server_at(EDGE, "::", 7, SOCK_DGRAM));
	hand(bed.edge, RELAY_DNS_UDP, 53, server_at(EDGE, "0.0.0.0", 53, SOCK_DGRAM));
	hand(bed.edge, RELAY_DNS_UDP, 53, server_at(EDGE, "::", 53, SOCK_DGRAM));
	hand(bed.edge, RELAY_DNS_TCP, 53, server_at(EDGE, "::", 53, SOCK_STREAM));
}

static int set_up(void **state)
{
	(void)state;
	bed.cfg.epoll = epoll;
	bed.cfg.connect_ms = 3000;
	bed_start(rules, sizeof(rules) / sizeof(*rules));
	serve_ports();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(bed_stop(), 0);
	bed.cfg = RELAY_CONFIG_NULL;
	return 0;
}

static const char *address(const char *name, unsigned int type)
{
	unsigned int code;
	const char *a = ask(name, type, &code);

	assert_int_equal(code, 0);
	assert_string_not_equal(a, "");
	return a;
}

static int to(const char *name)
{
	int fd = client_at(EDGE, address(name, 1), 7, SOCK_STREAM);

	assert_true(fd >= 0);
	return fd;
}

static void echoes(int fd)
{
	char buf[16] = "";

	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(recv(fd, buf, 5, MSG_WAITALL), 5);
	assert_string_equal(buf, "hello");
}

/* What a connection that the relay ended by a reset says. */
static void is_reset(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	assert_true(n < 0);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
}

static void refused(const char *name, enum relay_event ev)
{
	struct relay_msg m;
	int fd = client_at(EDGE, address(name, 1), 7, SOCK_STREAM);

	if (fd >= 0)
		is_reset(fd);
	else
		assert_int_equal(errno, ECONNRESET);
	do
		assert_true(next_msg(bed.monitor, RELAY_EVENT, 2000, &m));
	while (strcmp(m.text, name) != 0 || m.event == RELAY_EV_OPENED);
	assert_int_equal(m.event, ev);
}

static void test_names(void **state)
{
	unsigned int code;
	char first[64];

	(void)state;
	snprintf(first, sizeof(first), "%s", address("echo.test", 1));
	assert_string_equal(address("ECHO.test", 1), first);
	assert_int_equal(strncmp(address("echo.test", 28), "fd67:6162:696f:6e:", 18), 0);
	assert_string_equal(ask("other.test", 1, &code), "");
	assert_int_equal(code, 3);
	assert_string_equal(ask("wild.test", 1, &code), "");
	assert_int_equal(code, 3);
	assert_string_not_equal(address("a.b.wild.test", 1), first);
	struct relay_msg m;
	assert_true(next_msg(bed.monitor, RELAY_EVENT, 2000, &m));
	assert_int_equal(m.event, RELAY_EV_NAME_REFUSED);
	assert_string_equal(m.text, "other.test");
	/* TCP: two queries in one piece, and one in single bytes */
	uint8_t q[] = { 0, 27, 9, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 'e', 'c', 'h', 'o', 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1 }, a[128];
	int fd = client_at(EDGE, RELAY_EDGE6, 53, SOCK_STREAM);
	assert_true(fd >= 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(write(fd, q, sizeof(q)), sizeof(q));
	for (size_t i = 0; i < sizeof(q); i++)
		assert_int_equal(write(fd, q + i, 1), 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(recv(fd, a, 2 + 27 + 16, MSG_WAITALL), 2 + 27 + 16);
		assert_int_equal(a[1], 27 + 16);
		assert_int_equal(a[9], 1);
	}
	close(fd);
}

static void test_streams(void **state)
{
	(void)state;
	static const char *const good[] = { "echo.test", "six.test", "both.test", "dead6.test", "listed.test" };
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		int fd = to(good[i]);

		echoes(fd);
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		char c;
		assert_int_equal(recv(fd, &c, 1, 0), 0);
		close(fd);
	}
	int fd = client_at(EDGE, address("both.test", 28), 7, SOCK_STREAM);
	echoes(fd);
	close(fd);
	fd = client_at(EDGE, "172.16.3.4", 7, SOCK_STREAM);
	echoes(fd);
	close(fd);
}

static void test_refusals(void **state)
{
	struct relay_msg m;
	int fd;

	(void)state;
	refused("private.test", RELAY_EV_ADDRESS_REFUSED);
	refused("loop.test", RELAY_EV_ADDRESS_REFUSED);
	refused("mapped.test", RELAY_EV_ADDRESS_REFUSED);
	refused("nat64.test", RELAY_EV_ADDRESS_REFUSED);
	refused("meta.test", RELAY_EV_ADDRESS_REFUSED);
	refused("own.test", RELAY_EV_ADDRESS_REFUSED);
	refused("nowhere.test", RELAY_EV_UNRESOLVED);
	refused("closed.test", RELAY_EV_FAILED);
	/* addresses no rule names; the right one at another port; a name at another port */
	static const char *const ip[] = { "203.0.113.5", "10.9.9.9", "127.0.0.1", "169.254.169.254", "198.18.77.77", "8.8.8.8" };
	for (size_t i = 0; i < sizeof(ip) / sizeof(*ip); i++)
		if ((fd = client_at(EDGE, ip[i], 7, SOCK_STREAM)) >= 0)
			is_reset(fd);
	fd = client_at(EDGE, address("echo.test", 1), 8, SOCK_STREAM);
	if (fd >= 0)
		is_reset(fd);
	do
		assert_true(next_msg(bed.monitor, RELAY_EVENT, 2000, &m));
	while (strcmp(m.text, "echo.test") != 0);
	assert_int_equal(m.event, RELAY_EV_REFUSED);
	assert_int_equal(m.port, 8);
}

static struct relay_msg dial(const char *ip, uint16_t port)
{
	struct relay_msg m = msg(RELAY_DIAL, port), answer = { .kind = 0 };
	struct net_address a;
	static uint32_t id;

	assert_int_equal(net_address_parse(ip, &a), 0);
	m.id = ++id;
	m.family = a.family;
	memcpy(m.addr, a.bytes, 16);
	assert_int_equal(relay_send(bed.edge, &m, NULL, 0), 0);
	assert_true(next_msg(bed.edge, RELAY_DIALLED, 5000, &answer));
	assert_int_equal(answer.id, id);
	return answer;
}

static void test_dial_ahead(void **state)
{
	char ip[64];

	(void)state;
	snprintf(ip, sizeof(ip), "%s", address("echo.test", 1));
	assert_int_equal(dial(ip, 7).err, 0);
	int fd = client_at(EDGE, ip, 7, SOCK_STREAM);
	echoes(fd);
	close(fd);
	assert_int_equal(dial(ip, 9).err, EACCES);
	assert_int_equal(dial(address("closed.test", 1), 7).err, ECONNREFUSED);
	assert_int_equal(dial(address("private.test", 1), 7).err, EACCES);
	assert_int_equal(dial(address("nowhere.test", 1), 7).err, EHOSTUNREACH);
	assert_int_equal(dial("9.9.9.9", 7).err, EACCES);
	assert_int_equal(dial("198.18.99.99", 7).err, ENETUNREACH);
	assert_int_equal(dial(address("echo.test", 28), 7).err, 0);
}

static void test_host_loopback(void **state)
{
	(void)state;
	int fd = to("host.gabion.internal");

	echoes(fd);
	close(fd);
	hand(bed.edge, RELAY_LISTEN_HOST, 7, server_at(EDGE, "127.0.0.77", 77, SOCK_STREAM));
	fd = client_at(EDGE, "127.0.0.77", 77, SOCK_STREAM);
	echoes(fd);
	close(fd);
	/* a port that no rule names, whoever hands the listener over */
	hand(bed.edge, RELAY_LISTEN_HOST, 53, server_at(EDGE, "127.0.0.77", 78, SOCK_STREAM));
	fd = client_at(EDGE, "127.0.0.77", 78, SOCK_STREAM);
	if (fd >= 0)
		is_reset(fd);
}

static void test_udp(void **state)
{
	char buf[2000], big[1400];
	struct timeval tv = { .tv_sec = 2 };
	static const char *const ips[] = { "203.0.113.5", "" };

	(void)state;
	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < 3; i++) {
		const char *ip = i < 1 ? ips[i] : address("echo.test", i == 1 ? 1 : 28);
		int fd = client_at(EDGE, ip, 7, SOCK_DGRAM);

		assert_true(fd >= 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		for (int k = 0; k < 3; k++) {
			assert_int_equal(send(fd, big, sizeof(big), 0), sizeof(big));
			assert_int_equal(recv(fd, buf, sizeof(buf), 0), sizeof(big));
			assert_memory_equal(buf, big, sizeof(big));
		}
		close(fd);
	}
	int fd = client_at(EDGE, address("six.test", 1), 7, SOCK_DGRAM); /* TCP only */
	tv = (struct timeval){ .tv_usec = 200000 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(recv(fd, buf, sizeof(buf), 0) < 0);
	close(fd);
	struct relay_msg m;
	do
		assert_true(next_msg(bed.monitor, RELAY_EVENT, 2000, &m));
	while (strcmp(m.text, "six.test") != 0);
	assert_int_equal(m.event, RELAY_EV_REFUSED);
	assert_int_equal(m.proto, IPPROTO_UDP);
}

/* A long stream through chunks and pipes, with its back-pressure: nothing lost, nothing twice, the end after the last byte. */
struct flood {
	int fd;
	size_t bytes;
};

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

static void *flood(void *arg)
{
	struct flood *f = arg;
	uint8_t buf[30000];

	for (size_t at = 0; at < f->bytes;) {
		size_t n = f->bytes - at < sizeof(buf) ? f->bytes - at : sizeof(buf);

		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(at + i);
		ssize_t w = write(f->fd, buf, n);
		if (w <= 0)
			return arg;
		at += (size_t)w;
	}
	shutdown(f->fd, SHUT_WR);
	return NULL;
}

static void test_bulk(void **state)
{
	struct flood f = { .bytes = 48u << 20 };
	static uint8_t buf[100000];
	pthread_t t;
	void *bad;
	size_t at = 0;
	ssize_t n;

	(void)state;
	f.fd = to("echo.test");
	assert_int_equal(pthread_create(&t, NULL, flood, &f), 0);
	usleep(300000); /* the way back fills up first */
	while ((n = read(f.fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != pattern(at + (size_t)i))
				fail_msg("byte %zu", at + (size_t)i);
		at += (size_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(at, f.bytes);
	pthread_join(t, &bad);
	assert_null(bad);
	close(f.fd);
}

static int reset_listener;

static void test_resets(void **state)
{
	struct linger now = { .l_onoff = 1 };
	char c;

	(void)state;
	/* The guest's: the server sees it. The server is a published way in, for want of another one to look at. */
	reset_listener = server_at(AWAY, "203.0.113.5", 8, SOCK_STREAM);
	int fd = client_at(EDGE, "203.0.113.5", 8, SOCK_STREAM);
	int s = accept(reset_listener, NULL, NULL);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(s, &c, 1), 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	is_reset(s);
	/* The server's: the guest sees it. */
	fd = client_at(EDGE, "203.0.113.5", 8, SOCK_STREAM);
	s = accept(reset_listener, NULL, NULL);
	setsockopt(s, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(s);
	is_reset(fd);
	/* An ordinary end is none. */
	fd = client_at(EDGE, "203.0.113.5", 8, SOCK_STREAM);
	s = accept(reset_listener, NULL, NULL);
	assert_int_equal(write(s, "bye", 3), 3);
	close(s);
	char buf[4] = "";
	assert_int_equal(recv(fd, buf, 3, MSG_WAITALL), 3);
	assert_int_equal(read(fd, buf, 1), 0);
	close(fd);
	close(reset_listener);
}

static void test_publish(void **state)
{
	static int inside;
	struct relay_msg want, give = msg(RELAY_SOCKETS, 0), m = msg(RELAY_PUBLISH, 3000);

	(void)state;
	if (inside == 0) {
		inside = server_at(EDGE, "127.0.0.1", 3000, SOCK_STREAM);
		spawn(echo_server, &inside);
	}
	int listener = server_at(HOST, "127.0.0.1", 8080, SOCK_STREAM);
	m.family = AF_INET;
	memcpy(m.addr, "\177\0\0\1", 4);
	assert_int_equal(relay_send(bed.monitor, &m, &listener, 1), 0);
	close(listener);
	int fd[40];
	for (size_t i = 0; i < 40; i++) {
		fd[i] = client_at(HOST, "127.0.0.1", 8080, SOCK_STREAM);
		assert_true(fd[i] >= 0);
	}
	for (int round = 0; round < 4 && next_msg(bed.edge, RELAY_WANT_SOCKETS, 500, &want); round++) {
		int some[RELAY_FDS];

		assert_int_equal(want.family, AF_INET);
		assert_int_equal(want.count, RELAY_FDS);
		enter(EDGE);
		for (int i = 0; i < RELAY_FDS; i++)
			some[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		give.family = AF_INET;
		assert_int_equal(relay_send(bed.edge, &give, some, RELAY_FDS), 0);
		for (int i = 0; i < RELAY_FDS; i++)
			close(some[i]);
	}
	for (size_t i = 0; i < 40; i++) {
		echoes(fd[i]);
		close(fd[i]);
	}
}

static int unix_at(const char *name, int type, bool bound)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", bed.dir, name);
	if (bound)
		unlink(sun.sun_path);
	assert_int_equal(bound ? bind(fd, (struct sockaddr *)&sun, sizeof(sun)) : connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	if (bound && type != SOCK_DGRAM)
		assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static void unix_hand(uint32_t id, int listener, const char *target)
{
	char path[128];
	struct relay_msg m = msg(RELAY_UNIX_TARGET, 0);

	snprintf(path, sizeof(path), "%s/%s", bed.dir, target);
	int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	m.id = id;
	assert_int_equal(relay_send(bed.monitor, &m, &fd, 1), 0);
	close(fd);
	if (listener < 0)
		return;
	m.kind = RELAY_LISTEN_UNIX;
	assert_int_equal(relay_send(bed.edge, &m, &listener, 1), 0);
	close(listener);
}

static void test_unix(void **state)
{
	static int stream;
	char buf[64] = "";
	struct relay_msg m;

	(void)state;
	stream = unix_at("stream", SOCK_STREAM, true);
	spawn(echo_server, &stream);
	unix_hand(1, unix_at("stream.guest", SOCK_STREAM, true), "stream");
	int fd = unix_at("stream.guest", SOCK_STREAM, false);
	echoes(fd);
	/* A descriptor does not pass. */
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} u = { .space = { 0 } };
	struct iovec iov = { .iov_base = buf, .iov_len = 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.space, .msg_controllen = sizeof(u.space) };
	u.align = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&u.align), &fd, sizeof(int));
	assert_int_equal(sendmsg(fd, &mh, 0), 1);
	assert_int_equal(read(fd, buf, 1), 1);
	close(fd);
	/* The server is started anew, under the same name. */
	shutdown(stream, SHUT_RDWR);
	usleep(50000);
	close(stream);
	stream = unix_at("stream", SOCK_STREAM, true);
	spawn(echo_server, &stream);
	fd = unix_at("stream.guest", SOCK_STREAM, false);
	assert_true(next_msg(bed.monitor, RELAY_WANT_UNIX, 2000, &m));
	assert_int_equal(m.id, 1);
	unix_hand(1, -1, "stream");
	echoes(fd);
	close(fd);
	shutdown(stream, SHUT_RDWR);

	int seq = unix_at("seq", SOCK_SEQPACKET, true);
	unix_hand(2, unix_at("seq.guest", SOCK_SEQPACKET, true), "seq");
	fd = unix_at("seq.guest", SOCK_SEQPACKET, false);
	int s = accept(seq, NULL, NULL);
	assert_int_equal(write(fd, "one", 3), 3);
	assert_int_equal(write(fd, "three", 5), 5);
	assert_int_equal(read(s, buf, sizeof(buf)), 3);
	assert_int_equal(read(s, buf, sizeof(buf)), 5);
	assert_int_equal(write(s, "back", 4), 4);
	assert_int_equal(read(fd, buf, sizeof(buf)), 4);
	close(s);
	assert_int_equal(read(fd, buf, sizeof(buf)), 0);
	close(fd);
	close(seq);

	int dgram = unix_at("dgram", SOCK_DGRAM, true);
	unix_hand(3, unix_at("dgram.guest", SOCK_DGRAM, true), "dgram");
	fd = unix_at("dgram.guest", SOCK_DGRAM, false);
	for (int i = 1, k = 1; i < 40; i++) { /* never more than the two queues hold */
		assert_int_equal(send(fd, "0123456789012345678901234567890123456789", (size_t)i, 0), i);
		for (; i % 13 == 0 && k <= i; k++)
			assert_int_equal(read(dgram, buf, sizeof(buf)), k);
	}
	close(fd);
	close(dgram);
}

static void test_rules_and_totals(void **state)
{
	struct relay_msg m = msg(RELAY_ADD_RULE, 0);
	unsigned int code;
	bool seen = false;

	(void)state;
	assert_string_equal(ask("allowed-private.test", 1, &code), "");
	snprintf(m.text, sizeof(m.text), "allowed-private.test:7");
	assert_int_equal(relay_send(bed.monitor, &m, NULL, 0), 0);
	assert_true(next_msg(bed.monitor, RELAY_RULE_DONE, 2000, &m));
	assert_int_equal(m.err, 0);
	refused("allowed-private.test", RELAY_EV_ADDRESS_REFUSED);
	m = msg(RELAY_ADD_RULE, 0);
	snprintf(m.text, sizeof(m.text), "10.9.9.9:7");
	assert_int_equal(relay_send(bed.monitor, &m, NULL, 0), 0);
	assert_true(next_msg(bed.monitor, RELAY_RULE_DONE, 2000, &m));
	int fd = to("allowed-private.test");
	echoes(fd);
	close(fd);
	m = msg(RELAY_ADD_RULE, 0);
	snprintf(m.text, sizeof(m.text), "no such rule");
	assert_int_equal(relay_send(bed.monitor, &m, NULL, 0), 0);
	assert_true(next_msg(bed.monitor, RELAY_RULE_DONE, 2000, &m));
	assert_int_equal(m.err, EINVAL);
	assert_string_not_equal(m.text, "");
	m = msg(RELAY_FINISH, 0);
	assert_int_equal(relay_send(bed.monitor, &m, NULL, 0), 0);
	while (next_msg(bed.monitor, RELAY_TOTAL, 500, &m))
		if (strcmp(m.text, "allowed-private.test") == 0 && m.port == 7) {
			seen = true;
			assert_int_equal(m.connections, 1);
			assert_int_equal(m.bytes_up, 5);
			assert_int_equal(m.bytes_down, 5);
			assert_int_equal(m.count, 1);
		}
	assert_true(seen);
}

static void test_many(void **state)
{
	enum { N = 300, ROUNDS = 4 };
	int fd[N];
	char ip[64];
	unsigned int before = 0;

	(void)state;
	snprintf(ip, sizeof(ip), "%s", address("echo.test", 1));
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < N; i++) {
			fd[i] = client_at(EDGE, ip, 7, SOCK_STREAM);
			assert_true(fd[i] >= 0);
		}
		for (int i = 0; i < N; i++)
			echoes(fd[i]);
		for (int i = 0; i < N; i++)
			close(fd[i]);
		usleep(200000);
		if (round == 0)
			before = fds_of(bed.relay);
	}
	assert_in_range(fds_of(bed.relay), before > 2 ? before - 2 : 0, before + 2);
}

static void test_malformed_message_ends_it(void **state)
{
	int status;

	(void)state;
	assert_int_equal(send(bed.edge, "rubbish", 7, 0), 7);
	assert_int_equal(waitpid(bed.relay, &status, 0), bed.relay);
	assert_int_equal(status, 1 << 8);
	close(bed.monitor);
	close(bed.edge);
	bed.policy = net_policy_free(bed.policy);
}

static int limited(void **state)
{
	bed.cfg.limits = (struct relay_limits){ .bytes = 6 << 20, .rate = 2 << 20, .connections = 2 };
	return set_up(state);
}

static void test_limits(void **state)
{
	struct flood f = { .bytes = 64u << 20 };
	static uint8_t buf[100000];
	pthread_t t;
	struct timespec a, b;
	void *bad;
	size_t got = 0;
	ssize_t n;
	struct relay_msg m;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &a);
	f.fd = to("echo.test");
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pthread_create(&t, NULL, flood, &f), 0);
	while ((n = read(f.fd, buf, sizeof(buf))) > 0)
		got += (size_t)n;
	clock_gettime(CLOCK_MONOTONIC, &b);
	pthread_join(t, &bad);
	assert_non_null(bad);
	close(f.fd);
	assert_in_range(got, 1 << 20, 4 << 20);
	double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	/* Of 6 MiB both ways at least half went up, at 2 MiB/s and half a MiB at once: 1.25 s at least, however slow the machine is. */
	assert_true(s > 1.2);
	do
		assert_true(next_msg(bed.monitor, RELAY_EVENT, 2000, &m));
	while (m.event != RELAY_EV_LIMIT);
	int fd = client_at(EDGE, address("echo.test", 1), 7, SOCK_STREAM);
	if (fd >= 0)
		is_reset(fd);
}

/* A proxy that answers CONNECT and goes to the echo server. */
static int proxy_listener;
static char proxy_asked[2048];

static void *proxy_server(void *arg)
{
	int c;

	(void)arg;
	while ((c = accept4(proxy_listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		char buf[2048] = "";
		size_t n = 0;
		ssize_t r;

		while (strstr(buf, "\r\n\r\n") == NULL && (r = read(c, buf + n, sizeof(buf) - 1 - n)) > 0)
			n += (size_t)r;
		memcpy(proxy_asked, buf, sizeof(buf));
		if (strstr(buf, "closed.test") != NULL) {
			(void)!write(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n", 28);
			close(c);
			continue;
		}
		/* in pieces, and with the target's first byte behind it */
		(void)!write(c, "HTTP/1.1 200 Conn", 17);
		usleep(20000);
		(void)!write(c, "ection established\r\nX: y\r\n\r\n!", 29);
		spawn(echo_one, (void *)(intptr_t)c);
	}
	return NULL;
}

static int proxied(void **state)
{
	bed.cfg.https_proxy = "http://user:p%40ss@203.0.113.6:3128/";
	bed.cfg.no_proxy = "listed.test,10.0.0.0/8";
	return set_up(state);
}

static void test_proxy(void **state)
{
	char c;

	(void)state;
	proxy_listener = server_at(AWAY, "203.0.113.6", 3128, SOCK_STREAM);
	spawn(proxy_server, NULL);
	int fd = to("nowhere.test"); /* the proxy resolves it */
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, '!');
	echoes(fd);
	close(fd);
	assert_non_null(strstr(proxy_asked, "CONNECT nowhere.test:7 HTTP/1.1\r\n"));
	assert_non_null(strstr(proxy_asked, "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n"));
	fd = to("listed.test"); /* not by the proxy */
	echoes(fd);
	close(fd);
	refused("closed.test", RELAY_EV_FAILED);
	shutdown(proxy_listener, SHUT_RDWR);
	close(proxy_listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_streams),
		TEST(test_refusals),
		TEST(test_dial_ahead),
		TEST(test_host_loopback),
		TEST(test_udp),
		TEST(test_bulk),
		TEST(test_resets),
		TEST(test_publish),
		TEST(test_unix),
		TEST(test_rules_and_totals),
		TEST(test_many),
		cmocka_unit_test_setup_teardown(test_limits, limited, tear_down),
		cmocka_unit_test_setup_teardown(test_proxy, proxied, tear_down),
		cmocka_unit_test_setup(test_malformed_message_ends_it, set_up),
	};
	bed = (struct bed){ .ns = { -1, -1, -1 } };
	bed.cfg = RELAY_CONFIG_NULL;
	const char *why = bed_make();
	if (why != NULL) {
		printf("1..1\nok 1 # skip %s\n", why);
		return 0;
	}
	bed_servers(names);
	const char *only = getenv("RELAY_TEST"); /* a pattern of names, for work on one of them */
	cmocka_set_test_filter(only);
	int failed = cmocka_run_group_tests_name("ring", tests, NULL, NULL);
	epoll = true;
	bed.cfg = RELAY_CONFIG_NULL;
	failed += cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
	sh("rm -rf %s", bed.dir);
	return failed;
}
