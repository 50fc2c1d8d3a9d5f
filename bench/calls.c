/*
 * calls KIND COUNT DIR: makes COUNT notified calls of a kind when told to, for bench/watch.c, which looks at gabion's processes before
 * and after. On standard output "r" when ready (after WARM_UP calls, so that what is allocated once is there) and "d" when done; each
 * empty line of standard input is a step: go, then end.
 *
 *   idle     none                         read     open for reading, and close
 *   write    open for writing, and close  create   create, and unlink
 *   rename   there and back               refused  open of DIR/denied for writing, which must fail
 *   mixed    all of these in turn
 */
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "bench.h"

enum { WARM_UP = 5000 };

static char one[PATH_MAX], two[PATH_MAX], denied[PATH_MAX];

static int open_close(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : close(fd);
}

static int call_read(void)
{
	return open_close(one, O_RDONLY);
}

static int call_write(void)
{
	return open_close(one, O_WRONLY);
}

static int call_create(void)
{
	return open_close(two, O_WRONLY | O_CREAT | O_EXCL) < 0 ? -1 : unlink(two);
}

static int call_rename(void)
{
	return rename(one, two) < 0 ? -1 : rename(two, one);
}

static int call_refused(void)
{
	return open_close(denied, O_WRONLY) < 0 ? 0 : -1;
}

static const struct kind {
	const char *name;
	int (*call)(void);
	long calls; /* notified calls in one turn */
} kinds[] = {
	{ "read", call_read, 1 },     { "write", call_write, 1 },     { "create", call_create, 2 },
	{ "rename", call_rename, 2 }, { "refused", call_refused, 1 },
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static void make(const char *name, long count)
{
	for (size_t i = 0; count > 0; i = (i + 1) % KINDS) {
		if (strcmp(name, "mixed") != 0 && strcmp(name, kinds[i].name) != 0)
			continue;
		if (kinds[i].call() != 0)
			give_up(kinds[i].name);
		count -= kinds[i].calls;
	}
}

static void step(const char *say)
{
	char c;

	if (write(1, say, 2) != 2 || read(0, &c, 1) != 1)
		exit(0);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	const char *name = argv[1];
	int known = strcmp(name, "idle") == 0 || strcmp(name, "mixed") == 0;
	for (size_t i = 0; i < KINDS; i++)
		known = known || strcmp(name, kinds[i].name) == 0;
	if (!known)
		return 2;
	snprintf(one, sizeof(one), "%s/calls.one", argv[3]);
	snprintf(two, sizeof(two), "%s/calls.two", argv[3]);
	snprintf(denied, sizeof(denied), "%s/denied", argv[3]);
	(void)unlink(two);
	int idle = strcmp(name, "idle") == 0;
	if (!idle) {
		if (open_close(one, O_WRONLY | O_CREAT) < 0)
			give_up(one);
		make(name, WARM_UP);
	}
	step("r\n");
	if (!idle)
		make(name, atol(argv[2]));
	step("d\n");
	(void)unlink(one);
	return 0;
}
