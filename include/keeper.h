/* What the sentry asks of the edge's keeper (monitor/floor/edge.c), over a SOCK_SEQPACKET pair: one request, one answer. */
#ifndef GABION_KEEPER_H
#define GABION_KEEPER_H

#include <stdint.h>

/* A listener for this port at the edge, handed to the relay before the answer is sent. */
struct edge_request {
	uint16_t port;
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t reserved;
};

struct edge_answer {
	int32_t err;   /* 0 or a positive errno; first answer: of building the edge */
	uint32_t stage; /* first answer: which step failed */
};

#endif
