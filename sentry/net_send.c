/*
 * sendto, sendmsg, sendmmsg: an address may ride along, so the message is copied, judged and sent from here,
 * on a duplicate of the caller's socket.
 *
 * First everything is tried without waiting. Where the caller's socket would wait, the call is handed to a
 * helper, which goes on where we stopped (scratch: bytes of the present message sent, messages sent). The
 * head of a message is then copied and judged anew; what is judged is always the copy that is used. A stream
 * is sent in pieces until everything is sent, as Linux does for a caller that waits; a datagram in one.
 *
 * SIGPIPE: we send with MSG_NOSIGNAL, and where Linux would have sent the signal to the caller we do, before
 * the answer. Its si_code is SI_USER from a process the guest cannot see, instead of its own. On kernels
 * before 5.19, where a signal interrupts the wait for our answer, a caller that catches it sees EINTR instead
 * of EPIPE, or calls again.
 *
 * Other differences: MSG_ZEROCOPY on a socket with SO_ZEROCOPY is ENOBUFS (as without memory for it: callers
 * copy instead); SCM_CREDENTIALS is EPERM; who asks for a sender's credentials gets the sentry's process id.
 *
 * Syscalls: sendmsg, getsockopt, memory, and what caller.c uses.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nr.h"
#include "sentry/caller.h"
#include "sentry/fs.h"
#include "sentry/net_message.h"
#include "sentry/net_names.h"
#include "util/err.h"
#include "util/fd.h"

/* Indices of call.scratch. */
enum { DONE_BYTES = 0, DONE_MESSAGES = 1 };

/* Results of a step, beside 0 and an errno for the guest (positive). */
enum {
	SEND_REPLY = -1, /* *ret_reply answers the call, whatever was sent */
	SEND_WAIT = -2,	 /* it would have to wait */
};

/* struct mmsghdr of the guest. */
enum { MMSG_SIZE = 64, MMSG_LEN_AT = 56 };

struct sender {
	struct net_socket sock;
	int flags;
	bool may_block; /* we run on a helper */
};

/* Judges M's address and copies its control messages. 0, an errno, or SEND_REPLY. */
static int prepare(struct call *c, const struct sender *s, struct message *m, struct reply *ret_reply)
{
	bool creds = false;
	int r;

	if (m->has_name && !net_judge(c, &s->sock, &m->name, NET_SEND, &m->object, ret_reply))
		return SEND_REPLY;
	if (c->level == LEVEL_OBSERVE)
		return 0;
	if (m->has_name && c->net_way != NET_WAY_STRAIGHT) {
		if (c->net_way == NET_WAY_LOCATE && !s->may_block)
			return SEND_WAIT;
		r = net_names_send(c, &s->sock, &m->name, ret_reply);
		if (r != 0)
			return r < 0 ? SEND_REPLY : r;
	}
	/* Control messages go with the first byte. */
	if (c->scratch[DONE_BYTES] > 0) {
		m->control_len = 0;
		return 0;
	}
	r = message_control(c, &s->sock, m, &creds);
	if (creds) {
		static const char text[] = "SCM_CREDENTIALS";

		net_record(c, OP_CONNECT, text, sizeof(text) - 1);
		*ret_reply = call_refuse_plain(c, r);
		return SEND_REPLY;
	}
	if (r < 0) {
		*ret_reply = call_fail(c, r);
		return SEND_REPLY;
	}
	return r;
}

/* Sends LEN bytes of BUF as one piece of M. The result of sendmsg(), errno positive as a negative value. */
static ssize_t send_piece(struct call *c, const struct sender *s, struct message *m, char *buf, size_t len,
			  bool last)
{
	bool wait = s->may_block && !s->sock.nonblocking && (s->flags & MSG_DONTWAIT) == 0;
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct net_addr name = m->name;
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	int flags = s->flags | MSG_NOSIGNAL;
	ssize_t n;

	/* Ends of records and urgent bytes are at the end. */
	if (!last)
		flags &= ~(MSG_EOR | MSG_OOB);
	if (!wait)
		flags |= MSG_DONTWAIT;
	if (m->has_name) {
		if (m->object.fd >= 0 && net_addr_hold(c, m->object.fd, &name) < 0)
			return -EIO;
		hdr.msg_name = &name.a;
		hdr.msg_namelen = name.len;
	}
	if (c->scratch[DONE_BYTES] == 0 && m->control_len > 0) {
		hdr.msg_control = m->control;
		hdr.msg_controllen = m->control_len;
	}
	if (call_alive(c) != 0)
		return -EINTR;
	n = sendmsg(s->sock.fd, &hdr, flags);
	return n < 0 ? err_now() : n;
}

/* Sends what is left of M. 0: as much as the caller may expect now; DONE_BYTES says how much. */
static int send_data(struct call *c, const struct sender *s, struct message *m)
{
	bool stream = s->sock.type == SOCK_STREAM;
	uint64_t *done = &c->scratch[DONE_BYTES];
	AUTO_FREE char *buf = NULL;
	size_t size;

	if (!stream && m->total > MESSAGE_DATAGRAM_MAX)
		return EMSGSIZE;
	size = stream && m->total > MESSAGE_PIECE ? (size_t)MESSAGE_PIECE : m->total;
	if (size > 0) {
		buf = malloc(size);
		if (buf == NULL)
			return ENOBUFS;
	}
	do {
		size_t left = m->total - (size_t)*done, len = left < size ? left : size;
		ssize_t n;
		int r;

		r = message_data(c, m, (size_t)*done, buf, len);
		if (r != 0)
			return *done > 0 ? 0 : r > 0 ? r : EINTR;
		n = send_piece(c, s, m, buf, len, len == left);
		if (n == -EAGAIN && !s->may_block && !s->sock.nonblocking && (s->flags & MSG_DONTWAIT) == 0)
			return SEND_WAIT;
		if (n < 0)
			return *done > 0 ? 0 : (int)-n;
		*done += (uint64_t)n;
		if (!stream || n == 0)
			break;
	} while (*done < m->total);
	return 0;
}

