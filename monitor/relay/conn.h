/* The inside of a connection, for those that make one (ingress.c) and conn.c itself. */
#ifndef GABION_MONITOR_RELAY_CONN_H
#define GABION_MONITOR_RELAY_CONN_H

#include "monitor/relay/relay_in.h"

struct dir {
	struct conn *c;
	int which; /* 0: from the guest */
	struct act recv, send;
	struct chunk *head, **tail; /* received, to be sent */
	unsigned int queued;
	bool eof, shut;	 /* nothing more comes; the other side was told */
	bool switching, spliced;
	uint64_t bytes;
	int pipe[2];
	uint32_t in_pipe;
};

struct conn {
	struct conn *prev, *next, *next_paused;
	struct relay *r;
	int fd[2]; /* guest, upstream */
	struct dir dir[2];
	struct dest *dest;
	struct dial *dial; /* under way */
	uint32_t rule;
	uint64_t last; /* ms: when something moved */
	struct timer timer;
	bool ending, reset, waits, splices;
	bool handed; /* goes to the credential process, as .host and .port */
	char host[NET_NAME_SIZE];
	uint16_t port;
};

#endif
