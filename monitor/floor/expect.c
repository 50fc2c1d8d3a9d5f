/*
 * What a run on this host is likely to get, asked of the kernel without building anything that stays: for
 * `gabion explain`.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "monitor/tracer.h"
#include "util/err.h"
#include "util/mount.h"

/* Does a child in new namespaces reach what a view needs: mounts, and a procfs of its own? */
static bool namespaces_work(void)
{
	pid_t pid = (pid_t)syscall(
		SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | SIGCHLD,
		NULL, NULL, NULL, NULL);
	if (pid < 0)
		return false;
	if (pid == 0) {
		bool ok = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && proc_detached() >= 0;
		_exit(ok ? 0 : 1);
	}
	int status = 1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

int floor_expect(uint32_t *ret_facts)
{
	int abi = landlock_abi();
	uint32_t facts = FLOOR_NNP | FLOOR_STDIO; /* as from a terminal */

	if (namespaces_work())
		facts |= FLOOR_VIEW | FLOOR_VIEW_NOEXEC | FLOOR_PIDNS | FLOOR_NETNS | FLOOR_IPCNS |
			 FLOOR_USERNS;
	else if (abi > 0)
		facts |= FLOOR_LANDLOCK_FS | (abi >= 4 ? (uint32_t)FLOOR_LANDLOCK_TCP : 0);
	if (abi >= 6)
		facts |= FLOOR_LANDLOCK_SCOPE;
	if (tracer_works())
		facts |= FLOOR_TRACER;
	*ret_facts = facts;
	return 0;
}

const char *floor_mode_name(enum floor_mode m)
{
	switch (m) {
	case FLOOR_ROOT:
		return "root";
	case FLOOR_ROOTLESS:
		return "rootless";
	case FLOOR_BARE:
		return "bare";
	}
	return "?";
}
