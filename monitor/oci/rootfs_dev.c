/*
 * Device nodes and the links programs expect in /dev. Nodes are made in the held directory they belong to; in a user
 * namespace, where none can be made, the host's are bound.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "monitor/oci/inroot.h"
#include "monitor/oci/rootfs.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

static char dev_null[] = "/dev/null", dev_zero[] = "/dev/zero", dev_full[] = "/dev/full", dev_tty[] = "/dev/tty",
	    dev_random[] = "/dev/random", dev_urandom[] = "/dev/urandom";

static const struct oci_device always[] = {
	{.path = dev_null, .type = 'c', .major = 1, .minor = 3, .mode = 0666},
	{.path = dev_zero, .type = 'c', .major = 1, .minor = 5, .mode = 0666},
	{.path = dev_full, .type = 'c', .major = 1, .minor = 7, .mode = 0666},
	{.path = dev_random, .type = 'c', .major = 1, .minor = 8, .mode = 0666},
	{.path = dev_urandom, .type = 'c', .major = 1, .minor = 9, .mode = 0666},
	{.path = dev_tty, .type = 'c', .major = 5, .minor = 0, .mode = 0666},
};

static bool same_device(const struct stat *st, const struct oci_device *d)
{
	mode_t type = d->type == 'c' ? S_IFCHR : d->type == 'b' ? S_IFBLK : S_IFIFO;

	return (st->st_mode & S_IFMT) == type && (d->type == 'p' || st->st_rdev == makedev(d->major, d->minor));
}

static int bind_node(const struct rootfs *r, const struct oci_device *d)
{
	struct stat st;
	AUTO_FD int from = open_tree(AT_FDCWD, d->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (from < 0 || fstat(from, &st) < 0)
		return err_now();
	if (!same_device(&st, d))
		return -ENODEV;
	AUTO_FD int at = inroot_make(r->root, d->path, false);
	if (at < 0)
		return at;
	if (inroot_is_proc(at))
		return -ELOOP;
	return mount_attrs(from, 0, 0, false) < 0 || mount_attach(from, at) < 0 ? err_now() : 0;
}

static int make_node(const struct rootfs *r, const struct oci_device *d)
{
	mode_t type = d->type == 'c' ? S_IFCHR : d->type == 'b' ? S_IFBLK : S_IFIFO;
	AUTO_FD int dir = -1;
	char name[256];
	struct stat st;
	int e = inroot_parent(r->root, d->path, &dir, name);

	if (e < 0)
		return e;
	if (mknodat(dir, name, type | d->mode, d->type == 'p' ? 0 : makedev(d->major, d->minor)) < 0) {
		if (errno != EEXIST)
			return err_now();
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_now();
		/* An image's own node is kept where it is the right one. */
		return same_device(&st, d) ? 0 : -EEXIST;
	}
	return fchownat(dir, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0 ? err_now() : 0;
}

static int device(const struct rootfs *r, const struct oci_device *d, struct oci_fault *fault)
{
	int e = r->userns ? bind_node(r, d) : make_node(r, d);

	if (e == -EPERM && !r->userns)
		e = bind_node(r, d);
	return e < 0 ? oci_fail_errno(fault, e, "error creating device nodes: %s", d->path) : 0;
}

static int links(const struct rootfs *r, struct oci_fault *fault)
{
	static const struct {
		const char *text, *name;
	} v[] = {{"/proc/self/fd", "fd"},	{"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
		 {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"},	      {"/proc/kcore", "core"}};
	AUTO_FD int dev = inroot_make(r->root, "/dev", true);

	if (dev < 0)
		return oci_fail_errno(fault, dev, "error creating /dev");
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		if (strcmp(v[i].name, "core") == 0 && access("/proc/kcore", F_OK) < 0)
			continue;
		/* /dev/ptmx of an image leads to the host's terminals. */
		if (strcmp(v[i].name, "ptmx") == 0)
			(void)unlinkat(dev, v[i].name, 0);
		if (symlinkat(v[i].text, dev, v[i].name) < 0 && errno != EEXIST)
			return oci_fail_errno(fault, err_now(), "error creating link /dev/%s", v[i].name);
	}
	return 0;
}

/* An engine that binds the host's /dev has all it wants in it. */
static bool has_host_dev(const struct oci_config *c)
{
	for (size_t i = 0; i < c->mounts_n; i++) {
		char normal[4096];
		if (c->mounts[i].bind && inroot_normal(c->mounts[i].destination, normal) == 0 && strcmp(normal, "dev") == 0)
			return true;
	}
	return false;
}

int rootfs_devices(struct rootfs *r, struct oci_fault *fault)
{
	const struct oci_config *c = r->c;
	int e = 0;

	if (has_host_dev(c))
		return 0;
	for (size_t i = 0; e == 0 && i < c->devices_n; i++)
		e = device(r, &c->devices[i], fault);
	for (size_t i = 0; e == 0 && i < ARRAY_LEN(always); i++) {
		bool said = false;
		for (size_t k = 0; k < c->devices_n; k++)
			said = said || strcmp(c->devices[k].path, always[i].path) == 0;
		e = said ? 0 : device(r, &always[i], fault);
	}
	return e < 0 ? e : links(r, fault);
}
