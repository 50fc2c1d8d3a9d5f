/*
 * The way of an event with a scripted backend: what is denied, what may be continued, what is read how often,
 * and that a dead notification has no effect. The guest's memory is this process's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "nr.h"
#include "sentry/handle.h"
#include "sentry/pool.h"

enum { ARCH_I386 = AUDIT_ARCH_I386 };

static struct {
	unsigned int str_reads, replies;
	bool dead;
	unsigned int dies_after; /* calls of alive() that still succeed */
	struct reply last;
	pthread_mutex_t lock;
	pthread_cond_t answered;
} script;

static int fake_next(struct mech *m, struct event *ret_ev)
{
	(void)m;
	(void)ret_ev;
	return MECH_E_END;
}

static int fake_alive(struct mech *m, const struct event *ev)
{
	(void)m;
	(void)ev;
	if (script.dead)
		return MECH_E_GONE;
	if (script.dies_after > 0 && --script.dies_after == 0)
		script.dead = true;
	return 0;
}

static int fake_read(struct mech *m, const struct event *ev, uint64_t addr, void *buf, size_t len)
{
	(void)m;
	(void)ev;
	if (addr < 4096)
		return -EFAULT;
	memcpy(buf, (const void *)(uintptr_t)addr, len);
	return 0;
}

static int fake_read_str(struct mech *m, const struct event *ev, uint64_t addr, char *buf, size_t size)
{
	size_t n;

	(void)m;
	(void)ev;
	script.str_reads++;
	if (addr < 4096)
		return -EFAULT;
	n = strlen((const char *)(uintptr_t)addr);
	if (n >= size)
		return -ENAMETOOLONG;
	memcpy(buf, (const char *)(uintptr_t)addr, n + 1);
	return 0;
}

static int fake_write(struct mech *m, const struct event *ev, uint64_t addr, const void *buf, size_t len)
{
	(void)m;
	(void)ev;
	memcpy((void *)(uintptr_t)addr, buf, len);
	return 0;
}

static int fake_reply(struct mech *m, const struct event *ev, const struct reply *r)
{
	(void)m;
	(void)ev;
	(void)pthread_mutex_lock(&script.lock);
	script.replies++;
	script.last = *r;
	(void)pthread_cond_signal(&script.answered);
	(void)pthread_mutex_unlock(&script.lock);
	return 0;
}

static void fake_close(struct mech *m)
{
	(void)m;
}

static const struct mech_ops ops = {
	.next = fake_next,
	.alive = fake_alive,
	.read = fake_read,
	.read_str = fake_read_str,
	.write = fake_write,
	.reply = fake_reply,
	.close = fake_close,
};

static struct mech mech = { .ops = &ops };
static struct plan plan;
static struct sentry sentry = { .mech = &mech, .plan = &plan };
static char dir[64];

static struct reply ask(uint32_t arch, int nr, uint64_t a, uint64_t b, uint64_t d, uint64_t e)
{
	struct call *c = pool_get(sentry.pool);

	assert_non_null(c);
	c->ev = (struct event){ .id = 1, .arch = arch, .nr = nr, .tid = gettid(), .args = { a, b, d, e } };
	handle_call(c);
	return script.last;
}

