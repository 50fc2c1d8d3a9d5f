/*
 * The resolver against the kernel: the test process is the guest, so that whatever it opens itself with
 * O_PATH must be what path_resolve() finds, by object and by errno, on the fast way and on the walk. Random
 * paths over a tree with every kind of link find what nobody thought of.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "sentry/path.h"
#include "sentry/path_walk.h"
#include "util/fd.h"

static int fake_alive(struct mech *m, const struct event *ev)
{
	(void)m;
	(void)ev;
	return 0;
}

static const struct mech_ops ops = { .alive = fake_alive };
static struct mech mech = { .ops = &ops };
static struct sentry sentry = { .mech = &mech };
static struct call call;
static struct object obj;
static char root[PATH_MAX];
static struct policy *policy;

static int resolve(int dirfd, const char *path, unsigned int flags)
{
	object_clear(&obj);
	return path_resolve(&call, dirfd, path, flags, &obj);
}

static const char *below(const char *name)
{
	static char buf[PATH_MAX + 300];

	(void)snprintf(buf, sizeof(buf), "%s/%s", root, name);
	return buf;
}

static void make(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	(void)close(fd);
}

static int setup(void **state)
{
	char template[] = "/tmp/gabion-path-XXXXXX";
	struct policy_builder *b;

	(void)state;
	assert_non_null(mkdtemp(template));
	assert_non_null(realpath(template, root));
	assert_int_equal(chdir(root), 0);
	make("f");
	make("x (deleted)");
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(mkdir("d/e", 0700), 0);
	make("d/g");
	assert_int_equal(symlink("f", "l"), 0);
	assert_int_equal(symlink("d", "dl"), 0);
	assert_int_equal(symlink(below("f"), "abs"), 0);
	assert_int_equal(symlink("missing", "dangling"), 0);
	assert_int_equal(symlink("d/new", "dangling2"), 0);
	assert_int_equal(symlink("loop", "loop"), 0);
	assert_int_equal(symlink("../..", "d/up"), 0);
	assert_int_equal(symlink("/proc/self", "p"), 0);
	assert_int_equal(symlink("/proc/self/cwd", "c"), 0);
	assert_int_equal(symlink("dl/", "ds"), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	object_init(&obj);
	sentry.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	sentry.fds_fd = openat(sentry.proc_fd, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	sentry.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	sentry.init = getpid();
	call.s = &sentry;
	call.ev.tid = gettid();
	assert_int_equal(policy_builder_new(&b), 0);
	assert_int_equal(policy_builder_add(b, RULE_READ, "/tmp", "test"), 0);
	assert_int_equal(policy_compile(b, &policy), 0);
	policy_builder_free(b);
	call.policy = policy;
	return 0;
}

static int teardown(void **state)
{
	static const char *const all[] = {
		"f",   "x (deleted)", "d/g",	   "d/up", "d/e", "d", "l",  "dl",
		"abs", "dangling",    "dangling2", "loop", "p",	  "c", "ds", "fifo"
	};

	(void)state;
	object_clear(&obj);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		(void)remove(below(all[i]));
	(void)close(sentry.proc_fd);
	(void)close(sentry.fds_fd);
	(void)close(sentry.root_fd);
	policy_free(policy);
	assert_int_equal(chdir("/"), 0);
	return rmdir(root);
}

static void assert_same(int a, int b, const char *path)
{
	struct stat x, y;

	assert_int_equal(fstat(a, &x), 0);
	assert_int_equal(fstat(b, &y), 0);
	if (x.st_ino != y.st_ino || x.st_dev != y.st_dev)
		fail_msg("%s: another object than the kernel's", path);
}

/* path_resolve(), and the walk alone, against the kernel's own openat2(). */
static void compare(int dirfd, const char *path, unsigned int flags, uint64_t how_flags, uint64_t how_resolve)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | how_flags, .resolve = how_resolve };
	int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	int want = fd < 0 ? errno : 0;
	int got = resolve(dirfd, path, flags);
	struct object walked;

	if (got != want)
		fail_msg("'%s' flags %#x: %s, the kernel says %s", path, flags, strerror(got),
			 strerror(want));
	if (want == 0) {
		assert_same(obj.fd, fd, path);
		if (obj.path[0] == '/') {
			char real[PATH_MAX], link[64];
			ssize_t n;

			(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
			n = readlink(link, real, sizeof(real) - 1);
			assert_true(n > 0);
			real[n] = '\0';
			if (strcmp(real, obj.path) != 0 && strstr(real, " (deleted)") == NULL)
				fail_msg("'%s': called %s, the kernel says %s", path, obj.path, real);
			assert_int_equal(strlen(obj.path), obj.path_len);
		}
	}
	if (path[0] != '\0') {
		int base =
			dirfd == AT_FDCWD ? open(".", O_PATH | O_CLOEXEC) : fcntl(dirfd, F_DUPFD_CLOEXEC, 0);

		assert_true(base >= 0);
		object_init(&walked);
		got = path_walk(&call, base, path, flags, &walked);
		if (got != want)
			fail_msg("walk '%s' flags %#x: %s, the kernel says %s", path, flags, strerror(got),
				 strerror(want));
		if (want == 0)
			assert_same(walked.fd, fd, path);
		object_clear(&walked);
		(void)close(base);
	}
	if (fd >= 0)
		(void)close(fd);
}

