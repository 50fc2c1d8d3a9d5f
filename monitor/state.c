/*
 * The state directory. Directories are made with mode 0700 and must belong to us: what others could change is not
 * used. run.json is replaced by rename, so a reader sees an old or a new one, never half of one.
 *
 * A run that says it runs is believed only while a process with its pid and its start time exists.
 *
 * Pruning looks at runs that do not run, oldest first, and removes them while there are more than 50 or they hold
 * more than 200 MiB. Two gabions may prune at once: what is gone already is no failure.
 */
#include "state.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "text.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	KEEP_RUNS = 50,
	SLACK_RUNS = 8, /* so many are removed at once, so that not every start pays for a look at all */
	YOUNG_S = 600, /* a directory without run.json may be a run that just begins */
	DEPTH_MAX = 8,
};

#define KEEP_BYTES (200ull << 20)
#define EPOCH 1704067200ull /* ids count seconds from 2024 */

static uint64_t realtime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* mkdir -p with mode 0700 for what is made. */
static int make_path(char *path)
{
	for (char *p = path + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char c = *p;

		*p = 0;
		int r = mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : err_now();

		*p = c;
		if (r < 0 || !c)
			return r;
	}
}

/* PATH is a directory, no link, ours, open to us (a guest may have closed its home) and closed to others. */
static int check_ours(const char *path)
{
	AUTO_FD int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char link[40];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_now();
	if (st.st_uid != geteuid())
		return -EPERM;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if ((st.st_mode & 0777) != 0700 && chmod(link, 0700) < 0)
		return err_now();
	return 0;
}

/* BASE/NAME, made and checked. Consumes nothing; RET_PATH is the caller's. */
static int sub_dir(const char *base, const char *name, char **ret_path)
{
	AUTO_FREE char *path = NULL;
	int r;

	if (asprintf(&path, "%s/%s", base, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = check_ours(path);
	if (r == -ENOENT) {
		r = make_path(path);
		if (r == 0)
			r = check_ours(path);
	}
	if (r < 0)
		return r;
	*ret_path = STEAL(path);
	return 0;
}

int state_dir(char **ret_path)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (xdg && xdg[0] == '/')
		return sub_dir(xdg, "gabion", ret_path);
	if (!home || home[0] != '/') {
		const struct passwd *pw = getpwuid(geteuid());

		home = pw ? pw->pw_dir : NULL;
	}
	if (!home || home[0] != '/')
		return -ENOENT;
	return sub_dir(home, ".local/state/gabion", ret_path);
}

/* One component, nothing hidden, no way up. */
static bool name_ok(const char *name)
{
	return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX;
}

int state_home(const char *profile, char **ret_path)
{
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *homes = NULL;
	int r;

	if (!name_ok(profile))
		return -EINVAL;
	r = state_dir(&dir);
	if (r == 0)
		r = sub_dir(dir, "home", &homes);
	return r < 0 ? r : sub_dir(homes, profile, ret_path);
}

static int runs_dir(char **ret_path)
{
	AUTO_FREE char *dir = NULL;
	int r = state_dir(&dir);

	return r < 0 ? r : sub_dir(dir, "runs", ret_path);
}

/* -- run.json -- */

/* Start time of PID in clock ticks since boot (field 22 of stat); 0 where there is no such process. */
static uint64_t start_ticks(pid_t pid)
{
	char path[40], buf[1024];
	unsigned long long ticks = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return 0;
	buf[n] = 0;
	/* The name in parentheses may hold anything; state is the third field, after the last parenthesis. */
	const char *p = strrchr(buf, ')');
	char s = 0;

	if (!p || sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &s,
			 &ticks) != 2)
		return 0;
	return s == 'Z' || s == 'X' ? 0 : ticks;
}

