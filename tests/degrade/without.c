/*
 * Runs a command on a poorer host: without [-l] NAME=ERRNO... -- COMMAND...
 *
 * Each NAME=ERRNO makes a system call fail with that number, by a seccomp filter, as an older kernel (38,
 * ENOSYS) or a container's profile (1, EPERM) would. unshare, clone and clone3 take the word userns for the
 * number: then only calls for a new user namespace fail (clone3 as a whole with ENOSYS, since its flags are
 * in memory). -l: a process outside already listens to the command's system calls (WSL), so another listener
 * is EBUSY.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *name;
	unsigned int nr;
} names[] = {
	{"seccomp", SYS_seccomp},
	{"unshare", SYS_unshare},
	{"clone", SYS_clone},
	{"clone3", SYS_clone3},
	{"mount", SYS_mount},
	{"fsopen", SYS_fsopen},
	{"open_tree", SYS_open_tree},
	{"mount_setattr", SYS_mount_setattr},
	{"openat2", SYS_openat2},
	{"landlock_create_ruleset", SYS_landlock_create_ruleset},
	{"io_uring_setup", SYS_io_uring_setup},
	{"pidfd_open", SYS_pidfd_open},
	{"pidfd_getfd", SYS_pidfd_getfd},
	{"process_vm_readv", SYS_process_vm_readv},
	{"process_vm_writev", SYS_process_vm_writev},
	{"close_range", SYS_close_range},
};

static struct sock_filter code[256];
static unsigned short used;

static void emit(struct sock_filter f)
{
	if (used == sizeof(code) / sizeof(code[0]))
		exit(2);
	code[used++] = f;
}

static void refuse(unsigned int nr, unsigned int err, unsigned int flags)
{
	emit((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
	emit((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, (unsigned char)(flags ? 3 : 1)));
	if (flags) {
		emit((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, args)));
		emit((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1));
	}
	emit((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err));
}

static int install(unsigned int flags)
{
	struct sock_fprog program = {.len = used, .filter = code};

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void usage(void)
{
	fprintf(stderr, "usage: without [-l] [NAME=ERRNO|userns]... -- COMMAND...\n");
	exit(2);
}

static void add(char *word)
{
	char *equals = strchr(word, '=');

	if (!equals)
		usage();
	*equals++ = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, word) != 0)
			continue;
		if (strcmp(equals, "userns") != 0)
			refuse(names[i].nr, (unsigned int)atoi(equals), 0);
		else if (names[i].nr == SYS_clone3)
			refuse(names[i].nr, ENOSYS, 0);
		else
			refuse(names[i].nr, EPERM, CLONE_NEWUSER);
		return;
	}
	fprintf(stderr, "without: no number for %s\n", word);
	exit(2);
}

/* The command in a child; the listener stays open here, so that it counts as listening. */
static int run_listened(char **argv)
{
	int fd, status;
	pid_t pid;

	used = 0;
	emit((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
	emit((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4095, 0, 1));
	emit((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
	emit((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	fd = install(SECCOMP_FILTER_FLAG_NEW_LISTENER);
	if (fd < 0) {
		perror("without: listener");
		return 2;
	}
	pid = fork();
	if (pid == 0) {
		close(fd);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	int i = 1, listened = 0;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "-l") == 0)
			listened = 1;
		else
			add(argv[i]);
	}
	if (i + 1 >= argc)
		usage();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return 2;
	if (used) {
		emit((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
		if (install(0) < 0) {
			perror("without");
			return 2;
		}
	}
	if (listened)
		return run_listened(argv + i + 1);
	execvp(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 127;
}
