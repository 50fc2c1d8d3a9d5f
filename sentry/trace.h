/*
 * The sentry's side of the tracer (include/tracer_msg.h). A call that is handed to the tracer is answered by the thread that
 * listens to it, once the caller is held.
 */
#ifndef GABION_SENTRY_TRACE_H
#define GABION_SENTRY_TRACE_H

#include "sentry/caller.h"
#include "sentry/handle.h"
#include "tracer_msg.h"

struct trace;

/* Programs of one exec whose arguments are judged at the exec stop: the file itself, and its interpreters. */
enum { TRACE_PROGRAMS = 6 };

struct trace_args {
	unsigned int n;
	struct {
		char *path;
		unsigned int first; /* its argv[1] in the arguments the last interpreter gets */
	} program[TRACE_PROGRAMS];
};

/* What is asked of the tracer for a call (.request of struct call), and how the call is answered once its caller is held. */
struct trace_request {
	struct tracer_msg msg; /* .kind, and what belongs to it; .id, .tid, .tgid are filled in by trace_submit() */
	struct reply reply;
	struct trace_args args; /* .n 0: nothing is asked about arguments */
	bool known;		/* the caller was looked at for the tracer: the record need not look again */
	struct caller_status caller;
};

struct trace_request *trace_request_free(struct trace_request *r);

/* SOCKET to the tracer, owned from now on. Starts the listening thread. 0 or a negative errno. */
int trace_new(struct sentry *s, int socket, struct trace **ret_t);

/*
 * A handler's way: fills c->request and returns this; handle_call() then calls trace_submit(). REQ is the call's from now on.
 * Where the caller cannot be held an exec is refused (EACCES), or continued where a debugger of the guest's holds it and the floor
 * alone holds every exec rule.
 */
struct reply trace_later(struct call *c, struct trace_request *req);
/* On 0 C belongs to the tracer's thread, which answers it; a negative errno: it still is the caller's. */
int trace_submit(struct call *c);

/*
 * Answers C with R, which is owned, as handle_finish() does, and has a snapshot of BYTES of the caller's stack taken before it runs on; at
 * once and without where there is none to be had (no tracer, too many, a debugger holds the caller). While C is recorded
 * c->request->msg.id names the snapshot, where c->request is not NULL. C is the pool's afterwards.
 */
void trace_snapshot(struct call *c, struct reply r, uint32_t bytes);

#endif
