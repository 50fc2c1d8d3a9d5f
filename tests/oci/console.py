"""Listens at a console socket, runs the commands (separated by --), prints what comes from the terminal."""
import os
import socket
import subprocess
import sys

path, rest = sys.argv[1], sys.argv[2:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(1)
commands, cur = [], []
for word in rest + ["--"]:
    if word == "--":
        commands.append(cur)
        cur = []
    else:
        cur.append(word)
subprocess.run(commands[0], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60)
peer, _ = listener.accept()
_, fds, _, _ = socket.recv_fds(peer, 100, 4)
assert len(fds) == 1, fds
for command in commands[1:]:
    subprocess.run(command, check=True, timeout=60)
while True:
    try:
        data = os.read(fds[0], 4096)
    except OSError:
        break
    if not data:
        break
    os.write(1, data)
