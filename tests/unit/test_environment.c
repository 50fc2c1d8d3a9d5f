/* Which variables the guest gets, by name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/environment.h"
#include "util/err.h"

enum fate { KEPT, SECRET, SOCKET };

static bool has(const struct string_list *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) == 0)
			return true;
	return false;
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		enum fate fate;
	} t[] = {
		{"PATH", KEPT},
		{"HOME", KEPT},
		{"LANG", KEPT},
		{"LC_ALL", KEPT},
		{"TERM", KEPT},
		{"PWD", KEPT},
		{"KEYBOARD", KEPT},
		{"KEYMAP", KEPT},
		{"KEY_REPEAT", KEPT},
		{"KEY", KEPT},
		{"MONKEY", KEPT},
		{"TOKENIZERS_PARALLELISM", KEPT},
		{"MAX_OUTPUT_TOKENS", KEPT},
		{"BYPASS", KEPT},
		{"PASSIVE", KEPT},
		{"SECRETARY", KEPT},
		{"PATCH", KEPT},
		{"AWS_REGION", KEPT},
		{"AWS_CA_BUNDLE", KEPT},
		{"CI", KEPT},
		{"npm_config_cache", KEPT},
		{"GIT_AUTHOR_NAME", KEPT},
		{"XDG_CONFIG_HOME", KEPT},
		{"NODE_OPTIONS", KEPT},
		{"_", KEPT},
		{"GITHUB_TOKEN", SECRET},
		{"GH_TOKEN", SECRET},
		{"NPM_TOKEN", SECRET},
		{"MYTOKEN", SECRET},
		{"token", SECRET},
		{"my_api_key", SECRET},
		{"ANTHROPIC_API_KEY", SECRET},
		{"OPENAI_APIKEY", SECRET},
		{"DB_PASSWORD", SECRET},
		{"PGPASSWORD", SECRET},
		{"MYSQL_PWD_PASSWD", SECRET},
		{"SECRET", SECRET},
		{"CLIENT_SECRET_VALUE", SECRET},
		{"AWS_ACCESS_KEY_ID", SECRET},
		{"AWS_PROFILE", SECRET},
		{"AWS_SESSION_TOKEN", SECRET},
		{"GOOGLE_APPLICATION_CREDENTIALS", SECRET},
		{"SSH_PRIVATE_KEY", SECRET},
		{"VAULT_ADDR", SECRET},
		{"AZURE_CLIENT_ID", SECRET},
		{"SESSION_COOKIE", SECRET},
		{"SENTRY_DSN", SECRET},
		{"DOCKER_AUTH_CONFIG", SECRET},
		{"ACTIONS_RUNTIME_URL", SECRET},
		{"CI_JOB_JWT_V2", SECRET},
		{"GPG_PASSPHRASE", SECRET},
		{"KUBECONFIG", SECRET},
		{"SSH_AUTH_SOCK", SOCKET},
		{"DBUS_SESSION_BUS_ADDRESS", SOCKET},
		{"XDG_RUNTIME_DIR", SOCKET},
		{"DISPLAY", SOCKET},
		{"WAYLAND_DISPLAY", SOCKET},
		{"XAUTHORITY", SOCKET},
		{"DOCKER_HOST", SOCKET},
		{"TMUX", SOCKET},
	};
	char *star[] = {(char[]){"*"}, NULL};
	struct string_list all = {.v = star, .n = 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		char entry[128];
		char *from[] = {entry, NULL};
		struct string_list env, dropped;

		snprintf(entry, sizeof(entry), "%s=value", t[i].name);
		assert_int_equal(environment_build(from, &all, &env, &dropped), 0);
		if ((environment_get(&env, t[i].name) != NULL) != (t[i].fate == KEPT) ||
		    has(&dropped, t[i].name) != (t[i].fate == SECRET))
			fail_msg("%s", t[i].name);
		/* No value in what is shown. */
		assert_true(dropped.n == 0 || strchr(dropped.v[0], '=') == NULL);
		string_list_free(&env);
		string_list_free(&dropped);
	}
}

