/*
 * Changing names: mkdir, mknod, symlink, link, unlink, rmdir (rename has its own file). A name is held as its
 * parent directory and its last component, never followed; the rule is asked about the canonical path of the
 * two; then the same call is made on the held parent. A trailing slash is handed on with the name, so that
 * the kernel says what it says of it.
 *
 * What a sibling can do between the judgement and the call: it can put another object under the name, or
 * rename a directory above. Neither matters here. The judgement is about the path, not about what lies there,
 * and these calls take or make one name: a file, an empty directory. If a directory above was renamed
 * meanwhile, the result is the one of our call followed by that rename, and renaming a directory is permitted
 * only where no restriction could match below its old or new path (fs_change_rename.c). link() takes the old
 * object by descriptor, so what is linked is what was judged.
 *
 * Where the name already exists and may be seen, the makers answer EEXIST before the rule about writing is
 * asked, as Linux does before it looks at a read-only mount (mkdir -p relies on it). Where it does not exist,
 * unlink and rmdir answer ENOENT unless the file system itself would say EROFS first (rm -f relies on it).
 *
 * Syscalls: mkdirat, mknodat, faccessat2, fstat, symlinkat, linkat, unlinkat, umask.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/fs.h"
#include "sentry/fs_change_keys.h"
#include "sentry/path_known.h"
#include "sentry/path_short.h"
#include "util/err.h"
#include "util/fd.h"

/* The last component with the slash the guest wrote after it. */
struct last {
	char name[NAME_MAX + 2];
};

static struct last last_of(const struct object *o)
{
	struct last l;

	(void)snprintf(l.name, sizeof(l.name), "%s%s", o->name, o->slash ? "/" : "");
	return l;
}

/*
 * The rule about writing, for the name of a directory: what protects a file of that name by its keys does not speak of it.
 * No guest moves a directory with content there (policy_path_move).
 */
static bool permit_dir(struct call *c, int index, const struct object *o, struct reply *ret_reply)
{
	struct verdict v = policy_path(c->policy, OP_WRITE, o->path, o->path_len);

	if (v.kind != VERDICT_DENY || v.rule == NULL || v.rule->kind != RULE_KEYS)
		return fs_permit(c, index, OP_WRITE, o, ret_reply);
	(void)call_judged(c, index, OP_WRITE, o->path, o->path_len, (struct verdict){ .kind = VERDICT_ALLOW, .rule = v.rule });
	return true;
}

/*
 * Everything before a name is made: resolution of path INDEX to parent and name, EEXIST, the rule. Where the
 * plan observes, the kernel makes it. DIR: the name of a directory.
 */
static bool prepare(struct call *c, int index, int path, int dirfd, bool dir, struct object *ret_obj,
		    struct reply *ret_reply)
{
	if (!fs_resolve(c, path, dirfd, PATH_PARENT | PATH_NOFOLLOW, ret_obj, ret_reply))
		return false;
	if (ret_obj->dots || ret_obj->fd >= 0) {
		if (!fs_permit(c, index, OP_STAT, ret_obj, ret_reply))
			return false;
		*ret_reply = reply_deny(EEXIST);
		return false;
	}
	return dir ? permit_dir(c, index, ret_obj, ret_reply) : fs_permit(c, index, OP_WRITE, ret_obj, ret_reply);
}

/*
 * The quick way to a name of which the kernel itself says whether it is there: nobody looks at the object, and the
 * call is permitted either way. Else false, and the ordinary way finds the right errno.
 */
static bool hold_unseen(struct call *c, int dirfd, struct object *ret_obj)
{
	if (c->level != LEVEL_EMULATE || c->path_err[0] != 0)
		return false;
	if (c->path_len[0] > 0 &&
	    short_resolve(c, dirfd, c->path[0], c->path_len[0], PATH_PARENT | PATH_NOFOLLOW | PATH_UNSEEN, ret_obj) == 0) {
		struct verdict v = policy_path(c->policy, OP_WRITE, ret_obj->path, ret_obj->path_len);

		if (v.kind == VERDICT_ALLOW) {
			(void)call_judged(c, 0, OP_WRITE, ret_obj->path, ret_obj->path_len, v);
			return true;
		}
	}
	object_clear(ret_obj);
	return false;
}

