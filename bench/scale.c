/*
 * scale THREADS MILLISECONDS FILES DIR: what an open for reading and a close cost while more of something is there. THREADS of one process
 * do it at the same time, each to FILES files of DIR (made by `scale make FILES DIR`, a hundred to a directory) in an order that is the
 * same in every run. One line: "calls nanoseconds", all threads' calls and the time they took; bench/scale.sh makes the rest of it.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

enum { PER_DIR = 100 };

static const char *dir;
static unsigned long files;
static atomic_bool go, over;
static atomic_ulong calls;

static void name_of(unsigned long n, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s/%lu/%lu", dir, n / PER_DIR, n % PER_DIR);
}

static void make(void)
{
	char path[PATH_MAX];

	for (unsigned long n = 0; n < files; n++) {
		if (n % PER_DIR == 0) {
			(void)snprintf(path, sizeof(path), "%s/%lu", dir, n / PER_DIR);
			if (mkdir(path, 0755) < 0)
				give_up("mkdir");
		}
		name_of(n, path, sizeof(path));
		int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

		if (fd < 0 || close(fd) < 0)
			give_up("a file");
	}
}

static void *opener(void *arg)
{
	uint64_t x = *(const unsigned int *)arg * 2654435761u + 1;
	unsigned long n = 0;
	char path[PATH_MAX];

	while (!atomic_load(&go))
		(void)usleep(100);
	while (!atomic_load(&over)) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		name_of((x >> 33) % files, path, sizeof(path));
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			give_up("open");
		close(fd);
		n++;
	}
	atomic_fetch_add(&calls, n);
	return NULL;
}

int main(int argc, char **argv)
{
	enum { MOST = 256 };
	static pthread_t t[MOST];
	static unsigned int seed[MOST];

	if (argc == 4 && strcmp(argv[1], "make") == 0) {
		files = strtoul(argv[2], NULL, 10);
		dir = argv[3];
		make();
		return 0;
	}
	unsigned long threads = argc == 5 ? strtoul(argv[1], NULL, 10) : 0;

	if (threads == 0 || threads > MOST)
		give_up("scale THREADS MILLISECONDS FILES DIR");
	files = strtoul(argv[3], NULL, 10);
	dir = argv[4];
	for (unsigned long i = 0; i < threads; i++) {
		seed[i] = (unsigned int)i + 1;
		if (pthread_create(&t[i], NULL, opener, &seed[i]) != 0)
			give_up("pthread_create");
	}
	uint64_t start = now_ns();

	atomic_store(&go, true);
	(void)usleep((useconds_t)strtoul(argv[2], NULL, 10) * 1000);
	atomic_store(&over, true);
	for (unsigned long i = 0; i < threads; i++)
		(void)pthread_join(t[i], NULL);
	printf("%lu %llu\n", atomic_load(&calls), (unsigned long long)(now_ns() - start));
	return 0;
}
