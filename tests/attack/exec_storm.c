/*
 * exec_storm PROCESSES ROUNDS: that many processes at a time execute this program with the argument "end" again and again; some from a
 * second thread, some while a third one executes as well, some with signals on their way. 0: every one ended as it should.
 */
#include "attack.h"

static const char *self;
static char name[] = "exec_storm", word[] = "end";
static char *const args[] = {name, word, NULL}, *const env[] = {NULL};

static void *execute(void *unused)
{
	SYS(execve, self, args, env);
	return unused;
}

static void *fail(void *unused)
{
	SYS(execve, "/nonexistent", args, env);
	return unused;
}

/* While another thread executes none can be made: that one's program ends us. */
static void try_thread(void *(*run)(void *))
{
	pthread_t t;

	if (pthread_create(&t, NULL, run, NULL) == 0)
		pthread_detach(t);
}

static void one(unsigned int n)
{
	switch (n % 5) {
	case 0:
		execute(NULL);
		break;
	case 1: /* not the leader */
		attack_thread(execute, NULL);
		break;
	case 2: /* two at once: one wins */
		attack_thread(execute, NULL);
		try_thread(execute);
		break;
	case 3: /* failing ones beside it */
		attack_thread(fail, NULL);
		attack_thread(fail, NULL);
		execute(NULL);
		break;
	default:
		kill(getpid(), SIGWINCH);
		raise(SIGCHLD);
		execute(NULL);
	}
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	unsigned int live = 0, most, n = 0, rounds;
	int status;

	if (argc > 1 && strcmp(argv[1], "end") == 0)
		_exit(0);
	if (argc != 3)
		die("usage");
	self = argv[0];
	most = (unsigned int)atoi(argv[1]);
	rounds = (unsigned int)atoi(argv[2]);
	while (n < rounds || live > 0) {
		if (n < rounds && live < most) {
			pid_t pid = fork();

			if (pid == 0)
				one(n);
			if (pid < 0)
				die("fork");
			n++;
			live++;
			continue;
		}
		if (wait(&status) < 0)
			die("wait");
		live--;
		if (status != 0) {
			SAY("status %#x", (unsigned int)status);
			return 1;
		}
	}
	return 0;
}
