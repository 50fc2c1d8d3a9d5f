#!/bin/bash
# A configure script: hundreds of small programs compiled and run, and the makefile it writes.
command -v autoconf >/dev/null || { echo "autoconf is not installed"; exit 77; }
cat >configure.ac <<'AC'
AC_INIT([small], [1.0])
AC_PROG_CC
AC_CHECK_HEADERS([stdio.h unistd.h sys/epoll.h linux/seccomp.h nothing.h])
AC_CHECK_FUNCS([epoll_wait getrandom clone3 no_such_function])
AC_CHECK_SIZEOF([long])
AC_RUN_IFELSE([AC_LANG_PROGRAM([[#include <unistd.h>]], [[return getpid() > 0 ? 0 : 1;]])], [RUNS=yes], [RUNS=no])
AC_SUBST([RUNS])
AC_CONFIG_FILES([Makefile])
AC_OUTPUT
AC
printf 'all:\n\t@echo runs: @RUNS@; $(CC) -o small small.c && ./small\n' >Makefile.in
printf '#include <stdio.h>\nint main(void) { puts("built"); return 0; }\n' >small.c
autoconf && ./configure -q && make -s && grep -c '^ac_cv' config.log && grep -E 'ac_cv_(sizeof|func|header)' config.log | sort
