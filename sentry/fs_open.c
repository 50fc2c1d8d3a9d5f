/*
 * open, openat, openat2, creat: one worker.
 *
 * Flags are judged as the kernel's build_open_flags() does and in its order. What exists is opened through
 * the held descriptor (openat on our own /proc/self/fd/N), never by its name again; what is created hangs off
 * the held parent, with O_EXCL, so that it is what was judged, and the search starts again if
 * somebody else made it meanwhile.
 *
 * The receiver must not block here. A FIFO, a terminal line or another device is opened by a helper. A
 * regular file is opened with O_NONBLOCK, which only means that a lease of somebody else's gives EAGAIN, and
 * then goes to a helper too.
 *
 * Different from Linux (docs/LIMITS.md): O_PATH gives a descriptor that is open for reading, and a terminal
 * never becomes the caller's controlling one by being opened.
 *
 * Where the plan only observes, the path is judged as it is written if it is plainly canonical; a path that
 * looks refused is resolved first, and so is one that names a procfs, where the mount table is ours to tell (fs_mounts.h).
 *
 * Syscalls: openat, openat2, fcntl, fstat, umask, close, and what path.c, path_short.c and caller.c use.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sentry/caller.h"
#include "sentry/fs.h"
#include "sentry/fs_mounts.h"
#include "sentry/fs_open.h"
#include "sentry/hidden_links.h"
#include "sentry/path.h"
#include "sentry/path_short.h"
#include "util/err.h"
#include "util/fd.h"

/* The kernel's values, which libc hides or defines away. */
#define K_LARGEFILE UINT64_C(0100000)
#define K_TMPFILE   UINT64_C(020000000) /* __O_TMPFILE alone */

#define VALID_FLAGS                                                                                          \
	((uint64_t)(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |     \
		    O_DSYNC | O_ASYNC | O_DIRECT | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |        \
		    O_PATH) |                                                                                \
	 K_LARGEFILE | K_TMPFILE)
#define PATH_FLAGS ((uint64_t)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC))
#define VALID_RESOLVE                                                                                        \
	((uint64_t)(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH |        \
		    RESOLVE_IN_ROOT | RESOLVE_CACHED))
#define WILL_CREATE (O_CREAT | K_TMPFILE)

enum {
	CREATE_TRIES = 16,
	HOW_SIZE_MAX = 4096, /* the kernel's limit for the struct: a page */
	MAJOR_MEM = 1,	     /* null, zero, full, random, ... */
	MAJOR_TTYAUX = 5,
	MINOR_TTY = 0,
	MINOR_PTMX = 2,
	MAJOR_PTS = 136,
	MAJOR_PTS_LAST = 143,
};

struct open_args {
	int dirfd;
	uint64_t flags;
	uint64_t mode;
	uint64_t resolve;
	bool in_memory; /* flags were read from memory: the kernel would read them again */
};

static bool wants_read(uint64_t flags)
{
	return (flags & O_ACCMODE) != O_WRONLY || (flags & O_PATH) != 0;
}

static bool wants_write(uint64_t flags)
{
	return (flags & O_PATH) == 0 && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0);
}

/* What open() and openat() make of their registers before they are judged like openat2(). */
static struct open_args legacy(int dirfd, uint64_t flags, uint64_t mode)
{
	struct open_args a = {.dirfd = dirfd, .flags = ((uint32_t)flags & VALID_FLAGS) | K_LARGEFILE, .mode = mode & 07777};

	if (a.flags & O_PATH)
		a.flags &= PATH_FLAGS;
	if (!(a.flags & WILL_CREATE))
		a.mode = 0;
	return a;
}

