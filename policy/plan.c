/*
 * The plan: an allow list of (floor facts, key) under which the kernel alone enforces every rule of the key,
 * and the conditions on the policy that break the pair. What no row permits is emulated, or denied where
 * nothing can perform it. Pure: the same policy, facts and wishes always give the same plan.
 *
 * Why the conditions are what they are:
 * - A view is the whole system, read-only, with masks and writable places: it holds read rules only where they
 *   start with /. It holds paths that exist when it is made, so no glob for names to come, and no mask or
 *   read-only place inside something writable: no mounts are made there (rm -rf, rename and atomic replace must
 *   work), and the name could be created, moved or linked. Inside a place private to the run a hide rule needs
 *   no mask: nothing of the host's is there. What the host creates under a hidden name during the run is the
 *   host's affair.
 * - A mask stands where a hidden object was, so that the name shows in a list: told as a gap of LIST, which
 *   nothing could hold.
 * - A FIFO or a socket under a read-only mount can be opened for writing and connected to, workspace and home are mounted
 *   writable whatever the rules say of them, what a descriptor of the host's leads to has that one's mount, and set-id bits a
 *   guest gives a file would stay on it outside. So what writes is left to the kernel only with a domain of Landlock's about
 *   opens for writing, with a write rule for each writable mount (FLOOR_VIEW_WRITES), where no record is wanted, and where no rule takes
 *   something away inside (Landlock cannot). Calls with a mode that has such a bit stay notified (policy/narrow.c).
 * - Landlock can only allow, by hierarchy: a restriction below something allowed is held at most for what exists
 *   at start (the floor allows the rest entry by entry), which is enough for exec, not for hide. It does not
 *   speak of metadata, chdir, Unix sockets or O_PATH: of the guest's paths it holds execve alone.
 * - exec cannot be performed by the sentry. Where the floor does not hold the exec rules it is verified by the tracer, which
 *   knows what was loaded by its inode; mapping a file executable, as the ELF interpreter does with its argument, is the
 *   mounts' alone. Without the tracer exec is denied, and the run with it: the caller has to say so before it starts.
 * - A container of an engine's is what the engine made it: where no rule forbids more than its mounts, its ids and its
 *   namespaces do, nothing is left to hold, and everything is the kernel's. Rules that protect something named *.sock at any
 *   depth are held for the host's sockets that are there at the start: they are covered where they show, and a cover stays
 *   on the object whatever is renamed.
 * - A deny-exec rule without globs is held by a noexec mount of the object where nothing there is writable, or where all of
 *   the writable place is noexec; by Landlock likewise, entry by entry. One about arguments is the tracer's.
 */
#include "plan.h"

#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#include "policy/compiled.h"
#include "util/err.h"

/* What of a policy the floor may be unable to hold. */
enum cond {
	COND_HIDE_GLOB = 1 << 0,   /* a hide rule with globs or ** */
	COND_HIDE_INSIDE = 1 << 1, /* a hide rule no mask is made for: inside a writable place, or lifted in part */
	COND_ALLOW_GLOB = 1 << 2,  /* a read or write rule with globs */
	COND_EXEC_GLOB = 1 << 3,   /* an exec rule with globs */
	COND_NOT_ALL_EXEC = 1 << 4, /* not everything that is not writable may be executed */
	COND_NOEXEC_GLOB = 1 << 5, /* a write rule with globs, without exec, where an exec rule covers it */
	COND_NOEXEC_INSIDE = 1 << 6, /* a write rule without exec inside a writable place that may be executed */
	COND_HIDE_MASK = 1 << 7,   /* a hide rule a mask is made for: its name shows */
	COND_NOT_ALL_READ = 1 << 8, /* not everything may be read */
	COND_DENY_GLOB = 1 << 9,    /* a deny-exec rule with globs */
	COND_DENY_INSIDE = 1 << 10, /* a deny-exec rule inside a writable place that executes */
	COND_DENY_ARGS = 1 << 11,   /* a deny-exec rule about arguments */
	COND_GUARDED = 1 << 12,	    /* a rule takes something away from what is writable, or may */
	COND_NOT_ALL_WRITE = 1 << 13, /* not everything may be written */
	COND_PROTECT = 1 << 14,	    /* a protect or keys rule of something else than sockets */
	COND_EXEC_INSIDE = 1 << 15, /* an exec rule inside a writable place that does not execute else */
};

