/*
 * The relay's loop: operations are handed in and complete later, by one callback each. Two ways to perform them behind one face:
 * an io_uring (loop_ring.c: multishot accept and receive, buffers the kernel picks), or epoll with the same operations performed
 * when a socket is ready (loop_epoll.c), where the host has io_uring switched off or is too old.
 *
 * One thread. A callback may start, cancel and free anything but the loop; an operation's struct must stay until its last
 * callback: it is busy until then, also after loop_cancel(). Received bytes lie in chunks of one pool for all connections, which
 * bounds the memory: where it is used up, receiving waits until somebody has sent.
 */
#ifndef GABION_MONITOR_RELAY_LOOP_H
#define GABION_MONITOR_RELAY_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { CHUNK_SIZE = 32 * 1024, CHUNK_COUNT = 4096, CHUNK_OFFERED = 64 };

struct loop;
struct act;

/* Received bytes; its owner gives it back with loop_chunk_free(). */
struct chunk {
	struct chunk *next; /* the owner's */
	uint32_t len, off;  /* bytes received; off is the owner's */
	uint16_t id;
	bool unused; /* the loop's */
};

enum act_kind {
	ACT_NONE = 0, /* not in flight */
	ACT_ACCEPT,   /* RES: a connection's descriptor (CLOEXEC), again and again */
	ACT_RECV,     /* RES: bytes, in CHUNK, again and again; 0: the end */
	ACT_RECV_ONCE,
	ACT_SEND,     /* RES: bytes; less than asked for only before an error */
	ACT_CONNECT,  /* RES: 0 */
	ACT_POLL,     /* RES: poll(2) events, once */
};

/* RES may be a negative errno instead. Where op->kind is ACT_NONE this was the last callback. */
typedef void (*act_fn)(struct act *op, int res, struct chunk *chunk);

struct act {
	act_fn done;
	int fd;
	uint8_t kind;	 /* enum act_kind, set by the loop */
	bool cancelled;	 /* the loop's from here on */
	bool starved;	 /* waits for chunks */
	bool queued;
	bool waits;	 /* until it can be tried again */
	short events;
	int flags;
	uint32_t len, sent;
	const void *data;
	struct act *next;
};

struct timer {
	uint64_t at;   /* ms of loop_now() */
	size_t place;  /* 1 + index in the heap; 0: not set */
	void (*fire)(struct timer *t);
};

#define container(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* EPOLL: do not try a ring. NULL with errno. */
struct loop *loop_new(bool epoll);
struct loop *loop_free(struct loop *l);
bool loop_has_ring(const struct loop *l);
/* Until loop_stop(). 0 or negative errno. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);
uint64_t loop_now(const struct loop *l); /* ms, monotonic, of this turn */

/* OP must not be busy; OP->done is set by the caller. Failures arrive by callback as well, never before these return. */
void loop_accept(struct loop *l, struct act *op, int fd);
void loop_recv(struct loop *l, struct act *op, int fd);
/* At most MOST bytes, once: a receive that goes on has taken up to CHUNK_OFFERED chunks by the time its caller sees the first. */
void loop_recv_once(struct loop *l, struct act *op, int fd, uint32_t most);
void loop_send(struct loop *l, struct act *op, int fd, const void *data, uint32_t len);
void loop_connect(struct loop *l, struct act *op, int fd, const struct sockaddr *sa, socklen_t len); /* SA stays */
void loop_poll(struct loop *l, struct act *op, int fd, short events);
/* The last callback comes with what happened first: a result or -ECANCELED. Nothing where it is not busy. */
void loop_cancel(struct loop *l, struct act *op);
static inline bool act_busy(const struct act *op)
{
	return op->kind != ACT_NONE;
}

/* A socket as the loop wants them (a ring waits for those that block, epoll needs those that do not). -1 with errno. */
int loop_socket(const struct loop *l, int family, int type, int protocol);
/* The same for a descriptor that came from elsewhere. 0 or negative errno. */
int loop_adopt(const struct loop *l, int fd);
/* FD was closed by somebody else. */
void loop_forget(struct loop *l, int fd);
/* Closes a descriptor that operations were started on; none may be busy. Returns -1. */
int loop_close(struct loop *l, int fd);

uint8_t *loop_chunk_data(const struct loop *l, const struct chunk *c);
void loop_chunk_free(struct loop *l, struct chunk *c);
/* Chunks in somebody's hands. */
size_t loop_chunks_used(const struct loop *l);

/* Sets T, or sets it anew, to fire after MS. Returns 0 or -ENOMEM. */
int loop_timer(struct loop *l, struct timer *t, uint64_t ms);
void loop_timer_stop(struct loop *l, struct timer *t);

#endif