/* A new link under a name that leads to something protected would plant whatever it points to (ln -s x .git). TEXT "/": anything. */
static bool permit_link(struct call *c, int index, const struct object *o, const char *text, struct reply *ret_reply)
{
	struct verdict v = policy_path_link(c->policy, o->path, o->path_len, text);

	(void)call_judged(c, index, OP_WRITE, o->path, o->path_len, v);

	if (v.kind == VERDICT_ALLOW)
		return true;
	*ret_reply = call_refuse(c, v);
	return false;
}

static struct reply do_mkdir(struct call *c, int dirfd, mode_t mode)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	int r;

	if (!hold_unseen(c, dirfd, &o) && !prepare(c, 0, 0, dirfd, true, &o, &reply))
		return reply;
	r = fs_umask(c);
	if (r != 0)
		return call_fail(c, r);
	if (!fs_ready(c, &reply))
		return reply;
	return fs_answer(mkdirat(o.parent, last_of(&o).name, mode));
}

struct reply fs_change_mkdir(struct call *c)
{
	return do_mkdir(c, AT_FDCWD, (mode_t)(uint16_t)c->ev.args[1]);
}

struct reply fs_change_mkdirat(struct call *c)
{
	return do_mkdir(c, (int)c->ev.args[0], (mode_t)(uint16_t)c->ev.args[2]);
}

static struct reply do_mknod(struct call *c, int dirfd, mode_t mode)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	mode_t type = mode & S_IFMT;
	struct reply reply;
	int r;

	if (type == S_IFDIR)
		return reply_deny(EPERM);
	if (type != 0 && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR &&
	    type != S_IFBLK)
		return reply_deny(EINVAL);
	if (!prepare(c, 0, 0, dirfd, false, &o, &reply))
		return reply;
	/* A device node names a driver behind every rule (a whiteout, device 0, included). */
	if (type == S_IFCHR || type == S_IFBLK) {
		/* Whether anything could be made there comes first. */
		if (o.slash)
			return reply_deny(ENOENT);
		if (syscall(SYS_faccessat2, o.parent, "", W_OK | X_OK, AT_EACCESS | AT_EMPTY_PATH) < 0)
			return fs_answer(-1);
		return call_refuse_plain(c, EPERM);
	}
	r = fs_umask(c);
	if (r != 0)
		return call_fail(c, r);
	if (!fs_ready(c, &reply))
		return reply;
	return fs_answer(mknodat(o.parent, last_of(&o).name, fs_mode(mode, false), 0));
}

struct reply fs_change_mknod(struct call *c)
{
	return do_mknod(c, AT_FDCWD, (mode_t)(uint16_t)c->ev.args[1]);
}

struct reply fs_change_mknodat(struct call *c)
{
	return do_mknod(c, (int)c->ev.args[0], (mode_t)(uint16_t)c->ev.args[2]);
}

/* The text of a link is no path yet: it is judged whenever somebody follows it. */
static struct reply do_symlink(struct call *c, uint64_t text_addr, int dirfd)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	char text[PATH_MAX];
	int r;

	r = fs_read_str(c, text_addr, text, sizeof(text));
	if (r != 0)
		return fs_fault(r);
	if (text[0] == '\0')
		return reply_deny(ENOENT);
	if (!prepare(c, 0, 0, dirfd, false, &o, &reply) || !permit_link(c, 0, &o, text, &reply) || !fs_ready(c, &reply))
		return reply;
	return fs_answer(symlinkat(text, o.parent, last_of(&o).name));
}

struct reply fs_change_symlink(struct call *c)
{
	return do_symlink(c, c->ev.args[0], AT_FDCWD);
}

struct reply fs_change_symlinkat(struct call *c)
{
	return do_symlink(c, c->ev.args[0], (int)c->ev.args[1]);
}

/*
 * A hard link gives the old object a second name, under which no rule about the first one holds. So it must
 * be permitted to write to the old one as well.
 */
static struct reply do_link(struct call *c, int old_dirfd, int new_dirfd, unsigned int flags)
{
	AUTO_OBJECT struct object old = OBJECT_NULL, new = OBJECT_NULL;
	struct reply reply;
	struct stat st;
	char path[32];

