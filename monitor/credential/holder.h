/*
 * The credential process: the only one of a run that holds the values of credentials, and the only one that reads TLS and HTTP.
 *
 *   monitor --values, once, by fork--> credential process <--connections-- relay
 *
 * The relay accepts what the guest sends to a credential's host, dials that host, and hands both sockets over with the name that was
 * resolved (RELAY_HAND). Here the guest's TLS ends, with a certificate for that name by a CA that was made for this run and lives in
 * this process alone; toward the host TLS is verified against the host's own store. In between requests are read, judged, written
 * anew with the value in them, and responses with the value taken out. It makes no socket, opens no file, makes no process; its
 * memory is locked and not dumped. Nobody starts it again: its end is the end of those connections.
 *
 *   take.c     host side: where the values come from, placeholders
 *   process.c  start, loop, confinement          tls.c    the CA, certificates, contexts
 *   client.c   a connection's life and its bytes  message.c requests and responses: what is let through, what becomes of it
 *   scrub.c    values in a stream of bytes
 */
#ifndef GABION_MONITOR_CREDENTIAL_HOLDER_H
#define GABION_MONITOR_CREDENTIAL_HOLDER_H

#include <stdint.h>
#include <sys/types.h>

#include "credential.h"

/* One value. Everything but .rule lies in locked memory. */
struct credential_value {
	const struct credential_rule *rule;
	char *value, *placeholder; /* as long as each other, NUL-terminated */
	size_t len;
};

/* All of a run, in locked memory that no core has. */
struct credential_values {
	struct credential_value *v;
	size_t n;
	void *memory;
	size_t size;
};

#define CREDENTIAL_VALUES_NULL ((struct credential_values){.v = NULL})

/*
 * Takes the values the rules of L speak of, from where they say, and makes placeholders. What came from the environment is overwritten
 * there: from now on the variable holds the placeholder, in this process and its children. 0 or -errno with RET_WHY (allocated),
 * which never has a value in it.
 */
int credential_collect(const struct credential_list *l, struct credential_values *ret_v, char **ret_why);
/* Wipes and gives the memory back. Takes CREDENTIAL_VALUES_NULL. */
void credential_values_free(struct credential_values *v);

enum credential_event {
	CREDENTIAL_EV_NONE = 0,
	CREDENTIAL_EV_USED,    /* a request went with the value */
	CREDENTIAL_EV_WITHOUT, /* one went without it */
	CREDENTIAL_EV_REFUSED, /* one was refused: .why */
	CREDENTIAL_EV_EXFILTRATION, /* one had the placeholder of a credential that is not for this host; refused */
	CREDENTIAL_EV_FAILED,  /* a connection failed: .why */
};

/* Credential process -> monitor, SOCK_SEQPACKET. Text is NUL-terminated printable ASCII, and never has a value in it. */
struct credential_msg {
	uint32_t event;	     /* enum credential_event */
	uint32_t credential; /* index of the rule; UINT32_MAX: none */
	uint32_t status;     /* of the response; 0: none came */
	uint32_t port;
	uint64_t sent, received; /* bytes of the bodies */
	char host[NET_NAME_SIZE];
	char method[40];
	char path[512]; /* without the query, cut */
	char why[128];
};

struct credential_process {
	pid_t pid;
	int channel;	/* events; -1: none */
	int relay_end;	/* the relay's, until it runs */
	char *ca;	/* PEM of the run's CA */
};

#define CREDENTIAL_PROCESS_NULL ((struct credential_process){.pid = -1, .channel = -1, .relay_end = -1})

/* The host's store: $SSL_CERT_FILE of the host's environment, else where distributions have it. NULL: none. */
const char *credential_host_store(void);

/*
 * Starts it with V and waits until it is ready; V is wiped in this process. 0, or -errno with RET_WHY (static): nothing runs then.
 */
int credential_start(const struct credential_list *l, struct credential_values *v, struct credential_process *ret_p,
		     const char **ret_why);
/* One event. 1: there is one; 0: none now; negative: it is gone, or talks nonsense. */
int credential_next(struct credential_process *p, struct credential_msg *ret_m);
void credential_stop(struct credential_process *p);

#endif
