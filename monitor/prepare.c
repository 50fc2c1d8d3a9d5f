/* From options to everything a start needs: see prepare.h. */
#include "monitor/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/agent.h"
#include "monitor/agent_state.h"
#include "monitor/environment.h"
#include "monitor/rules.h"
#include "monitor/scratch.h"
#include "monitor/state.h"
#include "monitor/tracer.h"
#include "policy/require.h"
#include "util/err.h"
#include "util/fd.h"

enum floor_mode prepare_mode(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}, {0}};

	if (geteuid() == 0 && syscall(SYS_capget, &head, data) == 0 &&
	    (data[0].effective & (1U << CAP_SYS_ADMIN)) != 0 && (data[0].effective & (1U << CAP_SETUID)) != 0)
		return FLOOR_ROOT;
	return FLOOR_ROOTLESS;
}

/*
 * Files on 0, 1 and 2 keep the host's mount and its flags: the view's noexec is not theirs. What is open for writing cannot be
 * executed as long as it is, and we keep it.
 */
static uint32_t stdio_fact(void)
{
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;
		struct statvfs fs;
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY &&
		    (fstatvfs(fd, &fs) < 0 || !(fs.f_flag & ST_NOEXEC)))
			return 0;
	}
	return FLOOR_STDIO;
}

/* A Unix datagram socket reaches any other by its path. */
static bool datagram_stdio(void)
{
	for (int fd = 0; fd < 3; fd++) {
		int domain = 0, type = 0;
		socklen_t len = sizeof(int);

		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
		    (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type == SOCK_DGRAM))
			return true;
	}
	return false;
}

/* Whether standard descriptors lead to a file outside the view, whose mount does not hold our rules. */
static bool stdio_is_file(void)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &st) == 0 && !S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
			return true;
	return false;
}

/* What the floor will be, if it can be built: the launch fails where it turns out to be less. */
static uint32_t expected_facts(enum floor_mode mode)
{
	int abi = landlock_abi();
	uint32_t facts = FLOOR_NNP | (abi >= 6 ? (uint32_t)FLOOR_LANDLOCK_SCOPE : 0);

	facts |= stdio_fact();
	if (mode != FLOOR_BARE)
		return facts | FLOOR_VIEW | FLOOR_VIEW_NOEXEC | FLOOR_PIDNS | FLOOR_NETNS | FLOOR_IPCNS |
		       FLOOR_USERNS;
	return facts | FLOOR_LANDLOCK_FS | (abi >= 4 ? (uint32_t)FLOOR_LANDLOCK_TCP : 0);
}

/* Without a view TMPDIR is a directory of the state directory, gone with the run. */
static int bare_scratch(struct prepared *p)
{
	struct places *pl = &p->places;
	char *dir = NULL;
	int r = scratch_new(p->ids.host_uid, p->ids.host_gid, &dir, &p->scratch_lock);

	if (r < 0)
		return r;
	free(pl->scratch);
	pl->scratch = dir;
	pl->scratch_source = strdup(dir);
	return pl->scratch_source == NULL ? -ENOMEM : 0;
}

static int apply_agent(const struct run_options *o, struct prepared *p, struct string_list *pass,
		       struct string_list *ret_hosts)
{
	struct agent a;
	int r;

