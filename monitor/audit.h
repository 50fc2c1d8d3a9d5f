/*
 * The record on disk: one JSON object a decision, one line each. Drains the sentry's ring, writes in batches, is capped
 * (refusals keep a reserve), counts what it dropped, and adds up the summary of refusals.
 */
#ifndef GABION_MONITOR_AUDIT_H
#define GABION_MONITOR_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "policy.h"
#include "record.h"
#include "unwind.h"

struct audit;

/* Opens PATH for appending (0600, O_NOFOLLOW|O_CLOEXEC) with at most CAP bytes (0: default). POLICY names the rules
 * (kept, not owned; audit_policy() changes it). The ring is not owned. -errno. */
int audit_open(const char *path, uint64_t cap, struct record_ring *ring, const struct policy *policy, struct audit **ret_a);
/* Before the switch what the ring still holds is drained under the old policy. */
void audit_policy(struct audit *a, const struct policy *policy);
/* Names the run in every record from now on (for a file that several runs append to). RUN_ID is copied. */
void audit_run(struct audit *a, const char *run_id);
/* Descriptor for poll(2) (POLLIN) that says the ring may have content, and the delay in ms after which to drain again
 * although it is silent (-1: none): the ring is drained at most every 20 ms and costs nothing when idle. */
int audit_fd(const struct audit *a);
int audit_timeout(const struct audit *a);
/* One record of the monitor's own, beside those of the ring. */
void audit_add(struct audit *a, const struct record *r);
/* What went to one destination and came from it, once the run is over. Strings are printable. */
struct audit_traffic {
	const char *host;
	uint16_t port;
	bool udp;
	uint64_t connections, sent, received, refused; /* sent: by the guest, in bytes */
};
void audit_traffic(struct audit *a, const struct audit_traffic *t);
struct credential_msg;
/* A request with or without a credential, or one that was refused. NAME of the credential, RULE: where it stands; NULL: none. */
void audit_credential(struct audit *a, const struct credential_msg *m, const char *name, const char *rule);
/* Takes everything there is (at most a ring's worth a call), formats and writes it. Failures to write are counted, never
 * passed on. The caller ignores SIGPIPE where PATH may be a FIFO. */
void audit_drain(struct audit *a);
/* Writes the stack of a refusal, as an object of its own that the refusal's record names by number. */
void audit_stack(struct audit *a, const struct unwind_stack *s);
/* True once a ring held what no sentry of ours writes: the sentry is not to be trusted any more. */
bool audit_broken(const struct audit *a);
/* The summary for people: what was refused, how often, by which rule, and the option that would allow it. Nothing
 * where nothing was refused. MARKDOWN for $GITHUB_STEP_SUMMARY. */
void audit_summary(const struct audit *a, FILE *out, bool markdown, const char *run_id);
/* A line for each link the run left that leads to what it could not see (left_links.h), by the policy of now. */
void audit_left_links(const struct audit *a, FILE *out);
uint64_t audit_refused(const struct audit *a);
/* Drains, writes a last object that counts what was left out, closes. Takes NULL, returns NULL. */
struct audit *audit_close(struct audit *a);

#endif
