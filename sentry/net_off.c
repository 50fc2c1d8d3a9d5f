/*
 * Names where the network is off: see net_off.h. Without a name server in resolv.conf, resolvers ask port 53 of their own
 * loopback, which no guest may bind (it is below 1024). Whatever is asked there does not exist, at once, and becomes a record
 * that names it, so that people are told which rule the run would have needed. A question is the guest's word: it decides nothing.
 *
 * Syscalls: recvfrom, sendto, clock_gettime.
 */
#include "sentry/net_off.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "net_policy.h"
#include "nr.h"
#include "sentry/pool.h"
#include "util/err.h"

enum {
	STACK = 128 * 1024,
	HEADER = 12, /* RFC 1035, 4.1.1 */
	QUERY_MAX = 512,
	FLAGS_ANSWER = 0x84, /* of us, with authority */
	NXDOMAIN = 3,
	CAN_RECURSE = 0x80,
};

struct off {
	struct sentry *s;
	int fd;
};

/* The name of the one question in Q of N bytes; *RET_END is behind it. */
static bool question(const uint8_t *q, size_t n, char ret_name[static NET_NAME_SIZE], size_t *ret_end)
{
	char text[QUERY_MAX];
	size_t at = HEADER, len = 0;

	if (n < HEADER + 5 || (q[2] & 0x80) != 0 || q[4] != 0 || q[5] != 1)
		return false;
	while (at < n && q[at] != 0) {
		size_t label = q[at++];

		if (label > NET_LABEL_MAX || at + label >= n)
			return false;
		if (len > 0)
			text[len++] = '.';
		memcpy(text + len, q + at, label);
		len += label;
		at += label;
	}
	if (at + 5 > n || net_name_canon(text, len, ret_name) != 0)
		return false;
	*ret_end = at + 5;
	return true;
}

static void tell(const struct sentry *s, const char *name)
{
	struct record r = {.nr = NR_connect,
			   .flags = RECORD_REFUSED,
			   .rule = UINT32_MAX,
			   .op = OP_CONNECT,
			   .level = LEVEL_EMULATE,
			   .result = -ENOENT,
			   .comm = "gabion: names"};
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	r.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	r.object_len = (uint16_t)strlen(name);
	memcpy(r.object, name, r.object_len);
	if (s->ring)
		(void)record_put(s->ring, &r);
}

static void *answer_loop(void *arg)
{
	const struct off *o = arg;
	static char last[NET_NAME_SIZE]; /* A and AAAA of one name are one record */
	struct sockaddr_storage from;
	uint8_t q[QUERY_MAX];
	char name[NET_NAME_SIZE];

	(void)pool_thread_start();
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(o->fd, q, sizeof(q), 0, (struct sockaddr *)&from, &len);
		size_t end;

		if (n < 0 && errno != EINTR)
			return NULL; /* names are answered by nobody then */
		if (n < 0 || !question(q, (size_t)n, name, &end))
			continue;
		if (strcmp(name, last) != 0)
			tell(o->s, name);
		(void)snprintf(last, sizeof(last), "%s", name);
		q[2] = (uint8_t)(FLAGS_ANSWER | (q[2] & 0x79));
		q[3] = CAN_RECURSE | NXDOMAIN;
		memset(q + 6, 0, 6); /* no records follow the question */
		(void)sendto(o->fd, q, end, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&from, len);
	}
}

int net_off_start(struct sentry *s, int fd)
{
	static struct off o;
	pthread_attr_t attr;
	pthread_t t;
	int r;

	o = (struct off){.s = s, .fd = fd};
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK);
	r = pthread_create(&t, &attr, answer_loop, &o);
	(void)pthread_attr_destroy(&attr);
	return -r;
}
