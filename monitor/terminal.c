/*
 * The relay between the user's terminal and the guest's pty.
 *
 * Bytes go both ways through two small buffers. A side is read only while its buffer has room, so a terminal that is
 * stopped (or slow) stops the guest's writes as it would outside, and a guest that does not read stops the
 * typing. What the guest writes goes out byte for byte. The buffers are small, so that little is left to
 * come after Ctrl-C.
 *
 * The user's terminal is opened anew, non-blocking, where that is possible: the flag belongs to the open file
 * description, which the shell and others share, and must not stay behind if we are killed. Where it cannot be opened
 * (after su) the flag is set on the shared one and taken back.
 *
 * Who has the keyboard:
 *   TAKE_ALL     standard input and output are the terminal: it is put into raw mode and read. Ctrl-C, Ctrl-Z, Ctrl-D
 *                travel as bytes; the line discipline of the guest's pty makes of them what it does outside.
 *   TAKE_ASKED   otherwise (gabion stands in a pipeline): another program may be reading the keyboard (gabion run a | less),
 *                and Ctrl-C must reach all of the pipeline. The terminal is left as it is until the guest
 *                puts its own terminal into a mode for single keys or without echo (less, a password prompt), and given
 *                back when it returns. Until then lines are read only where standard input is the terminal and
 *                nobody else has taken its modes away.
 * In the background (another process group is the terminal's foreground) nothing is read and no mode is changed; a
 * timer looks whether that is still so.
 *
 * A master whose slaves are all closed reports a hang-up for ever: it is then left out of poll and looked at by the
 * timer, at growing intervals, since the guest may open its terminal again.
 */
#include "terminal.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>

#include "terminal_rescue.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	IN_SIZE = 4096,
	OUT_SIZE = 32768,
	ROUNDS = 16,             /* buffers moved a serve: the monitor has other work too */
	BACKGROUND_MS = 250,
	CLOSED_MIN_MS = 10,
	CLOSED_MAX_MS = 250,
	QUIET_MS = 20,           /* at the end: nothing came for so long */
	HELD_MS = 5,             /* a CR waits so long for its LF */
};

enum take { TAKE_ASKED = 0, TAKE_ALL };

enum { AT_IN, AT_OUT, AT_MASTER, AT_TIMER, AT_COUNT };

struct buffer {
	size_t from, to; /* filled part of p */
	size_t size;
	char *p;
};

struct terminal {
	int in, out;      /* the user's terminal; the same number where one open serves both */
	int in_flags, out_flags; /* file status flags to give back; -1: opened by us */
	int master, timer;
	enum take take;
	bool reads_lines; /* TAKE_ASKED: standard input is the terminal */
	bool raw;         /* the user's terminal is in raw mode, by us */
	bool asked;       /* TAKE_ASKED: the guest's modes ask for the keyboard */
	bool background;
	bool suspended;
	bool closed;      /* no slave is open */
	bool held;        /* a CR is to be shown before what comes next */
	int closed_ms;
	struct termios modes;
	struct buffer typed, shown;
};

/* -- Modes -- */

/* In the background the modes are those of whoever is in front (a shell's line editor). */
static void make_sane(struct termios *m)
{
	m->c_iflag = (m->c_iflag | ICRNL | IXON | BRKINT) & ~(tcflag_t)(INLCR | IGNCR);
	m->c_oflag |= OPOST | ONLCR;
	m->c_lflag |= ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | ISIG | IEXTEN;
}

void terminal_look(struct terminal_look *ret_look)
{
	*ret_look = (struct terminal_look){ .wanted = false };
	for (int fd = 0; fd < 3; fd++) {
		struct termios modes;

		if (tcgetattr(fd, &modes) < 0)
			continue;
		ret_look->is_tty[fd] = true;
		if (ret_look->wanted)
			continue;
		ret_look->wanted = true;
		if (!rescue_foreground(fd))
			make_sane(&modes);
		ret_look->modes = modes;
		(void)ioctl(fd, TIOCGWINSZ, &ret_look->size);
	}
}