static void compare_all(int dirfd, const char *path)
{
	compare(dirfd, path, 0, 0, 0);
	compare(dirfd, path, PATH_NOFOLLOW, O_NOFOLLOW, 0);
	compare(dirfd, path, PATH_DIRECTORY, O_DIRECTORY, 0);
	compare(dirfd, path, PATH_NO_MAGIC, 0, RESOLVE_NO_MAGICLINKS);
	compare(dirfd, path, PATH_NO_SYMLINKS, 0, RESOLVE_NO_SYMLINKS);
	compare(dirfd, path, PATH_BENEATH, 0, RESOLVE_BENEATH);
	compare(dirfd, path, PATH_IN_ROOT, 0, RESOLVE_IN_ROOT);
}

static void test_agrees_with_kernel(void **state)
{
	static const char *const paths[] = {
		"f",
		"d",
		"d/",
		"d/.",
		"d/..",
		"d/../f",
		"f/",
		"f/.",
		"l",
		"l/",
		"dl",
		"dl/",
		"dl/g",
		"ds",
		"ds/g",
		"abs",
		"dangling",
		"loop",
		"loop/x",
		"missing",
		"missing/x",
		"f/x",
		"d/up",
		"d/up/tmp",
		".",
		"..",
		"../../../..",
		"/",
		"//",
		"/..",
		"/tmp/../tmp",
		"p",
		"p/",
		"p/status",
		"p/nothing",
		"c",
		"c/",
		"c/f",
		"c/d/g",
		"c/..",
		"fifo",
		"fifo/",
		"x (deleted)",
		"/proc",
		"/proc/",
		"/proc/self",
		"/proc/self/",
		"/proc/self/status",
		"/proc/thread-self/status",
		"/proc/thread-self",
		"/proc/self/cwd",
		"/proc/self/cwd/f",
		"/proc/self/root/tmp",
		"/proc/self/exe",
		"/proc/self/fd",
		"/proc/self/fd/0",
		"/proc/self/fd/9999",
		"/proc/self/../self/status",
		"/proc/self/../../etc",
		"/proc/1/status",
		"/proc/mounts",
		"/proc/net/dev",
		"/dev/fd",
		"/dev/fd/0",
		"/dev/stdin",
		"/dev/null",
		"/etc/passwd",
		"/etc/mtab",
		"/proc/self/task",
		"/proc/self/ns/mnt",
		"/proc/sys/kernel/ostype",
		"/proc/999999999/status",
		"/proc/self/fd/",
		"d//e",
		"./d/./e/.",
		"dl/../f",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		compare_all(AT_FDCWD, paths[i]);
}

static void test_random_paths(void **state)
{
	static const char *const words[] = {
		"f",	    "d",       "e",    "g",    "l",  "dl", "ds", "up",	"abs",	       "loop",
		"dangling", "missing", "p",    "c",    ".",  "..", "",	 "tmp", "proc",	       "self",
		"cwd",	    "status",  "fifo", "root", "fd", "0",  "..", "d",	"thread-self", "task"
	};
	char path[256];

	(void)state;
	srand(20260101);
	for (int i = 0; i < 20000; i++) {
		int parts = 1 + rand() % 5;
		size_t n = 0;

		if (rand() % 3 == 0)
			path[n++] = '/';
		for (int k = 0; k < parts; k++)
			n += (size_t)snprintf(path + n, sizeof(path) - n, "%s%s", k > 0 ? "/" : "",
					      words[(size_t)rand() % (sizeof(words) / sizeof(words[0]))]);
		if (rand() % 5 == 0)
			(void)snprintf(path + n, sizeof(path) - n, "/");
		switch (rand() % 6) {
		case 0:
			compare(AT_FDCWD, path, PATH_NOFOLLOW, O_NOFOLLOW, 0);
			break;
		case 1:
			compare(AT_FDCWD, path, PATH_BENEATH, 0, RESOLVE_BENEATH);
			break;
		case 2:
			compare(AT_FDCWD, path, PATH_IN_ROOT, 0, RESOLVE_IN_ROOT);
			break;
		case 3:
			compare(AT_FDCWD, path, PATH_NO_MAGIC, 0, RESOLVE_NO_MAGICLINKS);
			break;
		default:
			compare(AT_FDCWD, path, 0, 0, 0);
			break;
		}
	}
}

static void test_dirfd(void **state)
{
	int d = open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC), f = open("f", O_RDONLY | O_CLOEXEC);
	int p = open("d", O_PATH | O_CLOEXEC);

	(void)state;
	compare_all(d, "g");
	compare_all(d, "..");
	compare_all(d, "up/tmp");
	compare_all(p, "g");
	assert_int_equal(resolve(d, "g", 0), 0);
	assert_string_equal(obj.path, below("d/g"));
	assert_int_equal(resolve(f, "g", 0), ENOTDIR);
	assert_int_equal(resolve(9999, "g", 0), EBADF);
	assert_int_equal(resolve(-7, "g", 0), EBADF);
	assert_int_equal(resolve(9999, "/", 0), 0);
	assert_int_equal(resolve(9999, "", 0), ENOENT);
	assert_int_equal(resolve(f, "", PATH_EMPTY), 0);
	assert_string_equal(obj.path, below("f"));
	assert_int_equal(resolve(AT_FDCWD, "", PATH_EMPTY), 0);
	assert_string_equal(obj.path, root);
	(void)close(d);
	(void)close(f);
	(void)close(p);
}

