/*
 * The command line's table expanded, and looking things up in it: names, titles, and the word that somebody
 * who mistyped another most likely meant.
 */
#include "options_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/err.h"

#define IN(command) (UINT32_C(1) << COMMAND_##command)
#define IN_ALL	    ((UINT32_C(1) << COMMAND_COUNT) - 1)

const struct command_row command_rows[COMMAND_COUNT] = {
#define CMD(ident, cname, coperands, chint, csummary, cdetails)                                              \
	[COMMAND_##ident] = {                                                                                \
		.id = COMMAND_##ident,                                                                       \
		.name = (cname),                                                                             \
		.operands = (coperands),                                                                     \
		.operand_hint = (chint),                                                                     \
		.summary = (csummary),                                                                       \
		.details = (cdetails),                                                                       \
	},
#include "options.tbl"
};

const struct option_row option_rows[OPTION_COUNT] = {
#define OPT(ocommands, ogroup, ident, oletter, oname, oarg, okind, ohint, onot_yet, ohelp)                   \
	[OPTION_##ident] = {                                                                                 \
		.commands = (ocommands),                                                                     \
		.group = (ogroup),                                                                           \
		.id = OPTION_##ident,                                                                        \
		.letter = (oletter),                                                                         \
		.name = (oname),                                                                             \
		.arg = (oarg),                                                                               \
		.kind = (okind),                                                                             \
		.hint = (ohint),                                                                             \
		.not_yet = (onot_yet),                                                                       \
		.help = (ohelp),                                                                             \
	},
#include "options.tbl"
};

static const char *const group_titles[GROUP_COUNT] = {
	[GROUP_POLICY] = "Policy",
	[GROUP_FILES] = "Files (PATH may hold *, ?, [...] and **; each may be given several times)",
	[GROUP_NET] = "Network (off unless a rule names a host)",
	[GROUP_PROCESS] = "Process",
	[GROUP_LIMITS] = "Limits",
	[GROUP_RECORD] = "Record",
	[GROUP_OTHER] = "Other",
};

static const struct {
	const char *subject;
	const char *advice;
} not_yet_texts[] = {
	[NOT_YET_NONE] = {NULL, NULL},
};

const char *option_group_title(enum option_group g)
{
	return (size_t)g < ARRAY_LEN(group_titles) ? group_titles[g] : "";
}

const char *option_not_yet_subject(enum option_not_yet n)
{
	return (size_t)n < ARRAY_LEN(not_yet_texts) ? not_yet_texts[n].subject : NULL;
}

const char *option_not_yet_advice(enum option_not_yet n)
{
	return (size_t)n < ARRAY_LEN(not_yet_texts) ? not_yet_texts[n].advice : NULL;
}

enum command command_by_name(const char *name)
{
	for (int i = COMMAND_TOP + 1; i < COMMAND_COUNT; i++) {
		if (strcmp(command_rows[i].name, name) == 0)
			return (enum command)i;
	}
	return COMMAND_COUNT;
}

const char *nearest_command(const char *word)
{
	const char *names[COMMAND_COUNT] = {NULL};
	size_t n = 0;

	for (int i = COMMAND_TOP + 1; i < COMMAND_COUNT; i++)
		names[n++] = command_rows[i].name;
	return nearest_word(word, names);
}

int options_wrong(struct options_fault *ret_fault, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(ret_fault->text, sizeof(ret_fault->text), fmt, ap);
	va_end(ap);
	(void)snprintf(ret_fault->hint, sizeof(ret_fault->hint), "%s", hint ? hint : "");
	return OPTIONS_WRONG;
}
