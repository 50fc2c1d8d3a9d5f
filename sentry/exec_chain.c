/*
 * From a file to what its exec loads: see exec_chain.h. The lines and headers are read as binfmt_script.c and binfmt_elf.c of
 * Linux read them. Formats a host registers (binfmt_misc) are not known here: ENOEXEC.
 *
 * Who a file is has two answers: stat's, and the one in /proc/PID/maps, which on overlayfs and btrfs is another. The second is
 * learned by mapping a page of the file, and remembered.
 *
 * Syscalls: openat, fstat, pread64, mmap, munmap, read, close, clock_gettime, and path.c's.
 */
#include "sentry/exec_chain.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

enum {
	HEAD = 256,	  /* BINPRM_BUF_SIZE: what the kernel looks at of a script */
	FIRST = 4096,	  /* read at once: nearly every program's headers are in it */
	PHDRS_MAX = 65536, /* bytes */
	LINKS_MAX = 5,	  /* of interpreters: more is ELOOP */
	KNOWN = 64,
};

/* What maps call files: remembered by what stat calls them. A file changed since is another. */
struct known {
	dev_t dev;
	ino_t ino;
	struct timespec changed;
	uint64_t map_dev, map_ino;
};

static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;
static struct known known_files[KNOWN];

/* The line of our own maps that begins with ADDR. */
static int own_map(const struct call *c, const void *addr, uint64_t *ret_dev, uint64_t *ret_ino)
{
	AUTO_FREE char *buf = malloc(4096 + 1);
	AUTO_FD int fd = openat(c->s->proc_fd, "self/maps", O_RDONLY | O_CLOEXEC);
	unsigned long long start = 0, ino = 0;
	unsigned int major = 0, minor = 0;
	size_t have = 0;

	if (buf == NULL || fd < 0)
		return buf == NULL ? -ENOMEM : err_now();
	for (;;) {
		ssize_t n = read(fd, buf + have, 4096 - have);
		char *line = buf, *end;

		if (n <= 0)
			return n < 0 ? err_now() : -ENOENT;
		have += (size_t)n;
		buf[have] = '\0';
		while ((end = strchr(line, '\n')) != NULL) {
			if (sscanf(line, "%llx-%*x %*s %*x %x:%x %llu", &start, &major, &minor, &ino) == 4 &&
			    start == (uintptr_t)addr) {
				*ret_dev = makedev(major, minor);
				*ret_ino = ino;
				return 0;
			}
			line = end + 1;
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
		if (have == 4096)
			return -ENAMETOOLONG;
	}
}

/*
 * A program's ELF interpreter, remembered likewise, so that an exec of what was executed before opens nothing. Only of files that
 * have been at rest for a while: times are coarse. What is remembered wrongly is found out at the exec stop.
 */
static struct program {
	dev_t dev;
	ino_t ino;
	struct timespec changed;
	struct tracer_file exe;
	char loader[128]; /* empty: none */
} programs[KNOWN];

static bool program_known(const struct stat *st, struct tracer_file *exe, char loader[PATH_MAX], bool add)
{
	struct program *k = &programs[((size_t)st->st_ino ^ (size_t)st->st_dev) % KNOWN];
	struct timespec now;
	bool found;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (add && (now.tv_sec - st->st_ctim.tv_sec < 2 || strlen(loader) >= sizeof(k->loader)))
		return false;
	(void)pthread_mutex_lock(&known_lock);
	if (add) {
		*k = (struct program){ .dev = st->st_dev, .ino = st->st_ino, .changed = st->st_ctim, .exe = *exe };
		memcpy(k->loader, loader, strlen(loader) + 1);
	}
	found = k->ino != 0 && k->dev == st->st_dev && k->ino == st->st_ino && k->changed.tv_sec == st->st_ctim.tv_sec &&
		k->changed.tv_nsec == st->st_ctim.tv_nsec;
	if (found && !add) {
		*exe = k->exe;
		memcpy(loader, k->loader, strlen(k->loader) + 1);
	}
	(void)pthread_mutex_unlock(&known_lock);
	return found;
}

static bool is_known(const struct stat *st, struct tracer_file *f, bool add)
{
	struct known *k = &known_files[((size_t)st->st_ino ^ (size_t)st->st_dev) % KNOWN];
	bool found;

	(void)pthread_mutex_lock(&known_lock);
	if (add)
		*k = (struct known){ st->st_dev, st->st_ino, st->st_ctim, f->map_dev, f->map_ino };
	found = k->ino != 0 && k->dev == st->st_dev && k->ino == st->st_ino && k->changed.tv_sec == st->st_ctim.tv_sec &&
		k->changed.tv_nsec == st->st_ctim.tv_nsec;
	if (found) {
		f->map_dev = k->map_dev;
		f->map_ino = k->map_ino;
	}
	(void)pthread_mutex_unlock(&known_lock);
	return found;
}

static int identity(const struct call *c, int fd, struct tracer_file *ret_file)
{
	struct tracer_file f;
	struct stat st;
	void *page;
	int r;

	if (fstat(fd, &st) < 0)
		return err_now();
	f = (struct tracer_file){ .dev = st.st_dev, .ino = st.st_ino };
	if (!is_known(&st, &f, false)) {
		page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
		if (page == MAP_FAILED)
			return err_now();
		r = own_map(c, page, &f.map_dev, &f.map_ino);
		(void)munmap(page, 1);
		if (r < 0)
			return r;
		(void)is_known(&st, &f, true);
	}
	*ret_file = f;
	return 0;
}

/* What is executed is read first. 0, a positive errno for the guest, or a negative one. */
static int open_program(const struct call *c, const struct object *o, int *ret_fd)
{
	struct stat st;
	char name[32];

	if (object_stat(o, &st) < 0)
		return err_now();
	if (S_ISLNK(st.st_mode))
		return ELOOP;
	if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
		return EACCES;
	path_of_fd(o->fd, name);
	*ret_fd = openat(c->s->fds_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*ret_fd < 0)
		return errno == EACCES || errno == EPERM ? EACCES : err_now();
	return 0;
}

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t';
}

