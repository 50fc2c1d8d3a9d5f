/*
 * The built-in profiles, as tables of rules. ~ is the guest's home (gabion's private one), ${workspace} each workspace in turn,
 * ${scratch} the directory TMPDIR names. A row counts with a mount view, without one, or in both cases.
 *
 *   strict  the workspace to work in and the system's own programs and libraries; nothing writable executes
 *   agent   the default: the tools of a coding agent work; secrets hidden, what the host would execute protected
 *   dev     agent for a home that shows the host's files: more of it counts as secret
 *   runner  a container of its own: everything, but the engine's sockets
 *
 * What protect means in daily work. A protected object is readable and is never changed, removed or made, at any depth
 * and before it exists. So:
 *  - rm -rf of a repository made outside leaves its .git/hooks (and what holds them) behind: the files in there cannot
 *    be removed, and .git cannot be renamed away. Repositories made inside have no .git/hooks and go wholly, provided
 *    GIT_TEMPLATE_DIR is set to the empty string in the guest's environment, so that git copies no hook samples into them.
 *    Without that, git init and git clone fail at .git/hooks.
 *  - A checkout that would write an editor's or agent's settings file fails for that file; git says so, and git clone
 *    of a repository that has one ends with an error. --unprotect with the rule's pattern lets them be written.
 *    Settings below node_modules and site-packages are nobody's: package managers unpack there.
 *  - .git/config is protected by key: git may set and remove what is harmless (branches, remotes, who commits), by its lock file
 *    and a rename, and nothing that has the host's git execute something; nobody may write it in another way. A directory that
 *    is no repository yet cannot be kept from becoming a bare one (docs/LIMITS.md).
 *
 * Secrets of the home are hidden although the private home does not hold them: so an attempt on one is refused by name and
 * recorded, rather than lost among the files that do not exist. Files that ordinary tools look for in every session
 * (shell history, .npmrc) are hidden only where the home is the host's, or each session would end with false alarms.
 */
#include "profile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "util/err.h"

enum when { ALWAYS = 0, VIEW, BARE };

struct line {
	enum rule_kind kind;
	const char *pattern;
	enum when when;
	bool private; /* the floor makes it for the run: nothing of the host's is there */
};

/* Devices and the terminal. */
#define DEVICES                                                                                                                 \
	{ RULE_WRITE, "/dev/null", ALWAYS, false }, { RULE_WRITE, "/dev/zero", ALWAYS, false },                         \
		{ RULE_WRITE, "/dev/full", ALWAYS, false }, { RULE_WRITE, "/dev/random", ALWAYS, false },               \
		{ RULE_WRITE, "/dev/urandom", ALWAYS, false }, { RULE_WRITE, "/dev/tty", ALWAYS, false },               \
		{ RULE_WRITE, "/dev/ptmx", ALWAYS, false }, { RULE_WRITE, "/dev/pts", ALWAYS, false }

/*
 * Private with a view. Without one these are the host's: its sockets, its other programs' shared memory and, in /proc, the
 * host's own settings, so TMPDIR alone is writable there.
 */
#define PRIVATE_PLACES                                                                                                          \
	{ RULE_WRITE, "/tmp", VIEW, true }, { RULE_WRITE, "/var/tmp", VIEW, true }, { RULE_WRITE, "/dev/shm", VIEW, true }, \
		{ RULE_WRITE, "/run", VIEW, true }, { RULE_WRITE, "/proc", VIEW, true },                                \
		/* sem_open(3), by which processes of a pool lock: named so by the C library, nothing else is. */        \
		{ RULE_WRITE, "/dev/shm/sem.*", BARE, false }

