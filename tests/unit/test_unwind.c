/*
 * Unwinding from copies: a child of ours at a known place, with and without frame pointers, corrupt stacks, and hostile input: mutated
 * files, maps and stacks, each in a process with limits, as the unwinder's children have them.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/unwind.h"
#include "monitor/unwinder.h"
#include "util/err.h"
#include "util/fd.h"

struct copy {
	struct tracer_snapshot head;
	unsigned char stack[TRACER_STACK_MAX];
	char maps[TRACER_MAPS_MAX];
};

static struct copy copy;
static volatile int never;

/* -- A stack to unwind -- */

/* clang only reads this file. */
#ifdef __clang__
#define FRAME __attribute__((noinline))
#define COMPILED(how)
#else
#define FRAME	      __attribute__((noinline, noclone))
#define COMPILED(how) __attribute__((optimize(how)))
#endif

FRAME static int leaf(int n)
{
	/* No wrapper of libc's: the call's instruction is here. */
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(SYS_tgkill), "D"(getpid()), "S"(gettid()), "d"(SIGSTOP) : "rcx", "r11", "memory");
	return (int)r + n;
}

FRAME static int middle(int n)
{
	char room[3000];

	memset(room, n, sizeof(room));
	__asm__ volatile("" ::"r"(room) : "memory");
	return leaf(n + 1) + room[n] + never;
}

/* By the frame pointer, whatever the rest is compiled with. */
FRAME COMPILED("no-omit-frame-pointer") static int with_pointer(int n)
{
	return middle(n + 1) + never;
}

FRAME COMPILED("omit-frame-pointer") static int outer(int n)
{
	return with_pointer(n + 1) + never;
}

static bool take_maps(pid_t pid)
{
	char path[64];
	size_t len = 0;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && len < sizeof(copy.maps) && (n = read(fd, copy.maps + len, sizeof(copy.maps) - len)) > 0)
		len += (size_t)n;
	copy.head.maps_len = (uint32_t)len;
	return len > 0;
}

/* A copy of a child that stopped in leaf(). */
static void take(void)
{
	struct user_regs_struct regs;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		_exit(outer(1) & 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &regs), 0);
	_Static_assert(sizeof(regs) == sizeof(copy.head.regs), "all registers");
	memcpy(copy.head.regs, &regs, sizeof(regs));
	copy.head.id = 77;
	copy.head.stack_at = regs.rsp - 128;
	struct iovec mine = { copy.stack, sizeof(copy.stack) }, its = { (void *)copy.head.stack_at, 0 };

	/* To the end of the mapping, as the tracer does. */
	ssize_t n = 0;

	for (its.iov_len = sizeof(copy.stack); n <= 0 && its.iov_len > 4096; its.iov_len -= 1024) {
		mine.iov_len = its.iov_len;
		n = process_vm_readv(pid, &mine, 1, &its, 1, 0);
	}
	assert_true(n > 4096);
	copy.head.stack_len = (uint32_t)n;
	assert_true(take_maps(pid));
	kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static int unwind(int root, struct unwind_stack *ret)
{
	struct unwind_snapshot s = { .head = &copy.head, .stack = copy.stack, .maps = copy.maps, .root = root };

	return unwind_stack(&s, ret);
}

static struct unwind_stack stack;

static size_t frame_of(const char *symbol)
{
	for (uint32_t i = 0; i < stack.n; i++)
		if (strcmp(stack.frame[i].symbol, symbol) == 0)
			return i;
	return SIZE_MAX;
}

static void whole(void **state)
{
	static const char *const order[] = { "leaf", "middle", "with_pointer", "outer", "take", "whole", "main" };
	char self[4096] = "";
	size_t last = 0;

	(void)state;
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	take();
	assert_int_equal(unwind(root, &stack), 0);
	assert_int_equal(stack.id, 77);
	assert_true(stack.whole);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		size_t at = frame_of(order[i]);

		if (at == SIZE_MAX || (i > 0 && at <= last))
			fail_msg("%s is not where it belongs", order[i]);
		last = at;
		assert_string_equal(stack.frame[at].object, self);
		assert_true(stack.frame[at].build_id_len > 0);
		assert_true(stack.frame[at].symbol_offset > 0);
	}
	assert_int_equal(frame_of("leaf"), 0);
	/* Beyond main: libc's start. */
	assert_true(stack.n > last + 1);
	assert_non_null(strstr(stack.frame[last + 1].object, "libc"));
}

