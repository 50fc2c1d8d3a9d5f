/*
 * ab [-n ROUNDS] [-p COMMAND] NAME COMMAND... [// NAME COMMAND...]...: times whole commands against each other.
 *
 * A round runs each command once, in turn, so that a machine that grows slow in between slows all of them; one round before the first
 * fills caches and is not counted. -p: a shell command before each run, not timed. Output: a line a command, "NAME median min max" in
 * nanoseconds, with tabs. A command that fails (any status but 0) is named on stderr and gets no line.
 *
 * The start is vfork and exec: what fork would add grows with the parent, and says nothing about the command.
 */
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { MOST = 8 };

struct subject {
	const char *name;
	char **argv; /* NULL-terminated */
	uint64_t *sample;
	int status;
};

/* Nanoseconds from start to end. Its output is dropped; errors are shown. */
static uint64_t run(struct subject *s)
{
	posix_spawn_file_actions_t fa;
	pid_t pid;
	int status, e;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	uint64_t t = now_ns();
	e = posix_spawnp(&pid, s->argv[0], &fa, NULL, s->argv, environ);
	if (e != 0) {
		errno = e;
		give_up(s->argv[0]);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			give_up("waitpid");
	t = now_ns() - t;
	posix_spawn_file_actions_destroy(&fa);
	if (status != 0)
		s->status = status;
	return t;
}

int main(int argc, char **argv)
{
	struct subject v[MOST] = { { 0 } };
	const char *prepare = NULL;
	int n = 0, rounds = 11, opt;

	while ((opt = getopt(argc, argv, "+n:p:")) != -1) {
		if (opt == 'n')
			rounds = atoi(optarg);
		else if (opt == 'p')
			prepare = optarg;
		else
			return 2;
	}
	for (int i = optind; i < argc && n < MOST; n++) {
		v[n] = (struct subject){ .name = argv[i], .argv = argv + i + 1, .sample = calloc((size_t)rounds + 1, 8) };
		if (v[n].sample == NULL)
			give_up("memory");
		for (i++; i < argc && strcmp(argv[i], "//") != 0; i++)
			;
		if (v[n].argv == argv + i)
			n = MOST;
		if (i < argc)
			argv[i++] = NULL;
	}
	if (n == 0 || n > MOST || rounds < 1) {
		fprintf(stderr, "usage: ab [-n ROUNDS] [-p COMMAND] NAME COMMAND... [// NAME COMMAND...]...\n");
		return 2;
	}
	for (int r = 0; r <= rounds; r++) {
		for (int i = 0; i < n; i++) {
			if (prepare != NULL && system(prepare) != 0)
				give_up(prepare);
			uint64_t t = run(&v[i]);
			if (r > 0)
				v[i].sample[r - 1] = t;
		}
	}
	for (int i = 0; i < n; i++) {
		if (v[i].status != 0) {
			fprintf(stderr, "bench: %s: %s failed (wait status %#x)\n", v[i].name, v[i].argv[0], (unsigned int)v[i].status);
			continue;
		}
		uint64_t m = median(v[i].sample, (size_t)rounds);
		printf("%s\t%llu\t%llu\t%llu\n", v[i].name, (unsigned long long)m, (unsigned long long)v[i].sample[0],
		       (unsigned long long)v[i].sample[rounds - 1]);
		free(v[i].sample);
	}
	return 0;
}
