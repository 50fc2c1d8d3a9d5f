/* Every data file of an agent, as embedded, and how an agent is found. */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/agent.h"
#include "monitor/environment.h"
#include "util/err.h"

static bool has(const struct string_list *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) == 0)
			return true;
	return false;
}

static bool starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static bool is_host(const char *s)
{
	bool dot = false;

	for (; *s; s++) {
		if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && !strchr(".-", *s))
			return false;
		dot |= *s == '.';
	}
	return dot;
}

/* What is true of every file: complete, and nothing in it that means something else where it is used. */
static void test_files(void **state)
{
	size_t n = 0;

	(void)state;
	for (const char *const *name = agent_names(); *name; name++, n++) {
		struct agent a;

		assert_int_equal(agent_load(*name, &a), 0);
		assert_string_equal(a.name, *name);
		assert_true(a.commands.n > 0);
		assert_true(a.hosts.n > 0);
		assert_true(a.keys.n > 0);
		assert_true(a.state.n > 0);
		for (size_t i = 0; i < a.commands.n; i++)
			assert_null(strchr(a.commands.v[i], '/'));
		for (size_t i = 0; i < a.hosts.n; i++)
			assert_true(is_host(a.hosts.v[i]));
		for (size_t i = 0; i < a.keys.n; i++)
			assert_null(strchr(a.keys.v[i], '='));
		for (size_t i = 0; i < a.env.n; i++)
			assert_true(strchr(a.env.v[i], '=') > a.env.v[i]);
		for (size_t i = 0; i < a.state.n; i++) {
			assert_true(starts(a.state.v[i], "~/."));
			assert_null(strstr(a.state.v[i], ".."));
		}
		/* What is skipped lies in what is copied. */
		for (size_t i = 0; i < a.state_skip.n; i++) {
			bool inside = false;

			for (size_t k = 0; k < a.state.n; k++)
				inside |= starts(a.state_skip.v[i], a.state.v[k]) &&
					  a.state_skip.v[i][strlen(a.state.v[k])] == '/';
			if (!inside)
				fail_msg("%s: %s", *name, a.state_skip.v[i]);
		}
		if (a.note)
			assert_null(strchr(a.note, '\n'));
		agent_free(&a);
		agent_free(&a);
	}
	assert_int_equal(n, 5);
}

static void test_contents(void **state)
{
	static const struct {
		const char *name, *host, *key, *state, *arg, *env;
	} t[] = {
		{"claude", "mcp-proxy.anthropic.com", "ANTHROPIC_API_KEY", "~/.claude.json", "--settings",
		 "DISABLE_AUTOUPDATER=1"},
		{"codex", "chatgpt.com", "OPENAI_API_KEY", "~/.codex", "sandbox_mode=\"danger-full-access\"",
		 NULL},
		{"gemini", "generativelanguage.googleapis.com", "GEMINI_API_KEY", "~/.gemini", NULL,
		 "GEMINI_SANDBOX=false"},
		{"opencode", "models.dev", "OPENROUTER_API_KEY", "~/.local/share/opencode", NULL,
		 "OPENCODE_DISABLE_AUTOUPDATE=true"},
		{"aider", "api.openai.com", "ANTHROPIC_API_KEY", "~/.aider.conf.yml", NULL,
		 "AIDER_CHECK_UPDATE=false"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct agent a;

		assert_int_equal(agent_load(t[i].name, &a), 0);
		assert_true(has(&a.hosts, t[i].host));
		assert_true(has(&a.keys, t[i].key));
		assert_true(has(&a.state, t[i].state));
		assert_true(!t[i].arg || has(&a.args, t[i].arg));
		assert_true(!t[i].env || has(&a.env, t[i].env));
		agent_free(&a);
	}
}

static void test_infer(void **state)
{
	static const struct {
		const char *command, *name;
	} t[] = {
		{"claude", "claude"},	{"/usr/local/bin/codex", "codex"},
		{"./gemini", "gemini"}, {"bash", NULL},
		{"claude/", NULL},	{"", NULL},
		{"claudette", NULL},	{"/", NULL},
	};
	struct agent a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		int r = agent_infer(t[i].command, &a);

		assert_int_equal(r, t[i].name ? 0 : -ENOENT);
		if (r == 0) {
			assert_string_equal(a.name, t[i].name);
			agent_free(&a);
		}
	}
	assert_int_equal(agent_load("nonesuch", &a), -ENOENT);
	assert_int_equal(agent_load("", &a), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_contents),
		cmocka_unit_test(test_infer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
