/*
 * Reading a command line by the table. getopt_long does the splitting, with "+" where options end at a
 * command whose own options follow (elsewhere they may come after operands); around it stands what it
 * leaves out: long options must be written out in full (an abbreviation that works today is another option
 * tomorrow), and whatever is wrong gets one sentence that says what was most likely meant.
 */
#include "options_table.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"
#include "environment.h"
#include "policy/lang.h"
#include "monitor/network.h"
#include "net_policy.h"
#include "profile.h"
#include "util/err.h"

/* What getopt_long hands back for a long option: above every letter. */
enum { LONG_BASE = 512 };

static bool takes(enum command command, const struct option_row *row)
{
	return row->id != OPTION_NONE && (row->commands & (UINT32_C(1) << command));
}

static const struct option_row *row_by_letter(enum command command, int letter)
{
	for (size_t i = 1; i < OPTION_COUNT; i++) {
		if (takes(command, &option_rows[i]) && option_rows[i].letter == letter && letter != 0)
			return &option_rows[i];
	}
	return NULL;
}

static const struct option_row *row_by_name(enum command command, const char *name, size_t len)
{
	for (size_t i = 1; i < OPTION_COUNT; i++) {
		const struct option_row *row = &option_rows[i];
		if (takes(command, row) && strlen(row->name) == len && memcmp(row->name, name, len) == 0)
			return row;
	}
	return NULL;
}

/* How to ask for the help of COMMAND. Static buffer. */
static const char *help_of(enum command command)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "gabion %s%s--help", command_rows[command].name,
		       command == COMMAND_TOP ? "" : " ");
	return text;
}

/* Adds "--NAME" of every option of COMMAND that begins with LETTER to TEXT: what a letter nobody takes would
 * stand for. */
static void add_by_letter(enum command command, char letter, char *text, size_t size)
{
	for (size_t i = 1; i < OPTION_COUNT; i++) {
		if (!takes(command, &option_rows[i]) || option_rows[i].name[0] != letter)
			continue;
		(void)snprintf(text + strlen(text), size - strlen(text), "%s--%s", *text ? " or " : "",
			       option_rows[i].name);
	}
}

/* An option nobody takes: ARG as it was written, one letter or a word. */
static int unknown_option(enum command command, const char *arg, struct options_fault *ret_fault)
{
	const char *names[OPTION_COUNT] = {NULL}, *near;
	const char *word = arg + strspn(arg, "-");
	char head[64], meant[128] = "", hint[256];
	size_t n = 0, len = strcspn(word, "=");

	(void)snprintf(head, sizeof(head), "%.*s", (int)(len < sizeof(head) ? len : sizeof(head) - 1), word);
	for (size_t i = 1; i < OPTION_COUNT; i++) {
		if (takes(command, &option_rows[i]))
			names[n++] = option_rows[i].name;
	}
	near = len > 1 ? nearest_word(head, names) : NULL;
	if (near)
		(void)snprintf(meant, sizeof(meant), "--%s", near);
	else if (len == 1)
		add_by_letter(command, head[0], meant, sizeof(meant));
	if (*meant)
		(void)snprintf(hint, sizeof(hint), "did you mean %s? All options: %s", meant,
			       help_of(command));
	else if (command == COMMAND_RUN)
		(void)snprintf(hint, sizeof(hint),
			       "options of the command itself come after it; all options: %s",
			       help_of(command));
	else
		(void)snprintf(hint, sizeof(hint), "all options: %s", help_of(command));
	return options_wrong(ret_fault, hint, "%s%sno option %.*s%.60s", command_rows[command].name,
			     command == COMMAND_TOP ? "" : " has ", (int)(word - arg), arg, head);
}

static int value_missing(const struct option_row *row, struct options_fault *ret_fault)
{
	return options_wrong(ret_fault, NULL, "--%s needs a value: --%s %s (%s)", row->name, row->name,
			     row->arg, row->help);
}

