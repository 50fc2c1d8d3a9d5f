/* `exec`. Its failures are status 255, as under runc, so that they are told from the process's own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/oci/cli.h"
#include "monitor/oci/container.h"
#include "util/err.h"

enum { EXEC_FAILED = 255 };

struct words {
	const char **v; /* ended by NULL */
	size_t n;
};

static int words_add(struct words *w, const char *text)
{
	const char **v = reallocarray(w->v, w->n + 2, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	v[w->n++] = text;
	v[w->n] = NULL;
	w->v = v;
	return 0;
}

static int groups_add(gid_t **groups, size_t *n, const char *value, struct oci_fault *fault)
{
	int64_t gid;

	if (oci_integer(value, &gid) < 0 || gid < 0 || gid > UINT32_MAX)
		return oci_fail(fault, -EINVAL, "invalid value \"%.80s\" for flag -additional-gids", value);
	gid_t *v = reallocarray(*groups, *n + 1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	v[(*n)++] = (gid_t)gid;
	*groups = v;
	return 0;
}

static int take(enum oci_option option, const char *value, struct oci_exec_options *o, struct words *env, struct words *caps,
		gid_t **groups, struct oci_fault *fault)
{
	int64_t number;

	switch ((int)option) {
	case OCI_OPTION_CONSOLE_SOCKET:
		o->console_socket = value;
		return 0;
	case OCI_OPTION_PID_FILE:
		o->pid_file = value;
		return 0;
	case OCI_OPTION_PRESERVE_FDS:
		if (oci_integer(value, &number) < 0 || number < 0 || number > 1000000)
			return oci_fail(fault, -EINVAL, "invalid value \"%.80s\" for flag -preserve-fds", value);
		o->preserve_fds = (unsigned int)number;
		return 0;
	case OCI_OPTION_DETACH:
		o->detach = oci_flag(value);
		return 0;
	case OCI_OPTION_TTY:
		o->tty = oci_flag(value);
		return 0;
	case OCI_OPTION_CWD:
		o->cwd = value;
		return 0;
	case OCI_OPTION_ENV:
		return words_add(env, value);
	case OCI_OPTION_CAP:
		return words_add(caps, value);
	case OCI_OPTION_USER:
		o->user = value;
		return 0;
	case OCI_OPTION_ADDITIONAL_GIDS:
		return groups_add(groups, &o->groups_n, value, fault);
	case OCI_OPTION_PROCESS:
		o->process = value;
		return 0;
	case OCI_OPTION_PROCESS_LABEL:
		o->process_label = value;
		return 0;
	case OCI_OPTION_APPARMOR:
		o->apparmor = value;
		return 0;
	case OCI_OPTION_NO_NEW_PRIVS:
		o->no_new_privs = oci_flag(value);
		return 0;
	case OCI_OPTION_CGROUP:
		o->cgroup = value;
		return 0;
	case OCI_OPTION_IGNORE_PAUSED:
		o->ignore_paused = oci_flag(value);
		return 0;
	default:
		return 0;
	}
}

int oci_cli_exec(struct oci_line *line)
{
	struct oci_exec_options o = OCI_EXEC_OPTIONS_NULL;
	struct oci_fault fault = OCI_FAULT_NULL;
	struct words env = {.v = NULL}, caps = {.v = NULL};
	gid_t *groups = NULL;
	enum oci_option option;
	const char *value;
	int status = 0, more, r = 0;

	while (r == 0 && (more = oci_option(line, &option, &value, &status)) != 0) {
		if (more < 0)
			goto out;
		r = take(option, value, &o, &env, &caps, &groups, &fault);
	}
	if (r == 0) {
		o.root = line->globals->root;
		o.id = line->operands[0];
		o.args = line->operands + 1;
		o.env = env.v;
		o.caps = caps.v;
		o.groups = groups;
		if (o.process == NULL && line->operands_n < 2)
			r = oci_fail(&fault, -EINVAL, "process args cannot be empty");
	}
	if (r == 0)
		r = oci_exec(&o, &status, &fault);
	if (r < 0) {
		(void)oci_fail_in(&fault, r, "exec failed");
		(void)oci_report(line->globals, &fault);
		status = EXEC_FAILED;
	}
out:
	free(env.v);
	free(caps.v);
	free(groups);
	return status;
}