int terminal_dress(int fd, const struct terminal_look *look)
{
	if (tcsetattr(fd, TCSANOW, &look->modes) < 0 || ioctl(fd, TIOCSWINSZ, &look->size) < 0)
		return err_now();
	return 0;
}

static void go_raw(struct terminal *t)
{
	struct termios raw = t->modes;

	if (t->raw)
		return;
	/* As cfmakeraw(3), but the line's speed, size and parity are the user's. */
	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_oflag &= ~(tcflag_t)OPOST;
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	rescue_arm(true);
	rescue_set(t->in, &raw);
	t->raw = true;
}

static void go_cooked(struct terminal *t)
{
	if (!t->raw)
		return;
	if (rescue_foreground(t->in))
		rescue_set(t->in, &t->modes);
	rescue_arm(false);
	t->raw = false;
}

/* The file status flags of descriptors the shell shares with us: ours while we work, as before while we do not. */
static void share_flags(const struct terminal *t, bool ours)
{
	if (t->out != t->in && t->out_flags >= 0)
		(void)fcntl(t->out, F_SETFL, ours ? t->out_flags | O_NONBLOCK : t->out_flags);
	if (t->in_flags >= 0)
		(void)fcntl(t->in, F_SETFL, ours ? t->in_flags | O_NONBLOCK : t->in_flags);
}

/* Does the guest want single keys, or no echo? */
static bool guest_asks(const struct terminal *t)
{
	struct termios modes;

	return tcgetattr(t->master, &modes) == 0 && (modes.c_lflag & (ICANON | ECHO)) != (ICANON | ECHO);
}

void terminal_resize(struct terminal *t)
{
	struct winsize size;

	if (ioctl(t->in, TIOCGWINSZ, &size) == 0)
		(void)ioctl(t->master, TIOCSWINSZ, &size);
}

/* The timer runs only while there is something to look at again. */
static void set_timer(struct terminal *t)
{
	int ms = t->held ? HELD_MS : t->closed ? t->closed_ms : t->background ? BACKGROUND_MS : 0;
	struct itimerspec when = { .it_value = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 } };

	(void)timerfd_settime(t->timer, 0, &when, NULL);
}

/* Brings modes in line with who is in front and what the guest asks for. */
static void settle(struct terminal *t)
{
	bool back = !rescue_foreground(t->in), was = t->background;

	t->background = back;
	if (back) {
		/* Whoever put us there (kill -STOP and bg) has set modes of his own. */
		if (t->raw)
			go_cooked(t);
	} else {
		if (was) {
			/* Brought forward: the modes to go back to are those of now. */
			if (!t->raw && tcgetattr(t->in, &t->modes) == 0)
				rescue_prepare(t->in, &t->modes, t->in_flags);
			terminal_resize(t);
		}
		t->asked = t->take == TAKE_ASKED && guest_asks(t);
		if (t->take == TAKE_ALL || t->asked)
			go_raw(t);
		else
			go_cooked(t);
	}
	if (back || was != back)
		set_timer(t);
}

void terminal_suspend(struct terminal *t)
{
	t->suspended = true;
	go_cooked(t);
	share_flags(t, false);
}

void terminal_resume(struct terminal *t)
{
	t->suspended = false;
	share_flags(t, true);
	/* Stopped by SIGSTOP nobody said suspend: the shell has changed the modes under us. */
	if (t->raw && rescue_foreground(t->in)) {
		t->raw = false;
		go_raw(t);
	}
	t->background = t->background || !t->raw;
	settle(t);
	terminal_resize(t);
}

/* -- Opening and closing -- */

