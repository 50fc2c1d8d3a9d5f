/*
 * Starting a run.
 *
 *   monitor --clone(user, pid, mount, net, ipc, uts, cgroup)--> sentry --fork--> tracer --clone(pid)--> init --fork--> command
 *
 * The monitor writes the id maps and lets the sentry's process go on; that process builds the view with the
 * capabilities it has in the new user namespace, starts the tracer, which starts init (tracer.h says why), becomes the guest's ids
 * with three capabilities left (SYS_PTRACE, SETUID, SETGID, inside the namespace only), takes the listener from the command's process
 * and confines itself. In bare mode there are no namespaces and no capabilities: the sentry takes on a
 * Landlock domain before it forks init, so that both have the same.
 *
 * Should: report the stage that failed. Mustn't: run anything of the guest before the listener is answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/floor/edge.h"
#include "monitor/launch.h"
#include "monitor/tracer.h"
#include "sentry.h"
#include "sentry/hidden_links.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

#define SENTRY_CAPS ((1ULL << 19) | (1ULL << 7) | (1ULL << 6)) /* SYS_PTRACE, SETUID, SETGID */
#define TRACER_CAPS ((1ULL << 19) | (1ULL << 5)) /* SYS_PTRACE, KILL: of a guest of several ids */
#define NAMESPACES                                                                                           \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |           \
	 CLONE_NEWCGROUP)

/* From the sentry's process to the monitor while it starts; the pty's master rides on the last one. */
struct start_msg {
	int err; /* 0: started */
	char stage[96];
};

/* The guest's filter, compiled by the monitor while the sentry's process builds the view; shared memory. */
struct filter_box {
	int err; /* 0, or the negative errno of filter_build() */
	unsigned short len;
	struct sock_filter insns[BPF_MAXINSNS];
};

struct ends {
	int start[2]; /* [0] monitor, [1] sentry */
	int control[2];
	int init[2];   /* [0] monitor, [1] init */
	int report[2]; /* [0] sentry, [1] init and command */
	int trace[2];  /* [0] sentry, [1] tracer */
	int snapshots[2]; /* [0] monitor, [1] tracer */
	int go[2];     /* monitor writes when the maps are there, and again when the filter is */
	struct filter_box *box;
};

static sigset_t saved_mask;
static struct sigaction saved_pipe, saved_ttou;

void launch_signals_save(void)
{
	sigprocmask(SIG_SETMASK, NULL, &saved_mask);
	sigaction(SIGPIPE, NULL, &saved_pipe);
	sigaction(SIGTTOU, NULL, &saved_ttou);
}

void launch_signals_restore(void)
{
	sigaction(SIGPIPE, &saved_pipe, NULL);
	sigaction(SIGTTOU, &saved_ttou, NULL);
	sigprocmask(SIG_SETMASK, &saved_mask, NULL);
}

static _Noreturn void stage_failed(const struct ends *e, int err, const char *stage)
{
	struct start_msg m = {.err = err < 0 ? -err : err};
	snprintf(m.stage, sizeof(m.stage), "%s", stage);
	(void)!write(e->start[1], &m, sizeof(m));
	_exit(EXIT_FAILURE);
}

static int send_started(const struct ends *e, int master)
{
	struct start_msg m = {.err = 0};
	struct iovec iov = {.iov_base = &m, .iov_len = sizeof(m)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = {.buf = {0}};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (master >= 0) {
		mh.msg_control = u.buf;
		mh.msg_controllen = sizeof(u.buf);
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &master, sizeof(int));
	}
	return sendmsg(e->start[1], &mh, MSG_NOSIGNAL) < 0 ? err_now() : 0;
}

/* A pty of the guest's own devpts (bare: the host's), owned by the guest, looking like the user's terminal.
 */
