/*
 * DNS for the guest (RFC 1034, 1035, 6891 EDNS, 9460 SVCB and HTTPS, 8482 ANY, 6761 localhost).
 *
 *   a name some rule knows       A, AAAA: its synthetic addresses; every other type: exists, without such data
 *   localhost, *.localhost       the loopback addresses
 *   x.in-addr.arpa, x.ip6.arpa   PTR of a synthetic address: its name; else no such name
 *   any other name               NXDOMAIN
 *   no host name at all          NXDOMAIN (a NUL, a line break, a dot or '%' inside a label: nothing that a rule could mean)
 *
 * Hostile input: a query is read once from front to back with every length checked; compression pointers are not followed (a
 * question has nothing before it to point to; RFC 1035, 4.1.4), names of other records are only stepped over. The answer repeats
 * the question as it came, byte for byte (0x20 mixed case), and points to it.
 */
#include "monitor/relay/dns.h"

#include <arpa/inet.h>
#include <string.h>

#include "monitor/relay/synth.h"

enum {
	HEADER = 12,
	TYPE_A = 1,
	TYPE_PTR = 12,
	TYPE_AAAA = 28,
	TYPE_OPT = 41,
	CLASS_IN = 1,
	CLASS_ANY = 255,
	OK = 0,
	FORMERR = 1,
	SERVFAIL = 2,
	NXDOMAIN = 3,
	NOTIMP = 4,
	REFUSED = 5,
	BADVERS = 16,
	FLAG_QR = 0x8000,
	FLAG_AA = 0x0400,
	FLAG_RD = 0x0100,
	FLAG_RA = 0x0080,
	FLAG_CD = 0x0010,
	OPCODE = 0x7800,
	UDP_SIZE = 1232,
	WIRE_NAME_MAX = 255,
};

struct query {
	const uint8_t *wire; /* the question's name as it came */
	size_t wire_len;
	uint16_t flags, type, class;
	bool edns;
	uint8_t edns_version;
	uint16_t edns_flags;
	char text[NET_NAME_SIZE]; /* canonical */
	bool named;		  /* .text is one */
};

struct reader {
	const uint8_t *p;
	size_t len, at;
};

static bool take(struct reader *r, size_t n)
{
	if (r->len - r->at < n)
		return false;
	r->at += n;
	return true;
}

static bool take16(struct reader *r, uint16_t *ret)
{
	if (!take(r, 2))
		return false;
	*ret = (uint16_t)(r->p[r->at - 2] << 8 | r->p[r->at - 1]);
	return true;
}

/* The question's name: labels only. RET_TEXT: with dots, odd bytes as they are; lengths as RFC 1035 allows. */
static bool take_name(struct reader *r, char ret_text[static WIRE_NAME_MAX + 1], size_t *ret_len)
{
	size_t start = r->at, n = 0;

	while (true) {
		if (!take(r, 1))
			return false;
		uint8_t label = r->p[r->at - 1];
		if (r->at - start + label > WIRE_NAME_MAX || label > NET_LABEL_MAX || !take(r, label))
			return false;
		if (label == 0)
			break;
		if (n > 0)
			ret_text[n++] = '.';
		memcpy(ret_text + n, r->p + r->at - label, label);
		n += label;
	}
	ret_text[n] = '\0';
	*ret_len = n;
	return true;
}

/* Any record's name, stepped over. A pointer ends a name and is not followed. */
static bool skip_name(struct reader *r)
{
	while (take(r, 1)) {
		uint8_t label = r->p[r->at - 1];

		if (label == 0)
			return true;
		if ((label & 0xc0) == 0xc0)
			return take(r, 1);
		if (label > NET_LABEL_MAX || !take(r, label))
			return false;
	}
	return false;
}

/* The records behind the question; an OPT is what may be said of it once. */
static bool take_records(struct reader *r, unsigned int n, struct query *q)
{
	for (unsigned int i = 0; i < n; i++) {
		size_t start = r->at;
		uint16_t type, class, high, low, len;

		if (!skip_name(r) || !take16(r, &type) || !take16(r, &class) || !take16(r, &high) || !take16(r, &low) ||
		    !take16(r, &len) || !take(r, len))
			return false;
		if (type != TYPE_OPT)
			continue;
		if (q->edns || r->p[start] != 0)
			return false; /* RFC 6891, 6.1.1: one, of the root */
		q->edns = true;
		q->edns_version = (uint8_t)(high & 0xff);
		q->edns_flags = low;
	}
	return true;
}

