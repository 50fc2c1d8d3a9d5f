/*
 * One run from the monitor's side: prepare, build the floor (the largest this host gives), relay terminal,
 * signals and time, write the record, end with the command's status.
 *
 * The end of a run is always the same: the sentry is killed, with it its pid namespaces; without them every
 * descendant is looked for. The order at the end matters: first nothing of the guest runs, then the terminal
 * is flushed and restored, then the summary.
 */
#include "monitor/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/audit.h"
#include "monitor/cli.h"
#include "monitor/control.h"
#include "monitor/credential/holder.h"
#include "monitor/idle.h"
#include "monitor/isolate.h"
#include "monitor/launch.h"
#include "monitor/network.h"
#include "monitor/notice.h"
#include "policy/lang.h"
#include "monitor/prepare.h"
#include "monitor/state.h"
#include "monitor/terminal.h"
#include "monitor/unwinder.h"
#include "monitor/widen.h"
#include "sentry.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	GRACE_MS = 500, /* between the signal forwarded to the command and the end of the tree */
	FLUSH_MS = 500,
	STACKS_MS = 1500, /* for the stacks of the last refusals, at the end */
	STACKS_TRIES = 50,
	RING_REFUSED = 128 << 10,
	RING_OTHER = 256 << 10,
};

struct run {
	const struct run_options *o;
	struct prepared p;
	struct launched l;
	struct terminal_look look;
	struct terminal *terminal;
	struct record_ring *ring;
	struct audit *audit;
	struct control *control;
	struct cgroup *cgroup;
	struct idle relay; /* where there is no network */
	struct network net;
	struct credential_process keys;
	uint64_t key_uses, key_refusals; /* requests with a credential; refused ones */
	bool keys_lost;
	struct unwinder unwinder;
	struct sock_fprog self; /* the monitor's own filter */
	int early, listed;      /* what became of meanwhile() */
	char *dir; /* of the run */
	char id[32];
	int sigfd, timer;
	bool over;
	int status;    /* exit status once over */
	int killed_by; /* signal that ended gabion, 0 */
	bool timed_out;
};

static void finish(struct run *r, int status)
{
	if (!r->over)
		r->status = status;
	r->over = true;
}

static void arm(struct run *r, uint64_t ms)
{
	struct itimerspec t = {
		.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000}};
	if (ms == 0)
		t.it_value.tv_nsec = 1;
	(void)timerfd_settime(r->timer, 0, &t, NULL);
}

