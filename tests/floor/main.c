/*
 * The differential test of the plan: for each entry of its allow list (pairs.tbl) the very floor a run gets is built by the
 * program's own prepare() and launch_start(), with a filter that allows everything, and on it, supervised by nobody, a prover
 * makes every call of the family on a tree of hard cases. What the kernel answered is compared with policy_path():
 *
 *   refused by the policy, done by the kernel   an escape: the floor does not hold what the plan says
 *   allowed by the policy, refused by the kernel the floor holds too much
 *
 * What is hidden counts as held where a call reaches a mask: an object that is not the one the rule names.
 *
 *   floor FIXTURE WORKSPACE       FIXTURE: an empty directory of the caller's that no built-in rule speaks of; TAP on stdout
 *   floor inside LIST PROVERS     what runs on the floor (inside.c)
 *   answer                        the program that is executed there: status 42
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "inside.h"
#include "outside.h"
#include "monitor/environment.h"
#include "monitor/launch.h"
#include "monitor/options_table.h"
#include "monitor/policy_open.h"
#include "monitor/prepare.h"
#include "policy.h"
#include "table.h"
#include "util/err.h"
#include "util/fd.h"

enum { OPTIONS_MAX = 24, OBJECTS_MAX = 128, NAMES_MAX = 512, RING_BYTES = 1 << 16 };

struct truth {
	struct object o;
	unsigned long dev, ino;
	bool known;
};

/* A floor to be built: options of `gabion run`; PUB, WS, EX, WR and PROG at their start stand for the directories. */
struct scenario {
	const char *name;
	const char *options[OPTIONS_MAX];
	bool held;    /* standard input is a program of the workspace's, opened before the start */
	bool control; /* the plan emulates here, and the test must find that the floor does not hold the rules */
	bool home_there; /* home and program lie in the fixture: what is shown below /tmp lies in a writable place of the run's own */
	const char *force; /* control: the prover that is run nevertheless */
};

static const struct scenario scenarios[] = {
	{ .name = "agent",
	  .options = { "--hide", "PUB/secret", "--hide", "PUB/hidden.txt", "--hide", "PUB/hidden-fifo", "--hide", "PUB/hidden-sock",
		       "--hide", "PUB/parent/secret", "--hide", "LONG/secret", "--hide", "PUB/late", "--hide", "PUB/repo/.git" } },
	{ .name = "shown again", .options = { "--hide", "PUB/secret", "--read", "PUB/secret/sub", "--hide", "PUB/hidden.txt" } },
	{ .name = "lifted", .options = { "--hide", "PUB/secret", "--unhide", "PUB/secret" } },
	{ .name = "places", .options = { "--write", "WR", "--exec", "EX", "--hide", "PUB/secret" } },
	{ .name = "strict", .options = { "--profile", "strict", "--hide", "PUB/secret" } },
	{ .name = "strict, places", .options = { "--profile", "strict", "--write", "WR", "--exec", "EX" } },
	{ .name = "dev", .options = { "--profile", "dev", "--hide", "PUB/secret" } },
	{ .name = "hidden in the workspace", .options = { "--hide", "WS/secret" }, .control = true, .force = "inside_meta" },
	{ .name = "writing to a FIFO", .options = { "--hide", "PUB/secret" }, .control = true, .force = "inside_write" },
	{ .name = "writes left to the kernel", .options = { "--policy", "POLICY", "--write", "WR", "--hide", "PUB/secret" },
	  .home_there = true },
	{ .name = "changing what is protected", .options = { "--protect", "WS/secret" }, .control = true, .force = "inside_change" },
	{ .name = "a file held before", .held = true },
	{ .name = "a file held before, its gap", .held = true, .control = true, .force = "inside_exec" },
	{ .name = "no exec inside exec", .options = { "--write", "WS/dir" }, .control = true, .force = "inside_exec" },
};

static const struct {
	enum plan_key key;
	uint32_t facts;
	const char *prover;
} pairs[] = {
#define PAIR(key, facts, prover) { key, facts, #prover },
#include "pairs.tbl"
#undef PAIR
};

