/*
 * TLS on both sides. The CA of the run: an EC key that never leaves this process, a certificate constrained to the run's credential
 * hosts and to no address, leaves for exactly these hosts. Everything is made before the process confines itself.
 */
#ifndef GABION_MONITOR_CREDENTIAL_TLS_H
#define GABION_MONITOR_CREDENTIAL_TLS_H

#include <stdbool.h>

#include "credential.h"
#include "monitor/credential/openssl.h"

struct tls;

/* STORE: PEM file of the certificates servers are verified against. RET_CA: PEM of the CA, allocated. 0 or -errno, RET_WHY static. */
int tls_new(const struct credential_list *l, const char *store, struct tls **ret_t, char **ret_ca, const char **ret_why);
/* The guest's side of a connection to NAME, which must be what the client asks for (SNI). NULL: no memory, or no such host. */
SSL *tls_accept(const struct tls *t, const char *name, int fd);
/* The host's side: NAME is asked for, and the certificate must be its. */
SSL *tls_connect(const struct tls *t, const char *name, int fd);
/* Why a handshake of S failed, for people (static): of the certificate where it was that. */
const char *tls_why(const SSL *s);

#endif