static uint64_t addr(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static struct reply ask_open(const char *path, int flags)
{
	return ask(AUDIT_ARCH_X86_64, NR_openat, (uint64_t)(int64_t)AT_FDCWD, addr(path), (uint64_t)flags,
		   0600);
}

static void all_levels(enum level level)
{
	for (int i = 0; i < PLAN_COUNT; i++)
		plan.level[i] = level;
}

static void assert_denied(struct reply r, int err)
{
	assert_int_equal(r.kind, REPLY_DENY);
	assert_int_equal(r.err == 0 ? EPERM : r.err, err);
}

static int before(void **state)
{
	(void)state;
	script.str_reads = script.replies = script.dies_after = 0;
	script.dead = false;
	script.last = REPLY_NULL;
	all_levels(LEVEL_EMULATE);
	return 0;
}

static int setup(void **state)
{
	struct policy_builder *b;
	struct policy *p;

	(void)state;
	(void)strcpy(dir, "/tmp/gabion-handle-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	(void)pthread_mutex_init(&script.lock, NULL);
	(void)pthread_cond_init(&script.answered, NULL);
	assert_int_equal(policy_builder_new(&b), 0);
	assert_int_equal(policy_builder_add(b, RULE_READ, "/", "test"), 0);
	assert_int_equal(policy_builder_add(b, RULE_WRITE, dir, "test"), 0);
	assert_int_equal(policy_builder_add(b, RULE_HIDE, "/etc/passwd", "test"), 0);
	assert_int_equal(policy_compile(b, &p), 0);
	policy_builder_free(b);
	sentry.policy = p;
	sentry.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	sentry.fds_fd = openat(sentry.proc_fd, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	sentry.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	sentry.init = getpid();
	return pool_new(&sentry, &sentry.pool);
}

static int teardown(void **state)
{
	(void)state;
	return chdir("/") != 0 ? -1 : rmdir(dir);
}

static void test_zero_denies(void **state)
{
	struct reply zero = { 0 };
	struct verdict v = { 0 };

	(void)state;
	assert_int_equal(zero.kind, REPLY_DENY);
	assert_int_equal(v.kind, VERDICT_DENY);
	assert_int_equal(LEVEL_DENY, 0);
	assert_int_equal(CLASS_KILL, 0);
	assert_int_equal(REPLY_NULL.kind, REPLY_DENY);
	assert_denied(call_refuse(NULL, VERDICT_NULL), EPERM);
}

static void test_architecture_before_number(void **state)
{
	(void)state;
	/* 5 is open for i386 and fstat for us; 257 is openat for us. */
	assert_denied(ask(ARCH_I386, NR_openat, 0, addr("/tmp"), 0, 0), ENOSYS);
	assert_denied(ask(0, NR_getppid, 0, 0, 0, 0), ENOSYS);
	assert_int_equal(script.str_reads, 0);
	assert_int_equal(script.replies, 2);
}

static void test_unknown_and_unexpected(void **state)
{
	(void)state;
	assert_denied(ask(AUDIT_ARCH_X86_64, -1, 0, 0, 0, 0), ENOSYS);
	assert_denied(ask(AUDIT_ARCH_X86_64, 400, 0, 0, 0, 0), ENOSYS);
	assert_denied(ask(AUDIT_ARCH_X86_64, 1 << 20, 0, 0, 0, 0), ENOSYS);
	assert_denied(ask(AUDIT_ARCH_X86_64, INT_MAX, 0, 0, 0, 0), ENOSYS);
	/* Allowed rows are the filter's; one that arrives here is wrong. */
	assert_denied(ask(AUDIT_ARCH_X86_64, NR_read, 0, 0, 0, 0), EPERM);
}

static void test_plan_denies(void **state)
{
	(void)state;
	all_levels(LEVEL_DENY);
	assert_denied(ask_open("/etc/hostname", O_RDONLY), EACCES);
	assert_denied(ask(AUDIT_ARCH_X86_64, NR_stat, addr("/"), 0, 0, 0), EPERM);
	assert_denied(ask(AUDIT_ARCH_X86_64, NR_execve, addr("/bin/true"), 0, 0, 0), EPERM);
}

/* Whether FN in a child ends by abort(). */
static bool aborts(void (*fn)(struct call *c), struct call *c)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		fn(c);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void do_continue(struct call *c)
{
	(void)reply_continue(c);
}

static void test_continue_asserts(void **state)
{
	struct call *c = pool_get(sentry.pool);

	(void)state;
	for (int nr = 0; nr < table_end; nr++) {
		const struct sys_row *row = table_row(nr);

		if (row == NULL || row->class != CLASS_EMULATE || nr % 8 != 0)
			continue;
		c->row = row;
		call_set_key(c, plan_key_of(row));
		assert_true(aborts(do_continue, c));
		/* A handler that says otherwise does not make it so. */
		c->level = LEVEL_OBSERVE;
		assert_true(aborts(do_continue, c));
	}
	c->row = table_row(NR_stat);
	all_levels(LEVEL_OBSERVE);
	call_set_key(c, plan_key_of(c->row));
	assert_int_equal(reply_continue(c).kind, REPLY_CONTINUE);
	/* Landlock rows belong to no key: never. */
	c->row = table_row(NR_landlock_add_rule);
	call_set_key(c, plan_key_of(c->row));
	assert_true(aborts(do_continue, c));
	c->row = table_row(NR_socket);
	all_levels(LEVEL_EMULATE);
	call_set_key(c, plan_key_of(c->row));
	assert_int_equal(reply_continue(c).kind, REPLY_CONTINUE);
	pool_put(sentry.pool, c);
}

static void test_path_is_copied_once(void **state)
{
	struct reply r;

	(void)state;
	r = ask_open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	assert_int_equal(r.kind, REPLY_FD);
	assert_int_equal(r.fd_flags, O_CLOEXEC);
	assert_int_equal(script.str_reads, 1);
	(void)close(r.fd);
	r = ask(AUDIT_ARCH_X86_64, NR_rename, addr("no-a"), addr("no-b"), 0, 0);
	assert_denied(r, ENOENT);
	assert_int_equal(script.str_reads, 3);
}

static void test_errors_of_the_copy(void **state)
{
	static char too_long[PATH_MAX + 2];

	(void)state;
	memset(too_long, 'a', PATH_MAX + 1);
	assert_denied(ask_open(NULL, O_RDONLY), EFAULT);
	assert_denied(ask_open(too_long, O_RDONLY), ENAMETOOLONG);
	/* As the kernel: flags before the path. */
	assert_denied(ask_open(NULL, O_DIRECTORY | O_CREAT), EINVAL);
	assert_denied(ask_open("", O_RDONLY), ENOENT);
}

static void test_dead_has_no_effect(void **state)
{
	unsigned int helpers, calls;

	(void)state;
	script.dead = true;
	(void)ask_open("new", O_CREAT | O_WRONLY);
	assert_int_equal(access("new", F_OK), -1);
	(void)ask(AUDIT_ARCH_X86_64, NR_mkdir, addr("new"), 0700, 0, 0);
	assert_int_equal(access("new", F_OK), -1);
	/* It dies behind the look at it that counts, the one before the effect: then it happened. */
	for (unsigned int i = 1; i < 3; i++) {
		script.dead = false;
		script.dies_after = i;
		(void)ask_open("new", O_CREAT | O_WRONLY);
		if (script.last.kind == REPLY_FD) {
			(void)close(script.last.fd);
			assert_int_equal(unlink("new"), 0);
		} else {
			assert_int_equal(access("new", F_OK), -1);
		}
	}
	pool_counts(sentry.pool, &helpers, &calls);
	assert_int_equal(calls, 0);
}

static void test_rules_decide(void **state)
{
	struct reply r;

	(void)state;
	assert_denied(ask_open("/etc/passwd", O_RDONLY), ENOENT);
	assert_denied(ask_open("/etc/../etc//passwd", O_RDONLY), ENOENT);
	r = ask_open("/etc/hostname", O_WRONLY);
	assert_int_equal(r.kind, REPLY_DENY);
	r = ask_open("made", O_CREAT | O_EXCL | O_RDWR);
	assert_int_equal(r.kind, REPLY_FD);
	(void)close(r.fd);
	assert_denied(ask_open("made", O_CREAT | O_EXCL | O_RDWR), EEXIST);
	assert_denied(ask_open("made/", O_CREAT | O_RDWR), EISDIR);
	assert_denied(ask_open(".", O_CREAT | O_RDWR), EISDIR);
	assert_denied(ask_open(".", O_WRONLY), EISDIR);
	assert_denied(ask_open("made", O_RDONLY | O_DIRECTORY), ENOTDIR);
	assert_int_equal(symlink("/etc/passwd", "link"), 0);
	assert_denied(ask_open("link", O_RDONLY), ENOENT);
	assert_denied(ask_open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	assert_int_equal(unlink("link"), 0);
	assert_int_equal(unlink("made"), 0);
}

static void test_openat2(void **state)
{
	struct {
		uint64_t flags, mode, resolve, more;
	} how = { .flags = O_RDONLY };
	const uint64_t cwd = (uint64_t)(int64_t)AT_FDCWD;
	struct reply r;

	(void)state;
	assert_denied(ask(AUDIT_ARCH_X86_64, NR_openat2, cwd, addr("."), addr(&how), 16), EINVAL);
	assert_denied(ask(AUDIT_ARCH_X86_64, NR_openat2, cwd, addr("."), addr(&how), 1 << 20), E2BIG);
	r = ask(AUDIT_ARCH_X86_64, NR_openat2, cwd, addr("."), addr(&how), sizeof(how));
	assert_int_equal(r.kind, REPLY_FD);
	(void)close(r.fd);
	how.more = 1;
	assert_denied(ask(AUDIT_ARCH_X86_64, NR_openat2, cwd, addr("."), addr(&how), sizeof(how)), E2BIG);
	how.more = 0;
	how.resolve = 1 << 20;
	assert_denied(ask(AUDIT_ARCH_X86_64, NR_openat2, cwd, addr("."), addr(&how), 24), EINVAL);
	how.resolve = 8; /* RESOLVE_BENEATH */
	assert_denied(ask(AUDIT_ARCH_X86_64, NR_openat2, cwd, addr("/"), addr(&how), 24), EXDEV);
	how.resolve = 0;
	how.mode = 0600;
	assert_denied(ask(AUDIT_ARCH_X86_64, NR_openat2, cwd, addr("."), addr(&how), 24), EINVAL);
	/* Flags in memory may change after we looked: continued only where the floor holds writing, too. */
	how.mode = 0;
	plan.level[PLAN_READ] = LEVEL_OBSERVE;
	r = ask(AUDIT_ARCH_X86_64, NR_openat2, cwd, addr("."), addr(&how), 24);
	assert_int_equal(r.kind, REPLY_FD);
	(void)close(r.fd);
	plan.level[PLAN_WRITE] = LEVEL_OBSERVE;
	r = ask(AUDIT_ARCH_X86_64, NR_openat2, cwd, addr("."), addr(&how), 24);
	assert_int_equal(r.kind, REPLY_CONTINUE);
}

static void test_observe(void **state)
{
	(void)state;
	all_levels(LEVEL_OBSERVE);
	assert_int_equal(ask_open("/etc/hostname", O_RDONLY).kind, REPLY_CONTINUE);
	assert_int_equal(ask_open("nothing", O_RDONLY).kind, REPLY_CONTINUE);
	assert_denied(ask_open("/etc/passwd", O_RDONLY), ENOENT);
	assert_int_equal(ask_open("/etc/hostname", O_WRONLY).kind, REPLY_DENY);
	/* Open for reading where the flags could create, but do not: a read. */
	assert_int_equal(ask_open("/etc/hostname", O_RDONLY | O_CREAT).kind, REPLY_CONTINUE);
	/* Looks refused as written, is not. */
	assert_int_equal(symlink("/etc/hostname", "fine"), 0);
	assert_int_equal(ask_open("/etc/passwd/../hostname", O_RDONLY).kind, REPLY_CONTINUE);
	assert_int_equal(unlink("fine"), 0);
}

static void await_reply(unsigned int n)
{
	(void)pthread_mutex_lock(&script.lock);
	while (script.replies < n)
		(void)pthread_cond_wait(&script.answered, &script.lock);
	(void)pthread_mutex_unlock(&script.lock);
}

static struct reply ask_blocking(const char *path, int flags)
{
	return ask_open(path, flags);
}

/* A FIFO without the other end: the receiver goes on, a helper waits, and lets go when the caller is gone. */
static void test_blocking(void **state)
{
	unsigned int helpers, calls;
	int other;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	(void)ask_blocking("fifo", O_RDONLY);
	assert_int_equal(script.replies, 0);
	other = open("fifo", O_WRONLY | O_CLOEXEC);
	assert_true(other >= 0);
	await_reply(1);
	assert_int_equal(script.last.kind, REPLY_FD);
	(void)close(script.last.fd);
	(void)close(other);

	(void)ask_blocking("fifo", O_RDONLY);
	usleep(30000);
	assert_int_equal(script.replies, 1);
	script.dead = true;
	await_reply(2);
	assert_int_equal(script.last.kind, REPLY_VALUE);
	assert_int_equal(script.last.value, -512);
	assert_int_equal(unlink("fifo"), 0);
	/* The object goes back after the answer. */
	for (int i = 0; i < 100; i++) {
		pool_counts(sentry.pool, &helpers, &calls);
		if (calls == 0)
			break;
		usleep(10000);
	}
	assert_int_equal(calls, 0);
}

static void test_loop_ends(void **state)
{
	(void)state;
	assert_int_equal(handle_loop(&sentry), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_zero_denies, before),
		cmocka_unit_test_setup(test_architecture_before_number, before),
		cmocka_unit_test_setup(test_unknown_and_unexpected, before),
		cmocka_unit_test_setup(test_plan_denies, before),
		cmocka_unit_test_setup(test_continue_asserts, before),
		cmocka_unit_test_setup(test_path_is_copied_once, before),
		cmocka_unit_test_setup(test_errors_of_the_copy, before),
		cmocka_unit_test_setup(test_dead_has_no_effect, before),
		cmocka_unit_test_setup(test_rules_decide, before),
		cmocka_unit_test_setup(test_openat2, before),
		cmocka_unit_test_setup(test_observe, before),
		cmocka_unit_test_setup(test_blocking, before),
		cmocka_unit_test_setup(test_loop_ends, before),
	};

	return cmocka_run_group_tests_name("handle", tests, setup, teardown);
}
