#!/usr/bin/env bash
# run.sh [--json] [--long] [--against NAME,...] [SECTION]...: `make bench`, `gabion bench`. Sections: start memory leaks verdict relay micro rings surface terminal macro (default: all).
#
# Figures only, never a verdict: a shared machine is no judge. What is compared is measured in turn within one run, and the medians of
# several rounds are given; targets stand beside. BENCH_ARGS holds arguments, too; BENCH_MODES the floors (see tests/lib/modes.sh).
# The measuring is done by the programs beside this file; here they are put together.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here" || exit 1
build=${BUILD:-build}
# shellcheck disable=SC2086 # words
set -- "$@" ${BENCH_ARGS-}
format=text calls=100000 sections=
against=
# peer NAME: whether it is one to be measured beside: installed, and not left out by --against.
peer() {
  { [ -z "$against" ] || [[ ,$against, == *,"$1",* ]]; } && command -v "$1" >/dev/null
}
while [ $# -gt 0 ]; do
  arg=$1
  shift
  case $arg in
    --against)
      against=${1-}
      [ $# -eq 0 ] || shift
      for name in ${against//,/ }; do
        case $name in
          native) ;;
          bwrap | pasta | slirp4netns | runsc)
            command -v "$name" >/dev/null || echo "bench: $name is not installed: nothing is measured beside it" >&2
            ;;
          crun | strace | docker | podman)
            echo "bench: no section measures beside $name (bench/README.md)" >&2
            ;;
          *)
            echo "run.sh: --against $name? native, bwrap, pasta, slirp4netns, runsc" >&2
            exit 2
            ;;
        esac
      done
      ;;
    net) sections="$sections relay" ;;
    all) sections="$sections start memory leaks verdict relay micro rings scale surface terminal macro" ;;
    --json) format=json ;;
    --long) calls=1000000 ;;
    start | memory | leaks | verdict | relay | micro | rings | scale | surface | terminal | macro) sections="$sections $arg" ;;
    *)
      echo "run.sh: $arg? [--json] [--long] [--against NAME,...] [all|net|start|memory|leaks|verdict|relay|micro|rings|scale|surface|terminal|macro]..." >&2
      exit 2
      ;;
  esac
done
sections=${sections:-start memory leaks verdict relay micro rings surface terminal macro}

# The machine's own tools, for all floors and for both sides: what a person's PATH holds may not be readable by everybody.
export PATH=/usr/local/bin:/usr/bin:/bin
export LC_ALL=C
unset GITHUB_STEP_SUMMARY XDG_STATE_HOME

