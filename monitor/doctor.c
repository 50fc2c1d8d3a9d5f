/*
 * From what the kernel answered to what it means: pure, so that the tests can put any host before it.
 *
 * gabion needs a listener, memory it may read, and one of two floors: a mount view (user namespaces with
 * mounts, processes and /proc of their own) or Landlock. Everything else is missed, said so, and done
 * without.
 */
#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/err.h"

static const struct {
	const char *name, *cause, *cost, *cure;
} problems[DOCTOR_PROBLEM_COUNT] = {
	[DOCTOR_OK] = {"ok", "", "", ""},
#define PROBLEM(id, pname, pcause, pcost, pcure) [DOCTOR_##id] = {pname, pcause, pcost, pcure},
#include "doctor.tbl"
};

static const struct {
	const char *name, *title;
} checks[CHECK_COUNT] = {
	[CHECK_KERNEL] = {"kernel", "kernel"},
	[CHECK_NOTIFY] = {"seccomp-notify", "seccomp notification"},
	[CHECK_SYNC_WAKE_UP] = {"sync-wake-up", "synchronous wake-up"},
	[CHECK_WAIT_KILLABLE] = {"wait-killable", "killable wait"},
	[CHECK_ADDFD_SEND] = {"addfd-send", "answer with descriptor"},
	[CHECK_GETFD] = {"pidfd-getfd", "pidfd_getfd"},
	[CHECK_MEMORY] = {"memory", "reading a child's memory"},
	[CHECK_FILTER_OUTSIDE] = {"outer-filter", "free of outer seccomp filters"},
	[CHECK_USERNS] = {"user-namespaces", "user namespaces"},
	[CHECK_PROC] = {"procfs", "/proc of its own"},
	[CHECK_MOUNT_API] = {"mount-api", "new mount calls"},
	[CHECK_IDMAP] = {"idmapped-mounts", "id-mapped mounts"},
	[CHECK_LANDLOCK] = {"landlock", "Landlock"},
	[CHECK_YAMA] = {"yama", "Yama permits it"},
	[CHECK_CGROUP] = {"cgroup", "control groups"},
	[CHECK_CGROUP_KILL] = {"cgroup-kill", "cgroup.kill"},
	[CHECK_IO_URING] = {"io-uring", "io_uring"},
};

const char *doctor_name(enum doctor_problem p)
{
	return (size_t)p < DOCTOR_PROBLEM_COUNT ? problems[p].name : "";
}

const char *doctor_cause(enum doctor_problem p)
{
	return (size_t)p < DOCTOR_PROBLEM_COUNT ? problems[p].cause : "";
}

const char *doctor_cost(enum doctor_problem p)
{
	return (size_t)p < DOCTOR_PROBLEM_COUNT ? problems[p].cost : "";
}

const char *doctor_cure(enum doctor_problem p)
{
	return (size_t)p < DOCTOR_PROBLEM_COUNT ? problems[p].cure : "";
}

const char *doctor_check_title(enum doctor_check c)
{
	return (size_t)c < CHECK_COUNT ? checks[c].title : "";
}

const char *doctor_check_name(enum doctor_check c)
{
	return (size_t)c < CHECK_COUNT ? checks[c].name : "";
}

const char *doctor_state_name(enum doctor_state s)
{
	static const char *const names[] = {"missing", "partial", "present", "unused"};

	return (size_t)s < ARRAY_LEN(names) ? names[s] : "";
}

const char *doctor_mode_text(enum floor_mode m)
{
	switch (m) {
	case FLOOR_ROOT:
		return "started by root, with user namespaces: a mount view, and ids nobody else uses";
	case FLOOR_ROOTLESS:
		return "without root, with user namespaces: a mount view, processes and network of its own";
	case FLOOR_BARE:
	default:
		return "Landlock and seccomp only: paths, processes and network are held by gabion and by "
		       "Landlock, "
		       "without namespaces";
	}
}