static struct {
	char self[4096], pub[4096], ws[4096], ex[4096], wr[4096], deep[4096], list[4200], policy[4200];
	struct truth v[OBJECTS_MAX];
	size_t n;
	int tests, failed;
	bool control;
	struct { char prover[24], name[24]; } made[NAMES_MAX];
	size_t made_n;
	bool proven[ARRAY_LEN(pairs)];
} g;

static void tap(bool ok, const char *scenario, const char *what)
{
	g.tests++;
	g.failed += !ok;
	(void)printf("%s %d - %s: %s\n", ok ? "ok" : "not ok", g.tests, scenario, what);
}

_Noreturn void die(const char *what)
{
	(void)printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the tree ------------------------------------------------------------------------------------- */

static void put(const char *path, mode_t mode, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0)
		die(path);
	(void)fsetxattr(fd, "user.mark", "m", 1, 0);
	close(fd);
}

static void put_program(const char *path)
{
	char buf[65536];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	for (ssize_t n; from >= 0 && to >= 0 && (n = read(from, buf, sizeof(buf))) > 0;)
		if (write(to, buf, (size_t)n) != n)
			die(path);
	if (from < 0 || to < 0)
		die(path);
	close(from);
	close(to);
}

static void put_socket(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0 || chmod(path, 0777) < 0)
		die(path);
}

/* FORMAT with the name of a directory before it; a static buffer of many. */
static const char *in(const char *dir, const char *rest)
{
	static char bufs[16][8192];
	static int at;
	char *b = bufs[at++ % 16];

	(void)snprintf(b, sizeof(bufs[0]), "%s%s", dir, rest);
	return b;
}

static void dir(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		die(path);
}

/* The same hard cases below TOP. */
static void tree(const char *top)
{
	static const char *const dirs[] = { "/dir", "/dir/sub", "/secret", "/secret/sub", "/parent", "/parent/secret",
					    "/repo", "/repo/.git", "/repo/.git/hooks", "/repo/nested", "/repo/nested/.git",
					    "/repo/nested/.git/hooks" };
	static const char *const files[] = { "/file", "/dir/sub/file", "/secret/key", "/secret/sub/file", "/hidden.txt",
					     "/parent/secret/key", "/repo/.git/hooks/hook", "/repo/nested/.git/hooks/hook" };

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		dir(in(top, dirs[i]));
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		put(in(top, files[i]), 0644, files[i]);
	if (mkfifo(in(top, "/fifo"), 0666) < 0 || mkfifo(in(top, "/secret/fifo"), 0666) < 0 ||
	    mkfifo(in(top, "/hidden-fifo"), 0666) < 0 || symlink("file", in(top, "/link")) < 0 ||
	    symlink("secret/key", in(top, "/link-to-secret")) < 0 || symlink("key", in(top, "/secret/link")) < 0 ||
	    link(in(top, "/secret/key"), in(top, "/hard")) < 0)
		die(top);
	put_socket(in(top, "/sock"));
	put_socket(in(top, "/hidden-sock"));
	put_socket(in(top, "/secret/sock"));
	put_program(in(top, "/prog"));
	put_program(in(top, "/dir/prog"));
	put_program(in(top, "/secret/prog"));
}

/* PUB/<name of 240 bytes> seven times over, made step by step. */
static void deep_tree(void)
{
	char name[242] = "/";

	memset(name + 1, 'n', 240);
	(void)snprintf(g.deep, sizeof(g.deep), "%s", g.pub);
	for (int i = 0; i < 7; i++) {
		(void)snprintf(g.deep + strlen(g.deep), sizeof(g.deep) - strlen(g.deep), "%s", name);
		dir(g.deep);
	}
	dir(in(g.deep, "/secret"));
	put(in(g.deep, "/file"), 0644, "deep");
	put(in(g.deep, "/secret/key"), 0644, "deep");
}

