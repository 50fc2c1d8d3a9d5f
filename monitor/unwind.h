/*
 * Unwinding the stack of a guest's thread from a copy of it: registers, stack bytes, the text of its memory map
 * (struct tracer_snapshot). Everything in there is the guest's word, and so are the files the map names: they are read with
 * bounds, in a process that can do nothing else (unwinder.h).
 *
 *   unwind_maps.c  the map as ranges; the files behind them, found below a root and looked at once
 *   unwind_elf.c   what is read of an ELF file: where its unwind tables are, its symbols, its build id
 *   unwind_frame.c searches a file's unwind information where it has no index
 *   unwind.c       libunwind's remote accessors over them
 */
#ifndef GABION_MONITOR_UNWIND_H
#define GABION_MONITOR_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracer_msg.h"

enum {
	UNWIND_FRAMES = 32,
	UNWIND_OBJECT_MAX = 256,
	UNWIND_SYMBOL_MAX = 128,
	UNWIND_BUILD_ID_MAX = 20,
};

struct unwind_frame {
	uint64_t ip;
	uint64_t offset;	/* of ip in the object's own addresses, as addr2line takes it; where there is none: 0 */
	uint64_t symbol_offset; /* of ip from the symbol's start */
	char object[UNWIND_OBJECT_MAX]; /* as the memory map names it, cut; empty: nothing is mapped there */
	char symbol[UNWIND_SYMBOL_MAX]; /* cut; empty: none */
	uint8_t build_id_len;
	uint8_t build_id[UNWIND_BUILD_ID_MAX];
};

/* One stack, as the unwinder sends it to the monitor. */
struct unwind_stack {
	uint64_t id; /* of the snapshot */
	uint32_t n;
	uint32_t whole; /* 1: ended where the stack ends, 0: cut */
	struct unwind_frame frame[UNWIND_FRAMES];
};

struct unwind_snapshot {
	const struct tracer_snapshot *head;
	const unsigned char *stack; /* .stack_len bytes */
	const char *maps;	    /* .maps_len bytes of text */
	int root;		    /* directory the guest's paths hang off */
};

/* Loads libunwind; to be called before the process is confined. -ENOENT where the host has none. */
int unwind_load(void);

/*
 * Unwinds. Takes time and memory as hostile input pleases: the caller's process has limits. There is at least the frame
 * the thread was in. 0 or -errno.
 */
int unwind_stack(const struct unwind_snapshot *s, struct unwind_stack *ret_stack);

/* -- unwind_maps.c -- */

struct elf;

struct unwind_map {
	uint64_t start, end, offset;
	uint64_t ino;
	bool exec;
	bool tried;	 /* .elf was looked for */
	const char *path; /* not NUL-terminated */
	size_t path_len;
	bool owner;	 /* of .elf, which other ranges of the same file share */
	struct elf *elf;
};

struct unwind_maps {
	struct unwind_map *v;
	size_t n;
	size_t files; /* opened so far */
	int root;
};

/* The ranges of TEXT, which must stay: at most 8192, in ascending order; what is no line of a memory map is left out. 0 or -ENOMEM. */
int unwind_maps_parse(const char *text, size_t len, int root, struct unwind_maps *ret_maps);
void unwind_maps_free(struct unwind_maps *m);
/* The range ADDR lies in, or NULL. */
struct unwind_map *unwind_maps_find(const struct unwind_maps *m, uint64_t addr);
/* The file behind MAP, or NULL where it is none that can be read: opened below the root without following any link, and only if it is
 * a regular file and still the inode that is mapped. Each file is looked for once, 64 at most. */
struct elf *unwind_maps_elf(struct unwind_maps *m, struct unwind_map *map);

/* -- unwind_elf.c -- */

/* Takes over FD, a regular file open for reading. NULL where it is no 64-bit ELF file of this machine's. */
struct elf *elf_open(int fd);
struct elf *elf_free(struct elf *e);
/* Reads 8 bytes at OFFSET of the file. */
bool elf_read_word(struct elf *e, uint64_t offset, uint64_t *ret_word);
/* What has to be added to the file's addresses where the byte at OFFSET of the file is mapped at ADDR. */
bool elf_bias(const struct elf *e, uint64_t offset, uint64_t addr, uint64_t *ret_bias);
/* The file's address of its .eh_frame_hdr and how many entries its table has; false where it has none of the common form. */
bool elf_unwind_table(struct elf *e, uint64_t *ret_addr, uint32_t *ret_entries);
/* Where the section NAME that is loaded lies: its address, its offset and size in the file. */
bool elf_section(struct elf *e, const char *name, uint64_t *ret_addr, uint64_t *ret_offset, uint64_t *ret_size);
/* LEN bytes at OFFSET, or false: also once 64 MiB of the file were read so. */
bool elf_read(struct elf *e, uint64_t offset, void *buf, size_t len);
/* The function ADDR (of the file's addresses) lies in: its name, and where it begins. */
bool elf_symbol(struct elf *e, uint64_t addr, char name[UNWIND_SYMBOL_MAX], uint64_t *ret_start);
/* Bytes of the build id, 0 where there is none. */
size_t elf_build_id(struct elf *e, uint8_t id[UNWIND_BUILD_ID_MAX]);

/* -- unwind_frame.c -- */

/* The entry of E's .eh_frame for the function that ADDR (of the file's addresses) lies in, and where that begins; both addresses of the
 * file's. False where there is none, or it would take too long to find. */
bool frame_find(struct elf *e, uint64_t addr, uint64_t *ret_entry, uint64_t *ret_start);

#endif
