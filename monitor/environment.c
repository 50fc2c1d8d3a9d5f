/*
 * What of the caller's environment the guest gets. A name decides, never a value: values are copied and not
 * looked at.
 *
 * A name is cut at its underscores into words. It looks like a secret where one of the words is one that
 * names secrets (TOKEN, PASSWORD), ends with KEY in a way that no setting does (API_KEY, DEPLOYKEY, but not
 * KEYBOARD, MONKEY or KEYMAP), or where it belongs to a service whose variables are credentials as a rule
 * (AWS_, VAULT_). Better one too many: the dropped names are listed, and --env NAME passes one.
 *
 * Names of host sockets the guest cannot reach are left out without a word: a tool that finds none falls
 * back, a tool that finds one it cannot reach waits or complains.
 */
#include "monitor/environment.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "util/err.h"

/* Words that name secrets, wherever they stand in a name. */
static const char *const words[] = {"TOKEN",	 "SECRET",     "SECRETS",	"PASSWORD",   "PASSWORDS",
				    "PASSWD",	 "PASSPHRASE", "PASSCODE",	"CREDENTIAL", "CREDENTIALS",
				    "CREDS",	 "APIKEY",     "APIKEYS",	"AUTHKEY",    "PRIVATEKEY",
				    "ACCESSKEY", "SECRETKEY",  "PAT",		"JWT",	      "OAUTH",
				    "COOKIE",	 "COOKIES",    "AUTHORIZATION", "PRIVKEY",    "DSN",
				    "PASS",	 "PW",	       "BEARER",	"WEBHOOK"};

/* Endings of a word, for names written in one piece: MYTOKEN, DBPASSWORD, GITHUBSECRET. */
static const char *const endings[] = {"TOKEN",	    "SECRET",	  "PASSWORD",	 "PASSWD",
				      "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "APIKEY"};

/* Services whose variables are credentials, or lead to them. */
static const char *const prefixes[] = {"AWS_",
				       "AZURE_",
				       "GOOGLE_APPLICATION_",
				       "GCP_",
				       "GCLOUD_",
				       "VAULT_",
				       "ARM_CLIENT_",
				       "DIGITALOCEAN_",
				       "OP_",
				       "BW_",
				       "SOPS_",
				       "AGE_",
				       "KUBECONFIG",
				       "DOCKER_AUTH_",
				       "NPM_CONFIG__",
				       "npm_config__",
				       "TWINE_",
				       "SENTRY_AUTH_",
				       "CI_JOB_JWT",
				       "ACTIONS_ID_TOKEN_",
				       "ACTIONS_RUNTIME_"};

/* Look like one and are none. */
static const char *const harmless[] = {"AWS_REGION",	     "AWS_DEFAULT_REGION", "AWS_PAGER",
				       "AWS_DEFAULT_OUTPUT", "AWS_EXECUTION_ENV",  "AWS_CA_BUNDLE"};

/* The relay goes by the host's proxies; the guest has none, and could not reach these. */
static const char *const proxies[] = {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY",
				      "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"};

/* Where the host's servers listen, or how to talk to them. */
static const char *const sockets[] = {"SSH_AUTH_SOCK",
				      "SSH_AGENT_PID",
				      "GPG_AGENT_INFO",
				      "DBUS_SESSION_BUS_ADDRESS",
				      "DBUS_SYSTEM_BUS_ADDRESS",
				      "DBUS_STARTER_ADDRESS",
				      "XDG_RUNTIME_DIR",
				      "DISPLAY",
				      "WAYLAND_DISPLAY",
				      "WAYLAND_SOCKET",
				      "XAUTHORITY",
				      "ICEAUTHORITY",
				      "SESSION_MANAGER",
				      "DOCKER_HOST",
				      "CONTAINER_HOST",
				      "PODMAN_HOST",
				      "BUILDKIT_HOST",
				      "CONTAINERD_ADDRESS",
				      "LISTEN_FDS",
				      "LISTEN_PID",
				      "LISTEN_FDNAMES",
				      "NOTIFY_SOCKET",
				      "WATCHDOG_PID",
				      "WATCHDOG_USEC",
				      "TMUX",
				      "TMUX_PANE",
				      "STY",
				      "PULSE_SERVER",
				      "PIPEWIRE_REMOTE",
				      "VSCODE_IPC_HOOK_CLI",
				      "VSCODE_IPC_HOOK",
				      "VSCODE_GIT_IPC_HANDLE",
				      "VSCODE_GIT_ASKPASS_NODE",
				      "VSCODE_GIT_ASKPASS_MAIN",
				      "VSCODE_GIT_ASKPASS_EXTRA_ARGS",
				      "GIT_ASKPASS",
				      "SSH_ASKPASS",
				      "SUDO_ASKPASS",
				      "KITTY_LISTEN_ON",
				      "NVIM",
				      "NVIM_LISTEN_ADDRESS",
				      "JOURNAL_STREAM",
				      "INVOCATION_ID"};

static bool in(const char *const *list, size_t n, const char *s, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(list[i]) == len && memcmp(list[i], s, len) == 0)
			return true;
	return false;
}

static bool ends(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && memcmp(s + len - n, end, n) == 0;
}

