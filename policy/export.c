/*
 * libseccomp 2.5 writes a program only to a descriptor, so it goes through a memfd. (Loading it is not left
 * to libseccomp: 2.5.4 cannot set WAIT_KILLABLE_RECV, and a program in memory can be simulated by a test.)
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/export.h"
#include "util/err.h"
#include "util/fd.h"

int export_ctx_new(uint32_t deflt, scmp_filter_ctx *ret_ctx)
{
	scmp_filter_ctx ctx = seccomp_init(deflt);
	int r;

	if (ctx == NULL)
		return -ENOMEM;
	/* Whatever this program was built on, the guest's calls are x86-64's. */
	r = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
	if (r == 0)
		r = seccomp_arch_add(ctx, SCMP_ARCH_X86_64);
	/* The x32 bit is refused with the same action as a foreign architecture. */
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r < 0) {
		seccomp_release(ctx);
		return r;
	}
	*ret_ctx = ctx;
	return 0;
}

int export_prog(const scmp_filter_ctx ctx, struct sock_fprog *ret_prog)
{
	AUTO_FD int fd = -1;
	AUTO_FREE struct sock_filter *insns = NULL;
	struct stat st;
	size_t len, got = 0;
	int r;

	fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0)
		return err_now();
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return err_now();
	len = (size_t)st.st_size;
	if (len == 0 || len % sizeof(*insns) != 0 || len / sizeof(*insns) > BPF_MAXINSNS)
		return -E2BIG;
	insns = malloc(len);
	if (insns == NULL)
		return -ENOMEM;
	while (got < len) {
		ssize_t n = pread(fd, (char *)insns + got, len - got, (off_t)got);

		if (n < 0)
			return err_now();
		if (n == 0)
			return -EIO;
		got += (size_t)n;
	}
	*ret_prog = (struct sock_fprog){
		.len = (unsigned short)(len / sizeof(*insns)),
		.filter = STEAL(insns),
	};
	return 0;
}