/* Secrets of a home. */
static const struct line secrets[] = {
	{ RULE_HIDE, "~/.ssh", ALWAYS, false },
	{ RULE_HIDE, "~/.gnupg", ALWAYS, false },
	{ RULE_HIDE, "~/.aws", ALWAYS, false },
	{ RULE_HIDE, "~/.azure", ALWAYS, false },
	{ RULE_HIDE, "~/.kube", ALWAYS, false },
	{ RULE_HIDE, "~/.docker", ALWAYS, false },
	{ RULE_HIDE, "~/.netrc", ALWAYS, false },
	{ RULE_HIDE, "~/.git-credentials", ALWAYS, false },
	{ RULE_HIDE, "~/.config/git/credentials", ALWAYS, false },
	{ RULE_HIDE, "~/.config/gh", ALWAYS, false },
	{ RULE_HIDE, "~/.config/glab-cli", ALWAYS, false },
	{ RULE_HIDE, "~/.config/gcloud", ALWAYS, false },
	{ RULE_HIDE, "~/.config/doctl", ALWAYS, false },
	{ RULE_HIDE, "~/.config/op", ALWAYS, false },
	{ RULE_HIDE, "~/.config/rclone", ALWAYS, false },
	{ RULE_HIDE, "~/.config/sops", ALWAYS, false },
	{ RULE_HIDE, "~/.config/containers/auth.json", ALWAYS, false },
	{ RULE_HIDE, "~/.terraform.d", ALWAYS, false },
	{ RULE_HIDE, "~/.vault-token", ALWAYS, false },
	{ RULE_HIDE, "~/.pgpass", ALWAYS, false },
	{ RULE_HIDE, "~/.my.cnf", ALWAYS, false },
	{ RULE_HIDE, "~/.s3cfg", ALWAYS, false },
	{ RULE_HIDE, "~/.pki", ALWAYS, false },
	/* keyrings and password stores */
	{ RULE_HIDE, "~/.password-store", ALWAYS, false },
	{ RULE_HIDE, "~/.local/share/keyrings", ALWAYS, false },
	{ RULE_HIDE, "~/.local/share/kwalletd", ALWAYS, false },
	{ RULE_HIDE, "~/.config/keepassxc", ALWAYS, false },
	{ RULE_HIDE, "~/.config/Bitwarden", ALWAYS, false },
	{ RULE_HIDE, "~/.config/1Password", ALWAYS, false },
	/* browsers and mail: cookies are sessions */
	{ RULE_HIDE, "~/.mozilla", ALWAYS, false },
	{ RULE_HIDE, "~/.thunderbird", ALWAYS, false },
	{ RULE_HIDE, "~/.config/google-chrome", ALWAYS, false },
	{ RULE_HIDE, "~/.config/chromium", ALWAYS, false },
	{ RULE_HIDE, "~/.config/BraveSoftware", ALWAYS, false },
	{ RULE_HIDE, "~/.config/microsoft-edge", ALWAYS, false },
	{ RULE_HIDE, "~/snap", ALWAYS, false },
	{ RULE_HIDE, "~/.var/app", ALWAYS, false },
	/* Of ~/.ssh what every ssh needs and tells nobody anything; it stays unchanged. *.pub is no read rule: a read rule with
	 * globs is beyond every floor, an except rule opens nothing that the home's own rule does not. */
	{ RULE_EXCEPT, "~/.ssh/*.pub", ALWAYS, false },
	{ RULE_PROTECT, "~/.ssh", ALWAYS, false },
	{ RULE_READ, "~/.ssh/known_hosts", ALWAYS, false },
	{ RULE_READ, "~/.ssh/known_hosts2", ALWAYS, false },
	{ RULE_READ, "~/.ssh/config", ALWAYS, false },
	{ RULE_NONE, NULL, ALWAYS, false },
};

/* Secrets that ordinary tools look for, where the home is the host's. */
static const struct line history[] = {
	{ RULE_HIDE, "~/.bash_history", ALWAYS, false },
	{ RULE_HIDE, "~/.zsh_history", ALWAYS, false },
	{ RULE_HIDE, "~/.local/share/fish/fish_history", ALWAYS, false },
	{ RULE_HIDE, "~/.python_history", ALWAYS, false },
	{ RULE_HIDE, "~/.node_repl_history", ALWAYS, false },
	{ RULE_HIDE, "~/.psql_history", ALWAYS, false },
	{ RULE_HIDE, "~/.mysql_history", ALWAYS, false },
	{ RULE_HIDE, "~/.sqlite_history", ALWAYS, false },
	{ RULE_HIDE, "~/.lesshst", ALWAYS, false },
	{ RULE_HIDE, "~/.viminfo", ALWAYS, false },
	{ RULE_HIDE, "~/.npmrc", ALWAYS, false },
	{ RULE_HIDE, "~/.pypirc", ALWAYS, false },
	{ RULE_HIDE, "~/.cargo/credentials", ALWAYS, false },
	{ RULE_HIDE, "~/.cargo/credentials.toml", ALWAYS, false },
	{ RULE_HIDE, "~/.gem/credentials", ALWAYS, false },
	{ RULE_HIDE, "~/.m2/settings.xml", ALWAYS, false },
	{ RULE_HIDE, "~/.gradle/gradle.properties", ALWAYS, false },
	{ RULE_NONE, NULL, ALWAYS, false },
};