static void know(const char *label, enum kind kind, const char *path, const char *host)
{
	struct truth *t = &g.v[g.n++];
	struct stat st;

	if (g.n > OBJECTS_MAX)
		die("objects");
	*t = (struct truth){ .o.kind = kind, .o.path = strdup(path) };
	(void)snprintf(t->o.label, sizeof(t->o.label), "%s", label);
	if (host == NULL)
		return;
	if (lstat(host, &st) < 0) {
		free(t->o.path);
		g.n--;
		return;
	}
	t->dev = (unsigned long)st.st_dev;
	t->ino = (unsigned long)st.st_ino;
	t->known = true;
}

static void know_tree(const char *prefix, const char *top)
{
	static const struct {
		const char *rest;
		enum kind kind;
	} v[] = {
		{ "", KIND_DIR },		   { "/file", KIND_FILE },	   { "/dir", KIND_DIR },
		{ "/dir/sub", KIND_DIR },	   { "/dir/sub/file", KIND_FILE },  { "/fifo", KIND_FIFO },
		{ "/sock", KIND_SOCK },		   { "/link", KIND_LINK },	   { "/hard", KIND_FILE },
		{ "/secret", KIND_DIR },	   { "/secret/key", KIND_FILE },	   { "/secret/sub", KIND_DIR },
		{ "/secret/sub/file", KIND_FILE }, { "/secret/fifo", KIND_FIFO },   { "/secret/sock", KIND_SOCK },
		{ "/secret/link", KIND_LINK },	   { "/hidden.txt", KIND_FILE },	   { "/hidden-fifo", KIND_FIFO },
		{ "/hidden-sock", KIND_SOCK },	   { "/parent", KIND_DIR },	   { "/parent/secret", KIND_DIR },
		{ "/parent/secret/key", KIND_FILE }, { "/repo/.git", KIND_DIR },	   { "/repo/.git/hooks/hook", KIND_FILE },
		{ "/repo/nested/.git", KIND_DIR }, { "/repo/nested/.git/hooks/hook", KIND_FILE },
		{ "/prog", KIND_PROG },		   { "/dir/prog", KIND_PROG },	   { "/secret/prog", KIND_PROG },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		char label[128];
		(void)snprintf(label, sizeof(label), "%s%s", prefix, v[i].rest);
		for (char *c = label; *c; c++)
			if (*c == '/')
				*c = ':';
		know(label, v[i].kind, in(top, v[i].rest), in(top, v[i].rest));
	}
}

static void know_system(void)
{
	static const struct {
		const char *path;
		enum kind kind;
	} v[] = { { "/etc", KIND_DIR },	     { "/etc/hostname", KIND_FILE },  { "/etc/shadow", KIND_FILE },
		  { "/etc/sudoers", KIND_FILE }, { "/usr", KIND_DIR },	      { "/usr/bin/env", KIND_FILE },
		  { "/var/log", KIND_DIR },      { "/var/log/dpkg.log", KIND_FILE }, { "/var/spool", KIND_DIR },
		  { "/boot", KIND_DIR } };

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		char label[32];
		struct stat st;
		/* What the host's own permissions refuse proves nothing. */
		if (stat(v[i].path, &st) < 0 || (st.st_mode & 0004) == 0)
			continue;
		(void)snprintf(label, sizeof(label), "sys%s", v[i].path);
		for (char *c = label; *c; c++)
			if (*c == '/')
				*c = ':';
		know(label, v[i].kind, v[i].path, v[i].path);
	}
}

/* A policy of which the floor can hold all, and nobody wants a record. */
static void write_policy(void)
{
	put(g.policy, 0644,
	    "version: 1\n"
	    "filesystem:\n"
	    "  home: host\n"
	    "  read: [/]\n"
	    "  exec: [/, \"${workspace}\"]\n"
	    "  write: [/dev/null, /dev/zero, /dev/full, /dev/tty, /dev/ptmx, /dev/pts, /proc, \"${workspace}\", \"${scratch}\"]\n"
	    "  tmpfs: [/tmp, /var/tmp, /dev/shm, /run]\n"
	    "audit: {reads: off}\n");
}

/* ---- one scenario -------------------------------------------------------------------------------------- */