static int make_pty(const struct launch *l, int *ret_master, int *ret_slave)
{
	int unlock = 0;

	setfsgid(l->ids->gid);
	setfsuid(l->ids->uid);
	AUTO_FD int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	setfsuid(geteuid());
	setfsgid(getegid());
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_now();
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_now();
	(void)tcsetattr(slave, TCSANOW, &l->look->modes);
	(void)ioctl(master, TIOCSWINSZ, &l->look->size);
	*ret_master = fd_steal(&master);
	*ret_slave = slave;
	return 0;
}

/* init, which shares the table of descriptors with the command, sends the one numbered VALUE. */
static int ask_init(int hand, int value, int *ret_fd)
{
	char c;
	struct iovec iov = {.iov_base = &c, .iov_len = 1};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u;
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};

	if (write(hand, &value, sizeof(value)) != sizeof(value) || recvmsg(hand, &mh, MSG_CMSG_CLOEXEC) != 1)
		return -EPIPE;
	struct cmsghdr *m = CMSG_FIRSTHDR(&mh);
	if (m == NULL || m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	memcpy(ret_fd, CMSG_DATA(m), sizeof(int));
	return 0;
}

/*
 * The command's process wrote the number of its listener: take it. The sender's pid comes with it, in our pid
 * namespace. HAND: for asking init where pidfd_getfd is refused (a container's default profile).
 */
static int take_listener(const struct ends *e, int hand, int *ret_listener)
{
	int value = 0;
	struct iovec iov = {.iov_base = &value, .iov_len = sizeof(value)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(struct ucred))];
	} u;
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};
	struct ucred cred = {.pid = 0};

	if (recvmsg(e->report[0], &mh, MSG_CMSG_CLOEXEC) != sizeof(value))
		return -EPIPE;
	if (value < 0)
		return value;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c != NULL; c = CMSG_NXTHDR(&mh, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	if (cred.pid <= 0)
		return -ESRCH;
	AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	if (pidfd < 0)
		return err_now();
	AUTO_FD int fd = (int)syscall(SYS_pidfd_getfd, pidfd, value, 0);
	int r = fd < 0 ? err_now() : 0;
	if (r == -EPERM || r == -ENOSYS)
		r = ask_init(hand, value, &fd);
	if (r < 0)
		return r;
	/* Its memory begins as a copy of ours: can it be read? Every call with a path would fail otherwise. */
	char there;
	struct iovec mine = {.iov_base = &there, .iov_len = 1}, its = {.iov_base = e->box, .iov_len = 1};
	if (process_vm_readv(cred.pid, &mine, 1, &its, 1, 0) != 1)
		return err_now();
	*ret_listener = fd_steal(&fd);
	return 0;
}

static int ascending(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int launch_close_all_but(int *keep, size_t n)
{
	unsigned int from = 3;

	qsort(keep, n, sizeof(*keep), ascending);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < 3)
			continue;
		if ((unsigned int)keep[i] > from &&
		    syscall(SYS_close_range, from, (unsigned int)keep[i] - 1, 0) < 0)
			return err_now();
		from = (unsigned int)keep[i] + 1;
	}
	return syscall(SYS_close_range, from, ~0U, 0) < 0 ? err_now() : 0;
}

/* The sentry keeps nothing of the user's terminal and pipes. */
static int drop_stdio(void)
{
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_now();
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return err_now();
	return 0;
}

/*
 * Mounts our procfs at the view's /proc, where init covers it with the guest's: the kernel lets a less
 * privileged namespace mount procfs only while another one is wholly visible there (mount_too_revealing() in
 * fs/namespace.c).
 */
static int show_proc(int proc_fd)
{
	AUTO_FD int at = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return at < 0 || mount_attach(proc_fd, at) < 0 ? err_now() : 0;
}

/*
 * No user namespace is made in the guest's: the kernel refuses too, not the filter alone. Where the setting cannot be had
 * (/proc/sys is read-only) the filter alone holds; the other namespaces ask for a capability no guest has.
 */
