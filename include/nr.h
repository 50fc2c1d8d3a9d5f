/*
 * Syscall numbers by name, NR_openat2 and so on, from the table itself: code that speaks of a syscall does
 * not depend on how new the kernel headers it is built with are.
 */
#ifndef GABION_NR_H
#define GABION_NR_H

enum sys_nr {
#define SYS(nr, name, class, family, in, args, handler, note) NR_##name = (nr),
#include "syscalls.tbl"
#undef SYS
};

#endif