	if (o->agent != NULL && strcmp(o->agent, "none") == 0)
		return 0;
	r = o->agent != NULL ? agent_load(o->agent, &a) : agent_infer(o->command[0], &a);
	if (r == -ENOENT)
		return o->agent != NULL ? r : 0;
	if (r < 0)
		return r;
	/* Right behind the program's name: what a person typed, subcommands and -- among it, keeps its place.
	 */
	struct string_list argv = {NULL, 0};
	r = string_list_add(&argv, p->argv.v[0]);
	for (size_t i = 0; r == 0 && i < a.args.n; i++)
		r = string_list_add(&argv, a.args.v[i]);
	for (size_t i = 1; r == 0 && i < p->argv.n; i++)
		r = string_list_add(&argv, p->argv.v[i]);
	string_list_free(&p->argv);
	p->argv = argv;
	for (size_t i = 0; r == 0 && i < a.keys.n; i++)
		r = string_list_add(pass, a.keys.v[i]);
	for (size_t i = 0; r == 0 && i < a.env.n; i++)
		r = string_list_add(pass, a.env.v[i]);
	/* A home that is shown has it. */
	if (r == 0 && !p->places.home_host)
		r = agent_state_copy(&a, p->places.home_source);
	if (r == -EFBIG) { /* the agent works without; a person should know */
		fprintf(stderr,
			"gabion: agent %s: its state is larger than 64 MiB or 20,000 files: only part of it "
			"was copied\n",
			a.name);
		r = 0;
	}
	if (r == 0) {
		*ret_hosts = a.hosts;
		a.hosts = (struct string_list){.v = NULL};
		p->agent = STEAL(a.name);
		p->agent_note = STEAL(a.note);
	}
	agent_free(&a);
	return r;
}

/* Without a view the guest's home is at a path of its own and shows nothing of the real one's .gitconfig: git
 * would not know who commits. It may be read where it is. */
static int git_identity(struct prepared *p)
{
	AUTO_FREE char *theirs = NULL, *own = NULL;
	const char *home = getenv("HOME");
	struct stat st;

	if (home == NULL || p->places.home_host || strcmp(p->places.home, p->places.home_source) != 0 ||
	    environment_get(&p->env, "GIT_CONFIG_GLOBAL") != NULL)
		return 0;
	if (asprintf(&theirs, "%s/.gitconfig", home) < 0 || asprintf(&own, "%s/.gitconfig", p->places.home) < 0)
		return -ENOMEM;
	/* An empty one is what a view's mount leaves behind. */
	if ((stat(own, &st) == 0 && st.st_size > 0) || access(theirs, R_OK) < 0)
		return 0;
	return environment_set(&p->env, "GIT_CONFIG_GLOBAL", theirs);
}

static int build_env(const struct run_options *o, struct prepared *p, const struct string_list *from_agent)
{
	struct string_list pass = {NULL, 0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < from_agent->n; i++)
		r = string_list_add(&pass, from_agent->v[i]);
	for (size_t i = 0; r == 0 && i < o->env_pass.n; i++)
		r = string_list_add(&pass, o->env_pass.v[i]);
	for (size_t i = 0; r == 0 && i < o->env_set.n; i++)
		r = string_list_add(&pass, o->env_set.v[i]);
	for (size_t i = 0; r == 0 && i < o->env.n; i++)
		r = string_list_add(&pass, o->env.v[i]);
	for (size_t i = 0; r == 0 && i < o->credentials.n; i++)
		r = string_list_add(&pass, o->credentials.v[i].name);
	if (r == 0)
		r = environment_build(environ, &pass, &p->env, &p->dropped);
	string_list_free(&pass);
	if (r == 0)
		r = environment_set(&p->env, "HOME", p->places.home);
	if (r == 0)
		r = environment_set(&p->env, "TMPDIR", p->places.scratch);
	if (r == 0)
		r = environment_set(&p->env, "USER", p->places.user);
	if (r == 0)
		r = environment_set(&p->env, "LOGNAME", p->places.user);
	/* No hook of a template may run later on the host: git copies none from an empty template. */
	if (r == 0)
		r = environment_set(&p->env, "GIT_TEMPLATE_DIR", "");
	/* .NET maps what it compiles twice, through a memory file, unless told not to. */
	if (r == 0 && !o->memfd_exec && environment_get(&p->env, "DOTNET_EnableWriteXorExecute") == NULL)
		r = environment_set(&p->env, "DOTNET_EnableWriteXorExecute", "0");
	if (r == 0)
		r = git_identity(p);
	if (r == 0 && environment_get(&p->env, "PWD") != NULL)
		r = environment_set(&p->env, "PWD", p->places.cwd);
	if (r == 0)
		r = environment_set(&p->env, "GABION", GABION_VERSION);
	return r;
}

