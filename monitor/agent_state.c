/*
 * An agent's state as a private copy: see agent_state.h.
 *
 * Two trees are walked side by side by held descriptors, one name at a time. The source is the user's own
 * home; links in it are not followed, whoever made them, since a workspace may lie in there. The destination
 * was written by guests and is hostile: whatever was planted at a name (a link out, a FIFO, a directory where
 * a file belongs) is not opened and not followed. Files are never written in place but made beside and
 * renamed over, so that a hard link or a link there is replaced, not used.
 *
 * What was copied is noted in .gabion-imported of the private home, one line a file: time of its last change
 * in nanoseconds, size, path. A guest may rewrite that; all it can bring about is that it gets the host's
 * version again, or not.
 *
 * Should: leave the guest's own changes alone while the host's file is the same; give copies to the owner of
 * the private home. Mustn't: read or write anything but below the two directories; keep setuid or setgid;
 * block on what is no file.
 */
#include "monitor/agent_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

#define NOTE ".gabion-imported"

enum {
	BYTES_MAX = 64 << 20,
	ENTRIES_MAX = 20000,
	DEPTH_MAX = 32, /* each level holds four descriptors */
	NOTE_BYTES_MAX = 8 << 20,
	NOTES_MAX = 2 * ENTRIES_MAX,
	SAME = 1, /* copy_file(): nothing was to be done */
};

struct note {
	char *path;
	int64_t mtime_ns, size;
	bool seen; /* of the old ones: there is a new one */
};

struct notes {
	struct note *v;
	size_t n, room;
};

struct copy {
	const struct agent *agent;
	int home;  /* destination */
	uid_t uid; /* its owner, who gets the copies */
	gid_t gid;
	bool own; /* they must be given */
	dev_t dev;
	ino_t ino;
	unsigned int entries;
	uint64_t bytes;
	unsigned int serial; /* of temporary names */
	unsigned int base;   /* components of the state directory being copied */
	struct notes old, new;
};

static int open_below(int dir, const char *name, uint64_t flags)
{
	struct open_how how = {.flags = flags | O_CLOEXEC | O_NOFOLLOW,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
	return fd < 0 ? err_now() : fd;
}

/* Errors that say: this one cannot be had, go on with the others. */
static bool passing(int r)
{
	return r == -EACCES || r == -EPERM || r == -ENOENT || r == -ELOOP || r == -ENOTDIR || r == -EXDEV ||
	       r == -EISDIR || r == -ENXIO || r == -ENAMETOOLONG || r == -EEXIST || r == -ENOTEMPTY;
}

static int note_add(struct notes *l, const char *path, int64_t mtime_ns, int64_t size)
{
	if (l->n >= NOTES_MAX || strchr(path, '\n') != NULL)
		return 0;
	if (l->n == l->room) {
		size_t room = l->room == 0 ? 64 : 2 * l->room;
		struct note *v = reallocarray(l->v, room, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		l->v = v;
		l->room = room;
	}
	char *copy = strdup(path);
	if (copy == NULL)
		return -ENOMEM;
	l->v[l->n++] = (struct note){.path = copy, .mtime_ns = mtime_ns, .size = size};
	return 0;
}

static void notes_clear(struct notes *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].path);
	free(l->v);
	*l = (struct notes){NULL, 0, 0};
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct note *)a)->path, ((const struct note *)b)->path);
}