#define VIEW_HIDES  (COND_HIDE_GLOB | COND_HIDE_INSIDE)
#define VIEW_READS  (VIEW_HIDES | COND_ALLOW_GLOB | COND_NOT_ALL_READ)
#define CONTAINER_READS (VIEW_READS | COND_HIDE_MASK)
#define CONTAINER_WRITES (CONTAINER_READS | COND_NOT_ALL_WRITE | COND_PROTECT)
#define DENIES	    (COND_DENY_GLOB | COND_DENY_INSIDE | COND_DENY_ARGS)
#define EXEC_GLOBS  (COND_EXEC_GLOB | COND_NOEXEC_GLOB | DENIES)
#define VIEW_EXECS  (EXEC_GLOBS | COND_EXEC_INSIDE)

enum { WISH_ANY = 0, WISH_RECORD, WISH_NO_RECORD };

struct row {
	enum plan_key key;
	uint32_t facts;	   /* all of them */
	unsigned int none; /* enum cond: none of them */
	int wish;
	enum level level;
	const char *why;
	const char *gap; /* what of the rules nothing of the floor holds in this row; NULL: all is held */
	bool races;	 /* exec: the gap is a path swapped in time, which the tracer notices */
};

#define ALL_READ    "everything in the container may be read: no rule is left to hold"
#define ALL_WRITTEN "everything in the container may be written: its mounts and ids decide"
#define OWN_NAMES   "a file of the container's own can have the name of a protected socket"
#define ENGINES	    "which processes can be named is the engine's choice"
#define HOST_PIDS   "where the engine gave the host's pid namespace, the host's processes can be named"