static int write_json(const char *dir, const json_t *j)
{
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *tmp = NULL;
	int r = 0;

	if (asprintf(&path, "%s/run.json", dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (asprintf(&tmp, "%s/.run.json.%d", dir, getpid()) < 0) {
		tmp = NULL;
		return -ENOMEM;
	}
	AUTO_FREE char *text = json_dumps(j, JSON_INDENT(1) | JSON_PRESERVE_ORDER);

	if (!text)
		return -ENOMEM;
	size_t len = strlen(text);
	AUTO_FD int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_now();
	text[len] = '\n'; /* in the place of the NUL */
	errno = 0;
	if (write(fd, text, len + 1) != (ssize_t)len + 1)
		r = err_now();
	/* A file that rename() replaces is written to disk at once (ext4, auto_da_alloc); one that changes places is not. */
	else if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
		(void)unlink(tmp);
	else if (rename(tmp, path) < 0)
		r = err_now();
	if (r < 0)
		(void)unlink(tmp);
	return r;
}

/* COMMAND as a person would type it. */
static char *command_line(char *const *command)
{
	char *line = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&line, &size);

	if (!f)
		return NULL;
	for (int i = 0; command[i]; i++) {
		AUTO_FREE char *clean = text_clean(command[i]);

		if (i)
			fputc(' ', f);
		if (clean)
			text_shell(f, clean, strlen(clean));
	}
	if (fclose(f) != 0) {
		free(line);
		return NULL;
	}
	return line;
}

/* PATH from the root, as text; NULL: no memory. Whoever reads it later stands elsewhere. */
static char *absolute(const char *path)
{
	AUTO_FREE char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
	AUTO_FREE char *whole = NULL;

	if (asprintf(&whole, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "", path) < 0) {
		whole = NULL;
		return NULL;
	}
	return text_clean(whole);
}

int state_run_begin(const char *dir, char *const *command, const char *workspace, const char *record)
{
	AUTO_FREE char *line = command_line(command);
	AUTO_FREE char *space = text_clean(workspace ? workspace : "");
	AUTO_FREE char *file = record ? absolute(record) : NULL;

	if (!line || !space || (record && !file))
		return -ENOMEM;
	json_t *j = json_pack("{s:i, s:I, s:I, s:s, s:s, s:s*, s:s}", "pid", (int)getpid(), "start_ticks",
			      (json_int_t)start_ticks(getpid()), "started_ns", (json_int_t)realtime_ns(), "command", line,
			      "workspace", space, "record", file, "state", "running");

	if (!j)
		return -ENOMEM;
	int r = write_json(dir, j);

	json_decref(j);
	return r;
}

static json_t *load(const char *dir)
{
	AUTO_FREE char *path = NULL;

	if (asprintf(&path, "%s/run.json", dir) < 0) {
		path = NULL;
		return NULL;
	}
	AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	/* json_loadfd() reads byte by byte, a system call each: every start looks at every kept run. */
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f)
		return NULL;
	fd_steal(&fd);
	json_t *j = json_loadf(f, JSON_REJECT_DUPLICATES, NULL);

	fclose(f);
	return j;
}

int state_run_end(const char *dir, int exit_status, uint64_t refused)
{
	json_t *j = load(dir);
	int r = -ENOMEM;

	if (!j)
		return -ENOENT;
	if (json_object_set_new(j, "state", json_string("ended")) == 0 &&
	    json_object_set_new(j, "ended_ns", json_integer((json_int_t)realtime_ns())) == 0 &&
	    json_object_set_new(j, "exit_status", json_integer(exit_status)) == 0 &&
	    json_object_set_new(j, "refused", json_integer((json_int_t)refused)) == 0)
		r = write_json(dir, j);
	json_decref(j);
	return r;
}

void state_run_clear(struct state_run *run)
{
	free(run->dir);
	free(run->command);
	free(run->workspace);
	free(run->record);
	*run = STATE_RUN_NULL;
}

static uint64_t number(const json_t *j, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v > 0 ? (uint64_t)v : 0;
}

static char *string(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? strdup(s) : NULL;
}