static void to_init(struct run *r, enum init_msg_kind kind, int value)
{
	struct init_msg m = {.kind = kind, .value = value};
	(void)!send(r->l.init, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The command stopped: stop as a job of the user's shell would, and go on when it does. */
static void suspend(struct run *r)
{
	sigset_t tstp, old;

	if (r->terminal != NULL)
		terminal_suspend(r->terminal);
	sigemptyset(&tstp);
	sigaddset(&tstp, SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &tstp, &old);
	/* Ctrl-Z is for the whole pipeline, and was taken from it where we have the keyboard. Returns when
	 * continued, or at once where our group is an orphan and nobody could continue it. */
	kill(r->terminal != NULL ? 0 : getpid(), SIGTSTP);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (r->terminal != NULL)
		terminal_resume(r->terminal);
	to_init(r, INIT_MSG_SIGNAL, SIGCONT);
}

static int exit_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static void from_init(struct run *r)
{
	struct init_msg m;
	ssize_t n = recv(r->l.init, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(m)) {
		if (r->killed_by == 0 && !r->timed_out && r->cgroup == NULL)
			cli_error("the record of the run may say more: gabion log",
				  "the guest's first process ended unexpectedly");
		finish(r, r->cgroup != NULL ? 128 + SIGKILL : EXIT_GABION);
		return;
	}
	switch ((enum init_msg_kind)m.kind) {
	case INIT_MSG_STARTED:
		break;
	case INIT_MSG_EXEC_FAILED: {
		bool missing = m.value == ENOENT || m.value == ENOTDIR;
		cli_error(notice_exec_hint(r->p.argv.v[0], m.value, &r->p.places), "%s: %s", r->p.argv.v[0],
			  missing ? "not found" : strerror(m.value));
		finish(r, missing ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
		break;
	}
	case INIT_MSG_STOPPED:
		suspend(r);
		break;
	case INIT_MSG_EXITED:
		finish(r, exit_status(m.value));
		break;
	case INIT_MSG_PIDS_MET:
		record_limit_met(r->ring, RECORD_LIMIT_PIDS);
		break;
	case INIT_MSG_NONE:
	case INIT_MSG_SIGNAL:
	case INIT_MSG_HANGUP:
		finish(r, EXIT_GABION);
		break;
	}
}

/* The first such signal is the command's chance to end by itself; the second, or the end of the grace time,
 * is the end. */
static void deadly(struct run *r, int sig)
{
	if (r->killed_by != 0 || r->timed_out) {
		finish(r, 128 + sig);
		return;
	}
	r->killed_by = sig;
	if (sig == SIGHUP)
		to_init(r, INIT_MSG_HANGUP, 0);
	else
		to_init(r, INIT_MSG_SIGNAL, sig);
	arm(r, GRACE_MS);
}

static void on_signal(struct run *r)
{
	struct signalfd_siginfo si;

	if (read(r->sigfd, &si, sizeof(si)) != sizeof(si))
		return;
	switch (si.ssi_signo) {
	case SIGTERM:
	case SIGINT:
	case SIGHUP:
	case SIGQUIT:
		deadly(r, (int)si.ssi_signo);
		break;
	case SIGWINCH:
		if (r->terminal != NULL)
			terminal_resize(r->terminal);
		break;
	case SIGTSTP:
		to_init(r, INIT_MSG_SIGNAL, SIGTSTP);
		break;
	case SIGCONT:
		if (r->terminal != NULL)
			terminal_resume(r->terminal);
		to_init(r, INIT_MSG_SIGNAL, SIGCONT);
		break;
	case SIGUSR1:
	case SIGUSR2:
		to_init(r, INIT_MSG_SIGNAL, (int)si.ssi_signo);
		break;
	default:
		break;
	}
}

static void on_timer(struct run *r)
{
	uint64_t n;

	(void)!read(r->timer, &n, sizeof(n));
	if (r->killed_by != 0) {
		finish(r, 128 + r->killed_by);
	} else if (r->timed_out) {
		finish(r, EXIT_TIMEOUT);
	} else {
		r->timed_out = true;
		to_init(r, INIT_MSG_SIGNAL, SIGTERM);
		arm(r, GRACE_MS);
	}
}

static void start_unwinder(struct run *r)
{
	if (r->o->audit_stacks == AUDIT_OFF)
		return;
	int e = unwinder_start(fd_steal(&r->l.snapshots), r->l.userns, r->l.mntns, &r->p.ids, &r->unwinder);
	if (e < 0 && !r->o->quiet)
		fprintf(stderr, "gabion: no stacks are recorded: %s\n",
			e == -ENOENT ? "libunwind is not installed" : strerror(-e));
}

/* Writes the stacks that are there. One that talks nonsense, or is gone, is listened to no more. */
static void take_stacks(struct run *r)
{
	static struct unwind_stack s;
	int e;

	while ((e = unwinder_take(&r->unwinder, &s)) == 0)
		audit_stack(r->audit, &s);
	if (e != -EAGAIN)
		unwinder_stop(&r->unwinder);
}

/* The tracer is gone: what it has given to the unwinder is still to come. */
static void last_stacks(struct run *r)
{
	for (int i = 0; r->unwinder.results >= 0 && i < STACKS_TRIES; i++) {
		struct pollfd p = {.fd = r->unwinder.results, .events = POLLIN};
		if (poll(&p, 1, STACKS_MS / STACKS_TRIES) > 0)
			take_stacks(r);
	}
	unwinder_stop(&r->unwinder);
}

/*
 * What the credential process tells goes into the record. Its end is the end of its connections, now and from now on, and the run goes
 * on: nothing that needs a value gets through.
 */
static void take_keys(struct run *r)
{
	struct credential_msg m;
	int e;

	while ((e = credential_next(&r->keys, &m)) == 1) {
		const struct credential_rule *c = m.credential < r->o->credentials.n ? &r->o->credentials.v[m.credential] : NULL;

		r->key_uses += m.event == CREDENTIAL_EV_USED;
		r->key_refusals += m.event == CREDENTIAL_EV_REFUSED || m.event == CREDENTIAL_EV_EXFILTRATION;
		audit_credential(r->audit, &m, c ? c->name : NULL, c ? c->origin : NULL);
	}
	if (e == 0)
		return;
	r->keys_lost = true;
	r->keys.channel = fd_close(r->keys.channel);
	if (!r->o->quiet && !r->over)
		fprintf(stderr, "gabion: the process that holds the credentials ended: requests to their hosts fail from now on\n");
}

/* The values, before anything of the run exists: none of its processes but one ever has them. */
static int start_keys(struct run *r)
{
	struct credential_values v = CREDENTIAL_VALUES_NULL;
	const char *why = NULL;
	char *text = NULL;
	int e;

	if (r->o->credentials.n == 0)
		return 0;
	e = credential_collect(&r->o->credentials, &v, &text);
	if (e < 0) {
		cli_error(NULL, "%s", text ? text : strerror(-e));
		free(text);
		return e;
	}
	/* The guest's variables: those that were not in the environment are from here on. */
	for (size_t i = 0; e == 0 && i < v.n; i++)
		if (setenv(v.v[i].rule->name, v.v[i].placeholder, 1) < 0)
			e = err_now();
	if (e == 0)
		e = credential_start(&r->o->credentials, &v, &r->keys, &why);
	else
		credential_values_free(&v);
	if (e < 0)
		cli_error(NULL, "credentials: %s: nothing was run", why ? why : strerror(-e));
	return e;
}

static void loop(struct run *r)
{
	while (!r->over) {
		enum { SIG, INIT, SENTRY, AUDIT, CONTROL, TIMER, NETWORK, STACKS, KEYS, FIXED };
		struct pollfd p[FIXED + 4] = {
			[SIG] = {.fd = r->sigfd, .events = POLLIN},
			[INIT] = {.fd = r->l.init, .events = POLLIN},
			[SENTRY] = {.fd = r->l.sentry_pidfd, .events = POLLIN},
			[AUDIT] = {.fd = audit_fd(r->audit), .events = POLLIN},
			[CONTROL] = {.fd = r->control == NULL ? -1 : control_fd(r->control),
				     .events = POLLIN},
			[TIMER] = {.fd = r->timer, .events = POLLIN},
			[NETWORK] = {.fd = r->net.channel, .events = POLLIN},
			[STACKS] = {.fd = r->unwinder.results, .events = POLLIN},
			[KEYS] = {.fd = r->keys.channel, .events = POLLIN},
		};
		int tn = r->terminal == NULL ? 0 : terminal_poll(r->terminal, p + FIXED);
		int n = poll(p, (nfds_t)(FIXED + tn), audit_timeout(r->audit));
		if (n < 0 && errno != EINTR)
			finish(r, EXIT_GABION);
		if (n < 0)
			continue;
		if (tn > 0 && terminal_serve(r->terminal, p + FIXED, tn) < 0)
			deadly(r, SIGHUP);
		if (p[SIG].revents != 0)
			on_signal(r);
		if (p[INIT].revents != 0)
			from_init(r);
		else if (p[SENTRY].revents != 0 && !r->over) {
			cli_error("this is a bug of gabion's; the run was ended, nothing ran unsupervised",
				  "the sentry ended unexpectedly");
			finish(r, EXIT_GABION);
		}
		if (p[AUDIT].revents != 0 || n == 0)
			audit_drain(r->audit);
		if (p[KEYS].revents != 0)
			take_keys(r);
		if (p[STACKS].revents != 0)
			take_stacks(r);
		if (p[CONTROL].revents != 0)
			control_serve(r->control);
		if (p[TIMER].revents != 0 && !r->over)
			on_timer(r);
		if (p[NETWORK].revents != 0 && !r->over && network_serve(&r->net, r->audit) < 0) {
			cli_error("this is a bug of gabion's; the run was ended", "the relay ended unexpectedly");
			finish(r, EXIT_GABION);
		}
		if (audit_broken(r->audit)) {
			cli_error(NULL, "the record's shared memory is broken: the sentry is not to be "
					"trusted, the run is ended");
			finish(r, EXIT_GABION);
		}
	}
	if (r->timed_out && r->killed_by == 0)
		r->status = EXIT_TIMEOUT;
}

/* Nothing of the guest is left when this returns. */
static void end_tree(struct run *r)
{
	if (r->l.sentry > 0)
		(void)syscall(SYS_pidfd_send_signal, r->l.sentry_pidfd, SIGKILL, NULL, 0);
	idle_stop(&r->relay);
	while (r->l.sentry > 0 && waitpid(r->l.sentry, NULL, 0) < 0 && errno == EINTR)
		;
	if (r->audit != NULL)
		last_stacks(r);
	if (r->p.ids.mode == FLOOR_BARE) {
		AUTO_FD int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		pid_t gone;
		/* The relay has something to tell yet. */
		(void)tree_kill(proc, getpid(), r->net.pid, 1000);
		while ((gone = waitpid(-1, NULL, WNOHANG)) > 0)
			if (gone == r->net.pid)
				r->net.pid = -1;
	}
	r->l.init = fd_close(r->l.init);
	r->l.control = fd_close(r->l.control);
	r->l.snapshots = fd_close(r->l.snapshots);
	r->l.sentry_pidfd = fd_close(r->l.sentry_pidfd);
}

static int allow(void *ctx, const char *kind, const char *object, const char **ret_text)
{
	struct run *r = ctx;
	struct widen w = {.prepared = &r->p, .launched = &r->l, .audit = r->audit, .net = &r->net};
	return widen(&w, kind, object, ret_text);
}

/* Signals are read from a descriptor from now on. */
static int take_signals(struct run *r)
{
	static const int taken[] = {SIGTERM, SIGINT,  SIGHUP,  SIGQUIT, SIGWINCH,
				    SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2};
	sigset_t set;

	launch_signals_save();
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		struct sigaction sa;
		/* What the caller ignores (nohup) stays ignored, here and in the guest. */
		if (sigaction(taken[i], NULL, &sa) == 0 && sa.sa_handler == SIG_IGN && taken[i] != SIGTSTP)
			continue;
		sigaddset(&set, taken[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_now();
	r->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return r->sigfd < 0 || r->timer < 0 ? err_now() : 0;
}

/* The record is opened before anything runs; a second attempt to start goes on with it. */
static int keep_record(struct run *r)
{
	AUTO_FREE char *own = NULL;
	const char *path = r->o->audit;

	if (r->audit != NULL) {
		audit_policy(r->audit, r->p.policy);
		return 0;
	}
	if (path == NULL) {
		if (asprintf(&own, "%s/record.jsonl", r->dir) < 0)
			return -ENOMEM;
		path = own;
	}
	int e = record_ring_new(RING_REFUSED, RING_OTHER, &r->ring);
	if (e == 0)
		e = audit_open(path, 0, r->ring, r->p.policy, &r->audit);
	if (e < 0) {
		cli_error(NULL, "the record %s: %s", path, strerror(-e));
		return e;
	}
	if (r->o->audit != NULL)
		audit_run(r->audit, r->id);
	return 0;
}

/*
 * What the monitor needs for itself, made while the floor is built; a second attempt to start finds it there. Failures are told
 * by announce().
 */
static void meanwhile(void *ctx)
{
	struct run *r = ctx;
	struct control_ops ops = {.allow = allow, .ctx = r};

	r->early = 0;
	if (r->p.net.policy != NULL)
		r->early = network_start(&r->net, &r->p.net, r->p.ids.mode != FLOOR_BARE, &r->o->credentials, &r->keys.relay_end);
	else if (r->relay.pid < 0)
		r->early = idle_start("gabion: relay", &r->relay);
	if (r->early == 0 && r->self.len == 0)
		r->early = isolate_monitor_build(&r->self);
	r->listed = state_run_begin(r->dir, r->p.argv.v, r->p.places.workspaces[0], r->o->audit);
	if (r->listed == 0 && r->control == NULL)
		r->listed = control_open(r->dir, &ops, &r->control);
}

static void announce(const struct run *r)
{
	if (r->o->quiet)
		return;
	if (r->listed < 0)
		fprintf(stderr, "gabion: this run cannot be listed or widened from outside: %s\n",
			strerror(-r->listed));
	notice_start(&r->p, r->o);
}

static int start_in(struct run *r, enum floor_mode mode, struct launch_failure *f)
{
	char *why = NULL;
	int e = prepare(r->o, mode, r->keys.ca, &r->p, &why);

	if (e < 0) {
		cli_error(NULL, "%s", why != NULL ? why : strerror(-e));
		free(why);
		f->err = 0; /* said already */
		return e;
	}
	e = keep_record(r);
	if (e < 0) {
		prepare_free(&r->p);
		f->err = 0;
		return e;
	}
	if (r->p.net.policy != NULL && (e = network_open(&r->net, mode != FLOOR_BARE)) < 0) {
		cli_error(NULL, "the network: %s", strerror(-e));
		f->err = 0;
		return e;
	}
	struct launch l = {.o = r->o,
			   .places = &r->p.places,
			   .ids = &r->p.ids,
			   .rules = r->p.rules,
			   .policy = r->p.policy,
			   .plan = &r->p.plan,
			   .ring = r->ring,
			   .look = &r->look,
			   .cgroup = r->cgroup,
			   .net = r->p.net.policy,
			   .relay = r->net.edge,
			   .names_port = r->net.names_port,
			   .host_ports = r->p.net.host_ports,
			   .host_port_count = r->p.net.host_port_count,
			   .sockets = r->p.net.sockets,
			   .socket_count = r->p.net.socket_count,
			   .argv = r->p.argv.v,
			   .env = r->p.env.v,
			   .meanwhile = meanwhile,
			   .ctx = r};
	e = launch_start(&l, &r->l, f);
	network_launched(&r->net);
	if (e < 0) {
		audit_policy(r->audit, NULL);
		network_close(&r->net, NULL);
		prepare_free(&r->p);
	}
	return e;
}

/* The largest floor first. A host that refuses namespaces gets the smaller one, and is told. */
static int start(struct run *r)
{
	struct launch_failure f = {.err = 0};
	enum floor_mode mode = prepare_mode();
	int e = start_in(r, mode, &f);

	if (e < 0 && f.err != 0 && notice_may_degrade(f.err, f.stage)) {
		if (!r->o->quiet)
			notice_degraded(&f);
		e = start_in(r, FLOOR_BARE, &f);
	}
	if (e < 0 && f.err != 0)
		notice_failed(&f);
	return e;
}

/* A limit the policy requires and no control group holds. */
static int limits_required(const struct run *r)
{
	const struct said_list none = {.v = NULL};
	const struct said_list *l = r->o->policy == NULL ? &none : &lang_values(r->o->policy)->require;

	for (size_t i = 0; i < l->n; i++) {
		if (strncmp(l->v[i].text, "limits.", strlen("limits.")) != 0 || r->cgroup != NULL)
			continue;
		cli_error(NULL, "%s: the policy requires %s, and no control group can be had here: nothing was run",
			  l->v[i].origin, l->v[i].text);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int limits(struct run *r)
{
	const char *why = NULL;
	int e;

	if (r->o->memory == 0 && r->o->pids == 0 && !(r->o->cpus > 0))
		return 0;
	e = cgroup_new(r->o, r->id, &r->cgroup, &why);
	if (e < 0 && !r->o->quiet)
		fprintf(stderr,
			"gabion: limits: no cgroup can be had here (%s); --memory and --pids are held by "
			"rlimits%s\n",
			why != NULL ? why : strerror(-e), r->o->cpus > 0 ? ", --cpus is not held" : "");
	return limits_required(r);
}

static int begin(struct run *r)
{
	/* First of all: what is opened from here on must not land on a closed standard descriptor. */
	if (!notice_check_stdio())
		return -EINVAL;
	int e = take_signals(r);
	if (e < 0) {
		cli_error(NULL, "signals: %s", strerror(-e));
		return e;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_now();
	terminal_look(&r->look);
	e = state_run_new(&r->dir, r->id);
	if (e < 0) {
		cli_error("set XDG_STATE_HOME to a directory you can write", "the state directory: %s",
			  strerror(-e));
		return e;
	}
	e = limits(r);
	if (e == 0)
		e = start_keys(r);
	if (e == 0)
		e = start(r);
	return e;
}

static void clean(struct run *r)
{
	r->audit = audit_close(r->audit);
	r->control = control_close(r->control);
	r->ring = record_ring_free(r->ring);
	r->cgroup = cgroup_free(r->cgroup);
	prepare_free(&r->p);
	free(r->dir);
	fd_close(r->sigfd);
	fd_close(r->timer);
}

static const char *limit_met(const struct run *r)
{
	uint64_t met[RECORD_LIMIT_COUNT];

	if (r->cgroup != NULL)
		return cgroup_verdict(r->cgroup);
	record_limits(r->ring, met);
	return limits_verdict(r->o, met, r->status);
}

static void say_keys(const struct run *r)
{
	if (r->key_uses + r->key_refusals > 0)
		fprintf(stderr, "gabion: credentials: %llu request%s with one, %llu refused (gabion log --credentials)\n",
			(unsigned long long)r->key_uses, r->key_uses == 1 ? "" : "s", (unsigned long long)r->key_refusals);
}

int supervise_run(const struct run_options *o)
{
	struct run r = {.o = o,
			.p = PREPARED_NULL,
			.l = LAUNCHED_NULL,
			.relay = IDLE_NULL,
			.net = NETWORK_NULL,
			.keys = CREDENTIAL_PROCESS_NULL,
			.unwinder = UNWINDER_NULL,
			.sigfd = -1,
			.timer = -1,
			.status = EXIT_GABION};
	int e = begin(&r);

	if (e == 0)
		announce(&r);
	if (e == 0)
		start_unwinder(&r);
	if (e == 0 && r.l.master >= 0)
		e = terminal_open(fd_steal(&r.l.master), &r.look, &r.terminal);
	if (e == 0)
		e = r.early;
	if (e == 0)
		e = isolate_monitor(&r.self);
	if (e == 0) {
		if (o->timeout_ms != 0)
			arm(&r, o->timeout_ms);
		(void)malloc_trim(0); /* what the start took */
		idle_drop_pages();
		loop(&r);
	}
	end_tree(&r);
	r.terminal = terminal_close(r.terminal, FLUSH_MS);
	network_close(&r.net, r.audit);
	if (r.audit != NULL && r.keys.channel >= 0)
		take_keys(&r);
	credential_stop(&r.keys);
	if (r.audit != NULL) {
		audit_drain(r.audit);
		if (!o->quiet)
			say_keys(&r);
		if (!o->quiet)
			notice_end(r.audit, r.id, r.timed_out ? o->timeout_ms : 0, limit_met(&r));
		(void)state_run_end(r.dir, r.status, audit_refused(r.audit));
	} else if (r.dir != NULL) {
		(void)state_run_end(r.dir, r.status, 0);
	}
	clean(&r);
	return r.status;
}