/* Looks at the next word before getopt_long does. */
static int check_word(enum command command, char *const *word, struct options_fault *ret_fault)
{
	const struct option_row *row;
	const char *name, *equals;
	size_t len;

	if (!word[0] || strncmp(word[0], "--", 2) != 0 || word[0][2] == '\0')
		return 0;
	name = word[0] + 2;
	equals = strchr(name, '=');
	len = equals ? (size_t)(equals - name) : strlen(name);
	row = row_by_name(command, name, len);
	if (!row)
		return unknown_option(command, word[0], ret_fault);
	if (!row->arg && equals)
		return options_wrong(ret_fault, NULL, "--%s takes no value", row->name);
	/* --read --write X: nobody has a file of that name. */
	if (row->arg && !equals && word[1] && strncmp(word[1], "--", 2) == 0 &&
	    (word[1][2] == '\0' || row_by_name(command, word[1] + 2, strcspn(word[1] + 2, "="))))
		return value_missing(row, ret_fault);
	return 0;
}

/* A letter nobody takes, in the word getopt_long is at. -workspace is a word with a dash missing, -qz two
 * letters. */
static int unknown_letter(enum command command, char *const *argv, struct options_fault *ret_fault)
{
	const char *names[OPTION_COUNT] = {NULL};
	char letter[] = {'-', (char)optopt, '\0'};
	size_t n = 0;

	for (size_t i = 1; i < OPTION_COUNT; i++) {
		if (takes(command, &option_rows[i]))
			names[n++] = option_rows[i].name;
	}
	/* It stands in the word at optind, or in the one before where it was its last. */
	for (int i = optind; i >= optind - 1; i--) {
		if (argv[i] && argv[i][0] == '-' && strlen(argv[i]) > 3 && argv[i][1] == optopt &&
		    nearest_word(argv[i] + 1, names))
			return unknown_option(command, argv[i], ret_fault);
	}
	return unknown_option(command, letter, ret_fault);
}

/* Does another program's command line follow, so that options end at the first operand? */
static bool ends_at_operand(enum command command)
{
	return command == COMMAND_TOP || command == COMMAND_RUN || command == COMMAND_EXPLAIN;
}

/* The word getopt_long will come to next: operands are passed over where options may follow them. */
static char *const *next_word(enum command command, char *const *word)
{
	while (!ends_at_operand(command) && word[0] && (word[0][0] != '-' || word[0][1] == '\0'))
		word++;
	return word;
}

int options_next(enum command command, int argc, char **argv, int *state, enum option_id *ret_id,
		 const char **ret_value, struct options_fault *ret_fault)
{
	struct option longs[OPTION_COUNT];
	char shorts[2 * OPTION_COUNT + 3] = "+:";
	const struct option_row *row;
	size_t n = 0, s = 2;
	int c, r;

	memset(longs, 0, sizeof(longs));
	for (size_t i = 1; i < OPTION_COUNT; i++) {
		row = &option_rows[i];
		if (!takes(command, row))
			continue;
		longs[n].name = row->name;
		longs[n].has_arg = row->arg ? required_argument : no_argument;
		longs[n++].val = LONG_BASE + (int)i;
		if (row->letter) {
			shorts[s++] = row->letter;
			if (row->arg)
				shorts[s++] = ':';
		}
	}
	shorts[s] = '\0';
	/* The "+" is left out where it does not hold. */
	const char *form = shorts + !ends_at_operand(command);
	if (*state == 0)
		optind = 0; /* glibc: begin anew */
	opterr = 0;
	r = check_word(command, next_word(command, argv + (*state ? optind : 1)), ret_fault);
	if (r != 0)
		return r;
	c = getopt_long(argc, argv, form, longs, NULL);
	*state = optind;
	if (c == -1) {
		*ret_id = OPTION_NONE;
		*ret_value = NULL;
		return 0;
	}
	if (c == ':') {
		row = row_by_letter(command, optopt);
		if (!row && optopt >= LONG_BASE)
			row = &option_rows[optopt - LONG_BASE];
		return value_missing(row ? row : &option_rows[OPTION_HELP], ret_fault);
	}
	if (c == '?')
		return unknown_letter(command, argv, ret_fault);
	row = c >= LONG_BASE ? &option_rows[c - LONG_BASE] : row_by_letter(command, c);
	if (!row)
		return options_wrong(ret_fault, help_of(command), "cannot read the options");
	if (row->arg && (!optarg || *optarg == '\0'))
		return value_missing(row, ret_fault);
	if (row->id == OPTION_HELP)
		return OPTIONS_HELP;
	if (row->not_yet != NOT_YET_NONE)
		return options_wrong(
			ret_fault, NULL, "--%s is not there yet: it arrives with %s (docs/LIMITS.md); %s",
			row->name, option_not_yet_subject(row->not_yet), option_not_yet_advice(row->not_yet));
	*ret_id = row->id;
	*ret_value = optarg;
	return 0;
}

