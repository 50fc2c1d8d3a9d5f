/*
 * The tracer: takes hold of a thread for the length of one system call. See include/tracer_msg.h for the order of things.
 *
 * One thread, because a ptrace request must come from who seized. It sleeps in one place (ppoll, with SIGCHLD let in), and
 * whatever it does for a thread is a step that does not wait for the guest. Two things could make it wait for one:
 *
 * - PTRACE_SEIZE takes the cred_guard_mutex of the thread group, which an exec of that group holds until its other threads
 *   are reaped; by us, if we hold one of them. So of a thread group one request is under way at a time, until its thread is
 *   let go or reaped; others wait in a list. What is left (an exec we were not told of, held up by a debugger of the
 *   guest's) ends with an alarm: the handler jumps out of the seize.
 * - The sentry's socket, if both sides only sent: who cannot send receives.
 *
 * PTRACE_INTERRUPT follows each seize. A thread in a notified call is not disturbed by it (the wait is killable only, Linux
 * 5.19); it makes the thread stop on its way back to user mode, also if the exec fails, so that every thread that was held comes
 * to a stop and is let go there. Group stops and signals that arrive meanwhile are the kernel's: a thread let go goes on to
 * take them. EXITKILL: what we hold does not survive us.
 *
 * Should: seize, compare, let go, kill what was not allowed. Mustn't: follow a path of the guest's, run anything, make a file
 * or a process, know a rule.
 *
 * Syscalls: ppoll, recvfrom, sendto, ptrace, wait4, kill, setitimer, clock_gettime, and tracer_look.c's.
 */
#include "monitor/tracer.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/idle.h"
#include "monitor/isolate.h"
#include "monitor/tracer_look.h"
#include "tracer_msg.h"
#include "util/err.h"

enum {
	BUCKETS = 1024,
	SEIZE_US = 100000,
	SNAPSHOTS_PER_SECOND = 50,
};

enum step {
	STEP_WAITS = 0, /* for another request of its thread group */
	STEP_HELD,	/* seized; its next stop is ours */
	STEP_ASKED,	/* at the exec stop; the sentry looks at the arguments */
	STEP_KILLED,	/* its death is still to be reaped */
};

struct held {
	struct held *by_group; /* all */
	struct held *by_tid;   /* those under way */
	enum step step;
	struct tracer_msg req;
};

/* A message that came while one was sent. */
struct inbox {
	struct inbox *next;
	struct tracer_msg m;
};

static struct {
	struct tracer_config cfg;
	struct held *group[BUCKETS]; /* in the order they came */
	struct held *tid[BUCKETS];
	struct inbox *inbox, **inbox_end;
	sigset_t sleep_mask; /* while asleep */
	time_t second;	     /* of the snapshots counted */
	unsigned int snapshots;
} t;

static volatile sig_atomic_t child_spoke, guarded;
static sigjmp_buf out_of_seize;

static void on_child(int sig)
{
	(void)sig;
	child_spoke = 1;
}

static void on_alarm(int sig)
{
	(void)sig;
	if (guarded)
		siglongjmp(out_of_seize, 1);
}

static struct held **bucket(struct held **table, pid_t id)
{
	return &table[(unsigned int)id % BUCKETS];
}

/* The request under way for thread ID, or for the process ID: at its exec a thread takes its leader's id. */
static struct held *under_way(pid_t id)
{
	for (struct held *h = *bucket(t.tid, id); h != NULL; h = h->by_tid)
		if (h->req.tid == id)
			return h;
	for (struct held *h = *bucket(t.group, id); h != NULL; h = h->by_group)
		if (h->req.tgid == id && h->step != STEP_WAITS)
			return h;
	return NULL;
}

static void keep(const struct tracer_msg *m)
{
	struct inbox *i = malloc(sizeof(*i));

	if (i == NULL)
		_exit(EXIT_FAILURE);
	*i = (struct inbox){.m = *m};
	*t.inbox_end = i;
	t.inbox_end = &i->next;
}

