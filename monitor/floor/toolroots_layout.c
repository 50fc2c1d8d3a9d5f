/*
 * Which part of a home directory a tool needs.
 *
 * A home is full of secrets, and a tool installed in it must work inside without them. For the path of a
 * program the smallest root that makes sense is looked for, in this order:
 *
 *   1. nothing at all where a credential store is (never_below)
 *   2. a known layout (layouts): version managers keep programs and what they need at fixed places
 *   3. the outermost node_modules
 *   4. the prefix of bin/, where it shows signs of an install: a virtual environment, conda, node, Java, Go,
 * Rust, plain lib/
 *   5. the directory itself, or where that is one which also holds other things, the file alone
 *
 * A prefix or directory that looks like a project somebody works on (.git, .env, package.json, ...) is no
 * install, and a few directories (never_whole) are never shown as a whole though parts of them may be.
 */
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/floor/toolroots.h"
#include "util/err.h"

#define BREW ".linuxbrew"

/* Nothing at or below these, relative to a home. */
static const char *const never_below[] = {
	".ssh",
	".gnupg",
	".aws",
	".azure",
	".kube",
	".docker",
	".pki",
	".password-store",
	".mozilla",
	".thunderbird",
	".config/gcloud",
	".config/gh",
	".config/op",
	".config/sops",
	".config/google-chrome",
	".config/chromium",
	".local/share/keyrings",
	".local/share/kwalletd",
	".local/share/gnupg",
	".local/state/gabion",
	".netrc",
	".vault-token",
};

/* These are never shown as a whole: what somebody installs is next to credentials, caches or documents there.
 */
static const char *const never_whole[] = {
	".config",  ".config/*",      ".local",	   ".local/share", ".local/state",
	".cache",   ".cargo",	      ".npm",	   ".gem",	   ".composer",
	".fly",	    ".pulumi",	      ".railway",  ".terraform.d", ".gradle",
	".m2",	    ".nuget",	      ".bun",	   ".deno",	   ".claude",
	".codex",   ".gemini",	      ".aider",	   ".vscode",	   ".vscode-server",
	".cursor",  ".cursor-server", ".var",	   ".var/app",	   "snap",
	"Desktop",  "Documents",      "Downloads", "Music",	   "Pictures",
	"Public",   "Templates",      "Videos",	   "src",	   "code",
	"projects", "work",	      "dev",	   "git",	   "repos",
};

/* Known layouts: whatever lies below the pattern needs all that does. */
static const char *const layouts[] = {
	BREW,
	".pyenv",
	".rbenv",
	".nodenv",
	".goenv",
	".jenv",
	".plenv",
	".phpenv",
	".asdf",
	".volta",
	".proto",
	".ghcup",
	".elan",
	".juliaup",
	".rustup",
	".local/share/mise",
	".local/share/rtx",
	".local/share/uv/python/*",
	".local/share/uv/tools/*",
	".local/share/pipx/venvs/*",
	".local/pipx/venvs/*",
	".nvm/versions/node/*",
	".nvm/versions/io.js/*",
	".config/nvm/versions/node/*",
	".local/share/nvm/*",
	".local/share/fnm/node-versions/*",
	".fnm/node-versions/*",
	".sdkman/candidates/*/*",
	".local/share/mamba/envs/*",
	".conda/envs/*",
	".julia/juliaup/*",
	".rye/py/*",
	".rye/tools/*",
};

static const char *const companions[][2] = {
	{".cargo/bin", ".rustup"},   /* every program there is rustup, which runs the toolchain's */
	{".local/bin", ".local/lib"} /* pip --user and npm's prefix ~/.local: scripts import from there */
};

/* cellar and links; not var (data of services) and of etc only what clients need. */
static const char *const homebrew_parts[] = {"bin",
					     "sbin",
					     "Cellar",
					     "opt",
					     "lib",
					     "libexec",
					     "include",
					     "share",
					     "Homebrew",
					     "Caskroom",
					     "etc/ca-certificates",
					     "etc/openssl@3",
					     "etc/fonts",
					     NULL};