static int check_args(const struct open_args *a)
{
	uint64_t f = a->flags;

	if ((f & ~VALID_FLAGS) || (a->resolve & ~VALID_RESOLVE))
		return EINVAL;
	if ((a->resolve & RESOLVE_BENEATH) && (a->resolve & RESOLVE_IN_ROOT))
		return EINVAL;
	if (f & WILL_CREATE ? (a->mode & ~UINT64_C(07777)) != 0 : a->mode != 0)
		return EINVAL;
	if ((f & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT))
		return EINVAL;
	if ((f & K_TMPFILE) && (!(f & O_DIRECTORY) || (f & O_ACCMODE) == O_RDONLY))
		return EINVAL;
	if ((f & O_PATH) && (f & ~PATH_FLAGS))
		return EINVAL;
	/* We cannot promise not to touch the disk; "try again without" is an answer the flag allows. */
	if (a->resolve & RESOLVE_CACHED)
		return EAGAIN;
	return 0;
}

static unsigned int path_flags(const struct open_args *a)
{
	unsigned int flags = 0;

	if (a->flags & O_NOFOLLOW)
		flags |= PATH_NOFOLLOW;
	if (a->flags & O_DIRECTORY)
		flags |= PATH_DIRECTORY;
	if (a->flags & O_CREAT)
		flags |= PATH_PARENT | (a->flags & O_EXCL ? PATH_NOFOLLOW : 0);
	if (a->resolve & RESOLVE_NO_MAGICLINKS)
		flags |= PATH_NO_MAGIC;
	if (a->resolve & RESOLVE_NO_SYMLINKS)
		flags |= PATH_NO_SYMLINKS;
	if (a->resolve & RESOLVE_BENEATH)
		flags |= PATH_BENEATH;
	if (a->resolve & RESOLVE_IN_ROOT)
		flags |= PATH_IN_ROOT;
	if (a->resolve & RESOLVE_NO_XDEV)
		flags |= PATH_NO_XDEV;
	return flags;
}

static struct verdict judge(struct call *c, const struct object *o, uint64_t flags, bool create)
{
	struct verdict v = {.kind = VERDICT_ALLOW};

	if (wants_read(flags))
		v = path_judge(c, 0, OP_READ, o);
	if (v.kind == VERDICT_ALLOW && (create || wants_write(flags)))
		v = path_judge(c, 0, OP_WRITE, o);
	return v;
}

/* openat() means O_LARGEFILE where the caller did not say so, openat2() does not; FLAGS tell what the guest's call meant. */
static int open_with(int dir, const char *name, uint64_t flags, mode_t mode)
{
	struct open_how how = {.flags = flags, .mode = mode};

	if (flags & K_LARGEFILE)
		return openat(dir, name, (int)flags, mode);
	return (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
}

/* Opens what FD holds. FLAGS as the guest's, but for what concerned the search. */
static int reopen(const struct call *c, int fd, uint64_t flags)
{
	char name[32];

	path_of_fd(fd, name);
	flags &= ~(uint64_t)(O_CREAT | O_EXCL | O_NOFOLLOW);
	return open_with(c->s->fds_fd, name, flags | O_CLOEXEC | O_NOCTTY, 0);
}

static struct reply answer(int fd, uint64_t flags)
{
	struct reply r;

	if (fd < 0)
		return reply_deny(-err_now());
	r = reply_fd(fd, (uint32_t)(flags & O_CLOEXEC));
	/* A program just written is busy (ETXTBSY) as long as anybody has it open for writing, and a lease is refused. */
	r.apart = (flags & O_ACCMODE) != O_RDONLY;
	return r;
}

/* The same for what may be a FIFO: how many have an end of it open is what the others go by. */
static struct reply answer_any(int fd, uint64_t flags)
{
	struct reply r = answer(fd, flags);
	struct stat st;

	r.apart = r.apart || (fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode));
	return r;
}

/* On a helper: held[0] is opened with the flags in scratch[0]. */
static struct reply open_blocking(struct call *c)
{
	int fd = reopen(c, c->held[0], c->scratch[0]);

	if (fd < 0 && errno == EINTR)
		return reply_restart();
	return answer_any(fd, c->scratch[0]);
}

static struct reply hand_on(struct call *c, int *fd, uint64_t flags)
{
	c->held[0] = fd_steal(fd);
	c->scratch[0] = flags;
	return call_handoff(c, open_blocking);
}