static void found(struct doctor_report *r, enum doctor_check c, enum doctor_state s, enum doctor_problem p)
{
	r->check[c].state = s;
	r->check[c].problem = p;
}

/* An optional part that is there or not. */
static void judge_plain(struct doctor_report *r, enum doctor_check c, int err, enum doctor_problem p)
{
	if (err == 0)
		found(r, c, STATE_PRESENT, DOCTOR_OK);
	else
		found(r, c, STATE_MISSING, p);
}

static enum doctor_problem notify_problem(const struct doctor_facts *f)
{
	if (f->listener_err == 0)
		return DOCTOR_OK;
	if (f->listener_err == EBUSY)
		return f->wsl ? DOCTOR_LISTENER_WSL : DOCTOR_LISTENER_BUSY;
	if (f->filter_err == ENOSYS || f->filter_err == EINVAL)
		return DOCTOR_SECCOMP_NONE;
	if (f->filter_err != 0)
		return DOCTOR_NOTIFY_REFUSED;
	return f->listener_err == EINVAL || f->listener_err == ENOSYS ? DOCTOR_NOTIFY_NONE
								      : DOCTOR_NOTIFY_REFUSED;
}

/* Why there is no user namespace, or none that can do anything. Ubuntu lets it be made and takes its rights
 * away. */
static enum doctor_problem userns_problem(const struct doctor_facts *f)
{
	int err = f->userns_err ? f->userns_err : f->map_err ? f->map_err : f->namespaces_err;

	if (err == 0)
		return DOCTOR_OK;
	if (f->userns_err == EINVAL || (f->userns_err == ENOSYS && f->seccomp_mode == 0))
		return DOCTOR_USERNS_NONE;
	if (f->max_userns == 0 || (f->userns_err == ENOSPC))
		return DOCTOR_USERNS_MAX;
	if (f->userns_clone == 0 && !f->root)
		return DOCTOR_USERNS_CLONE;
	if (f->apparmor_userns == 1 && !f->root && f->seccomp_mode == 0)
		return DOCTOR_USERNS_APPARMOR;
	if (f->seccomp_mode == 2 && (err == EPERM || err == ENOSYS))
		return DOCTOR_CONTAINER_FILTER;
	if (f->apparmor_userns == 1 && !f->root)
		return DOCTOR_USERNS_APPARMOR;
	return f->userns_err ? DOCTOR_USERNS_REFUSED : DOCTOR_NAMESPACE_REFUSED;
}

static void judge_userns(const struct doctor_facts *f, struct doctor_report *r)
{
	enum doctor_problem p = userns_problem(f);

	found(r, CHECK_FILTER_OUTSIDE, STATE_PRESENT, DOCTOR_OK);
	if (p == DOCTOR_CONTAINER_FILTER)
		found(r, CHECK_FILTER_OUTSIDE, STATE_MISSING, p);
	else if (f->seccomp_mode != 0)
		(void)snprintf(r->check[CHECK_FILTER_OUTSIDE].detail, sizeof(r->check[0].detail),
			       "there is one, which refuses nothing needed here");

	found(r, CHECK_USERNS, p == DOCTOR_OK ? STATE_PRESENT : STATE_MISSING, p);
	if (p != DOCTOR_OK) {
		/* Nothing below could be tried. */
		found(r, CHECK_PROC, STATE_UNUSED, DOCTOR_OK);
		found(r, CHECK_MOUNT_API, STATE_UNUSED, DOCTOR_OK);
		found(r, CHECK_IDMAP, STATE_UNUSED, DOCTOR_OK);
		return;
	}
	judge_plain(r, CHECK_PROC, f->proc_err, DOCTOR_PROC_REFUSED);
	judge_plain(r, CHECK_MOUNT_API, f->mount_api_err,
		    f->mount_api_err == ENOSYS && f->seccomp_mode == 0 ? DOCTOR_MOUNT_API_NONE
								       : DOCTOR_MOUNT_API_REFUSED);
	if (f->root)
		judge_plain(r, CHECK_IDMAP, f->idmap_err, DOCTOR_IDMAP_NONE);
	else
		found(r, CHECK_IDMAP, STATE_UNUSED, DOCTOR_OK);
}

