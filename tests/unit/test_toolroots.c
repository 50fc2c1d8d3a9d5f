/* Tools kept in a home: which directories are shown with PATH's, and that nothing else is. On a made-up home.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "monitor/floor/toolroots.h"
#include "util/err.h"

static char top[64], home[80];
static struct places p;

static int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/gabion-test-tools-XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	snprintf(home, sizeof(home), "%s/home", top);
	return mkdir(home, 0755);
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	places_free(&p);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	return system(cmd);
}

/* PATH below the made-up home, its directories made. */
static const char *in_home(const char *path)
{
	static char full[8][PATH_MAX];
	static unsigned int next;
	char *out = full[next++ % 8];

	snprintf(out, PATH_MAX, "%s/%s", home, path);
	for (char *slash = out + strlen(home) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(out, 0755);
		*slash = '/';
	}
	return out;
}

static void dir(const char *path)
{
	(void)mkdir(in_home(path), 0755);
}

/* An executable file; ~ at the start of a line's second half stands for the home. */
static void program(const char *path, const char *text)
{
	FILE *f = fopen(in_home(path), "w");

	assert_non_null(f);
	for (; *text != '\0'; text++)
		if (*text == '~')
			fputs(home, f);
		else
			fputc(*text, f);
	assert_int_equal(fchmod(fileno(f), 0755), 0);
	fclose(f);
}

static void link_to(const char *path, const char *text)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "%s%s", text[0] == '~' ? home : "",
		 text[0] == '~' ? text + 1 : text);
	assert_int_equal(symlink(target, in_home(path)), 0);
}

/* Runs it on a PATH of which each ~ is the home. */
static void find(const char *path)
{
	char expanded[PATH_MAX] = "";

	for (; *path != '\0'; path++) {
		size_t n = strlen(expanded);
		if (*path == '~')
			snprintf(expanded + n, sizeof(expanded) - n, "%s", home);
		else
			snprintf(expanded + n, sizeof(expanded) - n, "%c", *path);
	}
	assert_int_equal(toolroots_add(&p, home, expanded), 0);
	for (size_t i = 0; i < p.n; i++)
		assert_false(p.v[i].write);
}

static const struct place *place(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", home, path);
	for (size_t i = 0; i < p.n; i++)
		if (strcmp(p.v[i].target, full) == 0)
			return &p.v[i];
	return NULL;
}

static void assert_root(const char *path)
{
	const struct place *one = place(path);

	if (one == NULL)
		fail_msg("%s is not shown", path);
	assert_null(one->link);
	assert_true(one->exec);
	assert_string_equal(one->source, one->target);
}

static void assert_link(const char *path, const char *text)
{
	const struct place *one = place(path);

	if (one == NULL)
		fail_msg("%s is not shown", path);
	assert_null(one->source);
	assert_non_null(strstr(one->link, text));
}

static void test_version_managers(void **state)
{
	(void)state;
	program(".pyenv/shims/python", "#!/bin/sh\n");
	dir(".pyenv/versions/3.12");
	program(".nvm/versions/node/v20/bin/node", "ELF");
	link_to(".nvm/versions/node/v20/bin/npm", "../lib/node_modules/npm/bin/npm-cli.js");
	program(".nvm/versions/node/v20/lib/node_modules/npm/bin/npm-cli.js", "#!/usr/bin/env node\n");
	program(".nvm/versions/node/v18/bin/node", "ELF");
	program(".cargo/bin/rustup", "ELF");
	link_to(".cargo/bin/cargo", "rustup");
	program(".cargo/credentials.toml", "token");
	dir(".rustup/toolchains");
	program(".asdf/shims/ruby", "#!/bin/sh\nexec asdf\n");
	dir(".local/share/mise/installs/go/1.22/bin/");
	program(".local/share/mise/installs/go/1.22.1/bin/go", "ELF");
	program(".volta/bin/volta", "ELF");
	find("~/.pyenv/shims:/usr/bin:~/.nvm/versions/node/v20/bin:~/.cargo/bin:~/.asdf/shims:~/.volta/bin:"
	     "~/.local/share/mise/installs/go/1.22.1/bin:relative/bin::~/.cargo/bin");
	assert_root(".pyenv");
	assert_root(".nvm/versions/node/v20");
	assert_root(".cargo/bin");
	assert_root(".rustup");
	assert_root(".asdf");
	assert_root(".local/share/mise");
	assert_root(".volta");
	assert_int_equal(p.n, 7);
}

