/*
 * The container's file system: see rootfs.h.
 *
 * Sources of bind mounts are opened (open_tree) before anything of the container's is mounted, with the rights of who
 * runs us; targets are resolved below the root with openat2 and held; a mount is then moved from the one descriptor to
 * the other. An image that swaps a directory for a symbolic link meanwhile moves nothing (CVE-2021-30465), and a link
 * leads nowhere but below the root.
 *
 * Should: refuse a /proc or /sys that is a link (CVE-2019-16884), mounts over files of procfs but the few engines
 * fake, masks that did not become masks. Mustn't: look up a path of the container's twice.
 */
#include "monitor/oci/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/oci/idmap.h"
#include "monitor/oci/inroot.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

/* A detached clone of PATH with what lies below it (RECURSIVE), of propagation PROPAGATION. */
static int clone_tree(const char *path, bool recursive, uint64_t propagation)
{
	struct mount_attr a = {.propagation = propagation};
	AUTO_FD int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0u));

	if (fd < 0)
		return err_now();
	/* A clone of a shared mount is its peer: what is mounted on it would appear on the host. */
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)) < 0)
		return err_now();
	return fd_steal(&fd);
}

/* Slave mounts go on hearing of the host's; they have to be made from a peer. Shared ones stay peers. */
static uint64_t first_propagation(unsigned long wanted)
{
	if (wanted & MS_SLAVE)
		return MS_SLAVE;
	return wanted & MS_SHARED ? 0 : MS_PRIVATE;
}

