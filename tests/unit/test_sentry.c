/*
 * A live sentry: a child of the test is the sentry, its child the guest, with the real filter, listener and
 * kernel between them. Each guest is a function that returns 0 where everything was as natively.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "filter.h"
#include "record.h"
#include "sentry.h"

#define CHECK(cond)                                                                                          \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			(void)dprintf(2, "guest, line %d: %s (errno %d)\n", __LINE__, #cond, errno);         \
			return 1;                                                                            \
		}                                                                                            \
	} while (0)

enum { WAIT_KILLABLE = 1 << 5, SENTRY_FILES = 40 };

static char dir[64];
static struct record_ring *ring;
static int control;

static void send_fd(int sock, int fd)
{
	char byte = 0;
	struct iovec v = { .iov_base = &byte, .iov_len = 1 };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} u = { 0 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u) };

	u.head.cmsg_level = SOL_SOCKET;
	u.head.cmsg_type = SCM_RIGHTS;
	u.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&u.head), &fd, sizeof(fd));
	(void)sendmsg(sock, &m, 0);
}

static int receive_fd(int sock)
{
	char byte;
	struct iovec v = { .iov_base = &byte, .iov_len = 1 };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} u;
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u) };
	int fd = -1;

	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) > 0 && m.msg_controllen > 0)
		memcpy(&fd, CMSG_DATA(&u.head), sizeof(fd));
	return fd;
}

static void guest_main(int (*fn)(void), const struct sock_fprog *prog, int sock)
{
	int listener;

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				SECCOMP_FILTER_FLAG_NEW_LISTENER | WAIT_KILLABLE, prog);
	if (listener < 0)
		listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
					SECCOMP_FILTER_FLAG_NEW_LISTENER, prog);
	if (listener < 0)
		_exit(99);
	send_fd(sock, listener);
	(void)close(listener);
	(void)close(sock);
	_exit(fn());
}

/* Starts FN under a sentry, whose pid is returned; control is its monitor's end. */
static pid_t start(int (*fn)(void), enum level level)
{
	struct policy_builder *b;
	struct policy *policy;
	struct plan plan = { .list = LIST_WIDE };
	struct sock_fprog prog;
	struct rlimit files = { .rlim_cur = SENTRY_FILES, .rlim_max = SENTRY_FILES };
	int pair[2], ctl[2], status;
	pid_t sentry, guest;

	for (int i = 0; i < PLAN_COUNT; i++)
		plan.level[i] = LEVEL_NATIVE;
	plan.level[PLAN_READ] = plan.level[PLAN_WRITE] = plan.level[PLAN_META] = plan.level[PLAN_CHANGE] =
		level;
	plan.level[PLAN_CHDIR] = plan.level[PLAN_EXEC] = LEVEL_OBSERVE;
	plan.level[PLAN_SIGNAL] = LEVEL_EMULATE;
	assert_int_equal(policy_builder_new(&b), 0);
	assert_int_equal(policy_builder_add(b, RULE_READ, "/", "test"), 0);
	assert_int_equal(policy_builder_add(b, RULE_WRITE, dir, "test"), 0);
	assert_int_equal(policy_builder_add(b, RULE_WRITE, "/dev", "test"), 0);
	assert_int_equal(policy_builder_add(b, RULE_HIDE, "/etc/passwd", "test"), 0);
	assert_int_equal(policy_compile(b, &policy), 0);
	assert_int_equal(filter_build(&plan, &prog), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl), 0);
	sentry = fork();
	if (sentry == 0) {
		struct sentry_config cfg = {
			.tracer = -1, .listeners = -1, .names = -1, .rules = b, .policy = policy, .plan = &plan, .ring = ring
		};
		int r;

		(void)close(ctl[0]);
		(void)setrlimit(RLIMIT_NOFILE, &files);
		cfg.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		guest = fork();
		if (guest == 0)
			guest_main(fn, &prog, pair[0]);
		(void)close(pair[0]);
		cfg.listener = receive_fd(pair[1]);
		(void)close(pair[1]);
		cfg.control = ctl[1];
		cfg.init = guest;
		r = cfg.listener < 0 ? -EBADF : sentry_run(&cfg);
		if (r < 0)
			_exit(200);
		_exit(waitpid(guest, &status, 0) == guest && WIFEXITED(status) ? WEXITSTATUS(status) : 201);
	}
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(ctl[1]);
	control = ctl[0];
	filter_free(&prog);
	policy_free(policy);
	policy_builder_free(b);
	return sentry;
}

