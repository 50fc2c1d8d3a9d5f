/* The policy language: exact errors for wrong files, what right ones come to, merging, expansion, and judging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/glob.h"
#include "policy/lang.h"
#include "util/err.h"

/* -- a host of its own: variables and files of the test -- */

static const struct {
	const char *path, *text;
} files[] = {
	{"/p/base.yaml", "version: 1\nfilesystem:\n  read: [/base]\n  hide: [/base/secret]\nlimits: {memory: 1g, pids: 10}\n"
			 "environment: {pass: [A], set: {X: base}}\nnetwork: {allow: [\"a.example.org\"]}\n"
			 "groups: {mine: [\"old.example.org\"], other: [\"o.example.org\"]}\n"},
	{"/p/mid.yaml", "version: 1\nextends: base.yaml\nlimits: {memory: 2g}\nmediate: all\nfilesystem:\n"
			"  tmpfs: [{path: /t, size: 4m, exec: true}]\n"},
	{"/p/loop.yaml", "version: 1\nextends: ./loop2.yaml\n"},
	{"/p/loop2.yaml", "version: 1\nextends: loop.yaml\n"},
	{"/p/broken.yaml", "version: 1\nfoo: 1\n"},
	{"/p/gone.yaml", "version: 1\nextends: nowhere.yaml\n"},
	{"/p/child.yaml", "version: 1\nextends: broken.yaml\nbar: 2\n"},
};

static const char *variable(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "PLACE") == 0 ? "/place[1]" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static int read_file(void *ctx, const char *path, size_t max, char **ret_bytes, size_t *ret_len, char ***ret_names)
{
	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char flat[256], *dot;

		snprintf(flat, sizeof(flat), "%s", path);
		while ((dot = strstr(flat, "/./")))
			memmove(dot, dot + 2, strlen(dot + 2) + 1);
		if (strcmp(files[i].path, flat) != 0)
			continue;
		*ret_len = strlen(files[i].text);
		assert_true(*ret_len <= max);
		*ret_bytes = strdup(files[i].text);
		*ret_names = calloc(2, sizeof(char *));
		(*ret_names)[0] = strdup(flat);
		return 0;
	}
	return -ENOENT;
}

static const struct lang_host host = {.variable = variable, .read = read_file};

static int load(const char *text, struct lang **l, struct lang_messages *m)
{
	memset(m, 0, sizeof(*m));
	*l = NULL;
	return lang_load_buffer(&host, "f", text, strlen(text), l, m);
}

/* All messages, one a line. */
static char *all(const struct lang_messages *m)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	for (size_t i = 0; i < m->n; i++) {
		char *text = lang_message_text(&m->v[i]);

		fprintf(f, "%s\n", text);
		free(text);
	}
	fclose(f);
	return out;
}

#define V "version: 1\n"

