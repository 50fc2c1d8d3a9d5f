/*
 * getdents, getdents64: what is listed, in pieces of every size, from every position; errors and their order.
 */
#include <dirent.h>

#include "guest.h"

enum { FILES = 300 };

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Lists FD to its end by pieces of SIZE bytes: how many, and their names together, in order. */
static void all_of(int line, int fd, long nr, size_t size)
{
	char *names[FILES + 16], *buf = tail(size);
	size_t n = 0, at_name = nr == SYS_getdents ? 18 : 19;
	unsigned int sum = 0;
	long r = 0;

	lseek(fd, 0, SEEK_SET);
	while (n < FILES + 16 && (r = syscall(nr, fd, buf, size)) > 0)
		for (long at = 0; at < r;) {
			unsigned short len;

			memcpy(&len, buf + at + 16, sizeof(len));
			if (n < FILES + 16)
				names[n++] = strdup(buf + at + (long)at_name);
			at += len;
		}
	qsort(names, n, sizeof(names[0]), by_name);
	for (size_t i = 0; i < n; i++) {
		for (const char *p = names[i]; *p != '\0'; p++)
			sum = sum * 31 + (unsigned char)*p;
		free(names[i]);
	}
	printf("%d: pieces of %zu: %s, %zu names, %x\n", line, size, r < 0 ? strerrorname_np(errno) : "end", n, sum);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = {24, 32, 100, 1000, 4096, 32768, 1 << 20};
	char name[300], buf[2000];
	struct dirent *e;
	int fd, f, other;
	long where = 0;
	DIR *d;

	guest_begin(argc, argv);
	if (mkdir("d", 0755) < 0 || mkdir("empty", 0755) < 0)
		die("mkdir");
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "d/%d%.*s", i, i % 200, repeat("x", 200));
		file(name, "");
	}
	fd = open("d", O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		all_of(__LINE__, fd, SYS_getdents64, sizes[i]);
		all_of(__LINE__, fd, SYS_getdents, sizes[i]);
	}
	/* The end stays the end; the position is the description's, whoever reads. */
	SHOW(SYS(getdents64, fd, buf, sizeof(buf)));
	SHOW(SYS(getdents, fd, buf, sizeof(buf)));
	other = dup(fd);
	SHOW(lseek(other, 0, SEEK_SET));
	SHOW_OK(SYS(getdents64, fd, buf, sizeof(buf)));
	SAY("moved on %d", lseek(other, 0, SEEK_CUR) != 0);
	SHOW(SYS(getdents64, fd, BAD, sizeof(buf)));
	lseek(fd, 0, SEEK_SET);
	SHOW(SYS(getdents64, fd, BAD, sizeof(buf)));
	all_of(__LINE__, other, SYS_getdents64, 500);
	close(other);
	SHOW(SYS(getdents64, fd, buf, 0));
	lseek(fd, 0, SEEK_SET);
	SHOW(SYS(getdents64, fd, buf, 0));
	SHOW(SYS(getdents64, fd, buf, 1));
	SHOW(SYS(getdents64, -1, buf, sizeof(buf)));
	SHOW(SYS(getdents64, 999, buf, sizeof(buf)));
	SHOW(SYS(getdents, 999, BAD, 0));
	f = open("d/0", O_RDONLY);
	SHOW(SYS(getdents64, f, buf, sizeof(buf)));
	SHOW(SYS(getdents, f, buf, sizeof(buf)));
	close(f);
	/* Places told are found again. */
	d = opendir("d");
	for (int i = 0; i < 100 && readdir(d) != NULL; i++)
		where = telldir(d);
	e = readdir(d);
	snprintf(name, sizeof(name), "%s", e != NULL ? e->d_name : "");
	rewinddir(d);
	seekdir(d, where);
	e = readdir(d);
	SAY("found again %d", e != NULL && strcmp(name, e->d_name) == 0);
	closedir(d);
	close(fd);
	/* A directory that was removed, and one that may not be read but is open. */
	fd = open("empty", O_RDONLY | O_DIRECTORY);
	SHOW_OK(SYS(getdents64, fd, buf, sizeof(buf)));
	rmdir("empty");
	lseek(fd, 0, SEEK_SET);
	SHOW(SYS(getdents64, fd, buf, sizeof(buf)));
	close(fd);
	fd = open("d", O_RDONLY | O_DIRECTORY);
	chmod("d", 0);
	all_of(__LINE__, fd, SYS_getdents64, 4096);
	chmod(".", 0);
	all_of(__LINE__, fd, SYS_getdents64, 4096);
	chmod(".", 0755);
	chmod("d", 0755);
	close(fd);
	fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	SAY("own descriptors %d", SYS(getdents64, fd, buf, sizeof(buf)) > 0);
	close(fd);
	return 0;
}
