/* `gabion ps [--all] [--json]`: the runs in progress, and with --all those that ended and are kept. */
#include "cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli_option.h"
#include "state.h"
#include "text.h"

static const char *status_word(enum run_status s)
{
	switch (s) {
	case RUN_RUNNING:
		return "running";
	case RUN_ENDED:
		return "ended";
	case RUN_CRASHED:
		return "crashed";
	case RUN_UNKNOWN:
	default:
		return "unknown";
	}
}

/* "42s", "7m", "3h", "12d". */
static void age(uint64_t since_ns, char *buf, size_t size)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t from = since_ns / 1000000000, to = (uint64_t)now.tv_sec, s = to > from ? to - from : 0;

	if (s < 60)
		snprintf(buf, size, "%llus", (unsigned long long)s);
	else if (s < 3600)
		snprintf(buf, size, "%llum", (unsigned long long)s / 60);
	else if (s < 86400)
		snprintf(buf, size, "%lluh", (unsigned long long)s / 3600);
	else
		snprintf(buf, size, "%llud", (unsigned long long)s / 86400);
}

static void show_or(const char *s, const char *otherwise)
{
	if (s && *s)
		text_show(stdout, s, strlen(s));
	else
		fputs(otherwise, stdout);
}

static void print_run(const struct state_run *run)
{
	char since[24], status[24], refused[24] = "-";

	age(run->started_ns, since, sizeof(since));
	snprintf(status, sizeof(status), "%s", status_word(run->status));
	if (run->status == RUN_ENDED) {
		snprintf(status, sizeof(status), "exit %d", run->exit_status);
		snprintf(refused, sizeof(refused), "%llu", (unsigned long long)run->refused);
	}
	printf("%-12s %5s  %-8s %7s  ", run->id, since, status, refused);
	show_or(run->workspace, "-");
	fputs("  ", stdout);
	show_or(run->command, "-");
	putchar('\n');
}

static json_t *run_json(const struct state_run *run)
{
	json_t *j = json_pack("{s:s, s:s, s:i, s:f, s:s, s:s, s:s}", "id", run->id, "state", status_word(run->status), "pid",
			      (int)run->pid, "started", (double)run->started_ns / 1e9, "command",
			      run->command ? run->command : "", "workspace", run->workspace ? run->workspace : "", "dir",
			      run->dir);

	if (j && run->status == RUN_ENDED) {
		(void)json_object_set_new(j, "ended", json_real((double)run->ended_ns / 1e9));
		(void)json_object_set_new(j, "exit_status", json_integer(run->exit_status));
		(void)json_object_set_new(j, "refused", json_integer((json_int_t)run->refused));
	}
	return j;
}

int cli_ps(int argc, char **argv)
{
	bool all = false, json = false;
	enum option_id id;
	const char *value;
	int state = 0, status;
	struct state_run *runs;
	size_t n;

	do {
		if (!cli_option(COMMAND_PS, argc, argv, &state, &id, &value, &status))
			return status;
		all = all || id == OPTION_ENDED;
		json = json || id == OPTION_JSON;
	} while (id != OPTION_NONE);
	if (!cli_operands(COMMAND_PS, argc, argv, state, 0, 0, &status))
		return status;
	int r = state_run_list(&runs, &n);

	if (r < 0) {
		cli_error("it is ${XDG_STATE_HOME:-~/.local/state}/gabion and must be your own",
			  "cannot read the state directory: %s", strerror(-r));
		return EXIT_GABION;
	}
	json_t *list = json ? json_array() : NULL;
	size_t shown = 0;

	for (size_t i = 0; i < n; i++) {
		if (!all && runs[i].status != RUN_RUNNING)
			continue;
		if (json) {
			(void)json_array_append_new(list, run_json(&runs[i]));
			continue;
		}
		if (!shown++)
			printf("%-12s %5s  %-8s %7s  %s\n", "RUN", "AGE", "STATE", "REFUSED", "WORKSPACE  COMMAND");
		print_run(&runs[i]);
	}
	if (json) {
		(void)json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(list);
	}
	state_run_list_free(runs, n);
	return cli_flush();
}
