"""Exchanges directory A and a symbolic link B (to TARGET) for ever."""
import ctypes
import os
import sys
import time

a, b, target = sys.argv[1:]
os.symlink(target, b)
libc = ctypes.CDLL(None, use_errno=True)
parent = os.getppid()
while os.getppid() == parent:
    # As often as it takes, and no busy loop.
    time.sleep(0.0002)
    for _ in range(3):
        libc.renameat2(-100, a.encode(), -100, b.encode(), 2)  # RENAME_EXCHANGE
