/*
 * `gabion log [--all|--denied|--credentials] [--follow|--tree] [--json] [RUN|FILE]`: the record for people, one line a decision, below
 * it the stack of who was refused where there is one.
 *
 * Records are read line by line; a line that is no object of ours (somebody edited the file, a run was killed while
 * it wrote) is passed over. What a guest chose is escaped again for the terminal. --follow waits with inotify and
 * ends with the run.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli_option.h"
#include "log_view.h"
#include "state.h"
#include "text.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	LINE_LIMIT = 1 << 20, /* no record is longer */
	LOOK_MS = 1000,       /* a run that was killed says nothing: look for it */
};

struct view {
	bool all, json;
	bool credentials;     /* only what the credential process told */
	bool looking;	      /* first of two passes: only stacks are collected */
	json_t *stacks;	      /* kept for their refusals; NULL: printed as they come */
	struct log_tree *tree; /* decisions go there instead of being printed; NULL: none */
	char run[STATE_ID_MAX]; /* only this run's records, where a file holds several; empty: all */
	char *line; /* what was read of a line so far */
	size_t len, size;
	bool too_long;
	bool ended; /* the closing object was seen */
};

static void show(const json_t *s)
{
	text_show(stdout, json_string_value(s), json_string_length(s));
}

static void print_args(const json_t *args)
{
	const json_t *arg;
	size_t i;

	json_array_foreach(args, i, arg) {
		if (i)
			fputs(", ", stdout);
		if (json_is_integer(arg))
			printf("%lld", (long long)json_integer_value(arg));
		else if (json_is_string(arg) && json_string_value(arg)[0] == '/')
			putchar('"'), show(arg), putchar('"');
		else if (json_is_string(arg))
			show(arg);
	}
}

/* Is OBJECT among the arguments as they were printed? */
static bool among(const json_t *args, const json_t *object)
{
	const json_t *arg;
	size_t i;

	json_array_foreach(args, i, arg) {
		if (json_equal(arg, object))
			return true;
	}
	return false;
}

static void print_verdict(const json_t *j, bool denied)
{
	const json_t *rule = json_object_get(j, "rule"), *level = json_object_get(j, "level");

	if (json_is_true(json_object_get(j, "continued"))) {
		fputs(denied ? "refused" : "left to the kernel", stdout);
	} else if (json_is_string(json_object_get(j, "errno"))) {
		fputs("-1 ", stdout);
		show(json_object_get(j, "errno"));
	} else {
		printf("%lld", (long long)json_integer_value(json_object_get(j, "result")));
	}
	if (json_is_true(json_object_get(j, "internal")))
		fputs("  (gabion failed: denied)", stdout);
	else if (json_is_object(rule)) {
		fputs("  (", stdout);
		show(json_object_get(rule, "kind"));
		putchar(' ');
		show(json_object_get(rule, "pattern"));
		fputs(", ", stdout);
		show(json_object_get(rule, "origin"));
		putchar(')');
	} else if (denied) {
		fputs("  (no rule allows it)", stdout);
	}
	if (!denied && json_is_string(level)) {
		fputs("  [", stdout);
		show(level);
		putchar(']');
	}
}

/* "13:20:59.123 refused cat[42] openat(AT_FDCWD, "/etc/shadow", O_RDONLY) = -1 EACCES  (no rule allows it)" */
static void print_record(const json_t *j, bool denied)
{
	const json_t *args = json_object_get(j, "args"), *call = json_object_get(j, "syscall"),
		     *object = json_object_get(j, "object"), *time = json_object_get(j, "time");

	printf("%.12s %s ", json_string_length(time) > 23 ? json_string_value(time) + 11 : "-", denied ? "refused" : "allowed");
	show(json_object_get(j, "comm"));
	printf("[%lld] ", (long long)json_integer_value(json_object_get(j, "pid")));
	if (json_is_string(call))
		show(call);
	else
		printf("syscall_%lld", (long long)json_integer_value(call));
	putchar('(');
	print_args(args);
	fputs(") ", stdout);
	if (json_is_string(object) && !among(args, object)) {
		fputs("of ", stdout);
		show(object);
		putchar(' ');
	}
	fputs("= ", stdout);
	print_verdict(j, denied);
	putchar('\n');
}

