/* The part of the floor test that runs on the floor: reading the list of objects, routes to them, and the lines. */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/err.h"

void said_object(const char *prover, const char *name, const struct object *o, const char *route, enum op op, int err,
		 unsigned long dev, unsigned long ino)
{
	(void)printf("call\t%s\t%s\t%s\t%s\t%d\t%d\t%lu\t%lu\n", prover, name, o->label, route, (int)op, err, dev, ino);
}

void said(const char *prover, const char *name, const struct object *o, const struct route *r, enum op op, int err, bool follow)
{
	struct stat st = { .st_dev = 0 };

	/* What errs about the object's nature has reached it all the same. */
	if (err == ENODATA || err == EOPNOTSUPP || err == EINVAL || err == ENXIO || err == ERANGE || err == EOVERFLOW)
		err = 0;
	if (err == 0 && fstatat(r->dirfd, r->path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		st.st_ino = 0;
	said_object(prover, name, o, r->name, op, err, (unsigned long)st.st_dev, (unsigned long)st.st_ino);
}

static void add(struct route *r, size_t *n, const char *name, int dirfd, const char *path, bool follows)
{
	r[*n].name = name;
	r[*n].dirfd = dirfd;
	r[*n].follows = follows;
	(void)snprintf(r[*n].path, sizeof(r[*n].path), "%s", path);
	(*n)++;
}

size_t routes_make(const struct inside *in, const struct object *o, struct route *r)
{
	char dir[4096], path[4096];
	const char *name;
	char *slash;
	size_t n = 0;
	int fd;

	(void)snprintf(dir, sizeof(dir), "%s", o->path);
	slash = strrchr(dir, '/');
	*slash = '\0';
	name = o->path + (slash - dir) + 1;
	add(r, &n, "absolute", AT_FDCWD, o->path, false);
	fd = open(dir[0] ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		add(r, &n, "relative", fd, name, false);
	if (snprintf(path, sizeof(path), "%s/./../%s/%s", dir, strrchr(dir, '/') ? strrchr(dir, '/') + 1 : ".", name) < (int)sizeof(path))
		add(r, &n, "dots", AT_FDCWD, path, false);
	if (snprintf(path, sizeof(path), "/proc/self/root%s", o->path) < (int)sizeof(path))
		add(r, &n, "proc-root", AT_FDCWD, path, false);
	if (snprintf(path, sizeof(path), "/../../../..%s", o->path) < (int)sizeof(path))
		add(r, &n, "above-root", AT_FDCWD, path, false);
	if (snprintf(path, sizeof(path), "%s/to-%s", in->scratch, o->label) < (int)sizeof(path) &&
	    (symlink(o->path, path) == 0 || errno == EEXIST))
		add(r, &n, "symlink", AT_FDCWD, path, true);
	if (snprintf(path, sizeof(path), "%s/dir-of-%s", in->scratch, o->label) < (int)sizeof(path) &&
	    (symlink(dir[0] ? dir : "/", path) == 0 || errno == EEXIST)) {
		size_t len = strlen(path);
		(void)snprintf(path + len, sizeof(path) - len, "/%s", name);
		add(r, &n, "linked-parent", AT_FDCWD, path, false);
	}
	fd = open(o->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && o->kind != KIND_LINK) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		add(r, &n, "o-path", AT_FDCWD, path, true);
	} else if (fd >= 0) {
		close(fd);
	}
	if (o->kind == KIND_DIR && snprintf(path, sizeof(path), "%s/", o->path) < (int)sizeof(path))
		add(r, &n, "slash", AT_FDCWD, path, false);
	return n;
}

void routes_close(struct route *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (r[i].dirfd >= 0)
			close(r[i].dirfd);
		if (strcmp(r[i].name, "o-path") == 0)
			close(atoi(strrchr(r[i].path, '/') + 1));
	}
}

/* Things made here: a program in every place that can be written, a file each. */
static void make_own(const struct inside *in)
{
	for (size_t i = 0; i < in->n; i++) {
		struct object *o = &in->v[i];
		struct stat st;
		if (strncmp(o->label, "own-", 4) != 0)
			continue;
		if (o->kind == KIND_PROG) {
			char buf[65536];
			int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
			int to = open(o->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
			for (ssize_t k; from >= 0 && to >= 0 && (k = read(from, buf, sizeof(buf))) > 0;)
				if (write(to, buf, (size_t)k) != k)
					break;
			close(from);
			close(to);
		}
		if (stat(o->path, &st) == 0)
			(void)printf("real\t%s\t%lu\t%lu\n", o->label, (unsigned long)st.st_dev, (unsigned long)st.st_ino);
	}
}

static int read_list(const char *list, struct inside *in)
{
	FILE *f = fopen(list, "re");
	char *line = NULL;
	size_t size = 0;

	if (f == NULL)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		char *save = NULL, *what = strtok_r(line, "\t\n", &save), *a = strtok_r(NULL, "\t\n", &save);
		char *b = strtok_r(NULL, "\t\n", &save);
		if (what == NULL || a == NULL)
			continue;
		if (strcmp(what, "scratch") == 0) {
			in->scratch = strdup(a);
		} else if (strcmp(what, "victim") == 0) {
			in->t.victim = atoi(a);
		} else if (strcmp(what, "port4") == 0) {
			in->t.port4 = atoi(a);
		} else if (strcmp(what, "port6") == 0) {
			in->t.port6 = atoi(a);
		} else if (strcmp(what, "abstract") == 0) {
			(void)snprintf(in->t.abstract, sizeof(in->t.abstract), "%s", a);
		} else if (strcmp(what, "object") == 0 && b != NULL) {
			char *path = strtok_r(NULL, "\t\n", &save);
			in->v = reallocarray(in->v, in->n + 1, sizeof(*in->v));
			if (in->v == NULL || path == NULL)
				abort();
			in->v[in->n] = (struct object){ .kind = (enum kind)atoi(b), .path = strdup(path) };
			(void)snprintf(in->v[in->n].label, sizeof(in->v[in->n].label), "%s", a);
			in->n++;
		}
	}
	free(line);
	(void)fclose(f);
	return in->n > 0 && in->scratch != NULL ? 0 : -EINVAL;
}

int inside_main(const char *list, const char *provers)
{
	static const struct {
		const char *name;
		prover_fn *fn;
	} all[] = {
		{ "inside_read", inside_read },	      { "inside_meta", inside_meta },	{ "inside_list", inside_list },
		{ "inside_chdir", inside_chdir },     { "inside_exec", inside_exec },	{ "inside_watch", inside_watch },
		{ "inside_socket", inside_socket },   { "inside_signal", inside_signal }, { "inside_process", inside_process },
		{ "inside_trace", inside_trace },     { "inside_write", inside_write },
		{ "inside_change", inside_change },
	};
	struct inside in = { .n = 0 };
	int r = read_list(list, &in);

	if (r < 0) {
		(void)printf("fault\t%s: %s\n", list, strerror(-r));
		return 1;
	}
	(void)setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	make_own(&in);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *at = strstr(provers, all[i].name);
		if (at == NULL)
			continue;
		all[i].fn(&in);
		(void)printf("ran\t%s\n", all[i].name);
		(void)fflush(stdout);
	}
	(void)printf("end\n");
	(void)fflush(stdout);
	return 0;
}
