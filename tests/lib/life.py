#!/usr/bin/env python3
"""Processes of one run, found by a word in their environment or command line (gabion run --env LIFE=WORD).

life.py list WORD             a line for each: pid, parent, name
life.py who WORD ROLE         pid of the run's monitor, sentry, init, tracer, relay or edge
life.py kill WORD ROLE SIGNAL sends it (a number)
life.py up WORD N             waits until there are N
life.py gone WORD MS          waits until none is left; after MS those left are listed and the status is 1
life.py still FILE            status 1 where the counter of tree_load in FILE still grows
"""
import os
import sys
import time


def stat(pid):
    """(parent, name, state); the name may hold anything, the fields follow the last parenthesis."""
    with open(f"/proc/{pid}/stat") as f:
        text = f.read()
    name, fields = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 1:].split()
    return int(fields[1]), name, fields[0]


def marked(word):
    found = {}
    me = os.getpid()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == me:
            continue
        for file in ("environ", "cmdline"):
            try:
                with open(f"/proc/{entry}/{file}", "rb") as f:
                    if word.encode() not in f.read():
                        continue
                parent, name, state = stat(entry)
                if state not in "ZX":
                    found[int(entry)] = (parent, name)
                break
            except OSError:
                pass
    return found


def who(word, role):
    procs = {pid: p for pid, p in marked(word).items() if p[1].startswith("gabion")}
    if role in ("tracer", "relay", "edge"):
        return [pid for pid, (_, name) in procs.items() if name == "gabion: " + role][0]
    plain = {pid: parent for pid, (parent, name) in procs.items() if ":" not in name or name[8:] in ("sentry", "tracer", "init")}
    at = [pid for pid, parent in plain.items() if parent not in plain][0]
    for _ in range(("monitor", "sentry", "tracer", "init").index(role)):
        at = [pid for pid, parent in plain.items() if parent == at][0]
    return at


def counter(path):
    with open(path, "rb") as f:
        return f.read(8)


def main():
    what, word, *rest = sys.argv[1:]
    if what == "list":
        for pid, (parent, name) in sorted(marked(word).items()):
            print(pid, parent, name)
    elif what == "who":
        print(who(word, rest[0]))
    elif what == "kill":
        os.kill(who(word, rest[0]), int(rest[1]))
    elif what == "up":
        end = time.monotonic() + 10
        while len(marked(word)) < int(rest[0]):
            if time.monotonic() > end:
                print("only there:", marked(word))
                return 1
            time.sleep(0.02)
    elif what == "gone":
        end = time.monotonic() + int(rest[0]) / 1000
        while left := marked(word):
            if time.monotonic() > end:
                print("still there:", left)
                return 1
            time.sleep(0.01)
    elif what == "still":
        before = counter(word)
        time.sleep(0.1)
        if before != counter(word):
            print("something still runs")
            return 1
    return 0


sys.exit(main())
