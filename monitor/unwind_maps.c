/*
 * A memory map's text as ranges, and the files behind them.
 *
 * The kernel writes a path with every link resolved, as seen from the root of the tracer, which is the guest's. So no link is
 * followed when it is opened: what is one now was put there since, to lead elsewhere. For the same reason the inode must be the one that is
 * mapped (only its number: the device's differs between stat and maps on some file systems), and a regular file: opened without
 * waiting, so a FIFO or a device does nothing.
 *
 * Syscalls: openat2, fstat, close.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/unwind.h"
#include "util/err.h"
#include "util/fd.h"

enum { MAPS_MAX = 8192, FILES_MAX = 64, PATH_BYTES = 4096 };

struct cursor {
	const char *p, *end;
};

/* A number in BASE (10 or 16), at most 64 bits, and the character STOP behind it. */
static bool number(struct cursor *c, unsigned int base, char stop, uint64_t *ret)
{
	uint64_t v = 0;
	unsigned int digits = 0;

	for (; c->p < c->end && *c->p != stop; c->p++, digits++) {
		unsigned int d = *c->p >= '0' && *c->p <= '9'  ? (unsigned int)(*c->p - '0')
				 : *c->p >= 'a' && *c->p <= 'f' ? (unsigned int)(*c->p - 'a') + 10
								: 16;

		if (d >= base || v > (UINT64_MAX - d) / base)
			return false;
		v = v * base + d;
	}
	if (c->p == c->end || digits == 0)
		return false;
	c->p++;
	*ret = v;
	return true;
}

/* "start-end perms offset major:minor inode   path" */
static bool parse_line(struct cursor c, struct unwind_map *ret_m)
{
	struct unwind_map m = { .path = NULL };
	uint64_t dev;

	if (!number(&c, 16, '-', &m.start) || !number(&c, 16, ' ', &m.end) || c.end - c.p < 5 || c.p[4] != ' ')
		return false;
	m.exec = c.p[2] == 'x';
	c.p += 5;
	if (!number(&c, 16, ' ', &m.offset) || !number(&c, 16, ':', &dev) || !number(&c, 16, ' ', &dev))
		return false;
	/* Without a path the line ends behind the inode, with a space or without. */
	const char *digits = c.p;

	while (c.p < c.end && *c.p >= '0' && *c.p <= '9' && c.p - digits < 19)
		m.ino = m.ino * 10 + (unsigned int)(*c.p++ - '0');
	if (c.p == digits || (c.p < c.end && *c.p != ' '))
		return false;
	while (c.p < c.end && *c.p == ' ')
		c.p++;
	m.path = c.p;
	m.path_len = (size_t)(c.end - c.p);
	if (m.start >= m.end)
		return false;
	*ret_m = m;
	return true;
}

int unwind_maps_parse(const char *text, size_t len, int root, struct unwind_maps *ret_maps)
{
	struct unwind_maps m = { .root = root };
	const char *end = text + len;
	size_t lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	m.v = calloc(lines < MAPS_MAX ? lines : MAPS_MAX, sizeof(*m.v));
	if (m.v == NULL)
		return -ENOMEM;
	while (text < end && m.n < MAPS_MAX) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		struct cursor c = { text, stop == NULL ? end : stop };

		if (parse_line(c, &m.v[m.n]) && (m.n == 0 || m.v[m.n].start >= m.v[m.n - 1].end))
			m.n++;
		text = c.end + 1;
	}
	*ret_maps = m;
	return 0;
}

void unwind_maps_free(struct unwind_maps *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].owner)
			m->v[i].elf = elf_free(m->v[i].elf);
	free(m->v);
	*m = (struct unwind_maps){ .root = -1 };
}

struct unwind_map *unwind_maps_find(const struct unwind_maps *m, uint64_t addr)
{
	size_t from = 0, to = m->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (addr < m->v[mid].start)
			to = mid;
		else if (addr >= m->v[mid].end)
			from = mid + 1;
		else
			return &m->v[mid];
	}
	return NULL;
}

static int open_file(const struct unwind_maps *m, const struct unwind_map *map)
{
	struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS };
	char path[PATH_BYTES];
	struct stat st;
	AUTO_FD int fd = -1;

	if (map->path_len == 0 || map->path_len >= sizeof(path) || map->path[0] != '/' || map->ino == 0 ||
	    memchr(map->path, '\0', map->path_len) != NULL)
		return -1;
	memcpy(path, map->path, map->path_len);
	path[map->path_len] = '\0';
	fd = (int)syscall(SYS_openat2, m->root, path, &how, sizeof(how));
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != map->ino)
		return -1;
	return fd_steal(&fd);
}

struct elf *unwind_maps_elf(struct unwind_maps *m, struct unwind_map *map)
{
	if (map->tried)
		return map->elf;
	map->tried = true;
	for (size_t i = 0; i < m->n; i++) {
		const struct unwind_map *other = &m->v[i];

		if (other != map && other->tried && other->ino == map->ino && other->path_len == map->path_len &&
		    memcmp(other->path, map->path, map->path_len) == 0) {
			map->elf = other->elf;
			return map->elf;
		}
	}
	if (m->files++ >= FILES_MAX)
		return NULL;
	int fd = open_file(m, map);

	map->elf = fd < 0 ? NULL : elf_open(fd);
	map->owner = true;
	return map->elf;
}
