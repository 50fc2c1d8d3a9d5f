/*
 * The guest's root in one mount namespace, its processes in another.
 *
 * /proc/PID/{mountinfo,mounts,mountstats} of every process tell of the mounts of the namespace it belongs to, as far as they
 * can be reached from its root directory. They would name the host's paths and devices the guest's mounts come from, and no
 * mount covers a file of each process, nor does a rule about opening hold where the kernel opens. So init leaves the view's
 * namespace for a copy of it and takes the view as its root again: nothing of the copy can be reached from there, and the
 * tables of init, the command and all they start are empty. What programs read instead is the sentry's doing
 * (sentry/fs_mounts.c).
 *
 * The price: to a process that belongs to another namespace a mount point there is a name like any other, which it may rename
 * or remove, mount and all (is_local_mountpoint() in fs/namei.c). The guest cannot: names are changed by the sentry alone,
 * which belongs to the view's, or, where the plan leaves CHANGE to the kernel, no mount that takes something away lies in a
 * writable one (COND_GUARDED of policy/plan.c), and in a read-only one no name changes.
 *
 * Should: leave root and working directory at the view's. Mustn't: leave a descriptor of either namespace open.
 */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "util/err.h"
#include "util/fd.h"

int view_apart(void)
{
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || unshare(CLONE_NEWNS) < 0 || fchdir(root) < 0 || chroot(".") < 0)
		return err_now();
	return 0;
}