static void test_parent(void **state)
{
	(void)state;
	assert_int_equal(resolve(AT_FDCWD, "new", PATH_PARENT), 0);
	assert_int_equal(obj.fd, -1);
	assert_string_equal(obj.path, below("new"));
	assert_string_equal(obj.name, "new");
	assert_true(obj.parent >= 0);
	assert_int_equal(resolve(AT_FDCWD, "d/e/", PATH_PARENT | PATH_NOFOLLOW), 0);
	assert_true(obj.slash && obj.fd >= 0 && !obj.dots);
	assert_string_equal(obj.path, below("d/e"));
	assert_int_equal(resolve(AT_FDCWD, "/", PATH_PARENT), 0);
	assert_true(obj.dots);
	assert_string_equal(obj.path, "/");
	assert_int_equal(resolve(AT_FDCWD, "d/..", PATH_PARENT), 0);
	assert_true(obj.dots);
	assert_string_equal(obj.path, root);
	assert_int_equal(resolve(AT_FDCWD, "/newname", PATH_PARENT), 0);
	assert_string_equal(obj.path, "/newname");
	/* A dangling link is where O_CREAT makes its target; it is itself for everything else. */
	assert_int_equal(resolve(AT_FDCWD, "dangling2", PATH_PARENT), 0);
	assert_int_equal(obj.fd, -1);
	assert_string_equal(obj.path, below("d/new"));
	assert_int_equal(resolve(AT_FDCWD, "dangling2", PATH_PARENT | PATH_NOFOLLOW), 0);
	assert_true(obj.fd >= 0);
	assert_string_equal(obj.path, below("dangling2"));
	assert_int_equal(resolve(AT_FDCWD, "abs", PATH_PARENT), 0);
	assert_string_equal(obj.path, below("f"));
	assert_int_equal(resolve(AT_FDCWD, "p/cwd/fresh", PATH_PARENT), 0);
	assert_string_equal(obj.path, below("fresh"));
	assert_int_equal(resolve(AT_FDCWD, "loop", PATH_PARENT), ELOOP);
	assert_int_equal(resolve(AT_FDCWD, "missing/x", PATH_PARENT), ENOENT);
	assert_int_equal(resolve(AT_FDCWD, "f/x", PATH_PARENT), ENOTDIR);
	assert_int_equal(resolve(AT_FDCWD, "dangling2", PATH_PARENT | PATH_BENEATH), 0);
	assert_string_equal(obj.path, below("d/new"));
	assert_int_equal(resolve(AT_FDCWD, "abs", PATH_PARENT | PATH_BENEATH), EXDEV);
	assert_int_equal(resolve(AT_FDCWD, "d/../../x", PATH_PARENT | PATH_BENEATH), EXDEV);
	assert_int_equal(resolve(AT_FDCWD, "/../new", PATH_PARENT | PATH_IN_ROOT), 0);
	assert_string_equal(obj.path, below("new"));
}

