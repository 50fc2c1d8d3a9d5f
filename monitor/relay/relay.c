/*
 * The relay's life: start, confinement, its two channels. What the messages do is in ingress.c, udp.c, names.c; how bytes move in
 * conn.c; on what in loop.h.
 */
#include "monitor/relay/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/idle.h"
#include "monitor/launch.h"
#include "monitor/relay/relay_in.h"
#include "util/err.h"
#include "util/fd.h"

enum { BATCH = 64, OTHER_FDS = 512 };

static void fail(struct relay *r, int e)
{
	if (r->failed == 0)
		r->failed = e;
	loop_stop(r->loop);
}

/* ---- messages ---- */

static int add_rule(struct relay *r, const struct relay_msg *m)
{
	size_t n = net_policy_count(r->policy);
	struct net_text *texts = calloc(n + 1, sizeof(*texts));
	struct relay_msg answer = { .kind = RELAY_RULE_DONE, .id = m->id };
	struct net_policy *p = NULL;
	struct net_fault fault;
	int e = -ENOMEM;

	fault.text[0] = '\0';
	if (texts != NULL) {
		for (size_t i = 0; i < n; i++) {
			const struct net_rule *rule = net_policy_rule(r->policy, i);

			texts[i] = (struct net_text){ .text = rule->text, .origin = rule->origin };
		}
		texts[n] = (struct net_text){ .text = m->text, .origin = m->origin };
		e = net_policy_compile(texts, n + 1, &p, &fault);
	}
	if (e == 0) {
		struct net_policy *before = r->own;

		r->policy = r->own = p;
		(void)net_policy_free(before);
	} else {
		answer.err = -e;
		snprintf(answer.text, sizeof(answer.text), "%s", e == -EINVAL ? fault.text : "no memory");
	}
	free(texts); /* the old policy's strings were in it until here */
	return relay_send(r->monitor, &answer, NULL, 0);
}