T=$(mktemp -d "${TMPDIR:-/tmp}/gabion-bench.XXXXXX") || exit 1
chmod 755 "$T"
trap 'chmod -R u+rwX "$T" 2>/dev/null; rm -rf "$T"' EXIT
mkdir -p "$T/bin" "$T/tests/degrade"
cp "$build/gabion" "$build"/bench/{ab,spaces,watch,terminal} "$T/bin/" || exit 1
GABION=$T/bin/gabion TESTS=$T/tests
export T GABION TESTS
# shellcheck source=tests/lib/modes.sh
. tests/lib/modes.sh
modes=${BENCH_MODES:-$(modes_available)}
case $modes in
  *bare*) # only root can take user namespaces away
    { make --no-print-directory BUILD="$build" "$build/tests/degrade/no_userns" >/dev/null &&
      cp "$build/tests/degrade/no_userns" "$T/tests/degrade/"; } || modes=${modes//bare/}
    ;;
esac
# What costs a while is measured on the floor of everyday use.
usual=$(echo "$modes" | tr ' ' '\n' | grep -x -m 1 user || echo "${modes%% *}")
rows=$T/rows
: >"$rows"

# row GROUP WHAT FLOOR CPUS UNIT BESIDE ITS GABION ALL TARGET; "-" for what there is not.
row() {
  local IFS=$'\t'
  echo "$*" >>"$rows"
}
told=
tell() {
  [ "$told" = "$*" ] || echo "bench: $*" >&2
  told=$*
}
calc() { awk "BEGIN { printf \"%.$1f\", $2 }" </dev/null; }
# value FILE NAME [FIELD]: of the lines "NAME value ...".
value() { awk -F '\t' -v n="$2" -v f="${3:-2}" '$1 == n { print $f; found = 1 } END { if (!found) print "-" }' "$1"; }
scaled() { # scaled VALUE DIVISOR DIGITS
  if [ "$1" = - ]; then echo -; else calc "$3" "$1 / $2"; fi
}
places() { [ "$(nproc)" -gt 1 ] && echo "one all" || echo one; }
pin() { # pin one|all COMMAND...
  local place=$1
  shift
  if [ "$place" != one ]; then
    "$@"
    return
  fi
  (
    taskset -cp "$first_cpu" "$BASHPID" >/dev/null
    "$@"
  )
}
first_cpu=$(taskset -cp $$ | sed 's/.*: *//; s/[,-].*//')

# A workspace with the programs that run inside.
new_workspace() {
  W=$(mode_workspace "$1")
  cp "$build"/bench/{micro,calls,terminal} "$W/"
}

bench_start() {
  local mode place out bwrap f
  for mode in $modes; do
    new_workspace "$mode"
    cd "$W" || return
    for place in $(places); do
      tell "start, $mode floor"
      out=$T/out
      set -- plain /bin/true // gabion "$GABION" run --quiet -- /bin/true
      if [ "$mode" != bare ]; then
        set -- "$@" // spaces "$T/bin/spaces" /bin/true
        bwrap=$(peer bwrap && command -v bwrap)
        [ -z "$bwrap" ] || set -- "$@" // bwrap "$bwrap" --unshare-all --ro-bind / / --tmpfs /tmp --dev /dev --proc /proc \
          --bind "$W" "$W" --chdir "$W" --die-with-parent -- /bin/true
      fi
      pin "$place" in_mode "$mode" "$T/bin/ab" -n 41 "$@" >"$out"
      f=$(scaled "$(value "$out" gabion)" 1e6 2)
      row start "/bin/true" "$mode" "$place" ms "plain exec" "$(scaled "$(value "$out" plain)" 1e6 2)" "$f" - -
      [ "$mode" != bare ] || continue
      row start "/bin/true" "$mode" "$place" ms "namespaces + exec" "$(scaled "$(value "$out" spaces)" 1e6 2)" "$f" - "at most 15 more"
      row start "/bin/true" "$mode" "$place" ms bubblewrap "$(scaled "$(value "$out" bwrap)" 1e6 2)" "$f" - "less than 2 x"
    done
    cd "$here" || return
  done
}

# The watcher stays outside: it reads what an ordinary user may not.
bench_memory() {
  local mode out=$T/out
  for mode in $modes; do
    tell "memory and idle, $mode floor"
    new_workspace "$mode"
    cd "$W" || return
    in_mode_outside "$mode" "$T/bin/watch" -i 5 >"$out" "$GABION" run --quiet -- ./calls idle 0 "$W"
    cd "$here" || return
    row memory "resident, all processes" "$mode" - KiB - - "$(value "$out" rss-kb)" - "under 10240"
    row memory "proportional set" "$mode" - KiB - - "$(value "$out" pss-kb)" - -
    row memory "processes" "$mode" - - - - "$(value "$out" processes)" - -
    row idle "processor time in 5 s" "$mode" - ticks - - "$(difference "$out" ticks)" - 0
    row idle "the same, scheduler's clock" "$mode" - us - - "$(difference "$out" run-us)" - -
    row idle "context switches in 5 s" "$mode" - - - - "$(difference "$out" switches)" - -
  done
}
difference() {
  awk -F '\t' -v n="$2" '$1 == n && $2 != "-" { print $3 - $2; found = 1 } END { if (!found) print "-" }' "$1"
}
# in_mode_outside MODE PROGRAM ARGUMENT... GABION...: PROGRAM stays as we are, what begins with gabion runs in MODE.
in_mode_outside() {
  local mode=$1 words=()
  shift
  while [ "$1" != "$GABION" ]; do
    words+=("$1")
    shift
  done
  printf '#!/bin/bash\n. %q\nin_mode %q "$@"\n' "$here/tests/lib/modes.sh" "$mode" >"$T/in"
  "${words[@]}" bash "$T/in" "$@"
}

bench_leaks() {
  local mode out=$T/out mediate name
  for mode in $(echo "$modes" | tr ' ' '\n' | grep -vx root || echo root); do
    for mediate in auto all; do
      [ "$mode" != bare ] || [ "$mediate" != all ] || continue
      tell "leaks over $calls calls, $mode floor, --mediate $mediate"
      new_workspace "$mode"
      cd "$W" || return
      in_mode_outside "$mode" "$T/bin/watch" >"$out" "$GABION" run --quiet --mediate "$mediate" --protect "$W/denied" -- \
        ./calls mixed "$calls" "$W"
      cd "$here" || return
      name="after $calls calls"
      [ "$mediate" = auto ] || name="$name, all mediated"
      row leaks "descriptors $name" "$mode" - - before "$(value "$out" fds)" "$(value "$out" fds 3)" - "no growth"
      row leaks "resident $name" "$mode" - KiB before "$(value "$out" rss-kb)" "$(value "$out" rss-kb 3)" - "no growth"
    done
  done
}

# medians FILE...: "NAME median" of the lines "NAME value" of several files.
medians() {
  cat "$@" | sort -t "$(printf '\t')" -k1,1 -k2,2n | awk -F '\t' '
    $1 != name { if (n) print name "\t" v[int((n + 1) / 2)]; name = $1; n = 0 }
    { v[++n] = $2 }
    END { if (n) print name "\t" v[int((n + 1) / 2)] }'
}

micro_rows='getppid|getppid, never notified|at most 1.10 x
stat|stat|-
open-read|open and close, reading|-
open-write|open and close, writing|-
open-refused|open, refused (ENOENT outside)|-
rename|rename|-
connect-unix|socket, connect, accept, close|-
spawn-true|spawn /bin/true and wait|at most 1.15 x
pipe-64k|64 KiB through a pipe|-'

# Processor time of the policy's own code: needs no floor.
bench_verdict() {
  local what ns
  "$build/bench/verdict" >"$T/verdict" || return
  while read -r what ns; do
    case $what in
      verdict-rules) row verdict "10,000 rules, depth 10, rules match" - - ns - - "$ns" - "at most 300" ;;
      verdict-none) row verdict "10,000 rules, depth 10, no rule matches" - - ns - - "$ns" - "at most 300" ;;
    esac
  done <"$T/verdict"
}