static void test_errors(void **state)
{
	static const struct {
		const char *text, *says; /* "": none */
	} t[] = {
		{V, ""},
		{"{\"version\": 1, \"filesystem\": {\"read\": [\"/usr\"]}}", ""},
		{"", "f:1:1: an empty file is no policy (it begins with \"version: 1\")\n"},
		{"# nothing\n", "f:1:1: an empty file is no policy (it begins with \"version: 1\")\n"},
		{"filesystem: {read: [/usr]}\n", "f:1:1: no version is named (a policy begins with \"version: 1\")\n"},
		{"version: 2\n", "f:1:10: version '2' is not known: this gabion reads version 1\n"},
		{"[1]\n", "f:1:1: a policy is a list; it has keys: policy: {version: ...}\n"},
		{V "filesytem: {}\nnetwrok: {}\n", "f:2:1: unknown key 'filesytem' (did you mean filesystem?)\n"
						  "f:3:1: unknown key 'netwrok' (did you mean network?)\n"},
		{V "zzz: 1\n", "f:2:1: unknown key 'zzz' (there are: version, extends, filesystem, exec, network, groups, "
			       "environment, limits, user, io_uring, audit, mediate, syscalls, require, credentials)\n"},
		{V "credentials: [{name: T, from: env, hosts: [api.example.com], inject: {bearer: true}}]\n", ""},
		{V "credentials: [{name: T, from: {file: ~/t}, hosts: [\"a.example.com:8443\"], inject: {basic: {user: x}},\n"
		   "  allow: [\"POST /v1/m**\", \"* /v1/*/x\"], deny: true, limits: {rate: 60/m, body: 10m}}]\n", ""},
		{V "credentials: [{name: T, from: env, hosts: [], inject: {bearer: true}}]\n",
		 "f:2:43: credentials.hosts is an empty list: a credential names the hosts it is for, or goes nowhere\n"},
		{V "credentials: [{name: T, from: env, hosts: [h.example.com], inject: {bearer: true}, allow: []}]\n",
		 "f:2:91: credentials.allow is an empty list, which could mean no request or any: leave allow out for any\n"},
		{V "credentials: [{name: T, from: env, hosts: [h.example.com], inject: {bearer: true}, deny: true}]\n",
		 "f:2:15: the credential T denies what allow does not name, and has no allow\n"},
		{V "credentials: [{name: T, from: env, hosts: [h.example.com]}]\n",
		 "f:2:15: the credential T does not say how it is put in: inject: {bearer: true}, {header: x-api-key}, "
		 "{basic: {user: ...}}, {query: ...} or {replace: true}\n"},
		{V "credentials: [{name: T, hosts: [h.example.com], inject: {bearer: true}}]\n",
		 "f:2:15: the credential T does not say where it is from: env, {file: ...} or {command: [...]}\n"},
		{V "credentials: [{name: T, from: {keyring: x}, hosts: [h.example.com], inject: {bearer: true}}]\n",
		 "f:2:41: credentials.from.keyring is not there yet (docs/LIMITS.md): a command can ask the secret service: "
		 "{command: [secret-tool, lookup, service, NAME]}\n"},
		{V "credentials: [{name: 1T, from: evn, hosts: [\"*.example.com\"], inject: {header: Host}, limits: {rate: 60}}]\n",
		 "f:2:22: '1T' names no variable: letters, digits and _, 63 at most\n"
		 "f:2:32: credentials.from cannot be 'evn' (did you mean env? there are: env)\n"
		 "f:2:45: '*.example.com': a credential goes to hosts by their name: no patterns, no addresses, not this host's "
		 "loopback\n"
		 "f:2:80: the header Host says how a request is read, and carries no credential\n"
		 "f:2:102: credentials.limits.rate: '60' is no rate: requests in a second, minute or hour: 10/s, 60/m, 1000/h\n"},
		{V "credentials: [{name: T, from: env, hosts: [h.example.com], inject: {header: x-k, bearer: true}}]\n",
		 "f:2:90: inject is one way: header, bearer, basic, query or replace\n"},
		{V "credentials: [{name: T, from: env, hosts: [h.example.com], inject: {bearer: true}, allow: [\"GET /a/../b\"]}]\n",
		 "f:2:92: 'GET /a/../b': a path pattern has no empty, . or .. segments, no blanks and no needless escapes\n"},
		{V "filesystem:\n  raed: [/a]\n", "f:3:3: unknown key 'raed' in filesystem (did you mean read?)\n"},
		{V "mediate: auto\nmediate: all\n", "f:3:1: 'mediate' is said twice (first in line 2): put both into one\n"},
		{V "filesystem: {read: /usr}\n", "f:2:20: filesystem.read is a list (did you mean [\"/usr\"]?)\n"},
		{V "filesystem: {read: {a: b}}\n", "f:2:20: filesystem.read is a list, not a mapping\n"},
		{V "filesystem: {read: }\n", "f:2:14: 'read' has no value: give it one or leave it out\n"},
		{V "filesystem: {read: null}\n", "f:2:14: 'read' has no value: give it one or leave it out\n"},
		{V "filesystem: {read: [[/a], null, \"\"]}\n", "f:2:21: filesystem.read: a text is wanted, not a list\n"
							     "f:2:27: an item of filesystem.read has no value\n"
							     "f:2:33: filesystem.read: an empty text says nothing\n"},
		{V "filesystem: {read: []}\n",
		 "f:2:20: warning: filesystem.read is an empty list: it allows nothing (and takes nothing back)\n"},
		{V "network: {allow: []}\n", "f:2:18: warning: network.allow is an empty list: no host may be reached by it\n"},
		{V "filesystem: {read: [usr, ./a, ~bob/x, \"${workspace}x\"]}\n",
		 "f:2:21: 'usr' is no absolute path (did you mean \"${workspace}/usr\" or \"**/usr\"?)\n"
		 "f:2:26: './a' is no absolute path (did you mean \"${workspace}/a\"?)\n"
		 "f:2:31: '~bob/x': only the own home is known (did you mean ~/bob/x?)\n"
		 "f:2:39: '${workspace}x' is no absolute path (did you mean \"${workspace}/${workspace}x\" or "
		 "\"**/${workspace}x\"?)\n"},
		{V "filesystem: {hide: [/a/../b, \"/a/**b\", \"/a/[x\"]}\n",
		 "f:2:21: '/a/../b': a rule cannot hold .., for it speaks of one object\n"
		 "f:2:30: '**b' is no pattern: ** stands alone between slashes, [ needs its ], a \\ takes the next character "
		 "along\n"
		 "f:2:40: '[x' is no pattern: ** stands alone between slashes, [ needs its ], a \\ takes the next character "
		 "along\n"},
		{V "filesystem: {tmpfs: [\"/usr/bin/*\"]}\n",
		 "f:2:22: '/usr/bin/*': a pattern cannot stand here: name the directory or the file\n"},
		{V "filesystem: {read: [\"${NOPE}/x\", \"${NOPE?}/x\", \"${EMPTY}\", \"${1x}\", \"${A\"]}\n",
		 "f:2:21: the variable NOPE is not set (${NOPE?} drops the rule where it is not)\n"
		 "f:2:48: the variable EMPTY is not set (${EMPTY?} drops the rule where it is not)\n"
		 "f:2:60: '${1x}' names no variable\n"
		 "f:2:69: ${ without its }\n"},
		{V "filesystem: {read: [\"${worksapce}/x\", \"/a/${workspace}\"]}\n",
		 "f:2:21: the variable worksapce is not set (did you mean ${workspace}?)\n"
		 "f:2:39: ${workspace} stands at the beginning of a path, nowhere else\n"},
		{V "filesystem: {read: [{when: view}, {path: /a, when: veiw}, {path: /a, wehn: view}]}\n",
		 "f:2:21: an item of filesystem.read names no path: {path: ...}\n"
		 "f:2:52: filesystem.read.when cannot be 'veiw' (did you mean view? there are: always, view, bare, private)\n"
		 "f:2:66: warning: said twice (first in line 2)\n"
		 "f:2:70: unknown key 'wehn' in filesystem.read (did you mean when?)\n"},
		{V "filesystem: {tmpfs: [{path: /proc/x}, {path: t}, {size: 1m}, {path: /a, size: 10}, {path: /a, exec: yes}]}\n",
		 "f:2:29: '/proc/x' is gabion's own: no tmpfs can be there\n"
		 "f:2:46: 't': a tmpfs has a plain absolute path\n"
		 "f:2:50: an item of filesystem.tmpfs names no path: {path: ...}\n"
		 "f:2:79: filesystem.tmpfs.size: '10' is out of range: a size is a whole number with k, m, g or t, and at least "
		 "1m: 512m, 2g\n"
		 "f:2:91: a tmpfs at '/a' is said twice (first at f:2:69)\n"
		 "f:2:101: filesystem.tmpfs.exec cannot be 'yes' (there are: false, true)\n"},
		{V "exec: {deny: [{args: [x]}, {path: /a, args: []}, sudo], written: mount, memfd: off}\n",
		 "f:2:15: an item of exec.deny names no path: {path: ..., args: [...]}\n"
		 "f:2:45: exec.deny.args is an empty list, which could mean no arguments or any: leave args out to refuse the "
		 "program whatever the arguments\n"
		 "f:2:50: 'sudo' is no absolute path (did you mean \"${workspace}/sudo\" or \"**/sudo\"?)\n"
		 "f:2:66: exec.written cannot be 'mount' (did you mean mounts? there are: deny, mounts, allow)\n"
		 "f:2:80: exec.memfd cannot be 'off' (there are: deny, allow)\n"},
		{V "network: {groups: [npm, \"@a b\"], unix: [x], host: [0, 65536, 5432], publish: [\"80\", \"80:0\", \"8080:3000\"]}\n",
		 "f:2:20: 'npm' is no group: its name begins with @ (did you mean \"@npm\"?)\n"
		 "f:2:25: '@a b': a group's name has letters, digits, _ and -\n"
		 "f:2:41: 'x': a socket is named by an absolute path\n"
		 "f:2:52: '0' is no port: a number from 1 to 65535\n"
		 "f:2:55: '65536' is no port: a number from 1 to 65535\n"
		 "f:2:79: '80' is no pair of ports: \"8080:3000\" is the host's 8080, the command's 3000\n"
		 "f:2:85: '80:0' is no pair of ports: \"8080:3000\" is the host's 8080, the command's 3000\n"},
		{V "network: {allow: [\"@npm\"]}\n",
		 "f:2:19: '@npm' is a group (did you mean network: {groups: [\"@npm\"]}?)\n"},
		{V "groups: {mine: \"a.b\", \"x y\": [], mine: [\"a.example.org\"]}\n",
		 "f:2:16: mine is a list (did you mean [\"a.b\"]?)\n"
		 "f:2:23: 'x y': a group's name has letters, digits, _ and -\n"
		 "f:2:34: the group 'mine' is said twice\n"},
		{V "environment: {pass: [A=1, $B, \"C[\", \"D_*\"], set: {A: [1], \"1\": x, B: x, B: y}}\n",
		 "f:2:22: 'A=1' sets a variable (did you mean environment: {set: {A: \"1\"}}?)\n"
		 "f:2:27: '$B' names no variable: letters, digits, _, and * ? [...] for several (without the $)\n"
		 "f:2:31: 'C[': [ needs its ]\n"
		 "f:2:54: the variable A has no text for a value (an empty one is \"\")\n"
		 "f:2:59: '1' names no variable: letters, digits and _\n"
		 "f:2:73: 'B' is said twice (first in line 2)\n"},
		{V "limits: {memory: 10, cpus: many, pids: 0, files: 4, time: 1h1h}\n",
		 "f:2:18: limits.memory: '10' is out of range: a size is a whole number with k, m, g or t, and at least 1m: 512m, "
		 "2g\n"
		 "f:2:28: limits.cpus: 'many' is no such amount: a number of processors is decimal and at least 0.01: 2, 1.5\n"
		 "f:2:40: limits.pids: '0' is out of range: a number of processes is whole, from 1 to 4194304: 500\n"
		 "f:2:50: limits.files: '4' is out of range: a number of open files is whole, from 16 to 1048576: 4096\n"
		 "f:2:59: limits.time: '1h1h' is no such amount: a time is whole numbers with d, h, m, s or ms, the largest "
		 "first: 30s, 5m, 1h30m\n"},
		{V "user: nobody-of-that-name\n", "f:2:7: user: no user is called so in 'nobody-of-that-name' (a number works "
						 "without an account: 1000:1000)\n"},
		{V "io_uring: on\naudit: {reads: some, stacks: denied}\n",
		 "f:2:11: io_uring cannot be 'on' (there are: off, restricted)\n"
		 "f:3:16: audit.reads cannot be 'some' (there are: off, denied, all)\n"},
		{V "require: [exec.writen, view]\n",
		 "f:2:11: nothing called 'exec.writen' can be required (did you mean exec.written?)\n"},
		{V "extends: agnet\n", "f:2:10: no profile is called 'agnet' (did you mean agent? a file of your own is named with "
				      "a slash: ./base.yaml)\n"},
		{V "extends: common\n", "f:2:10: no profile is called 'common' (there are: agent, dev, runner, strict; a file of "
				       "your own is named with a slash: ./base.yaml)\n"},
		{V "extends: [agent, dev]\n", "f:2:10: extends is one profile or file: what that extends counts as well\n"},
		{V "extends: /p/loop.yaml\n",
		 "/p/./loop2.yaml:2:10: extends: /p/loop.yaml: a policy cannot extend itself: it was read already on the way "
		 "here\n"},
		{V "extends: /p/gone.yaml\n", "/p/gone.yaml:2:10: extends: /p/nowhere.yaml: No such file or directory\n"},
		{V "extends: /p/child.yaml\nbaz: 1\n",
		 "f:3:1: unknown key 'baz' (there are: version, extends, filesystem, exec, network, groups, environment, limits, "
		 "user, io_uring, audit, mediate, syscalls, require, credentials)\n"
		 "/p/child.yaml:3:1: unknown key 'bar' (there are: version, extends, filesystem, exec, network, groups, "
		 "environment, limits, user, io_uring, audit, mediate, syscalls, require, credentials)\n"
		 "/p/broken.yaml:2:1: unknown key 'foo' (there are: version, extends, filesystem, exec, network, groups, "
		 "environment, limits, user, io_uring, audit, mediate, syscalls, require, credentials)\n"},
		/* Contradictions in one file. */
		{V "filesystem: {read: [/a], hide: [/a]}\n",
		 "f:2:21: read and hide (line 2) name the same path /a: hide counts, this rule never does\n"},
		{V "filesystem: {write: [/a], protect: [/a/]}\n",
		 "f:2:22: write and protect (line 2) name the same path /a: protect counts, this rule never does\n"},
		{V "filesystem: {read: [/a, /a], write: [/b], exec: [/b]}\n",
		 "f:2:25: warning: said twice (first in line 2)\n"},
		{V "filesystem: {read: [/a], write: [/a]}\n", "f:2:21: warning: write implies read: this rule says nothing new\n"},
		/* What is no part of the language. */
		{V "filesystem: {read: &a [/x], write: *a}\n",
		 "f:2:20: anchors and aliases are no part of the language: write the value out\n"
		 "f:2:36: anchors and aliases are no part of the language: write the value out (a text that begins with * needs "
		 "quotes)\n"},
		{V "syscalls: narow\n", "f:2:11: syscalls cannot be 'narow' (did you mean narrow? there are: narrow, usual, wide)\n"},
		{V "mediate: !!str all\n", "f:2:10: tags are no part of the language: leave it out\n"},
		{V "---\nversion: 1\n", "f:2:1: a policy is one document: what follows --- belongs into a file of its own\n"},
		{V "filesystem: {hide: [**/.env]}\n",
		 "f:2:22: no YAML: while scanning an alias, did not find expected alphabetic or numeric character (a text that "
		 "begins with * or & needs quotes: \"**/.env\")\n"},
		{V "network: {groups: [@npm]}\n", "f:2:20: no YAML: while scanning for the next token, found character that cannot "
						 "start any token (a text that begins with @, % or ` needs quotes: \"@github\")\n"},
		{V "filesystem:\n\tread: [/a]\n", "f:3:1: no YAML: while scanning for the next token, found character that cannot "
						  "start any token (indent with spaces: YAML takes no tabs)\n"},
		{V "filesystem: {write: [${workspace}]}\n",
		 "f:2:23: no YAML: while parsing a flow sequence, did not find expected ',' or ']' (a text with { } needs quotes "
		 "in a list: \"${workspace}\")\n"},
		{V "audit: {file: \"a\\0b\"}\n", "f:2:15: a text holds a NUL character\n"},
	};
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct lang_messages m;
		struct lang *l;
		int r = load(t[i].text, &l, &m);
		char *said = all(&m);

		if (strcmp(said, t[i].says) != 0 || (r == LANG_INVALID) != (m.errors > 0) || (r == 0) != (l != NULL)) {
			fprintf(stderr, "--- %s=== %d\n%s=== wanted\n%s", t[i].text, r, said, t[i].says);
			failed++;
		}
		free(said);
		lang_free(l);
		lang_messages_free(&m);
	}
	assert_int_equal(failed, 0);
}