/* The first row that fits counts. Each (key, facts) has its test: tests/floor/pairs.tbl. */
/* clang-format off */
static const struct row rows[] = {
	{ PLAN_READ, FLOOR_CONTAINER, CONTAINER_READS, WISH_ANY, LEVEL_NATIVE, ALL_READ, NULL, false },
	{ PLAN_META, FLOOR_CONTAINER, CONTAINER_READS, WISH_ANY, LEVEL_NATIVE, ALL_READ, NULL, false },
	{ PLAN_WATCH, FLOOR_CONTAINER, CONTAINER_READS, WISH_ANY, LEVEL_NATIVE, ALL_READ, NULL, false },
	{ PLAN_LIST, FLOOR_CONTAINER, CONTAINER_READS, WISH_ANY, LEVEL_NATIVE, ALL_READ, NULL, false },
	{ PLAN_WRITE, FLOOR_CONTAINER, CONTAINER_WRITES, WISH_ANY, LEVEL_NATIVE, ALL_WRITTEN, OWN_NAMES, false },
	{ PLAN_CHANGE, FLOOR_CONTAINER, CONTAINER_WRITES, WISH_ANY, LEVEL_NATIVE, ALL_WRITTEN, OWN_NAMES, false },
	{ PLAN_CONNECT, FLOOR_CONTAINER, CONTAINER_WRITES, WISH_ANY, LEVEL_NATIVE, "the host's sockets that rules name are covered",
	  "a socket the host makes during the run, in a directory that is shown, can be connected to", false },
	{ PLAN_BIND, FLOOR_CONTAINER, CONTAINER_WRITES, WISH_ANY, LEVEL_NATIVE, ALL_WRITTEN, OWN_NAMES, false },
	{ PLAN_SEND, FLOOR_CONTAINER, CONTAINER_WRITES, WISH_ANY, LEVEL_NATIVE, "the host's sockets that rules name are covered",
	  "a socket the host makes during the run, in a directory that is shown, can be sent to", false },
	{ PLAN_EXEC, FLOOR_CONTAINER, CONTAINER_READS | VIEW_EXECS | COND_NOT_ALL_EXEC | COND_NOEXEC_INSIDE, WISH_ANY, LEVEL_OBSERVE,
	  "everything may be executed but what the container's mounts forbid; looked at for the record", NULL, false },
	{ PLAN_SIGNAL, FLOOR_CONTAINER, 0, WISH_ANY, LEVEL_NATIVE, ENGINES, HOST_PIDS, false },
	{ PLAN_PROCESS, FLOOR_CONTAINER, 0, WISH_ANY, LEVEL_NATIVE, ENGINES, HOST_PIDS, false },
	{ PLAN_TRACE, FLOOR_CONTAINER, 0, WISH_ANY, LEVEL_NATIVE, ENGINES, HOST_PIDS, false },

	{ PLAN_READ, FLOOR_VIEW, VIEW_READS, WISH_RECORD, LEVEL_OBSERVE,
	  "the mount view holds every read and hide rule; looked at for the record", NULL, false },
	{ PLAN_READ, FLOOR_VIEW, VIEW_READS, WISH_NO_RECORD, LEVEL_NATIVE, "the mount view holds every read and hide rule", NULL, false },

	{ PLAN_WRITE, FLOOR_VIEW | FLOOR_VIEW_WRITES, VIEW_READS | COND_GUARDED, WISH_NO_RECORD, LEVEL_NATIVE,
	  "mounts and a Landlock domain hold every write rule, and no rule lies inside what is writable", NULL, false },
	{ PLAN_CHANGE, FLOOR_VIEW | FLOOR_VIEW_WRITES, VIEW_READS | COND_GUARDED, WISH_NO_RECORD, LEVEL_NATIVE,
	  "mounts hold every write rule, and no rule lies inside what is writable", NULL, false },

	{ PLAN_META, FLOOR_VIEW, VIEW_READS, WISH_ANY, LEVEL_NATIVE, "the mount view holds every read and hide rule", NULL, false },

	{ PLAN_LIST, FLOOR_VIEW, VIEW_READS | COND_HIDE_MASK, WISH_ANY, LEVEL_NATIVE,
	  "the mount view holds every read and hide rule", NULL, false },
	{ PLAN_LIST, FLOOR_VIEW, VIEW_READS, WISH_ANY, LEVEL_NATIVE, "the mount view holds every read rule and what is hidden",
	  "the name of what is hidden shows where it existed at the start; a mask stands there", false },
	{ PLAN_LIST, 0, VIEW_HIDES, WISH_ANY, LEVEL_NATIVE, "lists are the kernel's: what may be read may be listed",
	  "the names of hidden entries can be listed in a directory that may be read", false },

	{ PLAN_CHDIR, FLOOR_VIEW, VIEW_READS, WISH_ANY, LEVEL_NATIVE, "the mount view holds every read and hide rule", NULL, false },
	{ PLAN_CHDIR, 0, 0, WISH_ANY, LEVEL_NATIVE, "what is done from a directory is judged",
	  "whether a hidden directory exists can be probed by changing to it", false },

	{ PLAN_EXEC, FLOOR_VIEW | FLOOR_VIEW_NOEXEC | FLOOR_STDIO, VIEW_HIDES | VIEW_EXECS | COND_NOT_ALL_EXEC | COND_NOEXEC_INSIDE,
	  WISH_ANY, LEVEL_OBSERVE, "noexec mounts hold every exec rule", NULL, false },
	{ PLAN_EXEC, FLOOR_VIEW | FLOOR_VIEW_NOEXEC, VIEW_HIDES | VIEW_EXECS | COND_NOT_ALL_EXEC | COND_NOEXEC_INSIDE, WISH_ANY,
	  LEVEL_OBSERVE, "noexec mounts hold every exec rule",
	  "the file that is a standard descriptor could be executed if a path is swapped in time: it is on a mount of the host's", true },
	{ PLAN_EXEC, FLOOR_VIEW | FLOOR_VIEW_NOEXEC, VIEW_EXECS | COND_NOT_ALL_EXEC | COND_NOEXEC_INSIDE, WISH_ANY, LEVEL_OBSERVE,
	  "noexec mounts hold every exec rule",
	  "a hidden file could be executed, not read, if its path is swapped in time", true },
	{ PLAN_EXEC, FLOOR_VIEW | FLOOR_VIEW_NOEXEC, VIEW_EXECS | COND_NOT_ALL_EXEC, WISH_ANY, LEVEL_OBSERVE,
	  "noexec mounts hold every exec rule but one inside a place that may be executed",
	  "a writable place without exec lies inside one with it: a file in there could be executed if its path is swapped in "
	  "time", true },
	/* carved: monitor/floor/landlock.c */
	{ PLAN_EXEC, FLOOR_LANDLOCK_FS, COND_EXEC_GLOB | DENIES | COND_HIDE_GLOB, WISH_ANY, LEVEL_OBSERVE,
	  "Landlock holds every exec rule for execve", "mapping a file executable is held by nothing", false },
	{ PLAN_EXEC, FLOOR_LANDLOCK_FS, COND_EXEC_GLOB | DENIES, WISH_ANY, LEVEL_OBSERVE, "Landlock holds every exec rule for execve",
	  "mapping a file executable is held by nothing, and what a hide rule with globs names could be executed, not read, if "
	  "its path is swapped in time", true },

	{ PLAN_WATCH, FLOOR_VIEW, VIEW_READS, WISH_ANY, LEVEL_NATIVE, "the mount view holds every read and hide rule", NULL, false },

	{ PLAN_SOCKET, FLOOR_NETNS, 0, WISH_ANY, LEVEL_OBSERVE,
	  "families and types are plain numbers; a network namespace of its own holds the rest", NULL, false },
	{ PLAN_SOCKET, 0, 0, WISH_ANY, LEVEL_OBSERVE, "families and types are plain numbers", NULL, false },

	{ PLAN_SIGNAL, FLOOR_PIDNS, 0, WISH_ANY, LEVEL_NATIVE, "no process outside the pid namespace can be named", NULL, false },
	{ PLAN_PROCESS, FLOOR_PIDNS, 0, WISH_ANY, LEVEL_NATIVE, "no process outside the pid namespace can be named", NULL, false },

	{ PLAN_TRACE, FLOOR_PIDNS, 0, WISH_ANY, LEVEL_NATIVE, "no process outside the pid namespace can be named", NULL, false },
	{ PLAN_TRACE, FLOOR_LANDLOCK_FS, 0, WISH_ANY, LEVEL_NATIVE,
	  "a Landlock domain traces nothing outside itself; gabion's own processes in it are not dumpable", NULL, false },
};
/* clang-format on */

