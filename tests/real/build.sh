#!/bin/bash
# gcc and make on a real C source tree: gabion's own policy layer. The objects must be the same byte for byte.
cp -r "$SRC/include" "$SRC/policy" "$SRC/Makefile" . 2>/dev/null
mkdir -p tests/lib && cp "$SRC/tests/lib/embed.sh" tests/lib/
make -s BUILD=b b/policy/table.o b/policy/verdict.o b/policy/rules.o b/policy/glob.o 2>&1
(cd b/policy && sha256sum ./*.o)
printf '#include <stdio.h>\n#include <math.h>\nint main(int c, char **v) { (void)v; printf("%%.3f\\n", sqrt(c + 1.0)); return 5; }\n' >m.c
gcc -O2 -o m m.c -lm && ./m; echo "status $?"
gcc -c nothing.c 2>&1 | head -n 1; ar rcs lib.a b/policy/glob.o && nm lib.a | grep -c T
