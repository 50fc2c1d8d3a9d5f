/*
 * The language: bytes to a policy. Whatever they are, nothing is read but through the host given, every error has a line of the
 * file and one line of text, and what is taken for valid compiles to rules that can be asked.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "policy/lang.h"
#include "util/err.h"

static const char *variable(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "PLACE") == 0 ? "/place" : NULL;
}

static int no_file(void *ctx, const char *path, size_t max, char **ret_bytes, size_t *ret_len, char ***ret_names)
{
	(void)ctx;
	(void)path;
	(void)max;
	(void)ret_bytes;
	(void)ret_len;
	(void)ret_names;
	return -ENOENT;
}

static _Noreturn void wrong(const char *what, const char *text)
{
	(void)fprintf(stderr, "%s: %s\n", what, text ? text : "");
	abort();
}

static void check_messages(const struct lang_messages *m, size_t lines)
{
	for (size_t i = 0; i < m->n; i++) {
		char *text = lang_message_text(&m->v[i]);

		if (!m->v[i].text || !m->v[i].text[0] || strchr(m->v[i].text, '\n'))
			wrong("a message is no line", m->v[i].text);
		/* A base's messages are of other files. */
		if (strcmp(m->v[i].file, "fuzz.yaml") == 0 && m->v[i].line > lines + 1)
			wrong("a message is behind the file", text);
		free(text);
	}
}

static void check_valid(const struct lang *l)
{
	static const char *const workspaces[] = { "/home/u/ws", NULL };
	const struct lang_places places = { .home = "/home/u", .real_home = "/home/u", .workspaces = workspaces,
					    .scratch = "/run/scratch", .view = true };
	static const char *const paths[] = { "/", "/etc/passwd", "/home/u/ws/.git/hooks/x", "/home/u/.ssh/id", "/place/a" };
	struct policy_builder *b;
	struct policy *p;
	char *why = NULL;

	if (policy_builder_new(&b) < 0)
		return;
	if (lang_add_rules(l, LANG_BUILT_IN, &places, b, &why) == 0 && lang_add_rules(l, LANG_FILES, &places, b, &why) == 0 &&
	    policy_compile(b, &p) == 0) {
		struct lang_messages m = { .v = NULL };

		for (size_t i = 0; i < ARRAY_LEN(paths); i++)
			for (int op = OP_READ; op < OP_COUNT; op++)
				(void)policy_path(p, (enum op)op, paths[i], strlen(paths[i]));
		(void)lang_judge(l, &places, p, &m);
		check_messages(&m, SIZE_MAX - 1);
		lang_messages_free(&m);
		policy_free(p);
	}
	free(why);
	policy_builder_free(b);
	if (!lang_values(l))
		wrong("a valid policy has no values", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct lang_host host = { .variable = variable, .read = no_file };
	struct lang_messages m = { .v = NULL };
	struct lang *l = NULL;
	size_t lines = 1;
	int r;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n' || data[i] == '\r' || data[i] == 0x85 || data[i] == 0xa8 || data[i] == 0xa9;
	r = lang_load_buffer(&host, "fuzz.yaml", data, size, &l, &m);
	check_messages(&m, lines);
	if (r == 0) {
		if (m.errors || !l)
			wrong("a policy with errors is valid", m.n ? m.v[0].text : NULL);
		check_valid(l);
		lang_free(l);
	} else if (r == LANG_INVALID && m.errors == 0) {
		wrong("a policy is invalid without a reason", NULL);
	}
	lang_messages_free(&m);
	return 0;
}