static int open_source(const struct rootfs *r, const struct oci_mount *m)
{
	AUTO_FREE char *path = NULL;

	if (asprintf(&path, "%s%s%s", m->source[0] == '/' ? "" : r->bundle, m->source[0] == '/' ? "" : "/", m->source) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return clone_tree(path, m->recursive, first_propagation(m->propagation));
}

static int source_fault(const struct oci_mount *m, int e, struct oci_fault *fault)
{
	return oci_fail_errno(fault, e, "error mounting \"%s\" to rootfs at \"%s\": stat %s", m->source, m->destination, m->source);
}

int rootfs_sources(struct rootfs *r, struct oci_fault *fault)
{
	const struct oci_config *c = r->c;

	r->sources = calloc(c->mounts_n + 1, sizeof(*r->sources));
	if (r->sources == NULL)
		return oci_fail_errno(fault, -ENOMEM, "mounts");
	for (size_t i = 0; i < c->mounts_n; i++)
		r->sources[i] = -1;
	r->base = clone_tree(r->path, true, first_propagation(c->rootfs_propagation & MS_SLAVE));
	if (r->base == -EPERM)
		return 0; /* not permitted to us: the first process can */
	if (r->base < 0)
		return oci_fail_errno(fault, r->base, "invalid rootfs: stat %s", r->path);
	for (size_t i = 0; i < c->mounts_n; i++) {
		if (!c->mounts[i].bind)
			continue;
		r->sources[i] = open_source(r, &c->mounts[i]);
		if (r->sources[i] < 0)
			return source_fault(&c->mounts[i], r->sources[i], fault);
	}
	return 0;
}

int rootfs_idmap(struct rootfs *r, int userns, struct oci_fault *fault)
{
	const struct oci_config *c = r->c;

	for (size_t i = 0; i < c->mounts_n; i++) {
		const struct oci_mount *m = &c->mounts[i];
		AUTO_FD int own = -1;
		struct mount_attr a = {.attr_set = MOUNT_ATTR_IDMAP};
		int e = 0;
		if (!m->idmap)
			continue;
		if (r->sources[i] < 0)
			return oci_fail(fault, -EPERM, "id-mapped mount at %s: needs CAP_SYS_ADMIN", m->destination);
		if (m->uids.n > 0)
			e = idmap_namespace(&m->uids, &m->gids, &own);
		if (e == 0 && m->uids.n == 0 && userns < 0)
			return oci_fail(fault, -EINVAL, "id-mapped mount at %s: neither it nor the container has mappings",
					m->destination);
		a.userns_fd = (uint64_t)(own >= 0 ? own : userns);
		if (e == 0 && mount_setattr(r->sources[i], "", AT_EMPTY_PATH | (m->idmap_recursive ? AT_RECURSIVE : 0u), &a,
					    sizeof(a)) < 0)
			e = err_now();
		if (e < 0)
			return oci_fail_errno(fault, e, "id-mapped mount at %s", m->destination);
	}
	return 0;
}

void rootfs_close(struct rootfs *r)
{
	for (size_t i = 0; r->sources != NULL && i < r->c->mounts_n; i++)
		r->sources[i] = fd_close(r->sources[i]);
	free(r->sources);
	r->sources = NULL;
	for (size_t i = 0; r->covered != NULL && r->covered[i] != NULL; i++)
		free(r->covered[i]);
	free(r->covered);
	r->covered = NULL;
	r->base = fd_close(r->base);
	r->root = fd_close(r->root);
	r->proc = fd_close(r->proc);
}

/* A procfs that is nobody's but ours: what is written to it goes where it should (CVE-2019-19921, CVE-2025-52881). */
static int own_proc(void)
{
	AUTO_FD int fs = fsopen("proc", FSOPEN_CLOEXEC);

	if (fs >= 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
		int fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
		if (fd >= 0)
			return fd;
	}
	/* Not permitted while some of procfs is covered: the host's, as long as it is one. */
	AUTO_FD int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_now();
	return inroot_is_proc(fd) ? fd_steal(&fd) : -EXDEV;
}

int rootfs_begin(struct rootfs *r, struct oci_fault *fault)
{
	const struct oci_config *c = r->c;
	unsigned long host = c->rootfs_propagation & (MS_PRIVATE | MS_UNBINDABLE) ? MS_PRIVATE : MS_SLAVE;

	if (mount("", "/", NULL, host | MS_REC, NULL) < 0)
		return oci_fail_errno(fault, err_now(), "error preparing rootfs: propagation of /");
	r->proc = own_proc();
	if (r->proc < 0)
		return oci_fail_errno(fault, r->proc, "error preparing rootfs: procfs");
	if (r->base < 0)
		r->base = clone_tree(r->path, true, first_propagation(c->rootfs_propagation & MS_SLAVE));
	if (r->base < 0)
		return oci_fail_errno(fault, r->base, "invalid rootfs: stat %s", r->path);
	/* At its own path, where hooks look for it; over / where we may not go there. */
	AUTO_FD int at = open(r->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0 || mount_attach(r->base, at) < 0)
		return oci_fail_errno(fault, err_now(), "error preparing rootfs: mounting %s", r->path);
	r->root = fcntl(r->base, F_DUPFD_CLOEXEC, 3);
	return r->root < 0 ? oci_fail_errno(fault, err_now(), "error preparing rootfs") : 0;
}

/* What may be mounted over in a procfs: what engines fake (lxcfs), nothing that acts. */
static bool proc_permits(const char *normal, const struct oci_mount *m)
{
	static const char *const files[] = {"proc/cpuinfo", "proc/diskstats", "proc/meminfo",	"proc/stat",
					    "proc/swaps",   "proc/uptime",    "proc/loadavg",	"proc/slabinfo",
					    "proc/net/dev", "proc/sys/kernel/ns_last_pid", "proc/sys/crypto/fips_enabled"};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (strcmp(normal, files[i]) == 0)
			return m->bind;
	return false;
}

/* Where M goes, held. */
static int target_of(struct rootfs *r, const struct oci_mount *m, bool dir, int *ret_fd, struct oci_fault *fault)
{
	bool kernel = m->type != NULL && !m->bind && (strcmp(m->type, "proc") == 0 || strcmp(m->type, "sysfs") == 0);
	char normal[4096];
	int e = inroot_normal(m->destination, normal);

	if (e < 0)
		return oci_fail_errno(fault, e, "mount destination %.100s", m->destination);
	if (normal[0] == '\0')
		return oci_fail(fault, -EINVAL, "mount destination %s: is the root itself", m->destination);
	/* Settings and masks count on it; a bind is one of a procfs, or of what an engine without the right to mount one has. */
	if (strcmp(normal, "proc") == 0 && !kernel && !m->bind)
		return oci_fail(fault, -EPERM, "\"/proc\" must be a procfs");
	AUTO_FD int fd = inroot_make(r->root, normal, dir);
	if (fd < 0)
		return oci_fail_errno(fault, fd, "error mounting \"%s\" to rootfs at \"%s\": create mount destination",
				      m->source != NULL ? m->source : m->type, m->destination);
	if (kernel) {
		AUTO_FD int plain = inroot_open(r->root, normal, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
		if (plain < 0)
			return oci_fail(fault, plain, "filesystem \"%s\" must be mounted on ordinary directory", m->type);
	}
	if (inroot_is_proc(fd) && !kernel && !proc_permits(normal, m))
		return oci_fail(fault, -EPERM, "\"%s\" cannot be mounted because it is inside /proc", m->destination);
	*ret_fd = fd_steal(&fd);
	return 0;
}

static bool is_dir(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || S_ISDIR(st.st_mode);
}

static int mount_bind(struct rootfs *r, size_t i, struct oci_fault *fault)
{
	const struct oci_mount *m = &r->c->mounts[i];
	AUTO_FD int target = -1;

	if (r->sources[i] < 0)
		r->sources[i] = open_source(r, m);
	if (r->sources[i] < 0)
		return source_fault(m, r->sources[i], fault);
	int e = target_of(r, m, is_dir(r->sources[i]), &target, fault);
	if (e == 0)
		e = rootfs_flags(r->sources[i], m, true, fault);
	if (e == 0 && mount_attach(r->sources[i], target) < 0)
		e = oci_fail_errno(fault, err_now(), "error mounting \"%s\" to rootfs at \"%s\"", m->source, m->destination);
	return e;
}

static int mount_fs(struct rootfs *r, const struct oci_mount *m, struct oci_fault *fault)
{
	AUTO_FD int target = -1;
	int e = target_of(r, m, true, &target, fault);

	if (e < 0)
		return e;
	if (strcmp(m->type, "cgroup") == 0 || strcmp(m->type, "cgroup2") == 0)
		return rootfs_cgroup(r, m, target, fault);
	AUTO_FD int fd = rootfs_fs(r, m, fault);
	if (fd < 0)
		return fd;
	struct stat st;
	/* A tmpfs over a directory of the image looks like it, unless told otherwise. */
	if (strcmp(m->type, "tmpfs") == 0 && (m->data == NULL || strstr(m->data, "mode=") == NULL) && fstat(target, &st) == 0)
		(void)!fchmodat(fd, ".", st.st_mode & 07777, 0);
	if (m->tmpcopyup) {
		AUTO_FD int from = inroot_open(r->root, m->destination, O_RDONLY | O_DIRECTORY, 0);
		e = from < 0 ? from : rootfs_copyup(from, fd);
		if (e < 0)
			return oci_fail_errno(fault, e, "tmpcopyup: copying to %s", m->destination);
	}
	e = rootfs_flags(fd, m, false, fault);
	if (e == 0 && mount_attach(fd, target) < 0)
		e = oci_fail_errno(fault, err_now(), "error mounting \"%s\" to rootfs at \"%s\"",
				   m->source != NULL ? m->source : m->type, m->destination);
	return e;
}

int rootfs_mounts(struct rootfs *r, struct oci_fault *fault)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < r->c->mounts_n; i++)
		e = r->c->mounts[i].bind ? mount_bind(r, i, fault) : mount_fs(r, &r->c->mounts[i], fault);
	return e;
}

