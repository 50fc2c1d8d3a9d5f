/*
 * `gabion explain [OPTIONS OF run]`: the plan a run with these options would get on this host, from the same
 * functions a run uses, without starting anything: each family of calls, its level, what such a call costs here (measured
 * now), the fact or rule that made it so, and what of the rules nothing on this host can hold. With --bpf the filter itself.
 */
#include "cli.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"
#include "cli_option.h"
#include "environment.h"
#include "filter.h"
#include "groups.h"
#include "measure.h"
#include "monitor/floor/floor.h"
#include "plan.h"
#include "policy/disasm.h"
#include "policy_open.h"
#include "network.h"
#include "prepare.h"
#include "rules.h"
#include "surface.h"
#include "text.h"
#include "util/err.h"

/* What is explained; all owned. */
struct explained {
	enum floor_mode mode;
	struct places places;
	struct policy_builder *rules;
	struct policy *policy;
	struct plan plan;
	struct network_rules net;
	struct measured cost;
	bool measured;
	struct surface surface;
};

#define EXPLAINED_NULL ((struct explained){.mode = FLOOR_BARE})

static void explained_clear(struct explained *e)
{
	(void)policy_free(e->policy);
	(void)policy_builder_free(e->rules);
	network_rules_free(&e->net);
	places_free(&e->places);
	*e = EXPLAINED_NULL;
}

/* The network's rules, with the hosts of the agent that a run of this command would have. */
static int network(const struct run_options *o, struct network_rules *ret_net, char **ret_why)
{
	const char *command = o->command ? o->command[0] : NULL;
	struct agent a;
	int r = -ENOENT;

	if (o->agent && strcmp(o->agent, "none") != 0)
		r = agent_load(o->agent, &a);
	else if (!o->agent && command)
		r = agent_infer(command, &a);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r < 0)
		return network_rules(o, NULL, NULL, ret_net, ret_why);
	r = network_rules(o, a.name, &a.hosts, ret_net, ret_why);
	agent_free(&a);
	return r;
}

/* What the filter of a run would leave to be called. */
static int count(struct explained *e)
{
	struct sock_fprog prog = {0};
	int r = filter_build(&e->plan, &prog);

	if (r == 0)
		r = surface_guest(&prog, &e->plan, &e->surface);
	filter_free(&prog);
	return r;
}

/* -errno; RET_WHY (allocated, may stay NULL) says what is to be mended. */
static int explain(const struct run_options *o, struct explained *ret_e, char **ret_why)
{
	struct explained e = EXPLAINED_NULL;
	struct plan_wish wish = options_wish(o);
	uint32_t facts = 0;
	int r = floor_expect(&facts);

	e.mode = facts & FLOOR_VIEW ? prepare_mode() : FLOOR_BARE;
	if (r == 0)
		r = places_find(o, e.mode, &e.places, ret_why);
	if (r == 0)
		r = rules_build(o, &e.places, e.mode, &e.rules, ret_why);
	if (r == 0)
		r = policy_compile(e.rules, &e.policy);
	if (r == 0)
		r = network(o, &e.net, ret_why);
	if (r < 0) {
		explained_clear(&e);
		return r;
	}
	if (e.mode != FLOOR_BARE && landlock_abi() >= 2 && floor_writes_named(&e.places, e.policy))
		facts |= FLOOR_VIEW_WRITES;
	plan_make(e.policy, facts, &wish, &e.plan);
	r = count(&e);
	if (r < 0) {
		explained_clear(&e);
		return r;
	}
	*ret_e = e;
	return 0;
}

static uint64_t cost_of(const struct explained *e, enum plan_key k)
{
	switch (e->plan.level[k]) {
	case LEVEL_NATIVE:
	case LEVEL_DENY: /* answered by the filter as well */
		return e->cost.native;
	case LEVEL_OBSERVE:
		return e->cost.observe;
	case LEVEL_VERIFY: /* beside an exec it is little, and depends on the processors: not measured here */
		return 0;
	case LEVEL_EMULATE:
		break;
	}
	return e->cost.emulate;
}

