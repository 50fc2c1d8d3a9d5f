/*
 * Paths below a container's root directory. The root belongs to whoever made the image: every component can be a symbolic
 * link, and can be changed while we look (CVE-2021-30465). So nothing here gives back a path: a path is resolved once, by
 * openat2(2) with RESOLVE_IN_ROOT (links lead nowhere else) and without magic links, to a descriptor, and what is done
 * is done to that.
 */
#ifndef GABION_OCI_INROOT_H
#define GABION_OCI_INROOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* openat2(2) of PATH below ROOT with FLAGS (O_CLOEXEC is added) and more RESOLVE_* bits. A descriptor or -errno. */
int inroot_open(int root, const char *path, uint64_t flags, uint64_t resolve);
/*
 * O_PATH descriptor of PATH, made where it is missing: a directory (DIR) or an empty file, with directories above it
 * (mode 0755); behind a link that leads to nothing, too. -errno.
 */
int inroot_make(int root, const char *path, bool dir);
/* The directory PATH lies in (made), as O_PATH, and PATH's last component. -EINVAL for the root itself. */
int inroot_parent(int root, const char *path, int *ret_fd, char name[static 256]);
/* PATH with //, . and .. taken out, without a / at the front, "" for the root. -ENAMETOOLONG, -EINVAL (empty). */
int inroot_normal(const char *path, char out[static 4096]);
/* Whether FD is of a procfs (PROC_SUPER_MAGIC). */
bool inroot_is_proc(int fd);
/* Reads at most SIZE-1 bytes of the regular file PATH; what is none (a FIFO, say) is -EINVAL. NUL-terminated. Bytes or -errno. */
ssize_t inroot_read(int root, const char *path, char *buf, size_t size);

#endif
