/*
 * The way of an event: architecture, row, class and level, copy, handler, record, reply. The only place that
 * looks at class and level, and the only one that makes a continuing reply.
 *
 * Kept here: an unset reply denies (1), only reply_continue() continues and asserts that class or plan
 * allow it (2), no handler runs for a notification that died (4), the architecture is looked at before the
 * number (10), and our own failure denies (12). What the plan does not name is denied, as is what reaches us
 * although the filter should have answered it.
 *
 * Syscalls: clock_gettime, and what caller.c uses.
 */
#include "sentry/handle.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sentry/caller.h"
#include "sentry/copyin.h"
#include "sentry/backlog.h"
#include "sentry/pool.h"
#include "sentry/trace.h"
#include "util/err.h"

/* The guest's ERESTARTSYS: the kernel makes EINTR or a restart of it, as the signal's action asks. */
enum { RESTARTSYS = 512 };

/* Handlers by number. Rows without one are answered by the filter; one that reaches us nevertheless is
 * denied. */
#define none handle_none
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#define SYS(nr, name, class, family, in, args, handler, note) handler_fn handler;
#include "syscalls.tbl"
#undef SYS
#pragma GCC diagnostic pop

static handler_fn *const handlers[] = {
#define SYS(nr, name, class, family, in, args, handler, note) [nr] = (handler),
#include "syscalls.tbl"
#undef SYS
};

