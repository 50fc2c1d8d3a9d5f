/*
 * init: first process of the guest's pid namespace (without one: a subreaper). It starts the command, reaps,
 * tells the monitor what becomes of the command, and ends with it, which ends everything else in the
 * namespace.
 *
 * The command's process installs the guest's filter itself and writes the listener's number to the sentry,
 * which takes it with pidfd_getfd: a message with a descriptor would be a notified call nobody could answer
 * yet. Where that is refused init sends it: until the sentry has it both share one table of descriptors. The
 * command is executed only after the sentry said that it listens.
 *
 * Should: be beyond the guest's reach (not dumpable, own seccomp list), forward signals the monitor sends.
 * Mustn't: let a descriptor but 0, 1 and 2 reach the command; read anything a guest wrote.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <unistd.h>

#include "monitor/isolate.h"
#include "monitor/launch.h"
#include "util/err.h"
#include "util/fd.h"

static void tell(int channel, enum init_msg_kind kind, int value)
{
	struct init_msg m = {.kind = kind, .value = value};
	(void)!write(channel, &m, sizeof(m));
}

/* The report socket carries either the listener's number (>= 0) or the negative errno of a failed stage. */
static _Noreturn void fail(const struct init_config *cfg, int err)
{
	(void)!write(cfg->report, &err, sizeof(err));
	_exit(EXIT_FAILURE);
}

int launch_become_guest(const struct floor_ids *ids, uint64_t keep_caps)
{
	int r = limits_drop_caps(keep_caps | 1U << 6 | 1U << 7 |
				 1U << 8); /* SETGID, SETUID, SETPCAP until the ids are set */
	if (r < 0)
		return r;
	bool root = geteuid() == 0 || ids->mode == FLOOR_ROOT;
	if (prctl(PR_SET_KEEPCAPS, keep_caps != 0, 0, 0, 0) < 0)
		return err_now();
	if (root && setgroups(0, NULL) < 0 && ids->mode == FLOOR_ROOT)
		return err_now();
	if (setresgid(ids->gid, ids->gid, ids->gid) < 0 || setresuid(ids->uid, ids->uid, ids->uid) < 0)
		return err_now();
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_now();
	return limits_drop_caps(keep_caps);
}

static int set_stdio(const struct init_config *cfg)
{
	const struct launch *l = cfg->l;

	if (cfg->tty < 0)
		return 0;
	/* SIGTTOU is ignored until the command's dispositions are restored: we are not in front yet. */
	if (tcsetpgrp(cfg->tty, getpgrp()) < 0)
		return err_now();
	for (int fd = 0; fd < 3; fd++)
		if (l->look->is_tty[fd] && dup2(cfg->tty, fd) < 0)
			return err_now();
	return 0;
}

