/*
 * A message of the guest's for sendto, sendmsg and sendmmsg: its head copied once, its data copied piece by
 * piece, its descriptors replaced by duplicates of ours.
 */
#ifndef GABION_SENTRY_NET_MESSAGE_H
#define GABION_SENTRY_NET_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "sentry/net.h"

enum {
	MESSAGE_FDS_MAX = 253,		/* SCM_MAX_FD */
	MESSAGE_IOV_MAX = 1024,		/* UIO_MAXIOV */
	MESSAGE_CONTROL_MAX = 131072,	/* more than optmem_max of any kernel: ENOBUFS */
	MESSAGE_DATAGRAM_MAX = 1 << 20, /* a datagram is sent whole or not at all: EMSGSIZE */
	MESSAGE_PIECE = 256 * 1024,	/* of a stream, copied and sent at a time */
};

struct message {
	bool has_name;
	struct net_addr name;
	struct object object; /* the Unix socket the name leads to; not held: .fd -1 */
	struct iovec *iov;    /* addresses are the guest's */
	size_t iov_count;
	size_t total;
	uint64_t control_addr;
	char *control;
	size_t control_len;
	int fds[MESSAGE_FDS_MAX]; /* ours, to be closed; their numbers are in control */
	size_t fds_count;
};

/* Empties M, which needs no other initialisation. */
void message_init(struct message *m);
/* Frees and closes what M holds; takes half-built ones. */
void message_clear(struct message *m);
#define AUTO_MESSAGE __attribute__((cleanup(message_clear)))

/* Copies the struct msghdr at ADDR and its vector and name into M: 0, positive errno, or negative. */
int message_read(const struct call *c, uint64_t addr, struct message *m);
/* Makes M of what sendto has: one piece of data, and NAME of NAME_LEN bytes unless it is 0. As
 * message_read(). */
int message_from(const struct call *c, uint64_t data, uint64_t len, uint64_t name, int name_len,
		 struct message *m);
/*
 * Copies the control messages. Descriptors in SCM_RIGHTS are duplicated from the caller. Returns as
 * message_read(); EPERM with *ret_creds where SCM_CREDENTIALS is among them.
 */
int message_control(struct call *c, const struct net_socket *sock, struct message *m, bool *ret_creds);
/* Copies LEN bytes of M's data from OFFSET on into BUF (both within M's total). As message_read(). */
int message_data(const struct call *c, const struct message *m, size_t offset, char *buf, size_t len);

#endif
