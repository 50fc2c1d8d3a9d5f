/* The policy and the plan of a container: see supervision.h. */
#include "monitor/oci/supervision.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/groups.h"
#include "monitor/options_table.h"
#include "monitor/policy_open.h"
#include "monitor/rules.h"
#include "monitor/tracer.h"
#include "policy/lang.h"
#include "util/err.h"

#define POLICY_FILE "/etc/gabion/runner.yaml"
#define POLICY_DIR "/etc/gabion/runner.d"

/* The name of a policy: of a file, not of a path. */
static int named(const char *name, char **ret_path, struct oci_fault *fault)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	if (name[0] == '\0' || name[0] == '.' || name[strspn(name, good)] != '\0')
		return oci_fail(fault, -EINVAL, "annotation dev.gabion.policy: \"%.64s\" is not the name of a policy", name);
	if (asprintf(ret_path, POLICY_DIR "/%s.yaml", name) < 0) {
		*ret_path = NULL;
		return -ENOMEM;
	}
	if (access(*ret_path, F_OK) < 0)
		return oci_fail(fault, -EACCES, "annotation dev.gabion.policy: the administrator permits no policy \"%.64s\" (%s)", name,
				*ret_path);
	return 0;
}

/* Whoever can write it decides what containers may do. */
static int check_owner(const char *path, struct oci_fault *fault)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return oci_fail_errno(fault, err_now(), "policy %s", path);
	/* In a user namespace root of the host is nobody mapped: what is not ours is the administrator's. */
	if (!S_ISREG(st.st_mode) || (st.st_mode & 022) != 0)
		return oci_fail(fault, -EPERM, "policy %s: must be a file that only its owner can write", path);
	return 0;
}

static int open_policy(struct run_options *o, struct oci_fault *fault)
{
	struct lang_messages m = {.v = NULL};
	struct string_list notes = {NULL, 0};
	AUTO_FREE char *why = NULL;
	int r = policy_open(o, &m);

	if (r != 0) {
		AUTO_FREE char *text = m.n > 0 ? lang_message_text(&m.v[0]) : NULL;
		r = r < 0 ? r : -EINVAL;
		(void)oci_fail(fault, r, "the policy: %s", text != NULL ? text : oci_errno_text(r));
	}
	lang_messages_free(&m);
	if (r == 0) {
		r = groups_resolve(o, &notes, &why);
		r = r > 0 ? -EINVAL : r;
		if (r < 0)
			(void)oci_fail(fault, r, "the policy: %s", why != NULL ? why : oci_errno_text(r));
	}
	for (size_t i = 0; i < notes.n; i++) {
		oci_log(OCI_WARNING, "%s", notes.v[i]);
		free(notes.v[i]);
	}
	free(notes.v);
	return r;
}

/* What a policy can say and a container of an engine's does not have from gabion. */
static int refuse(const struct run_options *o, struct oci_fault *fault)
{
	static const char text[] = "the policy: %s is not there in containers yet (docs/LIMITS.md)";
	bool network = o->net.n + o->net_host.n + o->groups.n + o->unix_sockets.n + o->publish.n > 0;

	if (network)
		return oci_fail(fault, -EOPNOTSUPP, text, "a network of gabion's (network:)");
	if (o->tmpfs.n > 0)
		return oci_fail(fault, -EOPNOTSUPP, text, "filesystem.tmpfs");
	if (o->env_set.n > 0)
		return oci_fail(fault, -EOPNOTSUPP, text, "environment.set");
	if (o->audit_stacks != AUDIT_OFF)
		return oci_fail(fault, -EOPNOTSUPP, text, "audit.stacks");
	if (o->io_uring_restricted)
		return oci_fail(fault, -EOPNOTSUPP, text, "io_uring: restricted");
	if (o->user_set)
		return oci_fail(fault, -EOPNOTSUPP, text, "user");
	if (o->memory != 0 || o->pids != 0 || o->cpus > 0 || o->files != 0 || o->timeout_ms != 0)
		return oci_fail(fault, -EOPNOTSUPP, text, "limits: the engine's limits are held, and");
	if (o->audit != NULL)
		return oci_fail(fault, -EOPNOTSUPP, text, "audit.file");
	if (lang_values(o->policy)->require.n > 0)
		return oci_fail(fault, -EOPNOTSUPP, text, "require");
	return 0;
}

/*
 * Calls that gabion would have to perform are performed with its own ids, and a container's processes have many: what
 * cannot be left to the kernel, or verified, is not held, and the container is not made.
 */
static int check_plan(const struct plan *plan, struct oci_fault *fault)
{
	for (int k = 0; k < PLAN_COUNT; k++)
		/* Rings are refused by the filter unless the policy gives them. */
		if (plan->level[k] == LEVEL_EMULATE || (plan->level[k] == LEVEL_DENY && k != PLAN_RING))
			return oci_fail(fault, -EOPNOTSUPP, "the policy cannot be held in a container: %s: %s (docs/LIMITS.md)",
					plan_key_name((enum plan_key)k), plan->why[k]);
	return 0;
}

static int build(struct supervision *s, uint32_t facts, struct oci_fault *fault)
{
	static const char *const none[] = {NULL};
	const struct run_options *o = &s->o;
	struct lang_places places = {.home = "/root", .real_home = "/root", .workspaces = none, .view = true, .home_host = true};
	AUTO_FREE char *why = NULL;
	int r = rules_build_container(o, &places, &s->rules, &why);

	if (r == 0)
		r = policy_compile(s->rules, &s->policy);
	if (r < 0)
		return oci_fail(fault, r, "the policy: %s", why != NULL ? why : oci_errno_text(r));
	struct plan_wish wish = options_wish(o);
	plan_make(s->policy, facts, &wish, &s->plan);
	if (plan_wants_tracer(&s->plan, &wish) && tracer_works())
		plan_make(s->policy, facts | FLOOR_TRACER, &wish, &s->plan);
	return check_plan(&s->plan, fault);
}

int supervision_open(const char *annotation, bool own_pids, bool own_ipc, struct supervision *ret_s, struct oci_fault *fault)
{
	struct supervision s = {.o = RUN_OPTIONS_NULL};
	AUTO_FREE char *path = NULL;
	uint32_t facts = FLOOR_CONTAINER | FLOOR_USERNS | (own_pids ? FLOOR_PIDNS : 0u);
	int r = 0;

	/* Where the engine shares the host's, its names are the container's to use. */
	(void)own_ipc;
	facts |= FLOOR_IPCNS;
	s.o.profile = "runner";
	if (annotation != NULL)
		r = named(annotation, &path, fault);
	else if (access(POLICY_FILE, F_OK) == 0 || errno != ENOENT)
		path = strdup(POLICY_FILE);
	if (r == 0 && path != NULL)
		r = check_owner(path, fault);
	s.o.policy_file = path;
	if (r == 0)
		r = open_policy(&s.o, fault);
	if (r == 0)
		r = refuse(&s.o, fault);
	if (r == 0)
		r = build(&s, facts, fault);
	s.o.policy_file = NULL; /* PATH goes; it was needed to read it */
	if (r < 0) {
		supervision_close(&s);
		return r;
	}
	*ret_s = s;
	return 0;
}

void supervision_close(struct supervision *s)
{
	policy_builder_free(s->rules);
	policy_free(s->policy);
	run_options_clear(&s->o);
	*s = SUPERVISION_NULL;
}