static void test_pass(void **state)
{
	char *from[] = {(char[]){"A=1"},	(char[]){"MY_TOKEN=t=u"}, (char[]){"OTHER_TOKEN=x"},
			(char[]){"DISPLAY=:0"}, (char[]){"EMPTY="},	  (char[]){"A=2"},
			(char[]){"=bad"},	(char[]){"novalue"},	  NULL};
	char *asked[] = {(char[]){"MY_TOKEN"},
			 (char[]){"DISPLAY"},
			 (char[]){"UNSET"},
			 (char[]){"NEW=a=b"},
			 (char[]){"OTHER_TOKEN=mine"},
			 (char[]){"A=3"},
			 (char[]){"*"},
			 NULL};
	struct string_list pass = {.v = asked, .n = ARRAY_LEN(asked) - 1}, env, dropped;

	(void)state;
	assert_int_equal(environment_build(from, &pass, &env, &dropped), 0);
	assert_string_equal(environment_get(&env, "MY_TOKEN"), "t=u");
	assert_string_equal(environment_get(&env, "DISPLAY"), ":0");
	assert_string_equal(environment_get(&env, "NEW"), "a=b");
	assert_string_equal(environment_get(&env, "OTHER_TOKEN"), "mine");
	assert_string_equal(environment_get(&env, "A"), "3");
	assert_string_equal(environment_get(&env, "EMPTY"), "");
	assert_null(environment_get(&env, "UNSET"));
	assert_null(environment_get(&env, "novalue"));
	assert_int_equal(env.n, 6);
	assert_null(env.v[env.n]);
	assert_int_equal(dropped.n, 1);
	assert_string_equal(dropped.v[0], "OTHER_TOKEN");

	assert_int_equal(environment_set(&env, "A", "4"), 0);
	assert_string_equal(environment_get(&env, "A"), "4");
	assert_int_equal(environment_set(&env, "B", ""), 0);
	assert_string_equal(environment_get(&env, "B"), "");
	assert_int_equal(env.n, 7);
	assert_int_equal(environment_set(&env, "", "x"), -EINVAL);
	assert_int_equal(environment_set(&env, "a=b", "x"), -EINVAL);
	string_list_free(&env);
	string_list_free(&dropped);
	string_list_free(&dropped);
}

/* A name passes whatever it looks like; a pattern passes what matches and looks harmless; the rest stays outside. */
static void test_patterns(void **state)
{
	char *from[] = {(char[]){"NPM_TOKEN=1"}, (char[]){"NPM_CONFIG_COLOR=2"}, (char[]){"LANG=C"}, (char[]){"LC_ALL=C"},
			(char[]){"OTHER=3"},	 (char[]){"DISPLAY=:0"},	 NULL};
	char *asked[] = {(char[]){"NPM_*"}, (char[]){"L[AC]*"}, (char[]){"D?SPLAY"}, NULL};
	struct string_list pass = {.v = asked, .n = 3}, none = {.v = NULL}, env, dropped;

	(void)state;
	assert_int_equal(environment_build(from, &pass, &env, &dropped), 0);
	assert_int_equal(env.n, 3);
	assert_string_equal(environment_get(&env, "NPM_CONFIG_COLOR"), "2");
	assert_string_equal(environment_get(&env, "LANG"), "C");
	assert_string_equal(environment_get(&env, "LC_ALL"), "C");
	assert_int_equal(dropped.n, 1);
	assert_string_equal(dropped.v[0], "NPM_TOKEN");
	string_list_free(&env);
	string_list_free(&dropped);
	assert_int_equal(environment_build(from, &none, &env, &dropped), 0);
	assert_int_equal(env.n, 0);
	string_list_free(&env);
	string_list_free(&dropped);
}

static void test_bad(void **state)
{
	char *asked[] = {(char[]){"=x"}, NULL};
	struct string_list pass = {.v = asked, .n = 1}, env = {.n = 99}, dropped = {.n = 99};
	struct string_list none = {.v = NULL};

	(void)state;
	assert_int_equal(environment_build(NULL, &pass, &env, &dropped), -EINVAL);
	assert_int_equal(env.n, 99);
	assert_int_equal(dropped.n, 99);
	assert_int_equal(environment_build(NULL, &none, &env, &dropped), 0);
	assert_int_equal(env.n, 0);
	assert_non_null(env.v);
	assert_null(env.v[0]);
	string_list_free(&env);
	string_list_free(&dropped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_patterns), cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