static void bounded(void **state)
{
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t bp;

	(void)state;
	take();
	/* No files: by frame pointers, as far as that goes. There is always the frame the thread was in. */
	assert_int_equal(unwind(-1, &stack), 0);
	assert_true(stack.n >= 1);
	assert_string_equal(stack.frame[0].symbol, "");
	assert_int_equal(stack.frame[0].build_id_len, 0);
	/* No stack. */
	copy.head.stack_len = 0;
	assert_int_equal(unwind(root, &stack), 0);
	assert_string_equal(stack.frame[0].symbol, "leaf");
	assert_false(stack.whole);
	/* No map at all. */
	take();
	copy.head.maps_len = 0;
	assert_int_equal(unwind(root, &stack), 0);
	assert_true(stack.n >= 1);
	assert_string_equal(stack.frame[0].object, "");
	/* A frame that points to itself. */
	take();
	bp = copy.head.stack_at + 1024;
	copy.head.regs[4] = bp; /* rbp */
	memcpy(copy.stack + 1024, &bp, 8);
	memcpy(copy.stack + 1032, &bp, 8);
	assert_int_equal(unwind(root, &stack), 0);
	assert_true(stack.n <= 3);
	assert_false(stack.whole);
	/* A chain without an end, by frame pointers: no unwind tables without the files. */
	for (size_t at = 1024; at + 16 < copy.head.stack_len; at += 16) {
		bp = copy.head.stack_at + at + 16;
		memcpy(copy.stack + at, &bp, 8);
		memcpy(copy.stack + at + 8, &copy.head.regs[16], 8);
	}
	assert_int_equal(unwind(-1, &stack), 0);
	assert_true(stack.n >= 1 && stack.n <= UNWIND_FRAMES);
}

/* Paths of the map that lead elsewhere by now: not followed, not waited for. */
static void strange_files(void **state)
{
	char dir[] = "/tmp/gabion-unwind-XXXXXX", path[64], line[256], host[] = "/bin/true";
	struct unwind_maps m;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	AUTO_FD int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(stat(host, &st), 0);
	for (int kind = 0; kind < 5; kind++) {
		(void)snprintf(path, sizeof(path), "%s/f", dir);
		unlink(path);
		if (kind == 0)
			assert_int_equal(symlink("/bin/true", path), 0);
		else if (kind == 1)
			assert_int_equal(mkfifo(path, 0600), 0);
		else if (kind == 2)
			assert_int_equal(symlink("../../../../../bin/true", path), 0);
		else if (kind == 3)
			(void)snprintf(path, sizeof(path), "%s", dir); /* a directory */
		const char *name = kind == 4 ? "/../../../../bin/true" : kind == 3 ? "/" : "/f";

		if (kind == 1)
			assert_int_equal(stat(path, &st), 0);
		else
			assert_int_equal(stat(host, &st), 0);
		int len = snprintf(line, sizeof(line), "1000-2000 r-xp 00000000 08:01 %lu    %s\n", (unsigned long)st.st_ino, name);

		assert_int_equal(unwind_maps_parse(line, (size_t)len, root, &m), 0);
		assert_int_equal(m.n, 1);
		assert_null(unwind_maps_elf(&m, &m.v[0]));
		unwind_maps_free(&m);
	}
	/* Another inode than the one that was mapped; and the right one. */
	for (unsigned long off = 0; off < 2; off++) {
		char real[4096];

		assert_non_null(realpath(host, real));
		int len = snprintf(line, sizeof(line), "1000-2000 r-xp 00000000 08:01 %lu    %s", (unsigned long)st.st_ino + 1 - off, real);

		assert_int_equal(unwind_maps_parse(line, (size_t)len, top, &m), 0);
		assert_true((unwind_maps_elf(&m, &m.v[0]) != NULL) == (off == 1));
		unwind_maps_free(&m);
	}
	unlink(path);
	(void)snprintf(path, sizeof(path), "%s/f", dir);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

static void maps(void **state)
{
	static const char *const bad[] = {
		"", "\n", "x", "1000", "1000-", "1000-2000", "1000-2000 ", "1000-2000 r-xp", "1000-2000 r-xp 0 8:1 x",
		"2000-1000 r-xp 0 8:1 1", "1000-1000 r-xp 0 8:1 1", "-1-2000 r-xp 0 8:1 1",
		"10000000000000000-20000000000000000 r-xp 0 8:1 1",
		"1000-2000 r-xp 0 8:1 99999999999999999999999 /x",
	};
	const char good[] = "1000-2000 r--p 00000000 08:01 5 /a b\n2000-3000 r-xp 00001000 08:01 5                /a b\n"
			    "1500-1600 rw-p 00000000 00:00 0\n5000-6000 rw-p 00000000 00:00 0 ";
	struct unwind_maps m;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(unwind_maps_parse(bad[i], strlen(bad[i]), -1, &m), 0);
		assert_int_equal(m.n, 0);
		unwind_maps_free(&m);
	}
	assert_int_equal(unwind_maps_parse(good, strlen(good), -1, &m), 0);
	assert_int_equal(m.n, 3); /* what overlaps is left out */
	assert_null(unwind_maps_find(&m, 0xfff));
	assert_ptr_equal(unwind_maps_find(&m, 0x1000), &m.v[0]);
	assert_ptr_equal(unwind_maps_find(&m, 0x2fff), &m.v[1]);
	assert_null(unwind_maps_find(&m, 0x3000));
	assert_null(unwind_maps_find(&m, UINT64_MAX));
	assert_int_equal(m.v[1].path_len, 4);
	assert_true(m.v[1].exec && !m.v[0].exec);
	assert_int_equal(m.v[2].path_len, 0);
	unwind_maps_free(&m);
}