/* The answer where FD was opened with O_NONBLOCK for our sake. */
static struct reply answer_nonblocking(int fd, uint64_t flags)
{
	if (fd >= 0 && !(flags & O_NONBLOCK) &&
	    fcntl(fd, F_SETFL, (int)(flags & (O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME))) < 0) {
		int saved = errno;

		(void)fd_close(fd);
		errno = saved;
		fd = -1;
	}
	return answer(fd, flags);
}

static struct reply open_regular(struct call *c, struct object *o, uint64_t flags)
{
	int fd = reopen(c, o->fd, flags | O_NONBLOCK);

	if (fd < 0 && errno == EAGAIN && !(flags & O_NONBLOCK))
		return hand_on(c, &o->fd, flags);
	return answer_nonblocking(fd, flags);
}

/*
 * The short way: what the path names as it is written is judged first and then opened at once, instead of being held,
 * named, judged and opened once more. For files and directories only: to open anything else is to act, and the names
 * of devices and of what came out to be none of the two take the long way. A FIFO is looked for before: to open it
 * without waiting and once more to wait would let its other end come and go in between. False: the long way.
 */
static bool open_short(struct call *c, const struct open_args *a, struct reply *ret_reply)
{
	enum { LONG_WAY = O_CREAT | O_PATH | O_TRUNC };
	AUTO_WRITTEN struct written w;
	struct stat st;
	int fd, r;

	w.base = -1;
	if ((a->flags & ((uint64_t)LONG_WAY | K_TMPFILE)) != 0 || a->resolve != 0 || c->path_len[0] == 0 ||
	    short_hold(c, a->dirfd, c->path[0], c->path_len[0], &w) != 0 ||
	    strncmp(w.text, "/dev/", 5) == 0)
		return false;
	if (wants_read(a->flags) && policy_path(c->policy, OP_READ, w.text, w.len).kind != VERDICT_ALLOW)
		return false;
	if (wants_write(a->flags) && (policy_path(c->policy, OP_WRITE, w.text, w.len).kind != VERDICT_ALLOW ||
				      call_alive(c) != 0))
		return false;
	if (short_is_fifo(c, &w))
		return false;
	r = short_open(c, &w, a->flags | O_NONBLOCK | O_NOCTTY, &fd, &st);
	if (r == SHORT_NO)
		return false;
	if (r != 0) {
		*ret_reply = reply_deny(r);
		return true;
	}
	/* Hidden by another name: refused there. */
	if (hidden_links_rule(c->s->links, fd) >= 0) {
		(void)fd_close(fd);
		return false;
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		c->held[1] = fd;
		return false;
	}
	(void)call_judge(c, 0, wants_write(a->flags) ? OP_WRITE : OP_READ, w.text, w.len);
	*ret_reply = answer_nonblocking(fd, a->flags);
	return true;
}

/* A descriptor for terminal MAJ:MIN: what the caller itself has as 0 to 2, else by its name in the guest's
 * /dev/pts. */
