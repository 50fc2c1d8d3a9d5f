/*
 * place_swap WHAT HOW GOOD BAD: the path stays, what it hangs off changes all the time between the
 * directories GOOD and BAD, each with a file f, BAD's beginning with "SECRET". HOW: read or write is what
 * BAD/f is opened for.
 *
 *   link   a symlink on the way, replaced by rename
 *   cwd    the working directory, shared with a thread (CLONE_FS)
 *   dirfd  what a directory descriptor's number means (dup2)
 *   fd     what a number means to a call that may have a path beside it (AT_EMPTY_PATH): chmod of BAD/f
 */
#include "attack.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static const char *what, *good, *bad;
static int good_fd, bad_fd, number = 100, flags;

static void *flip(void *unused)
{
	for (unsigned int n = 0; !atomic_load(&attack_over); n++) {
		bool to_bad = n & 1;

		if (strcmp(what, "link") == 0) {
			unlink("swap.new");
			if (symlink(to_bad ? bad : good, "swap.new") < 0 || rename("swap.new", "swap") < 0)
				continue;
		} else if (strcmp(what, "cwd") == 0) {
			(void)!fchdir(to_bad ? bad_fd : good_fd);
		} else {
			dup2(to_bad ? bad_fd : good_fd, number);
		}
		for (volatile unsigned int i = 0; i < (n * 7919) % 300; i++)
			;
	}
	return unused;
}

static bool attempt(const char *bad_file)
{
	struct stat st;

	if (strcmp(what, "link") == 0)
		return attack_is_secret(open("swap/f", flags));
	if (strcmp(what, "cwd") == 0)
		return attack_is_secret(open("f", flags));
	if (strcmp(what, "dirfd") == 0)
		return attack_is_secret(openat(number, "f", flags));
	SYS(fchmodat2, number, "", 0600, AT_EMPTY_PATH);
	return stat(bad_file, &st) == 0 && (st.st_mode & 0777) == 0600;
}

int main(int argc, char **argv)
{
	double end = attack_end();
	char bad_file[4096];
	bool by_fd;

	if (argc != 5)
		die("usage");
	what = argv[1];
	flags = strcmp(argv[2], "read") == 0 ? O_RDONLY : O_RDWR;
	good = argv[3];
	bad = argv[4];
	by_fd = strcmp(what, "fd") == 0;
	snprintf(bad_file, sizeof(bad_file), "%s/f", bad);
	/* Absolute: the working directory moves. */
	if (strcmp(what, "link") != 0) {
		char path[4096];

		snprintf(path, sizeof(path), "%s%s", good, by_fd ? "/f" : "");
		good_fd = open(path, O_RDONLY);
		snprintf(path, sizeof(path), "%s%s", bad, by_fd ? "/f" : "");
		bad_fd = open(path, O_RDONLY);
		/* Hidden: nothing to swap with. */
		if (bad_fd < 0)
			attack_exit(false);
	} else if (symlink(good, "swap") < 0 && errno != EEXIST) {
		die("symlink");
	}
	attack_thread(flip, NULL);
	for (unsigned int i = 0; (i & 15) != 0 || attack_clock() < end; i++)
		if (attempt(bad_file))
			attack_exit(true);
	attack_exit(false);
}