/* -- Hostile input -- */

static uint64_t seed = 88172645463325252ull;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void spoil(unsigned char *p, size_t len, unsigned int times)
{
	static const uint64_t odd[] = { 0, 1, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, UINT64_MAX, 64, 56 };

	for (unsigned int i = 0; len >= 8 && i < times; i++) {
		size_t at = (size_t)(any() % (len - 7));

		if (any() % 3 == 0)
			memcpy(p + at, &odd[any() % ARRAY_LEN(odd)], 8);
		else
			p[at] = (unsigned char)any();
	}
}

/* The program's own file, spoilt. Our reader runs here: it must not fault, nor take long. */
static void hostile_elf(void **state)
{
	AUTO_FD int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;

	(void)state;
	assert_int_equal(fstat(self, &st), 0);
	size_t size = (size_t)st.st_size;
	AUTO_FREE unsigned char *good = malloc(size);

	assert_non_null(good);
	assert_int_equal(pread(self, good, size, 0), (ssize_t)size);
	for (int round = 0; round < 400; round++) {
		int fd = memfd_create("spoilt", MFD_CLOEXEC);
		char name[UNWIND_SYMBOL_MAX];
		uint8_t id[UNWIND_BUILD_ID_MAX];
		uint64_t v;
		uint32_t n;
		size_t len = round % 5 == 4 ? (size_t)(any() % size) : size;

		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, good, len, 0), (ssize_t)len);
		/* Where it hurts: the header, the headers of segments and sections. */
		unsigned char part[8192];
		off_t at = round % 2 ? 0 : (off_t)(size > sizeof(part) ? size - sizeof(part) : 0);
		ssize_t got = pread(fd, part, sizeof(part), at);

		if (got > 0) {
			spoil(part, (size_t)got, 1 + (unsigned int)(any() % 40));
			if (any() % 4 != 0 && at == 0 && got > 64)
				memcpy(part, good, 20); /* still an ELF file's beginning */
			assert_int_equal(pwrite(fd, part, (size_t)got, at), got);
		}
		struct elf *e = elf_open(fd);

		if (e == NULL)
			continue;
		(void)elf_bias(e, any(), any(), &v);
		if (elf_unwind_table(e, &v, &n))
			(void)elf_read_word(e, v, &v);
		if (elf_symbol(e, any() % 2 ? any() : any() % size, name, &v))
			assert_true(memchr(name, '\0', sizeof(name)) != NULL);
		assert_true(elf_build_id(e, id) <= sizeof(id));
		for (int i = 0; i < 20; i++)
			(void)elf_read_word(e, any() >> (any() % 64), &v);
		elf_free(e);
	}
}