/* Who has a store of its own is told of the run's CA (floor/etc.c writes the files). */
static int trust_env(const struct run_options *o, struct prepared *p)
{
	static const char *const bundle[] = {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT",
					     "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE"};
	int r = environment_set(&p->env, "NODE_EXTRA_CA_CERTS", ETC_CA);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(bundle); i++)
		r = environment_set(&p->env, bundle[i], ETC_CA_BUNDLE);
	/* Whatever --env said: the placeholder, which is what our environment has by now. */
	for (size_t i = 0; r == 0 && i < o->credentials.n; i++) {
		const char *placeholder = getenv(o->credentials.v[i].name);

		r = placeholder ? environment_set(&p->env, o->credentials.v[i].name, placeholder) : -EINVAL;
	}
	return r;
}

/* Writable mounts execute only where the policy says so of them. */
static void floor_exec(struct prepared *p)
{
	struct places *pl = &p->places;

	pl->policy = p->policy;
	pl->exec_workspace = true;
	for (size_t i = 0; pl->workspaces[i] != NULL; i++)
		pl->exec_workspace = pl->exec_workspace && plan_executes(p->policy, pl->workspaces[i]);
	pl->exec_scratch = plan_executes(p->policy, pl->scratch);
	for (size_t i = 0; pl->tmpfs != NULL && i < pl->tmpfs->n; i++) {
		const char *path = pl->tmpfs->v[i].path;

		pl->exec_tmpfs[i] = policy_path(p->policy, OP_EXEC, path, strlen(path)).kind == VERDICT_ALLOW;
	}
	for (size_t i = 0; i < pl->n; i++)
		if (pl->v[i].link == NULL)
			pl->v[i].exec = plan_executes(p->policy, pl->v[i].target);
}

static bool same_or_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0' || n == 1);
}

/* A tmpfs needs a directory to lie over, and none may lie in a workspace. */
static int check_tmpfs(const struct run_options *o, const struct places *pl, char **ret_why)
{
	static const char *const made[] = {"/tmp", "/var/tmp", "/run", "/dev/shm"};

	for (size_t i = 0; i < o->tmpfs.n; i++) {
		const struct tmpfs_wish *w = &o->tmpfs.v[i];
		bool there = !pl->home_host && same_or_below(w->path, pl->home);
		struct stat st;

		for (size_t k = 0; k < ARRAY_LEN(made); k++)
			there = there || same_or_below(w->path, made[k]);
		for (size_t k = 0; pl->workspaces[k] != NULL; k++) {
			if (!same_or_below(w->path, pl->workspaces[k]))
				continue;
			(void)!asprintf(ret_why, "%s: a tmpfs cannot lie in the workspace: rm -rf, rename and atomic replace would "
						 "fail there", w->origin);
			return -EINVAL;
		}
		if (there || (stat(w->path, &st) == 0 && S_ISDIR(st.st_mode)))
			continue;
		(void)!asprintf(ret_why, "%s: %s is no directory: a tmpfs lies over one", w->origin, w->path);
		return -EINVAL;
	}
	return 0;
}

