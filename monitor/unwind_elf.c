/*
 * What is read of a guest's ELF file. It may change while it is read, so it is never mapped (a shortened file would be a
 * signal) and every field is taken once, into a copy, and checked there; every offset is read with pread(2), which knows the file's
 * end. Counts are bounded by constants, not by what the file says. Sources: elf(5), the System V ABI (symbol tables,
 * notes), the LSB core specification (.eh_frame_hdr).
 *
 * Syscalls: pread64, close.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/unwind.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	PHDRS_MAX = 128,
	SHDRS_MAX = 4096,
	SYMBOLS_MAX = 4 << 20,
	NOTES_MAX = 64 << 10,
	BLOCK = 4096,
	BLOCKS = 64, /* kept of a file */
	SEARCHED_MAX = 64 << 20,
};

struct elf {
	int fd;
	size_t n;
	Elf64_Phdr ph[PHDRS_MAX];
	uint64_t shoff;
	uint16_t shentsize, shnum, shstrndx;
	uint64_t searched; /* bytes of unwind tables gone through so far */
	struct block {
		uint64_t at; /* of the file, + 1; 0: empty */
		size_t len;
		unsigned char byte[BLOCK];
	} block[BLOCKS];
};

/* LEN bytes at OFFSET, or nothing. */
static bool read_at(const struct elf *e, uint64_t offset, void *buf, size_t len)
{
	if (offset > INT64_MAX - len)
		return false;
	return pread(e->fd, buf, len, (off_t)offset) == (ssize_t)len;
}

struct elf *elf_free(struct elf *e)
{
	if (e != NULL) {
		(void)fd_close(e->fd);
		free(e);
	}
	return NULL;
}

struct elf *elf_open(int fd)
{
	struct elf *e = calloc(1, sizeof(*e));
	Elf64_Ehdr h;

	if (e == NULL) {
		(void)fd_close(fd);
		return NULL;
	}
	e->fd = fd;
	if (!read_at(e, 0, &h, sizeof(h)) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
	    h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_machine != EM_X86_64 ||
	    h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum == 0 || h.e_phnum > PHDRS_MAX ||
	    !read_at(e, h.e_phoff, e->ph, h.e_phnum * sizeof(Elf64_Phdr)))
		return elf_free(e);
	e->n = h.e_phnum;
	e->shoff = h.e_shoff;
	e->shentsize = h.e_shentsize;
	e->shnum = h.e_shnum;
	e->shstrndx = h.e_shstrndx;
	return e;
}

bool elf_read_word(struct elf *e, uint64_t offset, uint64_t *ret_word)
{
	const uint64_t at = offset & ~(uint64_t)(BLOCK - 1);
	const size_t in = (size_t)(offset - at);
	struct block *b = &e->block[at / BLOCK % BLOCKS];

	if (in > BLOCK - sizeof(*ret_word))
		return read_at(e, offset, ret_word, sizeof(*ret_word));
	if (b->at != at + 1) {
		ssize_t n = at > INT64_MAX - BLOCK ? -1 : pread(e->fd, b->byte, BLOCK, (off_t)at);

		b->at = 0;
		if (n <= 0)
			return false;
		b->len = (size_t)n;
		b->at = at + 1;
	}
	if (in + sizeof(*ret_word) > b->len)
		return false;
	memcpy(ret_word, b->byte + in, sizeof(*ret_word));
	return true;
}

bool elf_bias(const struct elf *e, uint64_t offset, uint64_t addr, uint64_t *ret_bias)
{
	for (size_t i = 0; i < e->n; i++) {
		const Elf64_Phdr *p = &e->ph[i];
		/* The kernel maps whole pages. */
		const uint64_t from = p->p_offset & ~(uint64_t)(BLOCK - 1);

		if (p->p_type != PT_LOAD || offset < from || offset - from >= p->p_filesz + (p->p_offset - from))
			continue;
		*ret_bias = addr - (p->p_vaddr - p->p_offset + offset);
		return true;
	}
	return false;
}

/* Where the file's ADDR is in the file. */
static bool to_offset(const struct elf *e, uint64_t addr, uint64_t *ret_offset)
{
	for (size_t i = 0; i < e->n; i++) {
		const Elf64_Phdr *p = &e->ph[i];

		if (p->p_type == PT_LOAD && addr >= p->p_vaddr && addr - p->p_vaddr < p->p_filesz) {
			*ret_offset = p->p_offset + (addr - p->p_vaddr);
			return true;
		}
	}
	return false;
}

bool elf_unwind_table(struct elf *e, uint64_t *ret_addr, uint32_t *ret_entries)
{
	/* version; encodings of the pointer, the count and the table; the pointer; the count */
	struct {
		uint8_t version, ptr, count, table;
		int32_t frame;
		uint32_t entries;
	} h;

	for (size_t i = 0; i < e->n; i++) {
		uint64_t offset;

		if (e->ph[i].p_type != PT_GNU_EH_FRAME)
			continue;
		/* sdata4 relative to here, udata4, sdata4 relative to the header: what every linker writes. */
		if (!to_offset(e, e->ph[i].p_vaddr, &offset) || !read_at(e, offset, &h, sizeof(h)) || h.version != 1 ||
		    h.ptr != 0x1b || h.count != 0x03 || h.table != 0x3b || h.entries == 0)
			return false;
		*ret_addr = e->ph[i].p_vaddr;
		*ret_entries = h.entries;
		return true;
	}
	return false;
}

bool elf_read(struct elf *e, uint64_t offset, void *buf, size_t len)
{
	if (e->searched > SEARCHED_MAX)
		return false;
	e->searched += len;
	return read_at(e, offset, buf, len);
}

