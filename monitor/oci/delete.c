/*
 * A container removed: its processes, gabion's helpers, its cgroups, its state, in an order in which a kill -9 between
 * any two steps leaves the state for another delete to go on by. Everything that is to be removed is named in the state
 * before it is made (state.h, cgroup.h); what is not there any more counts as removed.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "monitor/oci/cli.h"
#include "monitor/oci/container.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	GONE_MS = 20000, /* how long a killed process may take */
	HELPER_MS = 2000 /* a helper ends by itself after its guest, with its record written */
};

/* Waits until the process of PIDFD has ended. */
static bool wait_end(int pidfd, int ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

/* Ends P; GRACE_MS before it is killed. -EBUSY where it does not die. */
static int end_process(struct oci_process p, int grace_ms)
{
	AUTO_FD int fd = oci_process_open(p);

	if (fd < 0 || (grace_ms > 0 && wait_end(fd, grace_ms)))
		return 0;
	if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return err_now();
	return wait_end(fd, GONE_MS) ? 0 : -EBUSY;
}

static int end_all(const struct oci_state *s, struct oci_fault *fault)
{
	AUTO_FD int init = oci_process_open(s->init);
	int r;

	if (s->cgroup != NULL && oci_cgroup_frozen(s->cgroup)) {
		/* killed first: thawed it must not run on */
		if (init >= 0)
			(void)syscall(SYS_pidfd_send_signal, init, SIGKILL, NULL, 0);
		(void)oci_cgroup_kill(s->cgroup, SIGKILL);
		(void)oci_cgroup_freeze(s->cgroup, false, NULL);
	}
	r = end_process(s->init, 0);
	if (r < 0)
		return oci_fail(fault, r, "container init still running");
	if (s->cgroup != NULL)
		(void)oci_cgroup_kill(s->cgroup, SIGKILL);
	/* A create that died under way has not written a record to wait for. */
	for (size_t i = 0; i < s->helpers_n; i++) {
		r = end_process(s->helpers[i], s->created_done ? HELPER_MS : 0);
		if (r < 0)
			return oci_fail(fault, r, "gabion's helper %d does not end", (int)s->helpers[i].pid);
	}
	return 0;
}

int oci_delete(const char *root, const char *id, bool force, struct oci_fault *fault)
{
	struct oci_handle h = OCI_HANDLE_NULL;
	struct oci_state s = OCI_STATE_NULL;

	oci_state_sweep(root);
	int r = oci_state_open(root, id, &h, fault);
	if (r == -ENOENT && force)
		return 0;
	if (r < 0)
		return r;
	r = oci_state_read(&h, &s, fault);
	if (r < 0) {
		/* An ID without a readable state is not ours to guess at, unless we are told to. */
		if (force && r != -EPROTO)
			r = oci_state_remove(root, &h, fault);
		oci_state_close(&h);
		return r;
	}
	enum oci_status status = oci_state_status(&s);
	if (!force && status != OCI_STOPPED && status != OCI_CREATED) {
		r = oci_fail(fault, -EBUSY, "cannot delete container %s that is not stopped: %s", id, oci_status_word(status));
		goto out;
	}
	r = end_all(&s, fault);
	if (r < 0)
		goto out;
	if (s.cgroup != NULL)
		r = oci_cgroup_remove(s.cgroup, fault);
	if (r < 0)
		goto out;
	(void)oci_hooks_run(&h, &s, OCI_POSTSTOP, OCI_STOPPED, NULL);
	r = oci_state_remove(root, &h, fault);
out:
	oci_state_clear(&s);
	oci_state_close(&h);
	return r;
}