static void no_user_namespaces(void)
{
	AUTO_FD int fd = open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
	(void)!write(fd, "0", 1);
}

/*
 * Starts init, tells the sentry its id, and becomes the tracer. Its parent's death is its own; in bare mode init then ends the
 * tree, as its own parent is gone.
 */
static _Noreturn void tracer_process(const struct launch *l, struct ends *e, struct init_config *cfg, int proc_fd)
{
	bool spaces = l->ids->mode != FLOOR_BARE;
	int r = 0;

	close(e->trace[0]);
	pid_t init = (pid_t)syscall(SYS_clone, (spaces ? CLONE_NEWPID : 0) | SIGCHLD, NULL, NULL, NULL, NULL);
	if (init < 0)
		stage_failed(e, errno, "pid namespace");
	if (init == 0) {
		close(e->start[1]);
		close(e->control[1]);
		close(e->report[0]);
		close(e->trace[1]);
		close(e->snapshots[1]);
		init_main(cfg);
	}
	if (write(e->trace[1], &init, sizeof(init)) != sizeof(init))
		_exit(EXIT_FAILURE);
	if (spaces && (r = launch_become_guest(l->ids, TRACER_CAPS)) < 0)
		stage_failed(e, r, "ids of the tracer");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || limits_no_new_privs() < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || drop_stdio() < 0)
		stage_failed(e, errno, "isolation of the tracer");
	struct tracer_config tc = {.sentry = e->trace[1], .snapshots = e->snapshots[1], .proc_fd = proc_fd};
	int keep[] = {tc.sentry, tc.snapshots, tc.proc_fd};
	if (launch_close_all_but(keep, ARRAY_LEN(keep)) < 0)
		_exit(EXIT_FAILURE);
	tracer_run(&tc);
}

/* Other names of what is hidden: looked for before a Landlock domain keeps us, too, from listing it. */
static int index_hidden(const struct policy *policy, struct hidden_links **ret_links, bool *ret_cut)
{
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return root < 0 ? err_now() : hidden_links_index(policy, root, ret_links, ret_cut);
}

