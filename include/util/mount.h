/*
 * The mount API of Linux 5.2 and later. glibc 2.36 (Debian 12) has the calls in <sys/mount.h>; what newer kernels added is
 * defined here. Two users: monitor/floor and the probes of the doctor.
 */
#ifndef GABION_UTIL_MOUNT_H
#define GABION_UTIL_MOUNT_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc >= 2.36 declares open_tree, move_mount, fsopen, fsconfig, fsmount, mount_setattr. */

/*
 * Sets SET on the detached or attached mount FD, with everything below it where RECURSIVE. 0 or -1 with errno. Always
 * makes it private: a clone of a shared mount is its peer, and what is mounted on it would appear on the host
 * (mount_namespaces(7); systemd makes all mounts shared).
 */
static inline int mount_attrs(int fd, uint64_t set, uint64_t clear, bool recursive)
{
	struct mount_attr a = { .attr_set = set, .attr_clr = clear, .propagation = MS_PRIVATE };
	return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &a, sizeof(a));
}

/* Moves detached mount FROM onto the directory or file AT. 0 or -1 with errno. */
static inline int mount_attach(int from, int at)
{
	return move_mount(from, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

#endif