/* Bombs of every kind end in one sentence. */
static void test_bounds(void **state)
{
	size_t big = (4 << 20) + 1;
	char *text = malloc(big);
	struct lang_messages m;
	struct lang *l;

	(void)state;
	memset(text, ' ', big);
	memset(&m, 0, sizeof(m));
	assert_int_equal(lang_load_buffer(&host, "f", text, big, &l, &m), LANG_INVALID);
	assert_string_equal(m.v[0].text, "larger than 4 MiB: no policy is");
	lang_messages_free(&m);

	memset(text, '[', 4000);
	assert_int_equal(lang_load_buffer(&host, "f", text, 4000, &l, &m), LANG_INVALID);
	assert_string_equal(m.v[0].text, "lists and mappings are nested too deeply");
	assert_int_equal(m.v[0].column, 13);
	lang_messages_free(&m);

	strcpy(text, "version: 1\nfilesystem: {read: [");
	for (size_t at = strlen(text); at + 2 < big; at += 2)
		memcpy(text + at, "1,", 2);
	assert_int_equal(lang_load_buffer(&host, "f", text, big - 2, &l, &m), LANG_INVALID);
	assert_string_equal(m.v[m.n - 1].text, "more than 200000 values: no policy needs so many");
	lang_messages_free(&m);

	/* More errors than anybody reads are counted. */
	strcpy(text, "version: 1\nfilesystem:\n  read: [");
	for (int i = 0; i < 500; i++)
		strcat(text, "x,");
	strcat(text, "]\n");
	assert_int_equal(lang_load_buffer(&host, "f", text, strlen(text), &l, &m), LANG_INVALID);
	assert_int_equal(m.errors, 500);
	assert_int_equal(m.n, 100);
	lang_messages_free(&m);
	free(text);
}

