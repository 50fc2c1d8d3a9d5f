/*
 * The sentry's side of the tracer (include/tracer_msg.h). A call that is handed to the tracer is answered by the thread that
 * listens to it, once the caller is held.
 */
#ifndef GABION_SENTRY_TRACE_H
#define GABION_SENTRY_TRACE_H

#include "sentry/handle.h"
#include "tracer_msg.h"

struct trace;

/* SOCKET to the tracer, owned from now on. Starts the listening thread. 0 or a negative errno. */
int trace_new(struct sentry *s, int socket, struct trace **ret_t);

/*
 * Asks that C's caller be held as REQ says (.id, .tid and .tgid are filled in here), and answers C with R once it is. Where it
 * cannot be held: an exec is refused (EACCES, recorded), a snapshot is done without. On 0 C belongs to the tracer's thread; a
 * negative errno: it still is the caller's.
 */
int trace_submit(struct call *c, struct reply r, const struct tracer_msg *req);

/* RET_ID: what the record of C names its snapshot with. Sends R in any case; C is the pool's afterwards, as after handle_finish(). */
void trace_refusal(struct call *c, struct reply r, uint64_t id);

#endif
