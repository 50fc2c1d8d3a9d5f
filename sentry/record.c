/*
 * The record's rings: many writers (the sentry's threads), one reader (the monitor), memory shared over fork.
 *
 * Each ring is a power of two of bytes, addressed by positions that only grow; a position's offset is its
 * low bits. A writer reserves room by moving `tail` with one compare-and-swap, fills the entry in and then
 * commits it by storing the entry's head word, which says "entry" or "pad" and how long it is. Until then the
 * head word is zero, and the reader stops before it: entries are read in the order of reservation and
 * nobody waits for anybody. The reader zeroes what it took before it gives the room back, since bytes of an earlier
 * lap (which a guest chose) must never be taken for a head word. An entry is never split: what does not
 * fit before the end of the ring is preceded by a pad that reaches exactly to the end.
 *
 * The reader does not trust the writers. Its position, the ring's size and its addresses are in its own memory; each head
 * word is read once; an entry is copied out first and judged after that. A head word or an entry that no writer of
 * ours makes breaks the ring for good.
 *
 * Wake-up: the reader arms, looks once more, and sleeps. A writer commits and then looks whether it is armed.
 * Both do so with sequentially consistent operations, so that one of them sees the other.
 */
#include "record.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "plan.h"
#include "util/err.h"
#include "util/fd.h"
#include "verdict.h"

enum { RING_REFUSED, RING_OTHER, RING_COUNT };

/* Head word: magic in the upper half, length of the whole entry in bytes in the lower. */
#define HEAD_ENTRY 0x67616265ull
#define HEAD_PAD   0x67616270ull

enum {
	HEAD_SIZE = 8,
	ENTRY_FIXED = HEAD_SIZE + offsetof(struct record, object),
	ENTRY_MAX = ENTRY_FIXED + RECORD_OBJECT_MAX + 7,
	RING_MIN = 16384,
	RING_MAX = 1 << 28,
	FLAGS_ALL = RECORD_REFUSED | RECORD_CONTINUED | RECORD_FAILED | RECORD_INTERNAL | RECORD_KILLED,
};

_Static_assert(RING_MIN >= 2 * ENTRY_MAX, "an entry with its pad fits into the smallest ring");
_Static_assert(offsetof(struct record, object) % 8 == 0, "entries keep their alignment");

/* Shared. What writers change and what the reader changes lie on lines of their own. */
struct ring_shared {
	_Alignas(64) _Atomic uint64_t tail;    /* reserved up to here */
	_Atomic uint64_t dropped;
	_Alignas(64) _Atomic uint64_t head;    /* room before this is free again; written by the reader only */
};

struct shared {
	_Alignas(64) _Atomic uint32_t armed;
	_Atomic uint64_t limit[RECORD_LIMIT_COUNT];
	struct ring_shared ring[RING_COUNT];
};

/* Private to each process (a copy each after fork). */
struct ring {
	struct ring_shared *sh;
	unsigned char *data;
	uint64_t size;
	uint64_t pos;  /* reader's */
	bool broken;   /* reader's */
};

struct record_ring {
	struct shared *sh;
	size_t map_size;
	int event;
	struct ring ring[RING_COUNT];
};

static bool size_ok(size_t size)
{
	return size >= RING_MIN && size <= RING_MAX && (size & (size - 1)) == 0;
}

int record_ring_new(size_t refused_size, size_t other_size, struct record_ring **ret_r)
{
	if (!size_ok(refused_size) || !size_ok(other_size))
		return -EINVAL;
	size_t head = (sizeof(struct shared) + 4095) & ~(size_t)4095;
	struct record_ring *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->map_size = head + refused_size + other_size;
	r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->event < 0) {
		int err = err_now();

		free(r);
		return err;
	}
	void *map = mmap(NULL, r->map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED) {
		int err = err_now();

		r->event = fd_close(r->event);
		free(r);
		return err;
	}
	r->sh = map;
	unsigned char *data = (unsigned char *)map + head;

	r->ring[RING_REFUSED] = (struct ring){ .sh = &r->sh->ring[RING_REFUSED], .data = data, .size = refused_size };
	r->ring[RING_OTHER] = (struct ring){ .sh = &r->sh->ring[RING_OTHER], .data = data + refused_size,
					     .size = other_size };
	*ret_r = r;
	return 0;
}

