/*
 * corner NAME [FILE]: ways to FILE (which begins with "SECRET"), or to change it, that go round a supervisor rather than
 * through it. Exit status: 0 it worked, 1 it did not (attack.h).
 *
 *   filter        a seccomp filter of one's own that allows everything
 *   dispatch      syscall user dispatch, which a supervisor working by SIGSYS would lose its calls to
 *   sigreturn     a forged signal frame that lands on a system call instruction with chosen registers
 *   handler       SIGSYS blocked and handled, SIGTRAP sent to oneself, then the call
 *   restart       a signal with SA_RESTART in the middle of a call that is answered elsewhere
 *   thread        a thread that shares nothing but memory makes the call
 *   write-fd, sendfile, splice, copy, aio, pwritev   FILE changed through a descriptor that may only be read
 *   orphans       leaves 10,000 daemons, all of which end, behind: are zombies of them left?
 *   mem           the program's own memory through /proc/self/mem, W^X or not (no rule speaks of it)
 */
#include <dirent.h>
#include <linux/aio_abi.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "attack.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static const char *path;

static bool read_it(void)
{
	return attack_is_secret(open(path, O_RDONLY));
}

static bool own_filter(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) != 0)
		die("seccomp");
	return read_it();
}

static volatile char selector;
static volatile sig_atomic_t dispatched;

static void on_sys(int sig, siginfo_t *si, void *ctx)
{
	(void)sig;
	(void)si;
	(void)ctx;
	selector = 0; /* SYSCALL_DISPATCH_FILTER_ALLOW */
	dispatched = 1;
}

static bool dispatch(void)
{
	struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
	bool got;

	sigaction(SIGSYS, &sa, NULL);
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector) < 0) {
		/* A kernel without it: the plain way is all there is. */
		return errno == EINVAL && read_it();
	}
	selector = 1;
	(void)syscall(SYS_getppid);
	got = read_it();
	if (!dispatched)
		die("dispatch");
	return got;
}

/* The instruction itself, with its result in rax. */
__asm__(".pushsection .text\n"
	".globl bare_syscall\n"
	"bare_syscall: syscall\n"
	"ret\n"
	".popsection\n");
extern char bare_syscall[];

static int forged = -1;
static volatile sig_atomic_t landed;

static void forge(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	greg_t *r = uc->uc_mcontext.gregs;

	(void)sig;
	(void)si;
	if (landed++ > 0)
		return;
	/* As if the interrupted code had called: return to where it was. */
	r[REG_RSP] -= 128 + 8;
	*(greg_t *)r[REG_RSP] = r[REG_RIP];
	r[REG_RAX] = SYS_open;
	r[REG_RDI] = (greg_t)(uintptr_t)path;
	r[REG_RSI] = O_RDONLY;
	r[REG_RDX] = 0;
	r[REG_RIP] = (greg_t)(uintptr_t)bare_syscall;
}

static bool from_frame(void)
{
	struct sigaction sa = { .sa_sigaction = forge, .sa_flags = SA_SIGINFO };
	long rax;

	sigaction(SIGTRAP, &sa, NULL);
	/* The red zone is stepped over by the frame; int3 comes back behind itself. */
	__asm__ volatile("int3\n\tadd $128, %%rsp" : "=a"(rax) : : "rcx", "r11", "rdi", "rsi", "rdx", "memory");
	forged = (int)rax;
	return attack_is_secret(forged);
}

static bool handled(void)
{
	struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
	sigset_t set;

	sigaction(SIGSYS, &sa, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGTRAP);
	return read_it();
}

static void nothing(int sig)
{
	(void)sig;
}

static bool restarted(void)
{
	struct sigaction sa = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct itimerspec often = { { 0, 20000 }, { 0, 20000 } };
	timer_t timer;
	double end = attack_end();

	sigaction(SIGALRM, &sa, NULL);
	if (timer_create(CLOCK_MONOTONIC, NULL, &timer) < 0)
		die("timer_create");
	timer_settime(timer, 0, &often, NULL);
	while (attack_clock() < end)
		if (read_it())
			return true;
	return false;
}

static bool thread_got;

static void *in_thread(void *arg)
{
	(void)arg;
	if (unshare(CLONE_FS | CLONE_FILES) == 0)
		thread_got = read_it();
	return NULL;
}

static bool apart(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, in_thread, NULL) != 0)
		die("pthread_create");
	pthread_join(t, NULL);
	return thread_got;
}