/* A name of NAMES, with the nearest one as advice. */
static int check_name(const char *value, const char *what, const char *const *names, const char *more,
		      struct options_fault *ret_fault)
{
	char all[256] = "";
	const char *near;

	if (more && strcmp(value, more) == 0)
		return 0;
	for (const char *const *n = names; *n; n++) {
		if (strcmp(value, *n) == 0)
			return 0;
		(void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", all[0] ? ", " : "", *n);
	}
	if (more)
		(void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", all[0] ? ", " : "",
			       more);
	near = nearest_word(value, names);
	if (near)
		return options_wrong(ret_fault, all,
				     "no %s is called '%.80s': did you mean %s? There are:", what, value,
				     near);
	return options_wrong(ret_fault, all, "no %s is called '%.80s'; there are:", what, value);
}

static int amount_wrong(const struct option_row *row, const char *value, int err,
			struct options_fault *ret_fault)
{
	const char *form = "";

	switch (row->kind) {
	case KIND_SIZE:
		form = "a size is a whole number with k, m, g or t, and at least 1m: 512m, 2g";
		break;
	case KIND_DURATION:
		form = "a time is whole numbers with d, h, m, s or ms, the largest first: 30s, 5m, 1h30m";
		break;
	case KIND_CPUS:
		form = "a number of processors is decimal and at least 0.01: 2, 1.5";
		break;
	case KIND_PIDS:
		form = "a number of processes is whole, from 1 to 4194304: 500";
		break;
	case KIND_FLAG:
	case KIND_STRING:
	case KIND_PATH:
	case KIND_PROFILE:
	case KIND_AGENT:
	case KIND_MEDIATE:
	case KIND_SYSCALLS:
	case KIND_ENV:
	case KIND_USER:
	default:
		break;
	}
	return options_wrong(ret_fault, form, "--%s '%.80s' is %s", row->name, value,
			     err == -ERANGE ? "out of range" : "no such amount");
}

static int user_wrong(const char *value, int err, struct options_fault *ret_fault)
{
	size_t len = strcspn(value, ":");

	if (err == -ENOENT)
		return options_wrong(ret_fault, "a number works without an account: --user 1000:1000",
				     "--user: no user is called '%.*s'", len < 80 ? (int)len : 80, value);
	if (err == -ESRCH)
		return options_wrong(ret_fault, "a number works without an account: --user 1000:1000",
				     "--user: no group is called '%.80s'", value + len + 1);
	return options_wrong(ret_fault,
			     "USER[:GROUP], names or numbers below 4294967295: 1000, 1000:100, build:build",
			     "--user '%.80s' names no user", value);
}

static int env_wrong(const char *value, struct options_fault *ret_fault)
{
	return options_wrong(ret_fault,
			     "NAME passes the variable, NAME=VALUE sets it; a name has letters, digits and _",
			     "--env '%.80s' names no variable", value);
}

static bool env_name_ok(const char *s)
{
	size_t n = strcspn(s, "=");

	return n > 0 && (s[0] < '0' || s[0] > '9') &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") >= n;
}

/* The list of O an option adds to, or NULL. */
static struct string_list *list_of(struct run_options *o, enum option_id id)
{
	switch ((int)id) {
	case OPTION_READ:
		return &o->read;
	case OPTION_WRITE:
		return &o->write;
	case OPTION_EXEC:
		return &o->exec;
	case OPTION_HIDE:
		return &o->hide;
	case OPTION_PROTECT:
		return &o->protect;
	case OPTION_UNHIDE:
		return &o->unhide;
	case OPTION_UNPROTECT:
		return &o->unprotect;
	case OPTION_ENV:
		return &o->env;
	default:
		return NULL;
	}
}

/* The list of rules about the network an option adds to, or NULL. */
static struct said_list *said_of(struct run_options *o, enum option_id id)
{
	switch ((int)id) {
	case OPTION_NET:
		return &o->net;
	case OPTION_UNIX:
		return &o->unix_sockets;
	case OPTION_PUBLISH:
		return &o->publish;
	default:
		return NULL;
	}
}

/* Where an option's plain string goes, or NULL. */
static const char **string_of(struct run_options *o, enum option_id id)
{
	switch ((int)id) {
	case OPTION_POLICY:
		return &o->policy_file;
	case OPTION_PROFILE:
		return &o->profile;
	case OPTION_AGENT:
		return &o->agent;
	case OPTION_WORKSPACE:
		return &o->workspace;
	case OPTION_AUDIT:
		return &o->audit;
	default:
		return NULL;
	}
}

/* Rules about the network are read again with all others; here it is said at once what is wrong with one. */
static int check_network(const struct option_row *row, const char *value, struct options_fault *ret_fault)
{
	struct net_text text = {.text = value, .origin = "--net"};
	struct network_publish publish;
	struct net_fault fault;
	struct net_policy *p;
	const char *why;
	int r;

	if (row->id == OPTION_NET) {
		r = net_policy_compile(&text, 1, &p, &fault);
		if (r == 0)
			net_policy_free(p);
		if (r != -EINVAL)
			return r;
		return options_wrong(ret_fault, "HOST, HOST:PORT, *.DOMAIN, ADDRESS or NETWORK/BITS; gabion(1) has all forms",
				     "--net %s", fault.text);
	}
	if (row->id == OPTION_PUBLISH && network_publish_parse(value, &publish, &why) < 0)
		return options_wrong(ret_fault, why, "--publish '%.80s' names no ports", value);
	if (row->id == OPTION_UNIX && value[0] != '/')
		return options_wrong(ret_fault, "the path is absolute: --unix /run/postgresql/.s.PGSQL.5432",
				     "--unix '%.80s' is no socket's path", value);
	return 0;
}

/* Checks VALUE by ROW's kind; amounts are stored here. */
static int take_value(struct run_options *o, const struct option_row *row, const char *value,
		      struct options_fault *ret_fault)
{
	static const char *const mediate[] = {"auto", "all", NULL};
	const char *lists[LIST_COUNT + 1] = {NULL};
	int r = 0;

