/*
 * A process becomes what config.json says: see proc_apply.h.
 *
 * The order within proc_become() is the kernel's: what needs a capability is done while there is one. The bounding set
 * is emptied while SETPCAP is there, groups and ids are set while SETGID and SETUID are, then the sets are narrowed in
 * one capset, and ambient ones raised last, since they need to be permitted and inheritable.
 */
#include "monitor/oci/proc_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/openat2.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

static bool apparmor_is_there(void)
{
	char c = 'N';
	AUTO_FD int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, &c, 1) == 1 && c == 'Y';
}

int proc_check_labels(const struct oci_proc *p, const char *mount_label, struct oci_fault *fault)
{
	bool selinux = access("/sys/fs/selinux/enforce", F_OK) == 0;

	if (p->apparmor != NULL && !apparmor_is_there())
		return oci_fail(fault, -EOPNOTSUPP, "apparmor: config provided but apparmor not supported");
	if ((p->selinux != NULL || (mount_label != NULL && mount_label[0] != '\0')) && !selinux)
		return oci_fail(fault, -EOPNOTSUPP, "selinux label is specified in config, but selinux is disabled or not supported");
	return 0;
}

void proc_check_caps(struct oci_proc *p)
{
	uint64_t all = 0, there = 0;

	for (int i = 0; i < OCI_CAPSETS; i++)
		all |= p->caps[i];
	for (int cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			there |= 1ULL << cap;
	if (all & ~there)
		oci_log(OCI_WARNING, "capabilities that this host does not give to us are left out (mask %#llx)",
			(unsigned long long)(all & ~there));
	if (p->caps[OCI_AMBIENT] & ~(p->caps[OCI_PERMITTED] & p->caps[OCI_INHERITABLE]))
		oci_log(OCI_DEBUG, "ambient capabilities that are not permitted and inheritable are left out");
	for (int i = 0; i < OCI_CAPSETS; i++)
		p->caps[i] &= there;
}

/* The kernel makes a capability ambient only where it is permitted and inheritable; config.json of runc's own making has more. */
static uint64_t ambient(const struct oci_proc *p)
{
	return p->caps[OCI_AMBIENT] & p->caps[OCI_PERMITTED] & p->caps[OCI_INHERITABLE];
}

int proc_limits(const struct oci_proc *p, proc_warn_fn *warn, void *ctx, struct oci_fault *fault)
{
	for (size_t i = 0; i < p->rlimits_n; i++) {
		const struct oci_rlimit *l = &p->rlimits[i];
		struct rlimit now, want = {.rlim_cur = l->soft, .rlim_max = l->hard};
		char text[160];
		if (setrlimit((__rlimit_resource_t)l->resource, &want) == 0)
			continue;
		if (errno != EPERM || getrlimit((__rlimit_resource_t)l->resource, &now) < 0)
			return oci_fail_errno(fault, err_now(), "error setting rlimit type %s", l->name);
		/* What may not be raised is lowered to what there is; a container that lists its engine's default
		 * should start here all the same. */
		if (want.rlim_max > now.rlim_max)
			want.rlim_max = now.rlim_max;
		if (want.rlim_cur > want.rlim_max)
			want.rlim_cur = want.rlim_max;
		(void)snprintf(text, sizeof(text), "%s: %llu cannot be had here (no CAP_SYS_RESOURCE): %llu is set", l->name,
			       (unsigned long long)l->hard, (unsigned long long)want.rlim_max);
		warn(ctx, text);
		if (setrlimit((__rlimit_resource_t)l->resource, &want) < 0)
			return oci_fail_errno(fault, err_now(), "error setting rlimit type %s", l->name);
	}
	return 0;
}

/* The kernel's struct sched_attr of 48 bytes. */
struct sched_words {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int write_at(int dir, const char *path, const char *text)
{
	struct open_how how = {.flags = O_WRONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV};
	AUTO_FD int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));

	if (fd < 0)
		return err_now();
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : err_now();
}

int proc_priorities(const struct oci_proc *p, int proc, proc_warn_fn *warn, void *ctx, struct oci_fault *fault)
{
	const struct oci_scheduler *s = &p->scheduler;
	char text[32];

	if (p->oom_score_adj_set) {
		(void)snprintf(text, sizeof(text), "%d", p->oom_score_adj);
		int r = write_at(proc, "self/oom_score_adj", text);
		if (r == -EACCES || r == -EPERM)
			warn(ctx, "oomScoreAdj cannot be lowered here (no CAP_SYS_RESOURCE)");
		else if (r < 0)
			return oci_fail_errno(fault, r, "error setting oomScoreAdj");
	}
	if (s->set) {
		struct sched_words a = {.size = sizeof(a), .policy = s->policy, .flags = s->flags, .nice = s->nice,
					.priority = s->priority, .runtime = s->runtime, .deadline = s->deadline, .period = s->period};
		if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
			return oci_fail_errno(fault, err_now(), "error setting scheduler");
	}
	if (p->io_priority_set &&
	    syscall(SYS_ioprio_set, 1, 0, IOPRIO_PRIO_VALUE(p->io_class, p->io_priority)) < 0)
		return oci_fail_errno(fault, err_now(), "error setting io priority");
	return 0;
}