static const char *place(const char *option)
{
	static const struct {
		const char *name;
		const char *dir;
	} v[] = { { "PUB", g.pub }, { "WS", g.ws }, { "EX", g.ex }, { "WR", g.wr }, { "LONG", g.deep }, { "PROG", g.self },
		{ "POLICY", g.policy } };

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		size_t n = strlen(v[i].name);
		if (strncmp(option, v[i].name, n) == 0 && (option[n] == '/' || option[n] == '\0'))
			return strdup(in(v[i].dir, option + n));
	}
	return option;
}

static void write_list(const struct prepared *p, const struct outside *out)
{
	FILE *f = fopen(g.list, "we");

	if (f == NULL)
		die(g.list);
	(void)fprintf(f, "scratch\t%s\nvictim\t%d\nport4\t%d\nport6\t%d\nabstract\t%s\n", p->places.scratch, (int)out->victim,
		      out->port4, out->port6, out->abstract);
	for (size_t i = 0; i < g.n; i++)
		(void)fprintf(f, "object\t%s\t%d\t%s\n", g.v[i].o.label, (int)g.v[i].o.kind, g.v[i].o.path);
	(void)fclose(f);
	(void)chmod(g.list, 0644);
}

static struct truth *find(const char *label)
{
	for (size_t i = 0; i < g.n; i++)
		if (strcmp(g.v[i].o.label, label) == 0)
			return &g.v[i];
	return NULL;
}

static void note_made(const char *prover, const char *name)
{
	for (size_t i = 0; i < g.made_n; i++)
		if (strcmp(g.made[i].prover, prover) == 0 && strcmp(g.made[i].name, name) == 0)
			return;
	if (g.made_n == NAMES_MAX)
		return;
	(void)snprintf(g.made[g.made_n].prover, sizeof(g.made[0].prover), "%s", prover);
	(void)snprintf(g.made[g.made_n++].name, sizeof(g.made[0].name), "%s", name);
}

struct count {
	char prover[24];
	int calls, reached, escapes, strict, lines;
	bool ran;
};

static struct count *count_of(struct count *c, const char *prover)
{
	size_t i = 0;

	while (c[i].prover[0] != '\0' && strcmp(c[i].prover, prover) != 0)
		i++;
	(void)snprintf(c[i].prover, sizeof(c[i].prover), "%s", prover);
	return &c[i];
}

/* A mapping is beyond Landlock, a file held before beyond mounts: the plan says so (a gap). */
static bool in_gap(const struct prepared *p, const char *prover, const char *label, const char *name, const char *route)
{
	if (strcmp(label, "held") == 0 && p->plan.gap[PLAN_EXEC] != NULL && !g.control)
		return true;
	return strcmp(prover, "inside_exec") == 0 && !(p->plan.floor & FLOOR_VIEW_NOEXEC) &&
	       (strcmp(name, "mmap") == 0 || strstr(route, "/loader") != NULL);
}

