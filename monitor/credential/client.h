/* Inside the credential process: connections. One thread, so no locks. */
#ifndef GABION_MONITOR_CREDENTIAL_CLIENT_H
#define GABION_MONITOR_CREDENTIAL_CLIENT_H

#include <stdbool.h>

#include "http_head.h"
#include "monitor/credential/holder.h"
#include "monitor/credential/scrub.h"
#include "monitor/credential/tls.h"

enum {
	CLIENT_MOST = 4096,
	CLIENT_BUFFER = 64 << 10, /* what is read ahead of a slow reader, each direction; a head may be as long */
	HANDSHAKE_MS = 30000,
	HEAD_MS = 60000,	/* for the rest of a head once it has begun */
	DRAIN_MS = 2000,
	IDLE_MS = 2 * 3600 * 1000,
};

/* Bytes waiting, p[at] to p[end]. Wiped when freed. */
struct buf {
	char *p;
	size_t at, end, room;
};

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->at;
}

/* Makes room for N more bytes. false: no memory. */
bool buf_room(struct buf *b, size_t n);
bool buf_add(struct buf *b, const char *bytes, size_t n);
void buf_free(struct buf *b);

struct side {
	int fd;
	SSL *ssl;
	struct buf in, out;
	bool open;   /* the handshake is over */
	bool eof;    /* the other end said so */
	bool failed; /* it broke: no close_notify, a reset, no handshake */
	const char *why;
};

enum phase {
	PHASE_HEAD = 0,
	PHASE_LENGTH,
	PHASE_CHUNKED,
	PHASE_CLOSE, /* a response until the connection's end */
	PHASE_TUNNEL, /* WebSocket: bytes both ways */
	PHASE_DONE,
};

/* One direction of the message that is under way. */
struct flow {
	enum phase phase;
	uint64_t left, bytes;
	struct http_chunks chunks;
	struct buf trailer;
	struct scrub scrub;
};

/* Words of one credential host, made once. */
struct host_words {
	char name[NET_NAME_SIZE];
	uint16_t port;
	struct scrub_word *up;	 /* placeholders of credentials that are not for this host */
	struct scrub_word *down; /* values, as they may come back */
	size_t up_n, down_n;
};

struct holder {
	const struct credential_list *list;
	struct credential_values values;
	struct credential_bucket *buckets; /* one a rule */
	struct host_words *hosts;
	size_t host_count;
	struct tls *tls;
	int relay, monitor, epoll;
	struct client *conns;
	size_t conn_count;
};

struct client {
	struct client *prev, *next;
	struct holder *h;
	const struct host_words *host;
	struct side guest, up;
	struct flow req, resp;
	/* the request that is under way */
	bool asked;	/* there is one */
	bool used;	/* with a value */
	bool head, upgrade, close;
	bool started;	/* the response's head went out */
	uint32_t credential;
	uint64_t body_most; /* 0: no limit */
	struct credential_msg m;
	bool answering; /* a response of ours is on its way: nothing else happens */
	bool draining, over;
	bool ready;	/* more to do without an event */
	uint64_t until; /* ms: when it ends if nothing happens */
};

uint64_t client_now(void);
/* Takes both descriptors. */
void client_new(struct holder *h, const char *name, uint16_t port, int guest, int up);
void client_run(struct client *c);
void client_free(struct client *c);

/* message.c. Progress was made: true. */
bool message_request(struct client *c);
bool message_response(struct client *c);
/* An answer of our own with STATUS, and the end; recorded as EV with WHY (static, printable). */
void message_refuse(struct client *c, enum credential_event ev, unsigned int status, const char *why);
/* The end of the request under way goes into the record, if there is one. */
void message_record(struct client *c, enum credential_event ev, const char *why);

/* process.c: to the monitor; a channel that takes nothing for a second is the end of the process. */
void holder_tell(struct holder *h, const struct credential_msg *m);

#endif
