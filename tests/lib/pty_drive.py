#!/usr/bin/env python3
"""Plays the user at a terminal: pty_drive.py SCENARIO LAUNCHER...

LAUNCHER... are the words before a command that make gabion run it (launcher gabion run --quiet --); each scenario starts
programs on a pseudo terminal of its own, types, and looks at what appears. Status 0 where all was as at a terminal without
gabion, else 1 and what was seen. PTY_UID owns the terminal, where set.
"""
import fcntl
import os
import re
import select
import signal
import struct
import sys
import termios
import time

LAUNCH = sys.argv[2:]
TIMEOUT = 60
CTRL_C, CTRL_D, CTRL_Z, CTRL_BACKSLASH = b"\x03", b"\x04", b"\x1a", b"\x1c"


class Wrong(Exception):
    pass


class Terminal:
    """A terminal and the first program on it, its session leader."""

    def __init__(self, argv, size=(24, 80), raw=False):
        self.seen = b""
        self.status = None
        master, slave = os.openpty()
        self.master = master
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        if raw:
            self.make_raw(slave)
        self.modes = termios.tcgetattr(slave)
        if "PTY_UID" in os.environ:
            os.fchown(slave, int(os.environ["PTY_UID"]), -1)
        env = dict(os.environ, PS1="OUT> ", TERM="dumb", INPUTRC="/dev/null", HISTFILE="")
        self.pid = os.fork()
        if self.pid == 0:
            os.close(master)
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(slave, fd)
            os.closerange(3, 100)
            for sig in (signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT):
                signal.signal(sig, signal.SIG_DFL)
            os.execvpe(argv[0], argv, env)
        self.slave = slave  # kept, so that modes can be asked for afterwards

    @staticmethod
    def make_raw(fd):
        modes = termios.tcgetattr(fd)
        modes[0] = modes[1] = modes[3] = 0
        termios.tcsetattr(fd, termios.TCSANOW, modes)

    def read(self, timeout):
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            data = b""
        self.seen += data
        return bool(data)

    def expect(self, pattern):
        """Waits for PATTERN in what appeared since the last match; what came before it is returned."""
        pattern = pattern.encode() if isinstance(pattern, str) else pattern
        end = time.monotonic() + TIMEOUT
        while True:
            m = re.search(pattern, self.seen)
            if m:
                before, self.seen = self.seen[:m.start()], self.seen[m.end():]
                self.match = m
                return before
            left = end - time.monotonic()
            if left <= 0:
                raise Wrong(f"waited for {pattern!r}, saw {self.seen[-1500:]!r}")
            self.read(left)

    def never(self, pattern, seconds=0.2):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)
        if re.search(pattern, self.seen):
            raise Wrong(f"did not want {pattern!r}, saw {self.seen[-1500:]!r}")

    def type(self, data):
        data = data.encode() if isinstance(data, str) else data
        os.write(self.master, data)

    def resize(self, rows, cols):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def wait(self):
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0):
                    pass
                return os.waitstatus_to_exitcode(status)
            self.read(0.02)
        os.kill(self.pid, signal.SIGKILL)
        raise Wrong(f"it does not end; saw {self.seen[-1500:]!r}")

    def ends(self, wanted):
        got = self.wait()
        if got != wanted:
            raise Wrong(f"wanted status {wanted}, got {got}; saw {self.seen[-1500:]!r}")

    def modes_as_before(self, what):
        if termios.tcgetattr(self.slave) != self.modes:
            raise Wrong(f"{what}: the terminal's modes are {termios.tcgetattr(self.slave)}, were {self.modes}")


def words(argv):
    return " ".join("'" + w.replace("'", "'\\''") + "'" for w in argv)


def outer(**kwargs):
    """A shell of the user's; in it ./g is gabion run."""
    with open("g", "w") as f:
        f.write("#!/bin/sh\nexec " + words(LAUNCH) + ' "$@"\n')
    os.chmod("g", 0o755)
    t = Terminal(["bash", "--norc", "--noprofile", "-i"], **kwargs)
    t.expect("OUT> ")
    return t


def leave(t):
    t.type("exit 0\n")
    t.ends(0)