static struct note *note_find(struct notes *l, const char *path)
{
	for (size_t low = 0, high = l->n; low < high;) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(path, l->v[mid].path);
		if (c == 0)
			return &l->v[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* What the guest left of our notes; lines that are none are passed over. */
static int notes_read(struct copy *c)
{
	AUTO_FD int fd = open_below(c->home, NOTE, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	AUTO_FREE char *line = NULL;
	size_t size = 0, total = 0;
	ssize_t n;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > NOTE_BYTES_MAX)
		return 0;
	FILE *f = fdopen(fd, "r");
	if (f == NULL)
		return -ENOMEM;
	(void)fd_steal(&fd);
	while (r == 0 && (n = getline(&line, &size, f)) > 0 && (total += (size_t)n) <= NOTE_BYTES_MAX) {
		char *end = NULL;
		line[strcspn(line, "\n")] = '\0';
		int64_t mtime = strtoll(line, &end, 10);
		if (end == line || *end != ' ')
			continue;
		char *second = end + 1;
		int64_t bytes = strtoll(second, &end, 10);
		if (end == second || *end != ' ' || end[1] == '\0')
			continue;
		r = note_add(&c->old, end + 1, mtime, bytes);
	}
	fclose(f);
	if (c->old.n > 0)
		qsort(c->old.v, c->old.n, sizeof(*c->old.v), by_path);
	return r;
}

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)((uint64_t)st->st_mtim.tv_sec * 1000000000ULL + (uint64_t)st->st_mtim.tv_nsec);
}

/* A new file in DIR under a name nobody has. */
static int temporary(struct copy *c, int dir, char name[48])
{
	int fd = -EEXIST;

	for (int i = 0; fd == -EEXIST && i < 100; i++) {
		snprintf(name, 48, ".gabion-new-%d-%u", (int)getpid(), c->serial++);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			fd = err_now();
	}
	return fd;
}

/* Gives the finished temporary FD its owner and mode and its NAME. */
static int settle(struct copy *c, int fd, int dir, const char *temp, const char *name, mode_t mode)
{
	int r = 0;

	if ((c->own && fchown(fd, c->uid, c->gid) < 0) || fchmod(fd, mode & 0777) < 0 ||
	    renameat(dir, temp, dir, name) < 0)
		r = err_now();
	if (r < 0)
		(void)unlinkat(dir, temp, 0);
	return r;
}

static int notes_write(struct copy *c)
{
	char temp[48];
	int r = 0;

	/* Of other agents, and where this copy stopped early. */
	for (size_t i = 0; r == 0 && i < c->old.n; i++)
		if (!c->old.v[i].seen)
			r = note_add(&c->new, c->old.v[i].path, c->old.v[i].mtime_ns, c->old.v[i].size);
	if (r < 0)
		return r;
	AUTO_FD int fd = temporary(c, c->home, temp);
	if (fd < 0)
		return fd;
	int keep = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	FILE *f = keep < 0 ? NULL : fdopen(keep, "w");
	if (f == NULL) {
		r = err_now();
		fd_close(keep);
		(void)unlinkat(c->home, temp, 0);
		return r;
	}
	for (size_t i = 0; i < c->new.n; i++)
		fprintf(f, "%" PRId64 " %" PRId64 " %s\n", c->new.v[i].mtime_ns, c->new.v[i].size,
			c->new.v[i].path);
	if (fclose(f) != 0) {
		r = err_now();
		(void)unlinkat(c->home, temp, 0);
		return r;
	}
	r = settle(c, fd, c->home, temp, NOTE, 0600);
	return r == -EISDIR || r == -EEXIST
		       ? 0
		       : r; /* the guest made a directory of it: then there are no notes */
}

static int copy_bytes(struct copy *c, int from, int to)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		c->bytes += (uint64_t)n;
		if (c->bytes > BYTES_MAX)
			return -EFBIG;
		for (ssize_t at = 0; at < n;) {
			ssize_t w = write(to, buf + at, (size_t)(n - at));
			if (w < 0)
				return err_now();
			at += w;
		}
	}
	return n < 0 ? err_now() : 0;
}

/* The host's version ST of PATH is the one that was dealt with. */
static int note(struct copy *c, struct note *old, const char *path, const struct stat *st)
{
	if (old != NULL)
		old->seen = true;
	return note_add(&c->new, path, mtime_ns(st), st->st_size);
}

