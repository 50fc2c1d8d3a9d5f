#!/bin/sh
# Every row of include/syscalls.tbl that names files (families OPEN, META, CHANGE, LIST, CHDIR, WATCH) and is notified, or would be
# but for its class, has a guest test: a program of tests/guest that makes the call itself, SYS(name, ...) or syscall(NAME, ...).
# Refused rows with a path or directory among their arguments are swept with all others (tests/attack/sweep.c).
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
bad=0
for name in $(sed -n 's/^SYS([ 0-9]*, *\([a-z0-9_]*\), *\(EMULATE\|RECHECK\), *\(OPEN\|META\|CHANGE\|LIST\|CHDIR\|WATCH\),.*/\1/p' "$here/include/syscalls.tbl"); do
  upper=$(printf %s "$name" | tr a-z A-Z)
  grep -qE "SYS\\(${name}[,)]|syscall\\((SYS_$name|$upper)[,)]" "$here"/tests/guest/*.c && continue
  echo "rows_tested: FAIL: $name has no guest test"
  bad=1
done
exit $bad
