/*
 * Groups made, entered, frozen, killed and removed, on either version. The plan (cgroup_plan.c) says where.
 *
 * A hierarchy in which no group can be made is left out where the container can do without: where nothing of it was
 * asked for. What was asked for and is nowhere is a fault of cgroup_limits.c.
 *
 * Killing: cgroup.kill where version 2 is there, also as a half without controllers. With version 1 alone no more forks
 * are let through first (pids.max), then rounds of SIGKILL through pidfds of processes that are in the group before and
 * after the pidfd was had: a number alone may be another process's by then.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "monitor/floor/cgroup_find.h"
#include "monitor/oci/cgroup_in.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	DEPTH_MAX = 32,
	KILL_ROUNDS = 400,
	REMOVE_ROUNDS = 400,
	FREEZE_ROUNDS = 1000,
};

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	(void)nanosleep(&t, NULL);
}

/* The pids of a group and those below it. */
struct pids {
	pid_t *v;
	size_t n, size;
};

static int pids_add(struct pids *p, pid_t pid)
{
	if (p->n == p->size) {
		size_t size = p->size == 0 ? 64 : p->size * 2;
		pid_t *v = reallocarray(p->v, size, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		p->v = v;
		p->size = size;
	}
	p->v[p->n++] = pid;
	return 0;
}

/* Adds what FILE ("cgroup.procs") of DIR and of all groups below it names. A group that is not there has none. */
static int collect(int at, const char *name, struct pids *p, int depth)
{
	int dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	struct dirent *e;
	int r = 0, pid;

	if (d == NULL) {
		r = errno == ENOENT ? 0 : err_now();
		fd_close(dir);
		return r;
	}
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	if (f == NULL)
		fd_close(fd);
	while (f != NULL && r == 0 && fscanf(f, "%d", &pid) == 1)
		if (pid > 0)
			r = pids_add(p, pid);
	if (f != NULL)
		fclose(f);
	while (r == 0 && depth < DEPTH_MAX && (e = readdir(d)) != NULL)
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			r = collect(dir, e->d_name, p, depth + 1);
	closedir(d);
	return r;
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

/* The hierarchy by which the container's processes are known best, or NULL. */
static const struct hierarchy *members_of(const struct oci_cgroup *c)
{
	static const char *const order[] = {"freezer", "pids", "memory", "devices", "cpu"};

	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].v2 && access(c->v[i].path, F_OK) == 0)
			return &c->v[i];
	for (size_t k = 0; k < ARRAY_LEN(order); k++)
		for (size_t i = 0; i < c->n; i++)
			if (!c->v[i].v2 && cgroup_listed(c->v[i].subsystems, ",", order[k]) &&
			    access(c->v[i].path, F_OK) == 0)
				return &c->v[i];
	return NULL;
}

int oci_cgroup_pids(const struct oci_cgroup *c, pid_t **ret_pids, size_t *ret_n)
{
	const struct hierarchy *h = members_of(c);
	struct pids p = {.v = NULL};
	int r = h == NULL ? 0 : collect(AT_FDCWD, h->path, &p, 0);

	if (r < 0) {
		free(p.v);
		return r;
	}
	if (p.n > 1)
		qsort(p.v, p.n, sizeof(*p.v), by_pid);
	*ret_pids = p.v;
	*ret_n = p.n;
	return 0;
}

/* One round of SIGNAL to what is in the group at PATH and below. How many there were, or -errno. */
static int signal_round(const char *path, int signal)
{
	struct pids before = {.v = NULL}, after = {.v = NULL};
	int r = collect(AT_FDCWD, path, &before, 0);

	for (size_t at = 0; r == 0 && at < before.n;) {
		int fds[64];
		size_t k = 0;
		for (; k < ARRAY_LEN(fds) && at + k < before.n; k++)
			fds[k] = (int)syscall(SYS_pidfd_open, before.v[at + k], 0);
		after.n = 0;
		r = collect(AT_FDCWD, path, &after, 0);
		if (after.n > 1)
			qsort(after.v, after.n, sizeof(*after.v), by_pid);
		for (size_t i = 0; i < k; i++) {
			if (fds[i] >= 0 && after.n > 0 && before.v[at + i] != getpid() &&
			    bsearch(&before.v[at + i], after.v, after.n, sizeof(pid_t), by_pid) != NULL)
				(void)syscall(SYS_pidfd_send_signal, fds[i], signal, NULL, 0);
			fd_close(fds[i]);
		}
		at += k;
	}
	int n = (int)before.n;
	free(before.v);
	free(after.v);
	return r < 0 ? r : n;
}

static void thaw(const char *path, bool v2)
{
	if (v2)
		(void)cgroup_set(path, "cgroup.freeze", "0");
	else
		(void)cgroup_set(path, "freezer.state", "THAWED");
}