static int finish(struct relay *r)
{
	struct relay_msg last = { .kind = RELAY_FINISHED };
	int flags = fcntl(r->monitor, F_GETFL);

	if (flags < 0 || fcntl(r->monitor, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return err_now();
	account_totals(&r->account);
	int e = relay_send(r->monitor, &last, NULL, 0);
	loop_stop(r->loop);
	return e;
}

/* Unix listeners of datagrams have nothing to accept. */
static int listen_unix(struct relay *r, const struct relay_msg *m, int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
		int e = err_now();

		(void)fd_close(fd);
		return e;
	}
	return type == SOCK_DGRAM ? unix_dgram(r, fd, m->id) : ingress_listen(r, m, fd);
}

/* -EPROTO: a message this channel does not carry. Other failures of one listener are not the end. */
static int handle(struct relay *r, bool monitor, const struct relay_msg *m, const int *fds, size_t n)
{
	if (m->kind <= RELAY_LISTEN_UNIX || m->kind == RELAY_PUBLISH || m->kind == RELAY_UNIX_TARGET) {
		if (n != 1 || (m->kind > RELAY_LISTEN_UNIX && !monitor))
			return -EPROTO;
	} else if (m->kind == RELAY_SOCKETS ? monitor || (m->family != AF_INET && m->family != AF_INET6) : n != 0) {
		return -EPROTO;
	}
	switch ((enum relay_kind)m->kind) {
	case RELAY_LISTEN_UDP:
		(void)udp_listen(r, m, fds[0]);
		return 0;
	case RELAY_DNS_UDP:
		(void)names_udp(r, fds[0], m->id == RELAY_GUARDED);
		return 0;
	case RELAY_LISTEN_TCP:
	case RELAY_DNS_TCP:
	case RELAY_LISTEN_HOST:
	case RELAY_PUBLISH:
		(void)ingress_listen(r, m, fds[0]);
		return 0;
	case RELAY_LISTEN_UNIX:
		(void)listen_unix(r, m, fds[0]);
		return 0;
	case RELAY_UNIX_TARGET:
		(void)ingress_unix_target(r, m->id, fds[0]);
		return 0;
	case RELAY_SOCKETS:
		ingress_sockets(r, m, fds, n);
		return 0;
	case RELAY_ADD_RULE:
		return monitor ? add_rule(r, m) : -EPROTO;
	case RELAY_FINISH:
		return monitor ? finish(r) : -EPROTO;
	case RELAY_DIAL:
		if (monitor || (m->family != AF_INET && m->family != AF_INET6))
			return -EPROTO;
		ingress_dial(r, m);
		return 0;
	case RELAY_DIAL_CANCEL:
		if (monitor)
			return -EPROTO;
		ingress_dial_cancel(r, m->id);
		locate_cancel(r, m->id);
		return 0;
	case RELAY_LOCATE:
		if (monitor || (m->family != AF_INET && m->family != AF_INET6))
			return -EPROTO;
		locate(r, m);
		return 0;
	case RELAY_EXPECT:
		if (monitor)
			return -EPROTO;
		names_expect(r, m);
		return 0;
	case RELAY_NONE:
	case RELAY_EVENT:
	case RELAY_RULE_DONE:
	case RELAY_TOTAL:
	case RELAY_FINISHED:
	case RELAY_WANT_UNIX:
	case RELAY_DIALLED:
	case RELAY_WANT_SOCKETS:
	case RELAY_HAND:
		return -EPROTO;
	}
	return -EPROTO;
}

/* Returns false where nothing more comes. */
static bool serve(struct relay *r, bool monitor)
{
	int fd = monitor ? r->monitor : r->edge;

	for (int i = 0; i < BATCH && r->failed == 0; i++) {
		struct relay_msg m;
		int fds[RELAY_FDS];
		size_t n = 0;
		int e = relay_recv(fd, MSG_DONTWAIT, &m, fds, &n);

		if (e == -EAGAIN)
			return true;
		if (e == 0 || e == -ECONNRESET)
			return false;
		if (e == 1) {
			e = handle(r, monitor, &m, fds, n);
			for (size_t k = 0; e == -EPROTO && k < n; k++)
				(void)fd_close(fds[k]);
		}
		if (e < 0) {
			fail(r, e);
			return false;
		}
	}
	return true;
}

void relay_drain_edge(struct relay *r)
{
	if (r->edge >= 0)
		(void)serve(r, false); /* its end is noticed by from_edge() */
}

static void from_monitor(struct act *act, int res, struct chunk *c)
{
	struct relay *r = container(act, struct relay, monitor_act);

	(void)c;
	if (res < 0 || !serve(r, true))
		loop_stop(r->loop);
	else
		loop_poll(r->loop, act, r->monitor, POLLIN);
}

static void from_edge(struct act *act, int res, struct chunk *c)
{
	struct relay *r = container(act, struct relay, edge_act);

	(void)c;
	if (res >= 0 && serve(r, false)) {
		loop_poll(r->loop, act, r->edge, POLLIN);
		return;
	}
	(void)loop_close(r->loop, r->edge);
	r->edge = -1;
}

static void ticked(struct timer *t)
{
	struct relay *r = container(t, struct relay, tick);

	if (account_tick(&r->account))
		(void)loop_timer(r->loop, t, 1000);
	ingress_tick(r);
}

static void rate_ticked(struct timer *t)
{
	conn_resume(container(t, struct relay, rate));
}

/* ---- life ---- */

/* As many descriptors as it takes, or fewer connections. */
static uint32_t most_connections(uint32_t wanted)
{
	struct rlimit lim;
	uint32_t most = wanted == 0 || wanted > RELAY_MOST_CONNECTIONS ? RELAY_MOST_CONNECTIONS : wanted;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return most < 128 ? most : 128;
	lim.rlim_cur = lim.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur < OTHER_FDS + 2ull * most)
		most = lim.rlim_cur > OTHER_FDS + 32 ? (uint32_t)(lim.rlim_cur - OTHER_FDS) / 2 : 16;
	return most;
}

