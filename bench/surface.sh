# shellcheck shell=bash disable=SC2154 # for run.sh, whose variables it uses
# The attack surface: how many system calls a guest can reach natively under each profile, and how many with checked arguments; how many
# each of gabion's own processes may make; how many distinct ones, and how many of the kernel's functions, a fixed workload enters,
# natively and in each sandbox there is. Read from the kernel (bench/surface.c), so root alone measures more than the first rows.

surface_profiles() {
  local profile mode=$1 list
  for profile in strict agent dev runner; do
    list=$(in_mode "$mode" "$GABION" explain --profile "$profile" --json 2>/dev/null) || continue
    row surface "calls left to the kernel, $profile" "$mode" - - "all of Linux" "$total" "$(jq '.syscalls | .native + .after_a_look' <<<"$list")" - \
      "$(case $profile in strict) echo "at most 96" ;; agent) echo "at most 160" ;; *) echo - ;; esac)"
    row surface "by value, or after a look, $profile" "$mode" - - "left to it" "$(jq '.syscalls | .native + .after_a_look' <<<"$list")" \
      "$(jq '.syscalls | .by_value + .after_a_look' <<<"$list")" - -
  done
}

# The processes of a run, and what each may call.
surface_own() {
  local mode=$1 pid name line mark depth
  mark=36$RANDOM.25
  in_mode "$mode" "$GABION" run --quiet --net 203.0.113.1:80 -- sleep "$mark" >/dev/null 2>&1 </dev/null &
  for _ in {1..50}; do
    for pid in $(pgrep -f "sleep $mark\$"); do
      [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != sleep ] || break 2
    done
    sleep 0.1
  done
  sleep 0.3
  for pid in $(pgrep -f "sleep $mark\$"); do
    name=$(cat "/proc/$pid/comm" 2>/dev/null) || continue
    [[ $name == gabion* ]] || continue
    # In namespaces of process ids, one in another.
    depth=$(awk '/^NSpid/ { print NF - 1 }' "/proc/$pid/status")
    case $name:$depth in
      gabion:1) name=monitor ;;
      gabion:2) name=sentry ;;
      gabion:3) name="first process" ;;
      *) name=${name#gabion: } ;;
    esac
    line=$("$T/bin/surface" filters "$pid" 2>/dev/null) || continue
    row surface "calls of gabion's own: the $name" "$mode" - - "all of Linux" "$total" "$(cut -f 3 <<<"$line")" - -
  done
  for pid in $(pgrep -f "sleep $mark\$"); do kill "$pid" 2>/dev/null; done
  wait 2>/dev/null
}

# watched NAME calls|functions COMMAND...: runs COMMAND sh -c ..., which waits for us inside, and tells what it entered: distinct, events.
watched() {
  local what=$2 mark=w$RANDOM$RANDOM pid='' p
  shift 2
  rm -f "$W/go"
  mkfifo "$W/go" && chmod 666 "$W/go"
  # shellcheck disable=SC2016 # expanded inside
  "$@" sh -c 'read -r _ <"$1/go"; cd "$1" && . ./workload.sh >/dev/null 2>&1' "$mark" "$W" >/dev/null 2>&1 </dev/null &
  for _ in {1..100}; do
    for p in $(pgrep -f "$mark"); do
      [ "$(cat "/proc/$p/comm" 2>/dev/null)" = sh ] && pid=$p
    done
    [ -n "$pid" ] && break
    sleep 0.1
  done
  sleep 0.3
  if [ -n "$pid" ]; then
    timeout 120 "$T/bin/surface" watch "$pid" "$W/go" "$what" 2>"$T/surface.err"
  fi
  for p in $(pgrep -f "$mark"); do kill "$p" 2>/dev/null; done
  wait 2>/dev/null
}

surface_workload() {
  local what side native out sides=(native gabion strict)
  mode=root
  new_workspace root
  cat >"$W/workload.sh" <<'SH'
[ ! -x /usr/bin/git ] || { git init -q r; git -C r -c user.name=a -c user.email=a@b commit -q --allow-empty -m first; git -C r log; rm -rf r; }
mkdir d; for i in 1 2 3 4 5 6 7 8; do echo $i >d/$i; done; tar -cf d.tar d; mv d e; find e -type f | xargs cat; rm -r e d.tar
[ ! -x /usr/bin/python3 ] || python3 -c 'import json, subprocess, threading; subprocess.run(["true"]); t = threading.Thread(target=json.dumps, args=([],)); t.start(); t.join()'
SH
  peer bwrap && sides+=(bubblewrap)
  peer runsc && sides+=(runsc)
  cd "$W" || return
  for what in calls functions; do
    native=
    for side in "${sides[@]}"; do
      tell "distinct $what of a workload, $side"
      case $side in
        native) out=$(watched "$side" "$what") ;;
        gabion) out=$(watched "$side" "$what" "$GABION" run --quiet --) ;;
        strict) out=$(watched "$side" "$what" "$GABION" run --quiet --profile strict --) ;;
        bubblewrap) out=$(watched "$side" "$what" bwrap --unshare-all --ro-bind / / --tmpfs /tmp --dev /dev --proc /proc --bind "$W" "$W" --die-with-parent --) ;;
        runsc) out=$(watched "$side" "$what" runsc --network=none "do" --cwd "$W" --) ;;
      esac
      [ -n "$out" ] || {
        echo "bench: surface: $what, $side: left out: $(tail -n 1 "$T/surface.err" 2>/dev/null)" >&2
        break
      }
      [ "$(cut -f 3 <<<"$out")" = 0 ] || echo "bench: surface: $side: $(cut -f 3 <<<"$out") events were lost" >&2
      [ "$side" != native ] || native=$(cut -f 1 <<<"$out")
      [ "$side" = native ] || row surface "distinct kernel $what, workload${side:+ in $side}" root - - native "${native:--}" "$(cut -f 1 <<<"$out")" - -
    done
  done
  cd "$here" || return
}

bench_surface() {
  local mode total
  cp "$build/bench/surface" "$T/bin/" || return
  total=$("$GABION" syscalls --json | jq '[.[] | select(.class != "enosys" or .family != "denied")] | length')
  for mode in $modes; do
    tell "surface, $mode floor"
    new_workspace "$mode"
    cd "$W" || return
    surface_profiles "$mode"
    cd "$here" || return
  done
  if [ "$(id -u)" -ne 0 ]; then
    echo "bench: surface: what processes may call, and what a workload calls, is root's to read: left out" >&2
    return
  fi
  new_workspace root
  cd "$W" || return
  surface_own "$(echo "$modes" | tr ' ' '\n' | grep -vx -m 1 bare || echo bare)"
  cd "$here" || return
  [ -d /sys/kernel/tracing/instances ] || {
    echo "bench: surface: no tracefs at /sys/kernel/tracing: what a workload calls is left out" >&2
    return
  }
  surface_workload
  command -v crun >/dev/null && echo "bench: surface: crun runs containers, not commands: its row is left out" >&2
  command -v runsc >/dev/null || echo "bench: surface: no runsc here: its row is left out" >&2
}