struct record_ring *record_ring_free(struct record_ring *r)
{
	if (r) {
		if (r->sh)
			(void)munmap(r->sh, r->map_size);
		r->event = fd_close(r->event);
		free(r);
	}
	return NULL;
}

static _Atomic uint64_t *head_at(const struct ring *g, uint64_t pos)
{
	return (_Atomic uint64_t *)(void *)(g->data + (pos & (g->size - 1)));
}

/* Reserves LEN contiguous bytes, with the pad before them where one is needed. */
static bool reserve(const struct ring *g, uint64_t len, uint64_t *ret_pos, uint64_t *ret_pad)
{
	for (;;) {
		/* In this order the reader's position is never past the tail we see; an older one only refuses more. */
		uint64_t head = atomic_load_explicit(&g->sh->head, memory_order_acquire);
		uint64_t tail = atomic_load_explicit(&g->sh->tail, memory_order_relaxed);
		uint64_t to_end = g->size - (tail & (g->size - 1));
		uint64_t pad = to_end < len ? to_end : 0;

		if (tail + pad + len - head > g->size)
			return false;
		if (atomic_compare_exchange_weak_explicit(&g->sh->tail, &tail, tail + pad + len,
							  memory_order_relaxed, memory_order_relaxed)) {
			*ret_pos = tail;
			*ret_pad = pad;
			return true;
		}
	}
}

bool record_put(struct record_ring *r, const struct record *rec)
{
	const struct ring *g = &r->ring[rec->flags & RECORD_REFUSED ? RING_REFUSED : RING_OTHER];
	size_t objects = (size_t)rec->object_len + rec->object2_len;
	uint64_t pos, pad;

	/* An internal failure denied a call: it is as rare and as telling as a refusal. */
	if (rec->flags & RECORD_INTERNAL)
		g = &r->ring[RING_REFUSED];
	uint64_t len = (ENTRY_FIXED + objects + 7) & ~7ull;

	if (objects > RECORD_OBJECT_MAX || !reserve(g, len, &pos, &pad)) {
		atomic_fetch_add_explicit(&g->sh->dropped, 1, memory_order_relaxed);
		return false;
	}
	if (pad) {
		atomic_store_explicit(head_at(g, pos), HEAD_PAD << 32 | pad, memory_order_release);
		pos += pad;
	}
	memcpy(g->data + (pos & (g->size - 1)) + HEAD_SIZE, rec, offsetof(struct record, object) + objects);
	/* Sequentially consistent: it stands before the look at `armed`. */
	atomic_exchange(head_at(g, pos), HEAD_ENTRY << 32 | len);
	if (atomic_load(&r->sh->armed) && atomic_exchange(&r->sh->armed, 0)) {
		int saved = errno;

		/* Fails only where the counter is full, and then the reader is woken anyway. */
		(void)!write(r->event, &(uint64_t){ 1 }, sizeof(uint64_t));
		errno = saved;
	}
	return true;
}

static void break_ring(struct ring *g, bool *ret_broken)
{
	g->broken = true;
	*ret_broken = true;
}

/* Gives LEN bytes from the reader's position back to the writers. */
static void release(struct ring *g, uint64_t len)
{
	memset(g->data + (g->pos & (g->size - 1)), 0, len);
	g->pos += len;
	atomic_store_explicit(&g->sh->head, g->pos, memory_order_release);
}

