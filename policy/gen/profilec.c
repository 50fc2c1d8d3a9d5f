/*
 * Run when gabion is built: policy files in, their trees as constants of C out, so that a start parses nothing. What is wrong
 * with a file ends the build here only as far as it is no YAML; the keys are read by gabion itself, from the same tree as a
 * user's file.
 *
 *   profilec FILE... > profiles.inc
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/lang_tree.h"
#include "util/err.h"

static void put_text(const struct lang_tree *t)
{
	size_t len = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->nodes[i].type == LANG_SCALAR && t->nodes[i].text + t->nodes[i].len + 1 > len)
			len = t->nodes[i].text + t->nodes[i].len + 1;
	for (size_t i = 0; i < len; i++)
		printf("%d,%s", (unsigned char)t->text[i], i % 32 == 31 ? "\n" : "");
	printf("0");
}

static int put(const char *path)
{
	AUTO_FREE char *bytes = NULL;
	struct lang_messages m = {.v = NULL};
	struct lang_tree t = {.n = 0};
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t len = 0, room = 0;
	FILE *f = fopen(path, "re");
	int c, r;

	while (f && (c = getc(f)) != EOF) {
		if (len == room) {
			char *more = realloc(bytes, room = 2 * room + 4096);

			if (!more)
				return 1;
			bytes = more;
		}
		bytes[len++] = (char)c;
	}
	if (!f || fclose(f) != 0 || !bytes) {
		fprintf(stderr, "profilec: cannot read %s\n", path);
		return 1;
	}
	r = lang_yaml_read(path, bytes, len, &m, &t);
	for (size_t i = 0; i < m.n; i++) {
		AUTO_FREE char *text = lang_message_text(&m.v[i]);

		fprintf(stderr, "%s\n", text ? text : "no memory");
	}
	if (r != 0 || m.n)
		return 1;
	printf("{ .name = \"%.*s\", .tree = { .n = %zu, .nodes = (const struct lang_node[]){\n", (int)strcspn(name, "."),
	       name, t.n);
	for (size_t i = 0; i < t.n; i++) {
		const struct lang_node *n = &t.nodes[i];

		printf("{%u,%u,%u,%u,%u,%u,%d},\n", n->end, n->line, n->column, n->text, n->len, n->type, n->plain);
	}
	printf("}, .text = (const char[]){\n");
	put_text(&t);
	printf("} } },\n");
	lang_tree_free(&t);
	lang_messages_free(&m);
	return 0;
}

int main(int argc, char **argv)
{
	int r = argc < 2;

	for (int i = 1; r == 0 && i < argc; i++)
		r = put(argv[i]);
	return r;
}