static int mask(struct rootfs *r, const char *path, struct oci_fault *fault)
{
	AUTO_FD int at = inroot_open(r->root, path, O_PATH, 0);

	if (at == -ENOENT || at == -ENOTDIR)
		return 0;
	if (at < 0)
		return oci_fail_errno(fault, at, "can't mask path \"%s\"", path);
	AUTO_FD int cover = is_dir(at) ? rootfs_tmpfs("755", true) : rootfs_null();
	if (cover < 0)
		return oci_fail_errno(fault, cover, "can't mask path \"%s\"", path);
	if (mount_attrs(cover, is_dir(cover) ? (uint64_t)MOUNT_ATTR_RDONLY : 0, 0, false) < 0 || mount_attach(cover, at) < 0)
		return oci_fail_errno(fault, err_now(), "can't mask path \"%s\"", path);
	return 0;
}

static int make_readonly(struct rootfs *r, const char *path, struct oci_fault *fault)
{
	AUTO_FD int at = inroot_open(r->root, path, O_PATH, 0);

	if (at == -ENOENT || at == -ENOTDIR)
		return 0;
	if (at < 0)
		return oci_fail_errno(fault, at, "readonly path %s", path);
	AUTO_FD int fd = open_tree(at, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0 || mount_attrs(fd, MOUNT_ATTR_RDONLY, 0, true) < 0 || mount_attach(fd, at) < 0)
		return oci_fail_errno(fault, err_now(), "readonly path %s", path);
	return 0;
}

int rootfs_finish(struct rootfs *r, struct oci_fault *fault)
{
	const struct oci_config *c = r->c;
	int e = rootfs_devices(r, fault);

	for (size_t i = 0; e == 0 && c->readonly_paths != NULL && c->readonly_paths[i] != NULL; i++)
		e = make_readonly(r, c->readonly_paths[i], fault);
	for (size_t i = 0; e == 0 && c->masked != NULL && c->masked[i] != NULL; i++)
		e = mask(r, c->masked[i], fault);
	if (e == 0 && c->process != NULL) {
		/* As runc: a working directory that is missing is made. What it is, is seen when it is entered. */
		int cwd = inroot_make(r->root, c->process->cwd, true);
		(void)fd_close(cwd);
	}
	if (e == 0 && c->readonly && mount_setattr(r->root, "", AT_EMPTY_PATH,
						   &(struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY}, sizeof(struct mount_attr)) < 0)
		e = oci_fail_errno(fault, err_now(), "error making the root read-only");
	return e;
}

int rootfs_enter(struct rootfs *r, bool no_pivot, struct oci_fault *fault)
{
	AUTO_FD int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int e = 0;

	if (old < 0 || fchdir(r->root) < 0)
		return oci_fail_errno(fault, err_now(), "error changing to the rootfs");
	if (no_pivot) {
		if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
			e = err_now();
	} else if (syscall(SYS_pivot_root, ".", ".") < 0 || fchdir(old) < 0 || mount("", ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
		   umount2(".", MNT_DETACH) < 0) {
		/* The old root lies over the new one and is taken away, but not from the host, which hears nothing. */
		e = err_now();
	}
	if (e == 0 && chdir("/") < 0)
		e = err_now();
	if (e < 0)
		return oci_fail_errno(fault, e, "error jailing process inside rootfs: pivot_root");
	unsigned long after = r->c->rootfs_propagation & (MS_SHARED | MS_UNBINDABLE);
	if (after != 0 && mount("", "/", NULL, after | (r->c->rootfs_propagation & MS_REC), NULL) < 0)
		return oci_fail_errno(fault, err_now(), "error setting the propagation of /");
	return 0;
}
