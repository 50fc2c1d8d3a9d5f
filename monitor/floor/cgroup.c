/*
 * Limits on memory, processors and processes of a run as a whole, by cgroups of version 1, version 2 or both.
 *
 * One group for each hierarchy that has a controller we need, called gabion-RUN, at the place cgroup_find.c
 * chose. The sentry is put in before it forks, so everything it starts is in as well, and nobody inside can
 * write to the file system that moves processes out. The sentry has no group of its own next to the guest's:
 * memory it uses on the guest's behalf is to count against the same limit, which one group does on either
 * version and two leaves would not change. Its few threads count as processes too, so the limit on those is
 * widened by OWN_TASKS. Where version 2 is mounted beside version 1 a group without controllers is made there
 * too: it kills surely (cgroup.kill).
 *
 * Should: set swap to nothing beyond the memory limit, or that is none; remove what it made, and what a
 * killed gabion left. Mustn't: change any limit that was there; kill a process that is not in a group of
 * ours.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "monitor/floor/cgroup_find.h"
#include "monitor/floor/floor.h"
#include "util/err.h"
#include "util/fd.h"

#define NAME_PREFIX "gabion-"

enum {
	OWN_TASKS = 16,	     /* the sentry, its threads, init */
	PERIOD_US = 100000,  /* the kernel's default period of cpu bandwidth */
	QUOTA_MIN_US = 1000, /* the least it accepts */
	KERNEL_PIDS = (4 << 20) - OWN_TASKS,
	KILL_ROUNDS = 64,
	REMOVE_ROUNDS = 100,
	PIDS_MAX = 1024,  /* killed in one round */
	LEFT_OVER_S = 60, /* an empty group older than this is a killed gabion's */
};

struct group {
	int parent, dir;	  /* descriptors */
	unsigned int controllers; /* that are limited here */
	bool v2;
};

#define GROUP_NULL ((struct group){.parent = -1, .dir = -1})

struct cgroup {
	struct group v[CGROUP_SITES_MAX];
	size_t n;
	char name[64];
	uint64_t memory, pids;
};

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	(void)nanosleep(&t, NULL);
}

__attribute__((format(printf, 3, 4))) static int set(int dir, const char *file, const char *format, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return cgroup_write(dir, file, text);
}

/* A limit the kernel may not know (swap accounting is optional) is no failure where it does not. */
static int optional(int r)
{
	return r == -ENOENT || r == -EOPNOTSUPP ? 0 : r;
}

static int set_limits(const struct group *g, const struct run_options *o, const char **ret_why)
{
	int r = 0;

	if (g->controllers & CGROUP_MEMORY) {
		*ret_why = "the memory limit was refused";
		r = set(g->dir, g->v2 ? "memory.max" : "memory.limit_in_bytes", "%" PRIu64, o->memory);
		if (r == 0 && g->v2)
			r = optional(set(g->dir, "memory.swap.max", "0"));
		else if (r == 0) /* memory and swap together, after the one above: it may not be less */
			r = optional(set(g->dir, "memory.memsw.limit_in_bytes", "%" PRIu64, o->memory));
	}
	if (r == 0 && (g->controllers & CGROUP_CPU)) {
		double us = o->cpus * PERIOD_US;
		uint64_t quota = us < QUOTA_MIN_US ? QUOTA_MIN_US : us > 1e12 ? (uint64_t)1e12 : (uint64_t)us;
		*ret_why = "the limit on processors was refused";
		if (g->v2) {
			r = set(g->dir, "cpu.max", "%" PRIu64 " %d", quota, PERIOD_US);
		} else {
			r = set(g->dir, "cpu.cfs_period_us", "%d", PERIOD_US);
			if (r == 0)
				r = set(g->dir, "cpu.cfs_quota_us", "%" PRIu64, quota);
		}
	}
	if (r == 0 && (g->controllers & CGROUP_PIDS)) {
		*ret_why = "the limit on processes was refused";
		if (o->pids >= KERNEL_PIDS) /* no limit, and the kernel says EINVAL */
			r = set(g->dir, "pids.max", "max");
		else
			r = set(g->dir, "pids.max", "%" PRIu64, o->pids + OWN_TASKS);
	}
	return r;
}

