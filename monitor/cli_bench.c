/*
 * `gabion bench [OPTION]... [SECTION]...`: what make bench runs. The measuring is done by programs and scripts apart from gabion
 * (bench/), which lie beside a program that was built and not installed; here they are found and started, and no more.
 */
#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_option.h"
#include "environment.h"
#include "util/err.h"

/* The directory this program was built into, BUILD, and the script beside it; allocated. */
static int find(char **ret_script, char **ret_build)
{
	AUTO_FREE char *self = realpath("/proc/self/exe", NULL);
	AUTO_FREE char *script = NULL;
	AUTO_FREE char *program = NULL;
	char *slash = self ? strrchr(self, '/') : NULL;

	if (!slash)
		return -ENOENT;
	*slash = '\0';
	if (asprintf(&script, "%s/../bench/run.sh", self) < 0) {
		script = NULL;
		return -ENOMEM;
	}
	if (access(script, R_OK) < 0 || asprintf(&program, "%s/bench/ab", self) < 0)
		return err_now();
	if (access(program, X_OK) < 0)
		return err_now();
	*ret_script = STEAL(script);
	*ret_build = STEAL(self);
	return 0;
}

static int words(struct string_list *l, const char *script, const char *against, bool json, bool more, char *const *sections)
{
	int r = string_list_add(l, "bash");

	if (r == 0)
		r = string_list_add(l, script);
	if (r == 0 && json)
		r = string_list_add(l, "--json");
	if (r == 0 && more)
		r = string_list_add(l, "--long");
	if (r == 0 && against)
		r = string_list_add(l, "--against");
	if (r == 0 && against)
		r = string_list_add(l, against);
	for (; r == 0 && *sections; sections++)
		r = string_list_add(l, *sections);
	return r;
}

int cli_bench(int argc, char **argv)
{
	struct string_list l = {NULL, 0};
	AUTO_FREE char *script = NULL;
	AUTO_FREE char *build = NULL;
	const char *against = NULL, *value;
	bool json = false, more = false;
	enum option_id id;
	int state = 0, status, r;

	do {
		if (!cli_option(COMMAND_BENCH, argc, argv, &state, &id, &value, &status))
			return status;
		json = json || id == OPTION_JSON;
		more = more || id == OPTION_LONG;
		against = id == OPTION_AGAINST ? value : against;
	} while (id != OPTION_NONE);
	r = find(&script, &build);
	if (r < 0) {
		cli_error("in gabion's source tree `make bench` builds them, and measures",
			  "bench: the programs that measure are not beside this gabion: %s", strerror(-r));
		return EXIT_GABION;
	}
	r = words(&l, script, against, json, more, argv + state);
	if (r == 0 && build && setenv("BUILD", build, 1) < 0)
		r = err_now();
	if (r == 0) {
		(void)execvp(l.v[0], l.v);
		r = err_now();
	}
	string_list_free(&l);
	cli_error(NULL, "bench: bash: %s", strerror(-r));
	return EXIT_GABION;
}
