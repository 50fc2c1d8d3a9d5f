/*
 * relay [-e] [-s SECONDS] [-n CONNECTIONS] [stream|rr|connect|many|churn|http]...: the relay between the namespaces of
 * tests/unit/relay_bed.h, beside a direct connection, pasta and slirp4netns on the same path (the way to a server behind a veth).
 *
 *   direct       host -> server
 *   relay        edge -> relay in host -> server
 *   pasta        its namespace -> tap -> pasta in host -> server
 *   slirp4netns  the same with slirp4netns
 *
 * Output: "NAME direct relay pasta slirp4netns" with tabs, a dash for what is not here. -e: the relay on epoll.
 *
 *   stream-up, stream-down   bytes a second, one connection
 *   rr                       ns, one byte there and back on one connection
 *   connect                  ns, connect, one byte there and back, close
 *   many                     direct: KiB of the relay before; relay: with CONNECTIONS open and used; pasta: afterwards
 *   churn                    descriptors and KiB of the relay before and after CONNECTIONS connections, a second
 *   http                     requests a second: wrk, 64 connections, nginx
 */
#include <inttypes.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "bench.h"
#include "../tests/unit/relay_bed.h"

enum { SINK = 7001, SOURCE = 7002, ECHO = 7003, HTTP = 7080, SUBJECTS = 4 };
#define SERVER "203.0.113.5"

static double seconds = 3;
static int connections = 10000;
static const char *self;

static void *sink_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char *buf = malloc(1 << 18);

	while (buf != NULL && read(fd, buf, 1 << 18) > 0)
		;
	close(fd);
	free(buf);
	return NULL;
}

static void *source_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char *buf = calloc(1, 1 << 18);

	while (buf != NULL && write(fd, buf, 1 << 18) > 0)
		;
	close(fd);
	free(buf);
	return NULL;
}

struct service {
	int fd;
	void *(*one)(void *);
};

static void *serve(void *arg)
{
	struct service *s = arg;
	int c, on = 1;

	while ((c = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		spawn(s->one, (void *)(intptr_t)c);
	}
	return NULL;
}

/* Echo for thousands: one thread, epoll-free: level-triggered poll would be quadratic, so each answers in turn of readiness. */
#include <sys/epoll.h>
static void *echo_all(void *arg)
{
	int listener = *(int *)arg, ep = epoll_create1(EPOLL_CLOEXEC), on = 1;
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = listener }, got[256];
	char buf[4096];

	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
	while (true) {
		int n = epoll_wait(ep, got, 256, -1);

		for (int i = 0; i < n; i++) {
			int fd = got[i].data.fd;

			if (fd == listener) {
				fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
				if (fd < 0)
					continue;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
				ev = (struct epoll_event){ .events = EPOLLIN, .data.fd = fd };
				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
				continue;
			}
			ssize_t r = read(fd, buf, sizeof(buf));
			if (r <= 0 || write(fd, buf, (size_t)r) != r)
				close(fd);
		}
	}
	return NULL;
}

