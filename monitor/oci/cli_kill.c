/* `kill`, `delete`, `pause`, `resume`. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/oci/cli.h"
#include "util/err.h"
#include "util/fd.h"

/* Signals without the lock: somebody may be waiting in start for just the process that is to die. */
static int signal_container(const char *root, const char *id, const char *name, bool all, struct oci_fault *fault)
{
	struct oci_handle h = OCI_HANDLE_NULL;
	struct oci_state s = OCI_STATE_NULL;
	int r = oci_state_peek(root, id, &h, fault);

	if (r == 0)
		r = oci_state_read(&h, &s, fault);
	oci_state_close(&h);
	if (r < 0)
		return r;
	int number = oci_signal_number(name);
	if (number < 0) {
		oci_state_clear(&s);
		return oci_fail(fault, -EINVAL, "unknown signal \"%.80s\"", name);
	}
	AUTO_FD int pidfd = oci_process_open(s.init);
	enum oci_status status = oci_state_status(&s);
	if (all) {
		r = s.cgroup == NULL ? -EOPNOTSUPP : oci_cgroup_kill(s.cgroup, number);
		if (r == -EOPNOTSUPP && pidfd >= 0) /* no group: its first process, which takes a pid namespace along */
			r = syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0 ? err_now() : 0;
		else if (r == -EOPNOTSUPP)
			r = 0;
		if (r < 0)
			oci_fail_errno(fault, r, "unable to signal all processes");
	} else if (pidfd < 0 || status == OCI_STOPPED) {
		r = oci_fail(fault, -ESRCH, "container not running");
	} else if (syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0) {
		r = errno == ESRCH ? oci_fail(fault, -ESRCH, "container not running")
				   : oci_fail_errno(fault, err_now(), "unable to signal init");
	} else if (number == SIGKILL && status == OCI_PAUSED) {
		/* version 1: it dies when it is thawed */
		(void)oci_cgroup_freeze(s.cgroup, false, NULL);
	}
	oci_state_clear(&s);
	return r;
}

int oci_cli_kill(struct oci_line *line)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	enum oci_option option;
	const char *value;
	bool all = false;
	int status = 0, more;

	while ((more = oci_option(line, &option, &value, &status)) > 0)
		all = oci_flag(value);
	if (more < 0)
		return status;
	const char *name = line->operands_n > 1 ? line->operands[1] : "TERM";
	int r = signal_container(line->globals->root, line->operands[0], name, all, &fault);
	return r < 0 ? oci_report(line->globals, &fault) : 0;
}

int oci_cli_delete(struct oci_line *line)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	enum oci_option option;
	const char *value;
	bool force = false;
	int status = 0, more;

	while ((more = oci_option(line, &option, &value, &status)) > 0)
		force = oci_flag(value);
	if (more < 0)
		return status;
	return oci_delete(line->globals->root, line->operands[0], force, &fault) < 0 ? oci_report(line->globals, &fault) : 0;
}

static int freeze(struct oci_line *line, bool frozen)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	struct oci_handle h = OCI_HANDLE_NULL;
	struct oci_state s = OCI_STATE_NULL;
	enum oci_option option;
	const char *value;
	int line_status = 0;

	if (oci_option(line, &option, &value, &line_status) < 0)
		return line_status;
	int r = oci_state_open(line->globals->root, line->operands[0], &h, &fault);
	if (r == 0)
		r = oci_state_read(&h, &s, &fault);
	if (r == 0) {
		enum oci_status status = oci_state_status(&s);
		if (frozen && status != OCI_RUNNING && status != OCI_CREATED)
			r = oci_fail(&fault, -EINVAL, status == OCI_PAUSED ? "container already paused" : "container not running");
		else if (!frozen && status != OCI_PAUSED)
			r = oci_fail(&fault, -EINVAL, "container not paused");
		else if (s.cgroup == NULL)
			r = oci_fail(&fault, -EOPNOTSUPP, "container has no cgroup");
		else
			r = oci_cgroup_freeze(s.cgroup, frozen, &fault);
	}
	oci_state_clear(&s);
	oci_state_close(&h);
	return r < 0 ? oci_report(line->globals, &fault) : 0;
}

int oci_cli_pause(struct oci_line *line)
{
	return freeze(line, true);
}

int oci_cli_resume(struct oci_line *line)
{
	return freeze(line, false);
}
