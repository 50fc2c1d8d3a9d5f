#!/bin/bash
# ripgrep, tar, find, du, sort, rm over a tree of some thousand files.
for d in $(seq 20); do mkdir -p "t/$d/sub"; for f in $(seq 50); do echo "line $f of $d needle$((f % 7))" >"t/$d/f$f"; done; done
ln -s ../1/f1 t/2/link; ln t/1/f1 t/3/hard; mkfifo t/fifo
find t -type f | sort | md5sum; find t -type l -o -type p | sort; find t -name 'f1*' -newer t/1/f1 | wc -l | grep -c .
command -v rg >/dev/null && rg -c needle3 t | sort | md5sum
grep -rl needle5 t | sort | md5sum
tar cf t.tar t && tar tf t.tar | wc -l && mkdir x && tar xf t.tar -C x && diff -r --no-dereference --exclude=fifo t x/t && echo same
tar czf t.tgz t && tar xzf t.tgz -C x --overwrite && stat -c '%h %s' x/t/1/f1
cp -a t y && chmod -R go-rwx y && find y -type f -perm 600 | wc -l
find y -name 'f2*' -delete; find y -type f | wc -l; find t -type f -print0 | xargs -0 -n 100 cat | md5sum
touch -d 2020-01-01 y/1/f1 && stat -c %Y y/1/f1; mv y z && ls z | wc -l; du -s --apparent-size z | cut -f1 | grep -c .
sort -T . -R t/1/f1 | wc -l; dd if=/dev/zero of=big bs=64k count=40 status=none && truncate -s 1M big && stat -c %s big
rm -rf t x y z && ls
# grep skips what is left of a pipe with splice(2) where nobody reads its output.
seq 100000 | grep 1 >/dev/null; echo "grep $?"
