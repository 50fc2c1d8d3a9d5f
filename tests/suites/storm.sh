#!/usr/bin/env bash
# Random file system calls (storm.c): the same answers and the same tree, seed by seed. SUITE_SEEDS is how many (default 20), SUITE_FIRST
# the first, SUITE_COUNT the calls of each. A seed that differs can be looked at with `storm SEED COUNT` natively and inside.
. "$(dirname "$0")/lib.sh"
cp "$BUILD/tests/suites/storm" "$T/bin/"
first=${SUITE_FIRST:-1}
last=$((first + ${SUITE_SEEDS:-20} - 1))
all=$modes
for modes in $all; do
  # Without a mount namespace the rules about /proc are not the kernel's.
  kind=
  [ "$modes" = bare ] && kind=plain
  script='
for seed in $(seq '$first' '$last'); do
  echo "seed $seed"
  timeout 120 '"$T"'/bin/storm $seed '"${SUITE_COUNT:-3000}"' '$kind' | sed "s|guest-[A-Za-z0-9]*|guest|"
done >result 2>&1
'
  suite_each storm "$script" --exec "$T/bin"
done
suite_end