# The relay between namespaces of its own, beside others on the same path: needs no floor, but root or user namespaces, and ip.
relay_rows='stream-up|one stream, up|1e-6|MB/s|at least 0.5 x direct
stream-down|one stream, down|1e-6|MB/s|at least 0.5 x direct
rr|a byte there and back|1e-3|us|-
connect|connect, a byte there and back, close|1e-3|us|at most 5 x direct
http|wrk, 64 connections, nginx|1|req/s|at least 0.5 x direct'
bench_relay() {
  local out=$T/relay name what scale unit target direct relay pasta slirp count=100000 i=0 peer other
  [ "$calls" -lt 1000000 ] || count=1000000
  tell "the relay beside pasta and slirp4netns"
  "$build/bench/relay" -s 2 -n 9000 stream rr connect http many >"$out" 2>/dev/null || return
  "$build/bench/relay" -n "$count" churn >>"$out" 2>/dev/null
  while IFS='|' read -r name what scale unit target; do
    IFS=$(printf '\t') read -r direct relay pasta slirp < <(awk -v n="$name" '$1 == n { sub(/^[^\t]*\t/, ""); print }' "$out")
    [ -n "${relay-}" ] && [ "$direct" != - ] || continue # what it takes is not here
    i=0
    for peer in "$direct" "$pasta" "$slirp"; do
      i=$((i + 1))
      other=$(echo direct pasta slirp4netns | cut -d ' ' -f $i)
      [ "$other" = direct ] || [ -z "$against" ] || [[ ,$against, == *,"$other",* ]] || continue
      row relay "$what" - - "$unit" "$other" "$(times "$peer" "$scale")" \
        "$(times "$relay" "$scale")" - "$([ $i -eq 1 ] && echo "$target" || echo -)"
    done
  done <<<"$relay_rows"
  row relay "resident, 9,000 connections" - - KiB "none" "$(value "$out" many)" "$(value "$out" many 3)" - "under 204800"
  IFS=$(printf '\t') read -r _ direct relay pasta _ < <(grep ^churn "$out")
  row relay "descriptors after $count connections" - - - before "${direct%% *}" "${relay%% *}" - "no growth"
  row relay "resident after $count connections" - - KiB before "$(echo "$direct" | cut -d ' ' -f 3)" "$(echo "$relay" | cut -d ' ' -f 3)" - "no growth"
}
# times VALUE FACTOR; a dash stays one.
times() {
  case ${1:--} in
    -) echo - ;;
    *) awk -v v="$1" -v f="$2" 'BEGIN { printf "%.1f\n", v * f }' ;;
  esac
}

