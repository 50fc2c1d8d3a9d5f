/*
 * tree_load FILE: a process tree that is hard to end. Lineages of daemons (fork, setsid, fork), each of which lives for some milliseconds
 * and then leaves a child in its place, ignore every signal they can; one process asks for the attributes of a file without a pause.
 * All count in FILE, a shared mapping: while the number grows, something of the tree is running. Its first process waits for ever.
 *
 * Natively it goes on until each is killed, which is what it is for; or for a minute, so that a test that failed leaves nothing running.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINEAGES = 12, LIFE_MS = 20, SECONDS = 60 };

static _Atomic unsigned long *beat;

static void nap(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static time_t end;

static _Noreturn void lineage(const char *file)
{
	struct stat st;

	while (now() < end) {
		for (int ms = 0; ms < LIFE_MS; ms++) {
			atomic_fetch_add(beat, 1);
			(void)stat(file, &st);
			nap(1);
		}
		pid_t pid = fork();
		if (pid > 0)
			_exit(0);
		if (pid == 0)
			(void)setsid();
	}
	_exit(0);
}

static _Noreturn void busy(const char *file)
{
	struct stat st;

	while (now() < end) {
		(void)stat(file, &st);
		atomic_fetch_add(beat, 1);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_CREAT, 0644) : -1;

	if (fd < 0 || ftruncate(fd, 4096) < 0) {
		fprintf(stderr, "usage: tree_load FILE\n");
		return 2;
	}
	end = now() + SECONDS;
	beat = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (beat == MAP_FAILED)
		return 2;
	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGCHLD)
			(void)signal(sig, SIG_IGN);
	for (int i = 0; i < LINEAGES; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			(void)setsid();
			if (fork() == 0)
				lineage(argv[1]);
			_exit(0);
		}
		if (pid > 0)
			(void)waitpid(pid, NULL, 0);
	}
	if (fork() == 0)
		busy(argv[1]);
	for (;;)
		pause();
}
