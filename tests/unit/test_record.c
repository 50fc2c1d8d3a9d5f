/*
 * The record's rings: order, wrap-around, floods from several threads (also from another process), room kept for
 * refusals, the wake-up, and a writer that lies.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plan.h"
#include "record.h"
#include "verdict.h"

static struct record make(uint32_t flags, uint64_t time, const char *object)
{
	struct record r = { .time_ns = time, .nr = 257, .tid = 7, .flags = flags, .rule = 3, .level = LEVEL_EMULATE,
			    .op = OP_READ, .comm = "maker" };

	r.object_len = (uint16_t)strlen(object);
	memcpy(r.object, object, r.object_len);
	return r;
}

static void test_order(void **state)
{
	struct record_ring *r;
	struct record in, out;
	bool broken;

	(void)state;
	assert_int_equal(record_ring_new(1000, 65536, &r), -EINVAL);
	assert_int_equal(record_ring_new(65536, 8192, &r), -EINVAL);
	assert_int_equal(record_ring_new(65536, 65536, &r), 0);
	assert_false(record_take(r, &out, &broken));
	in = make(0, 10, "/a");
	in.object2_len = 3;
	memcpy(in.object + 2, "/b\n", 3);
	in.args[5] = UINT64_MAX;
	in.result = -13;
	assert_true(record_put(r, &in));
	in = make(RECORD_REFUSED, 20, "/c");
	assert_true(record_put(r, &in));
	in = make(0, 30, "");
	assert_true(record_put(r, &in));
	/* Both rings are merged by time. */
	assert_true(record_take(r, &out, &broken));
	assert_int_equal(out.time_ns, 10);
	assert_int_equal(out.object_len, 2);
	assert_memory_equal(out.object, "/a/b\n", 5);
	assert_true(out.args[5] == UINT64_MAX);
	assert_int_equal(out.result, -13);
	assert_string_equal(out.comm, "maker");
	assert_true(record_take(r, &out, &broken));
	assert_int_equal(out.time_ns, 20);
	assert_true(record_take(r, &out, &broken));
	assert_int_equal(out.time_ns, 30);
	assert_false(record_take(r, &out, &broken));
	assert_false(broken);
	/* Objects longer than a record may hold are not stored. */
	in.object_len = 4000;
	in.object2_len = 97;
	assert_false(record_put(r, &in));
	assert_null(record_ring_free(r));
	assert_null(record_ring_free(NULL));
}

/* Every length of object, many laps: nothing lost, nothing changed. */
static void test_wrap(void **state)
{
	struct record_ring *r;
	struct record in, out;
	uint64_t refused, other;
	bool broken;

	(void)state;
	assert_int_equal(record_ring_new(16384, 16384, &r), 0);
	for (int i = 0; i < 20000; i++) {
		in = make(i & 1 ? RECORD_REFUSED : 0, (uint64_t)i, "");
		in.object_len = (uint16_t)((i * 37) % (RECORD_OBJECT_MAX + 1));
		memset(in.object, 0xff - i % 5, in.object_len);
		assert_true(record_put(r, &in));
		assert_true(record_take(r, &out, &broken));
		assert_int_equal(out.time_ns, i);
		assert_int_equal(out.object_len, in.object_len);
		assert_memory_equal(out.object, in.object, in.object_len);
	}
	record_dropped(r, &refused, &other);
	assert_int_equal(refused + other, 0);
	record_ring_free(r);
}

/* A full ring of permitted calls drops and counts; refusals still fit. */
static void test_reserve(void **state)
{
	struct record_ring *r;
	struct record in = make(0, 1, "/flood"), out;
	uint64_t refused, other, kept = 0, seen = 0;
	bool broken;

	(void)state;
	assert_int_equal(record_ring_new(16384, 16384, &r), 0);
	for (int i = 0; i < 1000; i++)
		kept += record_put(r, &in);
	assert_in_range(kept, 100, 200);
	record_dropped(r, &refused, &other);
	assert_int_equal(refused, 0);
	assert_int_equal(other, 1000 - kept);
	in.flags = RECORD_REFUSED;
	assert_true(record_put(r, &in));
	in.flags = RECORD_INTERNAL;
	assert_true(record_put(r, &in));
	while (record_take(r, &out, &broken))
		seen++;
	assert_int_equal(seen, kept + 2);
	in.flags = 0;
	assert_true(record_put(r, &in));
	record_ring_free(r);
}

enum { WRITERS = 4, EACH = 50000 };

static struct record_ring *flood_ring;

static void *flood(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;
	struct record in = make(0, 0, "");
	static const char text[] = "/some/path/that/is/longer/or/shorter/by/turns/and/never/the/same";

	for (uint64_t i = 0; i < EACH; i++) {
		in.flags = i % 16 == 0 ? RECORD_REFUSED : 0;
		in.rule = me;
		in.args[0] = i;
		in.object_len = (uint16_t)(i % sizeof(text));
		memcpy(in.object, text, in.object_len);
		in.args[1] = in.object_len;
		record_put(flood_ring, &in);
	}
	return NULL;
}