struct writer {
	uint8_t *p;
	size_t at;
};

static void put16(struct writer *w, uint16_t v)
{
	w->p[w->at++] = (uint8_t)(v >> 8);
	w->p[w->at++] = (uint8_t)v;
}

static void put(struct writer *w, const void *from, size_t len)
{
	memcpy(w->p + w->at, from, len);
	w->at += len;
}

static void put_record(struct writer *w, uint16_t type, const void *data, size_t len)
{
	put16(w, 0xc000 | HEADER); /* the question's name */
	put16(w, type);
	put16(w, CLASS_IN);
	put16(w, 0);
	put16(w, DNS_TTL);
	put16(w, (uint16_t)len);
	put(w, data, len);
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n >= e && strcmp(name + n - e, end) == 0;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "4.3.2.1.in-addr.arpa" (RFC 1035, 3.5) and thirty-two nibbles with ".ip6.arpa" (RFC 3596, 2.5). */
static bool reverse_address(const char *name, struct net_address *ret_a)
{
	struct net_address a = NET_ADDRESS_NULL;

	if (ends_with(name, ".in-addr.arpa")) {
		a.family = AF_INET;
		for (int i = 3; i >= 0; i--) {
			int v = 0, digits = 0;

			for (; digit(*name) >= 0 && digit(*name) < 10 && digits < 3; name++, digits++)
				v = v * 10 + digit(*name);
			if (digits == 0 || v > 255 || *name++ != '.')
				return false;
			a.bytes[i] = (uint8_t)v;
		}
		if (strcmp(name, "in-addr.arpa") != 0)
			return false;
	} else {
		a.family = AF_INET6;
		if (strlen(name) != 64 + strlen("ip6.arpa") || strcmp(name + 64, "ip6.arpa") != 0)
			return false;
		for (int i = 0; i < 32; i++, name += 2) {
			int v = digit(name[0]);

			if (v < 0 || name[1] != '.')
				return false;
			a.bytes[15 - i / 2] |= (uint8_t)(i % 2 == 0 ? v : v << 4);
		}
	}
	*ret_a = a;
	return true;
}

/* A canonical name as labels. */
static size_t wire_name(const char *name, uint8_t ret[static WIRE_NAME_MAX])
{
	size_t at = 0;

	while (*name != '\0') {
		size_t len = strcspn(name, ".");

		ret[at++] = (uint8_t)len;
		memcpy(ret + at, name, len);
		at += len;
		name += len + (name[len] == '.');
	}
	ret[at++] = 0;
	return at;
}

/* Answers that need no rule. Returns -1 where NAME is none of them, else the response code. */
static int answer_local(const struct synth *synth, const struct query *q, bool ipv6, struct writer *w, uint16_t *answers)
{
	static const uint8_t loopback4[4] = { 127, 0, 0, 1 }, loopback6[16] = { [15] = 1 };
	struct net_address a;

	if (strcmp(q->text, "localhost") == 0 || ends_with(q->text, ".localhost")) {
		if (q->type == TYPE_A || (q->type == TYPE_AAAA && ipv6)) {
			put_record(w, q->type, q->type == TYPE_A ? loopback4 : loopback6, q->type == TYPE_A ? 4 : 16);
			(*answers)++;
		}
		return OK;
	}
	if (!ends_with(q->text, ".in-addr.arpa") && !ends_with(q->text, ".ip6.arpa"))
		return -1;
	const char *name = reverse_address(q->text, &a) ? synth_name(synth, &a) : NULL;
	if (name == NULL)
		return NXDOMAIN;
	if (q->type == TYPE_PTR) {
		uint8_t wire[WIRE_NAME_MAX];

		put_record(w, TYPE_PTR, wire, wire_name(name, wire));
		(*answers)++;
	}
	return OK;
}

static int answer_name(const struct net_policy *policy, struct synth *synth, bool ipv6, const struct query *q,
		       struct writer *w, uint16_t *answers, bool *ret_refused)
{
	struct net_address a;

	if (q->class != CLASS_IN && q->class != CLASS_ANY)
		return REFUSED;
	if (!q->named) {
		*ret_refused = true;
		return NXDOMAIN;
	}
	int r = answer_local(synth, q, ipv6, w, answers);
	if (r >= 0)
		return r;
	if (!net_policy_knows(policy, q->text)) {
		*ret_refused = true;
		return NXDOMAIN;
	}
	if (q->type != TYPE_A && (q->type != TYPE_AAAA || !ipv6))
		return OK;
	if (synth_address(synth, q->text, q->type == TYPE_A ? AF_INET : AF_INET6, &a) < 0)
		return SERVFAIL;
	put_record(w, q->type, a.bytes, q->type == TYPE_A ? 4 : 16);
	(*answers)++;
	return OK;
}

/* What a person can read of a name that is none. */
static void printable(const char *text, size_t len, char ret[static NET_NAME_SIZE])
{
	size_t n = 0;

	for (; n < len && n < NET_NAME_MAX; n++)
		ret[n] = text[n] > 0x20 && text[n] < 0x7f ? text[n] : '?';
	ret[n] = '\0';
}

size_t dns_answer(const struct net_policy *policy, struct synth *synth, bool ipv6, const uint8_t *packet, size_t len,
		  uint8_t ret_a[static DNS_ANSWER_MAX], struct dns_note *ret_note)
{
	struct reader r = { .p = packet, .len = len };
	struct writer w = { .p = ret_a };
	struct query q = { .class = CLASS_IN };
	struct dns_note note = { .refused = false };
	uint16_t id, questions, others[3], answers = 0;
	char text[WIRE_NAME_MAX + 1];
	size_t text_len;
	bool asked = false;
	int code;

	if (!take16(&r, &id) || !take16(&r, &q.flags) || !take16(&r, &questions) || !take16(&r, &others[0]) ||
	    !take16(&r, &others[1]) || !take16(&r, &others[2]) || (q.flags & FLAG_QR) != 0)
		return 0;
	put(&w, (uint8_t[HEADER]){ 0 }, HEADER);
	code = FORMERR;
	if ((q.flags & OPCODE) != 0) {
		code = NOTIMP;
	} else if (questions == 1 && take_name(&r, text, &text_len)) {
		q.wire = packet + HEADER;
		q.wire_len = r.at - HEADER;
		asked = take16(&r, &q.type) && take16(&r, &q.class);
	}
	if (asked) {
		put(&w, q.wire, q.wire_len);
		put16(&w, q.type);
		put16(&w, q.class);
		/* A label may hold dots of its own: not the same name with other cuts. */
		uint8_t again[WIRE_NAME_MAX + 1];
		q.named = net_name_canon(text, text_len, q.text) == 0 && text[text_len - 1] != '.' &&
			  wire_name(q.text, again) == q.wire_len;
		for (size_t i = 0; q.named && i < q.wire_len; i += again[i] + 1u)
			q.named = again[i] == q.wire[i];
		printable(text, text_len, note.name);
		if (take_records(&r, (unsigned int)others[0] + others[1] + others[2], &q)) {
			if (q.edns && q.edns_version != 0)
				code = BADVERS;
			else
				code = answer_name(policy, synth, ipv6, &q, &w, &answers, &note.refused);
		}
	}
	uint16_t extra = 0;
	if (q.edns) {
		w.p[w.at++] = 0;
		put16(&w, TYPE_OPT);
		put16(&w, UDP_SIZE);
		w.p[w.at++] = (uint8_t)(code >> 4);
		w.p[w.at++] = 0;
		put16(&w, q.edns_flags & 0x8000);
		put16(&w, 0);
		extra = 1;
	}
	struct writer h = { .p = ret_a };
	put16(&h, id);
	put16(&h, (uint16_t)(FLAG_QR | FLAG_RA | (q.flags & (OPCODE | FLAG_RD | FLAG_CD)) | (code & 15)));
	put16(&h, asked ? 1 : 0);
	put16(&h, answers);
	put16(&h, 0);
	put16(&h, extra);
	*ret_note = note;
	return w.at;
}