int state_run_read(const char *dir, struct state_run *ret_run)
{
	struct state_run run = STATE_RUN_NULL;
	const char *slash = strrchr(dir, '/');
	struct stat st;

	if (stat(dir, &st) < 0)
		return err_now();
	run.dir = strdup(dir);
	if (!run.dir)
		return -ENOMEM;
	snprintf(run.id, sizeof(run.id), "%s", slash ? slash + 1 : dir);
	run.started_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000;
	json_t *j = load(dir);

	if (json_is_object(j)) {
		const char *state = json_string_value(json_object_get(j, "state"));

		run.pid = (pid_t)number(j, "pid");
		run.start_ticks = number(j, "start_ticks");
		run.started_ns = number(j, "started_ns");
		run.ended_ns = number(j, "ended_ns");
		run.exit_status = (int)number(j, "exit_status");
		run.refused = number(j, "refused");
		run.command = string(j, "command");
		run.workspace = string(j, "workspace");
		run.record = string(j, "record");
		if (state && strcmp(state, "ended") == 0)
			run.status = RUN_ENDED;
		else if (state && strcmp(state, "running") == 0)
			run.status = run.pid > 0 && run.start_ticks && start_ticks(run.pid) == run.start_ticks ?
					     RUN_RUNNING : RUN_CRASHED;
	}
	json_decref(j);
	*ret_run = run;
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct state_run *x = a, *y = b;

	if (x->started_ns != y->started_ns)
		return x->started_ns < y->started_ns ? 1 : -1;
	return strcmp(y->id, x->id);
}

static int list_in(const char *runs, struct state_run **ret_runs, size_t *ret_n)
{
	struct state_run *list = NULL;
	size_t n = 0, room = 0;
	DIR *d = opendir(runs);
	const struct dirent *e;
	int r = 0;

	if (!d)
		return err_now();
	while (r == 0 && (e = readdir(d))) {
		AUTO_FREE char *dir = NULL;

		if (!name_ok(e->d_name) || strlen(e->d_name) >= STATE_ID_MAX)
			continue;
		if (n == room) {
			struct state_run *more = reallocarray(list, room = room ? 2 * room : 64, sizeof(*list));

			if (!more) {
				r = -ENOMEM;
				break;
			}
			list = more;
		}
		if (asprintf(&dir, "%s/%s", runs, e->d_name) < 0) {
			dir = NULL;
			r = -ENOMEM;
			break;
		}
		/* Gone since (pruned by another): not one of ours to list. */
		if (state_run_read(dir, &list[n]) == 0)
			n++;
	}
	closedir(d);
	if (r < 0) {
		state_run_list_free(list, n);
		return r;
	}
	if (n)
		qsort(list, n, sizeof(*list), newest_first);
	*ret_runs = list;
	*ret_n = n;
	return 0;
}

int state_run_list(struct state_run **ret_runs, size_t *ret_n)
{
	AUTO_FREE char *runs = NULL;
	int r = runs_dir(&runs);

	return r < 0 ? r : list_in(runs, ret_runs, ret_n);
}

void state_run_list_free(struct state_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		state_run_clear(&runs[i]);
	free(runs);
}

/* -- Pruning -- */

/* Bytes of disk below the directory FD (consumed); with REMOVE its content is removed as well. */
static uint64_t walk(int fd, bool remove, int depth)
{
	DIR *d = fdopendir(fd);
	const struct dirent *e;
	uint64_t sum = 0;

	if (!d) {
		fd_close(fd);
		return 0;
	}
	while ((e = readdir(d))) {
		struct stat st;
		bool dir;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		sum += (uint64_t)st.st_blocks * 512;
		dir = S_ISDIR(st.st_mode);
		if (dir && depth < DEPTH_MAX) {
			int sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (sub >= 0)
				sum += walk(sub, remove, depth + 1);
		}
		if (remove)
			(void)unlinkat(dirfd(d), e->d_name, dir ? AT_REMOVEDIR : 0);
	}
	closedir(d);
	return sum;
}

