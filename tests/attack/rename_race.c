/*
 * Threads race renames against each other: one swaps a directory and a file under a name, one moves that name
 * to .git, one renames the directory .git would lie in. Where the object judged and the object moved, or the
 * path judged and the path moved to, were not the same, a prepared hook arrives as .git/hooks/pre.
 *
 * Run in an empty directory, under a rule that protects .git/hooks at every depth.
 */
#include <linux/fs.h>

#include "attack.h"

static volatile int stop;

static void *swap(void *unused)
{
	while (!stop)
		SYS(renameat2, AT_FDCWD, "evil", AT_FDCWD, "plain", RENAME_EXCHANGE);
	return unused;
}

static void *move(void *unused)
{
	while (!stop) {
		SYS(renameat2, AT_FDCWD, "evil", AT_FDCWD, "g/.git", RENAME_NOREPLACE);
		SYS(renameat2, AT_FDCWD, "g/.git", AT_FDCWD, "evil", RENAME_NOREPLACE);
	}
	return unused;
}

static void *shake(void *unused)
{
	while (!stop) {
		SYS(rename, "g", "g2");
		SYS(rename, "g2", "g");
	}
	return unused;
}

int main(void)
{
	void *(*const runs[])(void *) = {swap, move, shake};
	const struct timespec pause = {0, 200000};
	pthread_t threads[3];
	double end = attack_end();
	int arrived = 0;

	if (mkdir("evil", 0755) < 0 || mkdir("evil/hooks", 0755) < 0 || mkdir("g", 0755) < 0)
		die("mkdir");
	file("evil/hooks/pre", "hook");
	file("plain", "");
	for (int i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, runs[i], NULL) != 0)
			die("pthread_create");
	while (attack_clock() < end && arrived < 10) {
		arrived += access("g/.git/hooks/pre", F_OK) == 0 || access("g2/.git/hooks/pre", F_OK) == 0;
		nanosleep(&pause, NULL);
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	SAY("%s", arrived > 0 ? "the hook arrived" : "no hook");
	return arrived == 0;
}
