/* The relay while it has nothing to do: see idle.h. */
#include "monitor/idle.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/isolate.h"
#include "util/err.h"
#include "util/fd.h"

static int drop_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;

	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t from = ((uintptr_t)info->dlpi_addr + ph->p_vaddr) & ~page;
		uintptr_t to = ((uintptr_t)info->dlpi_addr + ph->p_vaddr + ph->p_memsz + page) & ~page;

		/* Never a segment that was written to (relocations): its pages are not the file's. */
		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_W) == 0)
			(void)madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void idle_drop_pages(void)
{
	(void)dl_iterate_phdr(drop_object, NULL);
}

/*
 * The memory inherited from the monitor is of no use to a process that only waits: the libraries' pages are mapped again where
 * they should be needed, the heap is not needed any more.
 */
static void drop_memory(void)
{
	struct mallinfo2 m = mallinfo2();
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	uintptr_t end = (uintptr_t)sbrk(0) & ~page, start = (end - m.arena + page) & ~page;

	idle_drop_pages();
	if (m.arena > page && start < end)
		(void)madvise((void *)start, end - start, MADV_DONTNEED);
}

static _Noreturn void idle_main(const char *name, int fd)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
	char c;

	/* What the user's terminal sends to the monitor's group is for the monitor. */
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    dup2(fd, 0) < 0 || syscall(SYS_close_range, 1, ~0U, 0) < 0 || isolate_idle(drop_memory) < 0)
		_exit(1);
	while (read(0, &c, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

int idle_start(const char *name, struct idle *ret)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_now();
	pid_t pid = fork();
	if (pid == 0) {
		close(p[1]);
		idle_main(name, p[0]);
	}
	close(p[0]);
	if (pid < 0) {
		fd_close(p[1]);
		return err_now();
	}
	*ret = (struct idle){.pid = pid, .fd = p[1]};
	return 0;
}

void idle_stop(struct idle *i)
{
	i->fd = fd_close(i->fd);
	if (i->pid > 0) {
		kill(i->pid, SIGKILL);
		while (waitpid(i->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	i->pid = -1;
}