/* An install beyond doubt. */
static const char *const prefix_sure[] = {"pyvenv.cfg",	  "conda-meta",	      "lib/node_modules",
					  "include/node", "lib/rustlib",      "src/runtime/runtime.go",
					  "lib/modules",  "packages/flutter", "lib/jvm.cfg"};
/* An install, unless it looks like a project or is a hidden directory of the home. */
static const char *const prefix_maybe[] = {"lib", "lib64", "libexec", "share"};
static const char *const project_marks[] = {".git",
					    ".hg",
					    ".svn",
					    ".env",
					    ".envrc",
					    "package.json",
					    "Cargo.toml",
					    "pyproject.toml",
					    "setup.py",
					    "Gemfile",
					    "go.mod",
					    "Makefile",
					    "CMakeLists.txt",
					    "composer.json",
					    "auth.json",
					    "credentials",
					    "credentials.json",
					    "credentials.toml"};

bool toolroots_within(const char *path, const char *top)
{
	size_t n = strlen(top);
	return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

const char *toolroots_below_home(const char *home, const char *path)
{
	const char *rest = NULL;

	if (toolroots_within(path, home)) {
		rest = path + strlen(home);
	} else if (toolroots_within(path, "/root")) {
		rest = path + strlen("/root");
	} else if (strncmp(path, "/home/", 6) == 0) {
		rest = strchr(path + 6, '/');
		if (rest == NULL)
			return "";
	}
	return rest == NULL ? NULL : rest[0] == '/' ? rest + 1 : "";
}

/* Length of the first components of REL that PATTERN, component by component, matches; 0: they do not. */
static size_t match_head(const char *pattern, const char *rel)
{
	char head[PATH_MAX];
	size_t parts = 1, n = 0;

	for (const char *c = pattern; *c != '\0'; c++)
		parts += *c == '/';
	for (;; n++) {
		n += strcspn(rel + n, "/");
		if (--parts == 0)
			break;
		if (rel[n] == '\0')
			return 0;
	}
	if (n == 0 || n >= sizeof(head))
		return 0;
	memcpy(head, rel, n);
	head[n] = '\0';
	return fnmatch(pattern, head, FNM_PATHNAME) == 0 ? n : 0;
}

static bool secret(const char *rel)
{
	for (size_t i = 0; i < ARRAY_LEN(never_below); i++)
		if (toolroots_within(rel, never_below[i]))
			return true;
	return false;
}

/* REL must not be shown as a whole: it holds a secret place, or is one of never_whole. */
static bool too_much(const char *rel)
{
	if (rel[0] == '\0')
		return true;
	for (size_t i = 0; i < ARRAY_LEN(never_below); i++)
		if (toolroots_within(never_below[i], rel))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(never_whole); i++)
		if (fnmatch(never_whole[i], rel, FNM_PATHNAME) == 0)
			return true;
	return false;
}

bool toolroots_refused(const char *home, const char *path)
{
	const char *rel = toolroots_below_home(home, path);
	/* A home may lie below another's: then the whole of that one holds it. */
	return rel == NULL || secret(rel) || too_much(rel) || toolroots_within(home, path);
}

static bool has(const char *dir, const char *const *names, size_t n)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < n; i++)
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, names[i]) < sizeof(path) &&
		    faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

static bool is_prefix(const char *dir, const char *rel)
{
	if (has(dir, prefix_sure, ARRAY_LEN(prefix_sure)))
		return true;
	if (rel[0] == '.' && strchr(rel, '/') == NULL)
		return false;
	return has(dir, prefix_maybe, ARRAY_LEN(prefix_maybe)) &&
	       !has(dir, project_marks, ARRAY_LEN(project_marks));
}

/* Cuts the last component off; false where nothing would be left. */
static bool up(char *path)
{
	char *slash = strrchr(path, '/');
	if (slash == NULL || slash == path)
		return false;
	*slash = '\0';
	return true;
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == NULL ? path : slash + 1;
}

