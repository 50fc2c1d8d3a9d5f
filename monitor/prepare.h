/*
 * What a run is made of before a process is started: from options to places, ids, rules, plan and
 * environment, for one floor mode.
 */
#ifndef GABION_MONITOR_PREPARE_H
#define GABION_MONITOR_PREPARE_H

#include "monitor/floor/floor.h"
#include "monitor/network.h"
#include "monitor/options.h"
#include "plan.h"
#include "policy.h"
#include "policy/lang.h"

struct prepared {
	struct places places;
	struct floor_ids ids;
	struct policy_builder *rules;
	struct policy *policy;
	struct plan plan;
	struct network_rules net; /* .policy NULL: the network is off */
	struct string_list argv;
	struct string_list env;
	struct string_list dropped; /* names left out of the environment because they look like secrets */
	char *agent;		    /* name of the agent recognised, or NULL */
	char *agent_note;
	struct lang_messages warnings; /* about the policy's rules in this run */
	int scratch_lock;           /* bare: held while the scratch directory is in use */
};

#define PREPARED_NULL ((struct prepared){ .ids = FLOOR_IDS_NULL, .scratch_lock = -1 })

/* The largest floor this process may try: ROOT with CAP_SYS_ADMIN, else ROOTLESS. */
enum floor_mode prepare_mode(void);

/* 0, or negative errno with RET_WHY (allocated; one line for people). CA: PEM of the run's CA, the caller's, or NULL. */
int prepare(const struct run_options *o, enum floor_mode mode, const char *ca, struct prepared *ret_p, char **ret_why);
void prepare_free(struct prepared *p);

#endif
