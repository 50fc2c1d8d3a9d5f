/*
 * Files protected by key (RULE_KEYS): git's own configuration. git changes such a file by writing FILE.lock anew and renaming
 * it to FILE, and in no other way. So every other way is refused like for a protected file, and this rename is judged by
 * content: gitkeys_judge() over what the two files hold.
 *
 * What is judged is what becomes the file. FILE.lock belongs to the guest: descriptors and mappings of it stay writable over
 * a rename. So its content is read once, and the sentry writes it to a file of its own in the same directory, under a name
 * that a protect rule keeps the guest from (KEYS_TEMP, made with every keys rule), which then is renamed; FILE.lock is removed.
 * No descriptor for writing of the new file is ever the guest's, nor of the next one. Between judging and renaming nobody but
 * the host can change FILE: every rename of the guest's comes through the one lock, and opening it for writing is refused.
 * A sentry that is killed in between leaves such a file behind, and FILE as it was.
 *
 * Removing the file, or moving it away, is a change to an empty one: permitted where it held harmless keys only, so that a
 * repository made inside can be removed. git init tries whether x bits stay, which harms nobody.
 *
 * Syscalls: openat, fstat, read, write, getrandom, fchmod, fchown, renameat2, unlinkat, close.
 */
#include "sentry/fs_change_keys.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "gitkeys.h"
#include "util/err.h"
#include "util/fd.h"

/* A file read whole. */
struct content {
	char *text;
	size_t len;
	struct stat st;
};

#define CONTENT_NULL ((struct content){ .text = NULL })

static void content_clear(struct content *k)
{
	free(k->text);
	k->text = NULL;
}
#define AUTO_CONTENT __attribute__((cleanup(content_clear)))

/* Whether a write to O is refused by a keys rule. */
static bool is_by_key(const struct call *c, const struct object *o, struct verdict *ret_v)
{
	*ret_v = policy_path(c->policy, OP_WRITE, o->path, o->path_len);
	/* Where the kernel performs what we permit, nobody can judge what it will find. */
	return ret_v->kind == VERDICT_DENY && ret_v->rule != NULL && ret_v->rule->kind == RULE_KEYS && !o->slash &&
	       c->level == LEVEL_EMULATE;
}

