/*
 * The relay and its channels, from the monitor's side: see network.h. Listeners on the host and the host's Unix sockets are
 * opened here, with the rights of whoever started the run; the relay opens nothing.
 *
 * What the relay tells becomes records like the sentry's: of no thread, since what arrives at the edge has none.
 */
#include "monitor/network.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/relay/relay.h"
#include "plan.h"
#include "nr.h"
#include "util/err.h"
#include "util/fd.h"

enum { NAMES_TRIES = 32, ANSWER_MS = 2000, BACKLOG = 128, BATCH = 64 };

/* One port for both, on the host's loopback: nobody but this run's guest is answered there (relay/names.c). */
static int names_sockets(struct network *n)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int r = -EADDRINUSE;

	for (int i = 0; r == -EADDRINUSE && i < NAMES_TRIES; i++) {
		AUTO_FD int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		AUTO_FD int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		socklen_t len = sizeof(sa);

		sa.sin_port = 0;
		r = udp < 0 || tcp < 0 || bind(udp, (struct sockaddr *)&sa, len) < 0 ||
				    getsockname(udp, (struct sockaddr *)&sa, &len) < 0 ||
				    bind(tcp, (struct sockaddr *)&sa, len) < 0 || listen(tcp, BACKLOG) < 0
			    ? err_now()
			    : 0;
		if (r < 0)
			continue;
		n->names_port = ntohs(sa.sin_port);
		n->names[0] = fd_steal(&udp);
		n->names[1] = fd_steal(&tcp);
	}
	return r;
}

static int hand_names(struct network *n)
{
	struct relay_msg m = {.kind = RELAY_DNS_UDP, .id = RELAY_GUARDED, .family = AF_INET, .port = n->names_port};
	int r = relay_send(n->channel, &m, &n->names[0], 1);

	m.kind = RELAY_DNS_TCP;
	if (r == 0)
		r = relay_send(n->channel, &m, &n->names[1], 1);
	n->names[0] = fd_close(n->names[0]);
	n->names[1] = fd_close(n->names[1]);
	return r;
}

int network_open(struct network *n, bool spaces)
{
	int a[2], b[2];

	network_close(n, NULL);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, a) < 0)
		return err_now();
	n->channel = a[0];
	n->relay_end = a[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, b) < 0)
		return err_now();
	n->edge = b[0];
	n->relay_edge = b[1];
	n->names_port = 0;
	return spaces ? 0 : names_sockets(n);
}

static const char *variable(const char *upper, const char *lower)
{
	const char *v = getenv(lower);

	return v && *v ? v : getenv(upper);
}

