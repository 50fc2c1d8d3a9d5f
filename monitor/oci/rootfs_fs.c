/*
 * Mounts that are file systems of their own (proc, sysfs, tmpfs, devpts, mqueue, ...), made detached by the mount API, and
 * the flags of all mounts. A detached mount is attached to a held directory; at no time is a path of the container's
 * looked up again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "monitor/oci/rootfs.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

uint64_t rootfs_attrs(unsigned long flags)
{
	static const struct {
		unsigned long flag;
		uint64_t attr;
	} map[] = {{MS_RDONLY, MOUNT_ATTR_RDONLY},	   {MS_NOSUID, MOUNT_ATTR_NOSUID},
		   {MS_NODEV, MOUNT_ATTR_NODEV},	   {MS_NOEXEC, MOUNT_ATTR_NOEXEC},
		   {MS_NODIRATIME, MOUNT_ATTR_NODIRATIME}, {MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW}};
	uint64_t attrs = 0;

	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (flags & map[i].flag)
			attrs |= map[i].attr;
	return attrs;
}

/* Access times are one field of three values, not bits: relatime is zero. */
static bool atime_of(unsigned long flags, uint64_t *ret)
{
	if (flags & MS_STRICTATIME)
		*ret = MOUNT_ATTR_STRICTATIME;
	else if (flags & MS_NOATIME)
		*ret = MOUNT_ATTR_NOATIME;
	else if (flags & MS_RELATIME)
		*ret = MOUNT_ATTR_RELATIME;
	else
		return false;
	return true;
}

static int set(int fd, uint64_t on, uint64_t off, uint64_t propagation, bool recursive)
{
	struct mount_attr a = {.attr_set = on, .attr_clr = off, .propagation = propagation};
	unsigned int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	return mount_setattr(fd, "", flags, &a, sizeof(a)) < 0 ? err_now() : 0;
}

int rootfs_flags(int fd, const struct oci_mount *m, bool bind, struct oci_fault *fault)
{
	uint64_t atime = 0, on = rootfs_attrs(m->flags), off = rootfs_attrs(m->cleared), rec_off = m->rec_clear;
	int r = 0;

	if (atime_of(m->flags, &atime)) {
		on |= atime;
		off |= MOUNT_ATTR__ATIME;
	}
	/* What the host's mount is and was not asked to be lifted stays; what cannot be lifted is told. */
	if (bind && (on | off) != 0) {
		r = set(fd, on, off, 0, false);
		if (r == -EPERM && (off & ~on) != 0) {
			oci_log(OCI_WARNING, "mount %s: an option of the host's mount cannot be lifted here", m->destination);
			r = set(fd, on, on & MOUNT_ATTR__ATIME ? MOUNT_ATTR__ATIME : 0, 0, false);
		}
	} else if (!bind && on != 0) {
		r = set(fd, on, atime != 0 ? MOUNT_ATTR__ATIME : 0, 0, false);
	}
	if (r == 0 && (m->rec_set | rec_off) != 0) {
		if ((m->rec_set | rec_off) & MOUNT_ATTR__ATIME)
			rec_off |= MOUNT_ATTR__ATIME;
		r = set(fd, m->rec_set, rec_off, 0, true);
	}
	if (r == 0 && m->propagation != 0)
		r = set(fd, 0, 0, m->propagation & ~(unsigned long)MS_REC, (m->propagation & MS_REC) != 0);
	return r < 0 ? oci_fail_errno(fault, r, "error setting options of the mount at %s", m->destination) : 0;
}

/* One option of the file system's; KEY or KEY=VALUE. */
static int configure(int fs, char *word)
{
	char *value = strchr(word, '=');

	if (value == NULL)
		return fsconfig(fs, FSCONFIG_SET_FLAG, word, NULL, 0) < 0 ? err_now() : 0;
	*value++ = '\0';
	return fsconfig(fs, FSCONFIG_SET_STRING, word, value, 0) < 0 ? err_now() : 0;
}

static int options(int fs, const struct oci_mount *m, struct oci_fault *fault)
{
	static const struct {
		unsigned long flag;
		const char *name;
	} super[] = {{MS_SYNCHRONOUS, "sync"}, {MS_DIRSYNC, "dirsync"}, {MS_MANDLOCK, "mand"}, {MS_LAZYTIME, "lazytime"}};
	AUTO_FREE char *data = m->data == NULL ? NULL : strdup(m->data);
	char *rest = NULL;
	int r = 0;

	if (m->data != NULL && data == NULL)
		return -ENOMEM;
	for (char *w = data == NULL ? NULL : strtok_r(data, ",", &rest); w != NULL; w = strtok_r(NULL, ",", &rest)) {
		r = configure(fs, w);
		if (r < 0)
			return oci_fail_errno(fault, r, "error mounting \"%s\" to rootfs at \"%s\": option %s",
					      m->source != NULL ? m->source : m->type, m->destination, w);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(super); i++)
		if ((m->flags & super[i].flag) && fsconfig(fs, FSCONFIG_SET_FLAG, super[i].name, NULL, 0) < 0)
			r = err_now();
	return r;
}

int rootfs_fs(const struct rootfs *r, const struct oci_mount *m, struct oci_fault *fault)
{
	const char *source = m->source != NULL ? m->source : m->type;
	uint64_t atime = 0;
	AUTO_FD int fs = fsopen(m->type, FSOPEN_CLOEXEC);
	int e = fs < 0 ? err_now() : 0;

	if (e < 0)
		return oci_fail_errno(fault, e, "error mounting \"%s\" to rootfs at \"%s\": file system %s", source, m->destination,
				      m->type);
	(void)fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0);
	if ((e = options(fs, m, fault)) < 0)
		return e;
	(void)atime_of(m->flags, &atime);
	int fd = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0
			 ? -1
			 : fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)(rootfs_attrs(m->flags & ~(unsigned long)MS_RDONLY) | atime));
	e = fd < 0 ? err_now() : 0;
	/* A network namespace that is not the user namespace's own: its sysfs is not ours to mount, the host's can be shown. */
	if ((e == -EPERM || e == -EBUSY) && strcmp(m->type, "sysfs") == 0 && r->userns) {
		fd = open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		e = fd < 0 ? err_now() : set(fd, rootfs_attrs(m->flags), 0, MS_PRIVATE, true);
		if (e < 0)
			fd = fd_close(fd);
	}
	if (e < 0)
		return oci_fail_errno(fault, e, "error mounting \"%s\" to rootfs at \"%s\"", source, m->destination);
	return fd;
}

int rootfs_tmpfs(const char *mode, bool readonly)
{
	AUTO_FD int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", "0", 0) < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_now();
	int fd = fsmount(fs, FSMOUNT_CLOEXEC,
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | (readonly ? MOUNT_ATTR_RDONLY : 0));
	return fd < 0 ? err_now() : fd;
}

int rootfs_null(void)
{
	struct stat st;
	int fd = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return err_now();
	/* CVE-2025-31133: what is called /dev/null need not be it. */
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)) {
		(void)close(fd);
		return -ENODEV;
	}
	return fd;
}
