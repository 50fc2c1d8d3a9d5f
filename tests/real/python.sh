#!/bin/bash
# python3: processes, threads, event loop, database, temporary files.
cat >t.py <<'PY'
import asyncio, concurrent.futures, multiprocessing, os, shutil, signal, sqlite3, subprocess, sys, tempfile, threading, zipfile, mmap, fcntl, select, socket

def square(n):
    return n * n

def main():
    print(subprocess.run(["sh", "-c", "echo child; exit 3"], capture_output=True, text=True))
    p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    print(p.communicate(b"x" * 300000)[0].count(b"x"))
    with multiprocessing.get_context("fork").Pool(3) as pool:
        print(pool.map(square, range(10)))
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as ex:
        print(list(ex.map(square, range(5))))
    q = multiprocessing.Queue(); pr = multiprocessing.Process(target=q.put, args=("by queue",)); pr.start(); print(q.get()); pr.join()
    async def a():
        p = await asyncio.create_subprocess_exec("echo", "async", stdout=asyncio.subprocess.PIPE)
        out, _ = await p.communicate()
        await asyncio.sleep(0.01)
        return out, p.returncode
    print(asyncio.run(a()))
    db = sqlite3.connect("t.db"); db.execute("pragma journal_mode=wal"); db.execute("create table t(a, b)")
    db.executemany("insert into t values(?, ?)", [(i, str(i)) for i in range(1000)]); db.commit()
    print(db.execute("select count(*), sum(a) from t").fetchone()); db.close()
    t = [threading.Thread(target=lambda: None) for _ in range(20)]; [x.start() for x in t]; [x.join() for x in t]
    with tempfile.TemporaryDirectory() as d:
        open(os.path.join(d, "f"), "w").write("x"); print(os.listdir(d))
    with tempfile.NamedTemporaryFile() as f:
        f.write(b"abc"); f.flush(); print(os.path.getsize(f.name))
    with zipfile.ZipFile("z.zip", "w") as z: z.writestr("a/b", "c")
    print(zipfile.ZipFile("z.zip").namelist())
    os.makedirs("tree/a/b"); shutil.copytree("tree", "copy"); shutil.rmtree("tree"); print(sorted(os.listdir(".")))
    os.symlink("z.zip", "link"); print(os.readlink("link"), os.path.realpath("link") == os.path.realpath("z.zip"))
    with open("z.zip", "r+b") as f: print(len(mmap.mmap(f.fileno(), 0)) > 0); fcntl.flock(f, fcntl.LOCK_EX) if not f.closed else None
    a, b = socket.socketpair(); a.send(b"pair"); print(b.recv(10))
    s = socket.socket(socket.AF_UNIX); s.bind("sock"); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect("sock"); d, _ = s.accept(); c.send(b"unix"); print(d.recv(9))
    signal.signal(signal.SIGALRM, lambda *a: print("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()
    try:
        open("/nonexistent/x")
    except OSError as e:
        print(type(e).__name__, e.errno)
    print(os.cpu_count() > 0, os.getuid() == os.stat(".").st_uid)

if __name__ == "__main__":
    main()
PY
python3 t.py
python3 -c 'import os; t = os.times(); print(0 <= t.user < 1000, t.elapsed > 0)'
python3 -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)'
python3 -m compileall -q t.py && ls __pycache__ | wc -l