static int publish(struct network *n, const struct network_publish *p)
{
	struct relay_msg m = {.kind = RELAY_PUBLISH, .id = ++n->last_id, .family = AF_INET, .port = p->guest, .proto = IPPROTO_TCP,
			      .addr = {127, 0, 0, 1}};
	struct sockaddr_storage sa;
	socklen_t len = net_address_sockaddr(&p->address, p->host, &sa);
	int one = 1;
	AUTO_FD int fd = socket(p->address.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return err_now();
	return relay_send(n->channel, &m, &fd, 1);
}

static int unix_target(struct network *n, const struct network_unix *u, uint32_t id)
{
	struct relay_msg m = {.kind = RELAY_UNIX_TARGET, .id = id};
	AUTO_FD int fd = open(u->source, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_now() : relay_send(n->channel, &m, &fd, 1);
}

int network_start(struct network *n, const struct network_rules *rules, bool spaces, const struct credential_list *credentials,
		  int *credential_end)
{
	struct relay_config cfg = RELAY_CONFIG_NULL;
	AUTO_FD int six = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	if (n->pid > 0)
		return 0;
	cfg.policy = rules->policy;
	cfg.monitor = n->relay_end;
	cfg.edge = n->relay_edge;
	cfg.https_proxy = variable("HTTPS_PROXY", "https_proxy");
	/* Upper case could be a header of a CGI program's: curl does not take it either. */
	cfg.http_proxy = getenv("http_proxy");
	cfg.no_proxy = variable("NO_PROXY", "no_proxy");
	cfg.ipv6 = six >= 0;
	cfg.credentials = credentials->n > 0 ? credentials : NULL;
	cfg.credential = *credential_end;
	r = relay_start(&cfg, &n->pid);
	*credential_end = fd_close(*credential_end);
	n->relay_end = fd_close(n->relay_end);
	n->relay_edge = fd_close(n->relay_edge);
	n->rules = rules;
	if (r == 0 && n->names[0] >= 0)
		r = hand_names(n);
	for (size_t i = 0; r == 0 && i < rules->socket_count; i++)
		r = unix_target(n, &rules->sockets[i], (uint32_t)i);
	for (size_t i = 0; spaces && r == 0 && i < rules->published_count; i++)
		r = publish(n, &rules->published[i]);
	return r;
}

void network_launched(struct network *n)
{
	n->edge = fd_close(n->edge);
}

static void put(struct record *r, size_t at, const char *text, size_t len, uint16_t *ret_len)
{
	memcpy(r->object + at, text, len);
	*ret_len = (uint16_t)len;
}

/* Is EVENT a refusal, by the rules or by a limit? */
static bool is_refusal(unsigned int event)
{
	return event == RELAY_EV_NAME_REFUSED || event == RELAY_EV_REFUSED || event == RELAY_EV_ADDRESS_REFUSED ||
	       event == RELAY_EV_LIMIT;
}

static void record(struct audit *a, const struct relay_msg *m)
{
	char text[RELAY_TEXT + 16];
	struct record r = {.nr = m->proto == IPPROTO_UDP ? NR_sendto : NR_connect,
			   .rule = UINT32_MAX,
			   .op = OP_CONNECT,
			   .level = LEVEL_EMULATE,
			   .comm = "gabion: relay"};
	struct timespec now;
	int len;

	clock_gettime(CLOCK_REALTIME, &now);
	r.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	if (m->event == RELAY_EV_NAME_REFUSED || m->port == 0)
		len = snprintf(text, sizeof(text), "%.*s", RELAY_TEXT - 1, m->text);
	else
		len = snprintf(text, sizeof(text), strchr(m->text, ':') ? "[%.*s]:%u%s" : "%.*s:%u%s", RELAY_TEXT - 1, m->text, m->port,
			       m->proto == IPPROTO_UDP ? "/udp" : "");
	put(&r, 0, text, (size_t)len, &r.object_len);
	if (is_refusal(m->event)) {
		r.flags = RECORD_REFUSED;
		r.result = m->event == RELAY_EV_NAME_REFUSED ? -ENOENT : -(m->err > 0 ? m->err : EACCES);
	} else if (m->event == RELAY_EV_FAILED || m->event == RELAY_EV_UNRESOLVED) {
		r.flags = RECORD_FAILED;
		r.result = -(m->err > 0 ? m->err : EHOSTUNREACH);
	}
	if (m->event == RELAY_EV_ADDRESS_REFUSED)
		put(&r, r.object_len, m->origin, strnlen(m->origin, RELAY_TEXT), &r.object2_len);
	audit_add(a, &r);
}

static void total(struct audit *a, const struct relay_msg *m)
{
	audit_traffic(a, &(struct audit_traffic){.host = m->text,
						 .port = m->port,
						 .udp = m->proto == IPPROTO_UDP,
						 .connections = m->connections,
						 .sent = m->bytes_up,
						 .received = m->bytes_down,
						 .refused = m->count});
}

/* 0: taken; 1: nothing more is there; negative: no message for us. */
static int take(struct network *n, struct audit *a, int flags, struct relay_msg *ret_m)
{
	int fds[RELAY_FDS];
	size_t count = 0;
	int r = relay_recv(n->channel, flags, ret_m, fds, &count);

	if (r == -EAGAIN || r == -EINTR)
		return 1;
	if (r != 1 || count != 0)
		return r < 0 ? r : r == 0 ? -ECONNRESET : -EPROTO;
	switch (ret_m->kind) {
	case RELAY_EVENT:
		if (a)
			record(a, ret_m);
		return 0;
	case RELAY_TOTAL:
		if (a)
			total(a, ret_m);
		return 0;
	case RELAY_WANT_UNIX: /* its socket was made anew; where there is none yet the relay asks again */
		if (n->rules && ret_m->id < n->rules->socket_count)
			(void)unix_target(n, &n->rules->sockets[ret_m->id], ret_m->id);
		return 0;
	case RELAY_RULE_DONE:
	case RELAY_FINISHED:
		return 0;
	default:
		return -EPROTO;
	}
}

int network_serve(struct network *n, struct audit *a)
{
	struct relay_msg m;
	int r = 0;

	/* A flood must not hold the monitor. */
	for (int i = 0; r == 0 && i < BATCH; i++)
		r = take(n, a, MSG_DONTWAIT, &m);
	return r < 0 ? r : 0;
}

/* Waits for a message of KIND, taking others on the way. */
static int await(struct network *n, struct audit *a, enum relay_kind kind, struct relay_msg *ret_m)
{
	struct pollfd p = {.fd = n->channel, .events = POLLIN};

	for (;;) {
		int r = poll(&p, 1, ANSWER_MS);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? err_now() : -ETIMEDOUT;
		r = take(n, a, MSG_DONTWAIT, ret_m);
		if (r < 0)
			return r;
		if (r == 0 && ret_m->kind == kind)
			return 0;
	}
}

int network_allow(struct network *n, struct audit *a, const char *rule, const char *origin, const char **ret_text)
{
	static char fault[RELAY_TEXT];
	struct relay_msg m = {.kind = RELAY_ADD_RULE, .id = ++n->last_id};
	struct relay_msg answer;
	int r;

	(void)snprintf(m.text, sizeof(m.text), "%s", rule);
	(void)snprintf(m.origin, sizeof(m.origin), "%s", origin);
	*ret_text = "the relay did not take the rule";
	r = strlen(rule) >= sizeof(m.text) ? -EMSGSIZE : relay_send(n->channel, &m, NULL, 0);
	if (r == 0)
		r = await(n, a, RELAY_RULE_DONE, &answer);
	if (r < 0)
		return r;
	if (answer.err != 0) {
		(void)snprintf(fault, sizeof(fault), "%s", answer.text);
		*ret_text = fault;
	}
	return -answer.err;
}

int network_publish(struct network *n, const char *text, const char **ret_text)
{
	struct network_publish p;
	int r = network_publish_parse(text, &p, ret_text);

	if (r < 0)
		return r;
	r = publish(n, &p);
	*ret_text = r == -EADDRINUSE ? "that port of this host is in use"
			    : r < 0	 ? "the port could not be opened"
					 : "published from now on";
	return r;
}

static int reap(pid_t pid, int flags)
{
	int r;

	do {
		r = (int)waitpid(pid, NULL, flags);
	} while (r < 0 && errno == EINTR);
	return r;
}

void network_close(struct network *n, struct audit *a)
{
	struct relay_msg m = {.kind = RELAY_FINISH};

	if (n->pid > 0 && relay_send(n->channel, &m, NULL, 0) == 0)
		(void)await(n, a, RELAY_FINISHED, &m);
	n->channel = fd_close(n->channel);
	n->relay_end = fd_close(n->relay_end);
	n->relay_edge = fd_close(n->relay_edge);
	n->edge = fd_close(n->edge);
	n->names[0] = fd_close(n->names[0]);
	n->names[1] = fd_close(n->names[1]);
	if (n->pid > 0) {
		kill(n->pid, SIGKILL);
		(void)reap(n->pid, 0);
	}
	n->pid = -1;
	n->rules = NULL;
}
