/*
 * `gabion check FILE`: everything that is wrong with a policy, or doubtful, and with a question behind it, what would happen to
 * an object and which line decides. Nothing is started and nothing of a run is made; what a run itself adds to the rules
 * (tools below the home, the state directory) is not in the answer.
 *
 * Status: 0 valid, or all that was asked for is allowed; 1 invalid, or something is refused; 125 wrong use.
 */
#include "cli.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "cli_option.h"
#include "options_table.h"
#include "text.h"
#include "util/err.h"

/* As a reader goes through the files. */
static int by_place(const void *a, const void *b)
{
	const struct lang_message *x = a, *y = b;
	int r = strcmp(x->file, y->file);

	if (r == 0)
		r = (x->line > y->line) - (x->line < y->line);
	return r != 0 ? r : (x->column > y->column) - (x->column < y->column);
}

static void print_messages(const struct lang_messages *m)
{
	for (size_t i = 0; i < m->n; i++) {
		AUTO_FREE char *line = lang_message_text(&m->v[i]);
		AUTO_FREE char *clean = line ? text_clean(line) : NULL;

		(void)fprintf(stderr, "%s\n", clean ? clean : "out of memory");
	}
}

static void print_answer(const struct ask_answer *a)
{
	AUTO_FREE char *object = text_clean(a->object);
	AUTO_FREE char *why = text_clean(a->why);

	(void)printf("%-7s %s %s: %s\n", a->allowed ? "allowed" : "refused", a->question, object ? object : "?",
		     why ? why : "?");
}

static json_t *messages_json(const struct lang_messages *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->n; i++) {
		const struct lang_message *v = &m->v[i];
		AUTO_FREE char *file = text_clean(v->file);
		AUTO_FREE char *text = text_clean(v->text);

		(void)json_array_append_new(list, json_pack("{s:b, s:s?, s:i, s:i, s:s?}", "warning", v->warning, "file",
							    file, "line", (int)v->line, "column", (int)v->column, "text",
							    text));
	}
	return list;
}

static json_t *answers_json(const struct ask_answer *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *object = text_clean(v[i].object);
		AUTO_FREE char *why = text_clean(v[i].why);
		AUTO_FREE char *rule = v[i].rule ? text_clean(v[i].rule) : NULL;
		AUTO_FREE char *origin = v[i].origin ? text_clean(v[i].origin) : NULL;

		(void)json_array_append_new(list, json_pack("{s:s, s:s?, s:b, s:s?, s:s?, s:s?}", "question", v[i].question,
							    "object", object, "allowed", v[i].allowed, "why", why, "rule",
							    rule, "origin", origin));
	}
	return list;
}

static void print_json(const char *file, const struct lang_messages *m, const struct ask_answer *v, size_t n)
{
	AUTO_FREE char *name = text_clean(file);
	json_t *root = json_pack("{s:s?, s:b, s:o, s:o}", "file", name, "valid", m->errors == 0, "messages", messages_json(m),
				 "answers", answers_json(v, n));

	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	(void)putchar('\n');
	json_decref(root);
}

/* The answers to WORDS ("read", OBJECT...); -errno. */
static int answer_all(const struct ask *ask, char **words, int n, struct ask_answer *v)
{
	int r = 0;

	for (int i = 1; i < n && r == 0; i++)
		r = ask_object(ask, words[0], words[i], &v[i - 1]);
	return r;
}

static int check(const char *file, char **words, int n, bool json)
{
	struct lang_messages m = {.n = 0};
	size_t answers = n > 1 ? (size_t)n - 1 : 0;
	struct ask_answer *v = calloc(answers + 1, sizeof(*v));
	struct ask *ask = NULL;
	bool refused = false;
	int r = v ? ask_new(file, &ask, &m) : -ENOMEM;

	if (m.n > 0)
		qsort(m.v, m.n, sizeof(*m.v), by_place);
	if (r == 0 && answers > 0)
		r = answer_all(ask, words, n, v);
	if (r >= 0 && !json)
		print_messages(&m);
	for (size_t i = 0; r == 0 && i < answers; i++) {
		refused = refused || !v[i].allowed;
		if (!json)
			print_answer(&v[i]);
	}
	if (r >= 0 && json)
		print_json(file, &m, v, r == 0 ? answers : 0);
	if (r == 0 && !json && answers == 0)
		(void)printf("%s: valid\n", file);
	for (size_t i = 0; v && i < answers; i++)
		ask_answer_clear(&v[i]);
	free(v);
	ask_free(ask);
	lang_messages_free(&m);
	if (r < 0) {
		cli_error(NULL, "check: %s: %s", file, strerror(-r));
		return EXIT_GABION;
	}
	int flushed = cli_flush();
	return flushed != 0 ? flushed : r > 0 || refused;
}

int cli_check(int argc, char **argv)
{
	bool json = false;
	enum option_id id;
	const char *value;
	int state = 0, status;

	do {
		if (!cli_option(COMMAND_CHECK, argc, argv, &state, &id, &value, &status))
			return status;
		json = json || id == OPTION_JSON;
	} while (id != OPTION_NONE);
	if (!cli_operands(COMMAND_CHECK, argc, argv, state, 1, INT_MAX, &status))
		return status;
	char **words = argv + state + 1;
	int n = argc - state - 1;
	/* --json may stand at the end as well. */
	if (n > 0 && strcmp(words[n - 1], "--json") == 0) {
		json = true;
		n--;
	}
	if (n > 0 && !ask_knows(words[0])) {
		cli_error("one of read, write, exec, connect", "check: '%.80s' is no question", words[0]);
		return EXIT_GABION;
	}
	if (n == 1) {
		cli_error("for example: gabion check policy.yaml read /etc/passwd", "check: %s what?", words[0]);
		return EXIT_GABION;
	}
	return check(argv[state], words, n, json);
}
