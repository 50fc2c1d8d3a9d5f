/*
 * The host's proxies, as its environment names them (https_proxy, http_proxy, no_proxy, in the forms curl(1) reads): who dials
 * through one asks it with CONNECT (RFC 9110, 9.3.6). The guest sees nothing of it.
 */
#ifndef GABION_MONITOR_RELAY_PROXY_H
#define GABION_MONITOR_RELAY_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "net_policy.h"

enum { PROXY_REQUEST_MAX = 2048, PROXY_ANSWER_MAX = 8192, PROXY_AUTH_MAX = 512 };

struct proxy {
	bool set;
	bool named;
	char name[NET_NAME_SIZE]; /* of the proxy, where .named */
	struct net_address address;
	uint16_t port;
	char auth[PROXY_AUTH_MAX]; /* base64 of user:password, "" without */
};

struct proxies {
	struct proxy https, http;
	char no[4096]; /* as written */
};

/* Results of proxies_read() beside 0. */
enum proxy_result { PROXY_UNKNOWN = 1 /* a scheme we do not speak (https, socks), or no URL: not used */ };

/* Reads what the environment says; NULL and "" are nothing. */
int proxies_read(const char *https, const char *http, const char *no, struct proxies *ret_p);
/* The proxy for PORT of NAME (or of ADDRESS, where NAME is ""), or NULL. */
const struct proxy *proxy_for(const struct proxies *p, const char *name, const struct net_address *address, uint16_t port);
/* The request for HOST:PORT. Its length, 0 where it does not fit. */
size_t proxy_request(const struct proxy *p, const char *host, uint16_t port, char ret[static PROXY_REQUEST_MAX]);
/* Reads LEN bytes of the answer: -1: more is needed, -EPROTO as -2: nonsense; else the status, *ret_len its length in bytes. */
int proxy_answer(const char *s, size_t len, size_t *ret_len);

#endif