/* Every key of the language, as the issue's example has them. */
static void test_values(void **state)
{
	static const char text[] =
		V "filesystem:\n  tmpfs: [{path: /tmp, size: 2g, exec: false}, /t]\n"
		  "exec:\n  deny: [/usr/bin/sudo, {path: /usr/bin/git, args: [\"push\", \"**\"]}]\n  written: allow\n  memfd: deny\n"
		  "network:\n  allow: [\"api.example.com:443\", \"*.example.org:443\", \"10.1.0.0/16:5432\"]\n"
		  "  groups: [\"@github\", \"@mine\"]\n  unix: [\"${NOPE?}\", \"${PLACE}/s\"]\n  host: [5432]\n"
		  "  publish: [\"8080:3000\"]\n"
		  "groups: {mine: [\"x.example.org\"]}\n"
		  "environment: {pass: [PATH, LANG, \"NPM_*\"], set: {CI: \"1\", E: \"\", P: \"${PLACE}\"}}\n"
		  "limits: {memory: 2g, cpus: 2, pids: 100, files: 4096, time: 1h}\nuser: 1000:1000\nio_uring: off\n"
		  "audit: {file: audit.jsonl, reads: all, stacks: all}\nmediate: all\nsyscalls: usual\nrequire: [exec.written, view]\n";
	struct lang_messages m;
	struct lang *l;
	const struct lang_values *v;

	(void)state;
	assert_int_equal(load(text, &l, &m), 0);
	assert_int_equal(m.n, 0);
	v = lang_values(l);
	assert_null(v->profile);
	assert_int_equal(v->tmpfs.n, 2);
	assert_string_equal(v->tmpfs.v[0].path, "/tmp");
	assert_true(v->tmpfs.v[0].size == UINT64_C(2) << 30 && !v->tmpfs.v[0].exec);
	assert_string_equal(v->tmpfs.v[1].origin, "f:3:48");
	assert_int_equal(v->exec_deny.n, 2);
	assert_string_equal(v->exec_deny.v[0].path, "/usr/bin/sudo");
	assert_null(v->exec_deny.v[0].args);
	assert_string_equal(v->exec_deny.v[1].args[0], "push");
	assert_string_equal(v->exec_deny.v[1].args[1], "**");
	assert_null(v->exec_deny.v[1].args[2]);
	assert_string_equal(v->exec_deny.v[1].origin, "f:5:32");
	assert_int_equal(v->written, WRITTEN_ALLOW);
	assert_false(v->memfd_exec);
	assert_int_equal(v->net.n, 3);
	assert_string_equal(v->net.v[2].text, "10.1.0.0/16:5432");
	assert_string_equal(v->net.v[0].origin, "f:9:11");
	assert_int_equal(v->groups.n, 2);
	assert_int_equal(v->unix_sockets.n, 1);
	assert_string_equal(v->unix_sockets.v[0].text, "/place[1]/s");
	assert_string_equal(v->net_host.v[0].text, "5432");
	assert_string_equal(v->publish.v[0].text, "8080:3000");
	assert_int_equal(v->group_count, 1);
	assert_string_equal(v->group[0].hosts.v[0].text, "x.example.org");
	assert_int_equal(v->env_pass.n, 3);
	assert_int_equal(v->env_set.n, 3);
	assert_string_equal(v->env_set.v[1].text, "E=");
	assert_string_equal(v->env_set.v[2].text, "P=/place[1]");
	assert_true(v->memory == UINT64_C(2) << 30 && v->pids == 100 && v->files == 4096 && v->time_ms == 3600000);
	assert_true(v->cpus > 1.99 && v->cpus < 2.01);
	assert_string_equal(v->user, "1000:1000");
	assert_false(v->io_uring_restricted);
	assert_string_equal(v->io_uring_from, "f:18:11");
	assert_string_equal(v->audit, "audit.jsonl");
	assert_int_equal(v->audit_reads, AUDIT_ALL);
	assert_int_equal(v->audit_stacks, AUDIT_ALL);
	assert_true(v->mediate_all);
	assert_int_equal(v->list, LIST_USUAL);
	assert_string_equal(v->syscalls_from, "f:21:11");
	assert_int_equal(v->require.n, 2);
	lang_free(l);
}