/* The next message, of those kept first. False: none is there. No repair of a broken peer: its end, and nonsense, are our end. */
static bool next_message(struct tracer_msg *ret_m, bool from_socket)
{
	struct inbox *i = t.inbox;

	if (i != NULL && !from_socket) {
		*ret_m = i->m;
		t.inbox = i->next;
		if (t.inbox == NULL)
			t.inbox_end = &t.inbox;
		free(i);
		return true;
	}
	ssize_t n = recv(t.cfg.sentry, ret_m, sizeof(*ret_m), MSG_TRUNC | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n != (ssize_t)sizeof(*ret_m))
		_exit(n == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	return true;
}

static void say(const struct tracer_msg *m)
{
	while (send(t.cfg.sentry, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(*m)) {
		struct pollfd p = {.fd = t.cfg.sentry, .events = POLLIN | POLLOUT};
		struct tracer_msg in;

		if (errno != EAGAIN && errno != EINTR)
			_exit(EXIT_FAILURE);
		(void)ppoll(&p, 1, NULL, NULL);
		if ((p.revents & POLLIN) != 0 && next_message(&in, true))
			keep(&in);
	}
}

static void answer(const struct tracer_msg *req, enum tracer_kind kind, int err)
{
	struct tracer_msg m = {.kind = kind, .err = err, .id = req->id, .tid = req->tid, .tgid = req->tgid};

	if (kind == TRACER_KILLED)
		tracer_name(t.cfg.proc_fd, req->tgid, m.path);
	say(&m);
}

/* PTRACE_SEIZE, but not for ever. 0 or a positive errno. */
static int seize(const struct tracer_msg *req)
{
	static const struct itimerval off = {.it_value = {0, 0}};
	struct itimerval soon = {.it_value = {.tv_usec = SEIZE_US}};
	long options = PTRACE_O_EXITKILL | (req->kind == TRACER_EXEC ? PTRACE_O_TRACEEXEC : 0);
	volatile int err = EAGAIN;

	if (sigsetjmp(out_of_seize, 0) == 0) {
		guarded = 1;
		(void)setitimer(ITIMER_REAL, &soon, NULL);
		err = ptrace(PTRACE_SEIZE, req->tid, NULL, options) < 0 ? errno : 0;
	}
	guarded = 0;
	(void)setitimer(ITIMER_REAL, &off, NULL);
	/*
	 * A thread that cannot be interrupted is about to die, and will be reaped. The alarm may have come when it was seized
	 * already: only a tracer can interrupt.
	 */
	if ((err == 0 || err == EAGAIN) && ptrace(PTRACE_INTERRUPT, req->tid, NULL, NULL) == 0)
		err = 0;
	return err;
}

/* Begins with H, whose group has nothing under way. False: it could not be held, and is to be forgotten. */
static bool begin(struct held *h)
{
	int err = seize(&h->req);

	if (err == 0) {
		struct held **at = bucket(t.tid, h->req.tid);

		h->step = STEP_HELD;
		h->by_tid = *at;
		*at = h;
	}
	answer(&h->req, TRACER_HELD, err);
	return err == 0;
}

static struct held **find(struct held **at, const struct held *h, bool by_tid)
{
	while (*at != h)
		at = by_tid ? &(*at)->by_tid : &(*at)->by_group;
	return at;
}

static void forget(struct held *h)
{
	struct held **at = find(bucket(t.group, h->req.tgid), h, false);

	*at = h->by_group;
	if (h->step != STEP_WAITS) {
		at = find(bucket(t.tid, h->req.tid), h, true);
		*at = h->by_tid;
	}
	free(h);
}

/* H's thread is out of our hands: the next of its group may follow. */
static void done(struct held *h)
{
	pid_t group = h->req.tgid;

	if ((h->req.flags & TRACER_WANTS_ARGS) != 0 && h->step == STEP_HELD)
		answer(&h->req, TRACER_ENDED, 0);
	forget(h);
	for (struct held *next = *bucket(t.group, group); next != NULL;) {
		struct held *after = next->by_group;

		if (next->req.tgid == group && next->step != STEP_WAITS)
			return;
		if (next->req.tgid == group) {
			if (begin(next))
				return;
			forget(next);
		}
		next = after;
	}
}

/* PID stands still. SIG: a signal it was about to take. */
static void let_go(struct held *h, pid_t pid, int sig)
{
	/* ESRCH: killed meanwhile; its death will be told. */
	if (ptrace(PTRACE_DETACH, pid, NULL, (long)sig) == 0)
		done(h);
}

static void destroy(struct held *h)
{
	answer(&h->req, TRACER_KILLED, 0);
	h->step = STEP_KILLED;
	/* Where it cannot be killed it stands still, held by us, for as long as it lives. */
	(void)kill(h->req.tgid, SIGKILL);
}

static void at_exec_stop(struct held *h, pid_t pid)
{
	/* The group's other threads are gone, and it has its leader's id. */
	if (pid != h->req.tgid || h->req.kind != TRACER_EXEC ||
	    !tracer_loaded(t.cfg.proc_fd, pid, &h->req.exe, &h->req.loader)) {
		destroy(h);
	} else if ((h->req.flags & TRACER_WANTS_ARGS) != 0) {
		h->step = STEP_ASKED;
		answer(&h->req, TRACER_STOPPED, 0);
	} else {
		let_go(h, pid, 0);
	}
}

static void stopped(struct held *h, pid_t pid, int status)
{
	int event = status >> 16, sig = WSTOPSIG(status);

	if (h->step == STEP_KILLED || h->step == STEP_ASKED)
		return;
	if (event == PTRACE_EVENT_EXEC) {
		at_exec_stop(h, pid);
		return;
	}
	if (h->req.kind == TRACER_SNAPSHOT && t.cfg.snapshots >= 0) {
		struct tracer_snapshot snap = {.id = h->req.id, .tgid = h->req.tgid};
		(void)tracer_snapshot_send(t.cfg.proc_fd, pid, h->req.bytes, &snap, t.cfg.snapshots);
	}
	let_go(h, pid, event == 0 ? sig : 0);
}

static void reap(void)
{
	int status;
	pid_t pid;

	child_spoke = 0;
	while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
		struct held *h = under_way(pid);

		if (h == NULL)
			continue; /* init, whose end others see to */
		if (WIFSTOPPED(status))
			stopped(h, pid, status);
		else
			done(h);
	}
}

static bool too_many(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != t.second)
		t.snapshots = 0;
	t.second = now.tv_sec;
	return t.snapshots++ >= SNAPSHOTS_PER_SECOND;
}

