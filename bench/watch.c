/*
 * watch [-i SECONDS] COMMAND...: looks at gabion's processes while COMMAND (`gabion run -- calls ...`) is ready, and again when it is done
 * (see calls.c for the steps). With -i the guest is left alone in between for SECONDS; without, it makes its calls.
 *
 * gabion's processes are COMMAND's own and those of its descendants whose name begins with "gabion". Output: "NAME before after" with
 * tabs; "-" stands for what we may not read (descriptors and the proportional set of another user's processes).
 *
 *   processes            rss-kb, pss-kb       sums                  fds          open descriptors
 *   ticks                user and system time, clock ticks          run-us       the scheduler's figure of the same, finer
 *   switches             context switches of all threads            ms           time between the two looks
 *
 * With -v also a line a process: "process PID NAME rss-kb pss-kb fds threads" of the first look.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { MOST = 4096, SETTLE_US = 300000 };

struct look {
	long processes, rss, pss, fds, ticks, run_us, switches; /* -1: not to be had */
	uint64_t at;
};

struct proc {
	pid_t pid, parent;
	char comm[32];
	long ticks;
};

static int slurp(char *buf, size_t size, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -1;
	buf[n] = '\0';
	return 0;
}

static long field(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at == NULL ? -1 : strtol(at + strlen(key), NULL, 10);
}

static void add(long *sum, long value)
{
	*sum = *sum < 0 || value < 0 ? -1 : *sum + value;
}

static bool read_proc(pid_t pid, struct proc *p)
{
	char path[64], text[1024];
	unsigned long user, sys;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (slurp(text, sizeof(text), path) < 0)
		return false;
	char *open_at = strchr(text, '('), *close_at = strrchr(text, ')');
	if (open_at == NULL || close_at == NULL)
		return false;
	*close_at = '\0';
	snprintf(p->comm, sizeof(p->comm), "%s", open_at + 1);
	p->pid = pid;
	if (sscanf(close_at + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &p->parent, &user, &sys) != 3)
		return false;
	p->ticks = (long)(user + sys);
	return true;
}

static long count_entries(const char *path)
{
	DIR *d = opendir(path);
	long n = 0;

	if (d == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

/* Context switches and time run of each thread. */
static void look_at_threads(pid_t pid, struct look *l, long *threads)
{
	char path[320], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	if (d == NULL)
		return;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		++*threads;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, e->d_name);
		if (slurp(text, sizeof(text), path) == 0)
			add(&l->switches, field(text, "\nvoluntary_ctxt_switches:") + field(text, "\nnonvoluntary_ctxt_switches:"));
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, e->d_name);
		add(&l->run_us, slurp(text, sizeof(text), path) == 0 ? (long)(strtoull(text, NULL, 10) / 1000) : -1);
	}
	closedir(d);
}

static void look_at(const struct proc *p, struct look *l, bool tell)
{
	char path[64], text[4096];
	long rss = -1, pss = -1, fds, threads = 0;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)p->pid);
	if (slurp(text, sizeof(text), path) == 0 && text[0] != '\0') {
		rss = field(text, "\nRss:");
		pss = field(text, "\nPss:");
	} else {
		snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
		if (slurp(text, sizeof(text), path) == 0)
			rss = field(text, "\nVmRSS:");
	}
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)p->pid);
	fds = count_entries(path);
	look_at_threads(p->pid, l, &threads);
	l->processes++;
	add(&l->rss, rss);
	add(&l->pss, pss);
	add(&l->fds, fds);
	l->ticks += p->ticks;
	if (tell)
		printf("process\t%d\t%s\t%ld\t%ld\t%ld\t%ld\n", (int)p->pid, p->comm, rss, pss, fds, threads);
}

static struct look look(pid_t root, bool tell)
{
	static struct proc v[MOST];
	static bool ours[MOST];
	struct look l = { 0 };
	size_t n = 0;
	bool more = true;

	l.at = now_ns();
	DIR *d = opendir("/proc");
	if (d == NULL)
		give_up("/proc");
	for (struct dirent *e; (e = readdir(d)) != NULL && n < MOST;)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && read_proc((pid_t)atoi(e->d_name), &v[n])) {
			ours[n] = v[n].pid == root;
			n++;
		}
	closedir(d);
	while (more) {
		more = false;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; !ours[i] && k < n; k++)
				if (ours[k] && v[i].parent == v[k].pid)
					more = ours[i] = true;
	}
	for (size_t i = 0; i < n; i++)
		if (ours[i] && strncmp(v[i].comm, "gabion", 6) == 0)
			look_at(&v[i], &l, tell);
	return l;
}

/* Starts the command with pipes on 0 and 1. */
static pid_t start(char **argv, int *ret_to, int *ret_from)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		give_up("pipe");
	pid_t pid = fork();
	if (pid < 0)
		give_up("fork");
	if (pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	*ret_to = to[1];
	*ret_from = from[0];
	return pid;
}

static void expect(int fd, char what)
{
	char line[2];

	if (read(fd, line, 2) != 2 || line[0] != what) {
		errno = EPROTO;
		give_up("the guest ended early");
	}
}

static void row(const char *name, long before, long after)
{
	printf("%s", name);
	for (int i = 0; i < 2; i++) {
		long value = i == 0 ? before : after;
		if (value < 0)
			printf("\t-");
		else
			printf("\t%ld", value);
	}
	putchar('\n');
}

int main(int argc, char **argv)
{
	int opt, to, from, idle = 0, status;
	bool tell = false;

	while ((opt = getopt(argc, argv, "+i:v")) != -1) {
		if (opt == 'i')
			idle = atoi(optarg);
		else if (opt == 'v')
			tell = true;
		else
			return 2;
	}
	if (optind >= argc)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	pid_t pid = start(argv + optind, &to, &from);
	expect(from, 'r');
	usleep(SETTLE_US); /* the record of the start is written */
	struct look a = look(pid, tell);
	if (idle > 0)
		sleep((unsigned int)idle);
	if (idle > 0) {
		struct look b = look(pid, false);
		row("ticks", a.ticks, b.ticks);
		row("run-us", a.run_us, b.run_us);
		row("switches", a.switches, b.switches);
	}
	(void)!write(to, "\n", 1);
	expect(from, 'd');
	uint64_t done = now_ns();
	usleep(SETTLE_US);
	struct look b = look(pid, false);
	row("processes", a.processes, b.processes);
	row("rss-kb", a.rss, b.rss);
	row("pss-kb", a.pss, b.pss);
	row("fds", a.fds, b.fds);
	row("ms", 0, (long)((done - a.at) / 1000000));
	(void)!write(to, "\n", 1);
	close(to);
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "bench: the watched command ended with wait status %#x\n", (unsigned int)status);
		return 1;
	}
	return 0;
}
