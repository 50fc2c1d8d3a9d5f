/*
 * The sentry's main. The calling thread becomes the receiver; one more waits on the control socket for rules
 * to be added while the run goes on, and for the monitor's end, which is ours.
 *
 * A policy is immutable: adding a rule compiles a new one and swaps the pointer. The old one stays, because
 * calls in flight are judged by it and records name its rules; people widen a run a few times, not a million.
 *
 * Syscalls: openat, recvfrom, sendto, exit_group.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sentry.h"
#include "sentry/confine.h"
#include "sentry/handle.h"
#include "sentry/hidden_links.h"
#include "sentry/listeners.h"
#include "sentry/net_edge.h"
#include "sentry/net_off.h"
#include "sentry/net_unix.h"
#include "sentry/pool.h"
#include "sentry/tally.h"
#include "sentry/trace.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	CONTROL_STACK = 256 * 1024,
	EXIT_LOST = 1, /* the monitor is gone or talks nonsense */
};

struct control {
	struct sentry *s;
	struct policy_builder *rules;
	int fd;
};

static int add_rule(struct control *k, const struct sentry_msg *msg)
{
	struct policy *p;
	int r;

	r = policy_builder_add(k->rules, (enum rule_kind)msg->rule_kind, msg->pattern, msg->origin);
	if (r < 0)
		return r;
	r = policy_compile(k->rules, &p);
	if (r < 0)
		return r;
	__atomic_store_n(&k->s->policy, p, __ATOMIC_RELEASE);
	return 0;
}

static int add(struct control *k, const struct sentry_msg *msg)
{
	if (msg->kind == SENTRY_MSG_ADD_RULE)
		return add_rule(k, msg);
	return k->s->edge ? net_edge_add(k->s->edge, msg->pattern, msg->origin) : -EOPNOTSUPP;
}

static bool is_sane(const struct sentry_msg *msg)
{
	bool rule = msg->kind == SENTRY_MSG_ADD_RULE && msg->rule_kind > RULE_NONE &&
		    msg->rule_kind < RULE_KIND_COUNT;

	return (rule || msg->kind == SENTRY_MSG_ADD_NET) &&
	       memchr(msg->pattern, '\0', sizeof(msg->pattern)) != NULL &&
	       memchr(msg->origin, '\0', sizeof(msg->origin)) != NULL;
}

/* No repair of a broken peer: what is not a whole, sane message ends the run. */
static void *control_loop(void *arg)
{
	struct control *k = arg;
	struct sentry_msg msg;
	ssize_t n;

	(void)pool_thread_start();
	for (;;) {
		n = recv(k->fd, &msg, sizeof(msg), MSG_TRUNC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(msg) || !is_sane(&msg))
			_exit(EXIT_LOST);
		msg = (struct sentry_msg){ .kind = SENTRY_MSG_DONE, .value = add(k, &msg) };
		if (send(k->fd, &msg, sizeof(msg), MSG_NOSIGNAL) != (ssize_t)sizeof(msg))
			_exit(EXIT_LOST);
	}
	return NULL;
}

static int control_start(struct control *k)
{
	pthread_attr_t attr;
	pthread_t t;
	int r;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, CONTROL_STACK);
	r = pthread_create(&t, &attr, control_loop, k);
	(void)pthread_attr_destroy(&attr);
	return -r;
}

/*
 * The terminal's signals are for the guest and the monitor; a limit on file sizes or a closed socket makes
 * the guest's call fail, not us.
 */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE, SIGXFSZ };

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
}

/* Where a hidden file's other names could not all be found, the record says so. */
static int index_links(struct sentry *s, const struct sentry_config *cfg)
{
	static const char text[] = "other names of hidden files: not all files were looked at";
	struct hidden_links *links = cfg->links;
	struct record rec;
	bool cut = cfg->links_cut;
	int r = cfg->links_made ? 0 : hidden_links_index(s->policy, s->root_fd, &links, &cut);

	if (r < 0)
		return r;
	s->links = links;
	if (!cut || s->ring == NULL)
		return 0;
	memset(&rec, 0, sizeof(rec));
	rec.nr = -1;
	rec.result = -E2BIG;
	rec.flags = RECORD_REFUSED | RECORD_INTERNAL;
	rec.rule = UINT32_MAX;
	rec.op = OP_READ;
	rec.object_len = sizeof(text) - 1;
	memcpy(rec.object, text, sizeof(text) - 1);
	(void)record_put(s->ring, &rec);
	return 0;
}

int sentry_run(const struct sentry_config *cfg)
{
	static struct sentry s;
	static struct control k;
	int r;

	ignore_signals();
	s = (struct sentry){
		.proc_fd = cfg->proc_fd,
		.fds_fd = openat(cfg->proc_fd, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.init = cfg->init,
		.policy = cfg->policy,
		.plan = cfg->plan,
		.ring = cfg->ring,
		.stacks = cfg->stacks,
		.reads_all = cfg->reads_all,
		.memfd_exec = cfg->memfd_exec,
	};
	if (s.fds_fd < 0 || s.root_fd < 0)
		return err_now();
	r = mech_notify_new(cfg->listener, &s.mech);
	if (r == 0)
		r = pool_new(&s, &s.pool);
	if (r == 0)
		r = index_links(&s, cfg);
	if (r == 0 && cfg->net)
		r = net_edge_new(cfg->relay, cfg->keeper, cfg->names_port, cfg->net, &s.edge);
	if (r == 0 && cfg->net && cfg->socket_count > 0)
		r = net_unix_start(cfg->sockets, cfg->socket_count, cfg->relay);
	if (r == 0 && cfg->names >= 0)
		r = net_off_start(&s, cfg->names);
	if (r == 0 && cfg->tracer >= 0)
		r = trace_new(&s, cfg->tracer, &s.trace);
	k = (struct control){ .s = &s, .rules = cfg->rules, .fd = cfg->control };
	if (r == 0 && cfg->control >= 0)
		r = control_start(&k);
	if (r == 0)
		r = tally_start(&s, cfg->count_memory, cfg->count_pids);
	if (r == 0 && cfg->listeners >= 0)
		r = listeners_start(&s, cfg->listeners);
	(void)malloc_trim(0); /* what the start took */
	if (r == 0)
		r = confine(s.plan->level[PLAN_RING] == LEVEL_EMULATE);
	if (r == 0)
		r = handle_loop(&s);
	if (r == 0 && cfg->listeners >= 0)
		listeners_wait();
	/*
	 * Helpers may still be at calls of callers that are gone, and the control thread waits: nothing they use is
	 * freed or closed. The process is to end now; that closes the listener, which answers whoever is left with
	 * ENOSYS.
	 */
	return r;
}
