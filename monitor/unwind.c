/*
 * libunwind's remote accessors over a snapshot: memory is the stack's copy, or else the mapped file (which has the unwind tables
 * and the code; what the thread wrote elsewhere is not known, and not needed to unwind). Registers are the snapshot's.
 *
 * Where a function has no unwind table (compiled without, or by a JIT) libunwind goes on by the frame pointer; a file whose table has no
 * index is searched (unwind_frame.c). Every step must
 * lead up the stack, so a corrupt one ends instead of going in circles; the number of frames is bounded as well.
 *
 * libunwind is loaded when stacks are asked for: linked, it would cost every start a third of a millisecond.
 *
 * Syscalls: what libunwind's locks use (rt_sigprocmask), memory, and those of unwind_maps.c and unwind_elf.c.
 */
#include "monitor/unwind.h"

#include <dlfcn.h>
#include <errno.h>
#include <libunwind.h>
#include <string.h>
#include <sys/user.h>

#include "util/err.h"

/* Of libunwind-x86_64.so; the names libunwind.h gives them are those of the remote interface. */
static struct {
	unw_addr_space_t (*create)(unw_accessors_t *, int);
	void (*destroy)(unw_addr_space_t);
	int (*init)(unw_cursor_t *, unw_addr_space_t, void *);
	int (*step)(unw_cursor_t *);
	int (*get)(unw_cursor_t *, unw_regnum_t, unw_word_t *);
	int (*is_signal)(unw_cursor_t *);
	int (*search)(unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *, int, void *);
} lib;

/* The library sets itself up at its first use, with calls (pipe2) that a confined process has no use for otherwise. */
static int first_use(void)
{
	static const struct tracer_snapshot nothing;
	struct unwind_snapshot s = { .head = &nothing, .stack = NULL, .maps = "", .root = -1 };
	struct unwind_stack out;

	return unwind_stack(&s, &out);
}

int unwind_load(void)
{
	static const struct {
		void *to;
		const char *name;
	} all[] = {
		{ &lib.create, "_Ux86_64_create_addr_space" },
		{ &lib.destroy, "_Ux86_64_destroy_addr_space" },
		{ &lib.init, "_Ux86_64_init_remote" },
		{ &lib.step, "_Ux86_64_step" },
		{ &lib.get, "_Ux86_64_get_reg" },
		{ &lib.is_signal, "_Ux86_64_is_signal_frame" },
		{ &lib.search, "_Ux86_64_dwarf_search_unwind_table" },
	};
	void *so = dlopen("libunwind-x86_64.so.8", RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; so != NULL && i < ARRAY_LEN(all); i++) {
		void *at = dlsym(so, all[i].name);

		if (at == NULL)
			return -ENOENT;
		memcpy(all[i].to, &at, sizeof(at));
	}
	return so == NULL ? -ENOENT : first_use();
}

struct walk {
	const struct unwind_snapshot *s;
	struct user_regs_struct regs;
	struct unwind_maps maps;
	int32_t index[2]; /* from the segment's base to the function, and to its entry */
};

/*
 * An index of one entry for what has none (unwind_frame.c), where libunwind reads it: at an address that no process has. Both numbers are
 * relative to the function's begin.
 */
#define INDEX_AT UINT64_C(0xffffff0000000000)

static int access_mem(unw_addr_space_t as, unw_word_t addr, unw_word_t *val, int write, void *arg)
{
	struct walk *w = arg;
	const struct tracer_snapshot *h = w->s->head;
	struct unwind_map *map;
	struct elf *e;

	(void)as;
	if (write != 0)
		return -UNW_EINVAL;
	if (addr >= h->stack_at && h->stack_len >= sizeof(*val) && addr - h->stack_at <= h->stack_len - sizeof(*val)) {
		memcpy(val, w->s->stack + (addr - h->stack_at), sizeof(*val));
		return 0;
	}
	if (addr == INDEX_AT) {
		memcpy(val, w->index, sizeof(*val));
		return 0;
	}
	map = unwind_maps_find(&w->maps, addr);
	if (map == NULL || map->end - addr < sizeof(*val))
		return -UNW_EUNSPEC;
	e = unwind_maps_elf(&w->maps, map);
	return e != NULL && elf_read_word(e, map->offset + (addr - map->start), val) ? 0 : -UNW_EUNSPEC;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *val, int write, void *arg)
{
	const struct user_regs_struct *r = &((struct walk *)arg)->regs;
	/* By DWARF's numbers, which are libunwind's. */
	const unsigned long long v[] = { r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp, r->rsp, r->r8,
					 r->r9,	 r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rip };

	(void)as;
	if (write != 0 || reg < 0 || (size_t)reg >= ARRAY_LEN(v))
		return -UNW_EBADREG;
	*val = v[reg];
	return 0;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *val, int write, void *arg)
{
	(void)as, (void)reg, (void)val, (void)write, (void)arg;
	return -UNW_EBADREG;
}

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need, void *arg)
{
	struct walk *w = arg;
	struct unwind_map *map = unwind_maps_find(&w->maps, ip);
	struct elf *e = map == NULL ? NULL : unwind_maps_elf(&w->maps, map);
	unw_dyn_info_t di;
	uint64_t bias, header;
	uint32_t entries;

	if (e == NULL || !elf_bias(e, map->offset, map->start, &bias))
		return -UNW_ENOINFO;
	memset(&di, 0, sizeof(di));
	if (!elf_unwind_table(e, &header, &entries)) {
		uint64_t entry, start;

		if (!frame_find(e, ip - bias, &entry, &start) || (int64_t)(entry - start) != (int32_t)(entry - start))
			return -UNW_ENOINFO;
		w->index[0] = 0;
		w->index[1] = (int32_t)(entry - start);
		di.format = UNW_INFO_FORMAT_REMOTE_TABLE;
		di.start_ip = map->start;
		di.end_ip = map->end;
		di.u.rti.segbase = bias + start;
		di.u.rti.table_data = INDEX_AT;
		di.u.rti.table_len = 1;
		return lib.search(as, ip, &di, pi, need, arg);
	}
	di.format = UNW_INFO_FORMAT_REMOTE_TABLE;
	di.start_ip = map->start;
	di.end_ip = map->end;
	di.u.rti.segbase = bias + header;
	di.u.rti.table_data = bias + header + 12;
	/* In words: an entry is two numbers of four bytes. */
	di.u.rti.table_len = entries;
	return lib.search(as, ip, &di, pi, need, arg);
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg)
{
	(void)as, (void)pi, (void)arg;
}