	switch (row->kind) {
	case KIND_PROFILE:
		return check_name(value, "profile", profile_names(), NULL, ret_fault);
	case KIND_AGENT:
		return check_name(value, "agent", agent_names(), "none", ret_fault);
	case KIND_MEDIATE:
		r = check_name(value, "way to mediate", mediate, NULL, ret_fault);
		if (r == 0) {
			o->mediate_all = strcmp(value, "all") == 0;
			o->mediate_set = true;
		}
		return r;
	case KIND_SYSCALLS:
		for (int i = 0; i < LIST_COUNT; i++)
			lists[i] = table_list_name((enum sys_list)i);
		r = check_name(value, "list of system calls", lists, NULL, ret_fault);
		for (int i = 0; r == 0 && i < LIST_COUNT; i++)
			if (strcmp(value, lists[i]) == 0)
				o->syscalls = (enum sys_list)i;
		o->syscalls_set = r == 0;
		return r;
	case KIND_ENV:
		return env_name_ok(value) ? 0 : env_wrong(value, ret_fault);
	case KIND_USER:
		r = value_user(value, &o->uid, &o->gid);
		if (r < 0)
			return user_wrong(value, r, ret_fault);
		o->user_set = true;
		return 0;
	case KIND_SIZE:
		r = value_size(value, &o->memory);
		break;
	case KIND_CPUS:
		r = value_cpus(value, &o->cpus);
		break;
	case KIND_PIDS:
		r = value_pids(value, &o->pids);
		break;
	case KIND_DURATION:
		r = value_duration(value, &o->timeout_ms);
		break;
	case KIND_FLAG:
		if (row->id == OPTION_QUIET)
			o->quiet = true;
		if (row->id == OPTION_BPF)
			o->bpf = true;
		if (row->id == OPTION_STACKS)
			o->audit_stacks = AUDIT_DENIED;
		return 0;
	case KIND_PATH:
		return 0;
	case KIND_STRING:
		return check_network(row, value, ret_fault);
	default:
		return 0;
	}
	return r < 0 ? amount_wrong(row, value, r, ret_fault) : 0;
}

static int take_option(struct run_options *o, enum option_id id, const char *value,
		       struct options_fault *ret_fault)
{
	struct string_list *list = list_of(o, id);
	struct said_list *said = said_of(o, id);
	const char **string = string_of(o, id);
	char origin[32];
	int r = take_value(o, &option_rows[id], value, ret_fault);