static void judge_landlock(const struct doctor_facts *f, struct doctor_report *r)
{
	/* What a version added that something here builds on. */
	static const struct {
		int abi;
		const char *what;
	} added[] = {{2, "moves between directories"},
		     {3, "truncate"},
		     {4, "TCP"},
		     {5, "device ioctls"},
		     {6, "signals and abstract sockets"}};
	char *detail = r->check[CHECK_LANDLOCK].detail;
	size_t size = sizeof(r->check[0].detail), n;

	if (f->landlock_abi <= 0) {
		found(r, CHECK_LANDLOCK, STATE_MISSING,
		      f->landlock_err == EOPNOTSUPP			  ? DOCTOR_LANDLOCK_OFF
		      : f->landlock_err == ENOSYS && f->seccomp_mode == 0 ? DOCTOR_LANDLOCK_NONE
		      : f->seccomp_mode == 2				  ? DOCTOR_LANDLOCK_REFUSED
									  : DOCTOR_LANDLOCK_NONE);
		return;
	}
	(void)snprintf(detail, size, "version %d", f->landlock_abi);
	if (f->landlock_abi >= 6) {
		found(r, CHECK_LANDLOCK, STATE_PRESENT, DOCTOR_OK);
		return;
	}
	found(r, CHECK_LANDLOCK, STATE_PARTIAL, DOCTOR_LANDLOCK_OLD);
	for (size_t i = 0; i < ARRAY_LEN(added); i++) {
		if (f->landlock_abi >= added[i].abi)
			continue;
		n = strlen(detail);
		(void)snprintf(detail + n, size - n, "%s%s", strstr(detail, "without") ? ", " : ", without ",
			       added[i].what);
	}
}

static void judge_cgroup(const struct doctor_facts *f, struct doctor_report *r)
{
	bool all = f->cgroup_memory && f->cgroup_cpu && f->cgroup_pids;
	bool v2 = f->cgroup == 2;

	(void)snprintf(r->check[CHECK_CGROUP].detail, sizeof(r->check[0].detail), "%s%s%s%s%s",
		       f->cgroup == 0	? "none"
		       : v2		? "version 2"
		       : f->cgroup == 1 ? "version 1"
					: "versions 1 and 2",
		       f->cgroup_writable ? ", may be changed" : "", f->cgroup_memory ? ", memory" : "",
		       f->cgroup_cpu ? ", cpu" : "", f->cgroup_pids ? ", pids" : "");
	if (f->cgroup == 0)
		found(r, CHECK_CGROUP, STATE_MISSING, DOCTOR_CGROUP_NONE);
	else if (!f->cgroup_writable)
		found(r, CHECK_CGROUP, STATE_MISSING, v2 ? DOCTOR_CGROUP_READONLY : DOCTOR_CGROUP_V1);
	else if (!all)
		found(r, CHECK_CGROUP, STATE_PARTIAL, DOCTOR_CGROUP_CONTROLLERS);
	else
		found(r, CHECK_CGROUP, STATE_PRESENT, DOCTOR_OK);
	if (f->cgroup_kill)
		found(r, CHECK_CGROUP_KILL, STATE_PRESENT, DOCTOR_OK);
	else
		found(r, CHECK_CGROUP_KILL, STATE_MISSING, DOCTOR_CGROUP_KILL_NONE);
}

