/*
 * What an exec of a file would load: the interpreters of its #! lines, one after another, and the ELF interpreter of the program at
 * the end. Read from files the guest may have written: nothing in them is believed, all of it is compared with what was
 * loaded (tracer_msg.h).
 */
#ifndef GABION_SENTRY_EXEC_CHAIN_H
#define GABION_SENTRY_EXEC_CHAIN_H

#include "sentry/path.h"
#include "sentry/trace.h"

/*
 * Follows what an exec of O, which was judged, loads; judges OP_EXEC on every other file of it. Fills EXE and LOADER of RET_REQ, and
 * in its .args the programs that rules about arguments speak of. Returns true; false: *ret_reply is the answer, a refusal or the errno
 * Linux would answer.
 */
bool exec_chain(struct call *c, const struct object *o, struct trace_request *ret_req, struct reply *ret_reply);

#endif
