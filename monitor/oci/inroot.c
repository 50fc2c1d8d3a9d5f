/* Paths below a container's root: see inroot.h. */
#include "monitor/oci/inroot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

enum {
	AGAIN_MAX = 64, /* EAGAIN: somebody renames or mounts all the time */
	LINKS_MAX = 16, /* that lead to what is not there yet */
};

int inroot_open(int root, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve};
	long fd = -1;

	while (path[0] == '/')
		path++;
	for (int i = 0; i < AGAIN_MAX; i++) {
		fd = syscall(SYS_openat2, root, path[0] == '\0' ? "." : path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd < 0 ? err_now() : (int)fd;
}

int inroot_normal(const char *path, char out[static 4096])
{
	size_t n = 0;

	if (path[0] == '\0')
		return -EINVAL;
	while (*path != '\0') {
		size_t len = strcspn(path, "/");
		if (len == 2 && strncmp(path, "..", 2) == 0) {
			while (n > 0 && out[n - 1] != '/')
				n--;
			n -= n > 0;
		} else if (len > 0 && !(len == 1 && path[0] == '.')) {
			if (n + len + 2 > 4096)
				return -ENAMETOOLONG;
			if (n > 0)
				out[n++] = '/';
			memcpy(out + n, path, len);
			n += len;
		}
		path += len;
		path += *path == '/';
	}
	out[n] = '\0';
	return 0;
}

/* The entry NAME of directory PARENT, made a directory or a file if there is none, and held. */
static int make_one(int parent, const char *name, bool dir)
{
	int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC | (dir ? O_DIRECTORY : 0);

	if (dir) {
		if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
			return err_now();
	} else {
		AUTO_FD int made = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (made < 0 && errno != EEXIST)
			return err_now();
	}
	AUTO_FD int fd = openat(parent, name, flags);
	struct stat st;
	if (fd < 0)
		return errno == ENOTDIR ? -ELOOP : err_now();
	/* A link that leads nowhere yet. */
	if (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode))
		return -ELOOP;
	return fd_steal(&fd);
}

static int make(int root, const char *path, bool dir, int depth);

/*
 * The link NAME in AT leads to nothing yet: what it names below the root is made. BEFORE: the way to its directory; REST: what comes
 * behind it. All of it is resolved anew from the root, so however wrong the text is, it stays below.
 */
static int make_behind(int root, int at, const char *name, const char *before, const char *rest, bool dir, int depth)
{
	char text[4096], path[3 * 4096];
	ssize_t n = readlinkat(at, name, text, sizeof(text) - 1);

	if (n < 0 || depth >= LINKS_MAX)
		return -ELOOP;
	text[n] = '\0';
	(void)snprintf(path, sizeof(path), "%s/%s/%s", text[0] == '/' ? "" : before, text, rest);
	return make(root, path, dir, depth + 1);
}

static int make(int root, const char *path, bool dir, int depth)
{
	char normal[4096], before[4096];
	int r = inroot_normal(path, normal);
	AUTO_FD int at = fcntl(root, F_DUPFD_CLOEXEC, 3);

	if (r < 0)
		return r;
	if (at < 0)
		return err_now();
	for (char *c = normal; *c != '\0';) {
		size_t len = strcspn(c, "/");
		bool last = c[len] == '\0';
		char kept = c[len];
		c[len] = '\0';
		/* The whole way from the root each time: a link may lead anywhere below it. */
		int next = inroot_open(root, normal, O_PATH | (last && !dir ? 0 : O_DIRECTORY), 0);
		if (next == -ENOENT)
			next = make_one(at, c, !last || dir);
		if (next == -ELOOP) {
			(void)snprintf(before, sizeof(before), "%.*s", (int)(c - normal), normal);
			return make_behind(root, at, c, before, last ? "" : c + len + 1, dir, depth);
		}
		if (next < 0)
			return next;
		close(at);
		at = next;
		c[len] = kept;
		c += len + (last ? 0 : 1);
	}
	return fd_steal(&at);
}

int inroot_make(int root, const char *path, bool dir)
{
	return make(root, path, dir, 0);
}

int inroot_parent(int root, const char *path, int *ret_fd, char name[static 256])
{
	char normal[4096];
	int r = inroot_normal(path, normal);

	if (r < 0)
		return r;
	char *slash = strrchr(normal, '/');
	const char *last = slash == NULL ? normal : slash + 1;
	if (last[0] == '\0' || strlen(last) > 255)
		return -EINVAL;
	(void)snprintf(name, 256, "%s", last);
	if (slash != NULL)
		*slash = '\0';
	int fd = inroot_make(root, slash == NULL ? "/" : normal, true);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

bool inroot_is_proc(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

ssize_t inroot_read(int root, const char *path, char *buf, size_t size)
{
	struct stat st;
	size_t n = 0;
	AUTO_FD int fd = inroot_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	while (n < size - 1) {
		ssize_t k = read(fd, buf + n, size - 1 - n);
		if (k < 0)
			return err_now();
		if (k == 0)
			break;
		n += (size_t)k;
	}
	buf[n] = '\0';
	return (ssize_t)n;
}