/* Removes empty groups in PARENT that no gabion will come back for. */
static void sweep(int parent)
{
	int again = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	struct dirent *e;
	struct stat st;

	if (d == NULL) {
		fd_close(again);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0 &&
		    fstatat(parent, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
		    time(NULL) - st.st_ctime > LEFT_OVER_S)
			(void)unlinkat(parent, e->d_name, AT_REMOVEDIR); /* EBUSY: in use */
	closedir(d);
}

/* Makes the group below directory PATH. */
static int make_group(struct cgroup *c, const char *path, bool v2, unsigned int controllers)
{
	struct group g = {.parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
			  .dir = -1,
			  .v2 = v2,
			  .controllers = controllers};
	int r = 0;

	if (g.parent < 0)
		return err_now();
	sweep(g.parent);
	if (mkdirat(g.parent, c->name, 0755) < 0) {
		r = err_now();
	} else {
		g.dir = openat(g.parent, c->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (g.dir < 0) {
			r = err_now();
			(void)unlinkat(g.parent, c->name, AT_REMOVEDIR);
		}
	}
	if (r < 0)
		fd_close(g.parent);
	else
		c->v[c->n++] = g;
	return r;
}

static int make_groups(struct cgroup *c, const struct run_options *o, unsigned int need, const char **ret_why)
{
	AUTO_FREE struct cgroup_site *sites = calloc(CGROUP_SITES_MAX, sizeof(*sites));
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	FILE *self = fopen("/proc/self/cgroup", "re");
	const struct cgroup_site *v2 = NULL;
	size_t n = 0;
	int r = sites == NULL ? -ENOMEM : mountinfo == NULL || self == NULL ? -EOPNOTSUPP : 0;

	*ret_why = "no cgroup file system is mounted";
	if (r == 0)
		r = cgroup_find(mountinfo, self, sites, &n);
	if (mountinfo != NULL)
		fclose(mountinfo);
	if (self != NULL)
		fclose(self);
	if (r == 0 && n == 0)
		r = -EOPNOTSUPP;

	unsigned int left = need;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct cgroup_site *s = &sites[i];
		if (s->v2)
			v2 = s;
		if (s->v2 || (s->controllers & need) == 0)
			continue;
		*ret_why = "a cgroup of version 1 can be made by root alone";
		r = make_group(c, s->own, false, s->controllers & need);
		left &= ~s->controllers;
	}
	if (r == 0 && left != 0 && v2 == NULL) {
		*ret_why = "the controller that is asked for is not mounted";
		r = -EOPNOTSUPP;
	} else if (r == 0 && left != 0) {
		char parent[PATH_MAX];
		r = cgroup_parent(v2, left, parent, ret_why);
		if (r == 0) {
			*ret_why = "the cgroup could not be made";
			r = make_group(c, parent, true, left);
		}
	} else if (r == 0 && v2 != NULL) {
		(void)make_group(c, v2->own, true, 0);
	}
	for (size_t i = 0; r == 0 && i < c->n; i++)
		r = set_limits(&c->v[i], o, ret_why);
	return r;
}

int cgroup_new(const struct run_options *o, const char *run_id, struct cgroup **ret_c, const char **ret_why)
{
	unsigned int need = (o->memory != 0 ? CGROUP_MEMORY : 0) | (o->cpus > 0 ? CGROUP_CPU : 0) |
			    (o->pids != 0 ? CGROUP_PIDS : 0);

	if (need == 0) {
		*ret_c = NULL;
		return 0;
	}
	struct cgroup *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		*ret_why = "no memory";
		return -ENOMEM;
	}
	for (size_t i = 0; i < CGROUP_SITES_MAX; i++)
		c->v[i] = GROUP_NULL;
	snprintf(c->name, sizeof(c->name), NAME_PREFIX "%s", run_id);
	c->memory = o->memory;
	c->pids = o->pids;
	int r = make_groups(c, o, need, ret_why);
	if (r < 0) {
		cgroup_free(c);
		return r == -EACCES || r == -EPERM || r == -EROFS ? -EOPNOTSUPP : r;
	}
	*ret_c = c;
	return 0;
}

int cgroup_enter(const struct cgroup *c, pid_t pid)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n; i++) {
		r = set(c->v[i].dir, "cgroup.procs", "%d", (int)pid);
		if (r < 0 && c->v[i].controllers == 0)
			r = 0; /* holds no limit, only helps to kill */
	}
	return r;
}