static _Noreturn void sentry_process(const struct launch *l, struct ends *e, struct sources *host)
{
	bool spaces = l->ids->mode != FLOOR_BARE;
	struct sources s = *host;
	const char *stage = "start";
	int proc_fd = -1, master = -1, slave = -1, listener = -1, keeper = -1, names = -1, r = 0;
	uint32_t facts = 0;
	char c;

	close(e->start[0]);
	close(e->control[0]);
	close(e->init[0]);
	close(e->snapshots[0]);
	close(e->go[1]);
	if (spaces && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		stage_failed(e, errno, "parent death signal");
	if (read(e->go[0], &c, 1) != 1)
		_exit(EXIT_FAILURE);
	if (l->ids->mode == FLOOR_ROOT &&
	    (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		stage_failed(e, errno, "ids of the user namespace");
	if (spaces)
		no_user_namespaces();
	struct edge_config edge = {.policy = l->net,
				   .ids = l->ids,
				   .host_ports = l->host_ports,
				   .host_port_count = l->host_port_count,
				   .channel = l->relay};
	/* Built while we build the view. */
	if (spaces && l->net != NULL && (r = edge_start(&edge, &keeper)) < 0)
		stage_failed(e, r, "network edge");
	if (spaces && (proc_fd = proc_detached()) < 0)
		stage_failed(e, proc_fd, "a procfs of its own");
	if (!spaces && (proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		stage_failed(e, errno, "/proc");
	if (l->ids->mode == FLOOR_ROOTLESS && (r = sources_open(l->places, l->ids, &s)) < 0)
		stage_failed(e, r, "cloning mounts");
	if (spaces && (r = view_build(l->places, l->ids, l->policy, &s, &stage)) < 0)
		stage_failed(e, r, stage);
	sources_close(&s);
	if (spaces && (r = show_proc(proc_fd)) < 0)
		stage_failed(e, r, "a procfs of its own");
	if (spaces && l->net == NULL && (r = net_loopback_up()) < 0)
		stage_failed(e, r, "loopback");
	if (spaces && l->net == NULL)
		names = net_loopback_names();
	if (spaces && (r = unix_sockets(l->sockets, l->socket_count, l->relay)) < 0)
		stage_failed(e, r, "sockets of the host");
	if (l->look->wanted && (r = make_pty(l, &master, &slave)) < 0)
		stage_failed(e, r, "pty");
	if (!spaces && (r = launch_become_guest(l->ids, 0)) < 0)
		stage_failed(e, r, "ids of the guest");
	struct hidden_links *links = NULL;
	bool links_cut = false;
	if (!spaces && (r = index_hidden(l->policy, &links, &links_cut)) < 0)
		stage_failed(e, r, "other names of hidden files");
	if (!spaces && ((r = limits_no_new_privs()) < 0 || (r = landlock_bare(l->policy, l->net, l->names_port, &facts)) < 0))
		stage_failed(e, r, "Landlock");
	if (!spaces &&
	    (facts & l->plan->floor & (FLOOR_LANDLOCK_FS | FLOOR_LANDLOCK_TCP | FLOOR_LANDLOCK_SCOPE)) !=
		    (l->plan->floor & (FLOOR_LANDLOCK_FS | FLOOR_LANDLOCK_TCP | FLOOR_LANDLOCK_SCOPE)))
		stage_failed(e, EOPNOTSUPP, "the floor the plan was made for");

	struct init_config cfg = {
		.l = l, .channel = e->init[1], .report = e->report[1], .tty = slave, .nested = spaces};
	if (keeper >= 0 && (r = edge_ready(keeper, &stage)) < 0)
		stage_failed(e, r, stage);
	if (read(e->go[0], &c, 1) != 1)
		_exit(EXIT_FAILURE);
	if (e->box->err < 0)
		stage_failed(e, e->box->err, "filter");
	cfg.filter = (struct sock_fprog){.len = e->box->len, .filter = e->box->insns};
	int on = 1, hand[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, hand) < 0)
		stage_failed(e, errno, "sockets");
	cfg.hand = hand[1];
	if (setsockopt(e->report[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		stage_failed(e, errno, "credentials");
	pid_t init = -1;
	pid_t tracer = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (tracer < 0)
		stage_failed(e, errno, "tracer");
	if (tracer == 0) {
		close(hand[0]);
		fd_close(master);
		fd_close(keeper);
		fd_close(l->relay);
		fd_close(names);
		tracer_process(l, e, &cfg, proc_fd);
	}
	close(e->trace[1]);
	close(e->snapshots[1]);
	/* The tracer has said why, where it could not start init. */
	if (read(e->trace[0], &init, sizeof(init)) != sizeof(init))
		_exit(EXIT_FAILURE);
	close(e->init[1]);
	close(e->report[1]);
	close(hand[1]);
	fd_close(slave);
	if (spaces && (r = launch_become_guest(l->ids, SENTRY_CAPS)) < 0)
		stage_failed(e, r, "ids of the sentry");
	if (spaces && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) /* a change of ids cleared it */
		stage_failed(e, errno, "parent death signal");
	if (limits_no_new_privs() < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || drop_stdio() < 0)
		stage_failed(e, errno, "isolation");
	if ((r = take_listener(e, hand[0], &listener)) < 0)
		stage_failed(e, r, "taking the listener");
	close(hand[0]); /* init may go on */
	if ((r = send_started(e, master)) < 0)
		stage_failed(e, r, "start");
	int keep[] = {proc_fd, listener, e->control[1], e->report[0], e->trace[0], record_eventfd(l->ring), l->relay, keeper, names};
	if (launch_close_all_but(keep, ARRAY_LEN(keep)) < 0)
		_exit(EXIT_FAILURE);
	if (write(e->report[0], "g", 1) != 1)
		_exit(EXIT_FAILURE);
	close(e->report[0]);
	AUTO_FREE struct sentry_unix *sockets = spaces ? NULL : calloc(l->socket_count + 1, sizeof(*sockets));
	for (size_t i = 0; sockets != NULL && i < l->socket_count; i++)
		sockets[i] = (struct sentry_unix){.path = l->sockets[i].source, .type = l->sockets[i].type};
	struct sentry_config sc = {.listener = listener,
				   .proc_fd = proc_fd,
				   .control = e->control[1],
				   .listeners = -1,
				   .tracer = e->trace[0],
				   .stacks = l->o->audit_stacks,
				   .reads_all = l->o->audit_reads == AUDIT_ALL,
				   .memfd_exec = l->o->memfd_exec,
				   .count_memory = l->cgroup == NULL ? l->o->memory : 0,
				   .count_pids = l->cgroup == NULL ? l->o->pids : 0,
				   .init = init,
				   .rules = l->rules,
				   .policy = l->policy,
				   .plan = l->plan,
				   .ring = l->ring,
				   .links = links,
				   .links_made = !spaces,
				   .links_cut = links_cut,
				   .net = l->net,
				   .relay = l->relay,
				   .keeper = keeper,
				   .names = names,
				   .sockets = sockets,
				   .socket_count = sockets == NULL ? 0 : l->socket_count,
				   .names_port = l->names_port};
	if (sentry_run(&sc) < 0)
		_exit(EXIT_FAILURE);
	/* No guest is left, but our end would be init's, before it has told the monitor: the monitor ends us.
	 */
	while (true)
		(void)poll(NULL, 0, -1);
}

static int make_ends(struct ends *e)
{
	e->box = mmap(NULL, sizeof(*e->box), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (e->box == MAP_FAILED)
		return err_now();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->start) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->control) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->init) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->report) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->trace) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->snapshots) < 0 ||
	    pipe2(e->go, O_CLOEXEC) < 0)
		return err_now();
	return 0;
}

static void build_filter(const struct plan *plan, struct filter_box *box)
{
	struct sock_fprog prog = {.len = 0};

	box->err = filter_build(plan, &prog);
	if (box->err == 0 && prog.len > BPF_MAXINSNS)
		box->err = -E2BIG;
	if (box->err == 0) {
		box->len = prog.len;
		memcpy(box->insns, prog.filter, prog.len * sizeof(*prog.filter));
	}
	filter_free(&prog);
}

/* Waits for the sentry's word. 0 with the pty's master, or the failure it reported. */
static int await_start(int fd, int *ret_master, struct launch_failure *ret_failure)
{
	struct start_msg m;
	struct iovec iov = {.iov_base = &m, .iov_len = sizeof(m)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u;
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};
	ssize_t n;

	do {
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(m)) {
		*ret_failure =
			(struct launch_failure){.err = ECHILD, .stage = "the sentry ended before it started"};
		return -ECHILD;
	}
	if (m.err != 0) {
		ret_failure->err = m.err;
		memcpy(ret_failure->stage, m.stage, sizeof(ret_failure->stage));
		ret_failure->stage[sizeof(ret_failure->stage) - 1] = '\0';
		return -m.err;
	}
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_master, CMSG_DATA(c), sizeof(int));
	return 0;
}