bench_micro() {
  local mode place round name what target only
  for mode in $(echo "$modes" | tr ' ' '\n' | grep -vx root || echo root); do
    new_workspace "$mode"
    cd "$W" || return
    for place in $(places); do
      tell "single calls, $mode floor"
      rm -f "$T"/micro.*
      for round in {1..5} {11..25}; do
        only= # some nanoseconds are looked for in a call of a hundred: more rounds of that one
        [ "$round" -le 5 ] || only=getppid
        # shellcheck disable=SC2086 # a word or none
        {
          pin "$place" in_mode "$mode" ./micro "$W" $only >"$T/micro.native.$round"
          pin "$place" gabion_run "$mode" --protect "$W/denied" -- ./micro "$W" $only >"$T/micro.auto.$round"
          [ "$mode" = bare ] ||
            pin "$place" gabion_run "$mode" --mediate all --protect "$W/denied" -- ./micro "$W" $only >"$T/micro.all.$round"
        }
      done
      # A pattern of what is not executed: beyond the floor, so every exec is verified by the tracer.
      for round in {1..5}; do
        pin "$place" gabion_run "$mode" --deny-exec '/usr/bin/nothin[g]' -- ./micro "$W" spawn-true >"$T/micro.verified.$round"
      done
      for name in native auto all verified; do
        medians "$T/micro.$name".[1-9]* >"$T/micro.$name" 2>/dev/null
      done
      row micro "the same, exec verified" "$mode" "$place" us native "$(scaled "$(value "$T/micro.native" spawn-true)" 1e3 3)" \
        "$(scaled "$(value "$T/micro.verified" spawn-true)" 1e3 3)" - "at most 1.15 x"
      while IFS='|' read -r name what target; do
        row micro "$what" "$mode" "$place" us native "$(scaled "$(value "$T/micro.native" "$name")" 1e3 3)" \
          "$(scaled "$(value "$T/micro.auto" "$name")" 1e3 3)" "$(scaled "$(value "$T/micro.all" "$name")" 1e3 3)" "$target"
      done <<<"$micro_rows"
    done
    cd "$here" || return
  done
}

bench_terminal() {
  local place out=$T/out
  new_workspace "$usual"
  cd "$W" || return
  for place in $(places); do
    tell "terminal, $usual floor"
    pin "$place" in_mode "$usual" "$T/bin/terminal" native ./terminal -g // gabion "$GABION" run --quiet -- ./terminal -g >"$out"
    row terminal "a key's way there and back" "$usual" "$place" us "native pty" "$(scaled "$(value "$out" native)" 1e3 1)" \
      "$(scaled "$(value "$out" gabion)" 1e3 1)" - -
    row terminal "1 MiB of output" "$usual" "$place" ms "native pty" "$(scaled "$(value "$out" native 3)" 1e6 2)" \
      "$(scaled "$(value "$out" gabion 3)" 1e6 2)" - -
  done
  cd "$here" || return
}

# fio on a ring: the guest's is made by gabion. Operations a second, so more is better.
bench_rings() {
  local rw round out=$T/rings policy=$T/rings.yaml which
  command -v fio >/dev/null || {
    echo "bench: no fio here: rings are left out" >&2
    return
  }
  printf 'version: 1\nextends: agent\nio_uring: restricted\n' >"$policy"
  chmod 644 "$policy"
  new_workspace "$usual"
  cd "$W" || return
  for rw in randread randwrite; do
    tell "rings, $rw"
    : >"$out"
    for round in {1..5}; do
      for which in native gabion; do
        set -- fio --name=t --filename=fio --size=64m --bs=4k --rw="$rw" --ioengine=io_uring --iodepth=32 --time_based --runtime=1 \
          --output-format=terse
        [ "$which" = native ] || set -- "$GABION" run --quiet -p "$policy" -- "$@"
        # Fields 8 and 49 of fio's terse line: operations a second, read and written.
        in_mode "$usual" "$@" 2>/dev/null | awk -F ';' -v w="$which" '$1 == 3 { print w "\t" $8 + $49 }' >>"$out"
      done
    done
    for which in native gabion; do
      grep "^$which" "$out" | sort -t "$(printf '\t')" -k 2n | awk 'NR == 3'
    done >"$out.median"
    row rings "fio $rw, 4 KiB, depth 32" "$usual" all ops/s native "$(scaled "$(value "$out.median" native)" 1 0)" \
      "$(scaled "$(value "$out.median" gabion)" 1 0)" - "at least 0.97 x"
  done
  cd "$here" || return
}

# shellcheck source=bench/scale.sh
. bench/scale.sh
# shellcheck source=bench/surface.sh
. bench/surface.sh

# shellcheck source=bench/macro.sh
. bench/macro.sh

# Work of others shows in every figure: told with them.
load_before=$(cut -d ' ' -f 1 /proc/loadavg)
# shellcheck disable=SC2086 # words
for section in $sections; do
  bench_"$section"
done

environment="Linux $(uname -r), $(nproc) CPUs ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)), \
$(stat -f -c %T "$T") below TMPDIR, $("$GABION" --version), load average $load_before before and $(cut -d ' ' -f 1 /proc/loadavg) after"
awk -f bench/table.awk -v format="$format" -v environment="$environment" "$rows"