static void test_local_bin(void **state)
{
	(void)state;
	dir(".local/lib/python3.11");
	dir(".config/gh");
	program(".local/share/claude/versions/2.0", "ELF");
	link_to(".local/bin/claude", "~/.local/share/claude/versions/2.0");
	/* pipx: a script in a virtual environment, whose python is a link to pyenv's */
	program(".local/share/pipx/venvs/black/bin/black", "#!~/.local/share/pipx/venvs/black/bin/python\n");
	link_to(".local/share/pipx/venvs/black/bin/python", "~/.pyenv/versions/3.12/bin/python3.12");
	program(".pyenv/versions/3.12/bin/python3.12", "ELF");
	link_to(".local/bin/black", "../share/pipx/venvs/black/bin/black");
	/* uv: the same with an interpreter of its own behind a directory link */
	program(".local/share/uv/tools/aider/bin/aider", "#!/bin/sh\n'''exec' '~/x' \"$0\"\n");
	link_to(".local/share/uv/tools/aider/bin/python",
		"~/.local/share/uv/python/cpython-3.12/bin/python3.12");
	link_to(".local/share/uv/python/cpython-3.12", "cpython-3.12.7");
	program(".local/share/uv/python/cpython-3.12.7/bin/python3.12", "ELF");
	program(".local/bin/aider",
		"#!/bin/sh\n'''exec' \"~/.local/share/uv/tools/aider/bin/python\" \"$0\" \"$@\"\n");
	find("~/.local/bin");
	assert_root(".local/bin");
	assert_root(".local/lib");
	assert_root(".local/share/claude/versions");
	assert_root(".local/share/pipx/venvs/black");
	assert_root(".pyenv");
	assert_root(".local/share/uv/tools/aider");
	assert_root(".local/share/uv/python/cpython-3.12.7");
	assert_link(".local/share/uv/python/cpython-3.12", "cpython-3.12.7");
	assert_int_equal(p.n, 8);
}

static void test_prefixes(void **state)
{
	(void)state;
	program("miniconda3/condabin/conda", "#!~/miniconda3/bin/python\n");
	program("miniconda3/bin/python", "ELF");
	dir("miniconda3/conda-meta");
	program("proj/.venv/bin/pytest", "#!~/proj/.venv/bin/python\n");
	program("proj/.venv/pyvenv.cfg", "home = /usr/bin\n");
	link_to("proj/.venv/bin/python", "/usr/bin/env");
	program("proj/.env", "SECRET=1\n");
	program(".npm-global/bin/x", "ELF");
	dir(".npm-global/lib/node_modules/x");
	program("go/bin/gopls", "ELF");
	dir("go/pkg/mod");
	program(".bun/bin/bun", "ELF");
	dir(".bun/install");
	program(".deno/bin/deno", "ELF");
	program("rails/bin/rails", "#!/usr/bin/env ruby\n");
	dir("rails/lib");
	program("rails/Gemfile", "");
	program("sdk/gcloud/bin/gcloud", "#!/bin/sh\n");
	dir("sdk/gcloud/lib");
	program(".fly/bin/fly", "ELF");
	program(".fly/config.yml", "token");
	dir(".fly/lib");
	find("~/miniconda3/condabin:~/proj/.venv/bin:~/.npm-global/bin:~/go/bin:~/.bun/bin:~/.deno/bin:~/"
	     "rails/bin:~/sdk/gcloud/bin"
	     ":~/.fly/bin");
	assert_root("miniconda3");
	assert_root("proj/.venv");
	assert_root(".npm-global");
	assert_root("go/bin");
	assert_root(".bun/bin");
	assert_root(".deno/bin");
	assert_root("rails/bin");
	assert_root("sdk/gcloud");
	assert_root(".fly/bin");
	assert_int_equal(p.n, 9);
}

