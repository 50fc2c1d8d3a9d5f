/*
 * exec_drop ROUTE [DIR]: executes a program that was written in this run, a copy of itself, which ends
 * with 42.
 *
 *   file     execve of DIR/dropped          proc     execve of /proc/self/fd/N of it
 *   fd       execveat of a descriptor       script   a script in DIR, by its #!
 *   ldso     the loader is told to run it   map      mmap of it with PROT_EXEC, called
 *   tmpfile  O_TMPFILE in DIR, by descriptor  memfd  memfd_create, by descriptor
 *   memfd-race  as memfd; a sibling makes the number mean /bin/true and it by turns
 */
#include <elf.h>

#include "attack.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

static char answer[] = "answer", dropped[] = "dropped", loader_name[] = "ld.so";
static int self_fd, evil_fd, harmless_fd, number = 100;

static void copy_to(int to)
{
	char buf[65536];
	ssize_t n;

	if (lseek(self_fd, 0, SEEK_SET) < 0)
		die("lseek");
	while ((n = read(self_fd, buf, sizeof(buf))) > 0)
		if (write(to, buf, (size_t)n) != n)
			die("write");
	(void)fchmod(to, 0755);
}

/* Runs it by descriptor, path or arguments in a child; true where it ran. */
static bool run(int fd, const char *path, char *const argv[])
{
	static char *const plain[] = {dropped, answer, NULL};
	static char *const env[] = {NULL};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (path == NULL)
			SYS(execveat, fd, "", argv != NULL ? argv : plain, env, AT_EMPTY_PATH);
		else
			SYS(execve, path, argv != NULL ? argv : plain, env);
		_exit(3);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42;
}

static _Atomic unsigned int flips;

static void *flip(void *unused)
{
	for (unsigned int n = 0; !atomic_load(&attack_over); n++) {
		dup2(n % 2 ? evil_fd : harmless_fd, number);
		atomic_store(&flips, n);
		for (volatile unsigned int i = 0; i < (n * 7919) % 3000; i++)
			;
	}
	return unused;
}

static char *file_in(const char *dir, const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static char *drop(const char *dir)
{
	char *path = file_in(dir, "dropped");
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (fd < 0)
		die(path);
	copy_to(fd);
	close(fd);
	return path;
}

/* mov eax, 42; ret */
static bool map_and_call(const char *dir)
{
	static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
	const char *path = file_in(dir, "code");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0755);
	int (*fn)(void);
	void *p;

	if (fd < 0 || write(fd, code, sizeof(code)) != (ssize_t)sizeof(code))
		die(path);
	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED) {
		/* Not at once, but later? */
		p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0)
			return false;
	}
	memcpy(&fn, &p, sizeof(fn));
	return fn() == 42;
}

int main(int argc, char **argv)
{
	const char *route, *dir, *path;
	char text[64];
	int fd;

	if (argc > 1 && strcmp(argv[1], "answer") == 0)
		_exit(42);
	if (argc < 2)
		die("usage");
	route = argv[1];
	dir = argc > 2 ? argv[2] : ".";
	self_fd = open("/proc/self/exe", O_RDONLY);
	if (self_fd < 0)
		die("/proc/self/exe");
	if (strcmp(route, "file") == 0)
		attack_exit(run(-1, drop(dir), NULL));
	if (strcmp(route, "fd") == 0 || strcmp(route, "proc") == 0) {
		fd = open(drop(dir), O_RDONLY);
		snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
		attack_exit(run(fd, strcmp(route, "proc") == 0 ? text : NULL, NULL));
	}
	if (strcmp(route, "script") == 0) {
		path = file_in(dir, "script");
		unlink(path);
		file(path, "#!/bin/sh\nexit 42\n");
		if (chmod(path, 0755) < 0)
			die("chmod");
		attack_exit(run(-1, path, NULL));
	}
	if (strcmp(route, "ldso") == 0) {
		char *const loader[] = {loader_name, drop(dir), answer, NULL};

		attack_exit(run(-1, "/lib64/ld-linux-x86-64.so.2", loader));
	}
	if (strcmp(route, "map") == 0)
		attack_exit(map_and_call(dir));
	if (strcmp(route, "tmpfile") == 0) {
		/* Open for writing it would be busy. */
		fd = open(dir, O_TMPFILE | O_RDWR, 0755);
		if (fd < 0)
			attack_exit(false);
		copy_to(fd);
		snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
		int again = open(text, O_RDONLY);
		close(fd);
		attack_exit(run(again, NULL, NULL));
	}
	evil_fd = (int)SYS(memfd_create, "evil", MFD_EXEC | MFD_CLOEXEC);
	if (evil_fd < 0)
		evil_fd = (int)SYS(memfd_create, "evil", MFD_CLOEXEC);
	if (evil_fd < 0)
		attack_exit(false);
	copy_to(evil_fd);
	if (strcmp(route, "memfd") == 0)
		attack_exit(run(evil_fd, NULL, NULL));
	if (strcmp(route, "memfd-race") == 0) {
		double end = attack_end();
		static char *const harmless_args[] = {dropped, answer, NULL};

		harmless_fd = open("/bin/true", O_RDONLY);
		if (harmless_fd < 0)
			die("/bin/true");
		dup2(harmless_fd, number);
		while (attack_clock() < end) {
			int status;
			pid_t pid = fork();

			if (pid == 0) {
				/* Threads of a process share its table; the exec ends the flipping one. */
				attack_thread(flip, NULL);
				while (atomic_load(&flips) == 0)
					sched_yield();
				for (volatile unsigned int i = 0; i < (unsigned int)getpid() * 7919U % 20000; i++)
					;
				SYS(execveat, number, "", harmless_args, harmless_args + 2, AT_EMPTY_PATH);
				_exit(3);
			}
			if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42)
				attack_exit(true);
		}
		attack_exit(false);
	}
	return BROKEN;
}
