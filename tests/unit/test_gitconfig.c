/* git's configuration format, against git itself, and which changes of it are harmless. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/gitconfig.h"
#include "gitkeys.h"
#include "util/err.h"
#include "util/fd.h"

/* Everything in TEXT as `git config --list -z` prints it: "name\nvalue" or "name", each with a NUL. -1: refused. */
static ssize_t list(const char *text, size_t len, char *out)
{
	AUTO_FREE char *value = malloc(len + 1);
	AUTO_FREE struct git_reader *r = malloc(sizeof(*r));
	struct git_entry e;
	ssize_t n = 0;
	int x;

	assert_true(value != NULL && r != NULL);
	git_open(r, text, len, value);
	while ((x = git_next(r, &e)) == 0) {
		memcpy(out + n, e.name, e.name_len);
		n += (ssize_t)e.name_len;
		if (e.value != NULL) {
			out[n++] = '\n';
			memcpy(out + n, e.value, e.value_len);
			n += (ssize_t)e.value_len;
		}
		out[n++] = '\0';
	}
	assert_true(x == GIT_END || x == -EINVAL);
	return x == GIT_END ? n : -1;
}

static void test_reader(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused; names and values as git prints them, | for NUL, = for newline */
	} t[] = {
		{ "", "" },
		{ "\n \t\r\n# x\n;y\n", "" },
		{ "[Core]\n\tFileMode = TRUE\n", "core.filemode=TRUE|" },
		{ "[core] bare", "core.bare|" },
		{ "[core]\nbare =", "core.bare=|" },
		{ "x = y\n", "x=y|" },
		{ "[a.B]c=d", "a.b.c=d|" },
		{ "[a \"B.C\"]d=e", "a.B.C.d=e|" },
		{ "[a \t\"B\"]d=e", "a.B.d=e|" },
		{ "[a \"B\\\"\\\\\\q\"]d=e", "a.B\"\\q.d=e|" },
		{ "[a]b=c[d]e=f\n[g]h=i", "a.b=c[d]e=f|g.h=i|" },
		{ "[a][b]c=d", "b.c=d|" },
		{ "[a]b = c # d\n e = \"#f\" ; g\n", "a.b=c|a.e=#f|" },
		{ "[a]b = c\\\n\td\n", "a.b=c\td|" },
		{ "[a]b = c \\\n# d\n e=f", "a.b=c |a.e=f|" },
		{ "[a]b = \"x  \" \n c= \"\" y\n e = x  \"\"\n h=x \\\n  k\n", "a.b=x  |a.c=y|a.e=x  |a.h=x   k|" },
		{ "[a]b = \\t\\n\\b\\\\\\\"\n", "a.b=\t=\b\\\"|" },
		{ "[a]\r\nb = c\r\n", "a.b=c|" },
		{ "[a]b = c\rd\r", "a.b=c\rd|" },
		{ "\xef\xbb\xbf[a]b=c", "a.b=c|" },
		{ "[a]b = c\\", "a.b=c|" },
		{ "[a]b-1 \t= c", "a.b-1=c|" },
		{ "\xef\xbb[a]b=c", NULL },
		{ "\xef", NULL },
		{ "[]a=b", NULL },
		{ "[ \"a\"]b=c", ".a.b=c|" },
		{ "[a", NULL },
		{ "[a\n]b=c", NULL },
		{ "[a \"b]c=d", NULL },
		{ "[a \"b\nc\"]d=e", NULL },
		{ "[a \"b\" ]c=d", NULL },
		{ "[a b]c=d", NULL },
		{ "[a_b]c=d", NULL },
		{ "[a]1b=c", NULL },
		{ "[a]b_=c", NULL },
		{ "[a]b c", NULL },
		{ "[a]b=\"c\n", NULL },
		{ "[a]b=\\q\n", NULL },
		{ "[a]b\xc3\xa4=c", NULL },
		{ "]", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		char out[256];
		ssize_t n = list(t[i].text, strlen(t[i].text), out);

		for (ssize_t k = 0; k < n; k++)
			out[k] = (char)(out[k] == '\0' ? '|' : out[k] == '\n' ? '=' : out[k]);
		if (t[i].want == NULL ? n >= 0 : n != (ssize_t)strlen(t[i].want) || memcmp(out, t[i].want, (size_t)n) != 0)
			fail_msg("%s: %.*s", t[i].text, n < 0 ? 7 : (int)n, n < 0 ? "refused" : out);
	}
	assert_int_equal(list("[a]b=\0c", 7, (char[32]){ 0 }), -1);
}

