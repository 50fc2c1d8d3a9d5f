/* The policy as tables: patterns, rules, paths, verdicts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "policy.h"
#include "policy/glob.h"
#include "profile.h"
#include "util/err.h"

/* A policy from lines "KIND PATTERN", each with its index as origin. */
static struct policy *make(const char *const *lines)
{
	struct policy_builder *b;
	struct policy *p;

	assert_int_equal(policy_builder_new(&b), 0);
	for (; *lines; lines++) {
		enum rule_kind kind = RULE_NONE;
		const char *space = strchr(*lines, ' ');

		for (int k = 1; k < RULE_KIND_COUNT; k++)
			if (strncmp(rule_kind_name((enum rule_kind)k), *lines, (size_t)(space - *lines)) == 0)
				kind = (enum rule_kind)k;
		assert_int_equal(policy_builder_add(b, kind, space + 1, *lines), 0);
	}
	assert_int_equal(policy_compile(b, &p), 0);
	policy_builder_free(b);
	return p;
}

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} t[] = {
		{ "*", "", true },	   { "*", ".env", true },      { "a*c", "abbc", true },	  { "a*c", "abcd", false },
		{ "*.pub", "id.pub", true }, { "*.pub", "id.pub2", false }, { "a*b*c", "aXbYbc", true }, { "?", "a", true },
		{ "?", "", false },	   { "[a-c]x", "bx", true },   { "[a-c]x", "dx", false }, { "[!a]", "b", true },
		{ "[^a]", "a", false },	   { "[]]", "]", true },       { "[!]]", "]", false },	  { "[]-]", "-", true },
		{ "\\*", "*", true },	   { "\\*", "a", false },      { "[*]", "*", true },	  { "[*]", "x", false },
		{ "a[\\]]b", "a]b", true }, { "*a", "aaaaaaaaaaaaaaab", false }, { "[a-]", "-", true }, { "\377*", "\377x", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		if (glob_component(t[i].pattern, strlen(t[i].pattern), t[i].name, strlen(t[i].name)) != t[i].match)
			fail_msg("%s against %s", t[i].pattern, t[i].name);
}

static void test_pattern(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
		bool floating;
		size_t literal_len;
	} t[] = {
		{ "/", "/", false, 1 },
		{ "//a///b//", "/a/b", false, 4 },
		{ "/a/./b/.", "/a/b", false, 4 },
		{ "/a/**", "/a/**", true, 2 },
		{ "/**", "/**", true, 1 },
		{ "/**/x", "/**/x", true, 1 },
		{ "/**/**/x/**/**", "/**/x", true, 1 },
		{ "/a/b*/**", "/a/b*", true, 4 },
		{ "/a/b*/c", "/a/b*/c", false, 4 },
		{ "/a\\*b", "/a*b", false, 4 },
		{ "/a\\[/*", "/a\\[/*", false, 2 },
		{ "/a/\\.", "/a", false, 2 },
		{ "a", NULL, false, 0 },
		{ "", NULL, false, 0 },
		{ "~/x", NULL, false, 0 },
		{ "/a/../b", NULL, false, 0 },
		{ "/a/\\.\\./b", NULL, false, 0 },
		{ "/a**", NULL, false, 0 },
		{ "/***", NULL, false, 0 },
		{ "/[a", NULL, false, 0 },
		{ "/a[b/c]", NULL, false, 0 },
		{ "/a\\", NULL, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct policy_builder *b;
		struct policy *p;
		int r;

		assert_int_equal(policy_builder_new(&b), 0);
		r = policy_builder_add(b, RULE_HIDE, t[i].in, "x");
		if (!t[i].out) {
			assert_int_equal(r, -EINVAL);
			policy_builder_free(b);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(policy_compile(b, &p), 0);
		assert_string_equal(policy_rule(p, 0)->pattern, t[i].out);
		assert_int_equal(policy_rule(p, 0)->floating, t[i].floating);
		assert_int_equal(policy_rule(p, 0)->literal_len, t[i].literal_len);
		assert_int_equal(policy_has_floating(p, RULE_HIDE), t[i].floating);
		policy_free(p);
		policy_builder_free(b);
	}
}

struct ask {
	enum op op;
	const char *path;
	int err;  /* 0: allowed */
	int rule; /* index of the line that decides, -1: none, -2: not looked at */
};

static void ask_all(const struct policy *p, const char *what, const struct ask *q)
{
	for (; q->path; q++) {
		struct verdict v = policy_path(p, q->op, q->path, strlen(q->path));
		int rule = v.rule ? (int)v.rule->id : -1;

		if ((v.kind == VERDICT_ALLOW) != (q->err == 0) || (v.kind == VERDICT_DENY && v.err != q->err) ||
		    (q->rule != -2 && rule != q->rule))
			fail_msg("%s: %s %s: kind %d err %d rule %d, expected err %d rule %d", what, verdict_op_name(q->op),
				 q->path, (int)v.kind, v.err, rule, q->err, q->rule);
	}
}

#define R OP_READ
#define W OP_WRITE
#define X OP_EXEC
#define S OP_STAT
#define C OP_CONNECT

static void test_verdict(void **state)
{
	static const struct {
		const char *name;
		const char *rules[10];
		struct ask asks[20];
	} t[] = {
		{ "nothing",
		  { NULL },
		  { { R, "/", EACCES, -1 }, { S, "/", EACCES, -1 }, { W, "/x", EACCES, -1 }, { X, "/x", EACCES, -1 } } },
		{ "allow",
		  { "read /usr", "write /w", "exec /usr/bin" },
		  { { R, "/usr/lib/x", 0, 0 },	     { R, "/usr", 0, 0 },	  { R, "/usrx", EACCES, -1 },
		    { W, "/usr/x", EROFS, -1 },	     { R, "/w/a", 0, 1 },	  { W, "/w", 0, 1 },
		    { W, "/x", EACCES, -1 },	     { X, "/usr/bin/ls", 0, 2 },  { X, "/usr/lib/x", EACCES, -1 },
		    { X, "/w/a", EACCES, -1 },	     { S, "/", 0, -1 },		  { S, "/x", EACCES, -1 },
		    { R, "/", EACCES, -1 },	     { C, "/w/sock", 0, 1 },	  { C, "/usr/sock", EACCES, -1 },
		    { OP_NONE, "/w", 0 /* EPERM below */, -1 } } },
		{ "narrower read",
		  { "write /w", "read /w/ro", "write /w/ro/rw" },
		  { { W, "/w/x", 0, 0 }, { W, "/w/ro", EROFS, 1 }, { R, "/w/ro/a", 0, 1 }, { W, "/w/ro/rw/a", 0, 2 } } },
		{ "the later of two at one place",
		  { "read /a", "write /a", "write /b", "read /b" },
		  { { W, "/a/x", 0, 1 }, { W, "/b/x", EROFS, 3 } } },
		{ "exec and write",
		  { "read /", "exec /", "write /w", "write /ws", "exec /ws", "exec /w/bin", "write /w/bin/tmp" },
		  { { X, "/usr/bin/x", 0, 1 },
		    { X, "/w/x", EACCES, 2 },
		    { X, "/ws/x", 0, 4 },
		    { X, "/w/bin/x", 0, 5 },
		    { X, "/w/bin/tmp/x", EACCES, 6 } } },
		{ "hide",
		  { "read /", "hide /s", "read /s/pub", "hide /t", "write /t/w" },
		  { { R, "/s", EACCES, 1 },
		    { R, "/s/key", ENOENT, 1 },
		    { S, "/s/key", ENOENT, 1 },
		    { W, "/s/key", ENOENT, 1 },
		    { X, "/s/key", ENOENT, 1 },
		    { C, "/s/key", ENOENT, 1 },
		    { R, "/s/pub/x", 0, 2 },
		    { S, "/s", 0, -1 },
		    { S, "/t", 0, -1 },
		    { W, "/t/w/x", 0, 4 },
		    { S, "/sx", 0, 0 } } },
		{ "hide at the place itself", { "write /a", "hide /a" }, { { R, "/a", ENOENT, 1 }, { S, "/a", ENOENT, 1 } } },
		{ "protect",
		  { "write /w", "protect /w/p", "write /w/p/free" },
		  { { R, "/w/p/x", 0, 0 },
		    { W, "/w/p/x", EACCES, 1 },
		    { W, "/w/p", EACCES, 1 },
		    { C, "/w/p/s", EACCES, 1 },
		    { W, "/w/p/free/x", 0, 2 } } },
		/* Each keys rule brings a protect rule for the names its new content is prepared under. */
		{ "keys",
		  { "write /w", "keys /**/.git/config", "keys /w/l*t/config", "keys /w/[l]/config/**", "protect /w/a/.git/config",
		    "except /w/x/.git/config" },
		  { { R, "/w/.git/config", 0, 0 },
		    { W, "/w/.git/config", EACCES, 1 },
		    { W, "/w/a/b/.git/config", EACCES, 1 },
		    { W, "/w/.git/config.lock", 0, 0 },
		    { W, "/w/.git/config/x", 0, 0 },
		    { W, "/w/.git/config/.git/config", EACCES, 1 },
		    { W, "/w/.git/" KEYS_TEMP "1", EACCES, 2 },
		    { W, "/w/.git/x" KEYS_TEMP "1", 0, 0 },
		    { W, "/w/l*t/config", EACCES, 3 },
		    { W, "/w/l*t/config/x", 0, 0 },
		    { W, "/w/l*t/" KEYS_TEMP "1", EACCES, 4 },
		    { W, "/w/l/config", EACCES, 5 },
		    { W, "/w/l/" KEYS_TEMP, EACCES, 6 },
		    { W, "/w/a/.git/config", EACCES, 7 },
		    { W, "/w/x/.git/config", 0, 0 },
		    { W, "/w/x/.git/" KEYS_TEMP "1", EACCES, 2 } } },
		{ "keys of a path",
		  { "write /w", "keys /w/a\\*b/config", "keys /config", "keys /w/c/**" },
		  { { W, "/w/a*b/config", EACCES, 1 },
		    { W, "/w/a*b/" KEYS_TEMP "1", EACCES, 2 },
		    { W, "/w/axb/" KEYS_TEMP "1", 0, 0 },
		    { W, "/" KEYS_TEMP "1", EACCES, 4 },
		    { W, "/w/c", EACCES, 5 },
		    { W, "/w/" KEYS_TEMP "1", EACCES, 6 } } },
		{ "floating",
		  { "write /w", "protect /**/.git/hooks/**", "hide /w/**/.env", "write /w/a/.git/hooks", "except /w/ok/.env",
		    "except /w/b/.git/hooks" },
		  { { W, "/w/.git/hooks", EACCES, 1 },
		    { W, "/w/x/y/.git/hooks/pre-commit", EACCES, 1 },
		    { R, "/w/.git/hooks/x", 0, 0 },
		    { W, "/w/.git/config", 0, 0 },
		    { W, "/w/a/.git/hooks/x", EACCES, 1 },
		    { W, "/w/b/.git/hooks/x", 0, 0 },
		    { R, "/w/.env", ENOENT, 2 },
		    { R, "/w/d/e/.env", ENOENT, 2 },
		    { R, "/w/.env/x", ENOENT, 2 },
		    { R, "/w/ok/.env", 0, 0 },
		    { R, "/w/.envx", 0, 0 },
		    { R, "/other/.env", EACCES, -1 } } },
		{ "except lifts what was written before it",
		  { "read /", "hide /s", "except /s/a", "hide /s/a/b", "except /s" },
		  { { R, "/s/a", 0, 0 }, { R, "/s/c", 0, 0 }, { R, "/s/a/b", 0, 0 } } },
		{ "except lifts nothing written after it",
		  { "read /", "hide /s", "except /s/a", "hide /s/a/b", "protect /**/p", "except /q", "hide /q" },
		  { { R, "/s/a", 0, 0 }, { R, "/s/a/b", ENOENT, 3 }, { R, "/s/c", ENOENT, 1 }, { R, "/q", ENOENT, 6 } } },
		{ "globs",
		  { "read /d/*.txt", "write /d/[ab]?", "hide /d/s*.txt", "read /h/*/pub", "exec /d/*.sh" },
		  { { R, "/d/x.txt", 0, 0 },
		    { R, "/d/x.txt/below", 0, 0 },
		    { R, "/d/.txt", 0, 0 },
		    { R, "/d/e/x.txt", EACCES, -1 },
		    { W, "/d/a1", 0, 1 },
		    { W, "/d/c1", EACCES, -1 },
		    { R, "/d/s1.txt", ENOENT, 2 },
		    { S, "/h", 0, -1 },
		    { S, "/h/u", 0, -1 },
		    { R, "/h/u", EACCES, -1 },
		    { R, "/h/u/pub/x", 0, 3 },
		    { S, "/h/u/priv", EACCES, -1 },
		    { X, "/d/a.sh", 0, 4 } } },
		{ "a glob that may read leads through no hidden place",
		  { "read /**/*.md", "hide /s" },
		  { { S, "/s", ENOENT, 1 }, { S, "/s/key", ENOENT, 1 }, { R, "/s/x.md", ENOENT, 1 }, { S, "/a/b", 0, -1 } } },
		{ "not canonical",
		  { "write /" },
		  { { R, "/", 0, 0 }, { R, "/a//b", 0, -2 } } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct policy *p = make(t[i].rules);
		struct ask asks[20];

		memcpy(asks, t[i].asks, sizeof(asks));
		for (size_t k = 0; k < ARRAY_LEN(asks); k++)
			if (asks[k].path && (asks[k].op == OP_NONE || strstr(asks[k].path, "//"))) {
				struct verdict v = policy_path(p, asks[k].op, asks[k].path, strlen(asks[k].path));

				assert_int_equal(v.kind, VERDICT_DENY);
				assert_int_equal(v.err, 0);
				memmove(asks + k, asks + k + 1, (ARRAY_LEN(asks) - k - 1) * sizeof(*asks));
				asks[ARRAY_LEN(asks) - 1] = (struct ask){ .path = NULL };
			}
		ask_all(p, t[i].name, asks);
		policy_free(p);
	}
}

/* What is denied execution stays readable; arguments are judged apart from the path. */
static void test_deny_exec(void **state)
{
	static const char *const push[] = {"push", "**", NULL}, *const all[] = {"**", "--force", "**", NULL};
	static const char *const a[] = {"push"}, *const b[] = {"push", "origin"}, *const c[] = {"pull", "push"};
	static const char *const d[] = {"x", "y", "--force"};
	struct policy_builder *bld;
	struct policy *p;

	(void)state;
	assert_int_equal(policy_builder_new(&bld), 0);
	assert_int_equal(policy_builder_add(bld, RULE_READ, "/", "t"), 0);
	assert_int_equal(policy_builder_add(bld, RULE_EXEC, "/", "t"), 0);
	assert_int_equal(policy_builder_deny_exec(bld, "/usr/bin/sudo", NULL, "t"), 0);
	assert_int_equal(policy_builder_deny_exec(bld, "/opt/*/bad", NULL, "t"), 0);
	assert_int_equal(policy_builder_deny_exec(bld, "/usr/bin/git", push, "t"), 0);
	assert_int_equal(policy_builder_deny_exec(bld, "/usr/bin/g?t", all, "t"), 0);
	assert_int_equal(policy_builder_add(bld, RULE_EXEC, "/usr/bin/sudo", "later and as long"), 0);
	assert_int_equal(policy_compile(bld, &p), 0);
	policy_builder_free(bld);
#define EXECUTES(path) (policy_path(p, OP_EXEC, path, strlen(path)).kind == VERDICT_ALLOW)
#define RUNS(args) (policy_exec_args(p, "/usr/bin/git", 12, args, ARRAY_LEN(args)).kind == VERDICT_ALLOW)
	assert_false(EXECUTES("/usr/bin/sudo"));
	assert_false(EXECUTES("/opt/x/bad"));
	assert_true(EXECUTES("/opt/x/good"));
	assert_true(EXECUTES("/usr/bin/git"));
	assert_int_equal(policy_path(p, OP_READ, "/usr/bin/sudo", 13).kind, VERDICT_ALLOW);
	assert_true(policy_wants_args(p, "/usr/bin/git", 12));
	assert_false(policy_wants_args(p, "/usr/bin/gi", 11));
	assert_false(RUNS(a));
	assert_false(RUNS(b));
	assert_true(RUNS(c));
	assert_false(RUNS(d));
	policy_free(p);
}

static void test_malformed(void **state)
{
	static const char *const rules[] = { "write /", NULL };
	static const char *const paths[] = { "", "a", "a/b", "//", "/a/", "/a/../b", "/..", "/.", "/a/./b", "/a//b" };
	struct policy *p = make(rules);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		for (int op = 0; op < OP_COUNT; op++)
			assert_int_equal(policy_path(p, (enum op)op, paths[i], strlen(paths[i])).kind, VERDICT_DENY);
	policy_free(p);
}

static void test_length(void **state)
{
	static const char *const rules[] = { "read /a", "hide /a/secret", NULL };
	struct policy *p = make(rules);

	(void)state;
	/* The length decides, not a NUL: nothing behind it is read. */
	assert_int_equal(policy_path(p, OP_READ, "/a/secret", 9).kind, VERDICT_DENY);
	assert_int_equal(policy_path(p, OP_READ, "/a/secret", 8).kind, VERDICT_ALLOW);
	for (size_t len = 1; len < 64; len++) {
		char *path = malloc(len); /* no byte more, for the sanitizer */

		memset(path, 'x', len);
		path[0] = '/';
		assert_int_equal(policy_path(p, OP_READ, path, len).kind, VERDICT_DENY);
		free(path);
	}
	policy_free(p);
}

/* Component hashes must not depend on what follows: names of every length, at the end and before a slash. */
static void test_lengths_of_names(void **state)
{
	(void)state;
	for (size_t len = 1; len <= 40; len++) {
		char rule[64] = "read /", path[64] = "/";
		const char *rules[] = { rule, NULL };
		struct policy *p;

		memset(rule + 6, 'n', len);
		memset(path + 1, 'n', len);
		p = make(rules);
		assert_int_equal(policy_path(p, OP_READ, path, len + 1).kind, VERDICT_ALLOW);
		memcpy(path + len + 1, "/b", 2);
		assert_int_equal(policy_path(p, OP_READ, path, len + 3).kind, VERDICT_ALLOW);
		assert_int_equal(policy_path(p, OP_READ, path, len).kind, VERDICT_DENY);
		policy_free(p);
	}
}

static void test_move(void **state)
{
	static const char *const rules[] = { "write /w",
					     "protect /**/.git/hooks/**",
					     "protect /**/.git/modules/**/hooks/**",
					     "protect /w/a/b/c",
					     "hide /w/s/*/key",
					     "protect /**/.envrc",
					     "read /w/r/ro",
					     "protect /w/l/m",
					     "except /w/l",
					     "hide /w/z/**/secret",
					     "except /**/node_modules",
					     NULL };
	static const struct {
		const char *path;
		bool is_dir, allowed;
	} t[] = {
		{ "/w/repo", true, true },	    { "/w/repo/.git", true, false },	   { "/w/repo/.git", false, true },
		{ "/w/repo/.git/hooks", true, false }, { "/w/repo/.git/hooks", false, false }, { "/w/repo/.git/refs", true, true },
		{ "/w/x/.git/modules", true, false }, { "/w/x/.git/modules/sub", true, false }, { "/w/a", true, false },
		{ "/w/a/b", true, false },	    { "/w/a/b/c", true, false },	   { "/w/a/x", true, true },
		{ "/w/s", true, false },	    { "/w/s/x", true, false },		   { "/w/s/x/y", true, true },
		{ "/w", true, false },		    { "/w/.envrc", false, false },	   { "/w/q", true, true },
		{ "/w/r", true, false },	    { "/w/r/ro", true, false },		   { "/w/r/rw", true, true },
		{ "/w/l", true, true },		    { "/other", true, false },		   { "/w/z", true, false },
		{ "/w/z/in", true, true },
	};
	static const struct {
		const char *from, *to;
		bool is_dir, allowed;
	} links[] = {
		{ "/w/x", "../y", false, true },
		{ "/w/.git/modules/s/t1", "testing", false, true }, /* git init tries whether links can be made */
		{ "/w/.git/modules/s/t1", "../x", false, false },
		{ "/w/.git/modules/s/t1", "..", false, false },
		{ "/w/.git/modules/s/t1", "a/b", false, false },
		{ "/w/.git/modules/s/t1", "hooks", false, false },
		{ "/w/.git/modules", "x", false, false },
		{ "/w/.git", "x", false, false },
		{ "/w/x/.git", ".git", false, true }, /* a loop */
		{ "/w/a", "x", false, false },
		{ "/w/s/x", "y", false, true },
		{ "/w/s/x", "../y", false, false },
		{ "/usr/x", "y", false, false },
	}, pairs[] = {
		{ "/w/x", "/w/y", true, true },
		{ "/w/x", "/w/y/.git", true, false },
		{ "/w/.git", "/w/x", true, false },
		{ "/w/z/in", "/w/z/out", true, true },
		{ "/w/z/in", "/w/out", true, false },
		{ "/w/in", "/w/z/in", true, false },
		{ "/w/z/f", "/w/f", false, true },
		{ "/w/x", "/other", true, false },
		{ "/w/node_modules/x", "/w/x", true, false },
		{ "/w/x", "/w/node_modules/x", true, false },
		{ "/w/node_modules", "/w/old", true, false },
		{ "/w/x/node_modules", "/w/y/node_modules", true, true },
		{ "/w/node_modules/x", "/w/node_modules/y", true, true },
		{ "/w/node_modules/x", "/w/x", false, true },
	};
	struct policy *p = make(rules);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		if ((policy_path_move(p, t[i].path, strlen(t[i].path), t[i].is_dir).kind == VERDICT_ALLOW) != t[i].allowed)
			fail_msg("move %s%s", t[i].path, t[i].is_dir ? "/" : "");
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if ((policy_path_link(p, links[i].from, strlen(links[i].from), links[i].to).kind == VERDICT_ALLOW) != links[i].allowed)
			fail_msg("%s -> %s", links[i].from, links[i].to);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if ((policy_path_rename(p, pairs[i].from, strlen(pairs[i].from), pairs[i].to, strlen(pairs[i].to),
					pairs[i].is_dir).kind == VERDICT_ALLOW) != pairs[i].allowed)
			fail_msg("rename %s %s", pairs[i].from, pairs[i].to);
	policy_free(p);
}

static struct policy *make_profile(const char *name, const struct profile_env *env)
{
	struct policy_builder *b;
	struct policy *p;

	assert_int_equal(policy_builder_new(&b), 0);
	assert_int_equal(profile_add(b, name, env), 0);
	assert_int_equal(policy_compile(b, &p), 0);
	policy_builder_free(b);
	return p;
}

static void test_profiles(void **state)
{
	static const char *const ws[] = { "/home/u/src/proj[1]", "/srv/common.git", NULL };
	static const struct profile_env view = { .home = "/home/u", .workspaces = ws, .scratch = "/run/scratch", .view = true };
	static const struct profile_env bare = { .home = "/var/state/home", .workspaces = ws, .scratch = "/tmp/s", .view = false };
	static const struct {
		const char *profile;
		const struct profile_env *env;
		struct ask asks[60];
	} t[] = {
		{ "agent", &view,
		  { { R, "/usr/bin/ls", 0, -2 },
		    { X, "/usr/bin/ls", 0, -2 },
		    { W, "/usr/bin/ls", EROFS, -1 },
		    { W, "/home/u/src/proj[1]/a.c", 0, -2 },
		    { X, "/home/u/src/proj[1]/a.out", 0, -2 },
		    { W, "/home/u/src/proj1/a.c", 0, -2 }, /* the home is writable too */
		    { X, "/home/u/src/proj1/a.out", EACCES, -2 },
		    { X, "/srv/common.git/x", 0, -2 },
		    { X, "/run/scratch/x", 0, -2 },
		    { W, "/run/scratch/x", 0, -2 },
		    { W, "/tmp/x", 0, -2 },
		    { X, "/tmp/x", EACCES, -2 },
		    { X, "/dev/shm/x", EACCES, -2 },
		    { X, "/home/u/x", EACCES, -2 },
		    { W, "/home/u/.cache/x", 0, -2 },
		    { R, "/home/u/.ssh/id_ed25519", ENOENT, -2 },
		    { S, "/home/u/.ssh", 0, -2 },
		    { R, "/home/u/.ssh/known_hosts", 0, -2 },
		    { R, "/home/u/.ssh/config", 0, -2 },
		    { W, "/home/u/.ssh/config", EROFS, -2 },
		    { R, "/home/u/.ssh/id_ed25519.pub", 0, -2 },
		    { W, "/home/u/.ssh/id_ed25519.pub", EACCES, -2 },
		    { R, "/home/u/.aws/credentials", ENOENT, -2 },
		    { R, "/home/u/.gitconfig", 0, -2 },
		    { R, "/home/u/.bash_history", 0, -2 },
		    { R, "/home/other/x", ENOENT, -2 },
		    { S, "/home", 0, -2 },
		    { R, "/root/x", ENOENT, -2 },
		    { R, "/etc/shadow", ENOENT, -2 },
		    { R, "/etc/passwd", 0, -2 },
		    { R, "/var/lib/docker/x", ENOENT, -2 },
		    { W, "/home/u/.bashrc", EACCES, -2 },
		    { W, "/home/u/src/proj[1]/.git/hooks/pre-commit", EACCES, -2 },
		    { R, "/home/u/src/proj[1]/.git/hooks/pre-commit", 0, -2 },
		    { W, "/home/u/src/proj[1]/sub/.git/hooks", EACCES, -2 },
		    { W, "/home/u/src/proj[1]/.git/modules/a/b/hooks/x", EACCES, -2 },
		    { W, "/home/u/src/proj[1]/.git/config", EACCES, -2 },
		    { W, "/home/u/src/proj[1]/.git/config.lock", 0, -2 },
		    { W, "/home/u/src/proj[1]/.git/modules/config/config", EACCES, -2 },
		    { W, "/home/u/src/proj[1]/.git/modules/config/HEAD", 0, -2 },
		    { W, "/home/u/src/proj[1]/.envrc", EACCES, -2 },
		    { W, "/home/u/src/proj[1]/a/.vscode/tasks.json", EACCES, -2 },
		    { W, "/home/u/src/proj[1]/a/.vscode/other.json", 0, -2 },
		    { W, "/home/u/src/proj[1]/.claude/settings.local.json", EACCES, -2 },
		    { W, "/home/u/src/proj[1]/node_modules/m/.vscode/tasks.json", 0, -2 },
		    { W, "/home/u/src/proj[1]/node_modules/m/.git/hooks/x", EACCES, -2 },
		    { W, "/home/u/.claude/settings.json", 0, -2 },
		    { W, "/dev/null", 0, -2 },
		    { W, "/dev/pts/3", 0, -2 },
		    { W, "/dev/sda", EROFS, -2 },
		    { W, "/proc/123/oom_score_adj", 0, -2 },
		    { C, "/run/user/1000/bus", 0, -2 }, /* private: nothing of the host's is there */
		    { C, "/usr/x.sock", EACCES, -2 } } },
		{ "agent", &bare,
		  { { W, "/tmp/x", EROFS, -2 },
		    { W, "/tmp/s/x", 0, -2 },
		    { X, "/tmp/s/x", 0, -2 },
		    { C, "/run/user/1000/bus", EACCES, -2 },
		    { W, "/proc/sys/kernel/x", EROFS, -2 },
		    { W, "/dev/shm/x", EROFS, -2 },
		    { W, "/var/state/home/x", 0, -2 },
		    { R, "/home/u/.bashrc", ENOENT, -2 },
		    { W, "/home/u/src/proj[1]/a", 0, -2 } } },
		{ "dev", &view,
		  { { R, "/home/u/.bash_history", ENOENT, -2 }, { R, "/home/u/.npmrc", ENOENT, -2 }, { R, "/home/u/notes", 0, -2 } } },
		{ "strict", &view,
		  { { R, "/usr/lib/libc.so.6", 0, -2 },
		    { X, "/usr/bin/ls", 0, -2 },
		    { R, "/opt/x", EACCES, -2 },
		    { R, "/srv/x", EACCES, -2 },
		    { W, "/home/u/src/proj[1]/a", 0, -2 },
		    { X, "/home/u/src/proj[1]/a", EACCES, -2 },
		    { X, "/run/scratch/a", EACCES, -2 },
		    { W, "/run/scratch/a", 0, -2 },
		    { R, "/etc/passwd", 0, -2 },
		    { R, "/etc/shadow", ENOENT, -2 },
		    { W, "/home/u/src/proj[1]/.git/hooks/x", EACCES, -2 } } },
		{ "runner", &view,
		  { { W, "/any/x", 0, -2 },
		    { X, "/any/x", 0, -2 },
		    { C, "/run/docker.sock", EACCES, -2 },
		    { C, "/mnt/x/docker.sock", EACCES, -2 },
		    { C, "/run/app.sock", 0, -2 } } },
	};
	struct policy_builder *b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct policy *p = make_profile(t[i].profile, t[i].env);

		ask_all(p, t[i].profile, t[i].asks);
		policy_free(p);
	}
	assert_int_equal(policy_builder_new(&b), 0);
	assert_int_equal(profile_add(b, "nonesuch", &view), -ENOENT);
	policy_builder_free(b);
	for (const char *const *n = profile_names(); *n; n++)
		policy_free(make_profile(*n, &bare));
}

/* Root's own home is no other person's. */
static void test_profile_of_root(void **state)
{
	static const char *const ws[] = { "/root/proj", NULL };
	struct profile_env env = { .home = "/root", .workspaces = ws, .scratch = "/run/scratch", .view = true };
	struct policy *p = make_profile("agent", &env);
	static const struct ask asks[] = { { W, "/root/x", 0, -2 },
					   { W, "/root/proj/x", 0, -2 },
					   { R, "/root/.ssh/id_rsa", ENOENT, -2 },
					   { R, "/home/u/x", ENOENT, -2 },
					   { .path = NULL } };

	(void)state;
	ask_all(p, "root", asks);
	policy_free(p);
	env.home = NULL;
	env.scratch = NULL;
	env.workspaces = NULL;
	policy_free(make_profile("runner", &env));
	policy_free(make_profile("agent", &env));
}

/* The tree and the keys against a plain look at every rule, with rules and paths from a few names. */
static void test_against_plain(void **state)
{
	static const char *const names[] = { "a", "b", "ab", "longer-than-eight" };
	static const char *const parts[] = { "a", "b", "ab", "longer-than-eight", "*", "a*", "**", "?" };
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct policy_builder *b;
		struct policy *p;
		char pattern[8][128];

		assert_int_equal(policy_builder_new(&b), 0);
		for (int i = 0; i < 8; i++) {
			int n = 1 + rand_r(&seed) % 4;

			pattern[i][0] = '\0';
			for (int k = 0; k < n; k++) {
				strcat(pattern[i], "/");
				strcat(pattern[i], parts[(size_t)rand_r(&seed) % ARRAY_LEN(parts)]);
			}
			assert_int_equal(policy_builder_add(b, RULE_PROTECT, pattern[i], "x"), 0);
		}
		assert_int_equal(policy_builder_add(b, RULE_WRITE, "/", "x"), 0);
		assert_int_equal(policy_compile(b, &p), 0);
		policy_builder_free(b);
		for (int k = 0; k < 60; k++) {
			char path[128] = "";
			int n = 1 + rand_r(&seed) % 5;
			bool match = false;

			for (int c = 0; c < n; c++) {
				strcat(path, "/");
				strcat(path, names[(size_t)rand_r(&seed) % ARRAY_LEN(names)]);
			}
			for (int i = 0; i < 8; i++) {
				struct glob_token tok[8];
				unsigned int nt = 0;
				char copy[128];
				char *save = NULL;

				strcpy(copy, pattern[i]);
				for (char *s = strtok_r(copy, "/", &save); s; s = strtok_r(NULL, "/", &save))
					tok[nt++] = (struct glob_token){ .kind = (enum glob_kind)glob_component_kind(s, strlen(s)),
									 .len = (uint32_t)strlen(s),
									 .text = s };
				match |= (glob_run(tok, nt, path + 1, strlen(path + 1)) >> nt) & 1;
			}
			if ((policy_path(p, OP_WRITE, path, strlen(path)).kind == VERDICT_DENY) != match)
				fail_msg("round %d: %s: plain says %d", round, path, match);
		}
		policy_free(p);
	}
}

/* Not a timed test: prints the cost of a verdict with 10,000 rules at depth 10. */
static void test_cost(void **state)
{
	static const char hit[] = "/data0/team/project/src/module42/deep/er/still/more/file7.c";
	struct policy_builder *b;
	struct policy *p;
	struct timespec t0, t1;
	unsigned int allowed = 0;
	enum { RULES = 10000, ASKS = 200000 };

	(void)state;
	assert_int_equal(policy_builder_new(&b), 0);
	assert_int_equal(policy_builder_add(b, RULE_WRITE, "/data0", "x"), 0);
	for (int i = 1; i < RULES; i++) {
		char pattern[128];

		if (i % 50 == 0)
			snprintf(pattern, sizeof(pattern), "/**/name%d/*.key", i);
		else
			snprintf(pattern, sizeof(pattern), "/data%d/team/project/src/module%d/deep/er/still/more/file%d.c", i % 7,
				 i % 100, i);
		assert_int_equal(policy_builder_add(b, i % 3 ? RULE_HIDE : RULE_PROTECT, pattern, "x"), 0);
	}
	assert_int_equal(policy_compile(b, &p), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	for (int i = 0; i < ASKS; i++)
		allowed += policy_path(p, OP_READ, hit, sizeof(hit) - 1).kind == VERDICT_ALLOW;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	assert_int_equal(allowed, ASKS);
	print_message("verdict with %d rules at depth 10: %.0f ns\n", RULES,
		      ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / ASKS);
	policy_free(p);
	policy_builder_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),	       cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_verdict),	       cmocka_unit_test(test_deny_exec),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_length),	       cmocka_unit_test(test_lengths_of_names),
		cmocka_unit_test(test_move),	       cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_profile_of_root), cmocka_unit_test(test_against_plain),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
