/*
 * How much of the kernel something can reach, and how much it does reach:
 *
 *   surface filters PID...               of each process, the calls its seccomp filters leave, read from the kernel (ptrace(2),
 *                                        PTRACE_SECCOMP_GET_FILTER), and walked (include/surface.h): a line PID, filters, allowed, of
 *                                        these by value, asked about. A call counts where every filter of the process lets it.
 *   surface watch PID GO functions|calls waits for PID and what it starts to end, and counts what of the kernel they enter: distinct
 *                                        system calls (the tracepoint raw_syscalls:sys_enter, which a call that seccomp refuses or hands
 *                                        over never comes to), or distinct functions of the kernel's (the function tracer). GO is a
 *                                        FIFO that PID waits for. A line: distinct, events, lost.
 *
 * Root's, both. Tracing is done in an instance of tracefs of its own, which goes with us.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "surface.h"
#include "table.h"
#include "util/err.h"

#define INSTANCES "/sys/kernel/tracing/instances/"

static char instance[sizeof(INSTANCES) + 32];

/* -- filters -- */

enum { FILTERS_MAX = 64 };

static int read_filters(pid_t pid, struct sock_fprog progs[FILTERS_MAX])
{
	int n = 0, status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
		return -errno;
	if (waitpid(pid, &status, __WALL) < 0)
		return -errno;
	for (; n < FILTERS_MAX; n++) {
		long len = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, n, NULL);

		if (len < 0 && (errno == ENOENT || (errno == EINVAL && n == 0)))
			break; /* no more; or none at all */
		if (len <= 0 || !(progs[n].filter = calloc((size_t)len, sizeof(*progs[n].filter)))) {
			n = errno ? -errno : -EIO;
			break;
		}
		progs[n].len = (unsigned short)len;
		if (ptrace(PTRACE_SECCOMP_GET_FILTER, pid, n, progs[n].filter) < 0) {
			n = -errno;
			break;
		}
	}
	(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return n;
}

static int filters_of(pid_t pid)
{
	struct sock_fprog progs[FILTERS_MAX] = {{0}};
	unsigned int allowed = 0, by_value = 0, asked = 0;
	int n = read_filters(pid, progs), r = 0;

	for (int nr = 0; n >= 0 && nr < table_end && r == 0; nr++) {
		bool all = true, value = false, notified = false;

		if (table_row(nr) == NULL)
			continue;
		for (int i = 0; i < n && r == 0; i++) {
			struct surface_call c = {.allowed = false};

			r = surface_call(&progs[i], nr, &c);
			all = all && (c.allowed || c.notified);
			value = value || (c.allowed && (c.refused || c.notified));
			notified = notified || (c.notified && !c.allowed);
		}
		allowed += all && !notified;
		by_value += all && !notified && value;
		asked += all && notified;
	}
	for (int i = 0; i < FILTERS_MAX; i++)
		free(progs[i].filter);
	if (n < 0 || r < 0) {
		fprintf(stderr, "surface: filters of %d: %s\n", (int)pid, strerror(n < 0 ? -n : -r));
		return 1;
	}
	(void)printf("%d\t%d\t%u\t%u\t%u\n", (int)pid, n, allowed, by_value, asked);
	return 0;
}

/* -- watch -- */