/* SIGKILL until nobody is left in the groups that WHICH_HELPER says. */
static void kill_groups(const struct oci_cgroup *c, bool helper)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct hierarchy *h = &c->v[i];
		if (!helper && !h->v2 && cgroup_listed(h->subsystems, ",", "pids"))
			(void)cgroup_set(h->path, "pids.max", "0");
	}
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].v2)
			(void)cgroup_set(helper ? c->v[i].helper : c->v[i].path, "cgroup.kill", "1");
	for (size_t i = 0; i < c->n; i++) {
		const char *path = helper ? c->v[i].helper : c->v[i].path;
		int n = signal_round(path, SIGKILL);
		/* a frozen process of version 1 dies when it is thawed */
		if (!c->v[i].v2 && cgroup_listed(c->v[i].subsystems, ",", "freezer"))
			thaw(path, false);
		for (int round = 0; round < KILL_ROUNDS && n > 0; round++) {
			pause_ms(round < 16 ? 1 : 10);
			n = signal_round(path, SIGKILL);
		}
	}
}

int oci_cgroup_kill(const struct oci_cgroup *c, int signal)
{
	const struct hierarchy *h = members_of(c);

	if (h == NULL)
		return -EOPNOTSUPP;
	if (signal == SIGKILL) {
		kill_groups(c, false);
		return 0;
	}
	int n = signal_round(h->path, signal);
	return n < 0 ? n : 0;
}

/* Removes the group at PATH and those below it; ENOENT is fine. EBUSY until the last zombie is gone. */
static int remove_group(const char *path, int depth)
{
	struct dirent *e;
	int r = 0;

	for (int round = 0; rmdir(path) < 0; round++) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		r = err_now();
		if ((r != -EBUSY && r != -ENOTEMPTY) || round >= REMOVE_ROUNDS)
			return r;
		DIR *d = depth < DEPTH_MAX ? opendir(path) : NULL;
		while (d != NULL && (e = readdir(d)) != NULL) {
			char below[PATH_MAX];
			if (e->d_type == DT_DIR && e->d_name[0] != '.' &&
			    (size_t)snprintf(below, sizeof(below), "%s/%s", path, e->d_name) < sizeof(below))
				(void)remove_group(below, depth + 1);
		}
		if (d != NULL)
			closedir(d);
		pause_ms(round < 20 ? 1 : 10);
	}
	return 0;
}

int oci_cgroup_remove(const struct oci_cgroup *c, struct oci_fault *fault)
{
	int r = 0;

	kill_groups(c, false);
	kill_groups(c, true);
	for (size_t i = 0; i < c->n; i++) {
		const char *const both[] = {c->v[i].path, c->v[i].helper};
		for (size_t k = 0; k < ARRAY_LEN(both); k++) {
			int e = remove_group(both[k], 0);
			/* what could not be made because it is not ours to make cannot be there either */
			if (e < 0 && !(c->optional && (e == -EACCES || e == -EPERM || e == -EROFS)))
				r = oci_fail_errno(fault, e, "unable to remove cgroup %s", both[k]);
		}
	}
	if (c->manager == OCI_SYSTEMD) {
		(void)cgroup_systemd_stop(c, c->unit);
		(void)cgroup_systemd_stop(c, c->helper_unit);
	}
	return r;
}

/* Gives a group of cpuset in version 1 what its parent has, from the mount down: an empty one takes no process. */
static void fill_cpuset(const char *mount, const char *path)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char parent[PATH_MAX], text[4096];

	if (strlen(path) <= strlen(mount) || strlen(path) >= sizeof(parent))
		return;
	memcpy(parent, path, strlen(path) + 1);
	char *slash = strrchr(parent, '/');
	if (slash == NULL)
		return;
	*slash = '\0';
	fill_cpuset(mount, parent);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (cgroup_text(path, files[i], text, sizeof(text)) < 0 || (text[0] != '\n' && text[0] != '\0'))
			continue;
		if (cgroup_text(parent, files[i], text, sizeof(text)) > 0)
			(void)cgroup_set(path, files[i], "%s", text);
	}
}

/* Version 2: lets children of PATH have every controller it has itself. One by one: some may be refused. */
static void enable_controllers(const char *path)
{
	char text[512], *save = NULL;

	if (cgroup_text(path, "cgroup.controllers", text, sizeof(text)) <= 0)
		return;
	for (char *w = strtok_r(text, " \n", &save); w != NULL; w = strtok_r(NULL, " \n", &save))
		(void)cgroup_set(path, "cgroup.subtree_control", "+%s", w);
}

