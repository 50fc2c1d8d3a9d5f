#!/bin/bash
# Runs one test script under Debian's stock kernel in every setting that decides what a sandbox may do:
# Yama's ptrace_scope 0, 1 and 2, with and without user namespaces, as root and as an ordinary user.
# One boot for each of the twelve cells (see run.sh), so that no cell can spoil another.
#
# usage: tests/kernels/matrix.sh [--jobs N] [--only TEXT] [SCRIPT [ARGUMENT]...]
#   --jobs N      so many machines at a time, of two processors and 2 GiB each (1)
#   --only TEXT   only cells whose name contains TEXT, for example "user=root" or "yama=2 userns=no"
#   SCRIPT        in the tree, started in the tree's top directory (tests/kernels/core.sh); its last line
#                 has to be "N passed, N failed, N skipped"
#
# Output: one line a cell; below a cell that failed, what it printed about that; at the end the sum over all
# cells as "N passed, N failed, N skipped". A cell without a result counts as one failure; when the first one
# says that the test cannot be had here (exit status 77), all are skipped. All output stays in
# build/kernels/log. Exit status: 0, 1 when something failed, 77 when nothing could be run.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
log=$tree/build/kernels/log

jobs=1 only=''
while [ $# -gt 0 ]; do
  case $1 in
  --jobs) jobs=${2:-}; shift 2 ;;
  --only) only=${2:-}; shift 2 ;;
  -*) echo "usage: $0 [--jobs N] [--only TEXT] [SCRIPT [ARGUMENT]...]" >&2; exit 64 ;;
  *) break ;;
  esac
done
case $jobs in '' | 0 | *[!0-9]*) echo "$0: --jobs takes a number" >&2; exit 64 ;; esac
[ $# -gt 0 ] || set -- tests/kernels/core.sh

cells=()
for user in root user; do
  for userns in yes no; do
    for yama in 0 1 2; do
      name="yama=$yama userns=$userns user=$user"
      [[ $name != *"$only"* ]] || cells+=("$name")
    done
  done
done
[ ${#cells[@]} -gt 0 ] || { echo "$0: no cell's name contains $only" >&2; exit 64; }

rm -rf "$log"
mkdir -p "$log"
passed=0 failed=0 skipped=0

# Its files: NAME.out, NAME.err, NAME.status (exit status and seconds).
run_cell() {
  local name=$1 options=() began=$SECONDS setting
  shift
  for setting in $name; do
    case $setting in
    yama=*) options+=(--yama "${setting#*=}") ;;
    userns=no) options+=(--no-userns) ;;
    user=user) options+=(--user) ;;
    esac
  done
  "$here/run.sh" --verbose "${options[@]}" -- "$@" >"$log/$name.out" 2>"$log/$name.err"
  echo "$? $((SECONDS - began))" >"$log/$name.status"
}

# Prints one cell's line and adds its result to the sums.
judge_cell() {
  local name=$1 status seconds result
  read -r status seconds <"$log/$name.status"
  result=$(tail -n 1 "$log/$name.out" | grep -E '^([a-z]+: )?[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$')
  if [ "$status" = 77 ]; then
    printf '%-32s skipped: %s\n' "$name" "$(tail -n 1 "$log/$name.err")"
    skipped=$((skipped + 1))
    return
  fi
  if [ -n "$result" ]; then
    printf '%-32s %s (%s s)\n' "$name" "$result" "$seconds"
    # shellcheck disable=SC2046 # three numbers
    set -- $(echo "$result" | grep -o '[0-9]*') 0
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    # A script may fail without counting it.
    [ "$status" = 0 ] || [ "$2" != 0 ] || failed=$((failed + 1))
    grep '^skip - ' "$log/$name.out" | sed 's/^/  /'
  else
    printf '%-32s no result, exit status %s (%s s)\n' "$name" "$status" "$seconds"
    failed=$((failed + 1))
  fi
  if [ "$status" != 0 ]; then
    sed -n '/^not ok/,/^\(ok\|skip\|[0-9]\)/{/^\(ok\|skip\|[0-9]\)/d;s/^/  /;p}' "$log/$name.out"
    tail -n 12 "$log/$name.err" | sed 's/^/  stderr: /'
  fi
}

# The first goes alone: it fetches the kernel, finds out about KVM, and shows whether there is any point.
run_cell "${cells[0]}" "$@"
judge_cell "${cells[0]}"
if [ $skipped -eq 1 ] && [ "$(cut -d' ' -f1 "$log/${cells[0]}.status")" = 77 ]; then
  echo "0 passed, 0 failed, ${#cells[@]} skipped"
  exit 77
fi
next=1
while [ $next -lt ${#cells[@]} ]; do
  batch=("${cells[@]:next:jobs}")
  for name in "${batch[@]}"; do
    run_cell "$name" "$@" &
  done
  wait
  for name in "${batch[@]}"; do
    judge_cell "$name"
  done
  next=$((next + jobs))
done

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