/* Where no row fits. */
static const struct {
	enum level level;
	const char *why;
} otherwise[PLAN_COUNT] = {
	[PLAN_READ] = {LEVEL_EMULATE, "no proven part of the floor holds these read and hide rules"},
	[PLAN_WRITE] = {LEVEL_EMULATE,
			"the floor holds write rules where no other rule lies inside what is writable, no record is wanted "
			"(audit.reads: off), and standard descriptors are no files"},
	[PLAN_META] = {LEVEL_EMULATE,
		       "no proven part of the floor holds these read and hide rules for metadata"},
	[PLAN_CHANGE] =
		{LEVEL_EMULATE,
		 "the floor holds write rules for names and metadata only where it does for opens, see write"},
	[PLAN_LIST] = {LEVEL_EMULATE, "no proven part of the floor keeps these hidden names out of lists"},
	[PLAN_CHDIR] = {LEVEL_DENY, ""},
	[PLAN_EXEC] = {LEVEL_DENY,
		       "no part of the floor holds these exec rules, and exec cannot be emulated"},
	[PLAN_WATCH] = {LEVEL_EMULATE,
			"no proven part of the floor holds these read and hide rules for watches"},
	[PLAN_SOCKET] = {LEVEL_DENY, ""},
	[PLAN_CONNECT] = {LEVEL_EMULATE,
			  "Unix sockets under read-only mounts are reachable: the address is judged"},
	[PLAN_BIND] = {LEVEL_EMULATE,
		       "what is bound in a shared place is remembered: the host's sockets there are not the guest's"},
	[PLAN_SEND] = {LEVEL_EMULATE, "an address may ride along: it is judged"},
	[PLAN_SIGNAL] = {LEVEL_EMULATE, "processes outside the tree can be named: the target is judged"},
	[PLAN_PROCESS] = {LEVEL_EMULATE, "processes outside the tree can be named: the target is judged"},
	[PLAN_RING] = {LEVEL_EMULATE, "io_uring: restricted: gabion makes each ring, for what works on held descriptors alone"},
	[PLAN_TRACE] = {LEVEL_EMULATE, "processes outside the tree can be named, and nobody can trace for the caller: refused"},
};

/* What a reader of the plan should know rather than that no row fitted: the condition that broke the pair. */
static const struct {
	enum cond cond;
	uint32_t keys;
	const char *why;
} broken[] = {
#define KEY(k) (1U << (k))
#define PATH_KEYS (KEY(PLAN_READ) | KEY(PLAN_META) | KEY(PLAN_WATCH))
	{COND_HIDE_GLOB, PATH_KEYS, "a hide rule has globs: names that do not exist yet cannot be masked"},
	{COND_HIDE_INSIDE, PATH_KEYS, "a hide rule lies inside a writable place, or is lifted in part: no mount can hold it"},
	{COND_ALLOW_GLOB, PATH_KEYS,
	 "a read or write rule has globs: names that do not exist yet cannot be mounted"},
	{COND_GUARDED, KEY(PLAN_WRITE) | KEY(PLAN_CHANGE),
	 "a rule takes something away inside what is writable, or may: no mount is made there"},
	{COND_NOT_ALL_READ, PATH_KEYS, "the mount view shows more of the system than the read rules name"},
	{COND_EXEC_GLOB, KEY(PLAN_EXEC), "an exec rule has globs, and exec cannot be emulated"},
	{COND_EXEC_INSIDE, KEY(PLAN_EXEC),
	 "an exec rule lies inside a writable place that does not execute, and there is no tracer to verify an exec"},
	{COND_NOEXEC_GLOB, KEY(PLAN_EXEC),
	 "a write rule with globs names what must not be executed: no mount can hold that, and exec cannot "
	 "be emulated"},
	{COND_DENY_GLOB, KEY(PLAN_EXEC), "a rule that denies execution has globs, and there is no tracer to verify an exec"},
	{COND_DENY_INSIDE, KEY(PLAN_EXEC),
	 "a rule denies execution inside a writable place, and there is no tracer to verify an exec"},
	{COND_DENY_ARGS, KEY(PLAN_EXEC), "a rule speaks of arguments, and there is no tracer to look at them"},
	{COND_NOT_ALL_EXEC, KEY(PLAN_EXEC),
	 "not everything read-only may be executed: mounts alone do not hold that, and exec cannot be "
	 "emulated"},
};

