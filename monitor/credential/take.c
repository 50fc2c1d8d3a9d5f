/*
 * The host side of credentials: values from the environment, a file or a command, into locked memory, and what stands for them.
 *
 * Should: leave no second copy. The value of a variable is overwritten where it stands, before any process of the run is made; a file
 * and a command's output are read straight into the locked memory. Mustn't: say a value, or part of one, to anybody.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/credential/holder.h"
#include "util/err.h"
#include "util/fd.h"

enum { SLOT = CREDENTIAL_VALUE_MAX + 2, COMMAND_MS = 30000, PLACEHOLDER_TRIES = 8 };

static int say(char **ret_why, const struct credential_rule *r, const char *what, const char *why)
{
	if (asprintf(ret_why, "%s: the credential %s: %s%s%s", r->origin, r->name, what, why ? ": " : "", why ? why : "") < 0)
		*ret_why = NULL;
	return -EINVAL;
}

void credential_values_free(struct credential_values *v)
{
	if (v->memory) {
		explicit_bzero(v->memory, v->size);
		(void)munmap(v->memory, v->size);
	}
	free(v->v);
	*v = CREDENTIAL_VALUES_NULL;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Reads FD to its end into VALUE of SLOT bytes, or until END_MS (0: no end). 0 with *RET_LEN; -EFBIG, -ETIMEDOUT. */
static int read_all(int fd, uint64_t end_ms, char *value, size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t now = now_ms();

		if (end_ms != 0 && (now >= end_ms || poll(&p, 1, (int)(end_ms - now)) == 0))
			return -ETIMEDOUT;
		ssize_t n = read(fd, value + len, SLOT - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_now();
		if (n == 0)
			break;
		len += (size_t)n;
		if (len == SLOT)
			return -EFBIG;
	}
	/* The first line. */
	const char *end = memchr(value, '\n', len);
	size_t line = end ? (size_t)(end - value) : len;
	if (line > 0 && value[line - 1] == '\r')
		line--;
	explicit_bzero(value + line, SLOT - line);
	*ret_len = line;
	return 0;
}

static int from_file(const struct credential_rule *r, char *value, size_t *ret_len, char **ret_why)
{
	AUTO_FREE char *path = NULL;
	const char *home = getenv("HOME");

	if (strncmp(r->from_text, "~/", 2) == 0) {
		if (!home || asprintf(&path, "%s%s", home, r->from_text + 1) < 0) {
			path = NULL;
			return say(ret_why, r, r->from_text, "HOME is not set");
		}
	}
	AUTO_FD int fd = open(path ? path : r->from_text, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return say(ret_why, r, r->from_text, strerror(errno));
	int e = read_all(fd, 0, value, ret_len);
	return e < 0 ? say(ret_why, r, r->from_text, strerror(-e)) : 0;
}

static int from_command(const struct credential_rule *r, char *value, size_t *ret_len, char **ret_why)
{
	posix_spawn_file_actions_t actions;
	int p[2], status = 0;
	pid_t pid = -1;

	if (pipe2(p, O_CLOEXEC) < 0)
		return say(ret_why, r, r->argv[0], strerror(errno));
	AUTO_FD int out = p[0];
	int e = posix_spawn_file_actions_init(&actions);
	if (e == 0) {
		e = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		if (e == 0)
			e = posix_spawn_file_actions_adddup2(&actions, p[1], 1);
		if (e == 0)
			e = posix_spawnp(&pid, r->argv[0], &actions, NULL, r->argv, environ);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)fd_close(p[1]);
	if (e != 0)
		return say(ret_why, r, r->argv[0], strerror(e));
	e = read_all(out, now_ms() + COMMAND_MS, value, ret_len);
	if (e < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (e == -ETIMEDOUT)
		return say(ret_why, r, r->argv[0], "no end of its output after 30 seconds");
	if (e < 0)
		return say(ret_why, r, r->argv[0], strerror(-e));
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0 ? say(ret_why, r, r->argv[0], "it failed: its status is not 0") : 0;
}

static int take_one(const struct credential_rule *r, struct credential_value *v, char **ret_why)
{
	char *variable = r->from == CREDENTIAL_FROM_ENV ? getenv(r->name) : NULL;
	uint8_t random[CREDENTIAL_VALUE_MAX];
	const char *why = NULL;
	int e = 0;

	if (r->from == CREDENTIAL_FROM_ENV) {
		if (!variable)
			return say(ret_why, r, "the variable is not set in the environment gabion was started with", NULL);
		v->len = strlen(variable);
		if (v->len > CREDENTIAL_VALUE_MAX)
			return say(ret_why, r, "its value cannot be used", "it is longer than 8192 bytes");
		memcpy(v->value, variable, v->len + 1);
	} else if (r->from == CREDENTIAL_FROM_FILE) {
		e = from_file(r, v->value, &v->len, ret_why);
	} else if (r->from == CREDENTIAL_FROM_COMMAND) {
		e = from_command(r, v->value, &v->len, ret_why);
	} else {
		return say(ret_why, r, "it is from nowhere", NULL);
	}
	if (e < 0)
		return e;
	e = -EAGAIN;
	for (int i = 0; e == -EAGAIN && i < PLACEHOLDER_TRIES; i++) {
		for (size_t at = 0; at < v->len && at < sizeof(random);) {
			ssize_t n = getrandom(random + at, sizeof(random) - at < 256 ? sizeof(random) - at : 256, 0);
			if (n < 0)
				return say(ret_why, r, "random bytes", strerror(errno));
			at += (size_t)n;
		}
		e = credential_placeholder(v->value, v->len, random, v->placeholder, &why);
	}
	if (e < 0)
		return say(ret_why, r, "its value cannot be used", why);
	v->rule = r;
	if (variable)
		memcpy(variable, v->placeholder, v->len);
	return 0;
}

int credential_collect(const struct credential_list *l, struct credential_values *ret_v, char **ret_why)
{
	struct credential_values v = {.v = calloc(l->n + 1, sizeof(*v.v)), .n = l->n, .size = l->n * 2 * SLOT};
	int e = 0;

	if (!v.v)
		return -ENOMEM;
	v.memory = mmap(NULL, v.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v.memory == MAP_FAILED) {
		v.memory = NULL;
		credential_values_free(&v);
		return -ENOMEM;
	}
	if (mlock(v.memory, v.size) < 0 || madvise(v.memory, v.size, MADV_DONTDUMP) < 0) {
		e = err_now();
		if (asprintf(ret_why, "credentials: memory for them cannot be locked (%s): see ulimit -l", strerror(-e)) < 0)
			*ret_why = NULL;
	}
	for (size_t i = 0; e == 0 && i < l->n; i++) {
		v.v[i].value = (char *)v.memory + 2 * i * SLOT;
		v.v[i].placeholder = v.v[i].value + SLOT;
		e = take_one(&l->v[i], &v.v[i], ret_why);
	}
	/* One that is a part of another, or of its placeholder, could not be told from it. */
	for (size_t i = 0; e == 0 && i < l->n; i++)
		for (size_t k = 0; e == 0 && k < l->n; k++)
			if (strstr(v.v[k].placeholder, v.v[i].value) || (i != k && strstr(v.v[k].value, v.v[i].value)))
				e = say(ret_why, &l->v[i], "its value is, or is a part of, that of", l->v[k].name);
	if (e < 0) {
		credential_values_free(&v);
		return e;
	}
	*ret_v = v;
	return 0;
}