	if ((flags & ~(unsigned int)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0)
		return reply_deny(EINVAL);
	if (!fs_resolve(c, 0, old_dirfd,
			((flags & AT_EMPTY_PATH) != 0 ? PATH_EMPTY : 0) |
				((flags & AT_SYMLINK_FOLLOW) != 0 ? 0 : PATH_NOFOLLOW),
			&old, &reply))
		return reply;
	if (!fs_permit(c, 0, OP_STAT, &old, &reply) || !prepare(c, 1, 1, new_dirfd, false, &new, &reply))
		return reply;
	if (!fs_same_mount(old.fd, new.parent))
		return reply_deny(new.slash ? ENOENT : EXDEV);
	if (!fs_permit(c, 0, OP_WRITE, &old, &reply))
		return reply;
	if (fstat(old.fd, &st) < 0)
		return reply_deny(errno);
	if ((S_ISLNK(st.st_mode) && !permit_link(c, 1, &new, "/", &reply)) || !fs_ready(c, &reply))
		return reply;
	path_of_fd(old.fd, path);
	return fs_answer(linkat(c->s->fds_fd, path, new.parent, last_of(&new).name, AT_SYMLINK_FOLLOW));
}

struct reply fs_change_link(struct call *c)
{
	return do_link(c, AT_FDCWD, AT_FDCWD, 0);
}

struct reply fs_change_linkat(struct call *c)
{
	return do_link(c, (int)c->ev.args[0], (int)c->ev.args[2], (unsigned int)c->ev.args[4]);
}

/* What Linux answers for a last component that is no name. */
static int removal_of_dots(const char *path, bool dir)
{
	size_t len = strlen(path);

	if (!dir)
		return EISDIR;
	while (len > 0 && path[len - 1] == '/')
		len--;
	if (len == 0)
		return EBUSY;
	return len >= 2 && path[len - 2] == '.' ? ENOTEMPTY : EINVAL;
}

/* On a helper: the name is path 0 in held[0]. */
static struct reply unlink_large(struct call *c)
{
	if (call_alive(c) != 0)
		return reply_deny(EINTR);
	return fs_answer(unlinkat(c->held[0], c->path[0], 0));
}

/* To give back so much space takes a disk its time. */
static bool is_large(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 && st->st_size >= FS_LARGE;
}

static struct reply hand_on_unlink(struct call *c, struct object *o)
{
	c->held[0] = fd_steal(&o->parent);
	memcpy(c->path[0], o->name, sizeof(o->name));
	return call_handoff(c, unlink_large);
}

/* An empty directory carries nothing away with it, so rmdir asks no more than unlink. */
static struct reply do_unlink(struct call *c, int dirfd, bool dir)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	struct stat st;

	if (hold_unseen(c, dirfd, &o)) {
		if (!fs_ready(c, &reply))
			return reply;
		if (dir)
			known_forget(); /* what is remembered would outlive its name, too */
		if (!dir && fstatat(o.parent, o.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_large(&st))
			return hand_on_unlink(c, &o);
		return fs_answer(unlinkat(o.parent, o.name, dir ? AT_REMOVEDIR : 0));
	}
	if (!fs_resolve(c, 0, dirfd, PATH_PARENT | PATH_NOFOLLOW, &o, &reply))
		return reply;
	if (o.dots)
		return reply_deny(removal_of_dots(c->path[0], dir));
	if (o.fd < 0 && policy_path(c->policy, OP_WRITE, o.path, o.path_len).err != EROFS) {
		if (!fs_permit(c, 0, OP_STAT, &o, &reply))
			return reply;
		return reply_deny(ENOENT);
	}
	if (!dir && keys_unlink(c, &o, &reply))
		return reply;
	if (!(dir ? permit_dir(c, 0, &o, &reply) : fs_permit(c, 0, OP_WRITE, &o, &reply)) || !fs_ready(c, &reply))
		return reply;
	if (!dir && !o.slash && o.fd >= 0 && object_stat(&o, &st) == 0 && is_large(&st))
		return hand_on_unlink(c, &o);
	/* What we hold would outlive its name: who watches it would be told late. */
	o.fd = fd_close(o.fd);
	if (dir)
		known_forget();
	return fs_answer(unlinkat(o.parent, last_of(&o).name, dir ? AT_REMOVEDIR : 0));
}

struct reply fs_change_unlink(struct call *c)
{
	return do_unlink(c, AT_FDCWD, false);
}

struct reply fs_change_rmdir(struct call *c)
{
	return do_unlink(c, AT_FDCWD, true);
}

struct reply fs_change_unlinkat(struct call *c)
{
	unsigned int flags = (unsigned int)c->ev.args[2];

	if ((flags & ~(unsigned int)AT_REMOVEDIR) != 0)
		return reply_deny(EINVAL);
	return do_unlink(c, (int)c->ev.args[0], (flags & AT_REMOVEDIR) != 0);
}
