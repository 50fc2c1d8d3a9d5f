/* See tls.h. OpenSSL (libssl, libcrypto) does all of it; what is asked of it is here. */
#include "monitor/credential/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

enum { CA_DAYS = 30, BACK_S = 3600, HOSTS_MAX = CREDENTIALS_MAX * CREDENTIAL_HOSTS_MAX };

struct leaf {
	char name[NET_NAME_SIZE];
	SSL_CTX *ctx;
};

struct tls {
	SSL_CTX *up;
	struct leaf *leaves;
	size_t n;
};

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = e && X509_add_ext(cert, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

/* A certificate for KEY with everything but extensions and signature. */
static X509 *certificate(EVP_PKEY *key, const char *name, const X509_NAME *issuer)
{
	X509 *c = X509_new();
	unsigned char serial[16];
	BIGNUM *n = NULL;
	bool ok = c && RAND_bytes(serial, sizeof(serial)) == 1;

	serial[0] &= 0x7f;
	n = ok ? BN_bin2bn(serial, sizeof(serial), NULL) : NULL;
	ok = n && X509_set_version(c, 2) == 1 && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c)) &&
	     X509_gmtime_adj(X509_getm_notBefore(c), -BACK_S) && X509_gmtime_adj(X509_getm_notAfter(c), CA_DAYS * 86400L) &&
	     X509_set_pubkey(c, key) == 1 &&
	     X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) == 1 &&
	     X509_set_issuer_name(c, issuer ? issuer : X509_get_subject_name(c)) == 1;
	BN_free(n);
	if (!ok) {
		X509_free(c);
		return NULL;
	}
	return c;
}

