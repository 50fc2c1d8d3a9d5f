/*
 * For guest programs: one small program that prints what the kernel answers, run natively and under
 * supervision; both must print the same. So nothing is printed that differs between two runs (ids, inode
 * numbers, times).
 *
 *   SHOW(call)      prints the call's text, line and result or the name of its errno
 *   SYS(name, ...)  the system call itself, not libc's wrapper, which may check or replace arguments
 *   tail(), tail_str()  memory that ends where an unmapped page begins: one byte too many is a fault
 */
#ifndef GUEST_H
#define GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAYBE_UNUSED __attribute__((unused))

#define SYS(name, ...) syscall(SYS_##name, ##__VA_ARGS__)
#define SHOW(expr)     show(__LINE__, #expr, (errno = 0, (long)(expr)))
/* A result that is only compared with 0 or -1 (a descriptor, a watch, a length that may vary). */
#define SHOW_OK(expr) show(__LINE__, #expr, (errno = 0, (long)(expr) < 0 ? -1L : 0L))
#define SAY(...)      say(__LINE__, __VA_ARGS__)
#define BAD	      ((void *)8)

MAYBE_UNUSED static long show(int line, const char *text, long r)
{
	if (r == -1 && errno != 0)
		printf("%d: %s = %s\n", line, text, strerrorname_np(errno) ? strerrorname_np(errno) : "E?");
	else
		printf("%d: %s = %ld\n", line, text, r);
	return r;
}

MAYBE_UNUSED __attribute__((format(printf, 2, 3))) static void say(int line, const char *format, ...)
{
	va_list ap;

	printf("%d: ", line);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
}

MAYBE_UNUSED __attribute__((noreturn)) static void die(const char *what)
{
	printf("broken: %s: %s\n", what, strerror(errno));
	exit(99);
}

/* SIZE bytes that end at an unmapped page. Never freed. */
MAYBE_UNUSED static void *tail(size_t size)
{
	size_t page = 4096, whole = (size + page - 1) / page * page;
	char *p = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || munmap(p + whole, page) < 0)
		die("tail");
	return p + whole - size;
}

MAYBE_UNUSED static char *tail_str(const char *s)
{
	return memcpy(tail(strlen(s) + 1), s, strlen(s) + 1);
}

/* S without its NUL, running into the unmapped page. */
MAYBE_UNUSED static char *tail_open(const char *s)
{
	return memcpy(tail(strlen(s)), s, strlen(s));
}

/*
 * Where opens are emulated a descriptor is never O_PATH (docs/LIMITS.md), so what is asked of one is asked
 * only when the program is run with the argument "opath".
 */
static int with_opath MAYBE_UNUSED;

static char guest_dir[4096];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_DNR)
		(void)chmod(path, 0700);
	(void)remove(path);
	return 0;
}

static void guest_end(void)
{
	fflush(stdout);
	if (chdir("/") == 0)
		(void)nftw(guest_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A supervised guest is an ordinary user where root started it: natively the program becomes one itself. */
MAYBE_UNUSED static void ordinary_user(void)
{
	enum { ID = 2000 };

	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(ID, ID, ID) < 0 || setresuid(ID, ID, ID) < 0))
		die("setresuid");
	/* A change of ids gives /proc/self to root, which no supervised guest has seen happen. */
	(void)prctl(PR_SET_DUMPABLE, 1);
}

/* An empty directory of our own below the working directory, which it becomes; removed at exit, or by who
 * started us. */
MAYBE_UNUSED static void guest_begin(int argc, char **argv)
{
	char cwd[3000];

	with_opath = argc > 1 && strcmp(argv[1], "opath") == 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		die("getcwd");
	snprintf(guest_dir, sizeof(guest_dir), "%s/guest-XXXXXX", cwd);
	if (mkdtemp(guest_dir) == NULL || chdir(guest_dir) < 0 ||
	    (geteuid() == 0 && chown(".", 2000, 2000) < 0))
		die("mkdtemp");
	ordinary_user();
	atexit(guest_end);
	umask(022);
}

MAYBE_UNUSED static void file(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, content, strlen(content)) != (ssize_t)strlen(content))
		die(path);
	close(fd);
}

/* S repeated N times. */
MAYBE_UNUSED static char *repeat(const char *s, size_t n)
{
	char *p = malloc(strlen(s) * n + 1);

	*p = '\0';
	for (size_t i = 0; i < n; i++)
		memcpy(p + i * strlen(s), s, strlen(s) + 1);
	return p;
}

#endif