/* The longest literal rule of KIND at or above S; its weight, 0 where there is none. */
static uint32_t longest(const struct policy *p, enum rule_kind kind, const char *s)
{
	uint32_t best = 0;

	for (size_t i = 0; i < p->n; i++)
		if (p->rules[i].kind == kind && p->literal[i] && p->weight[i] > best &&
		    path_covers(p->rules[i].pattern, p->weight[i], s))
			best = p->weight[i];
	return best;
}

/* Whether S lies in a place private to the run, and no longer rule (of weight SHOWN) shows the host in there
 * again. */
static bool is_private(const struct policy *p, const char *s, uint32_t shown)
{
	for (size_t i = 0; p->private[i]; i++)
		if (path_covers(p->private[i], strlen(p->private[i]), s) && strlen(p->private[i]) >= shown)
			return true;
	return false;
}

/*
 * Whether a later except rule that speaks of what is at or below the object of the literal hide rule I lifts some of it.
 * One that floats there from further up is left to the mask, which then refuses more than the rules do. In a private place
 * there is nothing of the host's to lift.
 */
static bool lifted_in_part(const struct policy *p, size_t i)
{
	const char *path = p->rules[i].pattern;
	size_t len = strlen(path);

	for (size_t k = i + 1; k < p->n; k++)
		if (p->rules[k].kind == RULE_EXCEPT && p->rules[k].literal_len >= len &&
		    path_covers(path, len, p->rules[k].pattern) &&
		    !is_private(p, p->rules[k].pattern, longest(p, RULE_READ, p->rules[k].pattern)))
			return true;
	return false;
}

static unsigned int hide_conds(const struct policy *p, size_t i)
{
	const struct rule *r = &p->rules[i];
	uint32_t write, allow, most;

	if (!p->literal[i] || r->floating)
		return COND_HIDE_GLOB;
	/* The guest's /proc is mounted after everything else, over any mask. */
	if (path_covers("/proc", 5, r->pattern))
		return COND_HIDE_INSIDE;
	write = longest(p, RULE_WRITE, r->pattern);
	allow = longest(p, RULE_READ, r->pattern);
	most = write > allow ? write : allow;
	if (write && is_private(p, r->pattern, most))
		return 0;
	return write || lifted_in_part(p, i) ? COND_HIDE_INSIDE : COND_HIDE_MASK;
}

bool plan_masks(const struct policy *p, size_t i)
{
	const struct rule *r = policy_rule(p, i);

	return r && r->kind == RULE_HIDE && !p->lifted[i] && hide_conds(p, i) == COND_HIDE_MASK;
}

bool policy_hides_within(const struct policy *p, size_t i)
{
	return i < p->n && p->rules[i].kind == RULE_HIDE && !p->lifted[i] &&
	       (hide_conds(p, i) & (COND_HIDE_GLOB | COND_HIDE_INSIDE)) != 0;
}

/* Whether the restriction I may speak of something in a writable place; a read rule restricts where a write rule allows more. */
static unsigned int guard_conds(const struct policy *p, size_t i)
{
	const struct rule *r = &p->rules[i];
	uint32_t write = longest(p, RULE_WRITE, r->pattern), read = longest(p, RULE_READ, r->pattern);

	if (!p->literal[i] || r->floating)
		return COND_GUARDED;
	if (!write || (r->kind == RULE_READ && write >= p->weight[i]))
		return 0;
	/* As for reading: what bears a hidden name in there is none of the host's. */
	return r->kind == RULE_HIDE && is_private(p, r->pattern, write > read ? write : read) ? 0 : COND_GUARDED;
}