/* Of the host: other people's homes, its boot files, the engines' and services' state. Spools hold mail and cron jobs. */
static const struct line host[] = {
	{ RULE_HIDE, "/home", ALWAYS, false },
	{ RULE_HIDE, "/root", ALWAYS, false },
	{ RULE_HIDE, "/boot", ALWAYS, false },
	{ RULE_HIDE, "/lost+found", ALWAYS, false },
	{ RULE_HIDE, "/var/spool", ALWAYS, false },
	{ RULE_HIDE, "/var/mail", ALWAYS, false },
	/* Logs name people, hosts and command lines; no build needs them. */
	{ RULE_HIDE, "/var/log", ALWAYS, false },
	{ RULE_HIDE, "/var/lib/docker", ALWAYS, false },
	{ RULE_HIDE, "/var/lib/containerd", ALWAYS, false },
	{ RULE_HIDE, "/var/lib/containers", ALWAYS, false },
	{ RULE_HIDE, "/var/lib/kubelet", ALWAYS, false },
	{ RULE_HIDE, "/var/lib/rancher", ALWAYS, false },
	{ RULE_HIDE, "/var/lib/lxc", ALWAYS, false },
	{ RULE_HIDE, "/var/lib/libvirt", ALWAYS, false },
	{ RULE_HIDE, "/var/lib/systemd/coredump", ALWAYS, false },
	{ RULE_HIDE, "/etc/shadow", ALWAYS, false },
	{ RULE_HIDE, "/etc/shadow-", ALWAYS, false },
	{ RULE_HIDE, "/etc/gshadow", ALWAYS, false },
	{ RULE_HIDE, "/etc/gshadow-", ALWAYS, false },
	{ RULE_HIDE, "/etc/sudoers", ALWAYS, false },
	{ RULE_HIDE, "/etc/sudoers.d", ALWAYS, false },
	{ RULE_HIDE, "/etc/ssl/private", ALWAYS, false },
	{ RULE_HIDE, "/etc/letsencrypt", ALWAYS, false },
	{ RULE_NONE, NULL, ALWAYS, false },
};

