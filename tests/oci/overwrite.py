"""Opens the program of process PID through /proc, kills it, and writes to the program (what it read from it)."""
import os
import signal
import sys
import time

pid = int(sys.argv[1])
path = f"/proc/{pid}/exe"
# A shell's child has to have become its program.
time.sleep(0.3)
fd = os.open(path, os.O_RDONLY)
head = os.read(fd, 16)
os.kill(pid, signal.SIGKILL)
end = time.time() + 10
while time.time() < end:
    try:
        out = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
        os.write(out, head)
        print("written")
        break
    except OSError as e:
        print(e.strerror)
        if e.errno != 26:  # ETXTBSY: it is not gone yet
            break
        time.sleep(0.05)