/* The file NAME of both directories. 0, or SAME. PATH: below the home, for the notes. */
static int copy_file(struct copy *c, int from, int to, const char *name, const char *path)
{
	struct stat st, there;
	char temp[48];
	AUTO_FD int in = open_below(from, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (in < 0)
		return in;
	if (fstat(in, &st) < 0)
		return err_now();
	if (!S_ISREG(st.st_mode))
		return SAME;
	struct note *old = note_find(&c->old, path);
	bool exists = fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == 0;
	bool unchanged = old == NULL || (old->mtime_ns == mtime_ns(&st) && old->size == st.st_size);
	/* Never copied and yet there: the guest made it. */
	if (exists && (unchanged || S_ISDIR(there.st_mode))) {
		int r = note(c, old, path, &st);
		return r < 0 ? r : SAME;
	}
	if (c->bytes + (uint64_t)st.st_size > BYTES_MAX)
		return -EFBIG;
	AUTO_FD int out = temporary(c, to, temp);
	if (out < 0)
		return out;
	int r = copy_bytes(c, in, out);
	const struct timespec times[2] = {st.st_atim, st.st_mtim};
	if (r == 0 && futimens(out, times) < 0)
		r = err_now();
	if (r < 0) {
		(void)unlinkat(to, temp, 0);
		return r;
	}
	r = settle(c, out, to, temp, name, st.st_mode);
	return r < 0 ? r : note(c, old, path, &st);
}

static unsigned int components(const char *path)
{
	unsigned int n = 1;

	for (; *path != '\0'; path++)
		n += *path == '/';
	return n;
}

/* A link at PATH with TEXT names something below the state directory. */
static bool link_stays(const struct copy *c, const char *path, const char *text)
{
	int depth = (int)components(path) - 1 - (int)c->base;

	if (text[0] == '/' || depth < 0)
		return false;
	for (size_t n; text += strspn(text, "/"), (n = strcspn(text, "/")) > 0; text += n) {
		if (n == 2 && text[0] == '.' && text[1] == '.') {
			if (--depth < 0)
				return false;
		} else if (n != 1 || text[0] != '.') {
			depth++;
		}
	}
	return true;
}

static int copy_link(struct copy *c, int from, int to, const char *name, const char *path)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(from, name, text, sizeof(text) - 1);

	if (n < 0)
		return err_now();
	text[n] = '\0';
	if (!link_stays(c, path, text))
		return 0;
	if (symlinkat(text, to, name) < 0)
		return errno == EEXIST ? 0 : err_now();
	return c->own && fchownat(to, name, c->uid, c->gid, AT_SYMLINK_NOFOLLOW) < 0 ? err_now() : 0;
}

/* The directory NAME of TO, made where missing; -errno where something else was planted there. */
static int enter_directory(struct copy *c, int to, const char *name, mode_t mode)
{
	bool made = mkdirat(to, name, 0700) == 0;

	if (!made && errno != EEXIST)
		return err_now();
	AUTO_FD int fd = open_below(to, name, O_RDONLY | O_DIRECTORY);
	/* Ours to write to the next time, too. */
	if (fd >= 0 && made &&
	    ((c->own && fchown(fd, c->uid, c->gid) < 0) || fchmod(fd, (mode & 0777) | 0700) < 0))
		return err_now();
	return fd_steal(&fd);
}