static void test_magic(void **state)
{
	char path[64];
	int p[2], fd, n;

	(void)state;
	assert_int_equal(pipe(p), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	assert_int_equal(resolve(AT_FDCWD, path, 0), 0);
	assert_true(obj.magic);
	assert_int_equal(strncmp(obj.path, "pipe:[", 6), 0);
	assert_int_equal(path_judge(&call, 0, OP_READ, &obj).kind, VERDICT_ALLOW);
	assert_int_equal(path_judge(&call, 0, OP_EXEC, &obj).kind, VERDICT_DENY);
	assert_int_equal(resolve(AT_FDCWD, path, PATH_PARENT), 0);
	assert_true(obj.magic && obj.fd >= 0);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", p[1]);
	assert_int_equal(resolve(AT_FDCWD, path, PATH_PARENT), 0);
	assert_true(obj.magic && obj.fd >= 0);
	assert_int_equal(resolve(AT_FDCWD, path, PATH_NOFOLLOW), 0);
	assert_false(obj.magic);
	n = snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), p[1]);
	assert_int_equal(obj.path_len, n);
	assert_string_equal(obj.path, path);

	/* A memory file may call itself what it likes. */
	fd = memfd_create("/../../etc/passwd", MFD_CLOEXEC);
	assert_true(fd >= 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(resolve(AT_FDCWD, path, 0), 0);
	assert_int_not_equal(obj.path[0], '/');
	(void)close(fd);

	/* Gone, but it had its place. */
	fd = open("gone", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(unlink("gone"), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(resolve(AT_FDCWD, path, 0), 0);
	assert_string_equal(obj.path, below("gone"));
	(void)close(fd);

	/* Called so, not gone. */
	assert_int_equal(resolve(AT_FDCWD, "x (deleted)", 0), 0);
	assert_string_equal(obj.path, below("x (deleted)"));
	(void)close(p[0]);
	(void)close(p[1]);
}

static void test_deleted_directory(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(mkdir("tmp", 0700), 0);
	fd = open("tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(rmdir("tmp"), 0);
	assert_int_equal(resolve(fd, "x", 0), ENOENT);
	assert_int_equal(resolve(fd, ".", 0), 0);
	assert_string_equal(obj.path, below("tmp"));
	assert_int_equal(resolve(fd, "x", PATH_PARENT), 0);
	assert_string_equal(obj.path, below("tmp/x"));
	(void)close(fd);
}

/* A directory that cannot be reached from the root is no base, whatever the kernel calls it. */
static void test_outside(void **state)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "d", 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC);
	char path[64];

	(void)state;
	if (fd < 0)
		skip();
	assert_int_equal(resolve(fd, "g", 0), EACCES);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/g", fd);
	assert_int_equal(resolve(AT_FDCWD, path, 0), EACCES);
	(void)close(fd);
}

static void test_too_long(void **state)
{
	static char path[PATH_MAX + 10];

	(void)state;
	memset(path, 'a', NAME_MAX + 1);
	assert_int_equal(resolve(AT_FDCWD, path, 0), ENAMETOOLONG);
	assert_int_equal(resolve(AT_FDCWD, path, PATH_PARENT), ENAMETOOLONG);
	for (size_t i = 0; i < PATH_MAX - 1; i++)
		path[i] = i % 2 == 0 ? '.' : '/';
	path[PATH_MAX - 1] = '\0';
	compare(AT_FDCWD, path, 0, 0, 0);
	memset(path, '/', PATH_MAX);
	assert_int_equal(resolve(AT_FDCWD, path, 0), ENAMETOOLONG);
}

static void test_readlink(void **state)
{
	char buf[PATH_MAX], want[64];
	size_t n;

	(void)state;
	assert_int_equal(resolve(AT_FDCWD, "l", PATH_NOFOLLOW), 0);
	assert_int_equal(path_readlink(&call, &obj, buf, sizeof(buf), &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(buf[0], 'f');
	assert_int_equal(resolve(AT_FDCWD, "/proc/self", PATH_NOFOLLOW), 0);
	assert_int_equal(path_readlink(&call, &obj, buf, sizeof(buf), &n), 0);
	(void)snprintf(want, sizeof(want), "%d", (int)getpid());
	assert_int_equal(n, strlen(want));
	assert_memory_equal(buf, want, n);
	assert_int_equal(resolve(AT_FDCWD, "/proc/self/cwd", PATH_NOFOLLOW), 0);
	assert_int_equal(path_readlink(&call, &obj, buf, sizeof(buf), &n), 0);
	assert_memory_equal(buf, root, n);
	assert_int_equal(resolve(AT_FDCWD, "f", PATH_NOFOLLOW), 0);
	assert_int_equal(path_readlink(&call, &obj, buf, sizeof(buf), &n), EINVAL);
}

/* Whatever was asked: no descriptor is left behind. */
static void test_no_leak(void **state)
{
	int before = fcntl(0, F_DUPFD_CLOEXEC, 0), after;

	(void)close(before);
	test_agrees_with_kernel(state);
	test_parent(state);
	test_magic(state);
	object_clear(&obj);
	after = fcntl(0, F_DUPFD_CLOEXEC, 0);
	(void)close(after);
	assert_int_equal(after, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agrees_with_kernel),
		cmocka_unit_test(test_random_paths),
		cmocka_unit_test(test_dirfd),
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_magic),
		cmocka_unit_test(test_deleted_directory),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_readlink),
		cmocka_unit_test(test_no_leak),
	};

	return cmocka_run_group_tests_name("path", tests, setup, teardown);
}
