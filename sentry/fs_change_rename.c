/*
 * rename, renameat, renameat2. Both names are held as parent and last component; the rules are asked about
 * the two canonical paths; renameat2() is called on the held parents.
 *
 * A directory carries what lies below it along. So for a directory both ends are judged as a whole
 * (policy_path_move): no restriction may match below the old path, or it would be carried away (mv .git x),
 * nor below the new one, or content of the caller's would arrive under it (mkdir -p a/hooks; mv a .git). With
 * RENAME_EXCHANGE each end is old and new.
 *
 * Races. What is judged depends on three things a sibling could change before the call: whether the object is
 * a directory, and where the two held parents are. A directory with content gets a name only by a rename, and
 * a parent moves only by a rename, and every rename of the guest's passes through here. So one mutex holds
 * from the moment these facts are read until the call is done: the parents are checked to be where they were
 * resolved (the kernel's own path of the held descriptor), the kinds are read, the rules asked, the call
 * made. A mkdir meanwhile puts only an empty directory under a name. What other processes of the user's do in
 * the workspace at that moment is theirs, not the guest's. The mutex is held over no lookup but of the last
 * components, and a thread that waits for it can only wait for a rename.
 *
 * Syscalls: renameat2, readlinkat, newfstatat.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/fs.h"
#include "sentry/fs_change_keys.h"
#include "sentry/path_known.h"
#include "util/err.h"
#include "util/fd.h"

static pthread_mutex_t rename_lock = PTHREAD_MUTEX_INITIALIZER;

/* How often the parents may have moved under us before we give up. */
enum { TRIES = 16 };

void fs_names_lock(void)
{
	(void)pthread_mutex_lock(&rename_lock);
}

void fs_names_unlock(void)
{
	(void)pthread_mutex_unlock(&rename_lock);
}

bool fs_in_place(const struct call *c, const struct object *o)
{
	char link[32], now[PATH_MAX];
	static const char gone[] = " (deleted)";
	const char *slash = memrchr(o->path, '/', o->path_len);
	size_t len = slash == NULL ? 0 : (size_t)(slash - o->path);
	ssize_t n;

	path_of_fd(o->parent, link);
	n = readlinkat(c->s->fds_fd, link, now, sizeof(now));
	if (len == 0)
		return n == 1 && now[0] == '/';
	if (n < (ssize_t)len || memcmp(now, o->path, len) != 0)
		return false;
	/* In a directory that is gone nothing can be renamed: the kernel will say so. */
	return n == (ssize_t)len ||
	       (n == (ssize_t)(len + sizeof(gone) - 1) && memcmp(now + len, gone, sizeof(gone) - 1) == 0);
}

