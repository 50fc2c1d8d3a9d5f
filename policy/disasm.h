/* A filter program as text, for people: `gabion explain --bpf`. */
#ifndef GABION_POLICY_DISASM_H
#define GABION_POLICY_DISASM_H

#include <linux/filter.h>
#include <stdio.h>

/*
 * Writes PROG to OUT, one instruction a line: its number, what it does, and where it goes on; constants that are compared
 * with the number of the call appear with the call's name. 0, -EIO where OUT takes no more, -ENOMEM, -EINVAL for a program
 * that jumps out of itself.
 */
int disasm_print(FILE *out, const struct sock_fprog *prog);

#endif