/* A word of the name, LAST where nothing follows. */
static bool word_is_secret(const char *w, size_t len, bool last)
{
	if (in(words, ARRAY_LEN(words), w, len))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (ends(w, len, endings[i]))
			return true;
	/* X_KEY is a secret, KEY_X a setting. */
	return last && len == 3 && memcmp(w, "KEY", 3) == 0;
}

static bool looks_secret(const char *name, size_t len)
{
	char up[256];

	if (in(harmless, ARRAY_LEN(harmless), name, len))
		return false;
	/* Nobody's setting has a name this long; what cannot be judged is left out. */
	if (len >= sizeof(up))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	for (size_t i = 0; i < len; i++)
		up[i] = (char)toupper((unsigned char)name[i]);
	for (size_t start = 0; start <= len;) {
		const char *bar = memchr(up + start, '_', len - start);
		size_t n = bar ? (size_t)(bar - (up + start)) : len - start;

		/* KEY alone is no name of a secret's: something must say whose. */
		if (n && word_is_secret(up + start, n, !bar && start > 0))
			return true;
		start += n + 1;
	}
	return false;
}

int string_list_add(struct string_list *l, const char *s)
{
	char **v = reallocarray(l->v, l->n + 2, sizeof(*v));

	if (!v)
		return -ENOMEM;
	l->v = v;
	v[l->n] = strdup(s);
	if (!v[l->n])
		return -ENOMEM;
	v[++l->n] = NULL;
	return 0;
}

void string_list_free(struct string_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct string_list){.v = NULL};
}

static bool is_name(const char *s, size_t len)
{
	return len > 0 && memchr(s, '=', len) == NULL;
}

/* Where NAME is in ENV; ENV->n where it is not. */
static size_t find(const struct string_list *env, const char *name, size_t len)
{
	size_t i = 0;

	while (i < env->n && !(strncmp(env->v[i], name, len) == 0 && env->v[i][len] == '='))
		i++;
	return i;
}

const char *environment_get(const struct string_list *env, const char *key)
{
	size_t len = strlen(key), i = find(env, key, len);

	return i < env->n ? env->v[i] + len + 1 : NULL;
}

/* ENTRY ("K=V") takes the place of what has its name. */
static int put(struct string_list *env, const char *entry)
{
	size_t i = find(env, entry, strcspn(entry, "="));
	char *copy;

	if (i == env->n)
		return string_list_add(env, entry);
	copy = strdup(entry);
	if (!copy)
		return -ENOMEM;
	free(env->v[i]);
	env->v[i] = copy;
	return 0;
}

int environment_set(struct string_list *env, const char *key, const char *value)
{
	AUTO_FREE char *entry = NULL;

	if (!is_name(key, strlen(key)))
		return -EINVAL;
	if (asprintf(&entry, "%s=%s", key, value) < 0) {
		entry = NULL;
		return -ENOMEM;
	}
	return put(env, entry);
}

/* Whether PASS asks for the variable called NAME by its name. */
static bool passed(const struct string_list *pass, const char *name, size_t len)
{
	for (size_t i = 0; i < pass->n; i++)
		if (strlen(pass->v[i]) == len && memcmp(pass->v[i], name, len) == 0)
			return true;
	return false;
}

/* Whether a pattern of PASS speaks of it. */
static bool matched(const struct string_list *pass, const char *name, size_t len)
{
	for (size_t i = 0; i < pass->n; i++) {
		const char *p = pass->v[i];
		size_t n = strcspn(p, "=");

		if (p[n] == '\0' && strpbrk(p, "*?[") && glob_component(p, n, name, len))
			return true;
	}
	return false;
}

/* One variable of the caller's. */
static int take(const char *entry, const struct string_list *pass, struct string_list *env,
		struct string_list *dropped)
{
	size_t len = strcspn(entry, "=");

	/* No name, or no value: nothing a program could have set with setenv(). */
	if (len == 0 || entry[len] != '=')
		return 0;
	if (!passed(pass, entry, len)) {
		if (!matched(pass, entry, len))
			return 0;
		if (in(sockets, ARRAY_LEN(sockets), entry, len) || in(proxies, ARRAY_LEN(proxies), entry, len))
			return 0;
		if (looks_secret(entry, len)) {
			AUTO_FREE char *name = strndup(entry, len);

			return name ? string_list_add(dropped, name) : -ENOMEM;
		}
	}
	return put(env, entry);
}

static int build(char *const *from, const struct string_list *pass, struct string_list *env,
		 struct string_list *dropped)
{
	int r = 0;

	for (size_t i = 0; r == 0 && from && from[i]; i++)
		r = take(from[i], pass, env, dropped);
	for (size_t i = 0; r == 0 && i < pass->n; i++) {
		size_t len = strcspn(pass->v[i], "=");

		if (len == 0)
			return -EINVAL;
		if (pass->v[i][len] == '=')
			r = put(env, pass->v[i]);
	}
	return r;
}

int environment_build(char *const *from, const struct string_list *pass, struct string_list *ret_env,
		      struct string_list *ret_dropped)
{
	struct string_list env = {.v = calloc(1, sizeof(char *))}, dropped = {.v = calloc(1, sizeof(char *))};
	int r = env.v && dropped.v ? build(from, pass, &env, &dropped) : -ENOMEM;

	if (r < 0) {
		string_list_free(&env);
		string_list_free(&dropped);
		return r;
	}
	*ret_env = env;
	*ret_dropped = dropped;
	return 0;
}
