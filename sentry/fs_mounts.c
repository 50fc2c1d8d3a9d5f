/*
 * The mount table, as a guest reads it.
 *
 * The kernel's would tell under which paths of the host the guest's mounts lie, from which devices they come, with which options, and
 * what of the host's is mounted where the view covers it. The guest's processes have their root in another mount namespace than the one
 * they belong to (monitor/floor/apart.c): of a mount that cannot be reached from the root the kernel's table says nothing, so the real
 * one is empty, whoever opens it and however. That is what holds. Here programs that need a table get one: the sentry's own, whose root
 * is the same, with what can be seen from inside alone.
 *
 * Kept: ids (statx(2) tells them), device numbers (stat(2) does), mount points, the mount's own flags, the type, and of the rest of the
 * options "rw" or "ro" and sizes and modes (statfs(2), stat(2)). Every mount is said to be the root of its file system; its source
 * is "none". Left out: what is covered by another mount.
 *
 * Each open makes the table anew (gabion allow mounts things during a run) as a sealed memory file. Different from Linux
 * (docs/LIMITS.md): it does not change once opened, poll(2) never tells of a change, and epoll(7) does not take it.
 *
 * Syscalls: openat, read, fstat, statx, memfd_create, write, fchmod, fcntl, close, and what stdio uses.
 */
#include "sentry/fs_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/path_short.h"
#include "util/err.h"
#include "util/fd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

/* The number at *P, moved behind it; false: there is none. */
static bool skip_number(const char **p)
{
	const char *from = *p;

	while (**p >= '0' && **p <= '9')
		(*p)++;
	return *p > from;
}

enum mounts_kind mounts_of_path(const char *path)
{
	const char *p = path;

	if (strncmp(p, "/proc/", 6) != 0)
		return MOUNTS_NONE;
	p += 6;
	if (!skip_number(&p))
		return MOUNTS_NONE;
	if (strncmp(p, "/task/", 6) == 0) {
		p += 6;
		if (!skip_number(&p))
			return MOUNTS_NONE;
	}
	if (strcmp(p, "/mountinfo") == 0)
		return MOUNTS_INFO;
	if (strcmp(p, "/mounts") == 0)
		return MOUNTS_TABLE;
	return strcmp(p, "/mountstats") == 0 ? MOUNTS_STATS : MOUNTS_NONE;
}

enum mounts_kind mounts_of(const struct call *c, const struct object *o)
{
	enum mounts_kind kind = mounts_of_path(o->path);
	struct stat st;

	if (kind == MOUNTS_NONE || (c->s->plan->floor & FLOOR_VIEW) == 0 || o->fd < 0)
		return MOUNTS_NONE;
	return object_stat(o, &st) == 0 && S_ISREG(st.st_mode) && short_on_proc(o->fd, &st) ? kind : MOUNTS_NONE;
}

struct mount_line {
	char *text; /* owned: what the rest points into */
	unsigned long id, parent;
	bool shown;
	const char *dev, *point, *flags, *type, *super;
};

struct mount_lines {
	struct mount_line *v;
	size_t n;
};

static void lines_free(struct mount_lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].text);
	free(l->v);
}

/* Takes TEXT apart, which M owns from now on. */
static int parse(char *text, struct mount_line *m)
{
	enum { ID, PARENT, DEV, ROOT, POINT, FLAGS, COUNT };
	char *save = NULL, *f[COUNT], *rest;

	*m = (struct mount_line){.text = text};
	text[strcspn(text, "\n")] = '\0';
	for (int i = 0; i < COUNT; i++) {
		f[i] = strtok_r(i == 0 ? text : NULL, " ", &save);
		if (f[i] == NULL)
			return -EPROTO;
	}
	/* Optional fields, then a hyphen. */
	do {
		rest = strtok_r(NULL, " ", &save);
	} while (rest != NULL && strcmp(rest, "-") != 0);
	m->type = strtok_r(NULL, " ", &save);
	if (rest == NULL || m->type == NULL || strtok_r(NULL, " ", &save) == NULL)
		return -EPROTO;
	m->super = strtok_r(NULL, " ", &save);
	if (m->super == NULL)
		return -EPROTO;
	m->id = strtoul(f[ID], NULL, 10);
	m->parent = strtoul(f[PARENT], NULL, 10);
	m->dev = f[DEV];
	m->point = f[POINT];
	m->flags = f[FLAGS];
	return 0;
}

static int read_lines(FILE *in, struct mount_lines *l)
{
	char *text = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && getline(&text, &size, in) > 0) {
		struct mount_line *v = reallocarray(l->v, l->n + 1, sizeof(*v));

		if (v == NULL) {
			r = -ENOMEM;
			break;
		}
		l->v = v;
		r = parse(text, &l->v[l->n]);
		l->n++;
		text = NULL;
		size = 0;
	}
	free(text);
	return r < 0 ? r : ferror(in) ? -EIO : 0;
}

/* The nearest mount above M that is shown; the real one where there is none (above the root). */
static unsigned long parent_of(const struct mount_lines *l, const struct mount_line *m)
{
	unsigned long id = m->parent;

	for (size_t steps = 0; steps <= l->n; steps++) {
		const struct mount_line *up = NULL;

		for (size_t i = 0; i < l->n && up == NULL; i++)
			if (l->v[i].id == id)
				up = &l->v[i];
		if (up == NULL || up == m)
			return m->parent;
		if (up->shown)
			return id;
		id = up->parent;
	}
	return m->parent;
}

static bool has_prefix(const char *s, size_t len, const char *prefix)
{
	return len >= strlen(prefix) && memcmp(s, prefix, strlen(prefix)) == 0;
}

