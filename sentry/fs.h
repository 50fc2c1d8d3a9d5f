/*
 * What the handlers of files share: the steps from a path to permission, and the ways to act on a held
 * object. A step returns true to go on; false means *ret_reply is the answer.
 *
 *   fs_resolve (path_resolve, its errors as replies) -> fs_permit (call_judge) -> fs_ready (observe or alive)
 *   -> the system call on the held descriptors -> fs_answer
 */
#ifndef GABION_SENTRY_FS_H
#define GABION_SENTRY_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "sentry/handle.h"
#include "sentry/path.h"

/* Resolves path INDEX of the call; the errno met when it was copied in comes first. */
bool fs_resolve(struct call *c, int index, int dirfd, unsigned int flags, struct object *ret_obj,
		struct reply *ret_reply);
/*
 * The same for calls with AT_* flags: honours AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH in AT_FLAGS. An empty
 * path names the caller's descriptor itself, which is held as a duplicate (with what it may and may not do).
 * NULL_PATH: a NULL path with AT_EMPTY_PATH is an empty one.
 */
bool fs_resolve_at(struct call *c, int dirfd, unsigned int at_flags, bool null_path, struct object *ret_obj,
		   struct reply *ret_reply);
/* Judges OP on O (path_judge); a descriptor of the caller's held by fs_resolve_at() is its own already. */
bool fs_permit(struct call *c, int index, enum op op, const struct object *o, struct reply *ret_reply);
/* Everything is permitted: continue where the plan says observe, drop where the caller is gone, else go on.
 */
bool fs_ready(struct call *c, struct reply *ret_reply);
/* The result of a system call of ours, -1 with errno: the guest's answer. */
struct reply fs_answer(long r);
/*
 * The mode a guest may give a file: without set-id bits, which would outlive the run, on files that belong outside to
 * whoever owns the workspace. Dropped without a word, as the kernel drops the group's for who is not in it. On
 * directories the group's bit means something else.
 */
static inline mode_t fs_mode(mode_t mode, bool dir)
{
	return mode & ~(mode_t)(dir ? S_ISUID : S_ISUID | S_ISGID);
}
/* Whether what A and B hold lies in one mount; what cannot be told is taken for one, so that the kernel says it. */
bool fs_same_mount(int a, int b);
/*
 * The answer to a change of owner. An id the guest's user namespace does not know is EINVAL there, and EOVERFLOW on an
 * id-mapped mount; where the guest would be an ordinary user it is another's, and EPERM.
 */
struct reply fs_answer_chown(int r);
/* What call_read() and its like returned, not 0: positive for the guest, negative: drop. */
struct reply fs_fault(int r);

/* call_getfd() with the guest's mistake told apart: 0, EBADF, or negative (both for call_fail()). */
int fs_getfd(struct call *c, int fd, int *ret_fd);
/* A string of the guest's that is no path; SIZE with its NUL. As call_read(): 0, EFAULT, ENAMETOOLONG,
 * negative. */
int fs_read_str(const struct call *c, uint64_t addr, char *buf, size_t size);
/* Takes over the caller's umask for what this thread creates next. 0 or a negative errno. */
int fs_umask(struct call *c);
/*
 * For calls that know only paths: makes the sentry's procfs the thread's working directory, so that
 * path_of_fd() is a relative path to a held object. 0 or a negative errno.
 */
int fs_enter_fds(const struct call *c);

/*
 * One lock for renames and for what depends on where directories and names are (fs_change_rename.c). Under it fs_in_place()
 * says whether the held parent of O still is the directory that O's path names.
 */
void fs_names_lock(void);
void fs_names_unlock(void);
bool fs_in_place(const struct call *c, const struct object *o);
/* From this size on, to give back a file's space may take its time: a helper does it. */
#define FS_LARGE (INT64_C(64) << 20)

/* Largest extended attribute and list of names, as in Linux. */
enum { FS_XATTR_MAX = 65536, FS_XATTR_NAME_MAX = 255 };
/* A name of an extended attribute: 0, ERANGE, EFAULT or negative. */
int fs_read_xattr_name(const struct call *c, uint64_t addr, char ret_name[FS_XATTR_NAME_MAX + 1]);

/* struct xattr_args of setxattrat and getxattrat. */
struct fs_xattr_args {
	uint64_t value;
	uint32_t size;
	uint32_t flags;
};
/* Copies a sized struct the kernel may have extended: 0, positive errno (EINVAL, E2BIG, EFAULT) or negative.
 */
int fs_read_xattr_args(const struct call *c, uint64_t addr, uint64_t usize, struct fs_xattr_args *ret_args);

handler_fn fs_meta_stat, fs_meta_lstat, fs_meta_newfstatat, fs_meta_statx, fs_meta_statfs, fs_meta_access,
	fs_meta_faccessat, fs_meta_faccessat2, fs_meta_readlink, fs_meta_readlinkat,
	fs_meta_name_to_handle_at;
handler_fn fs_meta_getxattr, fs_meta_lgetxattr, fs_meta_getxattrat, fs_meta_listxattr, fs_meta_llistxattr,
	fs_meta_listxattrat, fs_meta_file_getattr;
handler_fn fs_change_mkdir, fs_change_mkdirat, fs_change_mknod, fs_change_mknodat, fs_change_symlink,
	fs_change_symlinkat, fs_change_link, fs_change_linkat, fs_change_unlink, fs_change_unlinkat,
	fs_change_rmdir, fs_change_rename, fs_change_renameat, fs_change_renameat2;
handler_fn fs_change_truncate, fs_change_chmod, fs_change_fchmodat, fs_change_fchmodat2, fs_change_chown,
	fs_change_lchown, fs_change_fchownat, fs_change_utime, fs_change_utimes, fs_change_futimesat,
	fs_change_utimensat;
handler_fn fs_change_setxattr, fs_change_lsetxattr, fs_change_setxattrat, fs_change_removexattr,
	fs_change_lremovexattr, fs_change_removexattrat, fs_change_file_setattr;
handler_fn fs_list_getdents, fs_list_getdents64;
handler_fn fs_watch_inotify_add_watch;

#endif
