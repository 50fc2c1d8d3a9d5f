/*
 * Landlock domains (landlock(7)). Headers of Debian 12 know ABI 2; what later ABIs added is defined here.
 *
 * BARE: the only kernel state that speaks of files. Landlock can only allow, by hierarchy; so what a hide
 * rule names below an allowed directory is carved out: the directory's entries are allowed one by one, except
 * the hidden ones. What is created beside them later is refused until the next run. The domain binds the
 * sentry too. With a view: paths are the view's affair (and a view can be widened during a run, a domain
 * cannot); the domain holds device nodes, signals and abstract sockets, and, where the plan leaves writing to the kernel, what
 * may be opened for writing, since a read-only mount says nothing of the FIFOs in it.
 *
 * Should: claim a fact only for what the running kernel's ABI enforces.
 * Mustn't: allow a path because a rule could not be resolved.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "util/err.h"
#include "util/fd.h"

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

/* struct landlock_ruleset_attr as of ABI 6. */
struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4 */
	uint64_t scoped;	     /* ABI 6 */
};

/* struct landlock_net_port_attr of ABI 4. */
struct net_port_attr {
	uint64_t allowed_access;
	uint64_t port; /* host order */
};

enum {
	RULE_NET_PORT = 2, /* LANDLOCK_RULE_NET_PORT */
	NET_BIND_TCP = 1 << 0,
	NET_CONNECT_TCP = 1 << 1,
	SCOPE_ABSTRACT = 1 << 0,
	SCOPE_SIGNAL = 1 << 1,
	CARVE_DEPTH_MAX = 8,
};

#define FILE_READ  LANDLOCK_ACCESS_FS_READ_FILE
#define FILE_WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define DIR_READ   (FILE_READ | LANDLOCK_ACCESS_FS_READ_DIR)
#define DIR_WRITE                                                                                            \
	(FILE_WRITE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                       \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |          \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
#define DEVICES (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#define EXECUTE LANDLOCK_ACCESS_FS_EXECUTE

int landlock_abi(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return v < 0 ? 0 : (int)v;
}

static int restrict_self(int ruleset)
{
	int r = limits_no_new_privs();
	if (r < 0)
		return r;
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? err_now() : 0;
}

static int ruleset_new(struct ruleset_attr a, int abi)
{
	size_t size = abi >= 6 ? sizeof(a) : abi >= 4 ? 16 : 8;
	if (abi < 4)
		a.handled_access_net = 0;
	if (abi < 6)
		a.scoped = 0;
	if (abi < 3)
		a.handled_access_fs &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi < 2)
		a.handled_access_fs &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
	long fd = syscall(SYS_landlock_create_ruleset, &a, size, 0);
	return fd < 0 ? err_now() : (int)fd;
}

static int allow_beneath(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr a = {.allowed_access = access, .parent_fd = fd};
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &a, 0) < 0 ? err_now() : 0;
}