static unsigned int allow_conds(const struct policy *p, size_t i)
{
	const struct rule *r = &p->rules[i];
	unsigned int c = 0;

	if (!p->literal[i]) {
		c |= COND_ALLOW_GLOB;
		for (size_t k = 0; r->kind == RULE_WRITE && k < p->n; k++)
			if (p->rules[k].kind == RULE_EXEC && p->weight[k] < p->weight[i])
				c |= COND_NOEXEC_GLOB;
		return c;
	}
	if (r->kind != RULE_WRITE || longest(p, RULE_EXEC, r->pattern) >= p->weight[i])
		return c;
	/* Not to be executed: is a writable place above it? No mount is made below one, so it has that one's flags. */
	for (size_t k = 0; k < p->n; k++)
		if (p->rules[k].kind == RULE_WRITE && p->literal[k] && p->weight[k] < p->weight[i] &&
		    path_covers(p->rules[k].pattern, p->weight[k], r->pattern) &&
		    longest(p, RULE_EXEC, p->rules[k].pattern) >= p->weight[k])
			c |= COND_NOEXEC_INSIDE;
	return c;
}

/* A noexec mount holds it where no name of the guest's making is: inside a writable place no mount is made. */
static unsigned int deny_conds(const struct policy *p, size_t i)
{
	const struct rule *r = &p->rules[i];

	if (r->args)
		return COND_DENY_ARGS;
	if (!p->literal[i])
		return COND_DENY_GLOB;
	for (size_t k = 0; k < p->n; k++)
		if (p->rules[k].kind == RULE_WRITE && p->literal[k] &&
		    path_covers(p->rules[k].pattern, p->weight[k], r->pattern) &&
		    policy_path(p, OP_EXEC, p->rules[k].pattern, p->weight[k]).kind == VERDICT_ALLOW)
			return COND_DENY_INSIDE;
	return 0;
}

/* Whether rule R speaks of a socket by nothing but its name, at every depth. */
static bool protects_socket(const struct rule *r)
{
	static const char top[] = "/**/", end[] = ".sock";
	size_t n = strlen(r->pattern);

	return r->kind == RULE_PROTECT && strncmp(r->pattern, top, strlen(top)) == 0 && n > strlen(end) &&
	       strcmp(r->pattern + n - strlen(end), end) == 0 && strpbrk(r->pattern + strlen(top), "/*?[\\") == NULL;
}

/* The literal write rule inside whose place the literal exec rule I opens execution, which is not open there else; -1: none. */
static ssize_t opened_inside(const struct policy *p, size_t i)
{
	const char *path = p->rules[i].pattern;
	ssize_t place = -1;

	if (!p->literal[i] || policy_path(p, OP_WRITE, path, p->weight[i]).kind != VERDICT_ALLOW ||
	    policy_path(p, OP_EXEC, path, p->weight[i]).kind != VERDICT_ALLOW)
		return -1;
	for (size_t k = 0; k < p->n; k++)
		if (p->rules[k].kind == RULE_WRITE && p->literal[k] && path_covers(p->rules[k].pattern, p->weight[k], path) &&
		    (place < 0 || p->weight[k] > p->weight[place]))
			place = (ssize_t)k;
	if (place < 0 || p->weight[place] >= p->weight[i] || longest(p, RULE_EXEC, p->rules[place].pattern) >= p->weight[place])
		return -1;
	return place;
}

bool plan_executes(const struct policy *p, const char *target)
{
	size_t len = strlen(target);

	for (size_t i = 0; i < p->n; i++) {
		const struct rule *r = &p->rules[i];
		ssize_t place;

		if (r->kind != RULE_EXEC)
			continue;
		if (!p->literal[i] && r->literal_len > len && strncmp(r->pattern, target, len) == 0 && r->pattern[len] == '/')
			return true;
		place = opened_inside(p, i);
		if (place >= 0 && strcmp(p->rules[place].pattern, target) == 0)
			return true;
	}
	return policy_path(p, OP_EXEC, target, len).kind == VERDICT_ALLOW;
}

static unsigned int conds(const struct policy *p)
{
	unsigned int c = 0;

	if (!longest(p, RULE_WRITE, "/"))
		c |= COND_NOT_ALL_WRITE;
	if (!longest(p, RULE_READ, "/") && !longest(p, RULE_WRITE, "/"))
		c |= COND_NOT_ALL_READ;
	if (!longest(p, RULE_EXEC, "/"))
		c |= COND_NOT_ALL_EXEC;
	for (size_t i = 0; i < p->n; i++) {
		if (p->lifted[i])
			continue;
		switch (p->rules[i].kind) {
		case RULE_HIDE:
			c |= hide_conds(p, i) | guard_conds(p, i);
			break;
		case RULE_READ:
			if (!p->literal[i] || strcmp(p->rules[i].pattern, "/") != 0)
				c |= COND_NOT_ALL_WRITE;
			c |= allow_conds(p, i) | guard_conds(p, i);
			break;
		case RULE_WRITE:
			c |= allow_conds(p, i);
			break;
		case RULE_PROTECT:
		case RULE_KEYS:
			c |= guard_conds(p, i);
			if (!protects_socket(&p->rules[i]))
				c |= COND_PROTECT;
			break;
		case RULE_EXEC:
			if (!p->literal[i])
				c |= COND_EXEC_GLOB;
			else if (opened_inside(p, i) >= 0)
				c |= COND_EXEC_INSIDE;
			break;
		case RULE_EXEC_DENY:
			c |= deny_conds(p, i);
			break;
		case RULE_NONE:
		case RULE_EXCEPT:
		case RULE_KIND_COUNT:
			break;
		}
	}
	return c;
}

