/*
 * `gabion syscalls [--json] [NAME|NUMBER]...`: the table as it is compiled in, so that what is printed cannot
 * drift from what is done. Without operands all of it.
 */
#include "cli.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli_option.h"
#include "table.h"
#include "util/err.h"

static const char *const legend =
	"kill     ends the process\n"
	"eperm    answered EPERM by the filter\n"
	"enosys   answered ENOSYS by the filter, as is every number not in the table\n"
	"allow    left to the kernel, some by value\n"
	"scalar   decided on plain numbers; may be left to the kernel\n"
	"recheck  left to the kernel, its result verified before the caller runs on\n"
	"emulate  performed by gabion on its own copy of the arguments\n"
	"list: the narrowest list of calls the row is in (narrow, usual, wide); what the policy's list lacks is\n"
	"refused.\n"
	"Where the plan says that the host's own means hold every rule of a family, its calls are left to "
	"the\n"
	"kernel (gabion explain).\n";

/* "int,fd,path" */
static void args_text(const struct sys_row *row, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < row->nargs && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? "," : "",
					table_arg_name((enum arg_kind)row->arg[i]));
}

static void print_row(const struct sys_row *row)
{
	char args[128];

	args_text(row, args, sizeof(args));
	(void)printf("%3d %-23s %-7s %-7s %-6s %s%s%s\n", row->nr, row->name, table_class_name(row->class),
		     table_family_name(row->family), table_list_name(row->list), args, *args && *row->note ? "  " : "",
		     *row->note ? row->note : "");
}

/* A row as a JSON object, or NULL: no memory. */
static json_t *row_json(const struct sys_row *row)
{
	json_t *args = json_array();

	for (int i = 0; i < row->nargs; i++)
		if (json_array_append_new(args, json_string(table_arg_name((enum arg_kind)row->arg[i]))) <
		    0) {
			json_decref(args);
			return NULL;
		}
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:s?, s:s}", "nr", row->nr, "name", row->name, "class",
			 table_class_name(row->class), "family", table_family_name(row->family), "list",
			 table_list_name(row->list), "args", args,
			 "handler", strcmp(row->handler, "none") == 0 ? NULL : row->handler, "note",
			 row->note);
}

static int print_json(const struct sys_row *const *rows, size_t n)
{
	json_t *all = json_array();
	int r = all == NULL ? -1 : 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = json_array_append_new(all, row_json(rows[i]));
	if (r < 0) {
		cli_error(NULL, "out of memory");
		json_decref(all);
		return EXIT_GABION;
	}
	/* What could not be written is what cli_flush() tells. */
	(void)json_dumpf(all, stdout, JSON_INDENT(2));
	(void)putchar('\n');
	json_decref(all);
	return cli_flush();
}

static int print_text(const struct sys_row *const *rows, size_t n, bool whole)
{
	(void)printf("%3s %-23s %-7s %-7s %-6s %s\n", "nr", "name", "class", "family", "list", "args  note");
	for (size_t i = 0; i < n; i++)
		print_row(rows[i]);
	if (whole)
		(void)printf("\n%s", legend);
	return cli_flush();
}

/* The row WORD means: a name, or a number in C's notation. NULL with a sentence printed. */
static const struct sys_row *find(const char *word)
{
	const struct sys_row *row = table_by_name(word);
	AUTO_FREE const char **names = NULL;
	const char *near = NULL;
	size_t n = 0;
	char *end;
	long nr;

	if (row != NULL)
		return row;
	errno = 0;
	nr = strtol(word, &end, 0);
	if (*word != '\0' && *end == '\0') {
		if (errno == 0 && nr >= 0 && nr <= INT_MAX)
			row = table_row((int)nr);
		if (row == NULL)
			cli_error("it is answered ENOSYS, like every number the table does not name",
				  "syscalls: no x86-64 system call has the number %s", word);
		return row;
	}
	names = calloc((size_t)table_end + 1, sizeof(*names));
	if (names != NULL) {
		for (int i = 0; i < table_end; i++)
			if (table_row(i) != NULL)
				names[n++] = table_row(i)->name;
		near = nearest_word(word, names);
	}
	if (near != NULL) {
		char hint[128];

		(void)snprintf(hint, sizeof(hint), "did you mean %s?", near);
		cli_error(hint, "syscalls: no x86-64 system call is called '%s'", word);
	} else {
		cli_error(NULL, "syscalls: no x86-64 system call is called '%s'", word);
	}
	return NULL;
}

int cli_syscalls(int argc, char **argv)
{
	AUTO_FREE const struct sys_row **rows = NULL;
	bool json = false, whole;
	enum option_id id;
	const char *value;
	int state = 0, status;
	size_t n = 0;

	do {
		if (!cli_option(COMMAND_SYSCALLS, argc, argv, &state, &id, &value, &status))
			return status;
		json = json || id == OPTION_JSON;
	} while (id != OPTION_NONE);
	whole = state >= argc;

	rows = calloc((size_t)table_end + (size_t)argc, sizeof(*rows));
	if (rows == NULL) {
		cli_error(NULL, "out of memory");
		return EXIT_GABION;
	}
	if (whole) {
		for (int nr = 0; nr < table_end; nr++)
			if (table_row(nr) != NULL)
				rows[n++] = table_row(nr);
	} else {
		for (int i = state; i < argc; i++) {
			rows[n] = find(argv[i]);
			if (rows[n++] == NULL)
				return EXIT_GABION;
		}
	}
	return json ? print_json(rows, n) : print_text(rows, n, whole);
}
