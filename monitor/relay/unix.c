/*
 * Packets and datagrams of Unix sockets. Streams go through conn.c; these keep their boundaries, so they are moved one at a time through a
 * buffer as large as the kernel lets one be. Plain recv() and send(): what rides along (descriptors, credentials) is dropped by
 * the kernel, and the other side is told the relay's credentials.
 *
 * A datagram has no way back: the sender's address is a path of the guest's view.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "monitor/relay/relay_in.h"
#include "util/err.h"
#include "util/fd.h"

enum { PACKET_MAX = 256 * 1024, PAIRS_MOST = 64, BURST = 16 };

struct half {
	struct pair *p;
	struct act act;
	int from, to;
	bool over;
	size_t held;   /* bytes that wait for room */
	uint8_t *data; /* PACKET_MAX, once something came */
};

struct pair {
	struct relay *r;
	struct half half[2];
	int fd[2];
	bool ending;
	struct timer timer;
};

struct port {
	struct relay *r;
	struct act act;
	struct timer again;
	int fd;
	uint32_t id;
	uint8_t *data;
};

static unsigned int pairs;

static void release(struct pair *p)
{
	if (act_busy(&p->half[0].act) || act_busy(&p->half[1].act))
		return;
	loop_timer_stop(p->r->loop, &p->timer);
	for (int i = 0; i < 2; i++) {
		(void)loop_close(p->r->loop, p->fd[i]);
		free(p->half[i].data);
	}
	free(p);
	pairs--;
}

static void end(struct pair *p)
{
	if (p->ending)
		return;
	p->ending = true;
	loop_cancel(p->r->loop, &p->half[0].act);
	loop_cancel(p->r->loop, &p->half[1].act);
	(void)loop_timer(p->r->loop, &p->timer, 0);
}

static void fired(struct timer *t)
{
	release(container(t, struct pair, timer));
}

static void step(struct half *h)
{
	struct pair *p = h->p;

	if (h->data == NULL && (h->data = malloc(PACKET_MAX)) == NULL) {
		end(p);
		return;
	}
	for (int i = 0; i < BURST; i++) {
		ssize_t n;

		if (h->held == 0) {
			n = recv(h->from, h->data, PACKET_MAX, MSG_DONTWAIT);
			if (n < 0 && errno == EAGAIN)
				break;
			if (n <= 0) {
				h->over = true;
				(void)shutdown(h->to, SHUT_WR);
				if (n < 0 || p->half[0].over == p->half[1].over)
					end(p);
				return;
			}
			h->held = (size_t)n;
		}
		n = send(h->to, h->data, h->held, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			end(p);
			return;
		}
		h->held = 0;
	}
	loop_poll(p->r->loop, &h->act, h->held > 0 ? h->to : h->from, h->held > 0 ? POLLOUT : POLLIN);
}

static void ready(struct act *act, int res, struct chunk *c)
{
	struct half *h = container(act, struct half, act);

	(void)c;
	if (h->p->ending)
		release(h->p);
	else if (res < 0)
		end(h->p);
	else
		step(h);
}

int unix_seqpacket(struct relay *r, int guest, int upstream)
{
	struct pair *p = pairs < PAIRS_MOST ? calloc(1, sizeof(*p)) : NULL;

	if (p == NULL) {
		(void)fd_close(guest);
		(void)fd_close(upstream);
		return -ENOBUFS;
	}
	pairs++;
	p->r = r;
	p->fd[0] = guest;
	p->fd[1] = upstream;
	p->timer.fire = fired;
	for (int i = 0; i < 2; i++) {
		p->half[i] = (struct half){ .p = p, .from = p->fd[i], .to = p->fd[!i], .act.done = ready };
		loop_poll(r->loop, &p->half[i].act, p->fd[i], POLLIN);
	}
	return 0;
}

static void dgram_ready(struct act *act, int res, struct chunk *c)
{
	struct port *p = container(act, struct port, act);
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int target = unix_target_fd(p->r, p->id);
	bool full = false;

	(void)c;
	if (res < 0)
		return;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d", target);
	AUTO_FD int out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool there = target >= 0 && out >= 0 && connect(out, (struct sockaddr *)&sun, sizeof(sun)) == 0;
	for (int i = 0; i < BURST && !full; i++) {
		/* What the other side has no room for stays with the sender. */
		ssize_t n = recv(p->fd, p->data, PACKET_MAX, MSG_DONTWAIT | (there ? MSG_PEEK : 0));

		if (n < 0)
			break;
		if (!there)
			continue;
		full = send(out, p->data, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN;
		if (!full)
			(void)recv(p->fd, p->data, 0, MSG_DONTWAIT | MSG_TRUNC);
	}
	if (full)
		(void)loop_timer(p->r->loop, &p->again, 20);
	else
		loop_poll(p->r->loop, act, p->fd, POLLIN);
}

static void dgram_again(struct timer *t)
{
	struct port *p = container(t, struct port, again);

	if (!act_busy(&p->act))
		loop_poll(p->r->loop, &p->act, p->fd, POLLIN);
}

int unix_dgram(struct relay *r, int fd, uint32_t id)
{
	struct port *p = calloc(1, sizeof(*p));
	uint8_t *data = malloc(PACKET_MAX);

	if (p == NULL || data == NULL) {
		free(p);
		free(data);
		(void)fd_close(fd);
		return -ENOMEM;
	}
	*p = (struct port){ .r = r, .fd = fd, .id = id, .data = data, .act.done = dgram_ready, .again.fire = dgram_again };
	loop_poll(r->loop, &p->act, fd, POLLIN);
	return 0;
}