/* One message whose head is in M. 0 (DONE_BYTES sent), an errno, SEND_REPLY or SEND_WAIT. */
static int send_one(struct call *c, const struct sender *s, struct message *m, struct reply *ret_reply)
{
	int r, zerocopy = 0;
	socklen_t len = sizeof(zerocopy);

	r = prepare(c, s, m, ret_reply);
	if (r != 0 || c->level == LEVEL_OBSERVE)
		return r;
	/* The pages would be ours, and reused before they are sent. Without SO_ZEROCOPY the flag means
	 * nothing. */
	if ((s->flags & MSG_ZEROCOPY) != 0 &&
	    getsockopt(s->sock.fd, SOL_SOCKET, SO_ZEROCOPY, &zerocopy, &len) == 0 && zerocopy != 0)
		return ENOBUFS;
	/* This one connects, and says EINPROGRESS where others say EAGAIN. */
	if ((s->flags & MSG_FASTOPEN) != 0 && !s->may_block && !s->sock.nonblocking)
		return SEND_WAIT;
	r = send_data(c, s, m);
	if (r == EPIPE && s->sock.type == SOCK_STREAM && (s->flags & MSG_NOSIGNAL) == 0)
		caller_raise(c, SIGPIPE);
	if (r == EINTR) {
		*ret_reply = net_interrupted(s->sock.fd, SO_SNDTIMEO);
		return SEND_REPLY;
	}
	return r;
}

static struct reply send_run(struct call *c, bool may_block);

static struct reply send_on_helper(struct call *c)
{
	return send_run(c, true);
}

/* Where is the head of message I, and what are the flags? By the call's own signature. */
static int read_head(struct call *c, uint64_t i, struct message *m)
{
	const uint64_t *a = c->ev.args;

	if (c->row->nr == NR_sendto)
		return message_from(c, a[1], a[2], a[4], (int)a[5], m);
	return message_read(c, a[1] + i * MMSG_SIZE, m);
}

static int call_flags(const struct call *c)
{
	return (int)c->ev.args[c->row->nr == NR_sendmsg ? 2 : 3];
}

/* Sends the messages of the call from where it stopped; the answer is a count of bytes, or of messages for
 * sendmmsg. */
static struct reply send_run(struct call *c, bool may_block)
{
	bool many = c->row->nr == NR_sendmmsg;
	uint64_t count = many ? (unsigned int)c->ev.args[2] : 1, *sent = &c->scratch[DONE_MESSAGES];
	struct sender s = {.sock = NET_SOCKET_NULL, .flags = call_flags(c), .may_block = may_block};
	struct reply reply = REPLY_NULL;
	int r;

	if (count > MESSAGE_IOV_MAX)
		count = MESSAGE_IOV_MAX;
	/* On a helper it is the socket of the first attempt: its number may mean another one by now. */
	r = may_block ? net_socket_describe(c->held[0], &s.sock)
		      : net_socket_get(c, (int)c->ev.args[0], &s.sock);
	if (r != 0)
		return call_fail(c, r);
	c->held[0] = s.sock.fd;
	while (*sent < count) {
		AUTO_MESSAGE struct message m;
		uint32_t bytes;

		message_init(&m);
		r = read_head(c, *sent, &m);
		if (r < 0)
			return fs_fault(r);
		if (r == 0)
			r = send_one(c, &s, &m, &reply);
		if (r == SEND_WAIT)
			return call_handoff(c, send_on_helper);
		/*
		 * What went wrong after some messages is told with the next call; what goes wrong where the
		 * kernel sends, the kernel tells.
		 */
		if (r > 0 && c->level == LEVEL_OBSERVE)
			break;
		if (r != 0 && *sent > 0 && c->level != LEVEL_OBSERVE)
			break;
		if (r == SEND_REPLY)
			return reply;
		if (r != 0)
			return reply_deny(r);
		if (c->level == LEVEL_OBSERVE) {
			(*sent)++;
			continue;
		}
		bytes = (uint32_t)c->scratch[DONE_BYTES];
		if (!many)
			return reply_value((int64_t)c->scratch[DONE_BYTES]);
		r = call_write(c, c->ev.args[1] + *sent * MMSG_SIZE + MMSG_LEN_AT, &bytes, sizeof(bytes));
		if (r != 0)
			return *sent > 0 ? reply_value((int64_t)*sent) : fs_fault(r);
		(*sent)++;
		c->scratch[DONE_BYTES] = 0;
		if (bytes < m.total)
			break;
	}
	if (c->level == LEVEL_OBSERVE)
		return reply_continue(c);
	return reply_value((int64_t)*sent);
}

struct reply net_sendto(struct call *c)
{
	c->scratch[DONE_BYTES] = c->scratch[DONE_MESSAGES] = 0;
	return send_run(c, false);
}

struct reply net_sendmsg(struct call *c)
{
	c->scratch[DONE_BYTES] = c->scratch[DONE_MESSAGES] = 0;
	return send_run(c, false);
}

struct reply net_sendmmsg(struct call *c)
{
	c->scratch[DONE_BYTES] = c->scratch[DONE_MESSAGES] = 0;
	return send_run(c, false);
}