static void go(const struct tracer_msg *m)
{
	for (struct held *h = *bucket(t.group, m->tgid); h != NULL; h = h->by_group)
		if (h->req.id == m->id && h->step == STEP_ASKED) {
			if (m->err == 0)
				let_go(h, m->tgid, 0);
			else
				destroy(h);
			return;
		}
	/* Killed while the sentry looked. */
}

static void take(const struct tracer_msg *m)
{
	struct held **at, *h;
	bool busy = false;

	if (m->kind == TRACER_GO) {
		go(m);
		return;
	}
	if ((m->kind != TRACER_EXEC && m->kind != TRACER_SNAPSHOT) || m->tid <= 0 || m->tgid <= 0)
		_exit(EXIT_FAILURE);
	h = m->kind == TRACER_SNAPSHOT && (t.cfg.snapshots < 0 || too_many()) ? NULL : malloc(sizeof(*h));
	if (h == NULL) {
		answer(m, TRACER_HELD, EAGAIN);
		return;
	}
	*h = (struct held){.req = *m};
	for (at = bucket(t.group, m->tgid); *at != NULL; at = &(*at)->by_group)
		busy = busy || (*at)->req.tgid == m->tgid;
	*at = h;
	if (!busy && !begin(h))
		forget(h);
}

static int prepare_signals(void)
{
	struct sigaction child = {.sa_handler = on_child}, alarm_ = {.sa_handler = on_alarm, .sa_flags = SA_NODEFER};
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};
	sigset_t set;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	sigemptyset(&set);
	if (sigprocmask(SIG_SETMASK, &set, &t.sleep_mask) < 0)
		return err_now();
	sigemptyset(&t.sleep_mask);
	sigaddset(&set, SIGCHLD);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGCHLD, &child, NULL) < 0 ||
			       sigaction(SIGALRM, &alarm_, NULL) < 0
		       ? err_now()
		       : 0;
}

_Noreturn void tracer_run(const struct tracer_config *cfg)
{
	struct tracer_msg m;

	t.cfg = *cfg;
	t.inbox_end = &t.inbox;
	(void)prctl(PR_SET_NAME, "gabion: tracer", 0, 0, 0);
	if (prepare_signals() < 0 || isolate_tracer() < 0)
		_exit(EXIT_FAILURE);
	idle_drop_pages();
	child_spoke = 1; /* a child may have ended before the signal was blocked */
	while (true) {
		struct pollfd p = {.fd = t.cfg.sentry, .events = POLLIN};

		while (next_message(&m, false))
			take(&m);
		if (child_spoke)
			reap();
		if (t.inbox == NULL)
			(void)ppoll(&p, 1, NULL, &t.sleep_mask);
	}
}

/* Could a listener be asked to wait killably? The flags are looked at before the program, which is none. */
static bool waits_killably(void)
{
	const unsigned long killable = 1UL << 5; /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 5.19 */

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | killable, NULL) < 0 &&
	       errno == EFAULT;
}

bool tracer_works(void)
{
	if (!waits_killably())
		return false;
	pid_t pid = fork();
	if (pid < 0)
		return false;
	if (pid == 0)
		for (;;)
			(void)pause();
	bool works = ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC) == 0;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	return works;
}