static void test_links_on_the_way(void **state)
{
	(void)state;
	/* Nix: a profile that leads out of the home, here to /usr */
	link_to(".nix-profile", "~/.local/state/nix/profiles/profile");
	link_to(".local/state/nix/profiles/profile", "profile-42-link");
	link_to(".local/state/nix/profiles/profile-42-link", "/usr");
	program(".sdkman/candidates/java/21/bin/java", "ELF");
	dir(".sdkman/candidates/java/21/lib");
	link_to(".sdkman/candidates/java/current", "21");
	/* ~/bin is itself kept elsewhere */
	program("dotfiles/bin/hello", "#!/bin/sh\n");
	program("dotfiles/.git/config", "");
	link_to("bin", "dotfiles/bin");
	find("~/.nix-profile/bin:~/.sdkman/candidates/java/current/bin:~/bin");
	assert_link(".nix-profile", "/.local/state/nix/profiles/profile");
	assert_link(".local/state/nix/profiles/profile", "profile-42-link");
	assert_link(".local/state/nix/profiles/profile-42-link", "/usr");
	assert_link(".sdkman/candidates/java/current", "21");
	assert_root(".sdkman/candidates/java/21");
	assert_link("bin", "dotfiles/bin");
	assert_root("dotfiles/bin");
	assert_int_equal(p.n, 7);
}

static void test_homebrew(void **state)
{
	(void)state;
	program(".linuxbrew/Cellar/jq/1.7/bin/jq", "ELF");
	link_to(".linuxbrew/bin/jq", "../Cellar/jq/1.7/bin/jq");
	dir(".linuxbrew/var/postgres");
	dir(".linuxbrew/etc/openssl@3");
	find("~/.linuxbrew/bin:~/.linuxbrew/sbin");
	assert_root(".linuxbrew/bin");
	assert_root(".linuxbrew/Cellar");
	assert_root(".linuxbrew/etc/openssl@3");
	assert_int_equal(p.n, 3);
}

static void test_refused(void **state)
{
	(void)state;
	program(".ssh/bin/x", "ELF");
	program("x", "ELF");
	program(".config/foo/x", "ELF");
	program(".local/share/keyrings/bin/x", "ELF");
	program("docs/secret.txt", "");
	assert_int_equal(chmod(in_home("docs/secret.txt"), 0600), 0);
	program("work/app/tool.sh", "#!/bin/sh\n");
	dir("work/app/.git");
	program(".one/tool", "ELF");
	program(".one/token", "");
	program("bin/own", "#!~/nowhere/python\n");
	link_to("bin/key", "~/.ssh/bin/x");
	link_to("bin/data", "~/docs/secret.txt"); /* no program */
	link_to("bin/folder", "~/docs");
	link_to("bin/loop", "loop2/x");
	link_to("bin/loop2", "~/bin/loop");
	link_to("bin/gone", "~/missing/x");
	link_to("bin/x", "../x");		    /* the file, not the home */
	link_to("bin/tool", "../work/app/tool.sh"); /* the file, not the project */
	link_to("bin/one", "../.one/tool");
	link_to("bin/proc", "/proc/self/exe");
	find("~:~/:~/.ssh/bin:~/.ssh:~/.config:~/.config/foo:~/.local/share/keyrings/bin:~/.local/share:~/"
	     ".local:~/..:/:/home:/root:"
	     "/proc/self/cwd:~/missing:~/x:~/bin/folder/../.ssh:~/bin");
	assert_root("bin");
	assert_root("x");
	assert_root("work/app/tool.sh");
	assert_root(".one/tool");
	assert_int_equal(p.n, 4);
}