static bool known(const char *home, const char *path, const char *rel, char root[PATH_MAX])
{
	for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
		size_t n = match_head(layouts[i], rel);
		if (n == 0)
			continue;
		snprintf(root, PATH_MAX, "%.*s", (int)((size_t)(rel - path) + n), path);
		return !toolroots_within(home, root);
	}
	return false;
}

/* The outermost node_modules above PATH. */
static bool node_modules(const char *path, const char *rel, char root[PATH_MAX])
{
	for (const char *at = rel; (at = strstr(at, "node_modules")) != NULL; at++) {
		char end = at[strlen("node_modules")];
		if ((at == rel || at[-1] == '/') && (end == '/' || end == '\0')) {
			snprintf(root, PATH_MAX, "%.*s", (int)((size_t)(at - path) + strlen("node_modules")),
				 path);
			return true;
		}
	}
	return false;
}

/* The prefix that directory DIR of programs belongs to. */
static bool prefix(const char *home, const char *dir, char root[PATH_MAX])
{
	static const char *const shim_marks[] = {"versions", "installs", "tools"};
	const char *name = base(dir);
	bool shims = strcmp(name, "shims") == 0;

	if (!shims && strcmp(name, "bin") != 0 && strcmp(name, "sbin") != 0)
		return false;
	snprintf(root, PATH_MAX, "%s", dir);
	if (!up(root) || toolroots_refused(home, root))
		return false;
	return shims ? has(root, shim_marks, ARRAY_LEN(shim_marks))
		     : is_prefix(root, toolroots_below_home(home, root));
}

bool toolroots_choose(const char *home, const char *path, enum tool_use use, char ret_root[PATH_MAX],
		      bool *ret_layout)
{
	const char *rel = toolroots_below_home(home, path);
	char dir[PATH_MAX], root[PATH_MAX];
	bool layout = true;

	if (rel == NULL || rel[0] == '\0' || strlen(path) >= PATH_MAX || secret(rel) ||
	    toolroots_within(home, path))
		return false;
	snprintf(dir, sizeof(dir), "%s", path);
	if (use != TOOL_PATH && !up(dir))
		return false;
	if (!known(home, path, rel, root)) {
		if (use == TOOL_KNOWN)
			return false;
		if (!(node_modules(path, rel, root) && !toolroots_refused(home, root)) &&
		    !prefix(home, dir, root)) {
			if (use == TOOL_HOP)
				return false;
			layout = false;
			const char *dir_rel = toolroots_below_home(home, dir);
			bool refused = toolroots_refused(home, dir);
			bool shared = use == TOOL_FILE && dir_rel != NULL &&
				      (has(dir, project_marks, ARRAY_LEN(project_marks)) ||
				       (dir_rel[0] == '.' && strchr(dir_rel, '/') == NULL));
			if (use == TOOL_PATH && refused)
				return false;
			snprintf(root, sizeof(root), "%s", refused || shared ? path : dir);
		}
	}
	memcpy(ret_root, root, sizeof(root));
	*ret_layout = layout;
	return true;
}

bool toolroots_companion(const char *home, const char *path, char ret_root[PATH_MAX])
{
	const char *rel = toolroots_below_home(home, path);
	char root[PATH_MAX];
	struct stat st;

	for (size_t i = 0; rel != NULL && i < ARRAY_LEN(companions); i++) {
		if (strcmp(rel, companions[i][0]) != 0)
			continue;
		if ((size_t)snprintf(root, sizeof(root), "%.*s%s", (int)(rel - path), path,
				     companions[i][1]) >= sizeof(root) ||
		    lstat(root, &st) < 0 || !S_ISDIR(st.st_mode))
			return false;
		memcpy(ret_root, root, sizeof(root));
		return true;
	}
	return false;
}

bool toolroots_homebrew(const char *root, const char *const **ret_parts)
{
	if (strcmp(base(root), BREW) != 0)
		return false;
	*ret_parts = homebrew_parts;
	return true;
}