/* FD's terminal, opened once more; -1 where that cannot be. */
static int open_again(int fd)
{
	char path[32];
	struct stat a, b;
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (again >= 0 && fstat(fd, &a) == 0 && fstat(again, &b) == 0 && a.st_rdev == b.st_rdev && isatty(again))
		return again;
	fd_close(again);
	/* Not ours to open by name; if it is the controlling terminal there is a name for everybody. */
	if (tcgetsid(fd) != getsid(0))
		return -1;
	return open("/dev/tty", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* The user's terminal behind FD, non-blocking. RET_FLAGS: what to give back, or -1. */
static int user_tty(int fd, int *ret_fd, int *ret_flags)
{
	int again = open_again(fd), flags;

	*ret_flags = -1;
	if (again < 0) {
		flags = fcntl(fd, F_GETFL);
		again = flags < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (again < 0)
			return err_now();
		if (fcntl(again, F_SETFL, flags | O_NONBLOCK) < 0) {
			int err = err_now();

			fd_close(again);
			return err;
		}
		*ret_flags = flags;
	}
	*ret_fd = again;
	return 0;
}

static int give_back(int fd, int flags)
{
	if (fd >= 0 && flags >= 0)
		(void)fcntl(fd, F_SETFL, flags);
	return fd_close(fd);
}

/* Does FD lead to a program that may read the keyboard as well? */
static bool leads_to_other(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static int first_tty(const struct terminal_look *look, const int order[3])
{
	for (int i = 0; i < 3; i++) {
		if (look->is_tty[order[i]])
			return order[i];
	}
	return -1;
}

static struct terminal *destroy(struct terminal *t)
{
	if (t->out != t->in)
		t->out = give_back(t->out, t->out_flags);
	t->in = give_back(t->in, t->in_flags);
	t->master = fd_close(t->master);
	t->timer = fd_close(t->timer);
	free(t->typed.p);
	free(t->shown.p);
	free(t);
	return NULL;
}

int terminal_open(int master, const struct terminal_look *look, struct terminal **ret_t)
{
	int in = first_tty(look, (const int[]){ 0, 1, 2 }), out = first_tty(look, (const int[]){ 1, 2, 0 });
	struct terminal *t = calloc(1, sizeof(*t));
	struct stat a, b;
	int r, flags;

	if (!t) {
		fd_close(master);
		return -ENOMEM;
	}
	t->master = master;
	t->in = t->out = t->timer = -1;
	t->in_flags = t->out_flags = -1;
	t->typed = (struct buffer){ .size = IN_SIZE, .p = malloc(IN_SIZE) };
	t->shown = (struct buffer){ .size = OUT_SIZE, .p = malloc(OUT_SIZE) };
	r = in < 0 ? -ENOTTY : !t->typed.p || !t->shown.p ? -ENOMEM : 0;
	if (r == 0)
		r = user_tty(in, &t->in, &t->in_flags);
	if (r == 0) {
		/* One open serves both where it is one terminal, and was not opened for reading only. */
		if (fstat(in, &a) == 0 && fstat(out, &b) == 0 && a.st_rdev == b.st_rdev && t->in_flags < 0)
			t->out = t->in;
		else
			r = user_tty(out, &t->out, &t->out_flags);
	}
	if (r == 0) {
		t->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
		flags = fcntl(master, F_GETFL);
		if (t->timer < 0 || flags < 0 || fcntl(master, F_SETFL, flags | O_NONBLOCK) < 0 ||
		    fcntl(master, F_SETFD, FD_CLOEXEC) < 0)
			r = err_now();
	}
	if (r < 0) {
		destroy(t);
		return r;
	}
	t->modes = look->modes;
	t->take = look->is_tty[0] && (look->is_tty[1] || !leads_to_other(1)) ? TAKE_ALL : TAKE_ASKED;
	t->reads_lines = look->is_tty[0];
	t->closed_ms = CLOSED_MIN_MS;
	rescue_prepare(t->in, &t->modes, t->in_flags);
	terminal_resize(t);
	settle(t);
	*ret_t = t;
	return 0;
}

/* -- Moving bytes -- */

static size_t room(const struct buffer *b)
{
	return b->size - b->to;
}

static bool empty(const struct buffer *b)
{
	return b->from == b->to;
}

/* Reads once. 1: something came, 0: nothing now, -errno. End of file is -EIO. */
static int fill(struct buffer *b, int fd)
{
	if (empty(b))
		b->from = b->to = 0;
	if (!room(b))
		return 0;
	ssize_t n = read(fd, b->p + b->to, room(b));

	if (n > 0) {
		b->to += (size_t)n;
		return 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n < 0 ? err_now() : -EIO;
}

/* Writes what there is, as far as it goes. 1: something went, 0: nothing now, -errno. */
static int spill(struct buffer *b, int fd)
{
	int moved = 0;

	while (!empty(b)) {
		ssize_t n = write(fd, b->p + b->from, b->to - b->from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno != EAGAIN ? err_now() : moved;
		b->from += (size_t)n;
		moved = 1;
	}
	return moved;
}

/* Do both terminals make CR LF of a LF? */
static bool twice(const struct terminal *t)
{
	const tcflag_t both = OPOST | ONLCR;
	struct termios user, guest;

	return !t->raw && tcgetattr(t->out, &user) == 0 && (user.c_oflag & both) == both &&
	       tcgetattr(t->master, &guest) == 0 && (guest.c_oflag & both) == both;
}

/* The CR that waited goes out. There is room: fill_shown() leaves some. */
static void release(struct terminal *t)
{
	if (!t->held)
		return;
	if (empty(&t->shown))
		t->shown.from = t->shown.to = 0; /* fill() would, behind our back */
	t->shown.p[t->shown.to++] = '\r';
	t->held = false;
}

/*
 * fill() for what is shown. The user's terminal is not raw in the background and in a pipeline: it will put a CR before
 * each LF, and the one the guest's put there is taken away. The two may come in two reads: a CR at the end is held back
 * for a moment.
 */
static int fill_shown(struct terminal *t)
{
	struct buffer *b = &t->shown;
	bool was = t->held;

	if (empty(b))
		b->from = b->to = 0;
	if (room(b) < 2)
		return 0;
	release(t);
	size_t at = b->to - was, to = at;
	int r = fill(b, t->master);

	if (r > 0 && twice(t)) {
		for (size_t i = at; i < b->to; i++)
			if (b->p[i] != '\r' || i + 1 == b->to || b->p[i + 1] != '\n')
				b->p[to++] = b->p[i];
		t->held = b->p[to - 1] == '\r';
		b->to = to - t->held;
	} else if (r == 0 && was) {
		t->held = true;
		b->to--;
	}
	if (t->held || was)
		set_timer(t);
	return r;
}

/* Has the guest written something that was not read yet? */
static bool waiting(const struct terminal *t)
{
	struct pollfd p = { .fd = t->master, .events = POLLIN };

	return !t->closed && poll(&p, 1, 0) > 0 && p.revents & POLLIN;
}

/* May the keyboard be read now? */
static bool listening(const struct terminal *t)
{
	struct termios now;

	if (t->background || t->suspended)
		return false;
	if (t->raw)
		return true;
	/* Lines, while nobody else (a pager behind us) has taken the terminal. */
	return t->reads_lines && tcgetattr(t->in, &now) == 0 && (now.c_lflag & ICANON);
}

int terminal_poll(struct terminal *t, struct pollfd fds[4])
{
	short out = empty(&t->shown) || t->suspended ? 0 : POLLOUT;

	/* Events 0 still reports a hang-up. */
	fds[AT_IN] = (struct pollfd){ .fd = t->in, .events = listening(t) && empty(&t->typed) ? POLLIN : 0 };
	fds[AT_OUT] = (struct pollfd){ .fd = t->out == t->in ? -1 : t->out, .events = out };
	if (t->out == t->in)
		fds[AT_IN].events |= out;
	fds[AT_MASTER] = (struct pollfd){ .fd = t->closed ? -1 : t->master };
	if (empty(&t->shown) && !t->suspended)
		fds[AT_MASTER].events |= POLLIN;
	if (!empty(&t->typed))
		fds[AT_MASTER].events |= POLLOUT;
	/* Full or suspended, a hang-up of the guest's side is not news enough to spin on. */
	if (!fds[AT_MASTER].events)
		fds[AT_MASTER].fd = -1;
	fds[AT_TIMER] = (struct pollfd){ .fd = t->timer, .events = POLLIN };
	return AT_COUNT;
}

/* Guest to user. */
static int show(struct terminal *t)
{
	for (int i = 0; i < ROUNDS; i++) {
		int r = t->closed ? 0 : fill_shown(t);

		if (r < 0) {
			/* EIO: every slave is closed. What the guest typed ahead is nobody's now. */
			t->closed = true;
			set_timer(t);
		} else if (r > 0) {
			t->closed_ms = CLOSED_MIN_MS;
			if (t->take == TAKE_ASKED)
				settle(t);
		}
		r = spill(&t->shown, t->out);
		if (r < 0)
			return r;
		if (!r || !empty(&t->shown))
			return 0;
	}
	return 0;
}

/* User to guest. */
static int type(struct terminal *t, bool readable)
{
	int r = 0;

	if (readable && empty(&t->typed)) {
		r = fill(&t->typed, t->in);
		if (r == -EIO && !t->raw) {
			struct pollfd p = { .fd = t->in };

			/* Ctrl-D in a terminal that reads lines, or a hang-up. */
			if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
				return -EIO;
			t->typed.p[0] = (char)t->modes.c_cc[VEOF];
			t->typed.from = 0;
			t->typed.to = 1;
			r = 0;
		}
		if (r < 0)
			return r;
	}
	/* An error here is the guest's side being closed: typing goes nowhere, as on a terminal nobody reads. */
	if (spill(&t->typed, t->master) < 0)
		t->typed.from = t->typed.to = 0;
	return 0;
}

int terminal_serve(struct terminal *t, const struct pollfd *fds, int n)
{
	short in = fds[AT_IN].revents, out = fds[AT_OUT].revents;
	uint64_t ticks;
	int r;

	if (n < AT_COUNT)
		return -EINVAL;
	if (fds[AT_TIMER].revents) {
		(void)!read(t->timer, &ticks, sizeof(ticks));
		/* Late ourselves: the LF may be there by now, and is then read together with its CR. */
		if (!waiting(t))
			release(t);
		if (t->closed) {
			t->closed = false;
			t->closed_ms = t->closed_ms * 2 < CLOSED_MAX_MS ? t->closed_ms * 2 : CLOSED_MAX_MS;
		}
		if (!t->suspended)
			settle(t);
	}
	if ((in | out) & (POLLHUP | POLLERR | POLLNVAL))
		return -EIO;
	if (t->suspended)
		return 0;
	/* Sent to the background since: a read would stop us. Or somebody took the terminal meanwhile. */
	if ((in & POLLIN) && !rescue_foreground(t->in))
		settle(t);
	if (!listening(t))
		in &= (short)~POLLIN; /* but not what it says of the way out, where one open serves both */
	/* Typing first: Ctrl-C overtakes a flood. */
	r = type(t, in & POLLIN);
	if (r < 0)
		return r;
	if (fds[AT_MASTER].revents & (POLLIN | POLLHUP | POLLERR) || (in | out) & POLLOUT)
		return show(t);
	return 0;
}

static long left_ms(const struct timespec *end)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
}

/* Writes out what the guest wrote, until every slave is closed, or nothing comes for a moment, or the time is over. */
static void drain(struct terminal *t, int timeout_ms)
{
	struct timespec end;
	bool over = false;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_ms / 1000;
	end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	for (;;) {
		if (!over && fill_shown(t) < 0)
			over = true;
		if (spill(&t->shown, t->out) < 0 || (over && empty(&t->shown)))
			return;
		long left = left_ms(&end);
		struct pollfd p = { .fd = t->out, .events = POLLOUT };

		if (left <= 0)
			return;
		if (empty(&t->shown)) {
			p = (struct pollfd){ .fd = t->master, .events = POLLIN };
			if (poll(&p, 1, left < QUIET_MS ? (int)left : QUIET_MS) <= 0) {
				release(t);
				(void)spill(&t->shown, t->out);
				return;
			}
		} else if (poll(&p, 1, (int)left) < 0 || p.revents & (POLLHUP | POLLERR)) {
			return;
		}
	}
}

struct terminal *terminal_close(struct terminal *t, int timeout_ms)
{
	if (!t)
		return NULL;
	drain(t, timeout_ms);
	go_cooked(t);
	rescue_arm(false);
	return destroy(t);
}