struct found {
	uint64_t addr; /* looked for */
	uint64_t start;
	uint64_t name; /* offset in the file */
	bool any, covers;
};

/* Looks through the symbols of section S, whose names are in section NAMES. */
static void look_through(const struct elf *e, const Elf64_Shdr *s, const Elf64_Shdr *names, struct found *f)
{
	Elf64_Sym sym[128];
	uint64_t left = s->sh_size / sizeof(Elf64_Sym);
	uint64_t at = s->sh_offset;

	if (left > SYMBOLS_MAX)
		left = SYMBOLS_MAX;
	while (left > 0) {
		const size_t n = left < ARRAY_LEN(sym) ? (size_t)left : ARRAY_LEN(sym);

		if (!read_at(e, at, sym, n * sizeof(*sym)))
			return;
		for (size_t i = 0; i < n; i++) {
			const Elf64_Sym *y = &sym[i];
			const unsigned int type = ELF64_ST_TYPE(y->st_info);
			const bool covers = f->addr - y->st_value < y->st_size;

			if ((type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) || y->st_shndx == SHN_UNDEF ||
			    y->st_value == 0 || y->st_value > f->addr || y->st_name >= names->sh_size)
				continue;
			/* One that says it reaches so far is better than the nearest before. */
			if (f->any && (f->covers != covers ? f->covers : y->st_value <= f->start))
				continue;
			/* A symbol without an end that is far away says nothing. */
			if (!covers && (y->st_size != 0 || f->addr - y->st_value > 1 << 20))
				continue;
			*f = (struct found){ .addr = f->addr, .start = y->st_value, .name = names->sh_offset + y->st_name,
					     .any = true, .covers = covers };
		}
		at += n * sizeof(*sym);
		left -= n;
	}
}

static bool section(const struct elf *e, uint32_t i, Elf64_Shdr *ret_s)
{
	return i < e->shnum && i < SHDRS_MAX &&
	       read_at(e, e->shoff + (uint64_t)i * sizeof(*ret_s), ret_s, sizeof(*ret_s)) &&
	       ret_s->sh_size <= INT64_MAX && ret_s->sh_offset <= INT64_MAX;
}

bool elf_section(struct elf *e, const char *name, uint64_t *ret_addr, uint64_t *ret_offset, uint64_t *ret_size)
{
	const size_t len = strlen(name) + 1;
	char text[32];
	Elf64_Shdr names, s;

	if (e->shentsize != sizeof(Elf64_Shdr) || len > sizeof(text) || !section(e, e->shstrndx, &names))
		return false;
	for (uint32_t i = 0; i < e->shnum && i < SHDRS_MAX; i++) {
		if (!section(e, i, &s) || (s.sh_flags & SHF_ALLOC) == 0 || s.sh_type == SHT_NOBITS || s.sh_name >= names.sh_size ||
		    !read_at(e, names.sh_offset + s.sh_name, text, len) || memcmp(text, name, len) != 0)
			continue;
		*ret_addr = s.sh_addr;
		*ret_offset = s.sh_offset;
		*ret_size = s.sh_size;
		return true;
	}
	return false;
}

bool elf_symbol(struct elf *e, uint64_t addr, char name[UNWIND_SYMBOL_MAX], uint64_t *ret_start)
{
	struct found f = { .addr = addr };
	ssize_t n;

	if (e->shentsize != sizeof(Elf64_Shdr))
		return false;
	/* Two tables at most: the dynamic and the full one. */
	for (uint32_t i = 0, tables = 0; i < e->shnum && i < SHDRS_MAX && tables < 2; i++) {
		Elf64_Shdr s, names;

		if (!section(e, i, &s) || (s.sh_type != SHT_SYMTAB && s.sh_type != SHT_DYNSYM) ||
		    !section(e, s.sh_link, &names) || names.sh_type != SHT_STRTAB)
			continue;
		look_through(e, &s, &names, &f);
		tables++;
	}
	if (!f.any || f.name > INT64_MAX - UNWIND_SYMBOL_MAX)
		return false;
	n = pread(e->fd, name, UNWIND_SYMBOL_MAX - 1, (off_t)f.name);
	if (n <= 0)
		return false;
	name[n] = '\0';
	*ret_start = f.start;
	return name[0] != '\0';
}

size_t elf_build_id(struct elf *e, uint8_t id[UNWIND_BUILD_ID_MAX])
{
	for (size_t i = 0; i < e->n; i++) {
		const Elf64_Phdr *p = &e->ph[i];
		uint64_t at = p->p_offset, left = p->p_filesz < NOTES_MAX ? p->p_filesz : NOTES_MAX;
		Elf64_Nhdr h;

		if (p->p_type != PT_NOTE)
			continue;
		/* Each step takes at least a header. */
		while (left >= sizeof(h) && read_at(e, at, &h, sizeof(h))) {
			const uint64_t name = ((uint64_t)h.n_namesz + 3) & ~3ull, desc = ((uint64_t)h.n_descsz + 3) & ~3ull;
			char owner[4] = "";

			if (sizeof(h) + name + desc > left)
				break;
			if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && read_at(e, at + sizeof(h), owner, 4) &&
			    memcmp(owner, "GNU", 4) == 0 && h.n_descsz > 0 && h.n_descsz <= UNWIND_BUILD_ID_MAX &&
			    read_at(e, at + sizeof(h) + name, id, h.n_descsz))
				return h.n_descsz;
			at += sizeof(h) + name + desc;
			left -= sizeof(h) + name + desc;
		}
	}
	return 0;
}