/* What O's name holds now: 0, a positive errno for the guest (EACCES: no regular file, or too large), or negative. */
static int read_name(const struct object *o, struct content *ret_k)
{
	AUTO_FD int fd = openat(o->parent, o->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_CONTENT struct content k = CONTENT_NULL;
	ssize_t n;

	if (fd < 0)
		return errno == ELOOP ? EACCES : errno;
	if (fstat(fd, &k.st) < 0)
		return err_now();
	if (!S_ISREG(k.st.st_mode) || k.st.st_size > GITKEYS_SIZE_MAX)
		return EACCES;
	k.text = malloc(GITKEYS_SIZE_MAX + 1);
	if (k.text == NULL)
		return -ENOMEM;
	do {
		n = read(fd, k.text + k.len, GITKEYS_SIZE_MAX + 1 - k.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		k.len += (size_t)n;
	} while (n != 0 && k.len <= GITKEYS_SIZE_MAX);
	if (k.len > GITKEYS_SIZE_MAX)
		return EACCES;
	*ret_k = k;
	k.text = NULL;
	return 0;
}

/* Judges the change of object INDEX of the call, O, by content: true, or the reply that refuses it. V: the rule's word. */
static bool permit(struct call *c, int index, const struct object *o, const struct verdict *v, const struct content *old,
		   const struct content *new, struct reply *ret_reply)
{
	char key[64];
	int r = gitkeys_judge(o->path, (struct git_text){ old->text, old->len }, (struct git_text){ new->text, new->len }, key,
			      sizeof(key));

	if (r < 0) {
		*ret_reply = call_fail(c, r);
		return false;
	}
	if (r != 0) {
		*ret_reply = call_refuse(c, call_judged(c, index, OP_WRITE, o->path, o->path_len, *v));
		return false;
	}
	(void)call_judged(c, index, OP_WRITE, o->path, o->path_len, (struct verdict){ .kind = VERDICT_ALLOW, .rule = v->rule });
	return true;
}

/* The name the new file is made under, in the directory of O: 0 where the guest cannot write to it, else negative. */
static int temp_name(const struct call *c, const struct object *o, char *name, size_t size)
{
	char path[PATH_MAX];
	uint64_t random;
	size_t dir = o->path_len - strlen(o->name);
	int n;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		return err_now();
	(void)snprintf(name, size, KEYS_TEMP "%016llx", (unsigned long long)random);
	n = snprintf(path, sizeof(path), "%.*s%s", (int)dir, o->path, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	/* An except rule may have lifted it. */
	return policy_path(c->policy, OP_WRITE, path, (size_t)n).kind == VERDICT_DENY ? 0 : -EACCES;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_now() : -EIO;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * Fills FD, a new file of ours, with what NEW held, for the owner it had. What others may do with it is what they may do with
 * the file it replaces, or, where there is none, what the guest lets them.
 */
static int fill(int fd, const struct content *new, const struct content *old)
{
	mode_t mode = new->st.st_mode & 0777;
	struct stat st;
	int r = write_all(fd, new->text, new->len);

	if (r < 0)
		return r;
	if (old->text != NULL)
		mode &= ~(mode_t)022 | (old->st.st_mode & 022);
	if (fstat(fd, &st) < 0)
		return err_now();
	if ((st.st_uid != new->st.st_uid || st.st_gid != new->st.st_gid) && fchown(fd, new->st.st_uid, new->st.st_gid) < 0)
		return err_now();
	return fchmod(fd, mode) < 0 ? err_now() : 0;
}

/* Puts NEW, read from the name FROM, in the place of TO, which held OLD. */
static struct reply replace(struct call *c, const struct object *from, const struct content *new, const struct object *to,
			    const struct content *old, unsigned int flags)
{
	char name[sizeof(KEYS_TEMP) + 16];
	int r = temp_name(c, to, name, sizeof(name));

	if (r < 0)
		return call_fail(c, r);
	AUTO_FD int fd = openat(to->parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fs_answer(-1);
	r = fill(fd, new, old);
	if (r == 0 && renameat2(to->parent, name, to->parent, to->name, flags & RENAME_NOREPLACE) < 0)
		r = err_now();
	if (r < 0) {
		(void)unlinkat(to->parent, name, 0);
		return reply_deny(-r);
	}
	/* The guest may have put something else there meanwhile: it goes as if it had been there before. */
	(void)unlinkat(from->parent, from->name, 0);
	return reply_value(0);
}

/* A rename onto a file protected by key. OLD may be one itself. */
static struct reply rename_onto(struct call *c, const struct object *old, const struct object *new, bool old_by_key,
				const struct verdict *v_old, const struct verdict *v_new, unsigned int flags)
{
	AUTO_CONTENT struct content from = CONTENT_NULL;
	AUTO_CONTENT struct content to = CONTENT_NULL;
	const struct content none = CONTENT_NULL;
	struct reply reply;
	struct stat dir;
	int r;

	if (!old_by_key && !fs_permit(c, 0, OP_WRITE, old, &reply))
		return reply;
	r = read_name(old, &from);
	if (r != 0)
		return call_fail(c, r);
	if (old_by_key && !permit(c, 0, old, v_old, &from, &none, &reply))
		return reply;
	r = read_name(new, &to);
	if (r != 0 && r != ENOENT)
		return call_fail(c, r);
	if (r == 0 && to.st.st_dev == from.st.st_dev && to.st.st_ino == from.st.st_ino)
		return reply_value(0); /* rename(2): two names of one file */
	if (r == 0 && (flags & RENAME_NOREPLACE) != 0)
		return reply_deny(EEXIST);
	if (fstat(new->parent, &dir) < 0)
		return fs_answer(-1);
	if (dir.st_dev != from.st.st_dev)
		return reply_deny(EXDEV);
	if (!permit(c, 1, new, v_new, &to, &from, &reply) || !fs_ready(c, &reply))
		return reply;
	return replace(c, old, &from, new, &to, flags);
}

bool keys_rename(struct call *c, const struct object *old, const struct object *new, mode_t old_type, mode_t new_type,
		 unsigned int flags, struct reply *ret_reply)
{
	AUTO_CONTENT struct content from = CONTENT_NULL;
	const struct content none = CONTENT_NULL;
	struct verdict v_old, v_new;
	bool old_by_key = is_by_key(c, old, &v_old), new_by_key = is_by_key(c, new, &v_new);
	int r;

	if ((!old_by_key && !new_by_key) || (flags & ~(unsigned int)RENAME_NOREPLACE) != 0 || old_type != S_IFREG ||
	    old->slash || new->slash)
		return false;
	if (new_by_key) {
		if (new_type != 0 && new_type != S_IFREG)
			return false;
		*ret_reply = rename_onto(c, old, new, old_by_key, &v_old, &v_new, flags);
		return true;
	}
	/* Moved away: what it is called then is for the rules about that name. */
	r = read_name(old, &from);
	if (r != 0)
		*ret_reply = call_fail(c, r);
	else if (permit(c, 0, old, &v_old, &from, &none, ret_reply) && fs_permit(c, 1, OP_WRITE, new, ret_reply) &&
		 fs_ready(c, ret_reply))
		*ret_reply = fs_answer(renameat2(old->parent, old->name, new->parent, new->name, flags));
	return true;
}

bool keys_unlink(struct call *c, const struct object *o, struct reply *ret_reply)
{
	AUTO_CONTENT struct content old = CONTENT_NULL;
	const struct content none = CONTENT_NULL;
	struct verdict v;
	int r;

	if (!is_by_key(c, o, &v))
		return false;
	fs_names_lock();
	r = fs_in_place(c, o) ? read_name(o, &old) : EBUSY;
	if (r != 0)
		*ret_reply = r == EACCES ? call_refuse(c, call_judged(c, 0, OP_WRITE, o->path, o->path_len, v)) : call_fail(c, r);
	else if (permit(c, 0, o, &v, &old, &none, ret_reply) && fs_ready(c, ret_reply))
		*ret_reply = fs_answer(unlinkat(o->parent, o->name, 0));
	fs_names_unlock();
	return true;
}

bool keys_chmod(struct call *c, const struct object *o, const struct stat *st, mode_t mode)
{
	struct verdict v;

	if (o->path[0] != '/' || !is_by_key(c, o, &v) || !S_ISREG(st->st_mode) ||
	    ((st->st_mode ^ mode) & 07777 & ~(mode_t)0111) != 0)
		return false;
	(void)call_judged(c, 0, OP_WRITE, o->path, o->path_len, (struct verdict){ .kind = VERDICT_ALLOW, .rule = v.rule });
	return true;
}
