/*
 * OpenSSL, loaded when a run has credentials: linked in, it took a millisecond of every start and half a megabyte of each process.
 * What is called here is on the list; a name behaves as OpenSSL's own, once openssl_load() has found it.
 */
#ifndef GABION_MONITOR_CREDENTIAL_OPENSSL_H
#define GABION_MONITOR_CREDENTIAL_OPENSSL_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define OPENSSL_FUNCTIONS(X) \
	X(BIO_ctrl) \
	X(BIO_free) \
	X(BIO_new) \
	X(BIO_s_mem) \
	X(BN_bin2bn) \
	X(BN_free) \
	X(BN_to_ASN1_INTEGER) \
	X(ERR_clear_error) \
	X(ERR_peek_last_error) \
	X(ERR_reason_error_string) \
	X(EVP_DecodeBlock) \
	X(EVP_EncodeBlock) \
	X(EVP_PKEY_Q_keygen) \
	X(EVP_PKEY_free) \
	X(EVP_sha256) \
	X(PEM_write_bio_X509) \
	X(RAND_bytes) \
	X(SSL_CTX_callback_ctrl) \
	X(SSL_CTX_ctrl) \
	X(SSL_CTX_free) \
	X(SSL_CTX_load_verify_locations) \
	X(SSL_CTX_new) \
	X(SSL_CTX_set_alpn_protos) \
	X(SSL_CTX_set_alpn_select_cb) \
	X(SSL_CTX_set_options) \
	X(SSL_CTX_set_verify) \
	X(SSL_CTX_use_PrivateKey) \
	X(SSL_CTX_use_certificate) \
	X(SSL_ctrl) \
	X(SSL_do_handshake) \
	X(SSL_free) \
	X(SSL_get_error) \
	X(SSL_get_servername) \
	X(SSL_get_verify_result) \
	X(SSL_new) \
	X(SSL_read) \
	X(SSL_set1_host) \
	X(SSL_set_accept_state) \
	X(SSL_set_connect_state) \
	X(SSL_set_fd) \
	X(SSL_set_hostflags) \
	X(SSL_shutdown) \
	X(SSL_write) \
	X(TLS_client_method) \
	X(TLS_server_method) \
	X(X509V3_EXT_conf_nid) \
	X(X509V3_set_ctx) \
	X(X509_EXTENSION_free) \
	X(X509_NAME_add_entry_by_txt) \
	X(X509_add_ext) \
	X(X509_free) \
	X(X509_get_serialNumber) \
	X(X509_get_subject_name) \
	X(X509_getm_notAfter) \
	X(X509_getm_notBefore) \
	X(X509_gmtime_adj) \
	X(X509_new) \
	X(X509_set_issuer_name) \
	X(X509_set_pubkey) \
	X(X509_set_version) \
	X(X509_sign) \
	X(X509_verify_cert_error_string)

struct openssl {
#define X(name) __typeof__(&(name)) name;
	OPENSSL_FUNCTIONS(X)
#undef X
};

extern struct openssl openssl;

/* Loads the library (package libssl3). 0, or -EOPNOTSUPP with RET_WHY (static). Before the process confines itself. */
int openssl_load(const char **ret_why);

#define BIO_ctrl openssl.BIO_ctrl
#define BIO_free openssl.BIO_free
#define BIO_new openssl.BIO_new
#define BIO_s_mem openssl.BIO_s_mem
#define BN_bin2bn openssl.BN_bin2bn
#define BN_free openssl.BN_free
#define BN_to_ASN1_INTEGER openssl.BN_to_ASN1_INTEGER
#define ERR_clear_error openssl.ERR_clear_error
#define ERR_peek_last_error openssl.ERR_peek_last_error
#define ERR_reason_error_string openssl.ERR_reason_error_string
#define EVP_DecodeBlock openssl.EVP_DecodeBlock
#define EVP_EncodeBlock openssl.EVP_EncodeBlock
#define EVP_PKEY_Q_keygen openssl.EVP_PKEY_Q_keygen
#define EVP_PKEY_free openssl.EVP_PKEY_free
#define EVP_sha256 openssl.EVP_sha256
#define PEM_write_bio_X509 openssl.PEM_write_bio_X509
#define RAND_bytes openssl.RAND_bytes
#define SSL_CTX_callback_ctrl openssl.SSL_CTX_callback_ctrl
#define SSL_CTX_ctrl openssl.SSL_CTX_ctrl
#define SSL_CTX_free openssl.SSL_CTX_free
#define SSL_CTX_load_verify_locations openssl.SSL_CTX_load_verify_locations
#define SSL_CTX_new openssl.SSL_CTX_new
#define SSL_CTX_set_alpn_protos openssl.SSL_CTX_set_alpn_protos
#define SSL_CTX_set_alpn_select_cb openssl.SSL_CTX_set_alpn_select_cb
#define SSL_CTX_set_options openssl.SSL_CTX_set_options
#define SSL_CTX_set_verify openssl.SSL_CTX_set_verify
#define SSL_CTX_use_PrivateKey openssl.SSL_CTX_use_PrivateKey
#define SSL_CTX_use_certificate openssl.SSL_CTX_use_certificate
#define SSL_ctrl openssl.SSL_ctrl
#define SSL_do_handshake openssl.SSL_do_handshake
#define SSL_free openssl.SSL_free
#define SSL_get_error openssl.SSL_get_error
#define SSL_get_servername openssl.SSL_get_servername
#define SSL_get_verify_result openssl.SSL_get_verify_result
#define SSL_new openssl.SSL_new
#define SSL_read openssl.SSL_read
#define SSL_set1_host openssl.SSL_set1_host
#define SSL_set_accept_state openssl.SSL_set_accept_state
#define SSL_set_connect_state openssl.SSL_set_connect_state
#define SSL_set_fd openssl.SSL_set_fd
#define SSL_set_hostflags openssl.SSL_set_hostflags
#define SSL_shutdown openssl.SSL_shutdown
#define SSL_write openssl.SSL_write
#define TLS_client_method openssl.TLS_client_method
#define TLS_server_method openssl.TLS_server_method
#define X509V3_EXT_conf_nid openssl.X509V3_EXT_conf_nid
#define X509V3_set_ctx openssl.X509V3_set_ctx
#define X509_EXTENSION_free openssl.X509_EXTENSION_free
#define X509_NAME_add_entry_by_txt openssl.X509_NAME_add_entry_by_txt
#define X509_add_ext openssl.X509_add_ext
#define X509_free openssl.X509_free
#define X509_get_serialNumber openssl.X509_get_serialNumber
#define X509_get_subject_name openssl.X509_get_subject_name
#define X509_getm_notAfter openssl.X509_getm_notAfter
#define X509_getm_notBefore openssl.X509_getm_notBefore
#define X509_gmtime_adj openssl.X509_gmtime_adj
#define X509_new openssl.X509_new
#define X509_set_issuer_name openssl.X509_set_issuer_name
#define X509_set_pubkey openssl.X509_set_pubkey
#define X509_set_version openssl.X509_set_version
#define X509_sign openssl.X509_sign
#define X509_verify_cert_error_string openssl.X509_verify_cert_error_string

#endif
