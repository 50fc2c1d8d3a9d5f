/* `state`, `list`, `ps`: what there is, as runc prints it. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/oci/cli.h"
#include "util/err.h"
#include "util/fd.h"

/* The state of the specification and what runc adds to it. */
static json_t *whole_state(const struct oci_state *s, enum oci_status status)
{
	json_t *o = oci_state_json(s, status);

	if (o != NULL) {
		(void)json_object_set_new(o, "rootfs", json_string(s->rootfs != NULL ? s->rootfs : ""));
		(void)json_object_set_new(o, "created", json_string(s->created != NULL ? s->created : ""));
		(void)json_object_set_new(o, "owner", json_string(s->owner != NULL ? s->owner : ""));
	}
	return o;
}

static int load(const char *root, const char *id, struct oci_state *ret_s, struct oci_fault *fault)
{
	struct oci_handle h = OCI_HANDLE_NULL;
	int r = oci_state_peek(root, id, &h, fault);

	if (r == 0)
		r = oci_state_read(&h, ret_s, fault);
	oci_state_close(&h);
	return r;
}

/* --format: 0 table, 1 JSON, -1 neither. */
static int format_of(const char *value)
{
	return strcmp(value, "table") == 0 ? 0 : strcmp(value, "json") == 0 ? 1 : -1;
}

static int flush(const struct oci_line *line)
{
	struct oci_fault fault = OCI_FAULT_NULL;

	if (fflush(stdout) == 0)
		return 0;
	(void)oci_fail_errno(&fault, err_now(), "write to standard output");
	return oci_report(line->globals, &fault);
}

int oci_cli_state(struct oci_line *line)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	struct oci_state s = OCI_STATE_NULL;
	enum oci_option option;
	const char *value;
	int status = 0;

	if (oci_option(line, &option, &value, &status) < 0)
		return status;
	if (load(line->globals->root, line->operands[0], &s, &fault) < 0)
		return oci_report(line->globals, &fault);
	json_t *o = whole_state(&s, oci_state_status(&s));
	(void)json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
	oci_state_clear(&s);
	return flush(line);
}

/* The widest of COLUMN's texts, at least 12 with the gap of 3, as runc's tab writer has it. */
static void print_table(const json_t *list)
{
	static const char *const titles[] = {"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"};
	static const char *const keys[] = {"id", "pid", "status", "bundle", "created", "owner"};
	size_t widths[ARRAY_LEN(keys)];

	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		widths[k] = strlen(titles[k]);
		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *v = json_object_get(json_array_get(list, i), keys[k]);
			size_t n = json_is_integer(v) ? (size_t)snprintf(NULL, 0, "%" JSON_INTEGER_FORMAT, json_integer_value(v))
						      : json_string_length(v);
			widths[k] = n > widths[k] ? n : widths[k];
		}
		widths[k] = widths[k] + 3 > 12 ? widths[k] + 3 : 12;
	}
	for (size_t k = 0; k < ARRAY_LEN(keys); k++)
		printf("%-*s", k + 1 < ARRAY_LEN(keys) ? (int)widths[k] : 0, titles[k]);
	putchar('\n');
	for (size_t i = 0; i < json_array_size(list); i++) {
		for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
			const json_t *v = json_object_get(json_array_get(list, i), keys[k]);
			int width = k + 1 < ARRAY_LEN(keys) ? (int)widths[k] : 0;
			if (json_is_integer(v))
				printf("%-*" JSON_INTEGER_FORMAT, width, json_integer_value(v));
			else
				printf("%-*s", width, json_string_value(v));
		}
		putchar('\n');
	}
}

