/*
 * Inside the sentry: event -> call -> verdict -> reply.
 *
 * A call is an event with its arguments copied in, once. A handler (one for each row, named in
 * syscalls.tbl) turns a call into a reply on its own copy of the arguments. handle.c is the only place that
 * looks at class and level; reply_continue() the only one that makes a continuing reply.
 *
 * Threads: one receiver runs the handlers. A handler that may block returns call_handoff(): a helper
 * thread then runs the blocking part and answers. Every thread that runs handlers has unshared its
 * filesystem context (CLONE_FS), so that umask and working directory are its own.
 */
#ifndef GABION_SENTRY_HANDLE_H
#define GABION_SENTRY_HANDLE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "event.h"
#include "mech.h"
#include "plan.h"
#include "policy.h"
#include "record.h"
#include "reply.h"
#include "table.h"
#include "verdict.h"

struct net_edge;

struct sentry {
	struct mech *mech;
	int proc_fd; /* procfs with the guest's threads by the ids in events; the guest cannot see it */
	int fds_fd;  /* our own /proc/self/fd in it (O_PATH): kept, since three lookups less are much on the hot path */
	int root_fd; /* O_PATH of the guest's root directory */
	pid_t init;  /* guest's first process in our pid namespace */
	const struct policy *policy; /* current snapshot; read once a call with sentry_policy() */
	const struct plan *plan;
	struct record_ring *ring;
	const struct hidden_links *links; /* files that are hidden by another name (hidden_links.h); NULL: none */
	struct net_edge *edge; /* net_edge.h; NULL: no rule names a host */
	struct pool *pool; /* call objects and helper threads (pool.h) */
	struct trace *trace; /* the tracer's ear (trace.h); NULL: there is no tracer */
	enum audit_mode stacks; /* wanted of who is refused, or of who is recorded */
	bool reads_all;	     /* what is permitted to read is recorded, too */
	bool memfd_exec;     /* memory files may execute */
};

enum { CALL_PATHS = 2 };

struct call {
	struct sentry *s;
	/* That EV came by: NULL: the sentry's own, else a further listener's, with the number of its calls in use. */
	struct mech *mech;
	unsigned int *users;
	struct event ev;
	const struct sys_row *row;
	const struct policy *policy; /* the snapshot this call is judged by */
	enum plan_key key;	     /* what the plan calls it; PLAN_COUNT: nothing */
	enum level level;	     /* the plan's word for this call */
	struct call *next;	     /* private to pool.c */

	/* Copied in by copyin.c: the row's first two path arguments, in order. path_err: 0, or the positive
	 * errno the copy met (EFAULT, ENAMETOOLONG), which a handler reports when Linux would. */
	int path_err[CALL_PATHS];
	size_t path_len[CALL_PATHS];
	char path[CALL_PATHS][PATH_MAX];

	/* For the record: what was judged. Filled by call_judge(). */
	enum op op;
	struct verdict verdict;
	bool judged;
	bool refused; /* by class, plan or nature of the call, not by a rule */
	bool failed;  /* a failure of ours denied it */
	size_t object_len[CALL_PATHS];
	char object[CALL_PATHS][PATH_MAX];

	/* For blocking work: private to the handler that handed the call on. */
	struct reply (*blocking)(struct call *c);
	bool ask_relay; /* connect: by the relay's answer (net_connect.c) */
	uint8_t net_way; /* enum net_way (net.h) */
	struct net_dial *dial; /* under way (net_edge.h); owned, NULL: none */
	struct trace_request *request; /* for the tracer (trace.h); owned, NULL: none */
	int held[4]; /* descriptors kept over the hand-over; -1 where unused; closed with the call */
	uint64_t scratch[4];
};

typedef struct reply handler_fn(struct call *c);

static inline struct mech *call_mech(const struct call *c)
{
	return c->mech != NULL ? c->mech : c->s->mech;
}

/* Current snapshot of the policy. */
const struct policy *sentry_policy(const struct sentry *s);

/* Judges OP on canonical PATH, remembers it as object INDEX (0 or 1) for the record, returns the verdict. The
 * first denial of a call stays its verdict. */