static void compare(const struct prepared *p, struct count *counts, char *line)
{
	char *save = NULL, *f[9];
	int n = 0;

	for (char *t = strtok_r(line, "\t\n", &save); t != NULL && n < 9; t = strtok_r(NULL, "\t\n", &save))
		f[n++] = t;
	if (n >= 4 && strcmp(f[0], "real") == 0) {
		struct truth *t = find(f[1]);
		if (t != NULL) {
			t->dev = strtoul(f[2], NULL, 10);
			t->ino = strtoul(f[3], NULL, 10);
			t->known = true;
		}
	} else if (n == 9 && strcmp(f[0], "call") == 0) {
		struct truth *t = find(f[3]);
		struct count *c = count_of(counts, f[1]);
		enum op op = (enum op)atoi(f[5]);
		if (t == NULL || !t->known || in_gap(p, f[1], t->o.label, f[2], f[4]))
			return;
		note_made(f[1], f[2]);
		bool reached = atoi(f[6]) == 0 && strtoul(f[7], NULL, 10) == t->dev && strtoul(f[8], NULL, 10) == t->ino;
		struct verdict v = policy_path(p->policy, op, t->o.path, strlen(t->o.path));
		/* A file held from before has no path here, and what has none is not executed (call_judge_nameless()). */
		if (strcmp(t->o.label, "held") == 0)
			v = VERDICT_NULL;
		c->calls++;
		c->reached += reached;
		if (reached == (v.kind == VERDICT_ALLOW))
			return;
		/* On the way to something shown: a mask one can walk through may stand there. */
		if (v.kind == VERDICT_ALLOW && v.rule == NULL)
			return;
		/* Held from before the start, outside of every path: of it only execution is asked. */
		if (strcmp(t->o.label, "held") == 0 && (strcmp(f[1], "inside_exec") != 0 || strncmp(f[4], "o-path", 6) == 0))
			return;
		/* Landlock lets nobody execute what he may not read. */
		if (!reached && strcmp(f[1], "inside_exec") == 0 && p->ids.mode == FLOOR_BARE &&
		    policy_path(p->policy, OP_READ, t->o.path, strlen(t->o.path)).kind != VERDICT_ALLOW)
			return;
		if (reached)
			c->escapes++;
		else
			c->strict++;
		if (!g.control && c->lines++ < 12)
			(void)printf("# %s: %s %s by %s: policy %s, kernel %s (%s)\n", reached ? "ESCAPE" : "too strict", f[2],
				     t->o.path + (strlen(t->o.path) > 200 ? strlen(t->o.path) - 40 : 0), f[4],
				     v.kind == VERDICT_ALLOW ? "allows" : "refuses", reached ? "does it" : "does not",
				     strerror(atoi(f[6])));
	} else if (n == 5 && strcmp(f[0], "out") == 0) {
		struct count *c = count_of(counts, f[1]);
		note_made(f[1], f[2]);
		c->calls++;
		if (atoi(f[4]) == 0) {
			c->escapes++;
			(void)printf("# ESCAPE: %s reaches %s\n", f[2], f[3]);
		}
	} else if (n == 4 && strcmp(f[0], "own") == 0) {
		struct count *c = count_of(counts, f[1]);
		int e = atoi(f[3]);
		c->calls++;
		/* Not every kernel has every one of them, or memory on a second node; advice asks for CAP_SYS_NICE. */
		if (strcmp(f[2], "process_madvise") == 0 && e == EPERM)
			e = ENOSYS;
		if (e == 0 || e == ENOSYS || e == ENODEV || e == EOPNOTSUPP || e == EINVAL) {
			c->reached += e == 0;
		} else {
			c->strict++;
			(void)printf("# too strict: %s on a child: %s\n", f[2], strerror(e));
		}
	} else if (n == 2 && strcmp(f[0], "ran") == 0) {
		count_of(counts, f[1])->ran = true;
	} else if (n >= 2 && strcmp(f[0], "fault") == 0) {
		(void)printf("# %s\n", f[1]);
	}
}

static void nothing(void *ctx)
{
	(void)ctx;
}

/* Starts the command of P on its floor; returns its standard output. */
static FILE *start(struct prepared *p, const struct run_options *o, struct launched *l)
{
	struct terminal_look look = { .wanted = false };
	struct launch_failure fail = { .err = 0 };
	struct record_ring *ring = NULL;
	int out[2], saved = dup(1);

	if (pipe2(out, O_CLOEXEC) < 0 || record_ring_new(RING_BYTES, RING_BYTES, &ring) < 0)
		die("pipe");
	struct launch launch = { .o = o, .places = &p->places, .ids = &p->ids, .rules = p->rules, .policy = p->policy,
				 .plan = &p->plan, .ring = ring, .look = &look, .argv = p->argv.v, .env = p->env.v,
				 .relay = -1, .meanwhile = nothing };
	(void)fflush(stdout);
	(void)dup2(out[1], 1);
	int r = launch_start(&launch, l, &fail);
	(void)dup2(saved, 1);
	close(saved);
	close(out[1]);
	(void)record_ring_free(ring);
	if (r < 0) {
		(void)printf("# start: %s: %s\n", fail.stage, strerror(fail.err));
		close(out[0]);
		return NULL;
	}
	return fdopen(out[0], "r");
}