static void print_in_tree(const json_t *record, void *arg)
{
	const struct view *v = arg;
	const char *verdict = json_string_value(json_object_get(record, "verdict"));

	print_record(record, strcmp(verdict, "allow") != 0);
	log_stack_of(v->stacks, record);
}

static long long count(const json_t *j, const char *group, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(j, group), key));
}

/* The closing object: said only where something is missing. */
static void print_end(const json_t *j)
{
	long long refused = count(j, "dropped", "refused") + count(j, "over_cap", "refused"),
		  other = count(j, "dropped", "other") + count(j, "over_cap", "other"),
		  unwritten = json_integer_value(json_object_get(j, "unwritten"));

	if (refused || other || unwritten)
		printf("not recorded: %lld refusals, %lld permitted calls, %lld lines that could not be written\n", refused,
		       other, unwritten);
}

/* "13:20:59.123 used GITHUB_TOKEN GET api.github.com:443 /user = 200, 0 bytes sent, 512 received  (policy.yaml:4:5)" */
static void print_credential(const json_t *j)
{
	static const char *const parts[] = {"decision", "credential", "method", "host"};
	const json_t *time = json_object_get(j, "time"), *why = json_object_get(j, "why"), *rule = json_object_get(j, "rule");

	printf("%.12s", json_string_length(time) > 23 ? json_string_value(time) + 11 : "-");
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const json_t *part = json_object_get(j, parts[i]);

		putchar(' ');
		if (json_string_length(part) > 0)
			show(part);
		else
			putchar('-');
	}
	printf(":%lld ", (long long)json_integer_value(json_object_get(j, "port")));
	show(json_object_get(j, "path"));
	printf(" = %lld, %lld bytes sent, %lld received", (long long)json_integer_value(json_object_get(j, "status")),
	       (long long)json_integer_value(json_object_get(j, "sent")), (long long)json_integer_value(json_object_get(j, "received")));
	if (json_string_length(why) > 0 || json_string_length(rule) > 0)
		fputs("  (", stdout);
	show(why);
	if (json_string_length(why) > 0 && json_string_length(rule) > 0)
		fputs(", ", stdout);
	show(rule);
	fputs(json_string_length(why) > 0 || json_string_length(rule) > 0 ? ")\n" : "\n", stdout);
}

static void take_event(struct view *v, const json_t *j, const char *line, size_t n)
{
	const char *event = json_string_value(json_object_get(j, "event"));
	bool end = strcmp(event, "end") == 0, stack = strcmp(event, "stack") == 0, credential = strcmp(event, "credential") == 0;

	if (v->looking) {
		if (stack)
			log_stack_keep(v->stacks, j);
		return;
	}
	v->ended = v->ended || end;
	if (v->credentials && !credential && !(end && !v->json))
		return;
	if (v->json)
		printf("%.*s\n", (int)n, line);
	else if (end && !v->tree)
		print_end(j);
	else if (stack && !v->stacks) {
		printf("  stack %lld:\n", (long long)json_integer_value(json_object_get(j, "stack")));
		log_stack_print(j);
	} else if (credential && !v->tree) {
		const char *what = json_string_value(json_object_get(j, "decision"));
		bool fine = what && (strcmp(what, "used") == 0 || strcmp(what, "without") == 0);

		if (v->all || v->credentials || !fine)
			print_credential(j);
	} else if (strcmp(event, "broken") == 0)
		fputs("-- the sentry wrote what it never should\n", stdout);
}

