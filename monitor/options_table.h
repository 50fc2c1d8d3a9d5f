/*
 * The command line's table (options.tbl) as C: subcommands, options, and the reading of one by the other.
 * Nothing here prints; a wrong option is a fault with a sentence and a hint in it.
 */
#ifndef GABION_MONITOR_OPTIONS_TABLE_H
#define GABION_MONITOR_OPTIONS_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "policy/value.h"

enum command {
#define CMD(id, ...) COMMAND_##id,
#include "options.tbl"
	COMMAND_COUNT
};

enum option_id {
	OPTION_NONE = 0,
#define OPT(commands, group, id, ...) OPTION_##id,
#include "options.tbl"
	OPTION_COUNT
};

/* What a value must look like. */
enum option_kind {
	KIND_FLAG = 0, /* no value */
	KIND_STRING,   /* anything but nothing */
	KIND_PATH,
	KIND_PROFILE,
	KIND_AGENT,
	KIND_MEDIATE,
	KIND_SYSCALLS,
	KIND_ENV,
	KIND_USER,
	KIND_SIZE,
	KIND_CPUS,
	KIND_PIDS,
	KIND_DURATION,
};

/* What a shell may offer for a value. */
enum option_hint {
	HINT_NONE = 0,
	HINT_FILE,
	HINT_DIR,
	HINT_PROFILE,
	HINT_AGENT,
	HINT_MEDIATE,
	HINT_SYSCALLS,
	HINT_HOST,
	HINT_ENV,
	HINT_USER
};

/* What a shell may offer for operands. */
enum operand_hint {
	OPERAND_NONE = 0,
	OPERAND_COMMAND, /* a program and its own arguments */
	OPERAND_SUBCOMMAND,
	OPERAND_RUN,   /* a run that was recorded */
	OPERAND_ALLOW, /* a live run, a kind, an object */
	OPERAND_SHELL,
	OPERAND_CHECK, /* a policy file, a question, objects */
};

enum option_group {
	GROUP_POLICY = 0,
	GROUP_FILES,
	GROUP_NET,
	GROUP_PROCESS,
	GROUP_LIMITS,
	GROUP_RECORD,
	GROUP_OTHER,
	GROUP_COUNT
};

/* The issue an option arrives with. */
enum option_not_yet { NOT_YET_NONE = 0 };

struct command_row {
	enum command id;
	const char *name;
	const char *operands;
	enum operand_hint operand_hint;
	const char *summary;
	const char *details;
};

struct option_row {
	uint32_t commands; /* set of 1 << enum command */
	enum option_group group;
	enum option_id id;
	char letter; /* 0: none */
	const char *name;
	const char *arg; /* NULL: takes no value */
	enum option_kind kind;
	enum option_hint hint;
	enum option_not_yet not_yet;
	const char *help;
};

extern const struct command_row command_rows[COMMAND_COUNT];
extern const struct option_row option_rows[OPTION_COUNT]; /* [OPTION_NONE] is empty */

const char *option_group_title(enum option_group g);
/* What arrives ("the network") and how things are without it ("run without it: the network is off"). NULL for
 * NOT_YET_NONE. */
const char *option_not_yet_subject(enum option_not_yet n);
const char *option_not_yet_advice(enum option_not_yet n);
/* The subcommand called NAME, or COMMAND_COUNT. */
enum command command_by_name(const char *name);
/* The subcommand nearest to WORD, or NULL. */
const char *nearest_command(const char *word);

/* What is wrong, for people. */
struct options_fault {
	char text[512];
	char hint[512]; /* may be empty */
};

/* Writes a fault: returns OPTIONS_WRONG, for `return options_wrong(...)`. HINT may be NULL. */
int options_wrong(struct options_fault *ret_fault, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Results of reading a command line beside 0. */
enum { OPTIONS_WRONG = 1, OPTIONS_HELP = 2 };

/*
 * Reads one option of COMMAND from ARGV (argv[0] is the subcommand). *STATE is 0 before the first call.
 * Options end at the first operand or behind "--"; then RET_ID is OPTION_NONE and *STATE is the index of the
 * first operand. Returns 0; OPTIONS_HELP for -h; OPTIONS_WRONG with RET_FAULT filled. Not for several threads
 * (getopt_long).
 */
int options_next(enum command command, int argc, char **argv, int *state, enum option_id *ret_id,
		 const char **ret_value, struct options_fault *ret_fault);

/*
 * Reads the command line of `gabion run` or `gabion explain` (COMMAND) into RET_O, which holds pointers into
 * ARGV and allocated lists: run_options_clear() it. For COMMAND_EXPLAIN the command may be empty; RET_JSON
 * (may be NULL) tells whether --json was given. Returns 0, OPTIONS_HELP, OPTIONS_WRONG (RET_FAULT is filled),
 * -ENOMEM.
 */
int options_parse(enum command command, int argc, char **argv, struct run_options *ret_o, bool *ret_json,
		  struct options_fault *ret_fault);
void run_options_clear(struct run_options *o);

#endif