static void end(struct launched *l)
{
	fd_close(l->init);
	fd_close(l->control);
	(void)kill(l->sentry, SIGKILL);
	while (waitpid(l->sentry, NULL, 0) < 0 && errno == EINTR)
		;
	fd_close(l->sentry_pidfd);
	fd_close(l->userns);
	fd_close(l->mntns);
}

static void know_own(const struct prepared *p)
{
	static const struct {
		const char *label, *path;
	} v[] = { { "own-tmp", "/tmp/own" }, { "own-var-tmp", "/var/tmp/own" }, { "own-shm", "/dev/shm/own" } };

	for (size_t i = 0; p->ids.mode != FLOOR_BARE && i < ARRAY_LEN(v); i++)
		know(v[i].label, KIND_PROG, v[i].path, NULL);
	know("own-scratch", KIND_PROG, in(p->places.scratch, "/own"), NULL);
	know("own-home", KIND_PROG, in(p->places.home, "/own"), NULL);
	know("own-ws", KIND_PROG, in(g.ws, "/own"), NULL);
	know("own-wr", KIND_PROG, in(g.wr, "/own"), NULL);
}

/* The provers of what the plan leaves to the kernel here. */
static void choose(const struct scenario *s, const struct prepared *p, char *list, size_t size)
{
	list[0] = '\0';
	if (s->control) {
		(void)snprintf(list, size, "%s", s->force);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct plan_pair pair;
		bool used = false;
		/* An entry whose reason is the plan's: that very row was taken. */
		for (size_t k = 0; plan_pair(k, &pair); k++)
			used = used || (pair.key == pairs[i].key && pair.facts == pairs[i].facts && pair.level == p->plan.level[pair.key] &&
					pair.gap == p->plan.gap[pair.key] && (p->plan.floor & pair.facts) == pair.facts);
		if (!used || strcmp(pairs[i].prover, "none") == 0)
			continue;
		g.proven[i] = true;
		if (strstr(list, pairs[i].prover) == NULL)
			(void)snprintf(list + strlen(list), size - strlen(list), "%s,", pairs[i].prover);
	}
}

static void judge(const struct scenario *s, const struct count *c, const char *wanted)
{
	char what[1024];
	int escapes = 0;

	for (size_t i = 0; c[i].prover[0] != '\0'; i++) {
		escapes += c[i].escapes;
		(void)snprintf(what, sizeof(what), "%s: %d calls, %d reached, %d escapes, %d too strict", c[i].prover, c[i].calls,
			       c[i].reached, c[i].escapes, c[i].strict);
		if (!s->control)
			tap(c[i].ran && c[i].calls > 0 && c[i].reached > 0 && c[i].escapes == 0 && c[i].strict == 0, s->name, what);
		else
			tap(c[i].ran && escapes > 0, s->name, in(what, " (to be found)"));
	}
	if (c[0].prover[0] == '\0')
		tap(wanted[0] == '\0', s->name, wanted[0] == '\0' ? "nothing is left to the kernel" : "nothing ran");
}

static void home_is(const struct scenario *s)
{
	static char home[4096];

	if (home[0] == '\0')
		(void)snprintf(home, sizeof(home), "%s", getenv("HOME"));
	(void)setenv("HOME", s->home_there ? in(g.pub, "/dir") : home, 1);
	if (s->home_there)
		(void)setenv("XDG_STATE_HOME", in(home, "/.local/state"), 1);
	else
		(void)unsetenv("XDG_STATE_HOME");
}

