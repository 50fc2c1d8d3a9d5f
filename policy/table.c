/*
 * The table as an array indexed by number. Numbers are written in the rows themselves ([nr] = ...), so that
 * the compiler refuses a number used twice; a hole has a NULL name and is nobody's syscall.
 */
#include <string.h>

#include "table.h"
#include "util/err.h"

#define SIG0() .nargs = 0
#define SIG1(a) .nargs = 1, .arg = { ARG_##a }
#define SIG2(a, b) .nargs = 2, .arg = { ARG_##a, ARG_##b }
#define SIG3(a, b, c) .nargs = 3, .arg = { ARG_##a, ARG_##b, ARG_##c }
#define SIG4(a, b, c, d) .nargs = 4, .arg = { ARG_##a, ARG_##b, ARG_##c, ARG_##d }
#define SIG5(a, b, c, d, e) .nargs = 5, .arg = { ARG_##a, ARG_##b, ARG_##c, ARG_##d, ARG_##e }
#define SIG6(a, b, c, d, e, f) .nargs = 6, .arg = { ARG_##a, ARG_##b, ARG_##c, ARG_##d, ARG_##e, ARG_##f }

static const struct sys_row rows[] = {
#define SYS(number, sysname, cls, fam, in, sig, func, text)                                                  \
	[number] = { .name = #sysname,                                                                       \
		     .handler = #func,                                                                       \
		     .note = text,                                                                           \
		     .nr = (number),                                                                         \
		     .class = CLASS_##cls,                                                                   \
		     .family = FAM_##fam,                                                                    \
		     .list = LIST_##in,                                                                      \
		     sig },
#include "syscalls.tbl"
#undef SYS
};

const int table_end = (int)ARRAY_LEN(rows);

const struct sys_row *table_row(int nr)
{
	if (nr < 0 || nr >= table_end || rows[nr].name == NULL)
		return NULL;
	return &rows[nr];
}

const struct sys_row *table_by_name(const char *name)
{
	for (int nr = 0; nr < table_end; nr++)
		if (rows[nr].name != NULL && strcmp(rows[nr].name, name) == 0)
			return &rows[nr];
	return NULL;
}

/* Printing: a value out of range is a bug elsewhere, shown as such. */
static const char *word(const char *const *words, size_t count, size_t i)
{
	return i < count && words[i] != NULL ? words[i] : "?";
}

const char *table_class_name(enum sys_class c)
{
	static const char *const words[CLASS_COUNT] = {
		[CLASS_KILL] = "kill",
		[CLASS_EPERM] = "eperm",
		[CLASS_ENOSYS] = "enosys",
		[CLASS_ALLOW] = "allow",
		[CLASS_SCALAR] = "scalar",
		[CLASS_RECHECK] = "recheck",
		[CLASS_EMULATE] = "emulate",
	};
	return word(words, CLASS_COUNT, c);
}

const char *table_family_name(enum family f)
{
	static const char *const words[FAM_COUNT] = {
		[FAM_NONE] = "none",
		[FAM_OPEN] = "open",
		[FAM_META] = "meta",
		[FAM_CHANGE] = "change",
		[FAM_LIST] = "list",
		[FAM_CHDIR] = "chdir",
		[FAM_EXEC] = "exec",
		[FAM_WATCH] = "watch",
		[FAM_SOCKET] = "socket",
		[FAM_CONNECT] = "connect",
		[FAM_BIND] = "bind",
		[FAM_SEND] = "send",
		[FAM_SIGNAL] = "signal",
		[FAM_PROCESS] = "process", [FAM_TRACE] = "trace",
		[FAM_RING] = "ring",
		[FAM_DENIED] = "denied",
	};
	return word(words, FAM_COUNT, f);
}

const char *table_list_name(enum sys_list l)
{
	static const char *const words[LIST_COUNT] = {
		[LIST_NARROW] = "narrow",
		[LIST_USUAL] = "usual",
		[LIST_WIDE] = "wide",
	};
	return word(words, LIST_COUNT, l);
}

const char *table_arg_name(enum arg_kind a)
{
	static const char *const words[ARG_COUNT] = {
		[ARG_NONE] = "none",
		[ARG_INT] = "int",
		[ARG_FLAGS] = "flags",
		[ARG_MODE] = "mode",
		[ARG_ID] = "id",
		[ARG_PID] = "pid",
		[ARG_SIG] = "sig",
		[ARG_LEN] = "len",
		[ARG_OFF] = "off",
		[ARG_FD] = "fd",
		[ARG_DIRFD] = "dirfd",
		[ARG_PATH] = "path",
		[ARG_STR] = "str",
		[ARG_ARGV] = "argv",
		[ARG_IN] = "in",
		[ARG_OUT] = "out",
		[ARG_INOUT] = "inout",
		[ARG_SOCKADDR] = "sockaddr",
		[ARG_MSGHDR] = "msghdr",
		[ARG_HOW] = "how",
		[ARG_ADDR] = "addr",
	};
	return word(words, ARG_COUNT, a);
}