/* Terminals, null devices and FIFOs the command is given lie outside the view; it may have them again by their names in /proc. */
static int allow_stdio(int ruleset)
{
	int r = 0;
	for (int fd = 0; r == 0 && fd < 3; fd++) {
		struct stat st;
		if (fstat(fd, &st) < 0 || !(S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
			continue;
		r = allow_beneath(ruleset, fd, LANDLOCK_ACCESS_FS_WRITE_FILE);
		if (r == -EBADFD) /* no file system: a pipe, never refused */
			r = 0;
	}
	return r;
}

/* Names may move between directories (a domain that does not speak of that refuses it), and only write rules' objects be written. */
static int allow_writes(int ruleset, const struct policy *policy)
{
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? err_now() : allow_beneath(ruleset, root, LANDLOCK_ACCESS_FS_REFER);
	for (size_t i = 0; r == 0 && i < policy_rule_count(policy); i++) {
		const struct rule *rule = policy_rule(policy, i);
		if (rule->kind != RULE_WRITE || rule->literal_len != strlen(rule->pattern) ||
		    policy_path(policy, OP_WRITE, rule->pattern, rule->literal_len).kind != VERDICT_ALLOW)
			continue;
		/* What a link leads to has another name, of which the rule does not speak. */
		struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
		AUTO_FD int fd = (int)syscall(SYS_openat2, AT_FDCWD, rule->pattern, &how, sizeof(how));
		if (fd >= 0) /* else nothing is there, nor can anything come there */
			r = allow_beneath(ruleset, fd, LANDLOCK_ACCESS_FS_WRITE_FILE);
	}
	return r == 0 ? allow_stdio(ruleset) : r;
}

int landlock_view(const struct policy *writes, uint32_t *ret_facts)
{
	int abi = landlock_abi();
	uint64_t fs = DEVICES;
	if (writes != NULL && abi < 2)
		return -EOPNOTSUPP;
	if (abi == 0)
		return 0;
	if (writes != NULL)
		fs |= LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REFER;
	AUTO_FD int ruleset =
		ruleset_new((struct ruleset_attr){.handled_access_fs = fs, .scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL}, abi);
	if (ruleset < 0)
		return ruleset;
	int r = writes != NULL ? allow_writes(ruleset, writes) : 0;
	if (r == 0)
		r = restrict_self(ruleset);
	if (r == 0 && abi >= 6)
		*ret_facts |= FLOOR_LANDLOCK_SCOPE;
	if (r == 0 && writes != NULL)
		*ret_facts |= FLOOR_VIEW_WRITES;
	return r;
}

int landlock_apart(void)
{
	int abi = landlock_abi();
	if (abi < 6)
		return 0;
	AUTO_FD int ruleset = ruleset_new((struct ruleset_attr){.scoped = SCOPE_SIGNAL}, abi);
	return ruleset < 0 ? ruleset : restrict_self(ruleset);
}

struct carve {
	int ruleset;
	uint64_t handled;
	const struct policy *policy;
	enum op op;
	uint64_t access; /* for directories; files get the part that means something for them */
	int depth;
};

static int allow_path(const struct carve *c, const char *path)
{
	struct stat st;
	AUTO_FD int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0; /* nothing there, or closed to the caller anyway */
	uint64_t access = c->access & c->handled;
	if (!S_ISDIR(st.st_mode))
		access &= FILE_READ | FILE_WRITE | EXECUTE;
	struct landlock_path_beneath_attr a = {.allowed_access = access, .parent_fd = fd};
	if (syscall(SYS_landlock_add_rule, c->ruleset, LANDLOCK_RULE_PATH_BENEATH, &a, 0) < 0)
		return err_now();
	return 0;
}

/* Does the policy refuse OP for an object some literal rule names below PATH? (A hidden one; for OP_EXEC also
 * a writable one.) */
static bool refused_below(const struct policy *p, enum op op, const char *path)
{
	size_t n = strcmp(path, "/") == 0 ? 0 : strlen(path);
	for (size_t i = 0; i < policy_rule_count(p); i++) {
		const struct rule *r = policy_rule(p, i);
		/* What is hidden in a place made for the run is not there: no reason to carve. */
		if (r->kind == RULE_HIDE && policy_is_private(p, r->pattern))
			continue;
		bool denies = r->kind == RULE_EXEC_DENY && op == OP_EXEC && r->args == NULL;
		if ((r->kind == RULE_HIDE || denies || (r->kind == RULE_WRITE && op == OP_EXEC)) && !r->floating &&
		    strncmp(r->pattern, path, n) == 0 && r->pattern[n] == '/' &&
		    policy_path(p, op, r->pattern, strlen(r->pattern)).kind != VERDICT_ALLOW)
			return true;
	}
	return false;
}

/* Does PATH lie in the directory a write rule with globs speaks of? What it names must not execute, so
 * nothing there does. */
static bool in_glob_directory(const struct policy *p, const char *path)
{
	for (size_t i = 0; i < policy_rule_count(p); i++) {
		const struct rule *r = policy_rule(p, i);
		size_t n = r->literal_len;
		if (r->kind != RULE_WRITE || n == strlen(r->pattern))
			continue;
		while (n > 0 && r->pattern[n - 1] != '/')
			n--;
		if (n > 0 && strncmp(path, r->pattern, n - 1) == 0 &&
		    (path[n - 1] == '/' || path[n - 1] == '\0'))
			return true;
	}
	return false;
}

/* Allows PATH, or, where something below it is hidden, its entries one by one. */
static int allow_carved(const struct carve *c, const char *path)
{
	if (policy_path(c->policy, c->op, path, strlen(path)).kind != VERDICT_ALLOW ||
	    (c->op == OP_EXEC && in_glob_directory(c->policy, path)))
		return 0;
	if (!refused_below(c->policy, c->op, path))
		return allow_path(c, path);
	if (c->depth >= CARVE_DEPTH_MAX)
		return 0;
	DIR *d = opendir(path);
	if (d == NULL)
		return 0;
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(d)) != NULL;) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || e->d_type == DT_LNK)
			continue;
		AUTO_FREE char *child = NULL;
		if (asprintf(&child, "%s/%s", strcmp(path, "/") == 0 ? "" : path, e->d_name) < 0) {
			r = -ENOMEM;
			break;
		}
		struct carve below = *c;
		below.depth++;
		r = allow_carved(&below, child);
	}
	closedir(d);
	return r;
}

