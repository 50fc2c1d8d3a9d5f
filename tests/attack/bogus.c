/*
 * bogus [SECONDS [SEED]]: a small fuzzer of system calls. Every number with pointers that lead nowhere, end in the middle, point at
 * the kernel, at read-only memory or at rubbish, and with odd numbers; for SECONDS (default 2). Each batch runs in a child of an
 * ordinary user, so that one that ends itself costs a batch. Left out is what would only end or stop the fuzzer, or leave something
 * behind on a host. Prints how many calls it made; status 0 whatever they answered.
 */
#include <sys/prctl.h>
#include <sys/resource.h>

#include "attack.h"

#ifndef SYS_map_shadow_stack
#define SYS_map_shadow_stack 453
#endif
#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static uint64_t state;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static bool left_out(long nr)
{
	static const long list[] = {
		SYS_exit,	   SYS_exit_group, SYS_fork,   SYS_vfork,      SYS_clone,	 SYS_pause,	SYS_rt_sigsuspend,
		SYS_rt_sigreturn,  SYS_kill,	   SYS_tkill,  SYS_tgkill,     SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
		SYS_pidfd_send_signal, SYS_reboot, SYS_sync,   SYS_syncfs,     SYS_vhangup,	 SYS_shmget,	SYS_semget,
		SYS_msgget,	   SYS_munmap,	   SYS_mprotect, SYS_pkey_mprotect, SYS_mremap, SYS_brk,	SYS_setrlimit,
		SYS_prlimit64,	   SYS_shutdown,   SYS_ptrace, SYS_mlockall,   SYS_sched_setscheduler, SYS_sched_setattr,
		SYS_sched_setparam, SYS_setpriority, SYS_arch_prctl, SYS_seccomp, SYS_alarm, SYS_setitimer, SYS_mmap, SYS_prctl,
		SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_close_range, SYS_dup2, SYS_dup3, SYS_close, SYS_mseal, SYS_fallocate,
		SYS_remap_file_pages, SYS_process_vm_writev, SYS_madvise, SYS_process_madvise, SYS_set_robust_list, SYS_rseq,
		SYS_map_shadow_stack, SYS_personality, SYS_unshare, SYS_setsid, SYS_setpgid, SYS_chdir, SYS_fchdir,
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i] == nr)
			return true;
	return false;
}


static char *page, *readonly, *rubbish;

static uint64_t word(void)
{
	switch (any() % 16) {
	case 0:
		return 0;
	case 1:
		return any() % 64;
	case 2:
		return UINT64_MAX - any() % 16;
	case 3:
		return 0xffffffff80000000ull + any() % 65536;
	case 4:
		return 0x7ffffffff000ull - any() % 16;
	case 5:
		return 8;
	case 6:
		return (uint64_t)(uintptr_t)page + 4096 - any() % 32; /* runs into nothing */
	case 7:
		return (uint64_t)(uintptr_t)readonly + any() % 4096;
	case 8:
	case 9:
	case 10:
		return (uint64_t)(uintptr_t)rubbish + any() % 65536;
	case 11:
		return 1ull << (any() % 64);
	case 12:
		return (uint32_t)-100; /* AT_FDCWD */
	default:
		return any() % 4096;
	}
}

static void batch(_Atomic uint64_t *count)
{
	struct rlimit small = { 256 << 20, 256 << 20 }, files = { 1 << 20, 1 << 20 };

	setrlimit(RLIMIT_AS, &small);
	setrlimit(RLIMIT_FSIZE, &files);
	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGSEGV && sig != SIGBUS && sig != SIGSYS && sig != SIGALRM)
			(void)signal(sig, SIG_IGN);
	for (int i = 0; i < 400; i++) {
		long nr = (long)(any() % 480);

		if (left_out(nr))
			continue;
		alarm(1);
		for (size_t k = 0; k < 16; k++) {
			uint64_t v = any();

			memcpy(rubbish + any() % (65536 - 8), &v, 8);
		}
		atomic_fetch_add(count, 1);
		(void)syscall(nr, word(), word(), word(), word(), word(), word());
	}
}

int main(int argc, char **argv)
{
	double end = attack_clock() + (argc > 1 ? strtod(argv[1], NULL) : 2.0);
	_Atomic uint64_t *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	state = argc > 2 ? strtoull(argv[2], NULL, 0) : 88172645463325252ull;
	ordinary_user();
	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	readonly = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	rubbish = mmap(NULL, 65536 + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (count == MAP_FAILED || page == MAP_FAILED || readonly == MAP_FAILED || rubbish == MAP_FAILED || munmap(page + 4096, 4096) < 0)
		die("mmap");
	for (size_t i = 0; i < 65536; i++)
		rubbish[i] = (char)any();
	while (attack_clock() < end) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)!freopen("/dev/null", "w", stderr);
			batch(count);
			_exit(0);
		}
		if (pid < 0)
			die("fork");
		/* A batch that hangs is ended. */
		for (int i = 0; waitpid(pid, NULL, WNOHANG) == 0; i++) {
			if (i == 3000)
				kill(pid, SIGKILL);
			usleep(1000);
		}
		(void)any();
		state += 0x9e3779b97f4a7c15ull;
	}
	printf("calls %llu\n", (unsigned long long)atomic_load(count));
	return 0;
}
