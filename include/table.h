/*
 * The syscall table as data. syscalls.tbl names every x86-64 syscall once; this header says what a row
 * means. policy/table.c expands it into rows, sentry/handle.c into handlers, policy/filter.c turns classes
 * and a plan into a BPF program, `gabion syscalls` prints it. No other file knows a class.
 *
 * A row:  SYS(nr, name, CLASS, FAMILY, LIST, SIGn(ARG, ...), handler, "note")
 */
#ifndef GABION_TABLE_H
#define GABION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What may happen to a call at most; zero is the strictest. See docs of `gabion syscalls`. */
enum sys_class {
	CLASS_KILL = 0, /* the filter kills the process */
	CLASS_EPERM,    /* the filter answers EPERM */
	CLASS_ENOSYS,   /* the filter answers ENOSYS: programs fall back */
	CLASS_ALLOW,    /* the filter allows (narrowed by value in BPF where policy/filter.c says so) */
	CLASS_SCALAR,   /* notified; decided on plain numbers in registers only; may be continued */
	CLASS_RECHECK,  /* notified; continued; the result is verified at a stop (exec, chdir) */
	CLASS_EMULATE,  /* notified; performed by the sentry, never continued unless the plan says observe */
	CLASS_COUNT
};

/* Families: the unit of the plan. A row belongs to one. */
enum family {
	FAM_NONE = 0, /* judged by nobody: no rule speaks of it */
	FAM_OPEN,     /* open, openat, openat2, creat: read or write by flags */
	FAM_META,     /* reads metadata of a path: stat, access, readlink, getxattr, statfs, ... */
	FAM_CHANGE,   /* changes names or metadata: rename, unlink, mkdir, chmod, ... */
	FAM_LIST,     /* getdents */
	FAM_CHDIR,    /* chdir, fchdir */
	FAM_EXEC,     /* execve, execveat */
	FAM_WATCH,    /* inotify_add_watch */
	FAM_SOCKET,   /* socket, socketpair: families and types by value */
	FAM_CONNECT,  /* connect */
	FAM_BIND,     /* bind, listen */
	FAM_SEND,     /* sendto, sendmsg, sendmmsg: an address may ride along */
	FAM_SIGNAL,   /* kill and friends, pidfd_open */
	FAM_PROCESS,  /* other processes' limits and priorities: guarded by user ids alone */
	FAM_TRACE,    /* other processes' memory, registers, descriptors: guarded by ptrace access checks */
	FAM_RING,     /* io_uring_* */
	FAM_DENIED,   /* never permitted */
	FAM_COUNT
};

/*
 * The lists a policy chooses from (syscalls: of gabion-policy(5)), each within the next. A row names the first one it is in; a call
 * that is in none of the chosen list is refused by the filter, whatever its class. Zero is the strictest choice.
 */
enum sys_list {
	LIST_NARROW = 0, /* what ordinary programs cannot do without: see the goal in tests/unit/test_surface.c */
	LIST_USUAL,	 /* and what compilers, package managers, debuggers and databases use */
	LIST_WIDE,	 /* all that is not refused anyway */
	LIST_COUNT
};

/* What an argument register holds. */
enum arg_kind {
	ARG_NONE = 0,
	ARG_INT,    /* plain number */
	ARG_FLAGS,  /* plain number, a set of bits */
	ARG_MODE,   /* permission bits */
	ARG_ID,     /* uid or gid */
	ARG_PID,    /* a process or thread: its meaning can change */
	ARG_SIG,    /* signal number */
	ARG_LEN,    /* length of a neighbouring buffer */
	ARG_OFF,    /* file offset */
	ARG_FD,     /* descriptor: its meaning can change */
	ARG_DIRFD,  /* descriptor a path hangs off, or AT_FDCWD */
	ARG_PATH,   /* pointer to a NUL-terminated path */
	ARG_STR,    /* pointer to another NUL-terminated string (xattr name, fs type) */
	ARG_ARGV,   /* pointer to a vector of strings */
	ARG_IN,     /* pointer to memory the call reads */
	ARG_OUT,    /* pointer to memory the call writes */
	ARG_INOUT,  /* pointer to memory the call reads and writes */
	ARG_SOCKADDR, /* pointer to a socket address (length in the next argument) */
	ARG_MSGHDR, /* pointer to struct msghdr / mmsghdr */
	ARG_HOW,    /* pointer to a sized struct of arguments (open_how, clone_args) */
	ARG_ADDR,   /* address of the caller's memory that is not read as data (mmap hint, futex word) */
	ARG_COUNT
};

#define SYS_ARGS_MAX 6

struct sys_row {
	const char *name; /* NULL: no such syscall */
	const char *handler;
	const char *note;
	int nr;
	enum sys_class class;
	enum family family;
	enum sys_list list;
	uint8_t nargs;
	uint8_t arg[SYS_ARGS_MAX]; /* enum arg_kind */
};

/* One past the highest number in the table. */
extern const int table_end;

/* The row of NR, or NULL where the table names none. Static storage. */
const struct sys_row *table_row(int nr);
/* The row called NAME, or NULL. */
const struct sys_row *table_by_name(const char *name);

/* Lower-case words for printing; never NULL. */
const char *table_class_name(enum sys_class c);
const char *table_family_name(enum family f);
const char *table_list_name(enum sys_list l);
const char *table_arg_name(enum arg_kind a);

#endif
