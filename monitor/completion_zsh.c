/* `gabion completion zsh`. */
#include "completion.h"

#include <stdio.h>

#include "agent.h"
#include "profile.h"

static void zsh_value(const struct option_row *row)
{
	(void)printf(":");
	completion_quoted(row->arg, true, false);
	(void)printf(":");
	switch (row->hint) {
	case HINT_FILE:
		(void)printf("_files");
		break;
	case HINT_DIR:
		(void)printf("_files -/");
		break;
	case HINT_PROFILE:
		(void)printf("(");
		completion_words(profile_names(), " ");
		(void)printf(")");
		break;
	case HINT_AGENT:
		(void)printf("(");
		completion_words(agent_names(), " ");
		(void)printf(" none)");
		break;
	case HINT_MEDIATE:
		(void)printf("(auto all)");
		break;
	case HINT_SYSCALLS:
		(void)printf("(narrow usual wide)");
		break;
	case HINT_HOST:
		(void)printf("_hosts");
		break;
	case HINT_ENV:
		(void)printf("_parameters -g \"*export*\"");
		break;
	case HINT_USER:
		(void)printf("_users");
		break;
	case HINT_NONE:
	default:
		(void)printf(" ");
		break;
	}
}

static void zsh_option(const struct option_row *row)
{
	bool list = row->kind == KIND_PATH || row->kind == KIND_ENV || row->kind == KIND_STRING;

	(void)printf(" \\\n\t\t\t");
	if (row->letter)
		(void)printf("'(-%c --%s)'{-%c%s,--%s%s}'", row->letter, row->name, row->letter,
			     row->arg ? "+" : "", row->name, row->arg ? "=" : "");
	else
		(void)printf("'%s--%s%s", list && row->arg ? "*" : "", row->name, row->arg ? "=" : "");
	(void)printf("[");
	completion_quoted(row->help, true, false);
	(void)printf("]");
	if (row->arg)
		zsh_value(row);
	(void)printf("'");
}

void completion_zsh(void)
{
	(void)printf("#compdef gabion\n"
		     "# zsh completion for gabion, made by: gabion completion zsh\n"
		     "\n"
		     "# Ids of runs; with an argument only of those in progress.\n"
		     "_gabion_runs() {\n"
		     "\tlocal -a runs\n"
		     "\tlocal base=${XDG_STATE_HOME:-$HOME/.local/state}/gabion/runs\n"
		     "\tif [[ $1 == live ]]; then runs=($base/*/control.sock(N:h:t)); else "
		     "runs=($base/*(N/:t)); fi\n"
		     "\tcompadd -a runs\n"
		     "}\n"
		     "\n"
		     "# Completes what stands behind the -- that ends the options, of which those in $1 take "
		     "a value.\n"
		     "_gabion_behind() {\n"
		     "\tlocal i=2\n"
		     "\twhile (( i < CURRENT )); do\n"
		     "\t\tcase $words[i] in\n"
		     "\t\t--) shift $i words; (( CURRENT -= i )); _normal; return 0 ;;\n"
		     "\t\t-*) [[ \" $1 \" == *\" $words[i] \"* ]] && (( i++ )) ;;\n"
		     "\t\t*) return 1 ;;\n"
		     "\t\tesac\n"
		     "\t\t(( i++ ))\n"
		     "\tdone\n"
		     "\treturn 1\n"
		     "}\n"
		     "\n"
		     "_gabion() {\n"
		     "\tlocal curcontext=$curcontext state line ret=1\n"
		     "\tlocal -a subcommands\n"
		     "\tsubcommands=(\n");
	for (int c = COMMAND_TOP + 1; c < COMMAND_COUNT; c++) {
		(void)printf("\t\t'%s:", command_rows[c].name);
		completion_quoted(command_rows[c].summary, false, false);
		(void)printf("'\n");
	}
	(void)printf("\t)\n\t_arguments -C -S -A '-*'");
	for (size_t i = 1; i < OPTION_COUNT; i++) {
		if (completion_takes(COMMAND_TOP, &option_rows[i]))
			zsh_option(&option_rows[i]);
	}
	(void)printf(" \\\n\t\t'1: :->subcommand' '*:: :->rest' && ret=0\n"
		     "\tif [[ $state == subcommand ]]; then\n"
		     "\t\t_describe -t subcommands subcommand subcommands && ret=0\n"
		     "\t\treturn ret\n"
		     "\tfi\n"
		     "\t[[ $state == rest ]] || return ret\n"
		     "\tcurcontext=${curcontext%%:*:*}:gabion-$words[1]:\n"
		     "\tcase $words[1] in\n");
	for (int c = COMMAND_TOP + 1; c < COMMAND_COUNT; c++) {
		(void)printf("\t%s)\n", command_rows[c].name);
		if (command_rows[c].operand_hint == OPERAND_COMMAND) {
			(void)printf("\t\t_gabion_behind '");
			completion_valued(c);
			(void)printf("' && return\n");
		}
		(void)printf("\t\t_arguments -S -A '-*'");
		for (size_t i = 1; i < OPTION_COUNT; i++) {
			if (completion_takes(c, &option_rows[i]))
				zsh_option(&option_rows[i]);
		}
		(void)printf(" \\\n\t\t\t");
		switch (command_rows[c].operand_hint) {
		case OPERAND_COMMAND:
			(void)printf("'(-)1:command: _command_names -e' '*::arguments: _normal'");
			break;
		case OPERAND_SUBCOMMAND:
			(void)printf("'1:subcommand:(");
			completion_subcommands();
			(void)printf(")'");
			break;
		case OPERAND_RUN:
			(void)printf("'1:run: _gabion_runs'");
			break;
		case OPERAND_ALLOW:
			(void)printf("'1:run: _gabion_runs live' '2:kind:(%s)' '3:object: _files'",
				     completion_allow_kinds);
			break;
		case OPERAND_SHELL:
			(void)printf("'1:shell:(bash zsh fish)'");
			break;
		case OPERAND_CHECK:
			(void)printf("'1:policy: _files' '2:question:(read write exec connect)' '*:object: _files'");
			break;
		case OPERAND_NONE:
		default:
			(void)printf("':'");
			break;
		}
		(void)printf(" && ret=0\n\t\t;;\n");
	}
	(void)printf(
		"\tesac\n"
		"\treturn ret\n"
		"}\n"
		"\n"
		"# Loaded from a function directory this file is the function; sourced, it only defines it.\n"
		"if [[ $funcstack[1] == _gabion ]]; then\n"
		"\t_gabion \"$@\"\n"
		"else\n"
		"\tcompdef _gabion gabion\n"
		"fi\n");
}