static int reach(uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage sa = addr_of(SERVER, port, &len);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, len) < 0)
		give_up("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static double stream(bool up)
{
	int fd = reach(up ? SINK : SOURCE);
	size_t size = 1 << 18;
	char *buf = calloc(1, size);
	uint64_t begin = 0, now, bytes = 0, start = now_ns();

	do {
		ssize_t n = up ? write(fd, buf, size) : read(fd, buf, size);

		now = now_ns();
		if (n <= 0)
			give_up("stream");
		if (begin == 0 && now - start > 300000000u) /* what buffers swallow does not count */
			begin = now;
		else if (begin != 0)
			bytes += (uint64_t)n;
	} while (begin == 0 || (double)(now - begin) < seconds * 1e9);
	close(fd);
	free(buf);
	return (double)bytes * 1e9 / (double)(now - begin);
}

static double rr(void)
{
	enum { N = 20000 };
	static uint64_t v[N];
	int fd = reach(ECHO), n = 0;
	uint64_t start = now_ns();
	char c = 'x';

	for (; n < N && (double)(now_ns() - start) < seconds * 1e9; n++) {
		uint64_t t = now_ns();

		if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
			give_up("rr");
		v[n] = now_ns() - t;
	}
	close(fd);
	return (double)median(v, (size_t)n);
}

static double connects(void)
{
	enum { N = 3000 };
	static uint64_t v[N];
	int n = 0;
	uint64_t start = now_ns();
	char c = 'x';

	for (; n < N && (double)(now_ns() - start) < seconds * 1e9; n++) {
		uint64_t t = now_ns();
		int fd = reach(ECHO);

		if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
			give_up("connect");
		v[n] = now_ns() - t;
		close(fd);
	}
	return (double)median(v, (size_t)n);
}

static double http(void)
{
	char cmd[256], line[512];
	double v = -1;

	snprintf(cmd, sizeof(cmd), "wrk -t1 -c64 -d%.0fs http://" SERVER ":%d/ 2>&1", seconds, HTTP);
	FILE *f = popen(cmd, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "Requests/sec: %lf", &v);
	if (f != NULL)
		pclose(f);
	if (v < 0)
		give_up("wrk");
	return v;
}

static double measure(const char *what)
{
	if (strcmp(what, "stream-up") == 0)
		return stream(true);
	if (strcmp(what, "stream-down") == 0)
		return stream(false);
	if (strcmp(what, "rr") == 0)
		return rr();
	if (strcmp(what, "http") == 0)
		return http();
	return connects();
}

/* Runs this program's client by CMD's namespace; -1: not here, or failed. */
static double subject(int which, const char *what)
{
	char cmd[1024];
	double v = -1;

	fflush(stdout);
	enter(which == 1 ? EDGE : HOST);
	switch (which) {
	case 2: /* It takes a SIGPIPE that was ignored before for a failure of its own, and what it runs outlives it where it fails. */
		snprintf(cmd, sizeof(cmd),
			 "timeout -k 1 %.0f env --default-signal=PIPE pasta %s --config-net -4 -f --quiet -- %s -s %g client %s "
			 ">%s/pasta 2>/dev/null; cat %s/pasta",
			 10 + 2 * seconds, getuid() == 0 ? "--runas 0:0" : "", self, seconds, what, bed.dir, bed.dir);
		break;
	case 3: /* the namespace waits for its tap */
		snprintf(cmd, sizeof(cmd),
			 "unshare --net --map-root-user --user -- sh -c 'echo $$ >%s/pid; while ! ip -o link show tap0 2>/dev/null | "
			 "grep -q UP; do sleep 0.1; done; sleep 0.5; %s -s %g client %s; touch %s/done' 2>/dev/null & "
			 "sleep 0.3; slirp4netns --configure --mtu=65520 $(cat %s/pid) tap0 >/dev/null 2>&1 & s=$!; "
			 "while [ ! -e %s/done ]; do sleep 0.1; kill -0 $s 2>/dev/null || break; done; rm -f %s/done; "
			 "kill $s 2>/dev/null; wait",
			 bed.dir, self, seconds, what, bed.dir, bed.dir, bed.dir, bed.dir);
		break;
	default:
		snprintf(cmd, sizeof(cmd), "%s -s %g client %s", self, seconds, what);
		break;
	}
	FILE *f = popen(cmd, "r");
	if (f == NULL || fscanf(f, "%lf", &v) != 1)
		v = -1;
	if (f != NULL)
		pclose(f);
	return v;
}

/* Processor time of the relay so far, ns: it says more than a rate where others work on the machine. */
static uint64_t relay_ns(void)
{
	char path[64];
	uint64_t ns = 0;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)bed.relay);
	FILE *f = fopen(path, "re");
	if (f == NULL || fscanf(f, "%" SCNu64, &ns) != 1)
		ns = 0;
	if (f != NULL)
		fclose(f);
	return ns;
}

static void row(const char *name)
{
	bool more = strncmp(name, "stream", 6) == 0 || strcmp(name, "http") == 0;
	double best[SUBJECTS] = { -1, -1, -1, -1 };

	/* In turn, and the best of three: what disturbs a round makes it worse, never better. */
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < SUBJECTS; i++) {
			bool there = i < 2 || system(i == 2 ? "command -v pasta >/dev/null" : "command -v slirp4netns >/dev/null") == 0;
			uint64_t cpu = relay_ns();
			double v = there ? subject(i, name) : -1;

			if (i == 1 && v > 0 && strncmp(name, "stream", 6) == 0)
				fprintf(stderr, "%s: relay %.2f s of processor time a GB\n", name,
					(double)(relay_ns() - cpu) / (v * (seconds + 0.3)));
			if (v >= 0 && (best[i] < 0 || (more ? v > best[i] : v < best[i])))
				best[i] = v;
		}
	printf("%s", name);
	for (int i = 0; i < SUBJECTS; i++)
		if (best[i] < 0)
			printf("\t-");
		else
			printf("\t%.0f", best[i]);
	printf("\n");
}

static void many(void)
{
	int *fd = calloc((size_t)connections, sizeof(int));
	long before = rss_kb(bed.relay);
	char c = 'x';

	enter(EDGE);
	for (int i = 0; i < connections; i++) {
		fd[i] = reach(ECHO);
		if (write(fd[i], &c, 1) != 1 || read(fd[i], &c, 1) != 1)
			give_up("many");
	}
	for (int i = 0; i < connections; i++) /* all at once */
		if (write(fd[i], &c, 1) != 1)
			give_up("many");
	for (int i = 0; i < connections; i++)
		if (read(fd[i], &c, 1) != 1)
			give_up("many");
	printf("many\t%ld\t%ld", before, rss_kb(bed.relay));
	for (int i = 0; i < connections; i++)
		close(fd[i]);
	sleep(1);
	printf("\t%ld\t-\n", rss_kb(bed.relay));
	free(fd);
}

