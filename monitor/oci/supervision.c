/* The policy and the plan of a container: see supervision.h. */
#include "monitor/oci/supervision.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/groups.h"
#include "monitor/oci/inroot.h"
#include "monitor/options_table.h"
#include "monitor/policy_open.h"
#include "monitor/rules.h"
#include "monitor/tracer.h"
#include "policy/lang.h"
#include "util/err.h"
#include "util/fd.h"

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
	if (r == 0 && o->credentials.n > 0) {
		r = -EOPNOTSUPP;
		(void)oci_fail(fault, r, "the policy: %s: credentials are not there yet in containers (docs/LIMITS.md)",
			       o->credentials.v[0].origin);
	}
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
	bool all = false;

	/* The engine's environment is passed on as it is. */
	for (size_t i = 0; i < o->env_pass.n; i++)
		all = all || strcmp(o->env_pass.v[i], "*") == 0;
	if (!all)
		return oci_fail(fault, -EOPNOTSUPP, text, "environment.pass without \"*\"");
	if (o->credentials.n > 0)
		return oci_fail(fault, -EOPNOTSUPP, text, "credentials");
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

/*
 * PATTERN with its literal beginning as it is below ROOT: an image whose /bin is a link to usr/bin has no /bin/x. NULL: no other than it
 * is, or no memory.
 */
static char *below(int root, const char *rootfs, const char *pattern)
{
	char head[PATH_MAX], link[64], real[PATH_MAX];
	size_t n = strcspn(pattern, "*?[\\"), len = strlen(rootfs);
	char *out = NULL;

	while (pattern[n] != '\0' && n > 0 && pattern[n - 1] != '/')
		n--;
	if (n == 0 || n >= sizeof(head))
		return NULL;
	(void)snprintf(head, sizeof(head), "%.*s", (int)n, pattern);
	AUTO_FD int fd = inroot_open(root, head, O_PATH, 0);
	if (fd == -ENOENT && pattern[n] == '\0') {
		/* Not there yet: its directory. */
		while (n > 1 && pattern[n - 1] != '/')
			n--;
		head[n] = '\0';
		fd = inroot_open(root, head, O_PATH, 0);
	}
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t k = fd < 0 ? -1 : readlink(link, real, sizeof(real) - 1);
	if (k <= 0)
		return NULL;
	real[k] = '\0';
	if (strncmp(real, rootfs, len) != 0 || (real[len] != '/' && real[len] != '\0'))
		return NULL;
	bool slash = n > 0 && pattern[n - 1] == '/' && pattern[n] != '\0';
	if (asprintf(&out, "%s%s%s", real + len, slash ? "/" : "", pattern + n) < 0)
		return NULL;
	return out;
}

static int deny_exec(const struct run_options *o, const char *rootfs, struct policy_builder *b, struct oci_fault *fault)
{
	AUTO_FD int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? err_now() : 0;

	for (size_t i = 0; r == 0 && i < o->exec_deny.n; i++) {
		const struct exec_deny *d = &o->exec_deny.v[i];
		if (d->path[0] != '/' && strncmp(d->path, "**", 2) != 0)
			return oci_fail(fault, -EOPNOTSUPP,
					"the policy: %s: %s: in a container paths are absolute, and it has no workspace", d->origin,
					d->path);
		AUTO_FREE char *floating = NULL;
		if (d->path[0] != '/' && asprintf(&floating, "/%s", d->path) < 0) {
			floating = NULL;
			return -ENOMEM;
		}
		const char *path = floating != NULL ? floating : d->path;
		AUTO_FREE char *real = below(root, rootfs, path);
		r = policy_builder_deny_exec(b, path, (const char *const *)d->args, d->origin);
		if (r == 0 && real != NULL && strcmp(real, path) != 0)
			r = policy_builder_deny_exec(b, real, (const char *const *)d->args, d->origin);
		if (r < 0)
			return oci_fail_errno(fault, r, "the policy: %s: %s", d->origin, d->path);
	}
	return r;
}

static int build(struct supervision *s, const char *rootfs, uint32_t facts, struct oci_fault *fault)
{
	static const char *const none[] = {NULL};
	const struct run_options *o = &s->o;
	struct lang_places places = {.home = "/root", .real_home = "/root", .workspaces = none, .view = true, .home_host = true};
	AUTO_FREE char *why = NULL;
	int r = rules_build_container(o, &places, &s->rules, &why);

	if (r == 0 && (r = deny_exec(o, rootfs, s->rules, fault)) < 0)
		return r;
	if (r == 0)
		r = policy_builder_written(s->rules, o->written);
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

int supervision_open(const char *annotation, const char *rootfs, bool own_pids, struct supervision *ret_s,
		     struct oci_fault *fault)
{
	struct supervision s = {.o = RUN_OPTIONS_NULL};
	AUTO_FREE char *path = NULL;
	/* Where the engine shares the host's IPC namespace, its names are the container's to use. */
	uint32_t facts = FLOOR_CONTAINER | FLOOR_USERNS | FLOOR_IPCNS | (own_pids ? FLOOR_PIDNS : 0u);
	int r = 0;

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
		r = build(&s, rootfs, facts, fault);
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