struct verdict call_judge(struct call *c, int index, enum op op, const char *path, size_t len);
/* The same for a directory or file about to be moved or removed (policy_path_move). */
struct verdict call_judge_move(struct call *c, int index, const char *path, size_t len, bool is_dir);
/* For an object that has no path (PATH is only its name for the record): the caller holds it already, no rule
 * speaks of it; OP_EXEC and OP_CONNECT are denied. */
struct verdict call_judge_nameless(struct call *c, int index, enum op op, const char *name, size_t len);
/* A rename as a whole (policy_path_rename), remembered as object 1. */
struct verdict call_judge_rename(struct call *c, const char *from, size_t from_len, const char *to,
				 size_t to_len, bool is_dir);
/* What somebody else than the policy made of OP on PATH (the content of a file protected by key), as if call_judge() had. */
struct verdict call_judged(struct call *c, int index, enum op op, const char *path, size_t len, struct verdict v);
/* The denying reply for V. */
struct reply call_refuse(const struct call *c, struct verdict v);
/* A refusal that no rule made but the call's class, the plan or its nature; ERR (0: EPERM) goes to the guest,
 * the refusal to the record. */
struct reply call_refuse_plain(struct call *c, int err);
/* The denying reply for what a function of ours returned, not 0: a positive errno is the guest's, a negative
 * one is our failure (recorded as such). */
struct reply call_fail(struct call *c, int r);
/* Where a call's plan key depends on its arguments (opens): it is KEY from now on. Returns the level, which
 * is also c->level. */
enum level call_set_key(struct call *c, enum plan_key key);

/* Lets the kernel perform the call: only for rows of class SCALAR or RECHECK, or where the plan says OBSERVE
 * for the row's family; anything else aborts (invariant 2). */
struct reply reply_continue(const struct call *c);

/* Hands C to a helper thread, which runs FN(c) and sends its reply. FN may block in interruptible system
 * calls: while it does, the caller's pending signals are watched; a signal the caller would take interrupts
 * the helper (EINTR), and FN then returns reply_restart(). */
struct reply call_handoff(struct call *c, struct reply (*fn)(struct call *c));
/* The call is interrupted: -ERESTARTSYS (512), which the kernel turns into EINTR or a restart. */
struct reply reply_restart(void);

/* 0 while the caller still waits (wraps mech alive); MECH_E_GONE else. Ask before an effect (invariant 4). */
int call_alive(const struct call *c);
/* What was read is about a caller that still waited when it had been read.
 * Guest memory; 0, positive errno (EFAULT, ENAMETOOLONG) for the guest, or negative: caller gone (drop the
 * call by returning any reply: it is not delivered). */
int call_read(const struct call *c, uint64_t addr, void *buf, size_t len);
int call_write(const struct call *c, uint64_t addr, const void *buf, size_t len);

/* Caller's facts, read from proc_fd. All return 0 or a negative errno. */
int call_tgid(const struct call *c, pid_t *ret_tgid);
int call_umask(const struct call *c, mode_t *ret_umask);
/* Duplicate of the caller's descriptor FD, close-on-exec (pidfd_getfd: the same open file description).
 * -EBADF where the caller has none such, -errno else. */
int call_getfd(const struct call *c, int fd, int *ret_fd);

/* Whether this thread is the one that receives: helpers see some calls only, what they remember of a caller could be old. */
bool handle_on_receiver(void);
/* Receives and answers until no guest is left (0), or our failure (negative errno). */
int handle_loop(struct sentry *s);
/* The same for a further listener M, on a thread of its own; returns once none of its calls is in anybody's hands. */
int handle_more(struct sentry *s, struct mech *m);
/* Decides and answers the event in C (from pool_get(), c->ev filled); C belongs to the pool afterwards. */
void handle_call(struct call *c);
/* Answers C with R, by way of the tracer where a stack is wanted. C is the pool's afterwards. */
void handle_answer(struct call *c, struct reply r);
/* Records and sends R as the answer to C, gives C back to the pool. */
void handle_finish(struct call *c, struct reply r);

#endif
