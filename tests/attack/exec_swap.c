/*
 * exec_swap HOW GOOD BAD: executes GOOD again and again while the meaning of what is executed is swapped for BAD; GOOD ends with 0, BAD
 * with 42. Got it: BAD ran.
 *
 *   path     the path's text, by a thread of the caller (A4)
 *   shared   the same, by another process over shared memory (A2)
 *   vfork    the same, under a child of vfork (A16)
 *   thread   the same; the exec is made by a thread that does not lead its group (A15)
 *   link     a symbolic link on the way
 *   fd       the number of a descriptor, executed with AT_EMPTY_PATH
 *   script   a script whose interpreter is a link that is swapped
 */
#include "attack.h"

static const char *good, *bad;
static char *text; /* the path, shared */
static int number = 100, good_fd, bad_fd;
static char name[] = "x";
static char *const args[] = {name, NULL}, *const env[] = {NULL};

static _Atomic unsigned int flips;

static void pause_for(unsigned int n)
{
	for (volatile unsigned int i = 0; i < (n * 7919) % 20000; i++)
		;
}

static void *flip_text(void *unused)
{
	for (unsigned int n = 0; !atomic_load(&attack_over); n++) {
		strcpy(text, n % 2 ? bad : good);
		atomic_store(&flips, n);
		pause_for(n);
	}
	return unused;
}

static void *flip_fd(void *unused)
{
	for (unsigned int n = 0; !atomic_load(&attack_over); n++) {
		dup2(n % 2 ? bad_fd : good_fd, number);
		atomic_store(&flips, n);
		pause_for(n);
	}
	return unused;
}

static void *flip_link(void *unused)
{
	for (unsigned int n = 0; !atomic_load(&attack_over); n++) {
		(void)unlink("swap.new");
		if (symlink(n % 2 ? bad : good, "swap.new") < 0 || rename("swap.new", "swap") < 0)
			_exit(BROKEN);
		pause_for(n);
	}
	return unused;
}

/* Until a thread of ours flips: on a busy machine it may start later than we are done. */
static void await_flips(void)
{
	while (atomic_load(&flips) == 0)
		sched_yield();
	pause_for((unsigned int)getpid());
}

static void *exec_in_thread(void *unused)
{
	await_flips();
	SYS(execve, text, args, env);
	_exit(3);
	return unused;
}

static void run_one(const char *how)
{
	if (strcmp(how, "fd") == 0) {
		attack_thread(flip_fd, NULL);
		await_flips();
		SYS(execveat, number, "", args, env, AT_EMPTY_PATH);
	} else if (strcmp(how, "link") == 0) {
		SYS(execve, "swap", args, env);
	} else if (strcmp(how, "script") == 0) {
		SYS(execve, "script", args, env);
	} else if (strcmp(how, "thread") == 0) {
		attack_thread(flip_text, NULL);
		attack_thread(exec_in_thread, NULL);
		for (;;)
			pause();
	} else {
		if (strcmp(how, "path") == 0) {
			attack_thread(flip_text, NULL);
			await_flips();
		}
		SYS(execve, text, args, env);
	}
	_exit(3);
}

int main(int argc, char **argv)
{
	/* Static: a child of vfork runs on our stack. */
	static pid_t flipper = -1;
	static unsigned int ran;
	double end;
	int status;

	if (argc != 4)
		die("usage");
	good = argv[2];
	bad = argv[3];
	text = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (text == MAP_FAILED)
		die("mmap");
	strcpy(text, good);
	if (strcmp(argv[1], "fd") == 0) {
		good_fd = open(good, O_RDONLY);
		bad_fd = open(bad, O_RDONLY);
		if (good_fd < 0 || bad_fd < 0 || dup2(good_fd, number) < 0)
			die("open");
	}
	if (strcmp(argv[1], "script") == 0) {
		(void)unlink("script");
		file("script", "#! swap\n");
		if (chmod("script", 0755) < 0)
			die("chmod");
	}
	if (strcmp(argv[1], "link") == 0 || strcmp(argv[1], "script") == 0 || strcmp(argv[1], "shared") == 0 ||
	    strcmp(argv[1], "vfork") == 0) {
		bool links = argv[1][0] == 'l' || strcmp(argv[1], "script") == 0;

		(void)unlink("swap");
		if (links && symlink(good, "swap") < 0)
			die("symlink");
		flipper = fork();
		if (flipper == 0)
			links ? flip_link(NULL) : flip_text(NULL);
	}
	end = attack_end();
	while (attack_clock() < end) {
		pid_t pid = strcmp(argv[1], "vfork") == 0 ? vfork() : fork();

		if (pid == 0)
			run_one(argv[1]);
		if (waitpid(pid, &status, 0) != pid)
			die("waitpid");
		if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
			break;
		ran += WIFEXITED(status) && WEXITSTATUS(status) == 0;
		status = 0;
	}
	if (flipper > 0)
		kill(flipper, SIGKILL);
	SAY("good ran %s", ran > 0 ? "too" : "never");
	attack_exit(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}