/* The search that stands in for an index finds what the index would. */
static void without_index(void **state)
{
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct elf *e = elf_open(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	uint64_t entry, start, known = 0;

	(void)state;
	assert_non_null(e);
	take();
	assert_int_equal(unwind(root, &stack), 0);
	for (size_t i = frame_of("leaf"); i <= frame_of("outer"); i++) {
		known = stack.frame[i].offset - stack.frame[i].symbol_offset;
		assert_true(frame_find(e, stack.frame[i].offset - 1, &entry, &start));
		assert_int_equal(start, known);
	}
	assert_false(frame_find(e, UINT64_MAX, &entry, &start));
	assert_false(frame_find(e, 0, &entry, &start));
	/* Bounded for each file. */
	for (int i = 0; i < 1000000 && frame_find(e, known, &entry, &start); i++)
		;
	assert_false(frame_find(e, known, &entry, &start));
	elf_free(e);
}

/* Spoilt unwind tables: searched to their end or to the first nonsense. */
static void hostile_frames(void **state)
{
	AUTO_FD int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct elf *e = elf_open(dup(self));
	uint64_t addr, offset, size, entry, start;
	struct stat st;

	(void)state;
	assert_non_null(e);
	assert_true(elf_section(e, ".eh_frame", &addr, &offset, &size));
	e = elf_free(e);
	assert_int_equal(fstat(self, &st), 0);
	AUTO_FREE unsigned char *good = malloc((size_t)st.st_size);
	AUTO_FREE unsigned char *part = malloc(size);

	assert_non_null(good);
	assert_non_null(part);
	assert_int_equal(pread(self, good, (size_t)st.st_size, 0), st.st_size);
	for (int round = 0; round < 300; round++) {
		int fd = memfd_create("spoilt", MFD_CLOEXEC);

		assert_int_equal(pwrite(fd, good, (size_t)st.st_size, 0), st.st_size);
		memcpy(part, good + offset, size);
		/* Mostly where the first entries are, which say how all are read. */
		spoil(part, round % 2 ? size : 256, 1 + (unsigned int)(any() % 40));
		assert_int_equal(pwrite(fd, part, size, (off_t)offset), (ssize_t)size);
		e = elf_open(fd);
		assert_non_null(e);
		for (int i = 0; i < 20; i++)
			(void)frame_find(e, i % 2 ? any() : addr - any() % (1 << 20), &entry, &start);
		elf_free(e);
	}
}

/* Spoilt stacks, registers, maps: in a child with limits, since libunwind runs over them. Each ends in time, and tells no nonsense. */
static void hostile_snapshot(void **state)
{
	int crashed = 0;

	(void)state;
	for (int round = 0; round < 60; round++) {
		take();
		switch (round % 3) {
		case 0:
			spoil(copy.stack, copy.head.stack_len, 1 + (unsigned int)(any() % 2000));
			break;
		case 1:
			spoil((unsigned char *)copy.head.regs, sizeof(copy.head.regs), 1 + (unsigned int)(any() % 20));
			break;
		default:
			spoil((unsigned char *)copy.maps, copy.head.maps_len, 1 + (unsigned int)(any() % 300));
			break;
		}
		pid_t pid = fork();

		if (pid == 0) {
			struct rlimit cpu = { 2, 2 };
			AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

			setrlimit(RLIMIT_CPU, &cpu);
			bool fine = unwind(root, &stack) == 0 && stack.n >= 1 && stack.n <= UNWIND_FRAMES;

			for (uint32_t i = 0; fine && i < stack.n; i++)
				fine = memchr(stack.frame[i].object, 0, UNWIND_OBJECT_MAX) != NULL &&
				       memchr(stack.frame[i].symbol, 0, UNWIND_SYMBOL_MAX) != NULL &&
				       stack.frame[i].build_id_len <= UNWIND_BUILD_ID_MAX;
			_exit(fine ? 0 : 3);
		}
		int status;

		assert_int_equal(waitpid(pid, &status, 0), pid);
		crashed += WIFSIGNALED(status);
		if (WIFEXITED(status))
			assert_int_equal(WEXITSTATUS(status), 0);
	}
	/* That libunwind falls is what the child is for; that it always does would be a fault of ours. */
	assert_true(crashed < 20);
}

/* -- The process -- */

static void hand_in(int socket)
{
	struct iovec iov = { .iov_base = &copy.head, .iov_len = sizeof(copy.head) };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = { .buf = { 0 } };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf) };
	AUTO_FD int fd = memfd_create("stack", MFD_CLOEXEC);

	assert_int_equal(write(fd, copy.stack, copy.head.stack_len), (ssize_t)copy.head.stack_len);
	assert_int_equal(write(fd, copy.maps, copy.head.maps_len), (ssize_t)copy.head.maps_len);
	u.align.cmsg_level = SOL_SOCKET;
	u.align.cmsg_type = SCM_RIGHTS;
	u.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&u.align), &fd, sizeof(int));
	assert_int_equal(sendmsg(socket, &mh, 0), (ssize_t)sizeof(copy.head));
}