static void scenario(const struct scenario *s, enum floor_mode mode)
{
	struct count counts[16] = { { .calls = 0 } };
	struct prepared p = PREPARED_NULL;
	struct launched l = LAUNCHED_NULL;
	struct options_fault fault;
	struct run_options o;
	struct outside out = { .victim = -1 };
	char provers[512], *argv[OPTIONS_MAX + 16], *why = NULL, *line = NULL;
	size_t size = 0;
	int argc = 0;

	home_is(s);
	/* What is shown below /tmp is read-only inside a writable place. */
	char *self = strdup(s->home_there ? in(g.ex, "/prog") : g.self);
	argv[argc++] = (char[]){ "run" };
	argv[argc++] = (char[]){ "--quiet" };
	argv[argc++] = (char[]){ "--exec" };
	argv[argc++] = self;
	/* What lies in the fixture is in sight of `read /`; the list of objects is in the workspace. */
	for (size_t i = 0; s->options[i] != NULL; i++)
		argv[argc++] = strdup(place(s->options[i]));
	argv[argc++] = (char[]){ "--" };
	argv[argc++] = self;
	argv[argc++] = (char[]){ "inside" };
	argv[argc++] = g.list;
	argv[argc++] = provers;
	argv[argc] = NULL;
	provers[0] = 'x';
	provers[1] = '\0';
	int r = options_parse(COMMAND_RUN, argc, argv, &o, NULL, &fault);
	if (r != 0) {
		tap(false, s->name, "options");
		return;
	}
	struct lang_messages messages = { .n = 0 };
	r = policy_open(&o, &messages);
	lang_messages_free(&messages);
	if (r != 0) {
		tap(false, s->name, "policy");
		return;
	}
	int in_fd = open(s->held ? in(g.ws, "/prog") : "/dev/null", O_RDONLY | O_CLOEXEC);
	(void)dup2(in_fd, 0);
	close(in_fd);
	r = prepare(&o, mode, NULL, &p, &why);
	if (r < 0) {
		tap(false, s->name, why != NULL ? why : strerror(-r));
		return;
	}
	/* What the kernel alone holds: without the tracer, who would be asked where it does not. */
	struct plan_wish wish = { .record_reads = o.audit_reads != AUDIT_OFF };
	plan_make(p.policy, p.plan.floor & ~(uint32_t)FLOOR_TRACER, &wish, &p.plan);
	g.control = s->control;
	choose(s, &p, provers, sizeof(provers));
	string_list_free(&p.argv);
	for (int i = 0; o.command[i] != NULL; i++)
		(void)string_list_add(&p.argv, o.command[i]);
	outside_listen(&out);
	outside_victim(&out, &p.ids);
	g.n = 0;
	know_tree("pub", g.pub);
	know_tree("ws", g.ws);
	know("long-file", KIND_FILE, in(g.deep, "/file"), in(g.deep, "/file"));
	know("long-secret", KIND_DIR, in(g.deep, "/secret"), in(g.deep, "/secret"));
	know("long-key", KIND_FILE, in(g.deep, "/secret/key"), in(g.deep, "/secret/key"));
	know("ex-prog", KIND_PROG, in(g.ex, "/prog"), in(g.ex, "/prog"));
	know("wr-prog", KIND_PROG, in(g.wr, "/prog"), in(g.wr, "/prog"));
	if (s->held)
		know("held", KIND_PROG, "/proc/self/fd/0", in(g.ws, "/prog"));
	know("self", KIND_PROG, self, self);
	know_system();
	know_own(&p);
	write_list(&p, &out);
	FILE *f = start(&p, &o, &l);
	if (f == NULL) {
		tap(false, s->name, "start");
	} else {
		while (getline(&line, &size, f) > 0)
			compare(&p, counts, line);
		(void)fclose(f);
		bool alive = waitpid(l.sentry, NULL, WNOHANG) == 0 || errno == ECHILD;
		tap(alive && outside_untouched(&out), s->name, "the victim and the sentry are as they were");
		end(&l);
		judge(s, counts, provers);
	}
	(void)kill(out.victim, SIGKILL);
	(void)waitpid(out.victim, NULL, 0);
	(void)unlink(in(g.ws, "/own"));
	(void)unlink(in(g.wr, "/own"));
	free(line);
	prepare_free(&p);
	run_options_clear(&o);
	free(self);
}