/* Lists one after another, base first; single values the last; a tmpfs and a group by name. */
static void test_merge(void **state)
{
	static const char text[] =
		V "extends: /p/mid.yaml\nfilesystem: {tmpfs: [/t], except: [/base/secret]}\nlimits: {pids: 20}\n"
		  "environment: {pass: [B], set: {X: child}}\nnetwork: {allow: [\"b.example.org\"]}\n"
		  "groups: {mine: [\"new.example.org\"]}\n";
	struct lang_messages m;
	struct lang *l;
	const struct lang_values *v;

	(void)state;
	assert_int_equal(load(text, &l, &m), 0);
	v = lang_values(l);
	assert_true(v->memory == UINT64_C(2) << 30);
	assert_string_equal(v->memory_from, "/p/mid.yaml:3:18");
	assert_int_equal(v->pids, 20);
	assert_string_equal(v->pids_from, "f:4:16");
	assert_true(v->mediate_all);
	assert_int_equal(v->net.n, 2);
	assert_string_equal(v->net.v[0].text, "a.example.org");
	assert_string_equal(v->net.v[0].origin, "/p/base.yaml:7:19");
	assert_string_equal(v->net.v[1].origin, "f:6:19");
	assert_int_equal(v->env_pass.n, 2);
	assert_string_equal(v->env_set.v[0].text, "X=base");
	assert_string_equal(v->env_set.v[1].text, "X=child");
	assert_int_equal(v->tmpfs.n, 1);
	assert_true(v->tmpfs.v[0].size == 0 && !v->tmpfs.v[0].exec);
	assert_int_equal(v->group_count, 2);
	assert_string_equal(v->group[0].hosts.v[0].text, "new.example.org");
	assert_string_equal(lang_files(l)[0], "/p/base.yaml");
	assert_string_equal(lang_files(l)[1], "/p/mid.yaml");
	assert_null(lang_files(l)[2]);
	lang_free(l);
}