/* Makes PATH below MOUNT with all groups between. */
static int make_path(const char *mount, const char *path, bool v2)
{
	char part[PATH_MAX];
	size_t n = strlen(path), start = strlen(mount);

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = start + 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (v2) {
			char *slash = strrchr(part, '/');
			*slash = '\0';
			enable_controllers(part);
			*slash = '/';
		}
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_now();
	}
	return 0;
}

/* A failure that a container without limits can do without, if it may. */
static bool dispensable(const struct oci_cgroup *c, const struct hierarchy *h, int r)
{
	if (r == -EACCES || r == -EPERM || r == -EROFS)
		return c->optional || (h->v2 && c->n > 1);
	/* the small half of a hybrid host */
	return h->v2 && c->n > 1;
}

/* Makes one group and puts PID in. CHECK: nobody else may be there. */
static int make_one(const struct oci_cgroup *c, const struct hierarchy *h, const char *path, pid_t pid, bool check,
		    struct oci_fault *fault)
{
	struct pids there = {.v = NULL};
	char text[64];

	int r = make_path(h->mount, path, h->v2);
	if (r < 0)
		return dispensable(c, h, r) ? 0 : oci_fail_errno(fault, r, "unable to apply cgroup configuration: mkdir %s", path);
	if (check) {
		r = collect(AT_FDCWD, path, &there, 0);
		size_t others = there.n;
		for (size_t i = 0; i < there.n; i++)
			others -= there.v[i] == pid;
		free(there.v);
		if (r == 0 && others > 0)
			return oci_fail(fault, -EEXIST, "container's cgroup is not empty: %zu process(es) found", others);
	}
	if (!h->v2 && cgroup_listed(h->subsystems, ",", "cpuset"))
		fill_cpuset(h->mount, path);
	if (check && !h->v2 && cgroup_listed(h->subsystems, ",", "freezer") &&
	    cgroup_text(path, "freezer.state", text, sizeof(text)) > 0 && strncmp(text, "THAWED", 6) != 0)
		return oci_fail(fault, -EBUSY, "container's cgroup unexpectedly frozen");
	r = pid <= 0 ? 0 : cgroup_set(path, "cgroup.procs", "%d", (int)pid);
	if (r < 0 && !dispensable(c, h, r))
		return oci_fail_errno(fault, r, "unable to apply cgroup configuration: failed to write %d: write %s/cgroup.procs",
				      (int)pid, path);
	return 0;
}

int oci_cgroup_make(struct oci_cgroup *c, const struct oci_resources *res, pid_t pid, pid_t helper,
		    struct oci_fault *fault)
{
	int r = 0;

	if (c->manager == OCI_SYSTEMD) {
		r = cgroup_systemd_start(c, c->unit, pid, res, fault);
		if (r == 0 && helper > 0)
			(void)cgroup_systemd_start(c, c->helper_unit, helper, NULL, NULL);
	}
	for (size_t i = 0; r == 0 && i < c->n; i++) {
		const struct hierarchy *h = &c->v[i];
		r = make_one(c, h, h->path, pid, true, fault);
		if (r == 0 && helper > 0) {
			/* it works without: a helper that cannot be moved counts where it is */
			int e = make_one(c, h, h->helper, helper, false, NULL);
			if (e < 0)
				oci_log(OCI_DEBUG, "%s: %s", h->helper, oci_errno_text(e));
		}
	}
	if (r == 0 && c->manager != OCI_CGROUP_DISABLED)
		r = cgroup_limits(c, res, true, fault);
	return r;
}

/* The text SUB of `exec --cgroup`: "[CONTROLLER,...:]PATH". Whether it speaks of H; RET_SUB is the path. */
static bool meant(const char *sub, const struct hierarchy *h, const char **ret_sub)
{
	const char *colon = sub == NULL ? NULL : strchr(sub, ':');

	*ret_sub = NULL;
	if (sub == NULL)
		return false;
	if (colon == NULL) {
		*ret_sub = sub;
		return true;
	}
	char list[256];
	snprintf(list, sizeof(list), "%.*s", (int)(colon - sub), sub);
	char *save = NULL;
	for (char *w = strtok_r(list, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save))
		if (cgroup_listed(h->subsystems, ",", w)) {
			*ret_sub = colon + 1;
			return true;
		}
	return false;
}