static int allow_port(int ruleset, unsigned int port)
{
	struct net_port_attr a = {.allowed_access = NET_CONNECT_TCP, .port = port};

	return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &a, 0) < 0 ? err_now() : 0;
}

/* Connections to the ports the network rules name and to the relay's name server; where to is the sentry's to judge. */
static int allow_ports(int ruleset, const struct net_policy *net, uint16_t names_port)
{
	const struct net_range *v = NULL;
	size_t n = net_policy_ports(net, NET_PROTO_TCP, &v);

	int r = names_port != 0 ? allow_port(ruleset, names_port) : 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		for (unsigned int port = v[i].from; r == 0 && port <= v[i].to; port++)
			r = allow_port(ruleset, port);
	return r;
}

int landlock_bare(const struct policy *policy, const struct net_policy *net, uint16_t names_port, uint32_t *ret_facts)
{
	int abi = landlock_abi();
	if (abi == 0)
		return -EOPNOTSUPP;
	struct ruleset_attr a = {
		.handled_access_fs = DIR_READ | DIR_WRITE | DEVICES | EXECUTE,
		.handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP,
		.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL,
	};
	AUTO_FD int ruleset = ruleset_new(a, abi);
	if (ruleset < 0)
		return ruleset;
	struct carve c = {.ruleset = ruleset, .handled = a.handled_access_fs, .policy = policy};
	if (abi < 3)
		c.handled &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi < 2)
		c.handled &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
	int r = 0;
	for (size_t i = 0; r == 0 && i < policy_rule_count(policy); i++) {
		const struct rule *rule = policy_rule(policy, i);
		if (rule->kind != RULE_READ && rule->kind != RULE_WRITE && rule->kind != RULE_EXEC)
			continue;
		c.op = rule->kind == RULE_EXEC ? OP_EXEC : OP_READ;
		c.access = rule->kind == RULE_EXEC    ? EXECUTE
			   : rule->kind == RULE_WRITE ? DIR_READ | DIR_WRITE
						      : DIR_READ;
		if (rule->literal_len == strlen(rule->pattern)) {
			r = allow_carved(&c, rule->pattern);
		} else {
			/* A rule with globs is emulation's affair (the plan leaves no family to the kernel
			 * then); the sentry, bound by this domain too, needs the directory. An exec that globs speak of
			 * is the tracer's to verify, or there is no run: the kernel must let it come to that. */
			AUTO_FREE char *dir = strndup(rule->pattern, rule->literal_len);
			char *slash = dir == NULL ? NULL : strrchr(dir, '/');
			if (slash == NULL || slash == dir)
				continue;
			*slash = '\0';
			r = allow_path(&c, dir);
		}
	}
	if (r == 0 && net != NULL && abi >= 4)
		r = allow_ports(ruleset, net, names_port);
	if (r == 0)
		r = restrict_self(ruleset);
	if (r < 0)
		return r;
	*ret_facts |= FLOOR_LANDLOCK_FS | (abi >= 4 ? (uint32_t)FLOOR_LANDLOCK_TCP : 0) |
		      (abi >= 6 ? (uint32_t)FLOOR_LANDLOCK_SCOPE : 0);
	return 0;
}