/* The rules of L for PLACES, one a line. */
static char *rules_of(const struct lang *l, const struct lang_places *places, struct policy **ret_p)
{
	struct policy_builder *b;
	struct policy *p;
	char *why = NULL, *out = NULL;
	size_t len;
	FILE *f;

	assert_int_equal(policy_builder_new(&b), 0);
	assert_int_equal(lang_add_rules(l, LANG_BUILT_IN | LANG_FILES, places, b, &why), 0);
	assert_int_equal(policy_compile(b, &p), 0);
	f = open_memstream(&out, &len);
	for (size_t i = 0; i < policy_rule_count(p); i++)
		fprintf(f, "%s %s %s\n", rule_kind_name(policy_rule(p, i)->kind), policy_rule(p, i)->pattern,
			policy_rule(p, i)->origin);
	fclose(f);
	policy_builder_free(b);
	if (ret_p)
		*ret_p = p;
	else
		policy_free(p);
	return out;
}

static void test_expand(void **state)
{
	static const char *const ws[] = {"/w/a", "/w/b", NULL};
	static const struct lang_places view = {.home = "/h", .real_home = "/h", .workspaces = ws, .scratch = "/s", .view = true},
					bare = {.home = "/state", .real_home = "/h", .workspaces = ws, .scratch = "/s"};
	static const char text[] = V "filesystem:\n"
				     "  - read: [\"${PLACE}/x\", ~/r]\n"
				     "    write: [\"${workspace}/o\", {path: /v, when: view}, {path: /b, when: bare}]\n"
				     "    except: [\"${scratch}/e\"]\n"
				     "    hide: [\"**/.env\"]\n"
				     "    tmpfs: [{path: /t, exec: true}]\n"
				     "  - hide: [\"/q/[ab]*\"]\n";
	struct lang_messages m;
	struct lang *l;
	char *s;

	(void)state;
	assert_int_equal(load(text, &l, &m), 0);
	s = rules_of(l, &view, NULL);
	assert_string_equal(s, "read /place[1]/x f:3:12\nread /h/r f:3:26\nwrite /w/a/o f:4:13\nwrite /w/b/o f:4:13\n"
			       "write /v f:4:38\nwrite /t f:7:20\nexec /t f:7:20\nhide /**/.env f:6:12\nexcept /s/e f:5:14\n"
			       "hide /q/[ab]* f:8:12\n");
	free(s);
	s = rules_of(l, &bare, NULL);
	assert_string_equal(s, "read /place[1]/x f:3:12\nread /state/r f:3:26\nread /h/r f:3:26\nwrite /w/a/o f:4:13\n"
			       "write /w/b/o f:4:13\nwrite /b f:4:62\nhide /**/.env f:6:12\nexcept /s/e f:5:14\n"
			       "hide /q/[ab]* f:8:12\n");
	free(s);
	lang_free(l);
}

