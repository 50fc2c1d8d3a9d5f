/*
 * Our own processes confine themselves after start-up. Their lists are short and know nothing but numbers, so
 * the program is written down here: libseccomp, which builds the guest's, takes more than half a millisecond
 * for such a list, on the way of every start (bench/README.md).
 *
 *   load arch;  not x86-64: kill
 *   load nr;    x32: kill
 *   each number: equal? allow
 *   answer what is not listed
 *
 * That a long list is compared one by one costs nothing: an allowed number that looks at no argument is
 * answered from the kernel's bitmap (seccomp_cache_prepare() in kernel/seccomp.c). Arguments are not looked
 * at: what a descriptor may do was decided when it was opened, and a list of numbers is what a reader can
 * check.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>

#include "selffilter.h"
#include "table.h"

#define X32_BIT 0x40000000u
#define NO_CALL 0xffffffffu /* -1: no call at all, as a tracer sets it; not x32 */
#define STMT(code, k)	      ((struct sock_filter)BPF_STMT((code), (k)))
#define JUMP(code, k, jt, jf) ((struct sock_filter)BPF_JUMP((code), (k), (jt), (jf)))
enum { FIXED = 8 }; /* instructions besides two for each number */

int selffilter_build(const int *nrs, size_t n, enum selffilter_mode mode, struct sock_fprog *ret_prog)
{
	uint32_t rest = mode == SELFFILTER_EPERM ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_KILL_PROCESS;
	struct sock_filter *f;
	size_t at = 0;

	if (n > (BPF_MAXINSNS - FIXED) / 2)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (table_row(nrs[i]) == NULL)
			return -EINVAL;
	f = calloc(FIXED + 2 * n, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	f[at++] = STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	f[at++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	f[at++] = STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	f[at++] = STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	f[at++] = JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 2);
	f[at++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, NO_CALL, 1, 0);
	f[at++] = STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < n; i++) {
		f[at++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nrs[i], 0, 1);
		f[at++] = STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	f[at++] = STMT(BPF_RET | BPF_K, rest);
	*ret_prog = (struct sock_fprog){.len = (unsigned short)at, .filter = f};
	return 0;
}
