/*
 * The loop on an io_uring. Ring operations pass by a process's seccomp filter, so the ring is made disabled, given the list of the
 * six operations used here and nothing else (io_uring_register(2), IORING_REGISTER_RESTRICTIONS; liburing 2.3 does not export
 * the call), and enabled only then (invariant 14).
 *
 * Buffers: CHUNK_OFFERED chunks at a time lie in the buffer ring; the kernel takes the oldest when there are bytes to receive,
 * and another one is put in. A receive that finds none ends with ENOBUFS and waits for chunks.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/relay/loop_in.h"
#include "util/err.h"
#include "util/fd.h"

enum { ENTRIES = 256, COMPLETIONS = 4096, GROUP = 0, BUF_ENTRIES = CHUNK_OFFERED * 2 };

struct ring {
	struct io_uring uring;
	struct io_uring_buf_ring *bufs;
};

static int set_up(struct io_uring *u)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, /* 6.1 */
		0,
	};
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_LEN(flags) && r == -EINVAL; i++) {
		struct io_uring_params p = { .flags = flags[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE |
						      IORING_SETUP_CLAMP,
					     .cq_entries = COMPLETIONS };
		r = io_uring_queue_init_params(ENTRIES, u, &p);
	}
	return r;
}

static int restrict_to_used(const struct io_uring *u)
{
	static const uint8_t ops[] = { IORING_OP_ACCEPT, IORING_OP_RECV,     IORING_OP_SEND,
				       IORING_OP_CONNECT, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL };
	struct io_uring_restriction list[ARRAY_LEN(ops) + 1];

	memset(list, 0, sizeof(list));
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		list[i].opcode = IORING_RESTRICTION_SQE_OP;
		list[i].sqe_op = ops[i];
	}
	list[ARRAY_LEN(ops)].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	list[ARRAY_LEN(ops)].sqe_flags = IOSQE_BUFFER_SELECT;
	return syscall(SYS_io_uring_register, u->ring_fd, IORING_REGISTER_RESTRICTIONS, list, ARRAY_LEN(list)) < 0 ||
			       syscall(SYS_io_uring_register, u->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0 ?
		       err_now() :
		       0;
}

static void offer(struct loop *l, struct ring *r)
{
	int n = 0;

	for (struct chunk *c; l->offered < CHUNK_OFFERED && (c = loop_chunk_take(l)) != NULL; l->offered++)
		io_uring_buf_ring_add(r->bufs, loop_chunk_data(l, c), CHUNK_SIZE, c->id,
				      io_uring_buf_ring_mask(BUF_ENTRIES), n++);
	io_uring_buf_ring_advance(r->bufs, n);
}

/* A multishot receive that goes on after the first byte: there since 6.0, where everything used here is. */
static bool good_enough(struct loop *l, struct ring *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);
	struct io_uring_cqe *cqe;
	int pair[2];
	bool good = false;

	if (sqe == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	io_uring_prep_recv_multishot(sqe, pair[0], NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	if (write(pair[1], "x", 1) == 1 && io_uring_submit_and_wait(&r->uring, 1) == 1 &&
	    io_uring_peek_cqe(&r->uring, &cqe) == 0) {
		good = cqe->res == 1 && (cqe->flags & IORING_CQE_F_MORE) != 0 && (cqe->flags & IORING_CQE_F_BUFFER) != 0;
		if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
			l->offered--;
			loop_chunk_free(l, &l->chunks[cqe->flags >> IORING_CQE_BUFFER_SHIFT]);
		}
		io_uring_cqe_seen(&r->uring, cqe);
	}
	(void)fd_close(pair[1]); /* ends the receive */
	if (good && io_uring_submit_and_wait(&r->uring, 1) >= 0 && io_uring_peek_cqe(&r->uring, &cqe) == 0) {
		if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
			l->offered--;
			loop_chunk_free(l, &l->chunks[cqe->flags >> IORING_CQE_BUFFER_SHIFT]);
		}
		io_uring_cqe_seen(&r->uring, cqe);
	} else {
		good = false;
	}
	(void)fd_close(pair[0]);
	return good;
}

static size_t bufs_size(void)
{
	return BUF_ENTRIES * sizeof(struct io_uring_buf);
}

struct ring *ring_new(struct loop *l)
{
	struct ring *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	if (set_up(&r->uring) < 0) {
		free(r);
		return NULL;
	}
	r->bufs = mmap(NULL, bufs_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->bufs == MAP_FAILED) {
		r->bufs = NULL;
		return ring_free(r);
	}
	struct io_uring_buf_reg reg = { .ring_addr = (uint64_t)(uintptr_t)r->bufs,
					.ring_entries = BUF_ENTRIES,
					.bgid = GROUP };
	if (io_uring_register_buf_ring(&r->uring, &reg, 0) < 0 || restrict_to_used(&r->uring) < 0)
		return ring_free(r);
	io_uring_buf_ring_init(r->bufs);
	offer(l, r);
	if (!good_enough(l, r)) {
		/* The chunks go to the other way of doing it. */
		l->made = l->used = l->offered = 0;
		l->free = NULL;
		return ring_free(r);
	}
	offer(l, r);
	return r;
}

struct ring *ring_free(struct ring *r)
{
	if (r == NULL)
		return NULL;
	io_uring_queue_exit(&r->uring);
	if (r->bufs != NULL)
		(void)munmap(r->bufs, bufs_size());
	free(r);
	return NULL;
}