/* "95 ns", "2.1 us"; "-" where nothing could be measured. */
static const char *cost_text(const struct explained *e, uint64_t ns, char buf[static 16])
{
	if (!e->measured || ns == 0)
		return "-";
	if (ns < 1000)
		(void)snprintf(buf, 16, "%u ns", (unsigned int)ns);
	else
		(void)snprintf(buf, 16, "%.1f us", (double)(ns < 100000000 ? ns : 100000000) / 1000);
	return buf;
}

static void print_gaps(const struct explained *e)
{
	bool any = false;

	for (int k = 0; k < PLAN_COUNT; k++) {
		if (!e->plan.gap[k])
			continue;
		(void)printf("%s%-9s %s\n", any ? "" : "\nnot enforceable here:\n", plan_key_name((enum plan_key)k),
			     e->plan.gap[k]);
		any = true;
	}
}

static void print_network(const struct explained *e)
{
	size_t n = e->net.policy ? net_policy_count(e->net.policy) : 0;

	if (n == 0)
		(void)printf("network off: no rule names a host\n");
	for (size_t i = 0; i < n; i++) {
		const struct net_rule *rule = net_policy_rule(e->net.policy, i);

		(void)printf("%-7s %s (%s)\n", i == 0 ? "network" : "", rule->text, rule->origin);
	}
}

static void print_text(const struct explained *e)
{
	const char *separator = "";
	char cost[16];

	(void)printf("floor   %s: ", floor_mode_name(e->mode));
	for (unsigned int bit = 0; bit < 32; bit++) {
		if (!(e->plan.floor & (UINT32_C(1) << bit)))
			continue;
		(void)printf("%s%s", separator, plan_fact_name((enum floor_fact)(UINT32_C(1) << bit)));
		separator = ", ";
	}
	(void)printf("\n");
	for (size_t i = 0; e->places.workspaces && e->places.workspaces[i]; i++)
		(void)printf("%-7s %s\n", i == 0 ? "work" : "", e->places.workspaces[i]);
	(void)printf("rules   %zu (gabion explain --json lists them)\n", policy_rule_count(e->policy));
	print_network(e);
	(void)printf("calls   %s: %u left to the kernel, %u of them by value; %u more after a look; %u done by gabion; %u refused\n",
		     table_list_name(e->plan.list), e->surface.native, e->surface.checked, e->surface.continued,
		     e->surface.performed, e->surface.refused);
	(void)printf("\n");
	(void)printf("%-9s %-8s %-9s %s\n", "FAMILY", "LEVEL", "COST", "WHY");
	for (int k = 0; k < PLAN_COUNT; k++)
		(void)printf("%-9s %-8s %-9s %s\n", plan_key_name((enum plan_key)k),
			     plan_level_name(e->plan.level[k]), cost_text(e, cost_of(e, (enum plan_key)k), cost),
			     e->plan.why[k] ? e->plan.why[k] : "");
	print_gaps(e);
	(void)printf("\n"
		     "native   left to the kernel: the floor holds every rule; refusals are not recorded\n"
		     "observe  seen, recorded and refused with a reason; what is permitted the kernel does, "
		     "under the floor\n"
		     "emulate  done by gabion on its own copy of the arguments\n"
		     "deny     refused by the filter\n"
		     "cost     of a call, beside its own work, measured on this host just now: the way there and back\n");
}

