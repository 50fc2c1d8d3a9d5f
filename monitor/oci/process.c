/* Processes by number and start time, the pair that names one for good. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/oci/state.h"
#include "util/err.h"
#include "util/fd.h"

/* State letter and start time of PID, or false where there is none. */
static bool look(pid_t pid, char *ret_state, uint64_t *ret_start)
{
	char path[64], text[1024];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* proc(5): the name may hold blanks and parentheses, nothing behind it does */
	char *at = strrchr(text, ')');
	if (at == NULL || at[1] != ' ' || at[2] == '\0')
		return false;
	*ret_state = at[2];
	at += 2;
	for (int field = 3; field < 22; field++) {
		at = strchr(at, ' ');
		if (at == NULL)
			return false;
		at++;
	}
	*ret_start = strtoull(at, NULL, 10);
	return true;
}

struct oci_process oci_process_of(pid_t pid)
{
	struct oci_process p = {.pid = pid, .start = 0};
	char state;

	if (pid <= 0 || !look(pid, &state, &p.start))
		p.start = 0;
	return p;
}

bool oci_process_alive(struct oci_process p)
{
	uint64_t start;
	char state;

	return p.pid > 0 && look(p.pid, &state, &start) && start == p.start && state != 'Z' && state != 'X';
}

int oci_process_open(struct oci_process p)
{
	if (p.pid <= 0)
		return -ESRCH;
	int fd = (int)syscall(SYS_pidfd_open, p.pid, 0);
	if (fd < 0)
		return err_now();
	/* had before it was looked at: it names whoever has the number now */
	if (!oci_process_alive(p)) {
		fd_close(fd);
		return -ESRCH;
	}
	return fd;
}

bool oci_privileged(void)
{
	unsigned long inside, outside, count;
	FILE *f = fopen("/proc/self/uid_map", "re");
	bool first = f == NULL || (fscanf(f, "%lu %lu %lu", &inside, &outside, &count) == 3 && inside == 0 && outside == 0 &&
				   count == UINT32_MAX);

	if (f != NULL)
		fclose(f);
	return first && geteuid() == 0;
}