static void test_long_name(void **state)
{
	AUTO_FREE char *text = malloc(GIT_NAME_MAX + 16);
	AUTO_FREE char *out = malloc(GIT_NAME_MAX + 16);

	(void)state;
	assert_true(text != NULL && out != NULL);
	for (size_t n = GIT_NAME_MAX - 4; n < GIT_NAME_MAX + 2; n++) {
		text[0] = '[';
		memset(text + 1, 'a', n);
		memcpy(text + 1 + n, "]b", 3);
		/* The dot and the key belong to it. */
		assert_int_equal(list(text, n + 3, out) < 0, n + 2 > GIT_NAME_MAX);
	}
}

/* What git prints of FILE, -1 where it refuses. The size of OUT is that of what we wrote, and some. */
static ssize_t ask_git(const char *file, char *out, size_t size)
{
	size_t n = 0;
	int p[2], status;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		if (dup2(p[1], 1) < 0 || dup2(null, 2) < 0)
			_exit(126);
		execlp("git", "git", "config", "--list", "-z", "--no-includes", "-f", file, (char *)NULL);
		_exit(127);
	}
	(void)close(p[1]);
	for (ssize_t k; n < size && (k = read(p[0], out + n, size - n)) > 0;)
		n += (size_t)k;
	(void)close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -2;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? (ssize_t)n : -1;
}

/* git before 2.45 makes a blank of white space inside a value. */
static void blanks(char *s, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++)
		if (s[i] == '\t' || s[i] == '\r')
			s[i] = ' ';
}

static unsigned int dice(unsigned int *seed, unsigned int n)
{
	*seed = *seed * 1103515245U + 12345U;
	return (*seed >> 16) % n;
}

/* Texts that are nearly right: pieces of the grammar in any order, more often whole lines than not. */
static size_t make_text(unsigned int *seed, char *out)
{
	static const char *const pieces[] = {
		"[", "]", "\"", "\\", "\n", "\r\n", "\r", "=", "#", ";", " ", "\t", ".", "a", "Bc", "-", "0", "\xc3\xa4", "_",
		"\\\n", "\\n", "\\t", "\\\"", "\\\r\n", "\\q", "\xef\xbb\xbf", "\x01", "\v",
		"[core]\n", "[a.B]", "[a \"B c\"]\n", "[A \"b\\\"c\"]", "[a  \"\"]", "k = v\n", "\tKey-1=  x y  # z\n", "k\n",
		"k = \"a ; b\" c\n", "k = a \\\n b\n", "k = \"a\\\nb\"\n", "; [x]\n", "# \\\n", "k=\n", "k = a\tb\r\n",
	};
	size_t n = 0, len = 0;

	for (unsigned int left = 1 + dice(seed, 9); left > 0; left--) {
		const char *s = pieces[dice(seed, 3) == 0 ? dice(seed, ARRAY_LEN(pieces)) : 28 + dice(seed, ARRAY_LEN(pieces) - 28)];

		n = strlen(s);
		memcpy(out + len, s, n);
		len += n;
	}
	return len;
}

/* GIT_FUZZ says how many; 400 take about two seconds. */
static void test_against_git(void **state)
{
	const char *count = getenv("GIT_FUZZ");
	unsigned int seed = 20260101, rounds = count != NULL ? (unsigned int)strtoul(count, NULL, 10) : 400, good = 0;
	char file[] = "/tmp/gabion-gitconfig.XXXXXX";
	AUTO_FD int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(setenv("GIT_CONFIG_NOSYSTEM", "1", 1), 0);
	for (unsigned int i = 0; i < rounds; i++) {
		char text[256], ours[1024], theirs[1024];
		size_t len = make_text(&seed, text);
		ssize_t n, k;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, text, len, 0), (ssize_t)len);
		n = list(text, len, ours);
		k = ask_git(file, theirs, sizeof(theirs));
		if (k == -2) {
			(void)unlink(file);
			skip();
		}
		blanks(ours, n);
		blanks(theirs, k);
		if (n != k || (n > 0 && memcmp(ours, theirs, (size_t)n) != 0)) {
			(void)unlink(file);
			fail_msg("round %u: git %zd bytes, we %zd, of: %.*s", i, k, n, (int)len, text);
		}
		good += n > 0;
	}
	(void)unlink(file);
	/* Or the texts prove nothing. */
	assert_true(good > rounds / 5);
}

