/*
 * One thread waits for listeners, one more answers each: see listeners.h. A listener's thread ends with its last user. What
 * is not a whole, sane message, and the other end's end, are the sentry's end: nobody would bring us the next one.
 *
 * Syscalls: recvmsg, sendto, clone3, mmap, munmap, mprotect, futex, nanosleep, exit_group.
 */
#include "sentry/listeners.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sentry.h"
#include "sentry/pool.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	CHANNEL_STACK = 128 * 1024,
	RECEIVER_STACK = 256 * 1024,
	EXIT_LOST = 1,
	EXIT_DEAF = 2, /* a listener cannot be listened to: its users would hang */
};

static struct {
	struct sentry *s;
	int channel;
	pthread_mutex_t lock;
	pthread_cond_t fewer;
	unsigned int n;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .fewer = PTHREAD_COND_INITIALIZER};

static int start_thread(void *(*fn)(void *), void *arg, size_t stack)
{
	pthread_attr_t attr;
	pthread_t t;
	int r;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, stack);
	r = pthread_create(&t, &attr, fn, arg);
	(void)pthread_attr_destroy(&attr);
	return -r;
}

static void *receiver(void *arg)
{
	struct mech *m = arg;

	if (handle_more(all.s, m) < 0)
		_exit(EXIT_DEAF);
	m->ops->close(m);
	(void)pthread_mutex_lock(&all.lock);
	all.n--;
	(void)pthread_cond_signal(&all.fewer);
	(void)pthread_mutex_unlock(&all.lock);
	return NULL;
}

/* FD is ours in every case. */
static int add(int fd)
{
	struct mech *m = NULL;
	int r = mech_notify_new(fd, &m);

	if (r < 0) {
		(void)fd_close(fd);
		return r;
	}
	(void)pthread_mutex_lock(&all.lock);
	all.n++;
	(void)pthread_mutex_unlock(&all.lock);
	r = start_thread(receiver, m, RECEIVER_STACK);
	if (r < 0) {
		m->ops->close(m);
		(void)pthread_mutex_lock(&all.lock);
		all.n--;
		(void)pthread_mutex_unlock(&all.lock);
	}
	return r;
}

/* The next listener, -1 where the message was none. */
static int next(int channel)
{
	struct listener_msg msg;
	struct iovec iov = {.iov_base = &msg, .iov_len = sizeof(msg)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u;
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};
	ssize_t n;
	int fd;

	do {
		n = recvmsg(channel, &mh, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	struct cmsghdr *c = n == (ssize_t)sizeof(msg) ? CMSG_FIRSTHDR(&mh) : NULL;
	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)) ||
	    msg.kind != LISTENER_MSG_ADD)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void *channel_loop(void *arg)
{
	(void)arg;
	(void)pool_thread_start();
	for (;;) {
		int fd = next(all.channel);
		struct listener_msg msg = {.kind = LISTENER_MSG_ADD, .value = fd < 0 ? -EPROTO : 0};
		if (fd < 0)
			_exit(EXIT_LOST);
		msg.value = add(fd);
		if (send(all.channel, &msg, sizeof(msg), MSG_NOSIGNAL) != (ssize_t)sizeof(msg))
			_exit(EXIT_LOST);
	}
	return NULL;
}

int listeners_start(struct sentry *s, int channel)
{
	all.s = s;
	all.channel = channel;
	return start_thread(channel_loop, NULL, CHANNEL_STACK);
}

void listeners_wait(void)
{
	(void)pthread_mutex_lock(&all.lock);
	while (all.n > 0)
		(void)pthread_cond_wait(&all.fewer, &all.lock);
	(void)pthread_mutex_unlock(&all.lock);
}