/* What the host executes without being asked, once a person works in the directory again. */
static const struct line executed[] = {
	/* Settings of editors and agents. */
	{ RULE_PROTECT, "**/.vscode/settings.json", ALWAYS, false },
	{ RULE_PROTECT, "**/.vscode/tasks.json", ALWAYS, false },
	{ RULE_PROTECT, "**/.vscode/launch.json", ALWAYS, false },
	{ RULE_PROTECT, "**/.vscode/mcp.json", ALWAYS, false },
	{ RULE_PROTECT, "**/.idea", ALWAYS, false },
	{ RULE_PROTECT, "**/.zed", ALWAYS, false },
	{ RULE_PROTECT, "**/.nvim.lua", ALWAYS, false },
	{ RULE_PROTECT, "**/.exrc", ALWAYS, false },
	{ RULE_PROTECT, "**/.dir-locals.el", ALWAYS, false },
	{ RULE_PROTECT, "**/.devcontainer", ALWAYS, false },
	{ RULE_PROTECT, "**/.devcontainer.json", ALWAYS, false },
	{ RULE_PROTECT, "**/.mcp.json", ALWAYS, false },
	{ RULE_PROTECT, "**/.claude/settings*.json", ALWAYS, false },
	{ RULE_PROTECT, "**/.claude/hooks", ALWAYS, false },
	{ RULE_PROTECT, "**/.codex", ALWAYS, false },
	{ RULE_PROTECT, "**/.gemini/settings.json", ALWAYS, false },
	{ RULE_PROTECT, "**/.opencode/plugin", ALWAYS, false },
	{ RULE_PROTECT, "**/.opencode/plugins", ALWAYS, false },
	{ RULE_PROTECT, "**/opencode.json", ALWAYS, false },
	{ RULE_PROTECT, "**/opencode.jsonc", ALWAYS, false },
	{ RULE_PROTECT, "**/.aider.conf.yml", ALWAYS, false },
	{ RULE_PROTECT, "**/.cursor/mcp.json", ALWAYS, false },
	{ RULE_PROTECT, "**/.cursor/hooks.json", ALWAYS, false },
	{ RULE_EXCEPT, "**/node_modules", ALWAYS, false },
	{ RULE_EXCEPT, "**/site-packages", ALWAYS, false },
	/* An agent's own state in its private home is a copy nobody executes outside. */
	{ RULE_EXCEPT, "~/.claude", ALWAYS, true },
	{ RULE_EXCEPT, "~/.codex", ALWAYS, true },
	{ RULE_EXCEPT, "~/.gemini", ALWAYS, true },
	{ RULE_EXCEPT, "~/.config/opencode", ALWAYS, true },
	{ RULE_EXCEPT, "~/.opencode.json", ALWAYS, true },
	/* From here on nothing is excepted: hooks and shells run at once. Submodules keep theirs below .git/modules. */
	{ RULE_PROTECT, "**/.git/hooks/**", ALWAYS, false },
	{ RULE_PROTECT, "**/.git/modules/**/hooks/**", ALWAYS, false },
	{ RULE_PROTECT, "**/.git/worktrees/*/hooks/**", ALWAYS, false },
	/* git itself writes its configuration: what changes no key that has something executed is let through. */
	{ RULE_KEYS, "**/.git/config", ALWAYS, false },
	{ RULE_KEYS, "**/.git/config.worktree", ALWAYS, false },
	{ RULE_KEYS, "**/.git/modules/**/config", ALWAYS, false },
	{ RULE_KEYS, "**/.git/modules/**/config.worktree", ALWAYS, false },
	{ RULE_KEYS, "**/.git/worktrees/**/config", ALWAYS, false },
	{ RULE_KEYS, "**/.git/worktrees/**/config.worktree", ALWAYS, false },
	/* Names the directory that config and hooks are taken from; only a worktree's has one, below worktrees/. */
	{ RULE_PROTECT, "**/.git/commondir", ALWAYS, false },
	{ RULE_PROTECT, "**/.envrc", ALWAYS, false },
	{ RULE_PROTECT, "~/.bashrc", ALWAYS, false },
	{ RULE_PROTECT, "~/.bash_profile", ALWAYS, false },
	{ RULE_PROTECT, "~/.bash_login", ALWAYS, false },
	{ RULE_PROTECT, "~/.bash_logout", ALWAYS, false },
	{ RULE_PROTECT, "~/.bash_aliases", ALWAYS, false },
	{ RULE_PROTECT, "~/.profile", ALWAYS, false },
	{ RULE_PROTECT, "~/.zshrc", ALWAYS, false },
	{ RULE_PROTECT, "~/.zshenv", ALWAYS, false },
	{ RULE_PROTECT, "~/.zprofile", ALWAYS, false },
	{ RULE_PROTECT, "~/.zlogin", ALWAYS, false },
	{ RULE_PROTECT, "~/.zlogout", ALWAYS, false },
	{ RULE_PROTECT, "~/.config/fish/config.fish", ALWAYS, false },
	{ RULE_PROTECT, "~/.config/fish/conf.d", ALWAYS, false },
	{ RULE_PROTECT, "~/.inputrc", ALWAYS, false },
	{ RULE_PROTECT, "~/.tmux.conf", ALWAYS, false },
	{ RULE_PROTECT, "~/.config/autostart", ALWAYS, false },
	{ RULE_PROTECT, "~/.config/systemd", ALWAYS, false },
	{ RULE_NONE, NULL, ALWAYS, false },
};

