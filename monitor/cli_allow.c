/* `gabion allow RUN KIND OBJECT`: asks a run in progress to widen its policy; the run decides. */
#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_option.h"
#include "control.h"
#include "state.h"
#include "util/err.h"

/* A relative path is meant from here, not from where the run was started. Owned by the caller; NULL: no memory. */
static char *absolute(const char *kind, const char *object)
{
	AUTO_FREE char *cwd = NULL;
	char *path = NULL;

	if (strcmp(kind, "net") == 0 || strcmp(kind, "publish") == 0 || object[0] == '/' || !(cwd = getcwd(NULL, 0)))
		return strdup(object);
	return asprintf(&path, "%s/%s", cwd, object) < 0 ? NULL : path;
}

static int report(const char *run, int r, const char *text)
{
	if (r == 0) {
		printf("%s\n", text);
		return cli_flush();
	}
	if (text)
		cli_error(NULL, "run %s: %s", run, text);
	else if (r == -ENOENT || r == -ECONNREFUSED)
		cli_error("runs in progress: gabion ps", "run %s has ended", run);
	else if (r == -EACCES || r == -EPERM)
		cli_error("only the user who started it can, and nothing inside it", "run %s may not be widened from here", run);
	else
		cli_error(NULL, "run %s did not answer: %s", run, strerror(-r));
	return 1;
}

int cli_allow(int argc, char **argv)
{
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *object = NULL;
	enum option_id id;
	const char *value;
	int state = 0, status;

	if (!cli_option(COMMAND_ALLOW, argc, argv, &state, &id, &value, &status) ||
	    !cli_operands(COMMAND_ALLOW, argc, argv, state, 3, 3, &status))
		return status;
	const char *run = argv[state], *kind = argv[state + 1];
	int r = state_run_find(run, &dir);

	if (r < 0) {
		cli_error("runs in progress: gabion ps", r == -ENOTUNIQ ? "several runs begin with '%s'" :
			  r == -ENOENT ? "no run is called '%s'" : "cannot look for run '%s'", run);
		return EXIT_GABION;
	}
	object = absolute(kind, argv[state + 2]);
	if (!object) {
		cli_error(NULL, "out of memory");
		return EXIT_GABION;
	}
	r = control_ask_allow(dir, kind, object, &text);
	return report(run, r, text);
}