/* gabion's own directory: private homes, records. */
static void test_own_state(void **state)
{
	(void)state;
	dir("data/gabion/home/agent/bin/");
	dir("data/bin/");
	program("data/gabion/home/agent/bin/planted", "#!/bin/sh\n");
	p.home_source = strdup(in_home("data/gabion/home/agent"));
	find("~/data/gabion/home/agent/bin:~/data:~/data/bin");
	assert_root("data/bin");
	assert_int_equal(p.n, 1);
}

/* A guest that could write a directory of PATH chooses nothing but known layouts. */
static void test_workspace(void **state)
{
	(void)state;
	p.workspaces = calloc(2, sizeof(char *));
	assert_non_null(p.workspaces);
	p.workspaces[0] = strdup(in_home("ws"));
	program("private/thesis/build", "#!/bin/sh\n");
	program("ws/.venv/pyvenv.cfg", "");
	link_to("ws/.venv/bin", "real-bin");
	link_to("ws/.venv/real-bin/evil", "~/private/thesis/build");
	program("ws/.venv/real-bin/script", "#!~/private/thesis/build\n");
	link_to("ws/.venv/real-bin/python", "~/.local/share/uv/python/cpython-3.13/bin/python3");
	program(".local/share/uv/python/cpython-3.13/bin/python3", "ELF");
	link_to("ws/tools", "~/private/thesis");
	find("~/ws/.venv/bin:~/ws/tools:~/ws");
	assert_root(".local/share/uv/python/cpython-3.13");
	assert_int_equal(p.n, 1);
}

static void test_bounds(void **state)
{
	char name[64], list[16384] = "~/many";

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "t%d/bin/x", i);
		program(name, "ELF");
		snprintf(list + strlen(list), sizeof(list) - strlen(list), ":~/t%d/bin", i);
	}
	dir("many");
	char expanded[65536] = "";
	size_t n = 0;
	for (const char *c = list; *c != '\0'; c++)
		n += (size_t)snprintf(expanded + n, sizeof(expanded) - n, *c == '~' ? "%s" : "%.1s",
				      *c == '~' ? home : c);
	assert_int_equal(toolroots_add(&p, home, expanded), 0);
	assert_in_range(p.n, 1, 128);
	assert_int_equal(toolroots_add(&p, home, NULL), 0);
	assert_int_equal(toolroots_add(&p, home, ""), 0);
}

/* The choice alone, for homes that cannot be made up here. */
static void test_other_homes(void **state)
{
	static const struct {
		const char *path, *root; /* root NULL: refused */
	} cases[] = {
		{"/home/linuxbrew/.linuxbrew/bin", "/home/linuxbrew/.linuxbrew"},
		{"/home/none/.pyenv/shims", "/home/none/.pyenv"},
		{"/home/none", NULL},
		{"/home/none/.aws/bin", NULL},
		{"/home/none/.cargo", NULL},
		{"/home/none/.cargo/bin", "/home/none/.cargo/bin"},
		{"/usr/bin", NULL},
		{"/home", NULL},
		{"/", NULL},
		{"/home/none/a/node_modules/b/node_modules/.bin", "/home/none/a/node_modules"},
	};
	char root[PATH_MAX];
	bool layout;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool ok = toolroots_choose("/home/gabion-nobody", cases[i].path, TOOL_PATH, root, &layout);
		if (ok != (cases[i].root != NULL))
			fail_msg("%s", cases[i].path);
		if (ok)
			assert_string_equal(root, cases[i].root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_version_managers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local_bin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prefixes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_on_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_homebrew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_workspace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test(test_other_homes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
