/*
 * procfs and sysfs of the guest.
 *
 * The guest's /proc is an instance of its own pid namespace, made by that namespace's first process; nothing of the host's
 * processes is in it. What procfs shows of the host's kernel beyond processes is masked, with the list every
 * container engine uses (OCI default maskedPaths and readonlyPaths) and what later kernels added.
 *
 * Should: mask by mounting over held objects of this very procfs.
 * Mustn't: mount over a path whose object is not procfs (the view is ours: nothing the guest wrote is in it yet).
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#include "monitor/floor/floor.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

static const char *const masked[] = {
	"acpi", "asound", "interrupts", "kallsyms", "kcore", "keys", "key-users", "kpagecgroup", "kpagecount", "kpageflags",
	"latency_stats", "pagetypeinfo", "sched_debug", "scsi", "slabinfo", "timer_list", "timer_stats", "vmallocinfo", "zoneinfo",
	"iomem", "ioports", "kmsg", "modules", "diskstats", "partitions", "swaps", "cmdline", "mdstat",
};

static const char *const readonly[] = { "bus", "driver", "fs", "irq", "mtrr", "sys", "sysrq-trigger", "sysvipc" };

static const char *const sys_masked[] = {
	"firmware", "kernel/debug", "kernel/tracing", "kernel/security", "kernel/config", "kernel/notes", "kernel/vmcoreinfo",
	"devices/virtual/dmi", "devices/virtual/powercap", "class/dmi", "class/powercap", "block", "class/block", "dev/block", "hypervisor",
	"fs/cgroup", "fs/pstore", "fs/bpf", "fs/selinux", "class/tpm", "class/hwmon",
};

static int detached_fs(const char *type, uint64_t attrs)
{
	AUTO_FD int fs = fsopen(type, FSOPEN_CLOEXEC);
	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_now();
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attrs);
	return fd < 0 ? err_now() : fd;
}

int proc_detached(void)
{
	return detached_fs("proc", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* Masks NAMES below the directory ROOT: directories by EMPTY_DIR, files by the null device. Absent ones need no mask. */
static int mask_all(int root, const char *const *names, size_t n)
{
	AUTO_FD int null = open("/dev/null", O_PATH | O_CLOEXEC);
	int empty = -1;
	int r = null < 0 ? err_now() : 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct stat st;
		AUTO_FD int at = openat(root, names[i], O_PATH | O_CLOEXEC | O_NOFOLLOW);
		if (at < 0 || fstat(at, &st) < 0 || S_ISLNK(st.st_mode))
			continue;
		AUTO_FD int over = -1;
		if (S_ISDIR(st.st_mode)) {
			if (empty < 0)
				empty = view_tmpfs(4096, 0555, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
								      MOUNT_ATTR_NOEXEC);
			over = empty < 0 ? -1 : open_tree(empty, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
			if (over < 0 && empty >= 0) { /* before 6.15 a detached mount cannot be cloned: one instance each */
				over = empty;
				empty = -1;
			}
		} else {
			over = open_tree(null, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		}
		if (over < 0 || mount_attach(over, at) < 0)
			r = err_now();
	}
	fd_close(empty);
	return r;
}

int proc_mount_guest(void)
{
	AUTO_FD int proc = proc_detached();
	AUTO_FD int at = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (proc < 0 || at < 0)
		return proc < 0 ? proc : err_now();
	if (mount_attach(proc, at) < 0)
		return err_now();
	for (size_t i = 0; i < ARRAY_LEN(readonly); i++) {
		AUTO_FD int over = open_tree(proc, readonly[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
		AUTO_FD int on = openat(proc, readonly[i], O_PATH | O_CLOEXEC | O_NOFOLLOW);
		if (over < 0 || on < 0)
			continue; /* this kernel has none */
		if (mount_attrs(over, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, false) < 0 ||
		    mount_attach(over, on) < 0)
			return err_now();
	}
	return mask_all(proc, masked, ARRAY_LEN(masked));
}

int sys_mount(int root)
{
	AUTO_FD int at = openat(root, "sys", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (at < 0)
		return errno == ENOENT ? 0 : err_now();
	uint64_t attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	AUTO_FD int sys = detached_fs("sysfs", attrs);
	if (sys < 0) {
		AUTO_FD int none = view_tmpfs(4096, 0555, attrs);
		return none >= 0 && mount_attach(none, at) == 0 ? 0 : err_now();
	}
	if (mount_attach(sys, at) < 0)
		return err_now();
	return mask_all(sys, sys_masked, ARRAY_LEN(sys_masked));
}