/* Memory and Yama: MODE is what the rest would allow. */
static void judge_memory(const struct doctor_facts *f, bool view, struct doctor_report *r)
{
	int err = view ? f->nested_memory_err : f->memory_err;
	struct doctor_finding *yama = &r->check[CHECK_YAMA];

	if (f->yama == DOCTOR_UNKNOWN)
		(void)snprintf(yama->detail, sizeof(yama->detail), "there is no Yama");
	else
		(void)snprintf(yama->detail, sizeof(yama->detail), "ptrace_scope %ld", f->yama);
	found(r, CHECK_YAMA, STATE_PRESENT, DOCTOR_OK);
	if (f->yama >= 3)
		found(r, CHECK_YAMA, STATE_MISSING, DOCTOR_YAMA_3);
	else if (f->yama == 2 && !view) /* root as well: without namespaces the sentry has no capability */
		found(r, CHECK_YAMA, STATE_MISSING, DOCTOR_YAMA_2);

	if (err == 0)
		found(r, CHECK_MEMORY, STATE_PRESENT, DOCTOR_OK);
	else if (yama->problem != DOCTOR_OK)
		found(r, CHECK_MEMORY, STATE_MISSING, yama->problem);
	else
		found(r, CHECK_MEMORY, STATE_MISSING, DOCTOR_MEMORY_REFUSED);
}

void doctor_judge(const struct doctor_facts *f, struct doctor_report *ret_report)
{
	/* What gabion cannot do without, in the order in which it is worth mending. */
	static const enum doctor_check needed[] = {CHECK_KERNEL, CHECK_NOTIFY, CHECK_YAMA, CHECK_MEMORY};
	struct doctor_report r;
	bool view;

	memset(&r, 0, sizeof(r));
	(void)snprintf(r.check[CHECK_KERNEL].detail, sizeof(r.check[0].detail), "Linux %.120s", f->release);
	if (f->major > 5 || (f->major == 5 && f->minor >= 9))
		found(&r, CHECK_KERNEL, STATE_PRESENT, DOCTOR_OK);
	else
		found(&r, CHECK_KERNEL, STATE_MISSING, DOCTOR_KERNEL_OLD);

	judge_plain(&r, CHECK_NOTIFY, f->listener_err, notify_problem(f));
	judge_plain(&r, CHECK_SYNC_WAKE_UP, f->sync_wake_up_err, DOCTOR_SYNC_WAKE_UP);
	judge_plain(&r, CHECK_WAIT_KILLABLE, f->wait_killable_err, DOCTOR_WAIT_KILLABLE);
	judge_plain(&r, CHECK_ADDFD_SEND, f->addfd_send_err, DOCTOR_ADDFD_SEND);
	if (f->listener_err != 0) {
		found(&r, CHECK_SYNC_WAKE_UP, STATE_UNUSED, DOCTOR_OK);
		found(&r, CHECK_WAIT_KILLABLE, STATE_UNUSED, DOCTOR_OK);
		found(&r, CHECK_ADDFD_SEND, STATE_UNUSED, DOCTOR_OK);
	}
	judge_plain(&r, CHECK_GETFD, f->getfd_err,
		    f->getfd_err == ENOSYS && f->seccomp_mode == 0 ? DOCTOR_PIDFD_GETFD_NONE
								   : DOCTOR_PIDFD_GETFD_REFUSED);
	judge_userns(f, &r);
	judge_landlock(f, &r);
	judge_cgroup(f, &r);
	judge_plain(&r, CHECK_IO_URING, f->io_uring_err, DOCTOR_IO_URING_OFF);

	view = r.check[CHECK_USERNS].state == STATE_PRESENT && r.check[CHECK_PROC].state == STATE_PRESENT &&
	       r.check[CHECK_MOUNT_API].state == STATE_PRESENT;
	judge_memory(f, view, &r);
	r.mode = !view ? FLOOR_BARE : f->root ? FLOOR_ROOT : FLOOR_ROOTLESS;
	r.can_run = true;
	for (size_t i = 0; i < ARRAY_LEN(needed) && r.can_run; i++) {
		if (r.check[needed[i]].state != STATE_MISSING)
			continue;
		r.can_run = false;
		r.blocker = r.check[needed[i]].problem;
	}
	if (r.can_run && !view && r.check[CHECK_LANDLOCK].state == STATE_MISSING) {
		r.can_run = false;
		r.blocker = r.check[CHECK_LANDLOCK].problem;
	}
	*ret_report = r;
}