/* Every call of the families was made; those that only write or are always performed by gabion are not of the pairs. */
static void check_complete(uint32_t floor)
{
	static const struct {
		enum family family;
		const char *prover;
		const char *not ;
	} v[] = {
		{ FAM_OPEN, "inside_read", "creat" },	  { FAM_OPEN, "inside_write", "" },
		{ FAM_CHANGE, "inside_change", "" },	  { FAM_META, "inside_meta", "" },	{ FAM_LIST, "inside_list", "" },
		{ FAM_CHDIR, "inside_chdir", "" },	  { FAM_EXEC, "inside_exec", "memfd_create" },
		{ FAM_WATCH, "inside_watch", "" },	  { FAM_SIGNAL, "inside_signal", "" },
		{ FAM_PROCESS, "inside_process", "" },	  { FAM_TRACE, "inside_trace", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		bool ran = false;
		char missing[256] = "";
		for (size_t k = 0; k < ARRAY_LEN(pairs); k++)
			ran = ran || (g.proven[k] && strcmp(pairs[k].prover, v[i].prover) == 0);
		if (!ran)
			continue;
		for (int nr = 0; nr < table_end; nr++) {
			const struct sys_row *row = table_row(nr);
			bool made = false;
			if (row == NULL || row->family != v[i].family || strcmp(row->name, v[i].not ) == 0)
				continue;
			for (size_t m = 0; m < g.made_n; m++)
				made = made || (strcmp(g.made[m].prover, v[i].prover) == 0 && strcmp(g.made[m].name, row->name) == 0);
			/* A kernel that has none answers ENOSYS: nothing to hold. */
			if (!made && row->nr < 463)
				(void)snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), " %s", row->name);
		}
		tap(missing[0] == '\0', v[i].prover,
		    missing[0] ? in("calls of the family not made:", missing) : "every call of the family");
	}
	for (size_t k = 0; k < ARRAY_LEN(pairs); k++)
		if (strcmp(pairs[k].prover, "none") != 0 && (floor & pairs[k].facts) == pairs[k].facts)
			tap(g.proven[k], plan_key_name(pairs[k].key), "the pair's floor was built and its test ran");
}

int main(int argc, char **argv)
{
	uint32_t facts = 0;

	/* By a script's first line too: its interpreter is called PATH answer SCRIPT. */
	if (strcmp(argv[0], "answer") == 0 || (argc > 1 && strcmp(argv[1], "answer") == 0))
		return 42;
	if (argc == 4 && strcmp(argv[1], "inside") == 0)
		return inside_main(argv[2], argv[3]);
	if (argc != 3) {
		(void)fprintf(stderr, "usage: floor FIXTURE WORKSPACE\n");
		return 2;
	}
	umask(0);
	/* What the guest is given is no file of ours; what is said goes elsewhere. */
	stdout = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 10), "w");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(null, fd);
	close(null);
	if (readlink("/proc/self/exe", g.self, sizeof(g.self) - 1) < 0 || realpath(argv[2], g.ws) == NULL || chdir(g.ws) < 0)
		die("where");
	(void)snprintf(g.pub, sizeof(g.pub), "%s/pub", argv[1]);
	(void)snprintf(g.ex, sizeof(g.ex), "%s/ex", argv[1]);
	(void)snprintf(g.wr, sizeof(g.wr), "%s/wr", argv[1]);
	(void)snprintf(g.list, sizeof(g.list), "%s/list", g.ws);
	(void)snprintf(g.policy, sizeof(g.policy), "%s/policy.yaml", g.pub);
	dir(g.pub);
	dir(g.ex);
	if (mkdir(g.wr, 0777) < 0)
		die(g.wr);
	put_program(in(g.ex, "/prog"));
	put_program(in(g.wr, "/prog"));
	tree(g.pub);
	tree(g.ws);
	deep_tree();
	(void)floor_expect(&facts);
	if ((facts & FLOOR_VIEW) && landlock_abi() >= 2)
		facts |= FLOOR_VIEW_WRITES;
	write_policy();
	enum floor_mode mode = facts & FLOOR_VIEW ? prepare_mode() : FLOOR_BARE;
	launch_signals_save();
	for (size_t i = 0; i < ARRAY_LEN(scenarios); i++)
		if (mode != FLOOR_BARE || !scenarios[i].control)
			scenario(&scenarios[i], mode);
	check_complete(facts);
	(void)printf("1..%d\n", g.tests);
	return g.failed != 0;
}