/* Files of the policy are protected, by no except rule of theirs to be lifted. */
static void test_own_files(void **state)
{
	static const char *const ws[] = {"/p", NULL};
	static const struct lang_places places = {.home = "/h", .workspaces = ws, .view = true};
	static const char text[] = V "extends: /p/base.yaml\nfilesystem: {write: [\"${workspace}\"], except: [/p/base.yaml]}\n";
	struct lang_messages m;
	struct policy *p;
	struct lang *l;
	char *s;

	(void)state;
	assert_int_equal(load(text, &l, &m), 0);
	s = rules_of(l, &places, &p);
	assert_int_equal(policy_path(p, OP_WRITE, "/p/other.yaml", 13).kind, VERDICT_ALLOW);
	assert_int_equal(policy_path(p, OP_WRITE, "/p/base.yaml", 12).kind, VERDICT_DENY);
	assert_int_equal(policy_path_move(p, "/p/base.yaml", 12, false).kind, VERDICT_DENY);
	assert_int_equal(policy_path(p, OP_READ, "/p/base.yaml", 12).kind, VERDICT_ALLOW);
	policy_free(p);
	free(s);
	lang_free(l);
}

static void test_judge(void **state)
{
	static const char *const ws[] = {"/tmp", NULL};
	static const struct lang_places places = {.home = "/h", .workspaces = ws, .view = true};
	static const char text[] = V "extends: strict\nfilesystem:\n  read: [/etc/shadow, /tmp, /etc/no-such-file-here]\n"
				     "  hide: [/etc/no-such-secret]\n  except: [/etc/gshadow, \"**/.envrc\"]\n"
				     "  exec: [/tmp]\n",
			 alone[] = V "filesystem:\n  hide: [/etc]\n  except: [/usr, /etcetera, /etc/x, /, \"/e*\"]\n";
	struct lang_messages m;
	struct policy *p;
	struct lang *l;
	char *s;

	(void)state;
	assert_int_equal(load(text, &l, &m), 0);
	s = rules_of(l, &places, &p);
	free(s);
	assert_int_equal(lang_judge(l, &places, p, &m), 0);
	s = all(&m);
	assert_string_equal(s, "f:4:10: warning: this read rule never counts: hide /etc/shadow (profile common:104:9) decides for "
			       "/etc/shadow; an except rule lifts it\n"
			       "f:4:29: warning: /etc/no-such-file-here does not exist\n"
			       "f:5:10: warning: /etc/no-such-secret does not exist\n");
	free(s);
	policy_free(p);
	lang_free(l);
	lang_messages_free(&m);

	assert_int_equal(load(alone, &l, &m), 0);
	s = rules_of(l, &places, &p);
	free(s);
	assert_int_equal(lang_judge(l, &places, p, &m), 0);
	s = all(&m);
	assert_string_equal(s, "f:4:12: warning: this except rule lifts nothing: no hide or protect rule speaks of /usr\n"
			       "f:4:18: warning: this except rule lifts nothing: no hide or protect rule speaks of /etcetera\n");
	free(s);
	policy_free(p);
	lang_free(l);
	lang_messages_free(&m);
}