static void take_decision(struct view *v, json_t *j, const char *line, size_t n)
{
	bool denied = strcmp(json_string_value(json_object_get(j, "verdict")), "allow") != 0;
	bool shown = v->all || denied;

	if (v->tree) {
		log_tree_add(v->tree, j, shown);
	} else if (shown && v->json) {
		printf("%.*s\n", (int)n, line);
	} else if (shown) {
		print_record(j, denied);
		if (v->stacks)
			log_stack_of(v->stacks, j);
		else if (json_is_integer(json_object_get(j, "stack")))
			printf("  (stack %lld follows)\n", (long long)json_integer_value(json_object_get(j, "stack")));
	}
}

static void take_line(struct view *v, const char *line, size_t n)
{
	json_t *j = json_loadb(line, n, JSON_ALLOW_NUL, NULL);
	const json_t *verdict = json_object_get(j, "verdict"), *event = json_object_get(j, "event");
	const char *run = json_string_value(json_object_get(j, "run"));

	if (v->run[0] && run && strcmp(run, v->run) != 0)
		; /* another run's, in the same file */
	else if (json_is_string(event))
		take_event(v, j, line, n);
	else if (!v->looking && !v->credentials && json_is_string(verdict) && json_is_string(json_object_get(j, "comm")))
		take_decision(v, j, line, n);
	json_decref(j);
}