static struct git_text text_of(const char *s)
{
	return (struct git_text){ .text = s, .len = strlen(s) };
}

static void test_keys(void **state)
{
	static const char ws[] = "/w/.git/config", sub[] = "/w/.git/modules/a/b/config";
	static const struct {
		const char *path, *old, *new;
		const char *key; /* NULL: harmless */
	} t[] = {
		{ ws, "", "", NULL },
		{ ws, "", "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n", NULL },
		{ ws, "[core]\n\tbare = false\n", "", NULL },
		{ ws, "", "[remote \"o\"]\n\turl = https://h/x\n\tfetch = +refs/heads/*:refs/remotes/o/*\n", NULL },
		{ ws, "", "[remote \"o\"]\n\turl = git@h:x.git\n\tpushurl = ../x\n", NULL },
		{ ws, "", "[remote \"o\"]\n\turl = ext::sh -c x\n", "remote.o.url" },
		{ ws, "", "[remote \"o\"]\n\turl = evil://x\n", "remote.o.url" },
		{ ws, "", "[remote \"o\"]\n\turl = -oProxyCommand=x\n", "remote.o.url" },
		{ ws, "", "[remote \"o\"]\n\turl = ssh://[::1]/x\n", NULL },
		{ ws, "", "[branch \"main\"]\n\tremote = ext::sh -c x\n", "branch.main.remote" },
		{ ws, "", "[remote \"o\"]\n\tuploadpack = x\n", "remote.o.uploadpack" },
		{ ws, "", "[remote \"o\"]\n\treceivepack = x\n", "remote.o.receivepack" },
		{ ws, "", "[remote \"o\"]\n\tvcs = x\n", "remote.o.vcs" },
		{ ws, "", "[remote \"o\"]\n\tproxy = x\n", "remote.o.proxy" },
		{ ws, "", "[branch \"m\"]\n\tremote = o\n\tmerge = refs/heads/m\n\trebase = true\n", NULL },
		{ ws, "", "[branch \"m\"]\n\tmergeoptions = x\n", "branch.m.mergeoptions" },
		{ ws, "", "[user]\n\tname = A B\n\temail = a@b\n", NULL },
		{ ws, "", "[core]\n\tfsmonitor = x\n", "core.fsmonitor" },
		{ ws, "", "[CORE]\n\tFSMonitor = x\n", "core.fsmonitor" },
		{ ws, "", "[core]fsmonitor=x", "core.fsmonitor" },
		{ ws, "", "[core]\n\thooksPath = x\n", "core.hookspath" },
		{ ws, "", "[core]\n\tsshCommand = x\n", "core.sshcommand" },
		{ ws, "", "[core]\n\teditor = x\n", "core.editor" },
		{ ws, "", "[core]\n\tpager = x\n", "core.pager" },
		{ ws, "", "[core]\n\tgitProxy = x\n", "core.gitproxy" },
		{ ws, "", "[core]\n\taskPass = x\n", "core.askpass" },
		{ ws, "", "[core]\n\tattributesFile = x\n", "core.attributesfile" },
		{ ws, "", "[core]\n\tworktree = /home/u\n", "core.worktree" },
		{ ws, "", "[core]\n\tworktree = ..\n", "core.worktree" },
		{ ws, "", "[core \"x\"]\n\tbare = true\n", "core.x.bare" },
		{ ws, "", "[credential]\n\thelper = !x\n", "credential.helper" },
		{ ws, "", "[credential \"https://h\"]\n\thelper = !x\n", "credential.https://h.helper" },
		{ ws, "", "[filter \"a\"]\n\tclean = x\n", "filter.a.clean" },
		{ ws, "", "[filter \"a\"]\n\tsmudge = x\n", "filter.a.smudge" },
		{ ws, "", "[filter \"a\"]\n\tprocess = x\n", "filter.a.process" },
		{ ws, "", "[diff \"a\"]\n\tcommand = x\n", "diff.a.command" },
		{ ws, "", "[diff \"a\"]\n\ttextconv = x\n", "diff.a.textconv" },
		{ ws, "", "[diff]\n\texternal = x\n", "diff.external" },
		{ ws, "", "[diff]\n\ttool = x\n", "diff.tool" },
		{ ws, "", "[difftool \"a\"]\n\tcmd = x\n", "difftool.a.cmd" },
		{ ws, "", "[mergetool \"a\"]\n\tcmd = x\n", "mergetool.a.cmd" },
		{ ws, "", "[mergetool \"a\"]\n\tpath = x\n", "mergetool.a.path" },
		{ ws, "", "[merge \"a\"]\n\tdriver = x\n", "merge.a.driver" },
		{ ws, "", "[merge]\n\ttool = x\n", "merge.tool" },
		{ ws, "", "[gpg]\n\tprogram = x\n", "gpg.program" },
		{ ws, "", "[gpg \"ssh\"]\n\tdefaultKeyCommand = x\n", "gpg.ssh.defaultkeycommand" },
		{ ws, "", "[alias]\n\tst = !x\n", "alias.st" },
		{ ws, "", "[alias]\n\tst = status\n", "alias.st" },
		{ ws, "", "[include]\n\tpath = x\n", "include.path" },
		{ ws, "", "[includeIf \"gitdir:/\"]\n\tpath = x\n", "includeif.gitdir:/.path" },
		{ ws, "", "[url \"ext::x\"]\n\tinsteadOf = https://\n", "url.ext::x.insteadof" },
		{ ws, "", "[sequence]\n\teditor = x\n", "sequence.editor" },
		{ ws, "", "[pager]\n\tlog = x\n", "pager.log" },
		{ ws, "", "[browser \"a\"]\n\tcmd = x\n", "browser.a.cmd" },
		{ ws, "", "[web]\n\tbrowser = x\n", "web.browser" },
		{ ws, "", "[man \"a\"]\n\tcmd = x\n", "man.a.cmd" },
		{ ws, "", "[uploadpack]\n\tpackObjectsHook = x\n", "uploadpack.packobjectshook" },
		{ ws, "", "[protocol \"ext\"]\n\tallow = always\n", "protocol.ext.allow" },
		{ ws, "", "[protocol]\n\tallow = always\n", "protocol.allow" },
		{ ws, "", "[interactive]\n\tdiffFilter = x\n", "interactive.difffilter" },
		{ ws, "", "[trailer \"a\"]\n\tcommand = x\n", "trailer.a.command" },
		{ ws, "", "[trailer \"a\"]\n\tcmd = x\n", "trailer.a.cmd" },
		{ ws, "", "[tar \"a\"]\n\tcommand = x\n", "tar.a.command" },
		{ ws, "", "[gc]\n\trecentObjectsHook = x\n", "gc.recentobjectshook" },
		{ ws, "", "[guitool \"a\"]\n\tcmd = x\n", "guitool.a.cmd" },
		{ ws, "", "[sendemail]\n\tsmtpServer = /x\n", "sendemail.smtpserver" },
		{ ws, "", "[http]\n\tproxy = x\n", "http.proxy" },
		{ ws, "", "[imap]\n\ttunnel = x\n", "imap.tunnel" },
		{ ws, "", "[lfs \"customtransfer.a\"]\n\tpath = x\n", "lfs.customtransfer.a.path" },
		{ ws, "", "[hook \"a\"]\n\tcommand = x\n", "hook.a.command" },
		{ ws, "", "[new-in-git]\n\tthing = x\n", "new-in-git.thing" },
		{ ws, "", "bare = true\n", "bare" },
		{ ws, "", "[extensions]\n\tworktreeConfig = true\n", NULL },
		{ ws, "", "[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone = true\n[index]\n\tsparse = false\n", NULL },
		{ ws, "", "[submodule \"s\"]\n\turl = ../s\n\tactive = true\n\tupdate = rebase\n", NULL },
		{ ws, "", "[submodule \"s\"]\n\tupdate = !x\n", "submodule.s.update" },
		{ ws, "", "[submodule \"s\"]\n\turl = ext::x\n", "submodule.s.url" },
		{ sub, "", "[core]\n\tworktree = ../../../../a/b\n", NULL },
		{ sub, "", "[core]\n\tworktree = ../../../a/b\n", "core.worktree" },
		{ sub, "", "[core]\n\tworktree = ../../../../../b\n", "core.worktree" },
		{ sub, "", "[core]\n\tworktree = ../../../../a/../../b\n", "core.worktree" },
		{ sub, "", "[core]\n\tworktree = ../../../../.Git/x\n", "core.worktree" },
		{ sub, "", "[core]\n\tworktree = ../../../../\n", "core.worktree" },
		{ sub, "", "[core]\n\tworktree\n", "core.worktree" },
		/* What was there stays, in its order. */
		{ ws, "[alias]\n\ta = b\n", "[alias]\n\ta = b\n[user]\n\tname = x\n", NULL },
		{ ws, "[user]\n\tname = x\n[alias]\n\ta = b\n", "# c\n[ALIAS]\n\tA = \"b\"\n", NULL },
		{ ws, "[alias]\n\ta = b\n", "", "alias.a" },
		{ ws, "[alias]\n\ta = b\n", "[alias]\n\ta = c\n", "alias.a" },
		{ ws, "[alias]\n\ta = b\n", "[alias]\n\ta = b\n\ta = b\n", "alias.a" },
		{ ws, "[alias]\n\ta = b\n\tc = d\n", "[alias]\n\tc = d\n\ta = b\n", "alias.c" },
		{ ws, "[alias]\n\ta\n", "[alias]\n\ta =\n", "alias.a" },
		{ ws, "[a \"B\"]\n\tc = d\n", "[a \"b\"]\n\tc = d\n", "a.b.c" },
		/* For readers less exact than git. */
		{ ws, "", "[user]\n\tname = a\\\n[core] fsmonitor = x\n", "user.name" },
		{ ws, "", "# a\r[core]\rfsmonitor = x\n", "control characters" },
		{ ws, "", "# a\f[core]\n", "control characters" },
		{ ws, "", "[core]\r\n\tbare = true\r\n", NULL },
		{ ws, "[alias]\n\ta = b \\\n\tc\n", "[alias]\n\ta = b \\\n\tc\n[user]\n\tname = x\n", NULL },
		/* What git cannot read. */
		{ ws, "", "[core", "no configuration git can read" },
		{ ws, "[core", "[core]\n\tbare = true\n", "no configuration git can read" },
		{ ws, "[core", "[core", NULL },
		{ ws, "[core", "", "no configuration git can read" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		char key[64] = "";
		int r = gitkeys_judge(t[i].path, text_of(t[i].old), text_of(t[i].new), key, sizeof(key));

		if (r != (t[i].key != NULL) || (t[i].key != NULL && strcmp(key, t[i].key) != 0))
			fail_msg("%s -> %s: %d %s", t[i].old, t[i].new, r, key);
	}
}

static void test_large(void **state)
{
	static char text[GITKEYS_SIZE_MAX + 1];
	char key[64];

	(void)state;
	memset(text, '\n', sizeof(text));
	assert_int_equal(gitkeys_judge("/c", text_of(""), (struct git_text){ text, GITKEYS_SIZE_MAX }, key, sizeof(key)), 0);
	assert_int_equal(gitkeys_judge("/c", text_of(""), (struct git_text){ text, sizeof(text) }, key, sizeof(key)), GITKEYS_REFUSED);
	assert_int_equal(gitkeys_judge("/c", (struct git_text){ text, sizeof(text) }, text_of(""), key, sizeof(key)), GITKEYS_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader),	  cmocka_unit_test(test_long_name), cmocka_unit_test(test_against_git),
		cmocka_unit_test(test_keys),	  cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