def shell():
    """An interactive shell inside: prompt, echo, its own job control, Ctrl-C, Ctrl-D."""
    t = Terminal(LAUNCH + ["env", "PS1=OUT> ", "bash", "--norc", "--noprofile", "-i"])
    t.expect("OUT> ")
    if b"job control" in t.seen:
        raise Wrong(t.seen)
    t.type("echo he''llo\n")
    t.expect("echo he''llo\r\nhello\r\n")
    t.expect("OUT> ")
    t.type("sleep 50 & jobs\n")
    t.expect(r"Running +sleep 50")
    t.expect("OUT> ")
    t.type("fg\n")
    t.expect("sleep 50\r\n")
    time.sleep(0.1)
    t.type(CTRL_Z)
    t.expect(r"Stopped +sleep 50")
    t.expect("OUT> ")
    t.type("bg; kill %1; wait %1; echo st=$?\n")
    t.expect("st=143")
    t.expect("OUT> ")
    t.type("sleep 50\n")
    t.expect("sleep 50\r\n")
    time.sleep(0.1)
    t.type(CTRL_C)
    t.expect("OUT> ")
    t.type("echo st=$?\n")
    t.expect("st=130")
    t.expect("OUT> ")
    t.type("cat\n")
    t.expect("cat\r\n")
    time.sleep(0.1)
    t.type("line\n")
    t.expect("line\r\nline\r\n")
    t.type(CTRL_D)
    t.expect("OUT> ")
    t.type("(exit 9)\n")
    t.expect("OUT> ")
    t.type(CTRL_D)
    t.ends(9)
    t.modes_as_before("after the shell")


def job():
    """gabion as a job of the user's shell: Ctrl-Z stops it, fg goes on with it, Ctrl-C and Ctrl-\\ end it."""
    t = outer()
    t.type("./g cat\n")
    t.expect("./g cat\r\n")
    t.type("one\n")
    t.expect("one\r\none\r\n")
    t.type(CTRL_Z)
    t.expect(r"Stopped +./g cat")
    t.expect("OUT> ")
    t.type("echo at''prompt\n")
    t.expect("\r\natprompt\r\n")
    t.expect("OUT> ")
    t.type("fg\n")
    t.expect("./g cat\r\n")
    t.type("two\n")
    t.expect("two\r\ntwo\r\n")
    t.type(CTRL_Z)
    t.expect(r"Stopped +./g cat")
    t.expect("OUT> ")
    t.type("fg\n")
    t.expect("./g cat\r\n")
    time.sleep(0.3)  # bash says so before it gives the terminal away
    t.type(CTRL_C)
    t.expect("OUT> ")
    t.type("echo st=$?\n")
    t.expect("st=130\r\n")
    t.expect("OUT> ")
    t.type("./g sleep 50\n")
    t.expect("./g sleep 50\r\n")
    time.sleep(0.3)
    t.type(CTRL_BACKSLASH)
    t.expect("OUT> ")
    t.type("echo st=$?\n")
    t.expect("st=131\r\n")
    t.expect("OUT> ")
    leave(t)


def size():
    """Window size at the start, and SIGWINCH."""
    t = Terminal(LAUNCH + ["python3", "-c", """
import os, signal, time
def show(*_): print("size", *os.get_terminal_size(), flush=True)
signal.signal(signal.SIGWINCH, show)
show()
input()
show()
"""], size=(33, 101))
    t.expect("size 101 33\r\n")
    t.resize(50, 132)
    t.expect("size 132 50\r\n")
    t.type("\n")
    t.expect("size 132 50\r\n")
    t.ends(0)


def modes():
    """Raw mode inside reaches the program; the user's modes are afterwards what they were, however it ends."""
    t = outer()
    t.type("stty -g >before; ./g stty -g >inside; stty -g >after; cmp before after && cmp before inside && echo sa''me\n")
    t.expect("same\r\n")
    t.expect("OUT> ")
    t.type("""./g python3 -c 'import os, tty; tty.setraw(0); os.write(1, b"raw;"); print(os.read(0, 1), end=";")'; stty -g >after; cmp before after && echo same''2\n""")
    t.expect("raw;")
    t.type(CTRL_C)
    t.expect(re.escape(r"b'\x03';"))
    t.expect("same2\r\n")
    t.expect("OUT> ")
    t.type("./g bash -c 'stty raw -echo; kill -9 $$'; echo st=$?; stty -g >after; cmp before after && echo same''3\n")
    t.expect("st=137\r\n")
    t.expect("same3\r\n")
    t.expect("OUT> ")
    leave(t)
    t.modes_as_before("at the end")


def password():
    """What is typed without echo is not shown."""
    t = Terminal(LAUNCH + ["bash", "-c", 'read -r -s -p "password:" p; echo; echo "got $p"'])
    t.expect("password:")
    time.sleep(0.1)
    t.type("hunter2\n")
    before = t.expect("got hunter2\r\n")
    if b"hunter2" in before:
        raise Wrong("it was shown")
    t.ends(0)