/* Length of the next committed entry at the reader's position; pads are passed over. 0 where there is none. */
static uint64_t next_entry(struct ring *g, bool *ret_broken)
{
	/* A pad reaches to the ring's end, and none begins there: one turn at most is a pad. */
	for (int turn = 0; turn < 2 && !g->broken; turn++) {
		uint64_t head = atomic_load_explicit(head_at(g, g->pos), memory_order_acquire);
		uint64_t len = head & 0xffffffff;
		uint64_t offset = g->pos & (g->size - 1);

		if (head == 0)
			return 0;
		if (head >> 32 == HEAD_ENTRY && len % 8 == 0 && len >= ENTRY_FIXED && len <= ENTRY_MAX &&
		    len <= g->size - offset)
			return len;
		if (head >> 32 != HEAD_PAD || len != g->size - offset || len >= ENTRY_MAX || offset == 0)
			break_ring(g, ret_broken);
		else
			release(g, len);
	}
	return 0;
}

/* Time of the next entry, for the order between the rings; only a hint, judged when it is taken. */
static uint64_t peek_time(const struct ring *g)
{
	uint64_t t;

	memcpy(&t, g->data + (g->pos & (g->size - 1)) + HEAD_SIZE + offsetof(struct record, time_ns), sizeof(t));
	return t;
}

static bool record_ok(const struct record *rec, uint64_t len)
{
	size_t objects = (size_t)rec->object_len + rec->object2_len;

	return objects <= RECORD_OBJECT_MAX && ((ENTRY_FIXED + objects + 7) & ~7ull) == len &&
	       !(rec->flags & ~(uint32_t)FLAGS_ALL) && rec->op < OP_COUNT && rec->level <= LEVEL_NATIVE &&
	       rec->reserved[0] == 0 && rec->reserved[1] == 0 && memchr(rec->comm, 0, sizeof(rec->comm));
}

bool record_take(struct record_ring *r, struct record *ret_rec, bool *ret_broken)
{
	*ret_broken = false;
	for (;;) {
		uint64_t len[RING_COUNT];

		for (int i = 0; i < RING_COUNT; i++)
			len[i] = r->ring[i].broken ? 0 : next_entry(&r->ring[i], ret_broken);
		if (!len[RING_REFUSED] && !len[RING_OTHER])
			return false;
		int i = !len[RING_REFUSED] ? RING_OTHER : RING_REFUSED;

		if (len[RING_REFUSED] && len[RING_OTHER] &&
		    peek_time(&r->ring[RING_OTHER]) < peek_time(&r->ring[RING_REFUSED]))
			i = RING_OTHER;
		struct ring *g = &r->ring[i];

		/* At most sizeof *ret_rec - 1 + 8 bytes could follow the head: copy what belongs to a record. */
		size_t n = len[i] - HEAD_SIZE;

		if (n > sizeof(*ret_rec))
			n = sizeof(*ret_rec);
		memcpy(ret_rec, g->data + (g->pos & (g->size - 1)) + HEAD_SIZE, n);
		if (record_ok(ret_rec, len[i])) {
			release(g, len[i]);
			return true;
		}
		break_ring(g, ret_broken);
	}
}

bool record_arm(struct record_ring *r)
{
	atomic_store(&r->sh->armed, 1);
	atomic_thread_fence(memory_order_seq_cst);
	for (int i = 0; i < RING_COUNT; i++) {
		if (!r->ring[i].broken && atomic_load(head_at(&r->ring[i], r->ring[i].pos)) != 0) {
			atomic_store(&r->sh->armed, 0);
			return false;
		}
	}
	return true;
}

int record_eventfd(const struct record_ring *r)
{
	return r->event;
}

void record_dropped(const struct record_ring *r, uint64_t *ret_refused, uint64_t *ret_other)
{
	*ret_refused = atomic_load_explicit(&r->sh->ring[RING_REFUSED].dropped, memory_order_relaxed);
	*ret_other = atomic_load_explicit(&r->sh->ring[RING_OTHER].dropped, memory_order_relaxed);
}

void record_limit_met(struct record_ring *r, enum record_limit what)
{
	atomic_fetch_add_explicit(&r->sh->limit[what], 1, memory_order_relaxed);
}

void record_limits(const struct record_ring *r, uint64_t ret_met[RECORD_LIMIT_COUNT])
{
	for (int i = 0; i < RECORD_LIMIT_COUNT; i++)
		ret_met[i] = atomic_load_explicit(&r->sh->limit[i], memory_order_relaxed);
}
