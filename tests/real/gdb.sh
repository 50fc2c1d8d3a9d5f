#!/bin/bash
# gdb on a child: breakpoint, backtrace, variable, the child's status.
command -v gdb >/dev/null || { echo "gdb is not installed"; exit 77; }
printf 'int add(int a, int b)\n{\n\treturn a + b;\n}\nint main(void)\n{\n\treturn add(40, 2);\n}\n' >p.c
gcc -g -O0 -o p p.c || exit 1
gdb -q -nx -batch -ex 'set debuginfod enabled off' -ex 'set startup-with-shell off' -ex 'set disable-randomization off' -ex 'break add' -ex run -ex 'print a + b' -ex bt -ex continue ./p 2>/dev/null |
  grep -E '^\$1|^#[01]|exited' | sed 's/0x[0-9a-f]*/ADDR/g; s/process [0-9]*/process N/'
command -v strace >/dev/null && strace -e trace=openat -o log cat p.c | md5sum && grep -c openat log | grep -c .
