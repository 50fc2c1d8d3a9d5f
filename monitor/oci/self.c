/*
 * The program goes on as a copy that nobody can write to (CVE-2019-5736): a process of gabion's in a container's
 * namespaces has /proc/PID/exe, which leads those inside who are root of the host to the file it was started from.
 *
 * The copy is the same file on a mount of its own that is read-only and attached nowhere, so it costs one exec and no
 * memory; where mounting is not permitted it is a sealed memory file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "monitor/oci/container.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/* Read-only by its mount (of which nobody inside has the means), or for good. */
static bool is_protected(int exe)
{
	struct statvfs fs;
	int seals = fcntl(exe, F_GET_SEALS);

	if (seals >= 0 && (seals & SEALS) == SEALS)
		return true;
	return fstatvfs(exe, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0;
}

static int readonly_mount(void)
{
	AUTO_FD int tree = open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0 || mount_attrs(tree, MOUNT_ATTR_RDONLY, 0, false) < 0)
		return err_now();
	/* An O_PATH descriptor would do for execveat; one for reading says the same of its mount. */
	int fd = openat(tree, "", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = fd_steal(&tree);
	return fd;
}

static int memory_copy(int exe)
{
	struct stat st;
	off_t at = 0;
	AUTO_FD int fd = memfd_create("gabion", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || fstat(exe, &st) < 0)
		return err_now();
	while (at < st.st_size)
		if (sendfile(fd, exe, &at, (size_t)(st.st_size - at)) <= 0)
			return err_now();
	if (fchmod(fd, 0500) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return err_now();
	return fd_steal(&fd);
}

int oci_self_protect(char **argv, struct oci_fault *fault)
{
	AUTO_FD int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (exe < 0)
		return oci_fail_errno(fault, err_now(), "open /proc/self/exe");
	if (is_protected(exe))
		return 0;
	AUTO_FD int copy = readonly_mount();
	if (copy < 0 || !is_protected(copy))
		copy = memory_copy(exe);
	if (copy < 0)
		return oci_fail_errno(fault, copy, "a copy of the program that cannot be written to");
	(void)fexecve(copy, argv, environ);
	return oci_fail_errno(fault, err_now(), "executing the copy of the program");
}