int proc_labels(const struct oci_proc *p, int proc, struct oci_fault *fault)
{
	int r = 0;

	if (p->apparmor != NULL) {
		AUTO_FREE char *text = NULL;
		if (asprintf(&text, "exec %s", p->apparmor) < 0) {
			text = NULL;
			return -ENOMEM;
		}
		r = write_at(proc, "self/attr/apparmor/exec", text);
		if (r == -ENOENT)
			r = write_at(proc, "self/attr/exec", text);
		if (r < 0)
			return oci_fail_errno(fault, r, "unable to apply apparmor profile %s", p->apparmor);
	}
	if (p->selinux != NULL && (r = write_at(proc, "self/attr/exec", p->selinux)) < 0)
		return oci_fail_errno(fault, r, "error setting selinux label %s", p->selinux);
	return 0;
}

static int drop_bounding(uint64_t keep)
{
	for (int cap = 0; cap < 64; cap++) {
		int have = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (have < 0)
			break;
		if (have == 1 && !(keep & (1ULL << cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_now();
	}
	return 0;
}

static int set_caps(const struct oci_proc *p)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){.effective = (uint32_t)(p->caps[OCI_EFFECTIVE] >> (32 * i)),
							  .permitted = (uint32_t)(p->caps[OCI_PERMITTED] >> (32 * i)),
							  .inheritable = (uint32_t)(p->caps[OCI_INHERITABLE] >> (32 * i))};
	if (syscall(SYS_capset, &head, data) < 0)
		return err_now();
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return err_now();
	for (int cap = 0; cap < 64; cap++)
		if ((ambient(p) & (1ULL << cap)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return err_now();
	return 0;
}

int proc_become(const struct oci_proc *p, struct oci_fault *fault)
{
	int r = drop_bounding(p->caps[OCI_BOUNDING]);

	if (r < 0)
		return oci_fail_errno(fault, r, "unable to apply bounding set");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return oci_fail_errno(fault, err_now(), "unable to set keep caps");
	/* Denied in the user namespace of somebody without newgidmap: nothing to drop then but what the kernel keeps. */
	if (setgroups(p->groups_n, p->groups) < 0 && (errno != EPERM || p->groups_n > 0))
		return oci_fail_errno(fault, err_now(), "unable to setup user: setgroups");
	if (setresgid(p->gid, p->gid, p->gid) < 0)
		return oci_fail_errno(fault, err_now(),
				      errno == EINVAL ? "cannot set gid to unmapped user in user namespace"
						      : "unable to setup user: setgid");
	if (setresuid(p->uid, p->uid, p->uid) < 0)
		return oci_fail_errno(fault, err_now(),
				      errno == EINVAL ? "cannot set uid to unmapped user in user namespace"
						      : "unable to setup user: setuid");
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return oci_fail_errno(fault, err_now(), "unable to clear keep caps");
	r = set_caps(p);
	(void)umask(p->umask_set ? p->umask : 022);
	return r < 0 ? oci_fail_errno(fault, r, "unable to apply caps") : 0;
}

int proc_chdir(const struct oci_proc *p, bool last, struct oci_fault *fault)
{
	char path[PATH_MAX + 16];
	struct stat here, again;

	if (chdir(p->cwd) < 0) {
		if (!last && (errno == EACCES || errno == EPERM))
			return -EAGAIN;
		return oci_fail_errno(fault, err_now(), "chdir to cwd (\"%s\") set in config.json failed", p->cwd);
	}
	/* A directory that is not below our root has no path; "(unreachable)" is what the kernel calls it. */
	long n = syscall(SYS_getcwd, path, sizeof(path));
	if (n <= 0 || path[0] != '/' || stat(".", &here) < 0 || stat(path, &again) < 0 || here.st_ino != again.st_ino ||
	    here.st_dev != again.st_dev)
		return oci_fail(fault, -ENOENT, "current working directory is outside of container mount namespace root -- possible "
						"container breakout detected");
	return 0;
}