static json_t *plan_json(const struct explained *e)
{
	json_t *list = json_array();

	for (int k = 0; k < PLAN_COUNT; k++) {
		json_t *o = json_pack("{s:s, s:s, s:s, s:s?, s:o}", "family", plan_key_name((enum plan_key)k),
				      "level", plan_level_name(e->plan.level[k]), "why",
				      e->plan.why[k] ? e->plan.why[k] : "", "not_enforceable", e->plan.gap[k],
				      "cost_ns",
				      e->measured ? json_integer((json_int_t)cost_of(e, (enum plan_key)k))
						  : json_null());
		if (json_array_append_new(list, o) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *facts_json(const struct explained *e)
{
	json_t *list = json_array();

	for (unsigned int bit = 0; bit < 32; bit++) {
		if ((e->plan.floor & (UINT32_C(1) << bit)) &&
		    json_array_append_new(
			    list, json_string(plan_fact_name((enum floor_fact)(UINT32_C(1) << bit)))) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* Patterns are bytes; what is no UTF-8 is shown by text_clean() as elsewhere. */
static json_t *rules_json(const struct explained *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < policy_rule_count(e->policy); i++) {
		const struct rule *rule = policy_rule(e->policy, i);
		AUTO_FREE char *pattern = text_clean(rule->pattern);
		AUTO_FREE char *origin = text_clean(rule->origin);
		json_t *o = pattern && origin ? json_pack("{s:i, s:s, s:s, s:s}", "id", (int)rule->id, "kind",
							  rule_kind_name(rule->kind), "pattern", pattern,
							  "origin", origin)
					      : NULL;
		if (json_array_append_new(list, o) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *network_json(const struct explained *e)
{
	json_t *list = json_array();

	for (size_t i = 0; e->net.policy && i < net_policy_count(e->net.policy); i++) {
		const struct net_rule *rule = net_policy_rule(e->net.policy, i);
		AUTO_FREE char *origin = text_clean(rule->origin);
		json_t *o = origin ? json_pack("{s:s, s:s}", "rule", rule->text, "origin", origin) : NULL;
		if (json_array_append_new(list, o) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *surface_json(const struct explained *e)
{
	const struct surface *s = &e->surface;

	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "list", table_list_name(e->plan.list), "native", (int)s->native, "by_value",
			 (int)s->checked, "after_a_look", (int)s->continued, "performed", (int)s->performed, "refused",
			 (int)s->refused);
}

/* False where memory is short or the output cannot be written. */
static bool print_json(const struct explained *e)
{
	json_t *root = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "mode", floor_mode_name(e->mode), "floor",
				 facts_json(e), "plan", plan_json(e), "rules", rules_json(e), "network", network_json(e),
				 "syscalls", surface_json(e));
	bool ok = root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0 && printf("\n") == 1;

	json_decref(root);
	return ok;
}

/* The program a run would get. */
static int print_bpf(const struct explained *e)
{
	struct sock_fprog prog = {0};
	int r = filter_build(&e->plan, &prog);

	if (r == 0)
		r = disasm_print(stdout, &prog);
	filter_free(&prog);
	if (r < 0) {
		cli_error(NULL, "explain: the filter: %s", strerror(-r));
		return EXIT_GABION;
	}
	return cli_flush();
}

int cli_explain(int argc, char **argv)
{
	struct run_options o;
	struct options_fault fault;
	struct explained e;
	struct lang_messages m = {.v = NULL};
	struct string_list notes = {NULL, 0};
	AUTO_FREE char *why = NULL;
	bool json = false, ok = true;
	int r = options_parse(COMMAND_EXPLAIN, argc, argv, &o, &json, &fault);

	if (r != 0)
		return cli_fault(COMMAND_EXPLAIN, r, &fault);
	r = policy_open(&o, &m);
	policy_messages_print(&m, true);
	lang_messages_free(&m);
	if (r == LANG_INVALID) {
		run_options_clear(&o);
		cli_error(NULL, "the policy is not valid: nothing can be explained");
		return EXIT_GABION;
	}
	if (r == 0)
		r = groups_resolve(&o, &notes, &why);
	for (size_t i = 0; i < notes.n; i++)
		fprintf(stderr, "gabion: %s\n", notes.v[i]);
	string_list_free(&notes);
	if (r == 0)
		r = explain(&o, &e, &why);
	bool bpf = o.bpf;
	run_options_clear(&o);
	if (r != 0) {
		cli_error(NULL, "explain: %s", why ? why : strerror(r < 0 ? -r : EINVAL));
		return EXIT_GABION;
	}
	if (bpf) {
		int status = print_bpf(&e);
		explained_clear(&e);
		return status;
	}
	e.measured = measure(&e.cost) == 0;
	if (json)
		ok = print_json(&e);
	else
		print_text(&e);
	explained_clear(&e);
	if (!ok) {
		cli_error(NULL, "explain: cannot print: %m");
		return EXIT_GABION;
	}
	return cli_flush();
}