static int answer(const struct unwinder *u)
{
	struct pollfd p = { .fd = u->results, .events = POLLIN };

	if (poll(&p, 1, 5000) != 1)
		return -ETIME;
	return unwinder_take(u, &stack);
}

static void process(void **state)
{
	struct floor_ids ids = FLOOR_IDS_NULL;
	struct unwinder u = UNWINDER_NULL;
	int ends[2];

	(void)state;
	ids.mode = FLOOR_BARE;
	ids.uid = geteuid();
	ids.gid = getegid();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(unwinder_start(ends[0], -1, -1, &ids, &u), 0);
	assert_int_equal(unwinder_take(&u, &stack), -EAGAIN);
	take();
	hand_in(ends[1]);
	assert_int_equal(answer(&u), 0);
	assert_int_equal(stack.id, 77);
	assert_true(stack.whole);
	assert_int_equal(frame_of("leaf"), 0);
	assert_true(frame_of("main") != SIZE_MAX);
	/* What is no snapshot is passed over, and what cannot be unwound is said to be so; then it goes on. */
	assert_int_equal(send(ends[1], "x", 1, 0), 1);
	copy.head.id = 78;
	copy.head.stack_len += 8;
	copy.head.maps_len -= 8;
	hand_in(ends[1]);
	assert_int_equal(answer(&u), 0);
	assert_int_equal(stack.id, 78);
	for (int round = 0; round < 20; round++) {
		take();
		copy.head.id = 100 + (uint64_t)round;
		spoil(copy.stack, copy.head.stack_len, 500);
		spoil((unsigned char *)copy.maps, copy.head.maps_len, 50);
		hand_in(ends[1]);
		assert_int_equal(answer(&u), 0);
		assert_int_equal(stack.id, 100 + (uint64_t)round);
	}
	take();
	hand_in(ends[1]);
	assert_int_equal(answer(&u), 0);
	assert_int_equal(frame_of("leaf"), 0);
	/* It ends with its giver. */
	close(ends[1]);
	assert_int_equal(answer(&u), -EPIPE);
	unwinder_stop(&u);
	assert_int_equal(u.results, -1);
}

static int setup(void **state)
{
	(void)state;
	return unwind_load();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),	cmocka_unit_test(bounded),     cmocka_unit_test(strange_files), cmocka_unit_test(maps),
		cmocka_unit_test(hostile_elf), cmocka_unit_test(without_index), cmocka_unit_test(hostile_frames),
		cmocka_unit_test(hostile_snapshot), cmocka_unit_test(process),
	};

	return cmocka_run_group_tests_name("unwind", tests, setup, NULL);
}
