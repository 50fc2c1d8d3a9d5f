/*
 * Unwind information without its index. A program linked statically by gcc has .eh_frame and no .eh_frame_hdr: the entry for a function
 * is searched from the first to the last. The guest wrote all of it: lengths lead only forwards, what is read of the file is bounded
 * (elf_read()), and what is odd ends the search.
 *
 * Sources: the LSB core specification, "Exception Frames" and "DWARF Exception Header Encoding".
 *
 * Syscalls: those of unwind_elf.c.
 */
#include <string.h>

#include "monitor/unwind.h"

enum {
	WINDOW = 65536,
	CIE_MAX = 256, /* bytes looked at of one */
	CIES = 16,     /* kept */
	/* Encodings of a pointer: its form, and what it is relative to. */
	FORM = 0x0f,
	FORM_ABS = 0x00,
	FORM_U4 = 0x03,
	FORM_U8 = 0x04,
	FORM_S4 = 0x0b,
	FORM_S8 = 0x0c,
	BASE = 0xf0,
	BASE_NONE = 0x00,
	BASE_PC = 0x10,
	UNKNOWN = 0xff,
};

struct search {
	struct elf *e;
	uint64_t addr, offset, size; /* of the section */
	uint64_t window_at;	     /* in the section */
	size_t window_len;
	struct {
		uint64_t at; /* + 1; 0: empty */
		uint8_t encoding;
	} cie[CIES];
	unsigned char window[WINDOW];
};

/* LEN bytes (of a few) at AT of the section. */
static const unsigned char *look(struct search *s, uint64_t at, size_t len)
{
	if (at > s->size || s->size - at < len)
		return NULL;
	if (at < s->window_at || at - s->window_at + len > s->window_len) {
		size_t n = s->size - at < WINDOW ? (size_t)(s->size - at) : WINDOW;

		s->window_len = 0;
		if (!elf_read(s->e, s->offset + at, s->window, n))
			return NULL;
		s->window_at = at;
		s->window_len = n;
	}
	return s->window + (at - s->window_at);
}

/* Skips a number of seven bits a byte. */
static bool skip_leb(const unsigned char **p, const unsigned char *end)
{
	while (*p < end)
		if ((*(*p)++ & 0x80) == 0)
			return true;
	return false;
}

static size_t form_size(uint8_t encoding)
{
	switch (encoding & FORM) {
	case FORM_U4:
	case FORM_S4:
		return 4;
	case FORM_ABS:
	case FORM_U8:
	case FORM_S8:
		return 8;
	default:
		return 0;
	}
}

/* How the entries of the CIE whose contents (behind length and id) are the N bytes at P write addresses. */
static uint8_t cie_encoding(const unsigned char *p, size_t n)
{
	const unsigned char *end = p + n, *nul = n < 2 ? NULL : memchr(p + 1, '\0', n - 1);
	const unsigned char *letters = p + 1;
	uint8_t version = n < 2 ? 0 : p[0];

	if (nul == NULL || (version != 1 && version != 3) || (letters[0] != 'z' && letters[0] != '\0'))
		return UNKNOWN;
	if (letters[0] == '\0')
		return FORM_ABS;
	p = nul + 1;
	/* Code and data alignment, the column of the return address, the length of what follows. */
	for (int i = 0; i < 4; i++) {
		if (i == 2 && version == 1 ? p >= end : !skip_leb(&p, end))
			return UNKNOWN;
		p += i == 2 && version == 1;
	}
	for (letters++; letters < nul; letters++) {
		size_t skip = 1;

		if (*letters == 'S' || *letters == 'B')
			continue;
		if (p >= end)
			return UNKNOWN;
		if (*letters == 'R')
			return *p;
		if (*letters == 'P') {
			skip += form_size(*p);
			if (skip == 1)
				return UNKNOWN;
		} else if (*letters != 'L') {
			return UNKNOWN;
		}
		if ((size_t)(end - p) < skip)
			return UNKNOWN;
		p += skip;
	}
	return FORM_ABS;
}

/* The encoding the CIE at AT of the section says. */
static uint8_t encoding_of(struct search *s, uint64_t at)
{
	const size_t slot = (at / 4) % CIES;
	const unsigned char *p = NULL;
	uint32_t len = 0;
	uint8_t encoding = UNKNOWN;

	if (s->cie[slot].at == at + 1)
		return s->cie[slot].encoding;
	/* Read apart: the window stays where the search is. */
	unsigned char buf[8 + CIE_MAX];
	size_t n = at > s->size ? 0 : s->size - at < sizeof(buf) ? (size_t)(s->size - at) : sizeof(buf);

	if (n <= 8 || !elf_read(s->e, s->offset + at, buf, n))
		return UNKNOWN;
	memcpy(&len, buf, 4);
	p = buf + 8;
	n -= 8;
	if (len >= 4 && len - 4 < n)
		n = len - 4;
	if (len >= 4 && memcmp(buf + 4, "\0\0\0\0", 4) == 0)
		encoding = cie_encoding(p, n);
	s->cie[slot].at = at + 1;
	s->cie[slot].encoding = encoding;
	return encoding;
}

static int64_t number(const unsigned char *p, uint8_t encoding)
{
	uint64_t u8 = 0;
	uint32_t u4 = 0;

	if (form_size(encoding) == 8) {
		memcpy(&u8, p, 8);
		return (int64_t)u8;
	}
	memcpy(&u4, p, 4);
	return (encoding & FORM) == FORM_S4 ? (int32_t)u4 : (int64_t)u4;
}

/* Whether the entry of LEN bytes (behind its length) at AT of the section is for ADDR. */
static bool covers(struct search *s, uint64_t at, uint64_t len, uint32_t id, uint64_t addr, uint64_t *ret_start)
{
	/* The id of an entry says how far before itself its CIE is. */
	const uint8_t encoding = id > at + 4 ? UNKNOWN : encoding_of(s, at + 4 - id);
	const size_t size = form_size(encoding);

	if (encoding == UNKNOWN || size == 0 || ((encoding & BASE) != BASE_PC && (encoding & BASE) != BASE_NONE) || len < 4 + 2 * size)
		return false;
	const unsigned char *p = look(s, at + 8, 2 * size);

	if (p == NULL)
		return false;
	uint64_t start = (uint64_t)number(p, encoding), range = (uint64_t)number(p + size, size == 4 ? FORM_U4 : FORM_U8);

	if ((encoding & BASE) == BASE_PC)
		start += s->addr + at + 8;
	if (addr - start >= range)
		return false;
	*ret_start = start;
	return true;
}

bool frame_find(struct elf *e, uint64_t addr, uint64_t *ret_entry, uint64_t *ret_start)
{
	static struct search s;
	uint64_t at = 0;

	memset(&s, 0, offsetof(struct search, window));
	s.e = e;
	if (!elf_section(e, ".eh_frame", &s.addr, &s.offset, &s.size))
		return false;
	for (;;) {
		const unsigned char *p = look(&s, at, 8);
		uint32_t len = 0, id = 0;

		if (p == NULL)
			return false;
		memcpy(&len, p, 4);
		memcpy(&id, p + 4, 4);
		/* 0 ends the table; all ones would be a length of eight bytes, which nobody writes. */
		if (len < 4 || len == UINT32_MAX)
			return false;
		if (id != 0 && covers(&s, at, len, id, addr, ret_start)) {
			*ret_entry = s.addr + at;
			return true;
		}
		at += 4 + (uint64_t)len;
	}
}