/* The interpreter a script names, of its first N bytes. RET_ARG: it gets an argument. False: none (ENOEXEC). */
static bool script_interpreter(const char *head, size_t n, char ret_name[HEAD], bool *ret_arg)
{
	const char *end = memchr(head, '\n', n < HEAD ? n : HEAD), *at = head + 2, *name;

	if (end == NULL) {
		end = head + (n < HEAD ? n : HEAD);
		/* Behind a short file are zeroes, which end the name; else it must end within what is looked at. */
		const char *word = at;
		while (word < end && is_blank(*word))
			word++;
		while (word < end && !is_blank(*word) && *word != '\0')
			word++;
		if (word == end && n >= HEAD)
			return false;
	}
	while (end > at && is_blank(end[-1]))
		end--;
	while (at < end && is_blank(*at))
		at++;
	for (name = at; at < end && !is_blank(*at) && *at != '\0'; at++)
		;
	if (at == name)
		return false;
	memcpy(ret_name, name, (size_t)(at - name));
	ret_name[at - name] = '\0';
	if (at < end && *at != '\0')
		while (at < end && is_blank(*at))
			at++;
	*ret_arg = at < end && *at != '\0';
	return true;
}

static bool read_at(int fd, void *buf, size_t len, uint64_t at)
{
	return at < INT64_MAX - len && pread(fd, buf, len, (off_t)at) == (ssize_t)len;
}

/* The ELF interpreter's path; empty: none. 0, ENOEXEC, or a negative errno. */
static int elf_interpreter(int fd, const char *head, size_t n, char ret_path[PATH_MAX])
{
	Elf64_Ehdr eh;
	size_t size;

	ret_path[0] = '\0';
	if (n < sizeof(eh))
		return ENOEXEC;
	memcpy(&eh, head, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64 ||
	    (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) || eh.e_phentsize != sizeof(Elf64_Phdr) || eh.e_phnum == 0)
		return ENOEXEC;
	size = (size_t)eh.e_phnum * sizeof(Elf64_Phdr);
	if (size > PHDRS_MAX)
		return ENOEXEC;
	AUTO_FREE Elf64_Phdr *ph = malloc(size);
	if (ph == NULL)
		return -ENOMEM;
	if (eh.e_phoff <= n && size <= n - eh.e_phoff)
		memcpy(ph, head + eh.e_phoff, size);
	else if (!read_at(fd, ph, size, eh.e_phoff))
		return ENOEXEC;
	for (unsigned int i = 0; i < eh.e_phnum; i++) {
		if (ph[i].p_type != PT_INTERP)
			continue;
		if (ph[i].p_filesz > PATH_MAX || ph[i].p_filesz < 2 ||
		    !read_at(fd, ret_path, ph[i].p_filesz, ph[i].p_offset) || ret_path[ph[i].p_filesz - 1] != '\0') {
			ret_path[0] = '\0';
			return ENOEXEC;
		}
		return 0;
	}
	return 0;
}

static struct reply answer(struct call *c, int r)
{
	return r > 0 ? reply_deny(r) : call_fail(c, r);
}

