"""As an engine's shim: creates and starts a container with its pipes, is its subreaper, and tells what it sees."""
import ctypes
import json
import os
import subprocess
import sys
import time

runtime, root, bundle, name = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
out_read, out_write = os.pipe()
pid_file = bundle + "/pid"
subprocess.run([runtime, "--root", root, "create", "--bundle", bundle, "--pid-file", pid_file, name], check=True, stdin=subprocess.DEVNULL,
               stdout=out_write, stderr=out_write, timeout=60)
os.close(out_write)
pid = int(open(pid_file).read())


def status(of):
    return dict(line.split(":\t", 1) for line in open(f"/proc/{of}/status").read().splitlines() if ":\t" in line)


def ancestors(of):
    chain = []
    while of > 1:
        of = int(status(of)["PPid"])
        chain.append(of)
    return chain


assert int(status(pid)["PPid"]) == os.getpid(), status(pid)["PPid"]
print("parent is the subreaper")
sentry = json.load(open(f"{root}/{name}/state.json"))["helpers"][0]["pid"]
assert sentry not in ancestors(pid) and pid not in ancestors(sentry)
print("sentry is no ancestor")
subprocess.run([runtime, "--root", root, "start", name], check=True, timeout=60)
# A death signal would have come with create's end.
time.sleep(0.2)
assert os.path.exists(f"/proc/{pid}")
print("no death signal")
got, st = os.waitpid(pid, 0)
print("status", os.waitstatus_to_exitcode(st))
# Nobody else holds the engine's pipes.
end = time.time() + 20
os.set_blocking(out_read, False)
while True:
    try:
        if os.read(out_read, 4096) == b"":
            print("pipes ended")
            break
    except BlockingIOError:
        assert time.time() < end, "the pipe is still open"
        time.sleep(0.05)