static bool skipped(const struct copy *c, const char *path)
{
	for (size_t i = 0; i < c->agent->state_skip.n; i++) {
		const char *pattern = c->agent->state_skip.v[i];
		if (strncmp(pattern, "~/", 2) == 0)
			pattern += 2;
		if (fnmatch(pattern, path, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}

static int copy_entry(struct copy *c, int from, int to, const char *name, const char *path,
		      unsigned int depth);

static int copy_directory(struct copy *c, int from, int to, const char *name, const char *path,
			  unsigned int depth)
{
	struct stat st;
	char inner[PATH_MAX];
	int r = 0;
	AUTO_FD int in = open_below(from, name, O_RDONLY | O_DIRECTORY);

	if (in < 0)
		return in;
	if (fstat(in, &st) < 0)
		return err_now();
	if (st.st_dev == c->dev && st.st_ino == c->ino)
		return 0; /* the private home itself */
	if (depth == DEPTH_MAX)
		return -EFBIG;
	AUTO_FD int out = enter_directory(c, to, name, st.st_mode);
	if (out < 0)
		return out;
	int list = openat(in, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = list < 0 ? NULL : fdopendir(list);
	struct dirent *e;
	if (d == NULL) {
		r = err_now();
		fd_close(list);
		return r;
	}
	while (r == 0 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if ((size_t)snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name) < sizeof(inner))
			r = copy_entry(c, in, out, e->d_name, inner, depth + 1);
	}
	closedir(d);
	return r;
}

/* One name of both directories, whatever it is. What cannot be read or written alone is left out. */
static int copy_entry(struct copy *c, int from, int to, const char *name, const char *path,
		      unsigned int depth)
{
	struct stat st;
	int r = 0;

	if (skipped(c, path))
		return 0;
	if (++c->entries > ENTRIES_MAX)
		return -EFBIG;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = err_now();
	else if (S_ISDIR(st.st_mode))
		r = copy_directory(c, from, to, name, path, depth);
	else if (S_ISREG(st.st_mode))
		r = copy_file(c, from, to, name, path);
	else if (S_ISLNK(st.st_mode))
		r = copy_link(c, from, to, name, path);
	return r == SAME || passing(r) ? 0 : r;
}

/* One file or directory of the agent, "~/.claude". The directories above it are made in the private home
 * where the real one has them. */
static int copy_item(struct copy *c, int home, const char *item)
{
	AUTO_FREE char *path = strdup(strncmp(item, "~/", 2) == 0 ? item + 2 : item);
	AUTO_FD int from = -1;
	AUTO_FD int to = -1;

	if (path == NULL)
		return -ENOMEM;
	size_t len = strlen(path);
	if (len == 0 || path[0] == '/' || path[len - 1] == '/' || strstr(path, "..") != NULL)
		return -EINVAL;
	from = fcntl(home, F_DUPFD_CLOEXEC, 3);
	to = fcntl(c->home, F_DUPFD_CLOEXEC, 3);
	char *name = path;
	for (char *slash; from >= 0 && to >= 0 && (slash = strchr(name, '/')) != NULL; name = slash + 1) {
		*slash = '\0';
		int in = open_below(from, name, O_RDONLY | O_DIRECTORY);
		fd_close(from);
		from = in;
		if (in >= 0) {
			int out = enter_directory(c, to, name, 0700);
			fd_close(to);
			to = out;
		}
		*slash = '/';
	}
	if (from < 0 || to < 0) {
		int r = from < -1 ? from : to < -1 ? to : -EMFILE;
		from = to = -1;
		return passing(r) ? 0 : r;
	}
	c->base = components(path);
	return copy_entry(c, from, to, name, path, 0);
}

static int open_home(void)
{
	const char *home = getenv("HOME");
	struct passwd *pw = home != NULL && home[0] == '/' ? NULL : getpwuid(getuid());

	if (home == NULL || home[0] != '/')
		home = pw == NULL ? NULL : pw->pw_dir;
	int fd = home == NULL ? -1 : open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return home == NULL ? -ENOENT : fd < 0 ? err_now() : fd;
}

int agent_state_copy(const struct agent *a, const char *home_source)
{
	struct copy c = {.agent = a, .home = -1};
	struct stat here, there;
	AUTO_FD int home = open_home();
	AUTO_FD int to = -1;

	if (home < 0)
		return home == -ENOENT ? 0 : home;
	to = open(home_source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0 || fstat(to, &there) < 0 || fstat(home, &here) < 0)
		return err_now();
	if (here.st_dev == there.st_dev && here.st_ino == there.st_ino)
		return 0; /* nothing to copy to itself */
	c.home = to;
	c.dev = there.st_dev;
	c.ino = there.st_ino;
	c.uid = there.st_uid;
	c.gid = there.st_gid;
	c.own = geteuid() == 0;
	int r = notes_read(&c);
	for (size_t i = 0; r == 0 && i < a->state.n; i++)
		r = copy_item(&c, home, a->state.v[i]);
	if (c.new.n > 0) {
		int w = notes_write(&c);
		r = r < 0 ? r : w;
	}
	notes_clear(&c.old);
	notes_clear(&c.new);
	return r;
}
