# shellcheck shell=bash
# What the suites of `make check-suites` share. Each compares a suite natively with the same inside: on the floors of CHECK_MODES (default
# all there are), with --mediate auto and all (SUITE_MEDIATE). A suite leaves a file "result" in its working directory, one line an outcome;
# the lines that differ are printed, and are what the suite's script counts as failures.

set -u
SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$(cd "${BUILD:-$SRC/build}" && pwd)
T=$(mktemp -d "${TMPDIR:-/tmp}/gabion-suite.XXXXXX")
chmod 755 "$T"
trap 'chmod -R u+rwX "$T" 2>/dev/null; rm -rf "$T"' EXIT
mkdir "$T/bin"
cp "$BUILD/gabion" "$T/bin/"
GABION=$T/bin/gabion
TESTS=$T/tests
export T GABION TESTS SRC
mkdir -p "$TESTS/degrade" && cp "$BUILD"/tests/degrade/no_userns "$TESTS/degrade/"
# shellcheck source=../lib/modes.sh
. "$SRC/tests/lib/modes.sh"
modes=${CHECK_MODES:-$(modes_available)}
mediates=${SUITE_MEDIATE:-auto all}
differing=0
compared=0

# The mode a native run is made in: where root starts a guest it is an ordinary user all the same.
native_mode() {
  if [ "$1" = root ]; then echo user; else echo "$1"; fi
}

# suite_compare NAME MODE MEDIATE FILE_NATIVE FILE_INSIDE
suite_compare() {
  local n
  compared=$((compared + 1))
  n=$(diff "$4" "$5" | grep -c '^[<>]')
  if [ ! -s "$4" ] || [ ! -s "$5" ]; then
    echo "not ok $compared - $1 ($2, $3): no result"
    differing=$((differing + 1))
  elif [ "$n" -eq 0 ]; then
    echo "ok $compared - $1 ($2, $3): $(wc -l <"$4") outcomes, the same as natively"
  else
    echo "not ok $compared - $1 ($2, $3): of $(wc -l <"$4") outcomes these differ"
    diff "$4" "$5" | grep '^[<>]' | head -n "${SUITE_LINES:-20}" | sed 's/^/#   /'
    differing=$((differing + 1))
  fi
}

# suite_each NAME FUNCTION [OPTION]...: FUNCTION is the text of a bash script that leaves "result"; OPTIONs are gabion's.
suite_each() {
  local name=$1 script=$2 mode mediate ws native
  shift 2
  for mode in $modes; do
    native=$(native_mode "$mode")
    ws=$(mode_workspace "$native")
    (cd "$ws" && in_mode "$native" bash -c "$script") >"$T/native.out" 2>&1 </dev/null
    sed "s|$ws|@|g" "$ws/result" >"$T/native" 2>/dev/null
    chmod -R u+rwX "$ws" && rm -rf "$ws"
    for mediate in $mediates; do
      ws=$(mode_workspace "$mode")
      (cd "$ws" && gabion_run "$mode" --mediate "$mediate" "$@" -- bash -c "$script") >"$T/inside.out" 2>&1 </dev/null
      sed "s|$ws|@|g" "$ws/result" >"$T/inside" 2>/dev/null
      suite_compare "$name" "$mode" "$mediate" "$T/native" "$T/inside"
      [ -s "$T/inside" ] || tail -n 5 "$T/inside.out" | sed 's/^/#   /'
      chmod -R u+rwX "$ws" && rm -rf "$ws"
    done
  done
}

suite_end() {
  echo "1..$compared"
  [ "$differing" -eq 0 ]
}