struct reply handle_none(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

const struct policy *sentry_policy(const struct sentry *s)
{
	return __atomic_load_n(&s->policy, __ATOMIC_ACQUIRE);
}

enum level call_set_key(struct call *c, enum plan_key key)
{
	c->key = key;
	c->level = key < PLAN_COUNT ? c->s->plan->level[key] : LEVEL_EMULATE;
	/* What of these the filter hands over nevertheless it does by value, because the kernel would do what it must not. */
	if (c->level == LEVEL_NATIVE && (key == PLAN_WRITE || key == PLAN_CHANGE))
		c->level = LEVEL_EMULATE;
	return c->level;
}

/* What was judged, for the record. A denial is the call's verdict from then on. */
struct verdict call_judged(struct call *c, int index, enum op op, const char *path, size_t len, struct verdict v)
{
	if (len >= sizeof(c->object[0]))
		len = sizeof(c->object[0]) - 1;
	if (!c->judged || c->verdict.kind == VERDICT_ALLOW) {
		if (!c->judged || v.kind != VERDICT_ALLOW || c->op != OP_WRITE)
			c->op = op;
		c->verdict = v;
		c->judged = true;
	}
	memcpy(c->object[index], path, len);
	c->object[index][len] = '\0';
	c->object_len[index] = len;
	return v;
}

struct verdict call_judge(struct call *c, int index, enum op op, const char *path, size_t len)
{
	return call_judged(c, index, op, path, len, policy_path(c->policy, op, path, len));
}

struct verdict call_judge_move(struct call *c, int index, const char *path, size_t len, bool is_dir)
{
	return call_judged(c, index, OP_WRITE, path, len, policy_path_move(c->policy, path, len, is_dir));
}

struct verdict call_judge_rename(struct call *c, const char *from, size_t from_len, const char *to,
				 size_t to_len, bool is_dir)
{
	return call_judged(c, 1, OP_WRITE, to, to_len,
			   policy_path_rename(c->policy, from, from_len, to, to_len, is_dir));
}

struct verdict call_judge_nameless(struct call *c, int index, enum op op, const char *name, size_t len)
{
	struct verdict v = VERDICT_NULL;

	if (op == OP_READ || op == OP_WRITE || op == OP_STAT)
		v.kind = VERDICT_ALLOW;
	else
		v.err = EACCES;
	return call_judged(c, index, op, name, len, v);
}

struct reply call_refuse(const struct call *c, struct verdict v)
{
	(void)c;
	return reply_deny(v.err);
}

struct reply call_refuse_plain(struct call *c, int err)
{
	c->refused = true;
	return reply_deny(err);
}

struct reply call_fail(struct call *c, int r)
{
	if (r > 0)
		return reply_deny(r);
	c->failed = true;
	/* A caller that is gone is told nothing; any other failure of ours is what it is. */
	return reply_deny(r == 0 ? EPERM : -r);
}

struct reply reply_continue(const struct call *c)
{
	bool by_class = c->row->class == CLASS_SCALAR || c->row->class == CLASS_RECHECK;
	bool by_plan = c->row->class == CLASS_EMULATE && c->level >= LEVEL_OBSERVE && c->key < PLAN_COUNT &&
		       c->s->plan->level[c->key] >= LEVEL_OBSERVE;

	if (!by_class && !by_plan)
		abort();
	return (struct reply){ .kind = REPLY_CONTINUE, .fd = -1 };
}

struct reply reply_restart(void)
{
	return reply_value(-RESTARTSYS);
}

struct reply call_handoff(struct call *c, struct reply (*fn)(struct call *c))
{
	c->blocking = fn;
	return (struct reply){ .kind = REPLY_LATER, .fd = -1 };
}

int call_alive(const struct call *c)
{
	return call_mech(c)->ops->alive(call_mech(c), &c->ev);
}

/* A result of the backend's about memory as call_read() promises it. */
static int memory_result(int r)
{
	if (r == -EFAULT || r == -ENAMETOOLONG)
		return -r;
	return r == MECH_E_GONE ? -ESRCH : r;
}

int call_read(const struct call *c, uint64_t addr, void *buf, size_t len)
{
	int r = call_mech(c)->ops->read(call_mech(c), &c->ev, addr, buf, len);

	if (r != 0)
		return memory_result(r);
	return call_alive(c) == 0 ? 0 : -ESRCH;
}

int call_write(const struct call *c, uint64_t addr, const void *buf, size_t len)
{
	/* The thread id must still be the caller's: what is written cannot be taken back. */
	if (call_alive(c) != 0)
		return -ESRCH;
	return memory_result(call_mech(c)->ops->write(call_mech(c), &c->ev, addr, buf, len));
}

/* Helpers see some calls only: what they remember of a caller could be of before an exec. */
static __thread bool is_receiver;

bool handle_on_receiver(void)
{
	return is_receiver;
}

static struct reply decide(struct call *c)
{
	int r;

	if (c->ev.arch != AUDIT_ARCH_X86_64)
		return call_refuse_plain(c, ENOSYS);
	c->row = table_row(c->ev.nr);
	if (c->row == NULL)
		return call_refuse_plain(c, ENOSYS);
	switch (c->row->class) {
	case CLASS_ENOSYS:
		return call_refuse_plain(c, ENOSYS);
	case CLASS_SCALAR:
	case CLASS_RECHECK:
	case CLASS_EMULATE:
		break;
	case CLASS_KILL:
	case CLASS_EPERM:
	case CLASS_ALLOW:
	case CLASS_COUNT:
	default:
		return call_refuse_plain(c, EPERM);
	}
	/* An open is judged by its flags: its handler narrows the key, and refuses where that level is DENY.
	 */
	if (call_set_key(c, plan_key_of(c->row)) == LEVEL_DENY && c->row->family != FAM_OPEN)
		return call_refuse_plain(c, EPERM);
	r = copyin(c);
	if (r != 0) {
		c->failed = r < 0;
		return reply_deny(EPERM);
	}
	return handlers[c->ev.nr](c);
}

static size_t record_object(char *to, size_t room, const struct call *c, int index)
{
	size_t n = c->object_len[index] < room ? c->object_len[index] : room;

	memcpy(to, c->object[index], n);
	return n;
}

/* What the guest calls process PID, which is its parent: many callers have one, so it is remembered as they are. */
static pid_t guest_id_of(const struct call *c, pid_t pid, uint64_t now_ns)
{
	enum { KNOWN = 16, KNOWN_NS = 50000000 };
	static __thread struct {
		uint64_t until_ns;
		pid_t pid, guest;
	} known[KNOWN];
	struct caller_status st;
	size_t i = (unsigned int)pid % KNOWN;

	/* Beyond the first process nobody is the guest's. */
	if (pid <= 0)
		return 0;
	if (known[i].pid != pid || now_ns >= known[i].until_ns || now_ns + KNOWN_NS < known[i].until_ns) {
		known[i].pid = pid;
		known[i].until_ns = now_ns + KNOWN_NS;
		known[i].guest = caller_status(c->s->proc_fd, pid, &st) < 0 ? 0 : st.guest_tgid;
	}
	return known[i].guest;
}

/*
 * Who the caller is, for the record. A status read costs more than all else of a permitted write, so the
 * receiver remembers it for a moment; an exec, which changes the name, is always looked at, and forgets it.
 */
static void record_caller(const struct call *c, struct record *rec)
{
	enum { KNOWN = 64, KNOWN_NS = 50000000 };
	static __thread struct known {
		uint64_t until_ns;
		pid_t tid, guest_tid, guest_tgid, guest_ppid;
		char comm[16];
	} known[KNOWN];
	struct known *k = &known[(unsigned int)c->ev.tid % KNOWN];
	bool is_exec = c->row != NULL && c->row->family == FAM_EXEC;
	struct caller_status st;

	if (!is_receiver || is_exec || k->tid != c->ev.tid || rec->time_ns >= k->until_ns ||
	    rec->time_ns + KNOWN_NS < k->until_ns) {
		if (c->request != NULL && c->request->known)
			st = c->request->caller;
		else if (caller_status(c->s->proc_fd, c->ev.tid, &st) < 0)
			st = (struct caller_status){ .guest_tid = c->ev.tid };
		k->tid = c->ev.tid;
		k->guest_tid = st.guest_tid;
		k->guest_tgid = st.guest_tgid;
		k->guest_ppid = guest_id_of(c, st.ppid, rec->time_ns);
		k->until_ns = is_exec ? 0 : rec->time_ns + KNOWN_NS;
		memcpy(k->comm, st.comm, sizeof(k->comm));
	}
	rec->tid = k->guest_tid;
	rec->tgid = k->guest_tgid;
	rec->ppid = k->guest_ppid;
	memcpy(rec->comm, k->comm, sizeof(rec->comm));
}

static void record_call(const struct call *c, const struct reply *r, uint32_t flags)
{
	struct record rec;
	struct timespec now;
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	rec.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	memcpy(rec.args, c->ev.args, sizeof(rec.args));
	rec.stack = c->request != NULL && c->request->msg.kind == TRACER_SNAPSHOT ? c->request->msg.id : 0;
	rec.nr = c->ev.nr;
	rec.result = r->kind == REPLY_DENY    ? -(int64_t)(r->err != 0 ? r->err : EPERM)
		     : r->kind == REPLY_VALUE ? r->value
					      : 0;
	rec.flags = flags;
	rec.rule = c->judged && c->verdict.rule != NULL ? c->verdict.rule->id : UINT32_MAX;
	rec.level = (uint8_t)c->level;
	rec.op = (uint8_t)c->op;
	memset(rec.reserved, 0, sizeof(rec.reserved));
	record_caller(c, &rec);
	n = record_object(rec.object, sizeof(rec.object), c, 0);
	rec.object_len = (uint16_t)n;
	rec.object2_len = (uint16_t)record_object(rec.object + n, sizeof(rec.object) - n, c, 1);
	(void)record_put(c->s->ring, &rec);
}

static bool is_refused(const struct call *c, const struct reply *r)
{
	return c->refused || (c->judged && c->verdict.kind == VERDICT_DENY && r->kind == REPLY_DENY);
}

/* Refusals are always recorded; of what was permitted, what changes, executes or connects, and what reads where that is asked for. */
static bool is_recorded(const struct call *c, const struct reply *r)
{
	if (c->s->ring == NULL)
		return false;
	if (is_refused(c, r) || c->failed)
		return true;
	return c->judged && (c->op == OP_WRITE || c->op == OP_EXEC || c->op == OP_CONNECT ||
			     (c->s->reads_all && (c->op == OP_READ || c->op == OP_STAT)));
}

static void record_if_wanted(const struct call *c, const struct reply *r)
{
	uint32_t flags = 0;

	if (!is_recorded(c, r))
		return;
	if (is_refused(c, r))
		flags |= RECORD_REFUSED;
	if (c->failed)
		flags |= RECORD_INTERNAL;
	/* Of a caller that is gone nobody knows whose path was read (copyin.c). */
	if (flags != 0 && call_alive(c) != 0)
		return;
	if (flags == 0) {
		if (r->kind == REPLY_CONTINUE)
			flags |= RECORD_CONTINUED;
		else if (r->kind == REPLY_DENY || (r->kind == REPLY_VALUE && r->value < 0))
			flags |= RECORD_FAILED;
	}
	record_call(c, r, flags);
}

void handle_finish(struct call *c, struct reply r)
{
	struct mech *m = call_mech(c);
	struct event ev = c->ev;

	record_if_wanted(c, &r);
	/* The caller runs on while we tidy up. That it is gone is nobody's failure. */
	(void)m->ops->reply(m, &ev, &r);
	pool_put(c->s->pool, c);
}

/*
 * Of what is permitted, not of an exec: the memory its stack was in is gone when it could be looked at, and its caller may
 * be the tracer's already.
 */
static bool wants_stack(const struct call *c, const struct reply *r)
{
	if (c->s->stacks == AUDIT_OFF)
		return false;
	if (is_refused(c, r))
		return true;
	return c->s->stacks == AUDIT_ALL && is_recorded(c, r) && c->op != OP_EXEC && c->request == NULL;
}

/* A flood gets a few stacks a second; the rest is answered as without. What is permitted takes none of what is refused. */
static bool stack_is_due(bool refused)
{
	enum { A_SECOND = 20 };
	static _Atomic uint64_t states[2]; /* second << 8 | count */
	_Atomic uint64_t *state = &states[refused];
	struct timespec now;
	uint64_t old, next;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	old = atomic_load(state);
	do {
		next = old >> 8 == (uint64_t)now.tv_sec ? old + 1 : (uint64_t)now.tv_sec << 8 | 1;
		if ((next & 0xff) > A_SECOND)
			return false;
	} while (!atomic_compare_exchange_weak(state, &old, next));
	return true;
}

void handle_answer(struct call *c, struct reply r)
{
	if (wants_stack(c, &r) && stack_is_due(is_refused(c, &r)))
		trace_snapshot(c, r, TRACER_STACK_MAX);
	else
		handle_finish(c, r);
}

void handle_call(struct call *c)
{
	struct reply r;
	int e;

	c->policy = sentry_policy(c->s);
	r = decide(c);
	if (r.kind == REPLY_LATER) {
		e = c->request != NULL ? trace_submit(c) : pool_submit(c->s->pool, c);
		if (e == 0)
			return;
		c->failed = true;
		r = reply_deny(-e);
	}
	handle_answer(c, r);
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * Answers what comes until no user of the listener is left. MORE: a further one, whose calls are counted in USERS; NULL: the
 * sentry's own, which BACKLOG's helpers look at too.
 */
static int receive(struct sentry *s, struct mech *more, unsigned int *users, struct backlog *backlog)
{
	/* A receive that takes less did not sleep. */
	enum { ASLEEP_NS = 3000 };
	struct mech *m = more != NULL ? more : s->mech;
	struct call *c = NULL;
	uint64_t before;
	int r = 0;

	while (r == 0) {
		c = pool_get(s->pool);
		if (c == NULL)
			return -ENOMEM;
		c->mech = more;
		c->users = users;
		if (users != NULL)
			(void)__atomic_add_fetch(users, 1, __ATOMIC_RELAXED);
		before = monotonic_ns();
		r = m->ops->next(m, &c->ev);
		if (r == 0) {
			backlog_note(backlog, monotonic_ns() - before > ASLEEP_NS);
			handle_call(c);
			continue;
		}
		pool_put(s->pool, c);
		if (r == MECH_E_GONE)
			r = 0;
	}
	return r == MECH_E_END ? 0 : r;
}

int handle_loop(struct sentry *s)
{
	struct backlog *backlog = NULL;
	int r = pool_thread_start();

	is_receiver = true;
	if (r == 0)
		r = backlog_new(s, &backlog);
	return r < 0 ? r : receive(s, NULL, NULL, backlog);
}

int handle_more(struct sentry *s, struct mech *m)
{
	unsigned int users = 0;
	int r = pool_thread_start();

	is_receiver = true;
	if (r == 0)
		r = receive(s, m, &users, NULL);
	/* Helpers may still be at calls of callers that are gone. */
	while (__atomic_load_n(&users, __ATOMIC_ACQUIRE) != 0)
		(void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	return r;
}