/* execvp(3) with the guest's own PATH and environment. Returns the errno that tells most. */
static int execute(char **argv, char **env)
{
	const char *path = NULL;
	int seen = ENOENT;

	if (strchr(argv[0], '/') != NULL) {
		execve(argv[0], argv, env);
		return errno;
	}
	for (char **e = env; *e != NULL; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			path = *e + 5;
	if (path == NULL)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (true) {
		size_t n = strcspn(path, ":");
		char file[4096];
		int len = n == 0 ? snprintf(file, sizeof(file), "./%s", argv[0])
				 : snprintf(file, sizeof(file), "%.*s/%s", (int)n, path, argv[0]);
		if (len > 0 && (size_t)len < sizeof(file)) {
			execve(file, argv, env);
			int err = errno;
			/* A directory of PATH that may not be searched (another user's, one that no rule
			 * shows) is not news. */
			if (err != ENOENT && err != ENOTDIR &&
			    (err != EACCES || faccessat(AT_FDCWD, file, F_OK, 0) == 0))
				seen = err;
			if (err != ENOENT && err != ENOTDIR && err != EACCES)
				break;
		}
		if (path[n] == '\0')
			break;
		path += n + 1;
	}
	return seen;
}

static _Noreturn void command(const struct init_config *cfg, int exec_report)
{
	const struct launch *l = cfg->l;

	/* A group of its own in init's session, as of a job of a shell: a leader of a session could not be
	 * stopped from the keyboard, since nobody could continue it. */
	int r = setpgid(0, 0) < 0 ? -errno : set_stdio(cfg);
	if (r == 0 && chdir(l->places->cwd) < 0)
		r = -errno;
	if (r == 0)
		r = limits_rlimits(l->o, l->cgroup != NULL);
	if (r == 0 && !cfg->nested)
		r = landlock_apart();
	/* init is out of the guest's reach; the command is an ordinary process again, or nobody could debug
	 * it. */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		r = -errno;
	launch_signals_restore();
	if (r == 0 && syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		r = -errno;
	if (r < 0)
		fail(cfg, r);

	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			  SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW | (1UL << 5),
			  &cfg->filter);
	if (fd < 0 && errno == EINVAL) /* before 5.19: no SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV */
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			     SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &cfg->filter);
	int listener = fd < 0 ? -errno : (int)fd;
	char go;
	if (write(cfg->report, &listener, sizeof(listener)) != sizeof(listener) || listener < 0 ||
	    read(cfg->report, &go, 1) != 1)
		_exit(EXIT_FAILURE);
	close(listener);
	int err = execute(l->argv, l->env);
	(void)!write(exec_report, &err, sizeof(err));
	_exit(127);
}

static void forward(pid_t group, const struct init_msg *m)
{
	if (m->kind == INIT_MSG_SIGNAL && m->value > 0 && m->value <= SIGRTMAX) {
		kill(-group, m->value);
	} else if (m->kind == INIT_MSG_HANGUP) {
		kill(-group, SIGHUP);
		kill(-group, SIGCONT);
	} else {
		_exit(EXIT_FAILURE); /* a peer that says what cannot be said (invariant: no repair) */
	}
}

/* Collects what died or stopped. Returns true once the command is gone; RET_STATUS is its wait status. */
static bool reap(pid_t main_pid, int channel, int *ret_status)
{
	while (true) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG | WUNTRACED);
		if (pid <= 0)
			return false;
		if (pid != main_pid)
			continue;
		if (WIFSTOPPED(status)) {
			tell(channel, INIT_MSG_STOPPED, WSTOPSIG(status));
			continue;
		}
		*ret_status = status;
		return true;
	}
}

/* Are the processes held by an rlimit alone, so that nobody tells when it is met? */
static bool probes(const struct init_config *cfg)
{
	return cfg->l->cgroup == NULL && cfg->l->o->pids > 1;
}

/* The command is gone: one less than allowed is what is left where the limit was met. */
static bool pids_met(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid < 0 && errno == EAGAIN;
}