/* A file the program names; it is judged like the program itself. */
static bool follow(struct call *c, const char *path, struct object *o, struct reply *ret_reply)
{
	struct verdict v;
	int r = path_resolve(c, AT_FDCWD, path, 0, o);

	if (r != 0) {
		*ret_reply = answer(c, r);
		return false;
	}
	v = o->path[0] == '/' ? policy_path(c->policy, OP_EXEC, o->path, o->path_len) : VERDICT_NULL;
	if (v.kind == VERDICT_ALLOW)
		return true;
	/* Only a refusal is the record's: what was executed is the first object. */
	*ret_reply = call_refuse(c, path_judge(c, 1, OP_EXEC, o));
	return false;
}

static bool add_program(struct trace_request *req, const struct call *c, const struct object *o)
{
	struct trace_args *a = &req->args;

	if (!policy_wants_args(c->policy, o->path, o->path_len))
		return true;
	a->program[a->n].path = strdup(o->path);
	a->program[a->n].first = 1;
	if (a->program[a->n].path == NULL)
		return false;
	a->n++;
	return true;
}

/* An interpreter is put in front, with its argument, and the script's path takes the place of argv[0]. */
static void shift(struct trace_args *a, unsigned int by)
{
	for (unsigned int i = 0; i < a->n; i++)
		a->program[i].first += by;
}

/* The identity of a program's ELF interpreter, which is resolved and judged. */
static int loader_identity(const struct call *c, const struct object *o, struct tracer_file *ret_file)
{
	AUTO_FD int fd = -1;
	struct stat st;
	int r;

	/* A loader is a program as well, and mostly one that was met before. */
	if (object_stat(o, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0) {
		struct tracer_file f = { .dev = st.st_dev, .ino = st.st_ino };

		if (is_known(&st, &f, false)) {
			*ret_file = f;
			return 0;
		}
	}
	r = open_program(c, o, &fd);
	return r == 0 ? identity(c, fd, ret_file) : r;
}

static bool end_of_chain(struct call *c, const char *loader_path, struct trace_request *ret_req, struct reply *ret_reply)
{
	AUTO_OBJECT struct object loader = OBJECT_NULL;
	int r;

	if (loader_path[0] == '\0')
		return true;
	if (!follow(c, loader_path, &loader, ret_reply))
		return false;
	r = loader_identity(c, &loader, &ret_req->msg.loader);
	if (r != 0)
		*ret_reply = answer(c, r);
	return r == 0;
}

bool exec_chain(struct call *c, const struct object *o, struct trace_request *ret_req, struct reply *ret_reply)
{
	AUTO_OBJECT struct object held = OBJECT_NULL;
	const struct object *at = o;
	char name[PATH_MAX];
	bool has_arg = false;

	for (unsigned int depth = 0; depth <= LINKS_MAX; depth++) {
		AUTO_FD int fd = -1;
		char head[FIRST];
		struct stat st;
		int r;

		if (object_stat(at, &st) == 0 && program_known(&st, &ret_req->msg.exe, name, false) &&
		    add_program(ret_req, c, at))
			return end_of_chain(c, name, ret_req, ret_reply);
		r = open_program(c, at, &fd);
		ssize_t n = r == 0 ? pread(fd, head, sizeof(head), 0) : 0;

		if (r == 0 && n < 0)
			r = err_now();
		if (r == 0 && !add_program(ret_req, c, at))
			r = -ENOMEM;
		if (r != 0) {
			*ret_reply = answer(c, r);
			return false;
		}
		if (n >= 2 && head[0] == '#' && head[1] == '!') {
			struct object next = OBJECT_NULL;

			if (!script_interpreter(head, (size_t)n, name, &has_arg)) {
				*ret_reply = reply_deny(ENOEXEC);
				return false;
			}
			if (!follow(c, name, &next, ret_reply)) {
				object_clear(&next);
				return false;
			}
			object_clear(&held);
			held = next;
			at = &held;
			shift(&ret_req->args, has_arg ? 2 : 1);
			continue;
		}
		r = elf_interpreter(fd, head, (size_t)n, name);
		if (r == 0)
			r = identity(c, fd, &ret_req->msg.exe);
		if (r != 0) {
			*ret_reply = answer(c, r);
			return false;
		}
		if (fstat(fd, &st) == 0)
			(void)program_known(&st, &ret_req->msg.exe, name, true);
		return end_of_chain(c, name, ret_req, ret_reply);
	}
	*ret_reply = reply_deny(ELOOP);
	return false;
}
