/*
 * DNS queries of any bytes: the answer fits, repeats the question, is read by another reader (c-ares) to the same end, and has addresses
 * only for names that a rule knows, which lead back to that name.
 */
#include <ares.h>
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "monitor/relay/dns.h"
#include "monitor/relay/proxy.h"
#include "monitor/relay/synth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool so)
{
	if (!so)
		abort();
}

static void check_addresses(const struct net_policy *policy, const struct synth *synth, const uint8_t *a, size_t n,
			    const struct dns_note *note, bool six)
{
	struct ares_addrttl v4[4];
	struct ares_addr6ttl v6[4];
	struct net_address got = { .family = six ? AF_INET6 : AF_INET };
	char canon[NET_NAME_SIZE];
	int count = 4;
	int status = six ? ares_parse_aaaa_reply(a, (int)n, NULL, v6, &count) : ares_parse_a_reply(a, (int)n, NULL, v4, &count);

	must(status == ARES_SUCCESS && count == 1);
	must(net_name_canon(note->name, strlen(note->name), canon) == 0);
	if (six)
		memcpy(got.bytes, &v6[0].ip6addr, 16);
	else
		memcpy(got.bytes, &v4[0].ipaddr, 4);
	size_t len = strlen(canon);
	if (strcmp(canon, "localhost") == 0 || (len > 10 && strcmp(canon + len - 10, ".localhost") == 0)) {
		must(net_address_class(&got) == NET_CLASS_LOOPBACK);
		return;
	}
	must(net_policy_knows(policy, canon) && !note->refused);
	const char *back = synth_name(synth, &got);
	must(back != NULL && strcmp(back, canon) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct net_text rules[] = { { "api.test:443", "f" }, { "*.w.test", "f" }, { "a.b:1-9", "f" } };
	static struct net_policy *policy;
	static struct synth *synth;
	struct net_fault fault;
	uint8_t a[DNS_ANSWER_MAX];
	struct dns_note note;
	size_t used;

	if (policy == NULL) {
		must(net_policy_compile(rules, 3, &policy, &fault) == 0);
		synth = synth_new();
		must(synth != NULL);
	}
	size_t n = dns_answer(policy, synth, true, data, size, a, &note);
	must(n <= sizeof(a));
	if (n > 0) {
		must(n >= 12 && size >= 12 && memcmp(a, data, 2) == 0 && (a[2] & 0x80) != 0 && a[6] == 0 && a[7] <= 1);
		if (a[7] == 1) {
			must((a[3] & 15) == 0 && a[5] == 1);
			size_t at = 12;
			while (a[at] != 0)
				at += a[at] + 1u;
			must(memcmp(a + 12, data + 12, at + 5 - 12) == 0);
			unsigned int type = (unsigned int)a[at + 1] << 8 | a[at + 2];
			if (type == 1 || type == 28)
				check_addresses(policy, synth, a, n, &note, type == 28);
			else
				must(type == 12);
		}
	}
	/* The same bytes as a proxy's answer. */
	int status = proxy_answer(size > 0 ? (const char *)data : "", size, &used);
	must(status == -1 || status == -2 || (status >= 100 && status <= 999 && used <= size));
	return 0;
}