static struct io_uring_sqe *next_sqe(struct ring *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

	for (int tries = 0; sqe == NULL && tries < 1000; tries++) {
		(void)io_uring_submit(&r->uring);
		sqe = io_uring_get_sqe(&r->uring);
	}
	if (sqe == NULL)
		abort(); /* the kernel takes nothing more: no way on, and the run ends */
	return sqe;
}

void ring_start(struct loop *l, struct act *op)
{
	struct io_uring_sqe *sqe = next_sqe(l->ring);

	switch (op->waits ? ACT_POLL : (enum act_kind)op->kind) {
	case ACT_ACCEPT:
		io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
		break;
	case ACT_RECV:
		io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = GROUP;
		break;
	case ACT_RECV_ONCE:
		io_uring_prep_recv(sqe, op->fd, NULL, op->len, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = GROUP;
		break;
	case ACT_SEND: {
		const uint8_t *from = op->data;

		io_uring_prep_send(sqe, op->fd, from + op->sent, op->len - op->sent, MSG_NOSIGNAL | MSG_WAITALL);
		break;
	}
	case ACT_CONNECT:
		io_uring_prep_connect(sqe, op->fd, op->data, op->len);
		break;
	case ACT_POLL:
	case ACT_NONE:
		io_uring_prep_poll_add(sqe, op->fd, op->waits ? (op->kind == ACT_SEND ? POLLOUT : POLLIN) : (unsigned int)op->events);
		break;
	}
	io_uring_sqe_set_data(sqe, op);
}

void ring_cancel(struct loop *l, struct act *op)
{
	struct io_uring_sqe *sqe = next_sqe(l->ring);

	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

/*
 * A connect may complete with 0 where it has not: an ICMP error that may pass (host unreachable) makes the socket ready, and the
 * ring then finds no error that is final (seen on 6.18). Who waits with poll is told that error, so it is told here. The result.
 */
static int connect_result(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa), err_len = sizeof(int);
	int err = 0;

	if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_len) < 0)
		return err_now();
	return err != 0 ? -err : -EHOSTUNREACH;
}

static void complete(struct loop *l, const struct io_uring_cqe *cqe)
{
	struct act *op = io_uring_cqe_get_data(cqe);
	bool more = (cqe->flags & IORING_CQE_F_MORE) != 0;
	struct chunk *c = NULL;
	int res = cqe->res;

	if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
		c = &l->chunks[cqe->flags >> IORING_CQE_BUFFER_SHIFT];
		l->offered--;
		c->len = res > 0 ? (uint32_t)res : 0;
		c->off = 0;
	}
	if (op == NULL)
		return;
	if (c != NULL && res <= 0) {
		loop_chunk_free(l, c);
		c = NULL;
	}
	bool receives = op->kind == ACT_RECV || op->kind == ACT_RECV_ONCE;
	if (receives && res == -ENOBUFS && !op->cancelled) {
		loop_starve(l, op);
		return;
	}
	if (receives && res == -ENOBUFS)
		res = -ECANCELED;
	/* The socket does not block (the other direction is spliced): the ring waits for it only when told. */
	if (op->waits && !op->cancelled) {
		op->waits = false;
		ring_start(l, op);
		return;
	}
	if (res == -EAGAIN && op->kind != ACT_POLL && op->kind != ACT_CONNECT && !op->cancelled) {
		op->waits = true;
		ring_start(l, op);
		return;
	}
	if (op->kind == ACT_SEND && res > 0 && op->sent + (uint32_t)res < op->len && !op->cancelled) {
		op->sent += (uint32_t)res; /* a signal, or memory: go on */
		ring_start(l, op);
		return;
	}
	if (op->kind == ACT_SEND && res > 0)
		res = (int)(op->sent + (uint32_t)res);
	/* Multishot ended for want of room, not for an error: begin again. */
	if (!more && (op->kind == ACT_ACCEPT || op->kind == ACT_RECV) && res > 0 && !op->cancelled) {
		ring_start(l, op);
		more = true;
	}
	if (op->cancelled && op->waits)
		res = -ECANCELED;
	if (op->kind == ACT_CONNECT && res == 0)
		res = connect_result(op->fd);
	if (!more)
		op->kind = ACT_NONE;
	op->done(op, res, c);
}

int ring_turn(struct loop *l, int64_t timeout_ms)
{
	enum { BATCH = 128 };
	struct ring *r = l->ring;
	struct __kernel_timespec ts = { .tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000 };
	struct io_uring_cqe *cqe[BATCH];
	unsigned int n;

	offer(l, r);
	int e = io_uring_submit_and_wait_timeout(&r->uring, cqe, 1, timeout_ms < 0 ? NULL : &ts, NULL);
	if (e < 0 && e != -ETIME && e != -EINTR && e != -EBUSY && e != -EAGAIN)
		return e;
	while ((n = io_uring_peek_batch_cqe(&r->uring, cqe, BATCH)) > 0) {
		for (unsigned int i = 0; i < n; i++) {
			struct io_uring_cqe copy = *cqe[i];

			complete(l, &copy);
		}
		io_uring_cq_advance(&r->uring, n);
		if (n < BATCH)
			break;
	}
	return 0;
}
