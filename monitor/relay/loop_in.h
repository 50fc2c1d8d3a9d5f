/* Inside the loop: what loop.c shares with the two ways of performing operations. */
#ifndef GABION_MONITOR_RELAY_LOOP_IN_H
#define GABION_MONITOR_RELAY_LOOP_IN_H

#include "monitor/relay/loop.h"

struct ring;
struct ready;

struct loop {
	struct ring *ring;   /* one of the two */
	struct ready *ready;
	bool stop;
	uint64_t now;
	/* chunks */
	uint8_t *pool;
	struct chunk *chunks, *free;
	size_t made, used, peak; /* chunks ever taken from the pool; in somebody's hands or offered to the kernel; most of these */
	size_t offered;
	struct act *starved, **starved_end;
	struct act *answered; /* cancelled while they starved */
	/* timers: a binary heap */
	struct timer **heap;
	size_t timers, heap_size;
};

/* NULL where all are in use. */
struct chunk *loop_chunk_take(struct loop *l);
/* OP receives again when there are chunks. */
void loop_starve(struct loop *l, struct act *op);

struct ring *ring_new(struct loop *l);
struct ring *ring_free(struct ring *r);
void ring_start(struct loop *l, struct act *op);
void ring_cancel(struct loop *l, struct act *op);
/* Gives what was started to the kernel, waits at most TIMEOUT_MS (-1: for ever) for completions, calls back. */
int ring_turn(struct loop *l, int64_t timeout_ms);

struct ready *ready_new(void);
struct ready *ready_free(struct ready *r);
void ready_start(struct loop *l, struct act *op);
void ready_cancel(struct loop *l, struct act *op);
void ready_close(struct loop *l, int fd);
int ready_turn(struct loop *l, int64_t timeout_ms);

#endif