static int find_tty(struct call *c, unsigned int maj, unsigned int min, struct object *ret_tty)
{
	char name[32];
	struct stat st;
	int r;

	for (int i = 0; i <= 3; i++) {
		if (i < 3)
			(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", i);
		else if (maj >= MAJOR_PTS && maj <= MAJOR_PTS_LAST)
			(void)snprintf(name, sizeof(name), "/dev/pts/%u", (maj - MAJOR_PTS) * 256 + min);
		else
			break;
		r = path_resolve(c, AT_FDCWD, name, 0, ret_tty);
		if (r < 0)
			return r;
		if (r == 0 && fstat(ret_tty->fd, &st) == 0 && S_ISCHR(st.st_mode) &&
		    st.st_rdev == makedev(maj, min))
			return 0;
		if (r == 0)
			object_clear(ret_tty);
	}
	return ENXIO;
}

/* /dev/tty names the opener's own terminal: the caller's is to be found, ours (none) is not meant. */
static struct reply open_tty(struct call *c, uint64_t flags)
{
	AUTO_OBJECT struct object tty = OBJECT_NULL;
	unsigned int maj, min;
	int r;

	r = caller_tty(c, &maj, &min);
	if (r == -ENXIO)
		return reply_deny(ENXIO);
	if (r == 0)
		r = find_tty(c, maj, min, &tty);
	if (r != 0)
		return call_fail(c, r);
	return answer(reopen(c, tty.fd, flags), flags);
}

static struct reply open_existing(struct call *c, struct object *o, uint64_t flags)
{
	struct verdict v;
	struct stat st;

	if (object_stat(o, &st) < 0)
		return call_fail(c, err_now());
	/* What Linux says of a link and of a directory to be written comes before permission. */
	if (S_ISLNK(st.st_mode) || (S_ISDIR(st.st_mode) && wants_write(flags))) {
		v = path_judge(c, 0, OP_STAT, o);
		if (v.kind == VERDICT_ALLOW && !S_ISLNK(st.st_mode))
			return reply_deny(EISDIR);
	} else {
		v = judge(c, o, flags, false);
	}
	if (v.kind != VERDICT_ALLOW)
		return call_refuse(c, v);
	if (S_ISREG(st.st_mode) && !wants_write(flags) && mounts_of(c, o) != MOUNTS_NONE)
		return mounts_open(c, mounts_of(c, o), flags);
	/* Only with O_NOFOLLOW is the object a link. O_PATH would give it natively; C libraries open a link
	 * so to try what Linux does not do on links (fchmodat(3) before fchmodat2), and expect this errno
	 * then. */
	if (S_ISLNK(st.st_mode))
		return reply_deny(flags & O_PATH ? EOPNOTSUPP : ELOOP);
	if (flags & O_PATH) {
		/* An O_PATH descriptor cannot be handed over, and for more than files and directories to open
		 * is to act. */
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
			return reply_deny(EACCES);
		return open_regular(c, o, flags & (O_DIRECTORY | O_CLOEXEC));
	}
	/* To open anything but a file or a directory is to act, too. */
	if ((wants_write(flags) || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) && call_alive(c) != 0)
		return reply_deny(EINTR);
	if ((flags & O_TRUNC) != 0 && S_ISREG(st.st_mode)) {
		/* Linux takes the descriptor's number before it touches the file. */
		if (!caller_has_room(c))
			return reply_deny(EMFILE);
		if (st.st_size >= FS_LARGE)
			return hand_on(c, &o->fd, flags);
	}
	if (S_ISREG(st.st_mode))
		return open_regular(c, o, flags);
	if (S_ISFIFO(st.st_mode) && !(flags & O_NONBLOCK) && (flags & O_ACCMODE) != O_RDWR)
		return hand_on(c, &o->fd, flags);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
		unsigned int maj = major(st.st_rdev), min = minor(st.st_rdev);

		if (S_ISCHR(st.st_mode) && maj == MAJOR_TTYAUX && min == MINOR_TTY)
			return open_tty(c, flags);
		if (!S_ISCHR(st.st_mode) ||
		    (maj != MAJOR_MEM && !(maj == MAJOR_TTYAUX && min == MINOR_PTMX) &&
		     !(maj >= MAJOR_PTS && maj <= MAJOR_PTS_LAST)))
			return hand_on(c, &o->fd, flags);
	}
	return answer_any(reopen(c, o->fd, flags), flags);
}

/* Creates NAME of DIR; -1 and errno. EFFECT: the caller still waits, its umask is ours. */
static int create(struct call *c, int dir, const char *name, const struct open_args *a, uint64_t more)
{
	int r = fs_umask(c);

	if (r == 0 && !caller_has_room(c))
		r = -EMFILE;
	if (r == 0 && call_alive(c) != 0)
		r = -EINTR;
	if (r != 0) {
		errno = -r;
		return -1;
	}
	return open_with(dir, name, a->flags | more | O_CLOEXEC | O_NOCTTY, fs_mode((mode_t)a->mode, false));
}