static _Noreturn void serve(const struct init_config *cfg, pid_t main_pid, int exec_report, int sigfd,
			    int proc)
{
	struct pollfd p[3] = {{.fd = sigfd, .events = POLLIN},
			      {.fd = cfg->channel, .events = POLLIN},
			      {.fd = exec_report, .events = POLLIN}};
	bool gone = false, failed = false;
	int status = 0;

	while (!gone) {
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			break;
		if (p[2].revents != 0) {
			int err = 0;
			failed = read(exec_report, &err, sizeof(err)) == sizeof(err);
			tell(cfg->channel, failed ? INIT_MSG_EXEC_FAILED : INIT_MSG_STARTED, err);
			p[2].fd = -1;
			close(exec_report);
		}
		if (p[0].revents != 0) {
			struct signalfd_siginfo si;
			if (read(sigfd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGTERM)
				break; /* the sentry is gone */
			gone = reap(main_pid, cfg->channel, &status);
		}
		if (p[1].revents != 0 && !gone) {
			struct init_msg m;
			ssize_t n = read(cfg->channel, &m, sizeof(m));
			if (n != sizeof(m))
				break; /* the monitor is gone */
			forward(main_pid, &m);
		}
	}
	if (gone && probes(cfg) && pids_met())
		tell(cfg->channel, INIT_MSG_PIDS_MET, 0);
	/* Nothing of the guest may outlive its command; the terminal and the pipes are quiet once this is
	 * told. */
	if (!cfg->nested)
		(void)tree_kill(proc, getpid(), -1, 1000);
	else
		kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	if (gone && !failed)
		tell(cfg->channel, INIT_MSG_EXITED, status);
	_exit(EXIT_SUCCESS);
}

/* Sends the sentry the descriptor it asks for, until it has what it needs. */
static void hand_over(int hand)
{
	char c = 0;
	struct iovec iov = {.iov_base = &c, .iov_len = 1};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = {.buf = {0}};
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};
	int value;

	while (read(hand, &value, sizeof(value)) == sizeof(value)) {
		struct cmsghdr *m = &u.align;
		m->cmsg_level = SOL_SOCKET;
		m->cmsg_type = SCM_RIGHTS;
		m->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(m), &value, sizeof(int));
		if (sendmsg(hand, &mh, MSG_NOSIGNAL) < 0)
			return;
	}
}

_Noreturn void init_main(struct init_config *cfg)
{
	const struct launch *l = cfg->l;
	uint32_t facts = 0;
	int exec_report[2];
	sigset_t chld;
	int r = 0;

	/* Without a pid namespace init must live long enough to kill the tree when its parent, the sentry,
	 * dies. */
	int death = cfg->nested ? SIGKILL : SIGTERM;
	/* Not in the monitor's group: the user's Ctrl-C and Ctrl-Z are not for us. */
	if (setsid() < 0 || (cfg->tty >= 0 && ioctl(cfg->tty, TIOCSCTTY, 0) < 0))
		r = -errno;
	if (r == 0 && cfg->nested)
		r = proc_mount_guest();
	if (r == 0 && cfg->nested)
		r = view_apart();
	else if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		r = -errno;
	if (r == 0)
		r = launch_become_guest(l->ids, 0);
	if (r == 0)
		r = limits_no_new_privs();
	if (r == 0 && cfg->nested)
		r = landlock_view(l->plan->level[PLAN_WRITE] == LEVEL_NATIVE ? l->policy : NULL, &facts);
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = -errno;
	if (r == 0 && pipe2(exec_report, O_CLOEXEC) < 0)
		r = -errno;
	if (r < 0)
		fail(cfg, r);
	int proc = cfg->nested ? -1 : open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	if (!cfg->nested)
		sigaddset(&chld, SIGTERM);
	sigaddset(&chld, SIGHUP); /* of the guest's terminal, when the monitor closes it */
	sigprocmask(SIG_BLOCK, &chld, NULL);
	if (prctl(PR_SET_PDEATHSIG, death, 0, 0, 0) < 0) /* now: a change of ids clears it */
		fail(cfg, -errno);
	int sigfd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	pid_t pid = sigfd < 0 ? -1 : (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		fail(cfg, -errno);
	if (pid == 0)
		command(cfg, exec_report[1]);
	hand_over(cfg->hand);
	/* The listener above all is not ours to keep: with the sentry's end the last of it must be gone. */
	int keep[] = {cfg->channel, exec_report[0], sigfd, proc};
	if (unshare(CLONE_FILES) < 0 || launch_close_all_but(keep, ARRAY_LEN(keep)) < 0)
		_exit(EXIT_FAILURE);
	close(0);
	close(1);
	close(2);
	if (probes(cfg)) {
		const rlim_t less = (rlim_t)l->o->pids - 1;

		(void)setrlimit(RLIMIT_NPROC, &(struct rlimit){.rlim_cur = less, .rlim_max = less});
	}
	r = isolate_init(cfg->nested, probes(cfg));
	if (r < 0)
		_exit(EXIT_FAILURE);
	serve(cfg, pid, exec_report[0], sigfd, proc);
}
