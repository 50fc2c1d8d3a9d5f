/* Finds OpenSSL's functions: see openssl.h. */
#include "monitor/credential/openssl.h"

#include <dlfcn.h>
#include <errno.h>

#include "util/err.h"

struct openssl openssl;

int openssl_load(const char **ret_why)
{
	/* The second holds what the first needs; a name is looked for in both. */
	void *ssl = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL), *crypto = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);

	if (ssl == NULL || crypto == NULL) {
		*ret_why = "libssl.so.3 is not there, which credentials need (package libssl3)";
		return -EOPNOTSUPP;
	}
	/* A name here is its place in the table (openssl.h), in quotes what it is called. */
	static const struct {
		const char *name;
		void **at;
	} all[] = {
#define X(function) {#function, (void **)&function},
		OPENSSL_FUNCTIONS(X)
#undef X
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		*all[i].at = dlsym(crypto, all[i].name);
		if (*all[i].at == NULL)
			*all[i].at = dlsym(ssl, all[i].name);
		if (*all[i].at == NULL) {
			*ret_why = "libssl.so.3 is too old for credentials";
			return -EOPNOTSUPP;
		}
	}
	return 0;
}