/* A descriptor of FILE: for writing where that is given out, else for reading. */
static int some_fd(void)
{
	int fd = open(path, O_RDWR);

	return fd >= 0 ? fd : open(path, O_RDONLY);
}

static int source(void)
{
	int fd = open("corner.source", O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, "CHANGED", 7) != 7 || lseek(fd, 0, SEEK_SET) != 0)
		die("corner.source");
	unlink("corner.source");
	return fd;
}

static bool is_changed(void)
{
	char buf[8] = "";
	int fd = open(path, O_RDONLY);

	return fd >= 0 && read(fd, buf, 7) == 7 && memcmp(buf, "CHANGED", 7) == 0;
}

static bool by_write(void)
{
	(void)!write(some_fd(), "CHANGED", 7);
	return is_changed();
}

static bool by_pwritev(void)
{
	struct iovec v = { (char[]){ "CHANGED" }, 7 };

	(void)pwritev2(some_fd(), &v, 1, 0, 0);
	return is_changed();
}

static bool by_sendfile(void)
{
	(void)sendfile(some_fd(), source(), NULL, 7);
	return is_changed();
}

static bool by_splice(void)
{
	int fds[2];

	if (pipe(fds) < 0 || write(fds[1], "CHANGED", 7) != 7)
		die("pipe");
	(void)splice(fds[0], NULL, some_fd(), NULL, 7, 0);
	return is_changed();
}

static bool by_copy(void)
{
	(void)copy_file_range(source(), NULL, some_fd(), NULL, 7, 0);
	return is_changed();
}

static bool by_aio(void)
{
	aio_context_t ctx = 0;
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = (uint32_t)some_fd(),
			   .aio_buf = (uintptr_t)"CHANGED", .aio_nbytes = 7 },
		    *list[] = { &cb };
	struct io_event ev;
	struct timespec second = { 1, 0 };

	if (syscall(SYS_io_setup, 1, &ctx) < 0)
		return by_write();
	if (syscall(SYS_io_submit, ctx, 1, list) == 1)
		(void)syscall(SYS_io_getevents, ctx, 1, 1, &ev, &second);
	return is_changed();
}

static const char fixed[] = "constant";

static bool own_memory(void)
{
	int fd = open("/proc/self/mem", O_RDWR);

	return fd >= 0 && pwrite(fd, "C", 1, (off_t)(uintptr_t)fixed) == 1 && *(volatile const char *)fixed == 'C';
}

/* Zombies whose parent is ours. */
static int zombies(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	int n = 0;

	if (proc == NULL)
		die("/proc");
	while ((e = readdir(proc)) != NULL) {
		char name[300], text[512] = "", *at;
		int fd, parent = 0;
		char s = 0;

		snprintf(name, sizeof(name), "/proc/%s/stat", e->d_name);
		fd = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? open(name, O_RDONLY) : -1;
		if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && (at = strrchr(text, ')')) != NULL &&
		    sscanf(at, ") %c %d", &s, &parent) == 2)
			n += s == 'Z' && parent == getppid();
		if (fd >= 0)
			close(fd);
	}
	closedir(proc);
	return n;
}

static bool orphans(void)
{
	for (int i = 0; i < 10000; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			usleep(10000);
			i--;
			continue;
		}
		if (pid == 0) {
			if (fork() == 0)
				setsid();
			_exit(0);
		}
		if (waitpid(pid, NULL, 0) != pid)
			die("waitpid");
	}
	for (int i = 0; i < 200 && zombies() > 0; i++)
		usleep(50000);
	return zombies() > 0;
}

static const struct {
	const char *name;
	bool (*run)(void);
} ways[] = {
	{ "filter", own_filter }, { "dispatch", dispatch },   { "sigreturn", from_frame }, { "handler", handled },
	{ "restart", restarted }, { "thread", apart },	      { "write-fd", by_write },	   { "sendfile", by_sendfile },
	{ "splice", by_splice },  { "copy", by_copy },	      { "aio", by_aio },	   { "pwritev", by_pwritev },
	{ "mem", own_memory },    { "orphans", orphans },
};

int main(int argc, char **argv)
{
	path = argc > 2 ? argv[2] : "";
	for (size_t i = 0; argc > 1 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[1], ways[i].name) == 0)
			attack_exit(ways[i].run());
	die("usage");
}
