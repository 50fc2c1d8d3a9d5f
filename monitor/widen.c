/*
 * Widening a run in progress: see widen.h.
 *
 * The mount is made by a child of the monitor, which enters the guest's user namespace and, there, its mount
 * namespace. ROOT: the tree is cloned and idmapped on the host's side first. ROOTLESS: only inside the user
 * namespace may mounts be cloned, so the child first takes a copy of the host's mount namespace owned by it
 * (unshare after setns), clones the tree there, and moves it over. Nothing of the guest's is executed or read
 * but its mount tree; the path is the host user's.
 */
#include "monitor/widen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/rules.h"
#include "policy/glob.h"
#include "sentry.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

/* PATH, canonical a moment ago, without a link anywhere in it: the guest may have put one there since. */
static int hold_path(const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? err_now() : (int)fd;
}

static int clone_tree(const char *path, bool write, int userns)
{
	AUTO_FD int held = hold_path(path);
	if (held < 0)
		return held;
	AUTO_FD int fd = open_tree(held, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
	if (fd < 0)
		return err_now();
	if (userns >= 0) {
		struct mount_attr a = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};
		(void)mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a));
	}
	uint64_t set =
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | (write ? 0 : MOUNT_ATTR_RDONLY);
	if (mount_attrs(fd, set, 0, true) < 0)
		return err_now();
	return fd_steal(&fd);
}

/* In a child: PATH of the host at the same path of the guest's view. Returns 0 or negative errno. */
static int mount_in(const struct widen *w, const char *path, bool write, bool dir)
{
	const struct floor_ids *ids = &w->prepared->ids;
	AUTO_FD int userns = -1;
	AUTO_FD int tree = -1;

	if (ids->mode == FLOOR_ROOT) {
		int r = ids_map_namespace(ids, write && !ids->not_mapped, &userns);
		if (r < 0)
			return r;
		tree = clone_tree(path, write, userns);
		if (tree < 0)
			return tree;
	}
	if (setns(w->launched->userns, CLONE_NEWUSER) < 0)
		return err_now();
	if (tree < 0) {
		if (unshare(CLONE_NEWNS) < 0)
			return err_now();
		tree = clone_tree(path, write, -1);
		if (tree < 0)
			return tree;
	}
	if (setns(w->launched->mntns, CLONE_NEWNS) < 0)
		return err_now();
	/* The new root is the view's: setns moved us there. */
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_now();
	view_act_as(ids);
	AUTO_FD int at = view_mount_point(root, path, dir);
	if (at < 0)
		return at;
	return mount_attach(tree, at) < 0 ? err_now() : 0;
}