/* Of the file system's options sizes and modes, each behind a comma. */
static void write_options(const struct mount_line *m, FILE *out)
{
	static const char *const kept[] = {"size=", "nr_inodes=", "mode=", "ptmxmode="};

	if (strcmp(m->type, "tmpfs") != 0 && strcmp(m->type, "devpts") != 0)
		return;
	for (const char *p = m->super; p[0] != '\0'; p += p[0] == ',') {
		size_t len = strcspn(p, ",");

		for (size_t i = 0; i < ARRAY_LEN(kept); i++)
			if (has_prefix(p, len, kept[i]))
				(void)fprintf(out, ",%.*s", (int)len, p);
		p += len;
	}
}

static bool is_read_only(const char *flags)
{
	return strncmp(flags, "ro", 2) == 0 && (flags[2] == ',' || flags[2] == '\0');
}

/* In mounts, unlike mountinfo, a # is escaped as well. */
static void write_point(const char *point, FILE *out)
{
	for (const char *p = point; *p != '\0'; p++)
		if (*p == '#')
			(void)fputs("\\043", out);
		else
			(void)fputc(*p, out);
}

static void write_one(const struct mount_lines *l, const struct mount_line *m, enum mounts_kind kind, FILE *out)
{
	switch (kind) {
	case MOUNTS_INFO:
		(void)fprintf(out, "%lu %lu %s / %s %s - %s none %s", m->id, parent_of(l, m), m->dev, m->point, m->flags, m->type,
			      is_read_only(m->super) ? "ro" : "rw");
		write_options(m, out);
		break;
	case MOUNTS_TABLE:
		(void)fputs("none ", out);
		write_point(m->point, out);
		(void)fprintf(out, " %s %s%s", m->type, is_read_only(m->flags) || is_read_only(m->super) ? "ro" : "rw",
			      m->flags + strcspn(m->flags, ","));
		write_options(m, out);
		(void)fputs(" 0 0", out);
		break;
	case MOUNTS_STATS:
		(void)fputs("device none mounted on ", out);
		write_point(m->point, out);
		(void)fprintf(out, " with fstype %s", m->type);
		break;
	case MOUNTS_NONE:
		return;
	}
	(void)fputc('\n', out);
}

int mounts_write(FILE *in, enum mounts_kind kind, bool (*shown)(void *ctx, const char *point, unsigned long id), void *ctx, FILE *out)
{
	struct mount_lines l = {NULL, 0};
	int r = read_lines(in, &l);

	for (size_t i = 0; r == 0 && i < l.n; i++)
		l.v[i].shown = shown(ctx, l.v[i].point, l.v[i].id);
	for (size_t i = 0; r == 0 && i < l.n; i++)
		if (l.v[i].shown)
			write_one(&l, &l.v[i], kind, out);
	lines_free(&l);
	return r == 0 && ferror(out) ? -ENOMEM : r;
}

/* Undoes the octal escapes of POINT: the path relative to the root. */
static void unescape(const char *point, char *buf, size_t size)
{
	size_t n = 0;

	for (const char *s = point + 1; *s != '\0' && n + 1 < size;) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] != '\0' && s[3] != '\0') {
			buf[n++] = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			buf[n++] = *s++;
		}
	}
	buf[n] = '\0';
}

/* Whether mount ID is the one that is seen at POINT. */
static bool is_seen(void *ctx, const char *point, unsigned long id)
{
	const struct call *c = ctx;
	char path[PATH_MAX];
	struct statx sx;

	if (point[0] != '/')
		return false;
	unescape(point, path, sizeof(path));
	return statx(c->s->root_fd, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID, &sx) == 0 &&
	       (sx.stx_mask & STATX_MNT_ID) != 0 && sx.stx_mnt_id == id;
}

static int make_text(struct call *c, enum mounts_kind kind, char **ret_text, size_t *ret_len)
{
	AUTO_FD int fd = openat(c->s->proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	char *text = NULL;
	size_t len = 0;

	if (in == NULL)
		return err_now();
	(void)fd_steal(&fd);
	FILE *out = open_memstream(&text, &len);
	int r = out == NULL ? err_now() : mounts_write(in, kind, is_seen, c, out);

	if (out != NULL && fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	(void)fclose(in);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* A file nobody can change that holds TEXT, open for reading. */
static int sealed_file(const struct call *c, const char *text, size_t len)
{
	char name[32];
	AUTO_FD int fd = memfd_create("mounts", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* before 6.3 */
		fd = memfd_create("mounts", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_now();
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, text + done, len - done);

		if (n <= 0)
			return n < 0 ? err_now() : -EIO;
		done += (size_t)n;
	}
	if (fchmod(fd, 0444) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return err_now();
	path_of_fd(fd, name);
	int again = openat(c->s->fds_fd, name, O_RDONLY | O_CLOEXEC);

	return again < 0 ? err_now() : again;
}

static struct reply open_table(struct call *c)
{
	uint64_t flags = c->scratch[0];
	char *text = NULL;
	size_t len = 0;
	int r = make_text(c, (enum mounts_kind)c->scratch[1], &text, &len);

	if (r == 0)
		r = sealed_file(c, text, len);
	free(text);
	return r < 0 ? call_fail(c, r) : reply_fd(r, (uint32_t)(flags & O_CLOEXEC));
}

struct reply mounts_open(struct call *c, enum mounts_kind kind, uint64_t flags)
{
	c->scratch[0] = flags;
	c->scratch[1] = kind;
	return call_handoff(c, open_table);
}