static bool fits(const struct row *r, uint32_t floor, unsigned int c, const struct plan_wish *wish)
{
	if ((r->facts & floor) != r->facts || (r->none & c))
		return false;
	return r->wish == WISH_ANY || (r->wish == WISH_RECORD) == wish->record_reads;
}

/*
 * What reads and is to be recorded even where it is permitted: looked at where the floor holds its rules, which is less than to leave it
 * to the kernel unseen. What lists a directory opened it before.
 */
static bool record_all(enum plan_key k, const struct plan_wish *wish)
{
	return wish->record_all && (k == PLAN_READ || k == PLAN_META || k == PLAN_WATCH);
}

/* --mediate all: these can be performed by the sentry. */
static bool can_emulate(enum plan_key k)
{
	switch (k) {
	case PLAN_READ:
	case PLAN_WRITE:
	case PLAN_META:
	case PLAN_CHANGE:
	case PLAN_CONNECT:
	case PLAN_BIND:
	case PLAN_SEND:
	case PLAN_LIST:
		return true;
	case PLAN_CHDIR:
	case PLAN_EXEC:
	case PLAN_WATCH:
	case PLAN_SOCKET:
	case PLAN_SIGNAL:
	case PLAN_PROCESS:
	case PLAN_TRACE:
	case PLAN_RING:
	case PLAN_COUNT:
		break;
	}
	return false;
}

bool plan_wants_tracer(const struct plan *plan, const struct plan_wish *wish)
{
	return wish->mediate_all || plan->level[PLAN_EXEC] == LEVEL_DENY || !plan->exec_held;
}

static void decide(enum plan_key k, uint32_t floor, unsigned int c, const struct plan_wish *wish,
		   struct plan *plan)
{
	if (k == PLAN_RING && !wish->rings) {
		plan->level[k] = LEVEL_DENY;
		plan->why[k] = "io_uring: off";
		return;
	}
	if (wish->mediate_all && can_emulate(k)) {
		plan->level[k] = LEVEL_EMULATE;
		plan->why[k] = "--mediate all";
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].key == k && fits(&rows[i], floor, c, wish)) {
			plan->level[k] = rows[i].level;
			plan->why[k] = rows[i].why;
			plan->gap[k] = rows[i].gap;
			if (record_all(k, wish) && plan->level[k] == LEVEL_NATIVE) {
				plan->level[k] = LEVEL_OBSERVE;
				plan->why[k] = "the mount view holds every read and hide rule; looked at for the record (reads: all)";
			}
			if (k == PLAN_EXEC)
				plan->exec_held = rows[i].level >= LEVEL_OBSERVE && !rows[i].races;
			return;
		}
	plan->level[k] = otherwise[k].level;
	plan->why[k] = otherwise[k].why;
	for (size_t i = 0; i < ARRAY_LEN(broken); i++)
		if ((broken[i].keys & KEY(k)) && (broken[i].cond & c) &&
		    (floor & (FLOOR_VIEW | FLOOR_VIEW_NOEXEC))) {
			plan->why[k] = broken[i].why;
			return;
		}
}

/* What the tracer makes of exec where the floor does not hold its rules, or nothing is to be left to it. */
static void verify(const struct plan_wish *wish, struct plan *plan)
{
	if ((plan->floor & FLOOR_TRACER) == 0 || !plan_wants_tracer(plan, wish))
		return;
	plan->why[PLAN_EXEC] = plan->exec_held ? "--mediate all: what was loaded is compared before it runs"
					       : "what was loaded is compared before it runs";
	plan->gap[PLAN_EXEC] = NULL;
	if (!(plan->floor & FLOOR_VIEW_NOEXEC))
		plan->gap[PLAN_EXEC] = "mapping a file executable, as ld.so does with its argument, is held by nothing";
	else if (!plan->exec_held)
		plan->gap[PLAN_EXEC] = "mapping a file executable, as ld.so does with its argument, is held by noexec mounts alone: not "
				       "for patterns, arguments and what lies in a writable place that executes";
	plan->level[PLAN_EXEC] = LEVEL_VERIFY;
}

