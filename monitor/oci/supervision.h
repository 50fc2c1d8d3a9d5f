/*
 * What gabion adds to a container: the policy, the plan it makes on a container's floor, and gabion's own processes
 * that hold it: the sentry, a monitor that keeps the record and takes in the listeners of exec, and, where the plan
 * verifies execs, the tracer.
 *
 * Policy: /etc/gabion/runner.yaml, or the profile `runner` where there is no such file. The annotation
 * dev.gabion.policy names another one the administrator has put into /etc/gabion/runner.d (NAME.yaml); what is not there
 * cannot be named, so no image and no user of an engine can loosen anything. What the policy asks for and cannot be held
 * in a container ends the create, by name.
 */
#ifndef GABION_OCI_SUPERVISION_H
#define GABION_OCI_SUPERVISION_H

#include <linux/filter.h>
#include <sys/types.h>

#include "monitor/oci/config.h"
#include "monitor/oci/fault.h"
#include "monitor/oci/state.h"
#include "monitor/options.h"
#include "plan.h"
#include "policy.h"

struct supervision {
	struct run_options o;
	struct policy_builder *rules;
	struct policy *policy;
	struct plan plan;
};

#define SUPERVISION_NULL ((struct supervision){.rules = NULL})

/* ANNOTATION: value of dev.gabion.policy or NULL. ROOTFS: the container's root directory, where links in rules' paths lead. OWN_PIDS:
 * the container has a pid namespace of its own. */
int supervision_open(const char *annotation, const char *rootfs, bool own_pids, struct supervision *ret_s, struct oci_fault *fault);
void supervision_close(struct supervision *s);

/* What the helpers are made with. */
struct helper_config {
	const struct supervision *s;
	pid_t init;	   /* the container's first process */
	int pidfd;	   /* of it */
	int spaces;	   /* CLONE_NEW* of it the sentry enters */
	int listener;	   /* of its filter */
	int dir;	   /* the container's state directory: record.jsonl, sentry.sock */
	bool userns;	   /* it has a user namespace of its own */
};

/*
 * Starts them, detached: they have no terminal, no directory and no descriptor of the caller's, and end with the last process they
 * supervise. Returns when calls are answered. RET_HELPERS gets up to OCI_HELPERS_MAX processes, the sentry first.
 */
int helper_start(const struct helper_config *h, struct oci_process *ret_helpers, size_t *ret_n, struct oci_fault *fault);
/* Gives LISTENER (of an exec's filter) to the helpers of the container whose state directory is DIR. Returns when its calls are
 * answered; -errno where nobody is there who would. */
int helper_listen(int dir, int listener, struct oci_fault *fault);

#endif
