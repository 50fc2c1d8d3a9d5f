/*
 * Execution: every program by every route, by path, by directory and by descriptor, as a script's interpreter's argument, through
 * the dynamic loader, and mapped. The program is this one, which ends with status 42 when called by the name "answer".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inside.h"
#include "util/err.h"

enum { ANSWER = 42, LOST = 99 };

enum how { BY_EXECVE, BY_EXECVEAT, BY_DESCRIPTOR, BY_LOADER, BY_MAPPING, HOWS };

static const char *const names[HOWS] = { "execve", "execveat", "execveat", "execve", "mmap" };
static const char *const routes_of[HOWS] = { "", "", "/descriptor", "/loader", "/mapping" };

/* In a child: 0 where the program answered, else the errno. */
static int run(const struct route *r, enum how how)
{
	char *argv[] = { (char[]){ "answer" }, NULL };
	char loader[] = "/lib64/ld-linux-x86-64.so.2";
	char path[4100]; /* with a slash, or the loader looks among the libraries */
	char *loader_argv[] = { loader, (char[]){ "--argv0" }, (char[]){ "answer" }, path, NULL };
	int status, fd;
	pid_t pid = fork();

	if (pid != 0)
		return waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ? EFAULT
		       : WEXITSTATUS(status) == ANSWER			     ? 0
									     : WEXITSTATUS(status);
	(void)snprintf(path, sizeof(path), "%s%s", strchr(r->path, '/') ? "" : "./", r->path);
	(void)!freopen("/dev/null", "w", stderr);
	switch (how) {
	case BY_EXECVE:
		if (r->dirfd != AT_FDCWD && fchdir(r->dirfd) < 0)
			_exit(errno);
		syscall(SYS_execve, r->path, argv, environ);
		break;
	case BY_EXECVEAT:
		syscall(SYS_execveat, r->dirfd, r->path, argv, environ, 0);
		break;
	case BY_DESCRIPTOR:
		fd = openat(r->dirfd, r->path, O_PATH | O_CLOEXEC);
		if (fd < 0)
			_exit(errno);
		syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
		break;
	case BY_LOADER:
		if (r->dirfd != AT_FDCWD && fchdir(r->dirfd) < 0)
			_exit(errno);
		syscall(SYS_execve, loader, loader_argv, environ);
		break;
	case BY_MAPPING:
		fd = openat(r->dirfd, r->path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			_exit(errno);
		_exit(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? errno : ANSWER);
	case HOWS:
		break;
	}
	_exit(errno == ANSWER ? LOST : errno);
}

void inside_exec(const struct inside *in)
{
	struct route r[ROUTES_MAX];

	for (size_t i = 0; i < in->n; i++) {
		const struct object *o = &in->v[i];
		if (o->kind != KIND_PROG)
			continue;
		size_t n = routes_make(in, o, r);
		for (size_t k = 0; k < n; k++)
			for (int how = 0; how < HOWS; how++) {
				struct stat st = { .st_dev = 0 };
				char route[64];
				/* The child has no such descriptor's path when the loader opens it: it is CLOEXEC. */
				if (how == BY_LOADER && strcmp(r[k].name, "o-path") == 0)
					continue;
				int err = run(&r[k], (enum how)how);
				if (err == 0)
					(void)fstatat(r[k].dirfd, r[k].path, &st, 0);
				(void)snprintf(route, sizeof(route), "%s%s", r[k].name, routes_of[how]);
				said_object("inside_exec", names[how], o, route, OP_EXEC, err, (unsigned long)st.st_dev,
					    (unsigned long)st.st_ino);
			}
		routes_close(r, n);
	}
}