/* Reads FD to its end. Returns 0 or -errno. */
static int take_all(struct view *v, int fd)
{
	for (;;) {
		if (v->len == v->size) {
			size_t size = v->size ? 2 * v->size : 65536;
			char *more = size > LINE_LIMIT ? NULL : realloc(v->line, size);

			if (more) {
				v->line = more;
				v->size = size;
			} else {
				v->too_long = true;
				v->len = 0;
			}
		}
		ssize_t n = read(fd, v->line + v->len, v->size - v->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno != EAGAIN ? err_now() : 0;
		size_t from = 0, to = v->len + (size_t)n;

		for (size_t i = v->len; i < to; i++) {
			if (v->line[i] != '\n')
				continue;
			if (!v->too_long)
				take_line(v, v->line + from, i - from);
			v->too_long = false;
			from = i + 1;
		}
		memmove(v->line, v->line + from, to - from);
		v->len = to - from;
	}
}

/* Is the run whose directory is DIR over? A file without one (DIR NULL) ends with its closing object. */
static bool run_over(const char *dir)
{
	struct state_run run;
	bool over;

	if (!dir)
		return false;
	if (state_run_read(dir, &run) < 0)
		return true;
	over = run.status == RUN_ENDED || run.status == RUN_CRASHED;
	state_run_clear(&run);
	return over;
}

static int follow(struct view *v, int fd, const char *file, const char *dir)
{
	AUTO_FD int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char events[4096];

	if (watch < 0 || inotify_add_watch(watch, file, IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF) < 0)
		return err_now();
	for (;;) {
		/* In this order nothing written before the end is missed. */
		bool over = run_over(dir);
		int r = take_all(v, fd);

		if (cli_flush() != 0)
			return -EPIPE;
		if (r < 0 || over || v->ended)
			return r;
		struct pollfd p = { .fd = watch, .events = POLLIN };
		struct stat st;

		if (poll(&p, 1, LOOK_MS) > 0)
			while (read(watch, events, sizeof(events)) > 0)
				;
		if (fstat(fd, &st) == 0 && st.st_nlink == 0)
			return 0;
	}
}

/* What the operand means: RET_FILE the record, RET_DIR the run's directory or NULL. False: a sentence was printed. */
static bool find(const char *word, char **ret_file, char **ret_dir, char ret_id[STATE_ID_MAX])
{
	AUTO_FREE char *dir = NULL;
	struct state_run run;
	int r;

	if (word && strchr(word, '/')) {
		*ret_file = strdup(word);
		return *ret_file != NULL;
	}
	if (word) {
		r = state_run_find(word, &dir);
	} else {
		struct state_run *runs;
		size_t n;

		r = state_run_list(&runs, &n);
		if (r == 0) {
			r = n ? 0 : -ENOENT;
			dir = n ? strdup(runs[0].dir) : NULL;
			state_run_list_free(runs, n);
		}
	}
	if (r == 0)
		r = dir ? state_run_read(dir, &run) : -ENOMEM;
	if (r < 0) {
		const char *hint = "all runs that are kept: gabion ps --all; a file is named with a slash: ./FILE";

		if (!word)
			cli_error("start one: gabion run -- COMMAND",
				  r == -ENOENT ? "no run is recorded yet" : "cannot read the state directory: %s",
				  strerror(-r));
		else if (r == -ENOTUNIQ)
			cli_error(hint, "several runs begin with '%s'", word);
		else
			cli_error(hint, r == -ENOENT ? "no run is called '%s'" : "cannot look for run '%s'", word);
		return false;
	}
	*ret_file = NULL;
	if (run.record)
		*ret_file = strdup(run.record);
	else if (asprintf(ret_file, "%s/record.jsonl", dir) < 0)
		*ret_file = NULL;
	memcpy(ret_id, run.id, sizeof(run.id));
	state_run_clear(&run);
	*ret_dir = STEAL(dir);
	return *ret_file != NULL;
}

/* Twice: stacks stand behind the refusals they belong to. */
static int show_all(struct view *v, int fd, bool tree)
{
	int r;

	v->stacks = json_object();
	v->looking = true;
	r = v->json ? 0 : take_all(v, fd);
	v->looking = false;
	v->len = 0;
	v->too_long = false;
	/* What cannot be read twice has no stacks beside its refusals. */
	if (r == 0 && !v->json && lseek(fd, 0, SEEK_SET) < 0)
		r = err_now();
	if (tree)
		v->tree = log_tree_new();
	if (r == 0)
		r = take_all(v, fd);
	if (r == 0 && v->tree)
		log_tree_print(v->tree, print_in_tree, v);
	v->tree = log_tree_free(v->tree);
	json_decref(v->stacks);
	return r;
}

int cli_log(int argc, char **argv)
{
	AUTO_FREE char *file = NULL;
	AUTO_FREE char *dir = NULL;
	struct view v = { .all = false };
	bool going_on = false, tree = false;
	enum option_id id;
	const char *value;
	int state = 0, status, r;

	do {
		if (!cli_option(COMMAND_LOG, argc, argv, &state, &id, &value, &status))
			return status;
		if (id == OPTION_ALL || id == OPTION_DENIED)
			v.all = id == OPTION_ALL;
		v.credentials = v.credentials || id == OPTION_CREDENTIALS;
		tree = tree || id == OPTION_TREE;
		v.json = v.json || id == OPTION_JSON;
		going_on = going_on || id == OPTION_FOLLOW;
	} while (id != OPTION_NONE);
	if (!cli_operands(COMMAND_LOG, argc, argv, state, 0, 1, &status))
		return status;
	if (tree && v.credentials) {
		cli_error(NULL, "--credentials has no --tree: requests are the run's, not a process's");
		return EXIT_GABION;
	}
	if (tree && (going_on || v.json)) {
		cli_error(NULL, "--tree is made when all is known: not with --follow or --json");
		return EXIT_GABION;
	}
	if (!find(argv[state], &file, &dir, v.run))
		return EXIT_GABION;
	AUTO_FD int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		cli_error(NULL, "cannot read the record %s: %m", file);
		return EXIT_GABION;
	}
	r = going_on ? follow(&v, fd, file, dir) : show_all(&v, fd, tree);
	free(v.line);
	if (r < 0) {
		if (r != -EPIPE)
			cli_error(NULL, "cannot read the record %s: %s", file, strerror(-r));
		return EXIT_GABION;
	}
	return cli_flush();
}