/* What must not exist needs nobody to look for it before it is made. False: not permitted, or the long way. */
static bool create_unseen(struct call *c, const struct open_args *a, struct reply *ret_reply)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;

	if (c->path_len[0] == 0 ||
	    short_resolve(c, a->dirfd, c->path[0], c->path_len[0], path_flags(a) | PATH_UNSEEN, &o) != 0 ||
	    policy_path(c->policy, OP_WRITE, o.path, o.path_len).kind != VERDICT_ALLOW ||
	    judge(c, &o, a->flags, true).kind != VERDICT_ALLOW)
		return false;
	/* O_EXCL follows no link. */
	*ret_reply = answer(create(c, o.parent, o.name, a, O_EXCL), a->flags);
	return true;
}

static struct reply open_create(struct call *c, const struct open_args *a)
{
	struct reply reply;
	struct verdict v;
	int fd, r;

	if ((a->flags & O_EXCL) != 0 && create_unseen(c, a, &reply))
		return reply;
	for (int i = 0; i < CREATE_TRIES; i++) {
		AUTO_OBJECT struct object o = OBJECT_NULL;
		struct stat st;

		r = path_resolve(c, a->dirfd, c->path[0], path_flags(a), &o);
		if (r != 0)
			return call_fail(c, r);
		if (o.slash && !o.dots)
			return reply_deny(EISDIR);
		if (o.fd < 0) {
			v = judge(c, &o, a->flags, true);
			if (v.kind != VERDICT_ALLOW)
				return call_refuse(c, v);
			/* O_EXCL follows no link either. */
			fd = create(c, o.parent, o.name, a, O_EXCL);
			if (fd >= 0 || errno != EEXIST || (a->flags & O_EXCL))
				return answer(fd, a->flags);
			continue;
		}
		if (a->flags & O_EXCL) {
			v = path_judge(c, 0, OP_STAT, &o);
			return v.kind == VERDICT_ALLOW ? reply_deny(EEXIST) : call_refuse(c, v);
		}
		if (object_stat(&o, &st) < 0)
			return call_fail(c, err_now());
		if (S_ISDIR(st.st_mode)) {
			v = path_judge(c, 0, OP_STAT, &o);
			return v.kind == VERDICT_ALLOW ? reply_deny(EISDIR) : call_refuse(c, v);
		}
		if (o.parent >= 0 && !path_sticky_open(c, o.parent, &st))
			return reply_deny(EACCES);
		return open_existing(c, &o, a->flags);
	}
	/* Somebody makes and removes the name all the time; Linux would have met it in one of its states. */
	return reply_deny(ENOENT);
}

static struct reply open_emulated(struct call *c, const struct open_args *a)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	struct verdict v;
	int r;

	if (a->flags & O_CREAT)
		return open_create(c, a);
	if (open_short(c, a, &reply))
		return reply;
	r = path_resolve(c, a->dirfd, c->path[0], path_flags(a), &o);
	if (r != 0)
		return call_fail(c, r);
	if (!(a->flags & K_TMPFILE))
		return open_existing(c, &o, a->flags);
	v = path_judge(c, 0, OP_WRITE, &o);
	if (v.kind != VERDICT_ALLOW)
		return call_refuse(c, v);
	return answer(create(c, o.fd, ".", a, 0), a->flags);
}

