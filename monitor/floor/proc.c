/*
 * procfs and sysfs of the guest.
 *
 * The guest's /proc is an instance of its own pid namespace, made by that namespace's first process; nothing of the host's
 * processes is in it. What procfs shows of the host's kernel beyond processes is masked, with the list every
 * container engine uses (OCI default maskedPaths and readonlyPaths), what later kernels added, and the host's buses, boards, disks
 * and modules.
 *
 * Should: mask by mounting over held objects of this very procfs.
 * Mustn't: mount over a path whose object is not procfs (the view is ours: nothing the guest wrote is in it yet).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "monitor/floor/floor.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

static const char *const masked[] = {
	"acpi", "asound", "buddyinfo", "bus", "cmdline", "consoles", "diskstats", "driver",
	"fs", "interrupts", "iomem", "ioports", "irq", "kallsyms", "kcore", "key-users",
	"keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "mdstat", "modules",
	"pagetypeinfo", "partitions", "sched_debug", "scsi", "slabinfo", "softirqs", "swaps", "timer_list",
	"timer_stats", "vmallocinfo", "zoneinfo",
};

static const char *const readonly[] = {"mtrr", "sys", "sysrq-trigger", "sysvipc"};

static const char *const sys_masked[] = {
	"block", "bus", "class/block", "class/dmi", "class/hwmon", "class/powercap",
	"class/tpm", "dev/block", "devices/virtual/bdi", "devices/virtual/block", "devices/virtual/dmi",
	"devices/virtual/powercap", "firmware", "fs/bpf", "fs/btrfs", "fs/cgroup",
	"fs/ext4", "fs/f2fs", "fs/fuse", "fs/pstore", "fs/selinux", "fs/xfs",
	"hypervisor", "kernel/boot_params", "kernel/config", "kernel/debug", "kernel/iommu_groups",
	"kernel/irq", "kernel/notes", "kernel/security", "kernel/slab", "kernel/tracing", "kernel/vmcoreinfo",
	"module",
};

/* What of /sys/devices is a bus or a board of the host's: names begin so. The rest are processors, memory, counters and
 * what has no hardware behind it. */
static const char *const devices_masked[] = {"LNXSYSTM", "acpi", "faux",   "ndbus", "pci",
					     "platform", "pnp",	 "virtio", "vmbus", "xen"};

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

/* Masks NAMES below the directory ROOT: directories by an empty one, files by the null device. Absent ones need no mask. */
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

static bool is_board(const struct dirent *d)
{
	for (size_t i = 0; i < ARRAY_LEN(devices_masked); i++)
		if (strncmp(d->d_name, devices_masked[i], strlen(devices_masked[i])) == 0)
			return d->d_type == DT_DIR;
	return false;
}

static int mask_devices(int sys)
{
	int fd = openat(sys, "devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d = NULL;
	char **names = NULL;
	size_t n = 0;
	int r = 0;

	if (dir == NULL) {
		r = err_now();
		fd_close(fd);
		return r;
	}
	while (r == 0 && (d = readdir(dir)) != NULL) {
		if (!is_board(d))
			continue;
		char **more = reallocarray(names, n + 1, sizeof(*names));

		r = -ENOMEM;
		if (more == NULL)
			break;
		names = more;
		if (asprintf(&names[n], "devices/%s", d->d_name) < 0)
			break;
		n++;
		r = 0;
	}
	if (r == 0)
		r = mask_all(sys, (const char *const *)names, n);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	(void)closedir(dir);
	return r;
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
	int r = mask_devices(sys);
	return r == 0 ? mask_all(sys, sys_masked, ARRAY_LEN(sys_masked)) : r;
}