/* The hosts of the run and no address, of either family. */
static char *constraints(const struct tls *t)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fputs("critical", f);
	for (size_t i = 0; i < t->n; i++)
		fprintf(f, ",permitted;DNS:%s", t->leaves[i].name);
	fputs(",excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0", f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static X509 *make_ca(const struct tls *t, EVP_PKEY *key)
{
	X509 *ca = certificate(key, "gabion, for one run", NULL);
	char *names = constraints(t);
	bool ok = ca && names && add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		  add_extension(ca, ca, NID_key_usage, "critical,keyCertSign") &&
		  add_extension(ca, ca, NID_subject_key_identifier, "hash") && add_extension(ca, ca, NID_name_constraints, names) &&
		  X509_sign(ca, key, EVP_sha256()) > 0;

	free(names);
	if (!ok) {
		X509_free(ca);
		return NULL;
	}
	return ca;
}

/* Asked for by the client: the name that was resolved, or nothing. */
static int check_name(SSL *s, int *alert, void *arg)
{
	const char *wanted = arg, *name = SSL_get_servername(s, TLSEXT_NAMETYPE_host_name);
	char canon[NET_NAME_SIZE];

	if (name && net_name_canon(name, strlen(name), canon) == 0 && strcmp(canon, wanted) == 0)
		return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int choose_http1(SSL *s, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned int in_len, void *arg)
{
	static const unsigned char http1[] = "http/1.1";

	(void)s;
	(void)arg;
	for (unsigned int i = 0; i < in_len && i + 1 + in[i] <= in_len; i += 1u + in[i])
		if (in[i] == 8 && memcmp(in + i + 1, http1, 8) == 0) {
			*out = in + i + 1;
			*out_len = 8;
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *context(const SSL_METHOD *method)
{
	SSL_CTX *c = SSL_CTX_new(method);

	if (!c || SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1) {
		SSL_CTX_free(c);
		return NULL;
	}
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	return c;
}

static bool make_leaf(struct leaf *l, X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key)
{
	char san[NET_NAME_SIZE + 8];
	X509 *c = certificate(key, strlen(l->name) <= 64 ? l->name : "gabion", X509_get_subject_name(ca));

	(void)snprintf(san, sizeof(san), "DNS:%s", l->name);
	l->ctx = context(TLS_server_method());
	bool ok = c && l->ctx && add_extension(c, ca, NID_basic_constraints, "critical,CA:FALSE") &&
		  add_extension(c, ca, NID_key_usage, "critical,digitalSignature") &&
		  add_extension(c, ca, NID_ext_key_usage, "serverAuth") && add_extension(c, ca, NID_subject_alt_name, san) &&
		  add_extension(c, ca, NID_authority_key_identifier, "keyid") && X509_sign(c, ca_key, EVP_sha256()) > 0 &&
		  SSL_CTX_use_certificate(l->ctx, c) == 1 && SSL_CTX_use_PrivateKey(l->ctx, key) == 1;

	if (ok) {
		SSL_CTX_set_tlsext_servername_callback(l->ctx, check_name);
		SSL_CTX_set_tlsext_servername_arg(l->ctx, l->name);
		SSL_CTX_set_alpn_select_cb(l->ctx, choose_http1, NULL);
	}
	X509_free(c);
	return ok;
}

static bool collect(const struct credential_list *l, struct tls *t)
{
	t->leaves = calloc(HOSTS_MAX, sizeof(*t->leaves));
	for (size_t i = 0; t->leaves && i < l->n; i++)
		for (size_t k = 0; k < l->v[i].host_count; k++) {
			size_t at = 0;

			while (at < t->n && strcmp(t->leaves[at].name, l->v[i].hosts[k].name) != 0)
				at++;
			if (at == t->n && t->n < HOSTS_MAX)
				(void)snprintf(t->leaves[t->n++].name, NET_NAME_SIZE, "%s", l->v[i].hosts[k].name);
		}
	return t->leaves != NULL;
}

static char *pem_of(X509 *ca)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *data = NULL, *text = NULL;

	if (b && PEM_write_bio_X509(b, ca) == 1) {
		long n = BIO_get_mem_data(b, &data);

		text = n > 0 ? strndup(data, (size_t)n) : NULL;
	}
	BIO_free(b);
	return text;
}

static bool make_up(struct tls *t, const char *store)
{
	static const unsigned char protocols[] = "\x08http/1.1";

	t->up = context(TLS_client_method());
	if (!t->up || SSL_CTX_load_verify_locations(t->up, store, NULL) != 1 ||
	    SSL_CTX_set_alpn_protos(t->up, protocols, sizeof(protocols) - 1) != 0)
		return false;
	SSL_CTX_set_verify(t->up, SSL_VERIFY_PEER, NULL);
	return true;
}

int tls_new(const struct credential_list *l, const char *store, struct tls **ret_t, char **ret_ca, const char **ret_why)
{
	struct tls *t = calloc(1, sizeof(*t));
	EVP_PKEY *ca_key = NULL, *key = NULL;
	X509 *ca = NULL;
	bool ok = t && collect(l, t);

	*ret_why = "its certificates could not be made";
	if (ok) {
		ca_key = EVP_EC_gen("P-256");
		key = EVP_EC_gen("P-256");
		ca = ca_key && key ? make_ca(t, ca_key) : NULL;
		ok = ca != NULL;
	}
	for (size_t i = 0; ok && i < t->n; i++)
		ok = make_leaf(&t->leaves[i], ca, ca_key, key);
	if (ok && !make_up(t, store)) {
		*ret_why = "the certificates of authorities could not be read (SSL_CERT_FILE names another file)";
		ok = false;
	}
	char *pem = ok ? pem_of(ca) : NULL;
	X509_free(ca);
	EVP_PKEY_free(ca_key); /* nothing more is signed in this run */
	EVP_PKEY_free(key);
	if (!pem) {
		free(t); /* the process ends */
		return -EINVAL;
	}
	*ret_t = t;
	*ret_ca = pem;
	return 0;
}

SSL *tls_accept(const struct tls *t, const char *name, int fd)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->leaves[i].name, name) != 0)
			continue;
		SSL *s = SSL_new(t->leaves[i].ctx);
		if (s && SSL_set_fd(s, fd) != 1) {
			SSL_free(s);
			return NULL;
		}
		if (s)
			SSL_set_accept_state(s);
		return s;
	}
	return NULL;
}

/* What SSL_set_tlsext_host_name() does, which takes the name's const away. */
static bool ask_for(SSL *s, const char *name)
{
	char copy[NET_NAME_SIZE];

	(void)snprintf(copy, sizeof(copy), "%s", name);
	return SSL_ctrl(s, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, copy) == 1;
}

SSL *tls_connect(const struct tls *t, const char *name, int fd)
{
	SSL *s = SSL_new(t->up);

	if (s && (SSL_set_fd(s, fd) != 1 || !ask_for(s, name) || SSL_set1_host(s, name) != 1)) {
		SSL_free(s);
		return NULL;
	}
	if (s) {
		SSL_set_hostflags(s, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		SSL_set_connect_state(s);
	}
	return s;
}

const char *tls_why(const SSL *s)
{
	long v = SSL_get_verify_result(s);
	unsigned long e = ERR_peek_last_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	if (v != X509_V_OK)
		return X509_verify_cert_error_string(v);
	return text ? text : "the connection ended in the handshake";
}
