/* Odd corners of the interface: upper halves of int arguments, filters and dispatch of one's own, the vsyscall page, SIGSYS. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

#define HIGH 0x7700000000UL
#define I(n) (HIGH | (uint32_t)(n))

static void upper_halves(void)
{
	char buf[64], link_to[] = "target";
	struct stat st;
	int dir, fd;

	file("f", "content");
	dir = open(".", O_RDONLY | O_DIRECTORY);
	fd = (int)SYS(openat, I(AT_FDCWD), "f", I(O_RDONLY), I(0));
	SHOW(SYS(read, I(fd), buf, 7));
	SHOW_OK(SYS(openat, I(dir), "f", I(O_RDWR), 0));
	SHOW(SYS(openat, I(-1), "f", O_RDONLY, 0));
	SHOW(SYS(newfstatat, I(dir), "f", &st, I(0)));
	SHOW(SYS(newfstatat, I(dir), "", &st, I(AT_EMPTY_PATH)));
	SHOW(SYS(faccessat, I(dir), "f", I(R_OK)));
	SHOW(SYS(mkdirat, I(dir), "d", I(0755)));
	SHOW(SYS(unlinkat, I(dir), "d", I(AT_REMOVEDIR)));
	SHOW(SYS(symlinkat, link_to, I(dir), "l"));
	SHOW(SYS(readlinkat, I(dir), "l", buf, I(sizeof(buf))));
	SHOW(SYS(fchmodat, I(dir), "f", I(0600)));
	SHOW(SYS(fchmod, I(fd), I(0644)));
	SHOW(SYS(renameat2, I(dir), "f", I(dir), "g", I(0)));
	SHOW(SYS(linkat, I(dir), "g", I(dir), "h", I(0)));
	SHOW_OK(SYS(socket, I(AF_UNIX), I(SOCK_STREAM), I(0)));
	SHOW_OK(SYS(open, "g", I(O_RDONLY), 0));
	SHOW(SYS(kill, I(getpid()), I(0)));
	SHOW(SYS(tgkill, I(getpid()), I(gettid()), I(0)));
	SHOW(SYS(prlimit64, I(0), I(3), NULL, NULL));
	SHOW(SYS(close, I(fd)));
}

static volatile sig_atomic_t trapped;

static void on_sys(int sig, siginfo_t *si, void *ctx)
{
	(void)sig;
	(void)ctx;
	trapped = si->si_syscall;
}

static void filter(uint32_t nr, uint32_t action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, code };

	SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	SHOW(SYS(seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog));
}

/* In a child: what a filter does lasts. */
static void in_child(void (*run)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		run();
		fflush(stdout);
		_exit(7);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	SAY("%s %d", WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void errno_filter(void)
{
	filter(SYS_mkdir, SECCOMP_RET_ERRNO | EXDEV);
	SHOW(SYS(mkdir, "e", 0755));
	SHOW_OK(SYS(open, "g", O_RDONLY, 0));
	filter(SYS_open, SECCOMP_RET_ERRNO | ENOTTY);
	SHOW(SYS(open, "g", O_RDONLY, 0));
}

static void trap_filter(void)
{
	struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &sa, NULL);
	filter(SYS_rmdir, SECCOMP_RET_TRAP);
	(void)SYS(rmdir, "nothing");
	SAY("%d", trapped == SYS_rmdir);
}

static void kill_filter(void)
{
	filter(SYS_rmdir, SECCOMP_RET_KILL_PROCESS);
	(void)SYS(rmdir, "nothing");
}

static void trace_filter(void)
{
	/* Of a call that gabion answers: docs/LIMITS.md. */
	filter(SYS_getppid, SECCOMP_RET_TRACE);
	SHOW(SYS(getppid));
}

static sigjmp_buf back;

static void on_fault(int sig)
{
	siglongjmp(back, sig);
}

static void vsyscall(void)
{
	int sig;

	signal(SIGSEGV, on_fault);
	signal(SIGSYS, on_fault);
	sig = sigsetjmp(back, 1);
	if (sig != 0) {
		SAY("signal %d", sig);
		return;
	}
	SAY("%d", ((time_t(*)(time_t *))0xffffffffff600400UL)(NULL) > 1000000);
}

int main(int argc, char **argv)
{
	guest_begin(argc, argv);
	upper_halves();
	in_child(errno_filter);
	in_child(trap_filter);
	in_child(kill_filter);
	in_child(trace_filter);
	in_child(vsyscall);
	return 0;
}