static int no_list(unw_addr_space_t as, unw_word_t *addr, void *arg)
{
	(void)as, (void)addr, (void)arg;
	return -UNW_ENOINFO;
}

static int no_resume(unw_addr_space_t as, unw_cursor_t *c, void *arg)
{
	(void)as, (void)c, (void)arg;
	return -UNW_EINVAL;
}

static int no_name(unw_addr_space_t as, unw_word_t addr, char *buf, size_t len, unw_word_t *off, void *arg)
{
	(void)as, (void)addr, (void)buf, (void)len, (void)off, (void)arg;
	return -UNW_ENOINFO;
}

/* AT: IP, or the byte before it where IP is where a call returns to, which may be another function's already. */
static void name_frame(struct walk *w, uint64_t ip, uint64_t at, struct unwind_frame *f)
{
	struct unwind_map *map = unwind_maps_find(&w->maps, at);
	struct elf *e = map == NULL ? NULL : unwind_maps_elf(&w->maps, map);
	uint64_t bias, start;

	*f = (struct unwind_frame){ .ip = ip };
	if (map == NULL)
		return;
	size_t n = map->path_len < sizeof(f->object) - 1 ? map->path_len : sizeof(f->object) - 1;

	memcpy(f->object, map->path, n);
	if (e == NULL || !elf_bias(e, map->offset, map->start, &bias))
		return;
	f->offset = ip - bias;
	f->build_id_len = (uint8_t)elf_build_id(e, f->build_id);
	if (elf_symbol(e, at - bias, f->symbol, &start))
		f->symbol_offset = ip - bias - start;
	else
		f->symbol[0] = '\0';
}

static void walk(struct walk *w, unw_addr_space_t as, struct unwind_stack *out)
{
	unw_word_t ip = w->regs.rip, sp = w->regs.rsp, last;
	bool exact = true; /* the instruction itself, not one behind a call */
	unw_cursor_t cursor;
	int r = lib.init(&cursor, as, w);

	for (;;) {
		name_frame(w, ip, exact || ip == 0 ? ip : ip - 1, &out->frame[out->n++]);
		if (r < 0 || out->n == UNWIND_FRAMES)
			return;
		r = lib.step(&cursor);
		last = sp;
		if (r < 0 || lib.get(&cursor, UNW_REG_IP, &ip) < 0 || lib.get(&cursor, UNW_REG_SP, &sp) < 0)
			return;
		if (r == 0 || ip == 0) {
			out->whole = 1;
			return;
		}
		/* A signal's frame may lie on another stack. */
		exact = lib.is_signal(&cursor) > 0;
		if (sp <= last && !exact)
			return;
		/* Where nothing can be executed nobody returns to: the rest is guessed from a corrupt stack. */
		const struct unwind_map *map = unwind_maps_find(&w->maps, exact ? ip : ip - 1);

		if (map == NULL || !map->exec)
			return;
	}
}

static unw_accessors_t accessors = {
	.find_proc_info = find_proc_info,
	.put_unwind_info = put_unwind_info,
	.get_dyn_info_list_addr = no_list,
	.access_mem = access_mem,
	.access_reg = access_reg,
	.access_fpreg = access_fpreg,
	.resume = no_resume,
	.get_proc_name = no_name,
};

int unwind_stack(const struct unwind_snapshot *s, struct unwind_stack *ret_stack)
{
	struct walk w = { .s = s };
	unw_addr_space_t as;
	int r;

	_Static_assert(sizeof(w.regs) == sizeof(s->head->regs), "registers as the kernel gives them");
	memcpy(&w.regs, s->head->regs, sizeof(w.regs));
	r = unwind_maps_parse(s->maps, s->head->maps_len, s->root, &w.maps);
	if (r < 0)
		return r;
	as = lib.create(&accessors, 0);
	if (as == NULL) {
		unwind_maps_free(&w.maps);
		return -ENOMEM;
	}
	*ret_stack = (struct unwind_stack){ .id = s->head->id };
	walk(&w, as, ret_stack);
	lib.destroy(as);
	unwind_maps_free(&w.maps);
	return 0;
}