/* Who the state directory of a container belongs to: runc's owner in a list. */
static void set_owner(json_t *o, const char *root, const char *id)
{
	char path[4096];
	struct stat st;

	if (json_string_length(json_object_get(o, "owner")) > 0 ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", root, id) >= sizeof(path) || stat(path, &st) < 0)
		return;
	const struct passwd *p = getpwuid(st.st_uid);
	if (p != NULL) {
		(void)json_object_set_new(o, "owner", json_string(p->pw_name));
		return;
	}
	snprintf(path, sizeof(path), "#%u", (unsigned int)st.st_uid);
	(void)json_object_set_new(o, "owner", json_string(path));
}

int oci_cli_list(struct oci_line *line)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	const char *root = line->globals->root, *value;
	enum oci_option option;
	bool quiet = false;
	int status = 0, format = 0, more;
	char **ids;

	while ((more = oci_option(line, &option, &value, &status)) > 0) {
		if (option == OCI_OPTION_QUIET)
			quiet = oci_flag(value);
		else
			format = format_of(value);
	}
	if (more < 0)
		return status;
	if (format < 0) {
		(void)oci_fail(&fault, -EINVAL, "invalid format option");
		return oci_report(line->globals, &fault);
	}
	if (oci_state_list(root, &ids, &fault) < 0)
		return oci_report(line->globals, &fault);
	json_t *list = json_array();
	for (char **id = ids; *id != NULL; id++) {
		struct oci_state s = OCI_STATE_NULL;
		int r = load(root, *id, &s, &fault);
		if (r == 0) {
			json_t *o = whole_state(&s, oci_state_status(&s));
			set_owner(o, root, *id);
			(void)json_array_append_new(list, o);
			oci_state_clear(&s);
		} else if (r != -ENOENT) { /* deleted meanwhile */
			oci_log(OCI_WARNING, "load container %s: %s", *id, fault.text);
		}
		free(*id);
	}
	free(ids);
	if (quiet) {
		for (size_t i = 0; i < json_array_size(list); i++)
			printf("%s\n", json_string_value(json_object_get(json_array_get(list, i), "id")));
	} else if (format == 1) {
		(void)json_dumpf(list, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_table(list);
	}
	json_decref(list);
	return flush(line);
}

static bool has_pid(const pid_t *pids, size_t n, long pid)
{
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* Runs ps(1) with ARGS (NULL: -ef) and prints its header and the lines of PIDS. */
static int run_ps(char **args, const pid_t *pids, size_t n, struct oci_fault *fault)
{
	char name[] = "ps", all[] = "-ef", *line = NULL;
	char **argv;
	int pipes[2], count = 0, column = -1, status = 0;
	size_t size = 0;

	while (args[count] != NULL)
		count++;
	argv = calloc((size_t)count + 3, sizeof(*argv));
	if (argv == NULL || pipe(pipes) < 0) {
		free(argv);
		return oci_fail_errno(fault, err_now(), "ps");
	}
	argv[0] = name;
	argv[1] = all;
	for (int i = 0; i < count; i++)
		argv[1 + i] = args[i];
	pid_t child = fork();
	if (child == 0) {
		(void)dup2(pipes[1], STDOUT_FILENO);
		(void)close(pipes[0]);
		(void)close(pipes[1]);
		execvp("ps", argv);
		_exit(127);
	}
	free(argv);
	(void)close(pipes[1]);
	FILE *f = fdopen(pipes[0], "r");
	while (f != NULL && getline(&line, &size, f) > 0) {
		int at = 0;
		long pid = -1;
		AUTO_FREE char *copy = strdup(line);
		char *save = NULL;
		for (char *w = copy == NULL ? NULL : strtok_r(copy, " \n", &save); w != NULL; w = strtok_r(NULL, " \n", &save), at++) {
			if (column < 0 && strcmp(w, "PID") == 0) {
				column = at;
				pid = 0;
				break;
			}
			if (column == at)
				pid = strtol(w, NULL, 10);
		}
		if (column < 0)
			break;
		if (pid == 0 || has_pid(pids, n, pid))
			fputs(line, stdout);
	}
	free(line);
	if (f != NULL)
		fclose(f);
	else
		(void)close(pipes[0]);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (column < 0)
		return oci_fail(fault, -ENOENT, "couldn't find PID field in ps output (is ps installed?)");
	return 0;
}

int oci_cli_ps(struct oci_line *line)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	struct oci_state s = OCI_STATE_NULL;
	enum oci_option option;
	const char *value;
	int status = 0, format = 0, more;
	pid_t *pids = NULL;
	size_t n = 0;

	while ((more = oci_option(line, &option, &value, &status)) > 0)
		format = format_of(value);
	if (more < 0)
		return status;
	int r = format < 0 ? oci_fail(&fault, -EINVAL, "invalid format option")
			   : load(line->globals->root, line->operands[0], &s, &fault);
	if (r == 0 && s.cgroup != NULL)
		r = oci_cgroup_pids(s.cgroup, &pids, &n);
	/* without groups the first process is the one we know */
	if (r == 0 && n == 0 && oci_process_alive(s.init)) {
		free(pids);
		pids = calloc(1, sizeof(*pids));
		n = pids != NULL;
		if (pids != NULL)
			pids[0] = s.init.pid;
	}
	if (r == 0 && format == 1) {
		json_t *list = json_array();
		for (size_t i = 0; i < n; i++)
			(void)json_array_append_new(list, json_integer(pids[i]));
		(void)json_dumpf(list, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(list);
	} else if (r == 0) {
		r = run_ps(line->operands + 1, pids, n, &fault);
	}
	free(pids);
	oci_state_clear(&s);
	return r < 0 ? oci_report(line->globals, &fault) : flush(line);
}