bool plan_pair(size_t i, struct plan_pair *ret_pair)
{
	if (i >= ARRAY_LEN(rows))
		return false;
	*ret_pair = (struct plan_pair){
		.key = rows[i].key, .facts = rows[i].facts, .level = rows[i].level, .gap = rows[i].gap};
	return true;
}

void plan_make(const struct policy *p, uint32_t floor, const struct plan_wish *wish, struct plan *ret_plan)
{
	struct plan plan = {.floor = floor, .list = wish->list};
	unsigned int c = conds(p);

	for (int k = 0; k < PLAN_COUNT; k++)
		decide((enum plan_key)k, floor, c, wish, &plan);
	verify(wish, &plan);
	plan.ring_sends = wish->rings && !wish->datagram_stdio && (floor & FLOOR_NETNS) != 0;
	*ret_plan = plan;
}

enum plan_key plan_key_of(const struct sys_row *row)
{
	switch (row->family) {
	case FAM_OPEN:
		return PLAN_WRITE;
	case FAM_META:
		return PLAN_META;
	case FAM_CHANGE:
		return PLAN_CHANGE;
	case FAM_LIST:
		return PLAN_LIST;
	case FAM_CHDIR:
		return PLAN_CHDIR;
	case FAM_EXEC:
		return PLAN_EXEC;
	case FAM_WATCH:
		return PLAN_WATCH;
	case FAM_SOCKET:
		return PLAN_SOCKET;
	case FAM_CONNECT:
		return PLAN_CONNECT;
	case FAM_BIND:
		return PLAN_BIND;
	case FAM_SEND:
		return PLAN_SEND;
	case FAM_SIGNAL:
		return PLAN_SIGNAL;
	case FAM_PROCESS:
		return PLAN_PROCESS;
	case FAM_TRACE:
		return PLAN_TRACE;
	case FAM_RING:
		return PLAN_RING;
	case FAM_NONE:
	case FAM_DENIED:
	case FAM_COUNT:
		break;
	}
	return PLAN_COUNT;
}

const char *plan_key_name(enum plan_key k)
{
	static const char *const names[PLAN_COUNT] = {
		[PLAN_READ] = "read",	    [PLAN_WRITE] = "write",	[PLAN_META] = "meta",
		[PLAN_CHANGE] = "change",   [PLAN_LIST] = "list",	[PLAN_CHDIR] = "chdir",
		[PLAN_EXEC] = "exec",	    [PLAN_WATCH] = "watch",	[PLAN_SOCKET] = "socket",
		[PLAN_CONNECT] = "connect", [PLAN_BIND] = "bind",	[PLAN_SEND] = "send",
		[PLAN_SIGNAL] = "signal",   [PLAN_PROCESS] = "process", [PLAN_TRACE] = "trace",
		[PLAN_RING] = "ring",
	};

	return (unsigned int)k < PLAN_COUNT ? names[k] : "none";
}

const char *plan_level_name(enum level l)
{
	switch (l) {
	case LEVEL_DENY:
		return "deny";
	case LEVEL_EMULATE:
		return "emulate";
	case LEVEL_VERIFY:
		return "verify";
	case LEVEL_OBSERVE:
		return "observe";
	case LEVEL_NATIVE:
		return "native";
	}
	return "deny";
}

const char *plan_fact_name(enum floor_fact f)
{
	switch (f) {
	case FLOOR_VIEW:
		return "view";
	case FLOOR_VIEW_NOEXEC:
		return "view-noexec";
	case FLOOR_LANDLOCK_FS:
		return "landlock-fs";
	case FLOOR_LANDLOCK_TCP:
		return "landlock-tcp";
	case FLOOR_LANDLOCK_SCOPE:
		return "landlock-scope";
	case FLOOR_PIDNS:
		return "pid-namespace";
	case FLOOR_NETNS:
		return "network-namespace";
	case FLOOR_IPCNS:
		return "ipc-namespace";
	case FLOOR_USERNS:
		return "user-namespace";
	case FLOOR_NNP:
		return "no-new-privs";
	case FLOOR_CGROUP_KILL:
		return "cgroup-kill";
	case FLOOR_TRACER:
		return "tracer";
	case FLOOR_STDIO:
		return "stdio";
	case FLOOR_VIEW_WRITES:
		return "view-writes";
	case FLOOR_CONTAINER:
		return "container";
	}
	return "none";
}