int oci_cgroup_enter(const struct oci_cgroup *c, pid_t pid, const char *sub, struct oci_fault *fault)
{
	char path[PATH_MAX];
	bool any = sub == NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct hierarchy *h = &c->v[i];
		const char *below;
		bool deeper = meant(sub, h, &below);
		any = any || deeper;
		if (deeper && (strstr(below, "..") != NULL ||
			       (size_t)snprintf(path, sizeof(path), "%s/%s", h->path, below) >= sizeof(path)))
			return oci_fail(fault, -EINVAL, "%s is not a sub cgroup path", below);
		if (!deeper)
			snprintf(path, sizeof(path), "%s", h->path);
		int r = cgroup_set(path, "cgroup.procs", "%d", (int)pid);
		/* A group of version 2 with children of its own takes none: the child the first process lives in does. */
		if (r == -EBUSY && h->v2 && !deeper) {
			struct pids there = {.v = NULL};
			if (collect(AT_FDCWD, h->path, &there, 0) == 0 && there.n > 0) {
				char own[64], text[PATH_MAX];
				snprintf(own, sizeof(own), "/proc/%d", (int)there.v[0]);
				int n = cgroup_text(own, "cgroup", text, sizeof(text));
				char *at = n < 0 ? NULL : strstr(text, "0::/");
				if (at != NULL) {
					at[strcspn(at, "\n")] = '\0';
					snprintf(path, sizeof(path), "%.2000s%.2000s", h->mount, at + 3);
					r = cgroup_set(path, "cgroup.procs", "%d", (int)pid);
				}
			}
			free(there.v);
		}
		if (r < 0 && !(dispensable(c, h, r) || (r == -ENOENT && (c->optional || (h->v2 && c->n > 1)))))
			return oci_fail_errno(fault, r, "error adding pid %d to cgroup %s", (int)pid, path);
	}
	return any ? 0 : oci_fail(fault, -EINVAL, "no cgroup of this container fits \"%s\"", sub);
}

int oci_cgroup_enter_helper(const struct oci_cgroup *c, pid_t pid)
{
	int r = 0;

	for (size_t i = 0; i < c->n; i++) {
		int e = make_one(c, &c->v[i], c->v[i].helper, pid, false, NULL);
		r = r < 0 ? r : e;
	}
	return r;
}

int oci_cgroup_update(const struct oci_cgroup *c, const struct oci_resources *r, struct oci_fault *fault)
{
	if (c->manager == OCI_CGROUP_DISABLED)
		return oci_fail(fault, -EOPNOTSUPP, "cannot update a container whose cgroups are disabled");
	int e = c->manager == OCI_SYSTEMD ? cgroup_systemd_update(c, r, fault) : 0;
	return e < 0 ? e : cgroup_limits(c, r, false, fault);
}

/* The hierarchy that freezes: version 1's, else version 2 (its core does, without any controller). */
static const struct hierarchy *freezer_of(const struct oci_cgroup *c)
{
	char text[64];

	for (size_t i = 0; i < c->n; i++)
		if (!c->v[i].v2 && cgroup_listed(c->v[i].subsystems, ",", "freezer") && access(c->v[i].path, F_OK) == 0)
			return &c->v[i];
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].v2 && cgroup_text(c->v[i].path, "cgroup.freeze", text, sizeof(text)) > 0)
			return &c->v[i];
	return NULL;
}

/* 1: frozen, 0: thawed, -EAGAIN: on its way. */
static int freezer_state(const struct hierarchy *h)
{
	char text[512];

	if (!h->v2) {
		if (cgroup_text(h->path, "freezer.state", text, sizeof(text)) <= 0)
			return 0;
		return strncmp(text, "FROZEN", 6) == 0 ? 1 : strncmp(text, "FREEZING", 8) == 0 ? -EAGAIN : 0;
	}
	if (cgroup_text(h->path, "cgroup.events", text, sizeof(text)) <= 0)
		return 0;
	return strstr(text, "frozen 1") != NULL;
}

bool oci_cgroup_frozen(const struct oci_cgroup *c)
{
	const struct hierarchy *h = freezer_of(c);

	/* on its way to it counts: somebody asked for it */
	return h != NULL && freezer_state(h) != 0;
}

int oci_cgroup_freeze(const struct oci_cgroup *c, bool frozen, struct oci_fault *fault)
{
	const struct hierarchy *h = freezer_of(c);
	int r = 0;

	if (h == NULL)
		return oci_fail(fault, -EOPNOTSUPP, "unable to freeze: no freezer cgroup");
	for (int round = 0; round < FREEZE_ROUNDS; round++) {
		/* Version 1 may stay FREEZING when a fork was under way: it is asked again, now and then thawed first. */
		if (round % 50 == 0) {
			if (!h->v2 && frozen && round > 0) {
				thaw(h->path, false);
				pause_ms(1);
			}
			r = h->v2 ? cgroup_set(h->path, "cgroup.freeze", "%d", (int)frozen)
				  : cgroup_set(h->path, "freezer.state", "%s", frozen ? "FROZEN" : "THAWED");
			if (r < 0)
				return oci_fail_errno(fault, r, "unable to freeze");
		}
		if (freezer_state(h) == (int)frozen)
			return 0;
		pause_ms(round < 20 ? 1 : 10);
	}
	if (frozen)
		thaw(h->path, h->v2);
	return oci_fail(fault, -ETIMEDOUT, "unable to freeze");
}