static int put(const char *file, const char *text)
{
	char path[sizeof(instance) + 64];
	int fd, r;

	(void)snprintf(path, sizeof(path), "%s/%s", instance, file);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	r = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static void leave(void)
{
	(void)put("tracing_on", "0");
	(void)put("current_tracer", "nop");
	(void)put("events/raw_syscalls/sys_enter/enable", "0");
	(void)rmdir(instance);
}

static void on_signal(int sig)
{
	(void)sig;
	leave();
	_exit(1);
}

static int start(pid_t pid, bool functions)
{
	char text[16];
	int r;

	(void)snprintf(instance, sizeof(instance), INSTANCES "surface-%d", (int)getpid());
	if (mkdir(instance, 0700) < 0)
		return -errno;
	(void)signal(SIGINT, on_signal);
	(void)signal(SIGTERM, on_signal);
	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	r = put("tracing_on", "0");
	if (r == 0)
		r = put("buffer_size_kb", functions ? "131072" : "16384");
	if (r == 0)
		r = put(functions ? "set_ftrace_pid" : "set_event_pid", text);
	if (r == 0)
		r = put(functions ? "options/function-fork" : "options/event-fork", "1");
	if (r == 0)
		r = functions ? put("current_tracer", "function") : put("events/raw_syscalls/sys_enter/enable", "1");
	if (r == 0)
		r = put("tracing_on", "1");
	return r;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What a line of the trace names: "... sys_enter: NR 257 (...)", "... vfs_open <-do_open". False: a comment. */
static bool name_of(char *line, bool functions, char **ret_name)
{
	char *at = strstr(line, functions ? ": " : "sys_enter: NR ");

	if (line[0] == '#' || at == NULL)
		return false;
	at += functions ? 2 : strlen("sys_enter: NR ");
	at[strcspn(at, " \n")] = '\0';
	*ret_name = at;
	return true;
}

/* Names are few and lines many: a table of those seen, open addressing. */
enum { NAMES = 1 << 18 };

static unsigned int count(FILE *f, bool functions, uint64_t *ret_events)
{
	char **seen = calloc(NAMES, sizeof(*seen)), *line = NULL, *name;
	unsigned int n = 0;
	size_t room = 0;

	while (seen != NULL && getline(&line, &room, f) > 0) {
		uint64_t h = 14695981039346656037u;

		if (!name_of(line, functions, &name))
			continue;
		++*ret_events;
		for (const char *s = name; *s != '\0'; s++)
			h = (h ^ (unsigned char)*s) * 1099511628211u;
		for (h &= NAMES - 1; seen[h] != NULL && strcmp(seen[h], name) != 0; h = (h + 1) & (NAMES - 1))
			;
		if (seen[h] == NULL && n < NAMES / 2) {
			seen[h] = strdup(name);
			n++;
		}
	}
	if (seen != NULL && getenv("SURFACE_NAMES") != NULL) {
		unsigned int k = 0;

		for (unsigned int i = 0; i < NAMES; i++)
			if (seen[i] != NULL)
				seen[k++] = seen[i];
		qsort(seen, k, sizeof(*seen), by_text);
		for (unsigned int i = 0; i < k; i++) {
			const struct sys_row *row = functions ? NULL : table_row(atoi(seen[i]));

			fprintf(stderr, "%s\n", row != NULL ? row->name : seen[i]);
		}
	}
	free(line);
	return n;
}

static uint64_t lost(void)
{
	uint64_t sum = 0, n;
	char path[sizeof(instance) + 64], line[128];

	for (int cpu = 0; cpu < 4096; cpu++) {
		FILE *f;

		(void)snprintf(path, sizeof(path), "%s/per_cpu/cpu%d/stats", instance, cpu);
		f = fopen(path, "re");
		if (f == NULL)
			break;
		while (fgets(line, sizeof(line), f) != NULL)
			if (sscanf(line, "overrun: %" SCNu64, &n) == 1 || sscanf(line, "dropped events: %" SCNu64, &n) == 1)
				sum += n;
		(void)fclose(f);
	}
	return sum;
}

/* Opening the FIFO for writing is what PID waits for; what it was traced with is taken once it has ended. */
static int watch(pid_t pid, const char *go, bool functions)
{
	char path[sizeof(instance) + 64];
	uint64_t events = 0;
	unsigned int n = 0;
	int r = start(pid, functions), fd;
	FILE *f;

	if (r < 0) {
		fprintf(stderr, "surface: tracefs: %s\n", strerror(-r));
		leave();
		return 1;
	}
	fd = open(go, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	while (kill(pid, 0) == 0)
		(void)usleep(20000);
	(void)put("tracing_on", "0");
	(void)snprintf(path, sizeof(path), "%s/trace", instance);
	f = fopen(path, "re");
	if (f != NULL) {
		n = count(f, functions, &events);
		(void)fclose(f);
	}
	(void)printf("%u\t%" PRIu64 "\t%" PRIu64 "\n", n, events, lost());
	leave();
	return f == NULL || n == 0;
}

int main(int argc, char **argv)
{
	int status = 0;

	if (argc > 2 && strcmp(argv[1], "filters") == 0) {
		for (int i = 2; i < argc; i++)
			status |= filters_of((pid_t)atoi(argv[i]));
		return status;
	}
	if (argc == 5 && strcmp(argv[1], "watch") == 0)
		return watch((pid_t)atoi(argv[2]), argv[3], strcmp(argv[4], "functions") == 0);
	fprintf(stderr, "usage: surface filters PID... | watch PID GO functions|calls\n");
	return 2;
}
