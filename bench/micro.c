/*
 * micro DIR [NAME]...: what single operations cost the caller, in nanoseconds. It runs outside and inside, as the same program, and prints
 * a line an operation: "NAME value" with a tab. bench/run.sh runs the variants in turn and takes the medians.
 *
 * Each operation is repeated in batches that last about BATCH_NS, after one that only finds the number; the median batch counts. DIR is
 * writable; its file `denied` is one that gabion's caller protects, so that opening it for writing is refused inside, and that is
 * not there outside (so the kernel says no, too).
 *
 * Pipes are given as nanoseconds for 64 KiB, so that less is better everywhere.
 */
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { BATCHES = 5, BATCH_NS = 10000000, CHUNK = 65536 };

struct state {
	const char *dir;
	char file[PATH_MAX], other[PATH_MAX], denied[PATH_MAX];
	struct sockaddr_un addr;
	int listener;
	int pipe[2]; /* [1] to a process that reads and forgets */
	pid_t sink;
};

static char chunk[CHUNK];

static int get_ppid(struct state *s)
{
	(void)s;
	return syscall(SYS_getppid) < 0 ? -1 : 0;
}

static int do_stat(struct state *s)
{
	struct stat st;

	return stat(s->file, &st);
}

static int open_with(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : close(fd);
}

static int open_read(struct state *s)
{
	return open_with(s->file, O_RDONLY);
}

static int open_write(struct state *s)
{
	return open_with(s->file, O_WRONLY);
}

static int open_refused(struct state *s)
{
	int r = open_with(s->denied, O_WRONLY);

	return r < 0 && (errno == EACCES || errno == EPERM || errno == EROFS || errno == ENOENT) ? 0 : -1;
}

static int do_rename(struct state *s)
{
	char swap[PATH_MAX];

	if (rename(s->file, s->other) < 0)
		return -1;
	memcpy(swap, s->file, sizeof(swap));
	memcpy(s->file, s->other, sizeof(swap));
	memcpy(s->other, swap, sizeof(swap));
	return 0;
}

static int do_connect(struct state *s)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&s->addr, sizeof(s->addr)) < 0)
		return -1;
	int in = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	if (in < 0)
		return -1;
	close(in);
	return close(fd);
}

static int spawn_true(struct state *s)
{
	static char path[] = "/bin/true";
	char *argv[] = { path, NULL }, *env[] = { NULL };
	pid_t pid;
	int status;

	(void)s;
	if (posix_spawn(&pid, path, NULL, NULL, argv, env) != 0)
		return -1;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int pipe_chunk(struct state *s)
{
	return write(s->pipe[1], chunk, CHUNK) == CHUNK ? 0 : -1;
}

static void start_sink(struct state *s)
{
	if (pipe2(s->pipe, O_CLOEXEC) < 0 || (s->sink = fork()) < 0)
		give_up("pipe");
	if (s->sink == 0) {
		close(s->pipe[1]);
		while (read(s->pipe[0], chunk, CHUNK) > 0)
			;
		_exit(0);
	}
	close(s->pipe[0]);
}

static void start_listener(struct state *s)
{
	s->addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(s->addr.sun_path, sizeof(s->addr.sun_path), "%.80s/micro.sock", s->dir);
	(void)unlink(s->addr.sun_path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0 || bind(s->listener, (const struct sockaddr *)&s->addr, sizeof(s->addr)) < 0 || listen(s->listener, 8) < 0)
		give_up("listener");
}

static const struct operation {
	const char *name;
	int (*run)(struct state *s);
} operations[] = {
	{ "getppid", get_ppid },
	{ "stat", do_stat },
	{ "open-read", open_read },
	{ "open-write", open_write },
	{ "open-refused", open_refused },
	{ "rename", do_rename },
	{ "connect-unix", do_connect },
	{ "spawn-true", spawn_true },
	{ "pipe-64k", pipe_chunk },
};

static uint64_t batch(const struct operation *op, struct state *s, uint64_t times)
{
	uint64_t t = now_ns();

	for (uint64_t i = 0; i < times; i++)
		if (op->run(s) != 0)
			give_up(op->name);
	return now_ns() - t;
}

/* Per operation in a tenth of nanoseconds. */
static uint64_t measure(const struct operation *op, struct state *s)
{
	uint64_t sample[BATCHES], times = 1, t;

	while ((t = batch(op, s, times)) < BATCH_NS / 4)
		times *= 2;
	times = times * BATCH_NS / t + 1;
	for (size_t i = 0; i < BATCHES; i++)
		sample[i] = batch(op, s, times) * 10 / times;
	return median(sample, BATCHES);
}

static int wanted(const char *name, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return 1;
	return argc <= 2;
}

int main(int argc, char **argv)
{
	struct state s = { .listener = -1 };

	if (argc < 2) {
		fprintf(stderr, "usage: micro DIR [NAME]...\n");
		return 2;
	}
	s.dir = argv[1];
	snprintf(s.file, sizeof(s.file), "%s/micro.one", s.dir);
	snprintf(s.other, sizeof(s.other), "%s/micro.two", s.dir);
	snprintf(s.denied, sizeof(s.denied), "%s/denied", s.dir);
	(void)unlink(s.other);
	if (open_with(s.file, O_WRONLY | O_CREAT) < 0)
		give_up(s.file);
	start_sink(&s);
	start_listener(&s);
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		if (!wanted(operations[i].name, argc, argv))
			continue;
		uint64_t t = measure(&operations[i], &s);
		printf("%s\t%llu.%llu\n", operations[i].name, (unsigned long long)(t / 10), (unsigned long long)(t % 10));
		fflush(stdout);
	}
	close(s.pipe[1]);
	(void)waitpid(s.sink, NULL, 0);
	(void)unlink(s.addr.sun_path);
	(void)unlink(s.file);
	return 0;
}