/* The guest's exit status, 1 where the sentry ended the run, 200 and more where something went wrong with it.
 */
static int finish(pid_t sentry)
{
	int status;

	assert_int_equal(waitpid(sentry, &status, 0), sentry);
	if (control >= 0)
		(void)close(control);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 202;
}

static int run(int (*fn)(void), enum level level)
{
	return finish(start(fn, level));
}

static int guest_files(void)
{
	struct stat st;
	char buf[64];
	int fd;

	CHECK(chdir(dir) == 0);
	(void)umask(027);
	fd = open("new", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640);
	CHECK((fcntl(fd, F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == O_RDWR);
	CHECK(write(fd, "abc", 3) == 3 && close(fd) == 0);
	fd = open("new", O_WRONLY | O_APPEND);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == 0 && (fcntl(fd, F_GETFL) & O_APPEND));
	CHECK(write(fd, "d", 1) == 1 && close(fd) == 0);
	fd = open("new", O_RDONLY);
	CHECK(read(fd, buf, sizeof(buf)) == 4 && close(fd) == 0);
	CHECK(open("new", O_CREAT | O_EXCL | O_RDWR, 0600) == -1 && errno == EEXIST);
	CHECK(unlink("new") == 0);
	CHECK(open("/etc/passwd", O_RDONLY) == -1 && errno == ENOENT);
	CHECK(open("/etc/new", O_CREAT | O_WRONLY, 0600) == -1 && (errno == EROFS || errno == EACCES));
	CHECK(open((char *)1, O_RDONLY) == -1 && errno == EFAULT);
	fd = open(dir, O_TMPFILE | O_RDWR, 0600);
	CHECK(fd >= 0 || errno == EOPNOTSUPP);
	return 0;
}

static int guest_fd_limit(void)
{
	struct rlimit few = { .rlim_cur = 8, .rlim_max = 8 };
	int n = 0;

	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while (open("/dev/null", O_RDONLY) >= 0)
		n++;
	CHECK(errno == EMFILE && n <= 8);
	return 0;
}

static int guest_self(void)
{
	char text[64], want[64];
	ssize_t n;
	int fd = open("/proc/self/stat", O_RDONLY);

	CHECK(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	CHECK(n > 0);
	text[n] = '\0';
	CHECK(atoi(text) == getpid());
	n = readlink("/proc/self", text, sizeof(text) - 1);
	CHECK(n > 0);
	text[n] = '\0';
	CHECK(atoi(text) == getpid());
	/* The sentry is this process's parent, and is not there. */
	(void)snprintf(want, sizeof(want), "/proc/%d/environ", getppid());
	CHECK(open(want, O_RDONLY) == -1 && errno == ENOENT);
	(void)snprintf(want, sizeof(want), "/proc/%d/fd/0", getppid());
	CHECK(open(want, O_RDONLY) == -1 && errno == ENOENT);
	(void)snprintf(want, sizeof(want), "/proc/self/task/../../%d/root/etc", getppid());
	CHECK(open(want, O_RDONLY) == -1 && errno == ENOENT);
	return 0;
}

static void on_alarm(int sig)
{
	(void)sig;
}

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int guest_interrupted(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval soon = { .it_value = { .tv_usec = 50000 } };
	double start = now_ms();

	CHECK(chdir(dir) == 0 && mkfifo("fifo", 0600) == 0);
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(open("fifo", O_RDONLY) == -1 && errno == EINTR);
	CHECK(now_ms() - start < 5000);
	CHECK(unlink("fifo") == 0);
	return 0;
}

static int guest_restarted(void)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval soon = { .it_value = { .tv_usec = 50000 } };
	pid_t pid;
	int fd, status;

	CHECK(chdir(dir) == 0 && mkfifo("fifo2", 0600) == 0);
	pid = fork();
	if (pid == 0) {
		usleep(200000);
		_exit(open("fifo2", O_WRONLY) < 0);
	}
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
	fd = open("fifo2", O_RDONLY);
	CHECK(fd >= 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	/* One that is killed while it waits leaves nothing behind. */
	pid = fork();
	if (pid == 0)
		_exit(open("fifo2", O_WRONLY | O_CREAT, 0600) < 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(close(fd) == 0);
	pid = fork();
	if (pid == 0)
		_exit(open("fifo2", O_RDONLY) < 0);
	usleep(50000);
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK(unlink("fifo2") == 0);
	return 0;
}

static int guest_signals(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int status;
	pid_t pid;

	CHECK(kill(getppid(), 0) == -1 && errno == EPERM);
	CHECK(kill(1, 0) == -1 && errno == EPERM);
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0 && raise(SIGUSR1) == 0);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	CHECK(kill(pid, SIGTERM) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	CHECK(kill(pid, 0) == -1 && errno == ESRCH);
	return 0;
}

static int guest_observed(void)
{
	int fd = open("/etc/hostname", O_RDONLY);

	CHECK(fd >= 0 && close(fd) == 0);
	CHECK(open("/etc/passwd", O_RDONLY) == -1 && errno == ENOENT);
	CHECK(open("/etc/missing", O_RDONLY) == -1 && errno == ENOENT);
	return 0;
}

static void test_files(void **state)
{
	(void)state;
	assert_int_equal(run(guest_files, LEVEL_EMULATE), 0);
}

static void test_fd_limit(void **state)
{
	(void)state;
	assert_int_equal(run(guest_fd_limit, LEVEL_EMULATE), 0);
}

static void test_self(void **state)
{
	(void)state;
	assert_int_equal(run(guest_self, LEVEL_EMULATE), 0);
}

static void test_interrupted(void **state)
{
	(void)state;
	assert_int_equal(run(guest_interrupted, LEVEL_EMULATE), 0);
}

static void test_restarted(void **state)
{
	(void)state;
	assert_int_equal(run(guest_restarted, LEVEL_EMULATE), 0);
}

static void test_signals(void **state)
{
	(void)state;
	assert_int_equal(run(guest_signals, LEVEL_EMULATE), 0);
}

static void test_observed(void **state)
{
	(void)state;
	assert_int_equal(run(guest_observed, LEVEL_OBSERVE), 0);
}

/* What was refused and what was changed stands in the record; what was only read does not. */
static void test_record(void **state)
{
	static struct record rec;
	bool broken = false, hidden = false, made = false, read_only = false;
	char want[80];

	(void)state;
	while (record_take(ring, &rec, &broken))
		;
	assert_int_equal(run(guest_files, LEVEL_EMULATE), 0);
	(void)snprintf(want, sizeof(want), "%s/new", dir);
	while (record_take(ring, &rec, &broken)) {
		rec.object[rec.object_len] = '\0';
		if (strcmp(rec.object, "/etc/passwd") == 0)
			hidden = (rec.flags & RECORD_REFUSED) && rec.result == -ENOENT && rec.op == OP_READ;
		if (strcmp(rec.object, want) == 0 && rec.op == OP_WRITE && rec.flags == 0)
			made = true;
		if (rec.op == OP_READ && !(rec.flags & RECORD_REFUSED))
			read_only = true;
	}
	assert_false(broken);
	assert_true(hidden);
	assert_true(made);
	assert_false(read_only);
}

static char other[64]; /* a directory no rule allows to write to */
static char made[80];

static int guest_waits_for_rule(void)
{
	CHECK(mkdir(made, 0700) == -1 && (errno == EROFS || errno == EACCES));
	for (int i = 0; i < 500; i++) {
		if (mkdir(made, 0700) == 0)
			return 0;
		usleep(10000);
	}
	return 1;
}

static void test_widen(void **state)
{
	struct sentry_msg msg = { .kind = SENTRY_MSG_ADD_RULE, .rule_kind = RULE_WRITE, .origin = "allow" };
	pid_t sentry;

	(void)state;
	(void)strcpy(other, "/tmp/gabion-other-XXXXXX");
	assert_non_null(mkdtemp(other));
	(void)snprintf(made, sizeof(made), "%s/made", other);
	(void)strcpy(msg.pattern, other);
	sentry = start(guest_waits_for_rule, LEVEL_EMULATE);
	usleep(50000);
	assert_int_equal(send(control, &msg, sizeof(msg), MSG_NOSIGNAL), sizeof(msg));
	memset(&msg, 0, sizeof(msg));
	assert_int_equal(recv(control, &msg, sizeof(msg), 0), sizeof(msg));
	assert_int_equal(msg.kind, SENTRY_MSG_DONE);
	assert_int_equal(msg.value, 0);
	assert_int_equal(finish(sentry), 0);
	assert_int_equal(rmdir(made), 0);
	assert_int_equal(rmdir(other), 0);
}

/* Until its sentry is gone; then every notified call is answered ENOSYS by the kernel. */
static int guest_until_enosys(void)
{
	struct stat st;

	for (int i = 0; i < 500; i++) {
		if (stat("/", &st) == -1 && errno == ENOSYS)
			return 0;
		usleep(10000);
	}
	return 1;
}

static void test_nonsense_ends_it(void **state)
{
	static const char nonsense[] = "hello";
	struct sentry_msg msg = { .kind = 77 };
	pid_t sentry = start(guest_until_enosys, LEVEL_EMULATE);

	(void)state;
	assert_int_equal(send(control, nonsense, sizeof(nonsense), MSG_NOSIGNAL), sizeof(nonsense));
	assert_int_equal(finish(sentry), 1);
	sentry = start(guest_until_enosys, LEVEL_EMULATE);
	assert_int_equal(send(control, &msg, sizeof(msg), MSG_NOSIGNAL), sizeof(msg));
	assert_int_equal(finish(sentry), 1);
	sentry = start(guest_until_enosys, LEVEL_EMULATE);
	(void)close(control);
	control = -1;
	assert_int_equal(finish(sentry), 1);
}

/* The sentry may hold SENTRY_FILES descriptors: what leaks is seen soon. */
static int guest_many_calls(void)
{
	struct stat st;
	char buf[64];

	CHECK(chdir(dir) == 0);
	for (int i = 0; i < 3000; i++) {
		int fd = open("many", O_CREAT | O_RDWR, 0600);

		CHECK(fd >= 0 && close(fd) == 0);
		CHECK(stat("/proc/self/exe", &st) == 0 && readlink("/proc/self/cwd", buf, sizeof(buf)) > 0);
		CHECK(open("/proc/self/fd/99", O_RDONLY) == -1 && errno == ENOENT);
		CHECK(rename("many", "many2") == 0 && unlink("many2") == 0);
		CHECK(open("/etc/passwd", O_RDONLY) == -1 && open("many/x", O_RDWR) == -1);
		CHECK((fd = open("/dev/fd/0", O_PATH | O_NOFOLLOW)) == -1);
	}
	return 0;
}

static void test_many_calls(void **state)
{
	(void)state;
	assert_int_equal(run(guest_many_calls, LEVEL_EMULATE), 0);
}

static int setup(void **state)
{
	(void)state;
	(void)strcpy(dir, "/tmp/gabion-sentry-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return record_ring_new(1 << 16, 1 << 16, &ring);
}

static int teardown(void **state)
{
	(void)state;
	record_ring_free(ring);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),	   cmocka_unit_test(test_fd_limit),
		cmocka_unit_test(test_self),	   cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_restarted),  cmocka_unit_test(test_signals),
		cmocka_unit_test(test_observed),   cmocka_unit_test(test_record),
		cmocka_unit_test(test_widen),	   cmocka_unit_test(test_nonsense_ends_it),
		cmocka_unit_test(test_many_calls),
	};

	return cmocka_run_group_tests_name("sentry", tests, setup, teardown);
}
