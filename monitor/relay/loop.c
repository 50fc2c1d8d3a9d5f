/* What both ways of performing operations have in common: chunks, timers, turns. See loop.h. */
#include "monitor/relay/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "monitor/relay/loop_in.h"
#include "util/err.h"
#include "util/fd.h"

static uint64_t clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct loop *loop_new(bool epoll)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->starved_end = &l->starved;
	l->now = clock_ms();
	/* Pages of both come with their use. */
	l->chunks = mmap(NULL, CHUNK_COUNT * sizeof(*l->chunks), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	l->pool = mmap(NULL, (size_t)CHUNK_COUNT * CHUNK_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (l->chunks == MAP_FAILED || l->pool == MAP_FAILED) {
		if (l->chunks != MAP_FAILED)
			(void)munmap(l->chunks, CHUNK_COUNT * sizeof(*l->chunks));
		free(l);
		return NULL;
	}
	if (!epoll)
		l->ring = ring_new(l);
	if (l->ring == NULL)
		l->ready = ready_new();
	return l->ring == NULL && l->ready == NULL ? loop_free(l) : l;
}

struct loop *loop_free(struct loop *l)
{
	if (l == NULL)
		return NULL;
	ring_free(l->ring);
	ready_free(l->ready);
	(void)munmap(l->chunks, CHUNK_COUNT * sizeof(*l->chunks));
	(void)munmap(l->pool, (size_t)CHUNK_COUNT * CHUNK_SIZE);
	free(l->heap);
	free(l);
	return NULL;
}

bool loop_has_ring(const struct loop *l)
{
	return l->ring != NULL;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}

uint64_t loop_now(const struct loop *l)
{
	return l->now;
}

/* ---- chunks: the last one given back is the next one taken, so that few pages are in use ---- */

struct chunk *loop_chunk_take(struct loop *l)
{
	struct chunk *c = l->free;

	if (c != NULL) {
		l->free = c->next;
	} else {
		if (l->made == CHUNK_COUNT)
			return NULL;
		c = &l->chunks[l->made];
		c->id = (uint16_t)l->made++;
	}
	if (++l->used > l->peak)
		l->peak = l->used;
	c->unused = false;
	c->next = NULL;
	c->off = c->len = 0;
	return c;
}

uint8_t *loop_chunk_data(const struct loop *l, const struct chunk *c)
{
	return l->pool + (size_t)c->id * CHUNK_SIZE;
}

size_t loop_chunks_used(const struct loop *l)
{
	return l->used - l->offered;
}

void loop_chunk_free(struct loop *l, struct chunk *c)
{
	if (c == NULL)
		return;
	c->next = l->free;
	c->unused = true;
	l->free = c;
	l->used--;
	if (l->starved != NULL && l->used < CHUNK_COUNT - CHUNK_OFFERED) {
		struct act *op = l->starved;

		l->starved = op->next;
		if (l->starved == NULL)
			l->starved_end = &l->starved;
		op->starved = false;
		op->next = NULL;
		if (l->ring != NULL)
			ring_start(l, op);
		else
			ready_start(l, op);
	}
}

/* After a flood its memory goes back: of chunks in nobody's hands, not the kernel's either. */
static void trim(struct loop *l)
{
	enum { KEEP = 4 * CHUNK_OFFERED };
	size_t from = 0, i;

	if (l->peak <= KEEP || l->used > KEEP / 2)
		return;
	l->peak = l->used;
	for (i = 0; i <= l->made; i++) {
		if (i < l->made && l->chunks[i].unused)
			continue;
		if (i > from)
			(void)madvise(l->pool + from * CHUNK_SIZE, (i - from) * CHUNK_SIZE, MADV_DONTNEED);
		from = i + 1;
	}
}

void loop_starve(struct loop *l, struct act *op)
{
	op->starved = true;
	op->next = NULL;
	*l->starved_end = op;
	l->starved_end = &op->next;
}

static void unstarve(struct loop *l, struct act *op)
{
	struct act **at = &l->starved;

	while (*at != NULL && *at != op)
		at = &(*at)->next;
	if (*at == op)
		*at = op->next;
	for (l->starved_end = &l->starved; *l->starved_end != NULL; l->starved_end = &(*l->starved_end)->next)
		;
	op->starved = false;
}

/* ---- operations ---- */

static void start(struct loop *l, struct act *op, enum act_kind kind, int fd)
{
	op->kind = (uint8_t)kind;
	op->fd = fd;
	op->cancelled = op->starved = op->queued = op->waits = false;
	op->sent = 0;
	op->next = NULL;
	if (l->ring != NULL)
		ring_start(l, op);
	else
		ready_start(l, op);
}

void loop_accept(struct loop *l, struct act *op, int fd)
{
	start(l, op, ACT_ACCEPT, fd);
}

void loop_recv(struct loop *l, struct act *op, int fd)
{
	start(l, op, ACT_RECV, fd);
}

void loop_recv_once(struct loop *l, struct act *op, int fd, uint32_t most)
{
	op->len = most < CHUNK_SIZE ? most : CHUNK_SIZE;
	start(l, op, ACT_RECV_ONCE, fd);
}

void loop_send(struct loop *l, struct act *op, int fd, const void *data, uint32_t len)
{
	op->data = data;
	op->len = len;
	start(l, op, ACT_SEND, fd);
}

void loop_connect(struct loop *l, struct act *op, int fd, const struct sockaddr *sa, socklen_t len)
{
	op->data = sa;
	op->len = len;
	start(l, op, ACT_CONNECT, fd);
}

void loop_poll(struct loop *l, struct act *op, int fd, short events)
{
	op->events = events;
	start(l, op, ACT_POLL, fd);
}

void loop_cancel(struct loop *l, struct act *op)
{
	if (!act_busy(op) || op->cancelled)
		return;
	op->cancelled = true;
	if (op->starved) { /* nobody else knows of it */
		unstarve(l, op);
		if (l->ring != NULL) {
			op->next = l->answered;
			l->answered = op;
			return;
		}
	}
	if (l->ring != NULL)
		ring_cancel(l, op);
	else
		ready_cancel(l, op);
}

int loop_close(struct loop *l, int fd)
{
	loop_forget(l, fd);
	return fd_close(fd);
}

void loop_forget(struct loop *l, int fd)
{
	if (l->ready != NULL && fd >= 0)
		ready_close(l, fd);
}

int loop_socket(const struct loop *l, int family, int type, int protocol)
{
	return socket(family, type | SOCK_CLOEXEC | (l->ready != NULL ? SOCK_NONBLOCK : 0), protocol);
}

int loop_adopt(const struct loop *l, int fd)
{
	int flags = fcntl(fd, F_GETFL), wanted = l->ready != NULL ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;

	return flags < 0 || (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0) ? err_now() : 0;
}

/* ---- timers ---- */

static void heap_put(struct loop *l, size_t i, struct timer *t)
{
	l->heap[i] = t;
	t->place = i + 1;
}

static void heap_up(struct loop *l, size_t i)
{
	struct timer *t = l->heap[i];

	for (; i > 0 && l->heap[(i - 1) / 2]->at > t->at; i = (i - 1) / 2)
		heap_put(l, i, l->heap[(i - 1) / 2]);
	heap_put(l, i, t);
}

static void heap_down(struct loop *l, size_t i)
{
	struct timer *t = l->heap[i];
	size_t child;

	for (; (child = 2 * i + 1) < l->timers; i = child) {
		if (child + 1 < l->timers && l->heap[child + 1]->at < l->heap[child]->at)
			child++;
		if (l->heap[child]->at >= t->at)
			break;
		heap_put(l, i, l->heap[child]);
	}
	heap_put(l, i, t);
}

int loop_timer(struct loop *l, struct timer *t, uint64_t ms)
{
	uint64_t at = l->now + ms, before = t->at;

	if (t->place == 0 && l->timers == l->heap_size) {
		size_t size = l->heap_size == 0 ? 64 : l->heap_size * 2;
		struct timer **heap = realloc(l->heap, size * sizeof(*heap));

		if (heap == NULL)
			return -ENOMEM;
		l->heap = heap;
		l->heap_size = size;
	}
	t->at = at;
	if (t->place == 0) {
		heap_put(l, l->timers++, t);
		heap_up(l, t->place - 1);
	} else if (at < before) {
		heap_up(l, t->place - 1);
	} else {
		heap_down(l, t->place - 1);
	}
	return 0;
}

void loop_timer_stop(struct loop *l, struct timer *t)
{
	if (t->place == 0)
		return;
	size_t i = t->place - 1;
	t->place = 0;
	struct timer *last = l->heap[--l->timers];
	if (last == t)
		return;
	heap_put(l, i, last);
	heap_up(l, i);
	heap_down(l, last->place - 1);
}

static void fire(struct loop *l)
{
	while (l->timers > 0 && l->heap[0]->at <= l->now) {
		struct timer *t = l->heap[0];

		loop_timer_stop(l, t);
		t->fire(t);
	}
}

int loop_run(struct loop *l)
{
	while (!l->stop) {
		int64_t wait = -1;

		l->now = clock_ms();
		fire(l);
		while (l->answered != NULL) {
			struct act *op = l->answered;

			l->answered = op->next;
			op->kind = ACT_NONE;
			op->done(op, -ECANCELED, NULL);
		}
		if (l->stop)
			break;
		trim(l);
		if (l->timers > 0)
			wait = (int64_t)(l->heap[0]->at > l->now ? l->heap[0]->at - l->now : 0);
		if (l->answered != NULL)
			wait = 0;
		int r = l->ring != NULL ? ring_turn(l, wait) : ready_turn(l, wait);
		if (r < 0)
			return r;
	}
	return 0;
}