static const struct line strict_places[] = {
	{ RULE_READ, "/usr", ALWAYS, false },
	{ RULE_READ, "/bin", ALWAYS, false },
	{ RULE_READ, "/sbin", ALWAYS, false },
	{ RULE_READ, "/lib", ALWAYS, false },
	{ RULE_READ, "/lib32", ALWAYS, false },
	{ RULE_READ, "/lib64", ALWAYS, false },
	{ RULE_READ, "/libx32", ALWAYS, false },
	{ RULE_READ, "/etc", ALWAYS, false },
	{ RULE_READ, "/proc", ALWAYS, false },
	{ RULE_READ, "/dev", ALWAYS, false },
	{ RULE_READ, "/sys/devices/system/cpu", ALWAYS, false },
	{ RULE_READ, "/sys/devices/system/node", ALWAYS, false },
	{ RULE_READ, "/sys/fs/cgroup", ALWAYS, false },
	{ RULE_READ, "/var/lib/dpkg/alternatives", ALWAYS, false },
	/* Read-only all of it: what may be read of it may be run. Nothing writable below it is named here, so nothing writable is. */
	{ RULE_EXEC, "/", ALWAYS, false },
	DEVICES,
	{ RULE_WRITE, "/tmp", VIEW, true },
	{ RULE_WRITE, "/var/tmp", VIEW, true },
	{ RULE_WRITE, "/dev/shm", VIEW, true },
	{ RULE_WRITE, "/run", VIEW, true },
	{ RULE_WRITE, "~", ALWAYS, true },
	{ RULE_WRITE, "${workspace}", ALWAYS, false },
	{ RULE_WRITE, "${scratch}", ALWAYS, true },
	{ RULE_NONE, NULL, ALWAYS, false },
};

static const struct line agent_places[] = {
	{ RULE_WRITE, "~", ALWAYS, true },
	{ RULE_NONE, NULL, ALWAYS, false },
};

/* The home may show the host's files: no hide rule in it is taken for held. */
static const struct line dev_places[] = {
	{ RULE_WRITE, "~", ALWAYS, false },
	{ RULE_NONE, NULL, ALWAYS, false },
};

static const struct line work_places[] = {
	{ RULE_READ, "/", ALWAYS, false },
	{ RULE_EXEC, "/", ALWAYS, false },
	DEVICES,
	PRIVATE_PLACES,
	{ RULE_WRITE, "${workspace}", ALWAYS, false },
	{ RULE_EXEC, "${workspace}", ALWAYS, false },
	{ RULE_WRITE, "${scratch}", ALWAYS, true },
	{ RULE_EXEC, "${scratch}", ALWAYS, false },
	{ RULE_NONE, NULL, ALWAYS, false },
};

static const struct line runner_places[] = {
	{ RULE_READ, "/", ALWAYS, false },
	{ RULE_WRITE, "/", ALWAYS, false },
	{ RULE_EXEC, "/", ALWAYS, false },
	/* Who reaches the engine is root on its host. protect refuses connect; wherever they are mounted. */
	{ RULE_PROTECT, "**/docker.sock", ALWAYS, false },
	{ RULE_PROTECT, "**/containerd.sock", ALWAYS, false },
	{ RULE_PROTECT, "**/podman.sock", ALWAYS, false },
	{ RULE_PROTECT, "**/crio.sock", ALWAYS, false },
	{ RULE_PROTECT, "**/buildkitd.sock", ALWAYS, false },
	{ RULE_PROTECT, "**/dockershim.sock", ALWAYS, false },
	{ RULE_NONE, NULL, ALWAYS, false },
};

enum { PARTS_MAX = 7 }; /* one more than the longest: NULL ends the list */

static const struct {
	const char *name;
	const struct line *parts[PARTS_MAX];
} profiles[] = {
	/* executed first: what it excepts is not excepted from what is hidden. */
	{ "agent", { work_places, agent_places, executed, host, secrets } },
	{ "dev", { work_places, dev_places, executed, host, secrets, history } },
	{ "runner", { runner_places } },
	{ "strict", { strict_places, executed, host, secrets } },
};