	if (r == 0 && id == OPTION_DENY_EXEC)
		r = exec_deny_add(&o->exec_deny, value, NULL, "--deny-exec");
	if (r != 0)
		return r;
	if (list)
		return string_list_add(list, value);
	(void)snprintf(origin, sizeof(origin), "--%s", option_rows[id].name);
	if (said)
		return said_add(said, value, origin);
	if (string)
		*string = value;
	return 0;
}

int options_parse(enum command command, int argc, char **argv, struct run_options *ret_o, bool *ret_json,
		  struct options_fault *ret_fault)
{
	struct run_options o = RUN_OPTIONS_NULL;
	int state = 0, r;
	bool json = false;

	for (;;) {
		enum option_id id;
		const char *value;

		r = options_next(command, argc, argv, &state, &id, &value, ret_fault);
		if (r != 0)
			goto fail;
		if (id == OPTION_NONE)
			break;
		if (id == OPTION_JSON)
			json = true;
		r = take_option(&o, id, value, ret_fault);
		if (r != 0)
			goto fail;
	}
	o.command = argv + state;
	if (command == COMMAND_RUN && (!o.command[0] || o.command[0][0] == '\0')) {
		r = options_wrong(ret_fault, "for example: gabion run -- bash", "run: no command to run");
		goto fail;
	}
	if (o.policy_file && o.profile) {
		r = options_wrong(ret_fault, "say in the file what it starts from: extends: agent",
				  "--policy and --profile cannot both be given");
		goto fail;
	}
	if (!o.profile)
		o.profile = "agent";
	*ret_o = o;
	if (ret_json)
		*ret_json = json;
	return 0;
fail:
	run_options_clear(&o);
	return r;
}

void run_options_clear(struct run_options *o)
{
	struct string_list *lists[] = {&o->read,    &o->write,	&o->exec,      &o->hide,
				       &o->protect, &o->unhide, &o->unprotect, &o->env,
				       &o->env_pass, &o->env_set};
	struct said_list *said[] = {&o->net, &o->unix_sockets, &o->publish, &o->net_host, &o->groups};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		string_list_free(lists[i]);
	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		said_free(said[i]);
	exec_deny_free(&o->exec_deny);
	tmpfs_free(&o->tmpfs);
	credential_list_free(&o->credentials);
	lang_free(o->policy);
	*o = RUN_OPTIONS_NULL;
}