static uint64_t walk_run(const struct state_run *run, bool remove)
{
	int fd = open(run->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	uint64_t sum = fd < 0 ? 0 : walk(fd, remove, 0);

	if (remove)
		(void)rmdir(run->dir);
	return sum;
}

/* A cheap look, at every start: are there many runs, or much of records? */
static bool prune_due(const char *runs)
{
	DIR *d = opendir(runs);
	const struct dirent *e;
	unsigned int n = 0;
	uint64_t bytes = 0;

	while (d && (e = readdir(d))) {
		char record[NAME_MAX + 32];
		struct stat st;

		snprintf(record, sizeof(record), "%s/record.jsonl", e->d_name);
		n += name_ok(e->d_name);
		if (name_ok(e->d_name) && fstatat(dirfd(d), record, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	if (d)
		closedir(d);
	return n >= KEEP_RUNS || bytes > KEEP_BYTES;
}

static void prune(const char *runs)
{
	struct state_run *list = NULL;
	size_t n = 0, kept = 0;
	uint64_t bytes = 0, now = realtime_ns();

	if (list_in(runs, &list, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		bool young = list[i].status == RUN_UNKNOWN && list[i].started_ns / 1000000000 + YOUNG_S > now / 1000000000;

		bytes += walk_run(&list[i], false);
		kept++;
		if (list[i].status == RUN_RUNNING || young || (kept <= KEEP_RUNS - SLACK_RUNS && bytes <= KEEP_BYTES))
			continue;
		(void)walk_run(&list[i], true);
	}
	state_run_list_free(list, n);
}

/* Digits of V, lowest first: runs of one day then differ in their first letters, where people type them. No
 * letters that look alike. */
static char *base32(char *p, uint64_t v, unsigned int digits)
{
	for (unsigned int i = 0; i < digits || v; i++, v >>= 5)
		*p++ = "0123456789abcdefghjkmnpqrstvwxyz"[v & 31];
	return p;
}

int state_run_new(char **ret_path, char ret_id[32])
{
	AUTO_FREE char *runs = NULL;
	uint64_t sec = realtime_ns() / 1000000000;
	int r = runs_dir(&runs);

	if (r < 0)
		return r;
	if (prune_due(runs))
		prune(runs);
	sec = sec > EPOCH ? sec - EPOCH : 0;
	for (int i = 0; i < 100; i++, sec++) {
		AUTO_FREE char *path = NULL;
		char id[STATE_ID_MAX];

		*base32(base32(id, sec, 6), (uint64_t)getpid(), 0) = 0;
		if (asprintf(&path, "%s/%s", runs, id) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (mkdir(path, 0700) == 0) {
			memcpy(ret_id, id, sizeof(id));
			*ret_path = STEAL(path);
			return 0;
		}
		if (errno != EEXIST)
			return err_now();
	}
	return -EEXIST;
}

int state_run_find(const char *id, char **ret_path)
{
	AUTO_FREE char *runs = NULL;
	AUTO_FREE char *found = NULL;
	size_t len = strlen(id);
	int r = runs_dir(&runs);
	const struct dirent *e;
	unsigned int matches = 0;
	bool exact = false;

	if (r < 0)
		return r;
	if (!name_ok(id))
		return -ENOENT;
	DIR *d = opendir(runs);

	if (!d)
		return err_now();
	while (r == 0 && !exact && (e = readdir(d))) {
		if (!name_ok(e->d_name) || strncmp(e->d_name, id, len) != 0)
			continue;
		exact = e->d_name[len] == 0;
		matches++;
		free(found);
		if (asprintf(&found, "%s/%s", runs, e->d_name) < 0) {
			found = NULL;
			r = -ENOMEM;
		}
	}
	closedir(d);
	if (r == 0 && matches > 1 && !exact)
		r = -ENOTUNIQ;
	if (r == 0 && !found)
		r = -ENOENT;
	if (r < 0)
		return r;
	*ret_path = STEAL(found);
	return 0;
}