/* What the policy requires and this floor does not hold. Limits are asked where there may be a control group. */
static int check_required(const struct lang *policy, const struct plan *plan, char **ret_why)
{
	const struct said_list *l = &lang_values(policy)->require;
	struct require_state s = {.plan = plan, .cgroup = true};

	for (size_t i = 0; i < l->n; i++) {
		const char *missing = require_missing(l->v[i].text, &s);

		if (missing == NULL)
			continue;
		(void)!asprintf(ret_why, "%s: the policy requires %s (%s), and this host cannot hold it: %s", l->v[i].origin,
				l->v[i].text, require_what(l->v[i].text), missing);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Rules of files that never count, paths that do not exist. */
static int judge(const struct run_options *o, struct prepared *p, enum floor_mode mode)
{
	AUTO_FREE char *home = NULL;
	struct lang_places places = rules_places(&p->places, mode, &home);

	return o->policy_file == NULL ? 0 : lang_judge(o->policy, &places, p->policy, &p->warnings);
}

int prepare(const struct run_options *o, enum floor_mode mode, const char *ca, struct prepared *ret_p, char **ret_why)
{
	struct prepared p = PREPARED_NULL;
	struct string_list agent_env = {NULL, 0}, hosts = {NULL, 0};
	const char *why = NULL;
	int r = places_find(o, mode, &p.places, ret_why);

	if (r == 0) {
		r = ids_choose(mode, o, p.places.workspaces[0], &p.ids, &why);
		if (r < 0 && why != NULL)
			(void)!asprintf(ret_why, "%s (%s)", why, strerror(-r));
	}
	if (r == 0 && mode == FLOOR_BARE)
		r = bare_scratch(&p);
	for (size_t i = 0; r == 0 && o->command[i] != NULL; i++)
		r = string_list_add(&p.argv, o->command[i]);
	if (r == 0) {
		r = apply_agent(o, &p, &agent_env, &hosts);
		if (r == -ENOENT)
			(void)!asprintf(ret_why, "there is no agent %s: see `gabion run --help`", o->agent);
	}
	p.places.ca = ca;
	if (r == 0 && mode == FLOOR_BARE && o->credentials.n > 0) {
		(void)!asprintf(ret_why, "%s: credentials are held back by the relay, which needs user and network namespaces; this host "
					 "gives none: nothing was run", o->credentials.v[0].origin);
		r = -EOPNOTSUPP;
	}
	if (r == 0)
		r = build_env(o, &p, &agent_env);
	if (r == 0 && ca)
		r = trust_env(o, &p);
	string_list_free(&agent_env);
	if (r == 0)
		r = network_rules(o, p.agent, &hosts, &p.net, ret_why);
	p.places.network = p.net.policy != NULL;
	string_list_free(&hosts);
	if (r == 0)
		r = rules_build(o, &p.places, mode, &p.rules, ret_why);
	if (r == 0)
		r = policy_compile(p.rules, &p.policy);
	if (r == 0 && mode != FLOOR_BARE)
		r = check_tmpfs(o, &p.places, ret_why);
	if (r == 0)
		r = judge(o, &p, mode);
	if (r == 0) {
		struct plan_wish wish = options_wish(o);
		wish.datagram_stdio = datagram_stdio();
		uint32_t facts = expected_facts(mode);

		if (mode != FLOOR_BARE && landlock_abi() >= 2 && !stdio_is_file() && floor_writes_named(&p.places, p.policy))
			facts |= FLOOR_VIEW_WRITES;
		floor_exec(&p);
		plan_make(p.policy, facts, &wish, &p.plan);
		/* Asking costs a process: only where the answer counts. */
		if (plan_wants_tracer(&p.plan, &wish) && tracer_works())
			plan_make(p.policy, facts | FLOOR_TRACER, &wish, &p.plan);
		p.places.writes_held = p.plan.level[PLAN_WRITE] == LEVEL_NATIVE;
		r = check_required(o->policy, &p.plan, ret_why);
	}
	if (r < 0) {
		if (*ret_why == NULL)
			(void)!asprintf(ret_why, "the run could not be prepared: %s", strerror(-r));
		prepare_free(&p);
		return r;
	}
	*ret_p = p;
	return 0;
}

void prepare_free(struct prepared *p)
{
	if (p->places.scratch_source != NULL)
		scratch_remove(p->places.scratch_source);
	p->scratch_lock = fd_close(p->scratch_lock);
	places_free(&p->places);
	ids_release(&p->ids);
	policy_builder_free(p->rules);
	policy_free(p->policy);
	network_rules_free(&p->net);
	string_list_free(&p->argv);
	string_list_free(&p->env);
	string_list_free(&p->dropped);
	free(p->agent);
	free(p->agent_note);
	lang_messages_free(&p->warnings);
	*p = PREPARED_NULL;
}