static int run_child(const struct widen *w, const char *path, bool write, bool dir)
{
	pid_t pid = fork();
	if (pid < 0)
		return err_now();
	if (pid == 0) {
		int r = mount_in(w, path, write, dir);
		_exit(r < 0 ? (-r > 254 ? 254 : -r) : 0);
	}
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_now();
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static int tell_sentry(const struct widen *w, enum sentry_msg_kind what, enum rule_kind kind, const char *pattern,
		       const char *origin)
{
	AUTO_FREE struct sentry_msg *m = calloc(1, sizeof(*m));
	struct timeval limit = {.tv_sec = 2};

	if (m == NULL)
		return -ENOMEM;
	m->kind = what;
	m->rule_kind = kind;
	snprintf(m->pattern, sizeof(m->pattern), "%s", pattern);
	snprintf(m->origin, sizeof(m->origin), "%s", origin);
	if (setsockopt(w->launched->control, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    send(w->launched->control, m, sizeof(*m), MSG_NOSIGNAL) != sizeof(*m) ||
	    recv(w->launched->control, m, sizeof(*m), 0) != sizeof(*m))
		return err_now();
	return m->kind == SENTRY_MSG_DONE ? m->value : -EPROTO;
}

/* The record names rules by id: the monitor's policy gets the same rule. */
static int own_rule(const struct widen *w, enum rule_kind kind, const char *pattern, const char *origin)
{
	struct policy *p = NULL;
	int r = policy_builder_add(w->prepared->rules, kind, pattern, origin);

	if (r == 0)
		r = policy_compile(w->prepared->rules, &p);
	if (r < 0)
		return r;
	audit_policy(w->audit, p);
	policy_free(w->prepared->policy);
	w->prepared->policy = p;
	return 0;
}

/*
 * Whether a rule at or below PATH, or with globs, would have to be held against what is to be mounted, by a
 * plan that leaves that to the floor: the masks were made at the start.
 */
static bool reveals(const struct widen *w, const char *path, bool write)
{
	const struct policy *p = w->prepared->policy;
	const enum level *level = w->prepared->plan.level;
	bool hide = level[PLAN_READ] >= LEVEL_OBSERVE || level[PLAN_META] >= LEVEL_OBSERVE;
	bool protect = write && (level[PLAN_WRITE] >= LEVEL_OBSERVE || level[PLAN_CHANGE] >= LEVEL_OBSERVE);
	size_t n = strlen(path);

	for (size_t i = 0; i < policy_rule_count(p); i++) {
		const struct rule *r = policy_rule(p, i);
		if (!(r->kind == RULE_HIDE && hide) && !((r->kind == RULE_PROTECT || r->kind == RULE_KEYS) && protect))
			continue;
		if (r->floating || strncmp(r->pattern, path, n) == 0)
			if (r->floating || r->pattern[n] == '\0' || r->pattern[n] == '/')
				return true;
		/* A glob may match in there. */
		if (r->literal_len < strlen(r->pattern) &&
		    strncmp(r->pattern, path, r->literal_len < n ? r->literal_len : n) == 0)
			return true;
	}
	return false;
}

/* Are the TCP ports of the rule TEXT among those Landlock was given at the start? */
static bool ports_named(const struct net_policy *p, const char *text)
{
	const struct net_text one = {.text = text, .origin = ""};
	const struct net_range *had = NULL, *wanted = NULL;
	struct net_policy *rule = NULL;
	struct net_fault fault;
	bool all = true;

	if (net_policy_compile(&one, 1, &rule, &fault) < 0)
		return true; /* the relay says what is wrong with it */
	size_t n = net_policy_ports(p, NET_PROTO_TCP, &had), m = net_policy_ports(rule, NET_PROTO_TCP, &wanted);
	for (size_t i = 0; i < m; i++) {
		bool in = false;

		for (size_t k = 0; k < n; k++)
			in |= wanted[i].from >= had[k].from && wanted[i].to <= had[k].to;
		all &= in;
	}
	(void)net_policy_free(rule);
	return all;
}

/* The relay first: what it judges holds; the sentry's word is the record's reason and the early errno. */
static int widen_network(const struct widen *w, const char *kind, const char *object, const char **ret_text)
{
	static const char origin[] = "gabion allow";
	int r;

	if (w->prepared->net.policy == NULL) {
		*ret_text = "this run was started without a network, which cannot be added: start it again with --net";
		return -EOPNOTSUPP;
	}
	if (w->prepared->ids.mode == FLOOR_BARE && strcmp(kind, "publish") == 0) {
		*ret_text = "without namespaces no port of the guest's can be published";
		return -EOPNOTSUPP;
	}
	if (strcmp(kind, "publish") == 0)
		return network_publish(w->net, object, ret_text);
	if ((w->prepared->plan.floor & FLOOR_LANDLOCK_TCP) != 0 && !ports_named(w->prepared->net.policy, object)) {
		*ret_text = "without namespaces Landlock holds a run to the ports named at its start: start it again with --net";
		return -EOPNOTSUPP;
	}
	r = network_allow(w->net, w->audit, object, origin, ret_text);
	if (r < 0)
		return r;
	r = tell_sentry(w, SENTRY_MSG_ADD_NET, RULE_NONE, object, origin);
	*ret_text = r < 0 ? "the sentry did not take the rule" : "allowed from now on";
	return r;
}

/*
 * Whether OBJECT, absolute, leads over a symbolic link that the guest may have made: one in a place it may write to. Then its
 * name is not the word of who typed it.
 */
static bool is_planted(const struct policy *p, const char *object)
{
	char prefix[PATH_MAX];
	size_t len = strlen(object);

	if (len >= sizeof(prefix))
		return true;
	for (size_t i = 1; i <= len; i++) {
		if (object[i] != '/' && object[i] != '\0')
			continue;
		memcpy(prefix, object, i);
		prefix[i] = '\0';
		struct stat st;
		char *slash = strrchr(prefix, '/');
		if (slash[1] == '\0' || lstat(prefix, &st) < 0 || !S_ISLNK(st.st_mode))
			continue;
		char link[PATH_MAX];
		char name[NAME_MAX + 1];
		snprintf(name, sizeof(name), "%s", slash + 1);
		slash[slash == prefix] = '\0';
		AUTO_FREE char *dir = realpath(prefix, NULL);
		int n = dir == NULL ? -1 : snprintf(link, sizeof(link), "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name);
		if (n < 0 || (size_t)n >= sizeof(link) ||
		    (policy_path(p, OP_WRITE, link, (size_t)n).kind == VERDICT_ALLOW && !policy_is_private(p, link)))
			return true;
	}
	return false;
}

/* Whether PATH lies in memory of the run's own, where nothing is protected (rules.c). */
static bool in_memory(const struct policy *p, const char *path)
{
	for (size_t i = 0; i < policy_rule_count(p); i++) {
		const struct rule *r = policy_rule(p, i);
		size_t n = strlen(r->pattern);

		if (r->kind == RULE_EXCEPT && strcmp(r->origin, RULES_MEMORY_ORIGIN) == 0 && strncmp(path, r->pattern, n) == 0 &&
		    (path[n] == '/' || path[n] == '\0'))
			return true;
	}
	return false;
}

int widen(const struct widen *w, const char *kind, const char *object, const char **ret_text)
{
	static const char origin[] = "gabion allow";
	bool write = strcmp(kind, "write") == 0;
	enum rule_kind rule = write ? RULE_WRITE : RULE_READ;
	struct stat st;

	if (strcmp(kind, "net") == 0 || strcmp(kind, "publish") == 0)
		return widen_network(w, kind, object, ret_text);
	if (!write && strcmp(kind, "read") != 0) {
		*ret_text = "only read, write, net and publish can be allowed";
		return -EINVAL;
	}
	if (w->prepared->ids.mode == FLOOR_BARE) {
		*ret_text = "without namespaces a run cannot be widened (a Landlock domain only shrinks): "
			    "start it again with --read or --write";
		return -EOPNOTSUPP;
	}
	AUTO_FREE char *path = realpath(object, NULL);
	if (path == NULL || stat(path, &st) < 0) {
		*ret_text = "there is no such file or directory on the host";
		return err_now();
	}
	if (object[0] != '/' || is_planted(w->prepared->policy, object)) {
		*ret_text = "it leads over a symbolic link the run may have made: name what is meant by its own path";
		return -ELOOP;
	}
	bool special = !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode);
	if (special || strcmp(path, "/") == 0 || strncmp(path, "/proc", 5) == 0 ||
	    strncmp(path, "/sys", 4) == 0 || strncmp(path, "/dev", 4) == 0) {
		*ret_text = "this cannot be shown: name a directory or a regular file of the host";
		return -EINVAL;
	}
	AUTO_FREE char *pattern = glob_quote(path);
	if (pattern == NULL)
		return -ENOMEM;
	int r = 0;
	bool workspace = false;
	for (size_t i = 0; w->prepared->places.workspaces[i] != NULL; i++) {
		const char *ws = w->prepared->places.workspaces[i];
		size_t n = strlen(ws);
		workspace = workspace || (strncmp(path, ws, n) == 0 && (path[n] == '/' || path[n] == '\0'));
	}
	if (write && in_memory(w->prepared->policy, path)) {
		*ret_text = "inside, this lies in memory of the run's own, where nothing is protected: start it again with --write";
		return -EACCES;
	}
	if (w->prepared->places.writes_held && (write || workspace)) {
		*ret_text = "this run leaves what may be written to the kernel (audit.reads: off), where it cannot be changed: start it "
			    "again with --read or --write";
		return -EOPNOTSUPP;
	}
	if (!workspace && reveals(w, path, write)) {
		*ret_text = "a rule hides or protects part of it, which a run in progress cannot mask: start "
			    "it again with "
			    "--read or --write, or name the part that is needed";
		return -EACCES;
	}
	if (!workspace) /* in a workspace everything is mounted already */
		r = run_child(w, path, write, S_ISDIR(st.st_mode));
	if (r < 0) {
		*ret_text = "it could not be mounted into the run's view";
		return r;
	}
	r = tell_sentry(w, SENTRY_MSG_ADD_RULE, rule, pattern, origin);
	if (r == 0)
		r = own_rule(w, rule, pattern, origin);
	*ret_text = r < 0 ? "the sentry did not take the rule" : "allowed from now on";
	return r;
}