static int failure(struct launch_failure *f, int err, const char *stage)
{
	f->err = err < 0 ? -err : err;
	snprintf(f->stage, sizeof(f->stage), "%s", stage);
	return -f->err;
}

/* Taken now: once the sentry's process is not dumpable, procfs gives them to nobody. */
static int keep_namespaces(struct launched *d)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)d->sentry);
	d->userns = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)d->sentry);
	d->mntns = open(path, O_RDONLY | O_CLOEXEC);
	return d->userns < 0 || d->mntns < 0 ? err_now() : 0;
}

/* The sentry opens nothing but by openat2. */
static int can_open(void)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC};
	AUTO_FD int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
	return fd < 0 ? err_now() : 0;
}

int launch_start(const struct launch *l, struct launched *ret, struct launch_failure *ret_failure)
{
	struct launched d = LAUNCHED_NULL;
	struct ends e = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}, NULL};
	struct sources s = SOURCES_NULL;
	int r = make_ends(&e);

	if (r < 0)
		return failure(ret_failure, r, "sockets");
	if ((r = can_open()) < 0)
		return failure(ret_failure, r, "system call openat2");
	if (l->ids->mode == FLOOR_ROOT) {
		r = sources_open(l->places, l->ids, &s);
		if (r < 0)
			return failure(ret_failure, r, "cloning mounts");
		if (s.not_mapped) { /* overlayfs, 9p, ...: the guest keeps the host ids of the workspace's
				       owner */
			l->ids->not_mapped = true;
			l->ids->host_uid = l->ids->owner;
			l->ids->host_gid = l->ids->owner_gid;
			sources_close(&s);
			r = sources_open(l->places, l->ids, &s);
			if (r < 0)
				return failure(ret_failure, r, "cloning mounts");
		}
	}
	d.sentry = (pid_t)syscall(SYS_clone, (l->ids->mode == FLOOR_BARE ? 0 : NAMESPACES) | SIGCHLD, NULL,
				  NULL, NULL, NULL);
	if (d.sentry == 0)
		sentry_process(l, &e, &s);
	r = d.sentry < 0 ? failure(ret_failure, errno, "namespaces") : 0;
	sources_close(&s);
	close(e.start[1]);
	close(e.control[1]);
	close(e.init[1]);
	close(e.report[0]);
	close(e.report[1]);
	close(e.trace[0]);
	close(e.trace[1]);
	close(e.snapshots[1]);
	close(e.go[0]);
	d.control = e.control[0];
	d.snapshots = e.snapshots[0];
	d.init = e.init[0];
	if (r == 0 && l->ids->mode != FLOOR_BARE && (r = ids_write_maps(l->ids, d.sentry)) < 0)
		r = failure(ret_failure, r, "id maps");
	if (r == 0 && l->ids->mode != FLOOR_BARE && (r = keep_namespaces(&d)) < 0)
		r = failure(ret_failure, r, "namespaces");
	if (r == 0 && l->cgroup != NULL && (r = cgroup_enter(l->cgroup, d.sentry)) < 0)
		r = failure(ret_failure, r, "cgroup");
	if (r == 0 && (d.sentry_pidfd = (int)syscall(SYS_pidfd_open, d.sentry, 0)) < 0)
		r = failure(ret_failure, errno, "system call pidfd_open");
	/* EPIPE: its process ended already, and has said why. */
	if (r == 0 && write(e.go[1], "g", 1) != 1 && errno != EPIPE)
		r = failure(ret_failure, errno, "start");
	if (r == 0) {
		build_filter(l->plan, e.box);
		if (write(e.go[1], "f", 1) != 1 && errno != EPIPE)
			r = failure(ret_failure, errno, "start");
		l->meanwhile(l->ctx);
	}
	close(e.go[1]);
	if (r == 0)
		r = await_start(e.start[0], &d.master, ret_failure);
	close(e.start[0]);
	(void)munmap(e.box, sizeof(*e.box));
	if (r < 0) {
		if (d.sentry > 0) {
			kill(d.sentry, SIGKILL);
			while (waitpid(d.sentry, NULL, 0) < 0 && errno == EINTR)
				;
		}
		fd_close(d.control);
		fd_close(d.init);
		fd_close(d.snapshots);
		fd_close(d.sentry_pidfd);
		fd_close(d.userns);
		fd_close(d.mntns);
		return r;
	}
	*ret = d;
	return 0;
}