/* The built-in profiles: valid, and what each of them is for. */
static void test_profiles(void **state)
{
	static const char *const ws[] = {"/home/u/ws", NULL};
	static const struct lang_places view = {
		.home = "/home/u", .workspaces = ws, .scratch = "/run/scratch", .view = true};
	static const struct {
		const char *profile, *path;
		enum op op;
		bool allowed;
	} t[] = {
		{"agent", "/home/u/ws/x", OP_WRITE, true},	 {"agent", "/home/u/ws/x", OP_EXEC, true},
		{"agent", "/home/u/ws/.git/hooks/x", OP_WRITE, false}, {"agent", "/tmp/x", OP_WRITE, true},
		{"agent", "/tmp/x", OP_EXEC, false},		 {"agent", "/run/scratch/x", OP_EXEC, true},
		{"agent", "/home/u/.ssh/id_rsa", OP_READ, false}, {"agent", "/home/u/x", OP_WRITE, true},
		{"agent", "/home/u/ws/.github/workflows/ci.yml", OP_WRITE, true},
		{"dev", "/home/u/x", OP_READ, true},		 {"dev", "/home/u/x", OP_WRITE, false},
		{"dev", "/home/u/.ssh/id_rsa", OP_READ, false},	 {"dev", "/home/u/.npmrc", OP_READ, false},
		{"dev", "/home/u/ws/x", OP_WRITE, true},	 {"dev", "/home/u/ws/x", OP_EXEC, true},
		{"strict", "/home/u/ws/x", OP_WRITE, true},	 {"strict", "/home/u/ws/x", OP_EXEC, false},
		{"strict", "/run/scratch/x", OP_EXEC, false},	 {"strict", "/usr/bin/x", OP_EXEC, true},
		{"strict", "/opt/x", OP_READ, false},		 {"strict", "/tmp/x", OP_EXEC, false},
		{"runner", "/anything", OP_WRITE, true},	 {"runner", "/run/docker.sock", OP_CONNECT, false},
		{"runner", "/mnt/elsewhere/docker.sock", OP_CONNECT, false}, {"runner", "/run/my.sock", OP_CONNECT, true},
	};

	(void)state;
	for (const char *const *name = lang_profile_names(); *name; name++) {
		struct lang_places places = view;
		struct lang *l;
		struct policy *p;
		char *s;

		assert_int_equal(lang_load_profile(&lang_host, *name, &l), 0);
		places.home_host = lang_values(l)->home_host;
		assert_string_equal(lang_values(l)->profile, *name);
		assert_int_equal(lang_values(l)->home_host, strcmp(*name, "dev") == 0);
		assert_int_equal(lang_values(l)->mediate_all, strcmp(*name, "strict") == 0);
		assert_int_equal(lang_values(l)->written, strcmp(*name, "strict") == 0 ? WRITTEN_DENY : WRITTEN_MOUNTS);
		assert_false(lang_values(l)->memfd_exec || lang_values(l)->io_uring_restricted);
		assert_int_equal(lang_values(l)->net.n + lang_values(l)->groups.n, 0);
		s = rules_of(l, &places, &p);
		for (size_t i = 0; i < ARRAY_LEN(t); i++)
			if (strcmp(t[i].profile, *name) == 0 &&
			    (policy_path(p, t[i].op, t[i].path, strlen(t[i].path)).kind == VERDICT_ALLOW) != t[i].allowed)
				fail_msg("%s: %s %s", *name, verdict_op_name(t[i].op), t[i].path);
		free(s);
		policy_free(p);
		lang_free(l);
	}
	assert_int_equal(lang_load_profile(&lang_host, "nonesuch", NULL), -ENOENT);
	assert_int_equal(lang_load_profile(&lang_host, "work", NULL), -ENOENT);
}

/* exec.written: deny takes exec rules from what may be written, allow gives them. */
static void test_written(void **state)
{
	static const struct {
		enum written_mode mode;
		bool ws, bin, out;
	} t[] = {{WRITTEN_DENY, false, true, false}, {WRITTEN_MOUNTS, true, true, false}, {WRITTEN_ALLOW, true, true, true}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct policy_builder *b;
		struct policy *p;

		assert_int_equal(policy_builder_new(&b), 0);
		policy_builder_add(b, RULE_EXEC, "/", "t");
		policy_builder_add(b, RULE_WRITE, "/ws", "t");
		policy_builder_add(b, RULE_EXEC, "/ws", "t");
		policy_builder_add(b, RULE_WRITE, "/out", "t");
		assert_int_equal(policy_builder_written(b, t[i].mode), 0);
		assert_int_equal(policy_compile(b, &p), 0);
		assert_int_equal(policy_path(p, OP_EXEC, "/ws/x", 5).kind == VERDICT_ALLOW, t[i].ws);
		assert_int_equal(policy_path(p, OP_EXEC, "/bin/x", 6).kind == VERDICT_ALLOW, t[i].bin);
		assert_int_equal(policy_path(p, OP_EXEC, "/out/x", 6).kind == VERDICT_ALLOW, t[i].out);
		policy_free(p);
		policy_builder_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),	  cmocka_unit_test(test_bounds),  cmocka_unit_test(test_values),
		cmocka_unit_test(test_merge),	  cmocka_unit_test(test_expand),  cmocka_unit_test(test_own_files),
		cmocka_unit_test(test_judge),	  cmocka_unit_test(test_profiles), cmocka_unit_test(test_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