/* The floor holds every rule: what we say here is for the record and for a refusal with a reason. */
static struct reply open_observed(struct call *c, const struct open_args *a)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	bool creates = (a->flags & WILL_CREATE) != 0;
	enum op op = creates || wants_write(a->flags) ? OP_WRITE : a->flags & O_PATH ? OP_STAT : OP_READ;
	struct verdict v = VERDICT_NULL;
	struct written w;
	bool plain = c->path_len[0] > 0 && short_text(c, a->dirfd, c->path[0], c->path_len[0], &w) == 0;
	int r;

	/* What most systems have as a link to /proc/mounts. */
	if (plain && strcmp(w.text, "/etc/mtab") != 0) {
		v = policy_path(c->policy, op, w.text, w.len);
		if (v.kind == VERDICT_ALLOW) {
			(void)call_judge(c, 0, op, w.text, w.len);
			return reply_continue(c);
		}
	}
	/* What leads nowhere gets the kernel's own errno; a hidden name that is not there (a secret, looked
	 * for in the private home) is refused with the same one, so that the attempt is recorded. */
	r = path_resolve(c, a->dirfd, c->path[0], path_flags(a), &o);
	if (r == ENOENT && plain && v.err == ENOENT && v.rule != NULL && v.rule->kind == RULE_HIDE)
		return call_refuse(c, call_judge(c, 0, op, w.text, w.len));
	/* A file outside the view that the caller holds (its redirected output): not to be opened anew, as where we perform it. */
	if (r == EACCES)
		return reply_deny(EACCES);
	if (r != 0)
		return reply_continue(c);
	/* An open that may create but finds the file there is not a write by itself. */
	if (op == OP_WRITE && o.fd >= 0 && !(a->flags & K_TMPFILE) && !wants_write(a->flags))
		op = OP_READ;
	v = path_judge(c, 0, op, &o);
	if (v.kind != VERDICT_ALLOW)
		return call_refuse(c, v);
	return op == OP_READ && mounts_of(c, &o) != MOUNTS_NONE ? mounts_open(c, mounts_of(c, &o), a->flags) : reply_continue(c);
}

static struct reply do_open(struct call *c, const struct open_args *a)
{
	bool writes = (a->flags & WILL_CREATE) || wants_write(a->flags);
	enum level level = call_set_key(c, writes ? PLAN_WRITE : PLAN_READ);
	int r = check_args(a);

	if (r != 0)
		return reply_deny(r);
	if (c->path_err[0] != 0)
		return reply_deny(c->path_err[0]);
	if (level == LEVEL_DENY)
		return call_refuse_plain(c, EACCES);
	/* Flags in memory can turn into a write after we looked: only where the floor holds both. */
	if (level >= LEVEL_OBSERVE && a->in_memory &&
	    (c->s->plan->level[PLAN_READ] < LEVEL_OBSERVE || c->s->plan->level[PLAN_WRITE] != LEVEL_OBSERVE))
		level = c->level = LEVEL_EMULATE;
	return level >= LEVEL_OBSERVE ? open_observed(c, a) : open_emulated(c, a);
}

struct reply fs_open_open(struct call *c)
{
	struct open_args a = legacy(AT_FDCWD, c->ev.args[1], c->ev.args[2]);

	return do_open(c, &a);
}

struct reply fs_open_creat(struct call *c)
{
	struct open_args a = legacy(AT_FDCWD, O_CREAT | O_WRONLY | O_TRUNC, c->ev.args[1]);

	return do_open(c, &a);
}

struct reply fs_open_openat(struct call *c)
{
	struct open_args a = legacy((int)c->ev.args[0], c->ev.args[2], c->ev.args[3]);

	return do_open(c, &a);
}

struct reply fs_open_openat2(struct call *c)
{
	static const unsigned char zero[HOW_SIZE_MAX];
	unsigned char raw[HOW_SIZE_MAX];
	uint64_t usize = c->ev.args[3];
	struct open_args a;
	struct open_how how;
	int r;

	if (usize < sizeof(how))
		return reply_deny(EINVAL);
	if (usize > sizeof(raw))
		return reply_deny(E2BIG);
	r = call_read(c, c->ev.args[2], raw, usize);
	if (r != 0)
		return reply_deny(r > 0 ? r : EINTR);
	/* What a newer kernel may know and we do not. */
	if (memcmp(raw + sizeof(how), zero, usize - sizeof(how)) != 0)
		return reply_deny(E2BIG);
	memcpy(&how, raw, sizeof(how));
	a = (struct open_args){
		.dirfd = (int)c->ev.args[0],
		.flags = how.flags,
		.mode = how.mode,
		.resolve = how.resolve,
		.in_memory = true,
	};
	return do_open(c, &a);
}
