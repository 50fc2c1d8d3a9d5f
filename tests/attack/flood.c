/*
 * flood THREADS: that many threads make calls that are supervised as fast as they can, until killed; says "going" first (ATTACKS G2).
 * flood one N: makes N such calls, says how many, ends with 0.
 */
#include "attack.h"

static void *run(void *unused)
{
	struct stat st;

	for (;;) {
		(void)stat("flood.none", &st);
		close(open("flood.file", O_RDWR | O_CREAT, 0644));
	}
	return unused;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "one") == 0) {
		long n = 0;

		for (; n < atol(argv[2]); n++)
			close(open("flood.other", O_RDWR | O_CREAT, 0644));
		SAY("%ld calls", n);
		return 0;
	}
	if (argc != 2)
		die("flood THREADS");
	for (int i = 0; i < atoi(argv[1]); i++)
		attack_thread(run, NULL);
	usleep(200000);
	printf("going\n");
	fflush(stdout);
	for (;;)
		pause();
}