static uint64_t or_else(uint32_t v, uint64_t otherwise)
{
	return v != 0 ? v : otherwise;
}

static int non_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? err_now() : 0;
}

static void clear(struct relay *r)
{
	/* Nothing is called back any more, and the kernel writes nowhere but into the pool, which goes with the ring. */
	struct loop *l = r->loop;

	conn_free_all(r);
	udp_free(r);
	names_free(r);
	locate_free(r);
	ingress_free(r);
	(void)resolver_free(r->resolver);
	(void)loop_free(l);
	(void)synth_free(r->synth);
	account_clear(&r->account);
	(void)net_policy_free(r->own);
}

int relay_main(const struct relay_config *cfg, bool confine)
{
	struct relay *r = calloc(1, sizeof(*r));
	int e;

	if (r == NULL)
		return -ENOMEM;
	r->cfg = cfg;
	r->policy = cfg->policy;
	r->monitor = cfg->monitor;
	r->edge = cfg->edge;
	r->connect_ms = or_else(cfg->connect_ms, CONNECT_MS);
	r->idle_ms = or_else(cfg->idle_ms, IDLE_MS);
	r->udp_idle_ms = or_else(cfg->udp_idle_ms, UDP_IDLE_MS);
	r->most = most_connections(cfg->limits.connections);
	r->tick.fire = ticked;
	r->rate.fire = rate_ticked;
	(void)proxies_read(cfg->https_proxy, cfg->http_proxy, cfg->no_proxy, &r->proxies);
	account_init(&r->account, r->monitor, &cfg->limits);
	e = resolver_new(cfg->hosts != NULL ? cfg->hosts : "/etc/hosts",
			 cfg->resolv_conf != NULL ? cfg->resolv_conf : "/etc/resolv.conf", &r->resolver);
	if (e == 0 && ((r->synth = synth_new()) == NULL || (r->loop = loop_new(cfg->epoll)) == NULL))
		e = -ENOMEM;
	if (e == 0 && (e = non_blocking(r->monitor)) == 0 && r->edge >= 0)
		e = non_blocking(r->edge);
	if (e == 0 && confine) {
		idle_drop_pages(); /* what the start alone needed */
		e = relay_confine();
	}
	if (e == 0) {
		r->account.loop = r->loop;
		r->account.tick = &r->tick;
		resolver_attach(r->resolver, r->loop);
		r->monitor_act.done = from_monitor;
		r->edge_act.done = from_edge;
		loop_poll(r->loop, &r->monitor_act, r->monitor, POLLIN);
		if (r->edge >= 0)
			loop_poll(r->loop, &r->edge_act, r->edge, POLLIN);
		e = loop_run(r->loop);
		if (e == 0)
			e = r->failed;
	}
	if (!confine) /* a process that ends needs no tidying */
		clear(r);
	free(r);
	return e;
}

static _Noreturn void child(const struct relay_config *cfg)
{
	static const int ignored[] = { SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE };
	int keep[] = { cfg->monitor, cfg->edge, cfg->credential };

	/* What the user's terminal sends to the monitor's group is for the monitor. */
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)prctl(PR_SET_NAME, "gabion: relay", 0, 0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		_exit(1);
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || (fd != cfg->monitor && fd != cfg->edge && fd != cfg->credential && dup2(null, fd) < 0))
			_exit(1);
	if (launch_close_all_but(keep, ARRAY_LEN(keep)) < 0)
		_exit(1);
	null = -1;
	_exit(relay_main(cfg, true) < 0 ? 1 : 0);
}

int relay_start(const struct relay_config *cfg, pid_t *ret_pid)
{
	pid_t pid = fork();

	if (pid == 0)
		child(cfg);
	if (pid < 0)
		return err_now();
	*ret_pid = pid;
	return 0;
}