/* The sentry is another process with several threads; the reader sleeps when there is nothing. */
static void test_flood(void **state)
{
	uint64_t last[2][WRITERS] = { 0 }, seen = 0, refused, other;
	struct record out;
	bool broken, done = false;
	pid_t pid;

	(void)state;
	assert_int_equal(record_ring_new(65536, 262144, &flood_ring), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		pthread_t th[WRITERS];

		for (uintptr_t i = 0; i < WRITERS; i++)
			pthread_create(&th[i], NULL, flood, (void *)i);
		for (int i = 0; i < WRITERS; i++)
			pthread_join(th[i], NULL);
		_exit(0);
	}
	for (;;) {
		while (record_take(flood_ring, &out, &broken)) {
			uint64_t *l = &last[!!(out.flags & RECORD_REFUSED)][out.rule];

			assert_in_range(out.rule, 0, WRITERS - 1);
			assert_int_equal(out.args[1], out.object_len);
			assert_true(*l == 0 || out.args[0] > *l);
			*l = out.args[0];
			seen++;
		}
		assert_false(broken);
		if (done)
			break;
		if (record_arm(flood_ring)) {
			struct pollfd p = { .fd = record_eventfd(flood_ring), .events = POLLIN };
			uint64_t n;
			int status;

			/* The last wake-up may be long past once the writers are gone. */
			if (poll(&p, 1, 50) > 0)
				assert_int_equal(read(p.fd, &n, sizeof(n)), sizeof(n));
			else if (waitpid(pid, &status, WNOHANG) == pid) {
				assert_int_equal(status, 0);
				done = true;
			}
		}
	}
	record_dropped(flood_ring, &refused, &other);
	assert_int_equal(seen + refused + other, (uint64_t)WRITERS * EACH);
	assert_true(seen > 1000);
	flood_ring = record_ring_free(flood_ring);
}

static void test_wakeup(void **state)
{
	struct record_ring *r;
	struct record in = make(0, 1, "/x"), out;
	struct pollfd p;
	bool broken;
	uint64_t n;

	(void)state;
	assert_int_equal(record_ring_new(16384, 16384, &r), 0);
	p = (struct pollfd){ .fd = record_eventfd(r), .events = POLLIN };
	record_put(r, &in);
	assert_int_equal(poll(&p, 1, 0), 0); /* nobody sleeps: no wake-up */
	assert_false(record_arm(r));         /* something is there: do not sleep */
	assert_true(record_take(r, &out, &broken));
	assert_true(record_arm(r));
	assert_int_equal(poll(&p, 1, 0), 0);
	record_put(r, &in);
	record_put(r, &in);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(read(p.fd, &n, 8), 8);
	assert_int_equal(n, 1); /* one wake-up for one sleep */
	record_ring_free(r);
}

/* Finds the ring's shared mapping in /proc/self/maps: the test plays a sentry that was taken over. */
static unsigned char *shared_map(size_t size)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned char *found = NULL;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long a, b;

		if (sscanf(line, "%lx-%lx rw-s", &a, &b) == 2 && strstr(line, "rw-s") && b - a == size)
			found = (unsigned char *)a;
	}
	fclose(f);
	assert_non_null(found);
	return found;
}

struct lie {
	size_t at;   /* offset from the entry's head word */
	uint64_t v;
	size_t size;
};

static void test_lies(void **state)
{
	static const struct lie lies[] = {
		{ 0, 0xffffffffffffffff, 8 },                                   /* no head word */
		{ 0, 0x6761626500000000, 8 },                                   /* empty entry */
		{ 0, 0x676162650000fff8, 8 },                                   /* longer than the longest */
		{ 0, 0x6761627000000010, 8 },                                   /* a pad that does not reach the end */
		{ 0, 0x6761627000004000, 8 },                                   /* a pad where none begins */
		{ 8 + offsetof(struct record, object_len), 0xffff, 2 },         /* objects beyond the entry */
		{ 8 + offsetof(struct record, object2_len), 9, 2 },
		{ 8 + offsetof(struct record, op), OP_COUNT, 1 },
		{ 8 + offsetof(struct record, level), LEVEL_NATIVE + 1, 1 },
		{ 8 + offsetof(struct record, flags), 0x80000000, 4 },
		{ 8 + offsetof(struct record, reserved), 1, 1 },
		{ 8 + offsetof(struct record, comm), 0x4141414141414141, 8 },   /* with the next: no NUL */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct record_ring *r;
		struct record in = make(0, 1, "/x"), out;
		bool broken;

		assert_int_equal(record_ring_new(16384, 16384, &r), 0);
		unsigned char *map = shared_map(4096 + 2 * 16384);
		unsigned char *entry = map + 4096 + 16384;

		assert_true(record_put(r, &in));
		memcpy(entry + lies[i].at, &lies[i].v, lies[i].size);
		if (lies[i].at == 8 + offsetof(struct record, comm))
			memset(entry + lies[i].at, 'A', 16);
		assert_false(record_take(r, &out, &broken));
		assert_true(broken);
		/* Reported once; the ring is dead, the other one lives, and nobody is told not to sleep. */
		assert_false(record_take(r, &out, &broken));
		assert_false(broken);
		assert_true(record_arm(r));
		in.flags = RECORD_REFUSED;
		assert_true(record_put(r, &in));
		assert_true(record_take(r, &out, &broken));
		assert_false(broken);
		record_ring_free(r);
	}
}

/* Positions in shared memory are the writers' business only: wild ones make them drop, not the reader run. */
static void test_wild_positions(void **state)
{
	struct record_ring *r;
	struct record in = make(0, 1, "/x"), out;
	bool broken;

	(void)state;
	assert_int_equal(record_ring_new(16384, 16384, &r), 0);
	unsigned char *map = shared_map(4096 + 2 * 16384);

	memset(map, 0xee, 4096);
	for (int i = 0; i < 10; i++) {
		record_put(r, &in);
		(void)record_take(r, &out, &broken);
	}
	record_ring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),   cmocka_unit_test(test_wrap), cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_flood),   cmocka_unit_test(test_wakeup), cmocka_unit_test(test_lies),
		cmocka_unit_test(test_wild_positions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