/* A list of what a pattern's first part stands for. */
struct base {
	const char *const *v;
	size_t n;
	const char *rest;
};

static struct base base_of(const char *pattern, const struct profile_env *env)
{
	static const char *const root[] = { "" };
	struct base b = { .v = root, .n = 1, .rest = pattern };

	if (pattern[0] == '~') {
		b = (struct base){ .v = &env->home, .n = env->home != NULL, .rest = pattern + 1 };
	} else if (strncmp(pattern, "${workspace}", 12) == 0) {
		b = (struct base){ .v = env->workspaces, .rest = pattern + 12 };
		while (env->workspaces && env->workspaces[b.n])
			b.n++;
	} else if (strncmp(pattern, "${scratch}", 10) == 0) {
		b = (struct base){ .v = &env->scratch, .n = env->scratch != NULL, .rest = pattern + 10 };
	} else if (pattern[0] == '*') {
		static const char *const slash[] = { "/" };

		b.v = slash;
	}
	return b;
}

static bool same_or_above(const char *a, const char *s)
{
	size_t n = a ? strlen(a) : 0;

	if (!a || !s)
		return false;
	return n == 1 || (strncmp(a, s, n) == 0 && (s[n] == '\0' || s[n] == '/'));
}

/* PATH is what this run is about: to hide it would be to refuse the run. */
static bool is_wanted(const char *path, const struct profile_env *env)
{
	if ((env->home && strcmp(path, env->home) == 0) || (env->scratch && strcmp(path, env->scratch) == 0))
		return true;
	for (size_t i = 0; env->workspaces && env->workspaces[i]; i++)
		if (strcmp(path, env->workspaces[i]) == 0)
			return true;
	return false;
}

/* A workspace at or above PATH, or below it, is the host's: then PATH is no private place. */
static bool in_workspace(const char *path, const struct profile_env *env)
{
	for (size_t i = 0; env->workspaces && env->workspaces[i]; i++)
		if (same_or_above(env->workspaces[i], path) || same_or_above(path, env->workspaces[i]))
			return true;
	return false;
}

static int add_one(struct policy_builder *b, const struct line *l, const char *base, const char *rest, const char *origin,
		   const struct profile_env *env)
{
	AUTO_FREE char *quoted = glob_quote(base);
	char pattern[2 * PATH_MAX];
	int n;

	if (!quoted)
		return -ENOMEM;
	n = snprintf(pattern, sizeof(pattern), "%s%s", quoted, rest);
	if (n < 0 || (size_t)n >= sizeof(pattern))
		return -EINVAL;
	if (l->kind == RULE_HIDE && base[0] == '\0' && is_wanted(pattern, env))
		return 0;
	if (l->kind == RULE_EXCEPT && l->private && in_workspace(pattern, env))
		return 0;
	if (l->private && (l->kind == RULE_WRITE || l->kind == RULE_READ)) {
		int r = policy_builder_private(b, pattern);

		if (r < 0)
			return r;
	}
	return policy_builder_add(b, l->kind, pattern, origin);
}

static int add_part(struct policy_builder *b, const struct line *l, const char *origin, const struct profile_env *env)
{
	for (; l->pattern; l++) {
		struct base base = base_of(l->pattern, env);

		if (l->when == (env->view ? BARE : VIEW))
			continue;
		for (size_t i = 0; i < base.n; i++) {
			int r = add_one(b, l, base.v[i], base.rest, origin, env);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

int profile_add(struct policy_builder *b, const char *profile, const struct profile_env *env)
{
	for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
		char origin[64];
		int r = 0;

		if (strcmp(profiles[i].name, profile) != 0)
			continue;
		(void)snprintf(origin, sizeof(origin), "profile %s", profile);
		for (size_t k = 0; r == 0 && k < PARTS_MAX && profiles[i].parts[k]; k++)
			r = add_part(b, profiles[i].parts[k], origin, env);
		return r;
	}
	return -ENOENT;
}

const char *const *profile_names(void)
{
	static const char *const names[] = { "agent", "dev", "runner", "strict", NULL };

	return names;
}