/* The number after WORD and a space at the start of a line of FILE. */
static uint64_t count(int dir, const char *file, const char *word)
{
	char text[1024];
	size_t n = strlen(word);

	if (cgroup_read(dir, file, text, sizeof(text)) <= 0)
		return 0;
	for (char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, word, n) == 0 && line[n] == ' ')
			return strtoull(line + n + 1, NULL, 10);
	}
	return 0;
}

const char *cgroup_verdict(const struct cgroup *c)
{
	static char text[256];
	char size[32];
	uint64_t killed = 0, refused = 0;
	int n = 0;

	for (size_t i = 0; c != NULL && i < c->n; i++) {
		const struct group *g = &c->v[i];
		if (g->controllers & CGROUP_MEMORY)
			killed += count(g->dir, g->v2 ? "memory.events" : "memory.oom_control", "oom_kill");
		if (g->controllers & CGROUP_PIDS)
			refused += count(g->dir, "pids.events", "max");
	}
	if (killed > 0) {
		limits_size(c->memory, size, sizeof(size));
		n = snprintf(text, sizeof(text), "memory limit of %s: %" PRIu64 " process%s killed", size,
			     killed, killed == 1 ? "" : "es");
	}
	if (refused > 0)
		snprintf(text + n, sizeof(text) - (size_t)n,
			 "%slimit of %" PRIu64 " processes: %" PRIu64 " fork%s refused", n > 0 ? "; " : "",
			 c->pids, refused, refused == 1 ? "" : "s");
	return killed > 0 || refused > 0 ? text : NULL;
}

/* The processes in the group, at most PIDS_MAX; 0 and negative ones (of no pid namespace we see) are left
 * out. */
static size_t members(int dir, pid_t pids[PIDS_MAX])
{
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	size_t n = 0;
	int pid;

	if (f == NULL) {
		fd_close(fd);
		return 0;
	}
	while (n < PIDS_MAX && fscanf(f, "%d", &pid) == 1)
		if (pid > 0 && pid != getpid())
			pids[n++] = pid;
	fclose(f);
	return n;
}

/* One round of SIGKILL. A number may be another process's by the time it is used: what is killed was still in
 * the group, by the same number, after the pidfd was had. Returns how many there were. */
static size_t kill_round(int dir)
{
	static pid_t before[PIDS_MAX], after[PIDS_MAX];
	size_t n = members(dir, before);

	for (size_t at = 0; at < n;) {
		int fds[64];
		size_t k = 0;
		for (; k < ARRAY_LEN(fds) && at + k < n; k++)
			fds[k] = (int)syscall(SYS_pidfd_open, before[at + k], 0);
		size_t m = members(dir, after);
		for (size_t i = 0; i < k; i++) {
			for (size_t j = 0; fds[i] >= 0 && j < m; j++)
				if (after[j] == before[at + i]) {
					(void)syscall(SYS_pidfd_send_signal, fds[i], SIGKILL, NULL, 0);
					break;
				}
			fd_close(fds[i]);
		}
		at += k;
	}
	return n;
}

static void kill_all(const struct cgroup *c)
{
	/* No forks while we count. */
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].controllers & CGROUP_PIDS)
			(void)set(c->v[i].dir, "pids.max", "0");
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].v2)
			(void)set(c->v[i].dir, "cgroup.kill", "1"); /* 5.14 */
	for (size_t i = 0; i < c->n; i++)
		for (int round = 0; round < KILL_ROUNDS && kill_round(c->v[i].dir) > 0; round++)
			pause_ms(round < 8 ? 1 : 10);
}

struct cgroup *cgroup_free(struct cgroup *c)
{
	if (c == NULL)
		return NULL;
	kill_all(c);
	for (size_t i = 0; i < c->n; i++) {
		struct group *g = &c->v[i];
		/* EBUSY until the last one is gone for good. */
		for (int round = 0; unlinkat(g->parent, c->name, AT_REMOVEDIR) < 0 && errno == EBUSY &&
				    round < REMOVE_ROUNDS;
		     round++)
			pause_ms(round < 20 ? 1 : 10);
		fd_close(g->dir);
		fd_close(g->parent);
	}
	free(c);
	return NULL;
}
