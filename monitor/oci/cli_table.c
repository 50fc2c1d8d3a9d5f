/*
 * The table of the OCI runtime's command line expanded, options read by it, and help printed from it.
 *
 * Options are long ones with one dash or two, as Go's packages read them, or letters. They may stand behind operands, but
 * for exec and ps, whose operands are somebody else's command line, and for the global ones, which end at the command.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/oci/cli.h"
#include "util/err.h"

#define ON(command) (UINT32_C(1) << OCI_COMMAND_##command)
#define ON_ALL	    ((UINT32_C(1) << OCI_COMMAND_COUNT) - 1)

enum { LONG_BASE = 256 };

const struct oci_command_row oci_command_rows[OCI_COMMAND_COUNT] = {
#define OCI_CMD(id, cname, coperands, cmin, cmax, csummary)                                                            \
	[OCI_COMMAND_##id] = {                                                                                         \
		.name = (cname), .operands = (coperands), .min = (cmin), .max = (cmax), .summary = (csummary)},
#include "monitor/oci/cli.tbl"
};

const struct oci_option_row oci_option_rows[OCI_OPTION_COUNT] = {
#define OCI_OPT(ocommands, id, oletter, oname, oarg, ohelp)                                                            \
	[OCI_OPTION_##id] = {                                                                                          \
		.commands = (ocommands), .letter = (oletter), .name = (oname), .arg = (oarg), .help = (ohelp)},
#include "monitor/oci/cli.tbl"
};

bool oci_option_of(enum oci_command command, enum oci_option option)
{
	return option != OCI_OPTION_NONE && (oci_option_rows[option].commands & (UINT32_C(1) << command)) != 0;
}

static void print_option(FILE *out, const struct oci_option_row *row)
{
	char name[64];
	int n = snprintf(name, sizeof(name), "--%s%s%s", row->name, row->arg != NULL ? " " : "", row->arg != NULL ? row->arg : "");

	if (row->letter != 0 && n > 0 && (size_t)n < sizeof(name))
		snprintf(name + n, sizeof(name) - (size_t)n, ", -%c", row->letter);
	fprintf(out, "   %-34s  %s\n", name, row->help);
}

void oci_help(FILE *out, enum oci_command command)
{
	const struct oci_command_row *row = &oci_command_rows[command];

	fprintf(out, "NAME:\n   gabion-oci%s%s - %s\n\nUSAGE:\n   gabion-oci %s%s%s%s\n", row->name[0] != '\0' ? " " : "", row->name,
		row->summary, row->name, row->name[0] != '\0' ? " [OPTION]..." : "",
		row->operands[0] != '\0' && row->name[0] != '\0' ? " " : "", row->operands);
	if (command == OCI_COMMAND_TOP) {
		fputs("\nCOMMANDS:\n", out);
		for (int i = OCI_COMMAND_TOP + 1; i < OCI_COMMAND_COUNT; i++)
			fprintf(out, "   %-10s  %s\n", oci_command_rows[i].name, oci_command_rows[i].summary);
	}
	fputs(command == OCI_COMMAND_TOP ? "\nGLOBAL OPTIONS:\n" : "\nOPTIONS:\n", out);
	for (int i = 1; i < OCI_OPTION_COUNT; i++)
		if (oci_option_of(command, (enum oci_option)i))
			print_option(out, &oci_option_rows[i]);
}

bool oci_flag(const char *value)
{
	return value != NULL && strcmp(value, "false") != 0 && strcmp(value, "0") != 0;
}

/* Wrong use, as runc tells it: what is wrong, the help, and the sentence once more in the log. */
static int wrong_use(const struct oci_line *line, const char *text)
{
	struct oci_fault fault = OCI_FAULT_NULL;

	fprintf(stderr, "Incorrect Usage: %s\n\n", text);
	oci_help(stdout, line->command);
	(void)oci_fail(&fault, -EINVAL, "%s", text);
	return oci_report(line->globals, &fault);
}

static int check_operands(const struct oci_line *line)
{
	const struct oci_command_row *row = &oci_command_rows[line->command];
	const char *how = "exactly";
	char text[256];
	int wanted = row->min;

	if (line->operands_n >= row->min && (row->max < 0 || line->operands_n <= row->max))
		return 0;
	if (row->max != row->min)
		how = line->operands_n < row->min ? "a minimum of" : "a maximum of";
	if (line->operands_n > row->max && row->max >= 0)
		wanted = row->max;
	snprintf(text, sizeof(text), "gabion-oci: \"%s\" requires %s %d argument(s)", row->name, how, wanted);
	return wrong_use(line, text);
}

int oci_option(struct oci_line *line, enum oci_option *ret_option, const char **ret_value, int *ret_status)
{
	struct option longs[OCI_OPTION_COUNT];
	char letters[3 * OCI_OPTION_COUNT + 3] = "+:", text[256];
	bool stops = oci_command_rows[line->command].max < 0;
	int by_letter[128] = {0};
	size_t n = 0, s = 2;

	memset(longs, 0, sizeof(longs));
	for (int i = 1; i < OCI_OPTION_COUNT; i++) {
		const struct oci_option_row *row = &oci_option_rows[i];
		if (!oci_option_of(line->command, (enum oci_option)i))
			continue;
		longs[n].name = row->name;
		longs[n].has_arg = row->arg != NULL ? required_argument : optional_argument;
		longs[n++].val = LONG_BASE + i;
		if (row->letter != 0) {
			by_letter[(int)row->letter] = i;
			letters[s++] = row->letter;
			if (row->arg != NULL)
				letters[s++] = ':';
		}
	}
	letters[s] = '\0';
	if (!line->begun)
		optind = 0; /* glibc: begin anew */
	line->begun = true;
	opterr = 0;
	int c = getopt_long_only(line->argc, line->argv, letters + !stops, longs, NULL);
	if (c == -1) {
		line->operands = line->argv + optind;
		line->operands_n = line->argc - optind;
		*ret_status = line->command == OCI_COMMAND_TOP ? 0 : check_operands(line);
		return *ret_status != 0 ? -1 : 0;
	}
	if (c == '?' || c == ':') {
		const char *word = line->argv[optind - 1];
		if (c == ':')
			snprintf(text, sizeof(text), "flag needs an argument: %.120s", word);
		else
			snprintf(text, sizeof(text), "flag provided but not defined: -%.120s", word + strspn(word, "-"));
		*ret_status = wrong_use(line, text);
		return -1;
	}
	int id = c >= LONG_BASE ? c - LONG_BASE : by_letter[c & 127];
	if (id == OCI_OPTION_HELP) {
		oci_help(stdout, line->command);
		*ret_status = fflush(stdout) == 0 ? 0 : 1;
		return -1;
	}
	*ret_option = (enum oci_option)id;
	*ret_value = oci_option_rows[id].arg == NULL && optarg == NULL ? "true" : optarg;
	return 1;
}