static void churn(void)
{
	struct linger now = { .l_onoff = 1 };
	long kb = 0;
	unsigned int fds = 0;
	uint64_t start = 0;
	char c = 'x';

	enter(EDGE);
	for (int i = -2000; i < connections; i++) {
		if (i == 0) {
			fds = fds_of(bed.relay);
			kb = rss_kb(bed.relay);
			start = now_ns();
		}
		int fd = reach(ECHO);
		if (i % 4 != 0 && (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1))
			give_up("churn");
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* ports are few */
		close(fd);
	}
	uint64_t t = now_ns() - start;
	sleep(1);
	printf("churn\t%u fds %ld KiB\t%u fds %ld KiB\t%.0f\t-\n", fds, kb, fds_of(bed.relay), rss_kb(bed.relay),
	       (double)connections * 1e9 / (double)t);
}

static void nginx(void)
{
	char conf[256], text[2048];

	snprintf(text, sizeof(text),
		 "worker_processes 1; pid %s/nginx.pid; error_log /dev/null; events { worker_connections 1024; }\n"
		 "http { access_log off; keepalive_requests 1000000; server { listen " SERVER ":%d; "
		  "location / { return 200 'hello world'; } } }\n",
		 bed.dir, HTTP);
	snprintf(conf, sizeof(conf), "%s/nginx.conf", bed.dir);
	put_file(conf, text);
	enter(AWAY);
	if (!sh("nginx -c %s 2>/dev/null", conf))
		fprintf(stderr, "bench: no nginx here\n");
}

int main(int argc, char **argv)
{
	static const char *const all[] = { "stream", "rr", "connect", "many", "churn", "http" };
	static struct service s[2] = { { .one = sink_one }, { .one = source_one } };
	static const char *const rules[] = { SERVER ":7001-7080" };
	struct rlimit lim = { 200000, 200000 };
	static int echo;
	int opt;

	self = argv[0];
	signal(SIGPIPE, SIG_IGN);
	bed.cfg = RELAY_CONFIG_NULL;
	while ((opt = getopt(argc, argv, "+es:n:")) != -1) {
		if (opt == 'e')
			bed.cfg.epoll = true;
		else if (opt == 's')
			seconds = atof(optarg);
		else if (opt == 'n')
			connections = atoi(optarg);
		else
			return 2;
	}
	if (optind + 1 < argc && strcmp(argv[optind], "client") == 0) {
		printf("%f\n", measure(argv[optind + 1]));
		return 0;
	}
	(void)setrlimit(RLIMIT_NOFILE, &lim);
	const char *why = bed_make();
	if (why != NULL) {
		fprintf(stderr, "bench: %s\n", why);
		return 1;
	}
	bed_servers((const struct record[]){ { NULL, NULL, NULL } });
	enter(AWAY);
	(void)sh("sysctl -qw net.ipv4.ip_local_port_range='1024 65535' >/dev/null 2>&1");
	s[0].fd = server_at(AWAY, SERVER, SINK, SOCK_STREAM);
	s[1].fd = server_at(AWAY, SERVER, SOURCE, SOCK_STREAM);
	echo = server_at(AWAY, SERVER, ECHO, SOCK_STREAM);
	spawn(serve, &s[0]);
	spawn(serve, &s[1]);
	spawn(echo_all, &echo);
	enter(HOST);
	(void)sh("sysctl -qw net.ipv4.ip_local_port_range='1024 65535' >/dev/null 2>&1");
	enter(EDGE);
	(void)sh("sysctl -qw net.ipv4.ip_local_port_range='10000 65535' >/dev/null 2>&1");
	bed_start(rules, 1);
	static const uint16_t ports[] = { SINK, SOURCE, ECHO, HTTP };
	for (size_t i = 0; i < 4; i++)
		hand(bed.edge, RELAY_LISTEN_TCP, ports[i], server_at(EDGE, "::", ports[i], SOCK_STREAM));
	usleep(100000);
	for (int i = optind; i < (optind < argc ? argc : optind + 6); i++) {
		const char *what = optind < argc ? argv[i] : all[i - optind];

		if (strcmp(what, "stream") == 0) {
			row("stream-up");
			row("stream-down");
		} else if (strcmp(what, "many") == 0) {
			many();
		} else if (strcmp(what, "churn") == 0) {
			churn();
		} else if (strcmp(what, "http") == 0) {
			nginx();
			row("http");
			(void)sh("kill $(cat %s/nginx.pid) 2>/dev/null", bed.dir);
		} else {
			row(what);
		}
		fflush(stdout);
	}
	int status = bed_stop();
	if (status != 0)
		fprintf(stderr, "bench: the relay ended with %#x\n", (unsigned int)status);
	(void)sh("rm -rf %s", bed.dir);
	return status != 0;
}