/* File type (S_IFMT) of O's name now, 0 where there is none. */
static mode_t type_now(const struct object *o)
{
	struct stat st;

	return fstatat(o->parent, o->name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode & S_IFMT : 0;
}

/* What content can be reached through: a directory, or a link that may name one (ln -s x y; mv y .git). */
static bool carries(mode_t type)
{
	return type == S_IFDIR || type == S_IFLNK;
}

static bool permit_move(struct call *c, int index, const struct object *o, bool is_dir,
			struct reply *ret_reply)
{
	struct verdict v = call_judge_move(c, index, o->path, o->path_len, is_dir);

	if (v.kind == VERDICT_ALLOW)
		return true;
	*ret_reply = call_refuse(c, v);
	return false;
}

/* Under the lock: the facts, the rules, the call. False: the parents moved, nothing was done. */
static bool rename_locked(struct call *c, const struct object *old, const struct object *new,
			  unsigned int flags, struct reply *ret_reply)
{
	char old_name[NAME_MAX + 2], new_name[NAME_MAX + 2];
	mode_t old_type, new_type;
	bool any;

	if (!fs_in_place(c, old) || !fs_in_place(c, new)) {
		known_forget();
		return false;
	}
	old_type = type_now(old);
	new_type = type_now(new);
	/* A directory that is replaced must be empty, but what replaces it may be one with content. */
	any = carries(old_type) || carries(new_type);
	if (keys_rename(c, old, new, old_type, new_type, flags, ret_reply))
		return true;
	if (!permit_move(c, 0, old, (flags & RENAME_EXCHANGE) != 0 ? any : carries(old_type), ret_reply) ||
	    !permit_move(c, 1, new, any, ret_reply))
		return true;
	if (old_type == S_IFDIR || new_type == S_IFDIR) {
		struct verdict v = call_judge_rename(c, old->path, old->path_len, new->path, new->path_len, true);
		if (v.kind != VERDICT_ALLOW) {
			*ret_reply = call_refuse(c, v);
			return true;
		}
	}
	if (!fs_ready(c, ret_reply))
		return true;
	(void)snprintf(old_name, sizeof(old_name), "%s%s", old->name, old->slash ? "/" : "");
	(void)snprintf(new_name, sizeof(new_name), "%s%s", new->name, new->slash ? "/" : "");
	*ret_reply = fs_answer(renameat2(old->parent, old_name, new->parent, new_name, flags));
	if (old_type != S_IFREG || new_type == S_IFDIR)
		known_forget();
	return true;
}

static bool resolve(struct call *c, int index, int dirfd, struct object *ret_obj, struct reply *ret_reply)
{
	return fs_resolve(c, index, dirfd, PATH_PARENT | PATH_NOFOLLOW, ret_obj, ret_reply);
}

/* Whether what failed is a component of path INDEX, not the path as a whole. */
static bool is_too_long(const struct call *c, int index, const struct reply *reply)
{
	return c->path_err[index] == 0 && reply->kind == REPLY_DENY && reply->err == ENAMETOOLONG;
}

/* One attempt. False: try again. */
static bool rename_once(struct call *c, int old_dirfd, int new_dirfd, unsigned int flags,
			struct reply *ret_reply)
{
	AUTO_OBJECT struct object old = OBJECT_NULL, new = OBJECT_NULL;
	struct reply too_long = REPLY_NULL;
	bool done, old_long, new_long;

	/* A last component that is too long is no name of any directory: looked for after both parents, the old one first. */
	old_long = !resolve(c, 0, old_dirfd, &old, ret_reply);
	if (old_long && !is_too_long(c, 0, ret_reply))
		return true;
	too_long = *ret_reply;
	new_long = !resolve(c, 1, new_dirfd, &new, ret_reply);
	if (new_long && !is_too_long(c, 1, ret_reply))
		return true;
	/* Two mounts are what Linux looks at first, before it asks what is there. */
	if (!old_long && !new_long && old.parent >= 0 && new.parent >= 0 && !fs_same_mount(old.parent, new.parent)) {
		*ret_reply = reply_deny(EXDEV);
		return true;
	}
	/* What is no name at all comes before it. */
	if ((old_long || new_long) && (old.dots || new.dots)) {
		*ret_reply = reply_deny(!old.dots && (flags & RENAME_NOREPLACE) != 0 ? EEXIST : EBUSY);
		return true;
	}
	if (old_long)
		*ret_reply = too_long;
	else if (new_long && old.fd < 0)
		*ret_reply = reply_deny(ENOENT);
	if (old_long || new_long)
		return true;
	if (old.dots || new.dots) {
		*ret_reply = reply_deny(!old.dots && (flags & RENAME_NOREPLACE) != 0 ? EEXIST : EBUSY);
		return true;
	}
	/* What is not there, and may be known not to be, is ENOENT, unless its file system would say EROFS.
	 */
	if (old.fd < 0 && policy_path(c->policy, OP_WRITE, old.path, old.path_len).err != EROFS) {
		if (fs_permit(c, 0, OP_STAT, &old, ret_reply))
			*ret_reply = reply_deny(ENOENT);
		return true;
	}
	fs_names_lock();
	done = rename_locked(c, &old, &new, flags, ret_reply);
	fs_names_unlock();
	return done;
}

static struct reply do_rename(struct call *c, int old_dirfd, int new_dirfd, unsigned int flags)
{
	struct reply reply = REPLY_NULL;

	if ((flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) != 0 ||
	    ((flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) != 0 && (flags & RENAME_EXCHANGE) != 0))
		return reply_deny(EINVAL);
	/* A whiteout is a device node. */
	if ((flags & RENAME_WHITEOUT) != 0)
		return call_refuse_plain(c, EPERM);
	for (int i = 0; i < TRIES; i++)
		if (rename_once(c, old_dirfd, new_dirfd, flags, &reply))
			return reply;
	return reply_deny(EBUSY);
}

struct reply fs_change_rename(struct call *c)
{
	return do_rename(c, AT_FDCWD, AT_FDCWD, 0);
}

struct reply fs_change_renameat(struct call *c)
{
	return do_rename(c, (int)c->ev.args[0], (int)c->ev.args[2], 0);
}

struct reply fs_change_renameat2(struct call *c)
{
	return do_rename(c, (int)c->ev.args[0], (int)c->ev.args[2], (unsigned int)c->ev.args[4]);
}