def flood():
    """A megabyte comes byte for byte; so does what is typed, 64 KiB."""
    data = os.urandom(1 << 20)
    with open("blob", "wb") as f:
        f.write(data)
    os.chmod("blob", 0o644)
    t = Terminal(LAUNCH + ["sh", "-c", "stty raw -echo; cat blob; echo END; head -c 65536 | cksum"], raw=True)
    shown = t.expect(b"END\n")
    if shown != data:
        at = next((i for i, (a, b) in enumerate(zip(shown, data)) if a != b), min(len(shown), len(data)))
        raise Wrong(f"{len(shown)} bytes of {len(data)}, the first other one at {at}")
    typed = os.urandom(65536)
    at = 0
    while at < len(typed):
        if select.select([t.master], [t.master], [], TIMEOUT)[1]:
            at += os.write(t.master, typed[at:at + 1024])
    with open("typed", "wb") as f:
        f.write(typed)
    wanted = os.popen("cksum <typed").read().strip()
    t.expect(re.escape(wanted))
    t.ends(0)


def pipeline():
    """Standard input a terminal, standard output a pipe; and the other way round."""
    t = outer()
    t.type("./g cat | tr a-z A-Z\n")
    t.expect("A-Z\r\n")
    t.type("hello\n")
    t.expect("hello\r\n")
    t.type(CTRL_D)
    t.expect("HELLO\r\n")
    t.expect("OUT> ")
    t.type("echo from pipe | ./g cat; ./g sh -c 'test -t 0 && test ! -t 1 && echo ti''n >&2' | cat\n")
    t.expect("from pipe\r\n")
    t.expect("tin\r\n")
    t.expect("OUT> ")
    t.type("seq 1 20000 | ./g cat; echo EN''D\n")
    shown = t.expect("END\r\n")
    wanted = b"".join(b"%d\r\n" % n for n in range(1, 20001))
    if not shown.endswith(b"\r\n" + wanted):
        at = next((i for i, (x, y) in enumerate(zip(reversed(shown), reversed(wanted))) if x != y), min(len(shown), len(wanted)))
        raise Wrong(f"20000 lines are not as they were: {len(shown)} bytes, {at} from the end: {shown[-at - 80:][:160]!r}")
    t.expect("OUT> ")
    t.type("./g cat | cat\n")
    t.expect("cat\r\n")
    time.sleep(0.3)
    t.type(CTRL_C)
    t.expect("OUT> ")
    t.type("echo st=$?,${PIPESTATUS[0]}\n")
    t.expect("st=130")
    t.expect("OUT> ")
    leave(t)


def background():
    """In the background nothing is read and no mode is changed; output appears; fg hands the keyboard over."""
    t = outer()
    t.type("stty -g >before; ./g sh -c 'sleep 0.3; echo from be''hind' & wait; echo st=$?; stty -g >after; cmp before after && echo sa''me\n")
    t.expect("from behind\r\n")
    t.expect("st=0\r\n")
    t.expect("same\r\n")
    t.expect("OUT> ")
    t.type("./g cat & sleep 0.5\n")
    t.expect("OUT> ")
    t.type("echo mi''ne\n")
    t.expect("\r\nmine\r\n")
    t.expect("OUT> ")
    t.type("fg\n")
    t.expect("./g cat\r\n")
    time.sleep(0.5)
    t.type("yours\n")
    t.expect("yours\r\nyours\r\n")
    t.type(CTRL_D)
    t.expect("OUT> ")
    leave(t)


def names():
    """The terminal has a name inside, and it is the controlling one."""
    t = Terminal(LAUNCH + ["bash", "-c", """
tty && test -c "$(tty)" && test -t 0 && echo named
ps -o tty= -p $$
python3 -c 'import os; print(os.ttyname(0) == os.ttyname(1), os.tcgetpgrp(0) == os.getpgrp()); os.write(os.open("/dev/tty", os.O_RDWR), b"by name\\n")'
"""])
    t.expect("/dev/pts/([0-9]+)\r\nnamed\r\n")
    number = t.match.group(1).decode()
    t.expect(f"pts/{number} *\r\n")
    t.expect("True True\r\n")
    t.expect("by name\r\n")
    t.ends(0)


def hangup():
    """The terminal is closed: the run ends. (The test looks for what is left.)"""
    t = Terminal(LAUNCH)
    end = time.monotonic() + TIMEOUT
    while not (os.path.exists("beat") and os.path.getsize("beat")):
        if time.monotonic() > end:
            t.read(0)
            raise Wrong(f"nothing started: {t.seen!r}")
        time.sleep(0.02)
    time.sleep(0.2)
    os.close(t.slave)
    os.close(t.master)


def tmux_like():
    """A program that makes terminals of its own inside (script, tmux, expect)."""
    t = Terminal(LAUNCH + ["python3", "-c", """
import pty, sys
sys.exit(pty.spawn(["sh", "-c", "tty; stty size; echo inner"]) >> 8)
"""])
    t.expect("/dev/pts/[0-9]+\r\n")
    t.expect("inner\r\n")
    t.ends(0)


def main():
    try:
        globals()[sys.argv[1]]()
    except Wrong as e:
        print(f"{sys.argv[1]}: {e}")
        return 1
    return 0


sys.exit(main())
