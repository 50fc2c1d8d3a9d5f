#!/usr/bin/env bats
# Pointer arguments, directories and descriptors that change between a look and an act.

setup() {
  load common
}

# Files good and bad, directories a and b with a file f each; what is bad begins with SECRET.
things() {
  native "$1" sh -c 'rm -rf good bad a b swap moved linked; echo good >good; echo SECRET >bad; mkdir -p a b; echo good >a/f; echo SECRET >b/f
    chmod 644 good bad a/f b/f'
}

path_swap() {
  local mode=$1 who=$2 how=$3
  things "$mode"
  won native "$mode" "$ATTACK/path_swap" "$who" "$how" "$WS/good" "$WS/bad"
  things "$mode"
  held each_way_of inside "$mode" "$4" "$WS/bad" -- "$ATTACK/path_swap" "$who" "$how" "$WS/good" "$WS/bad"
  grep -q '^SECRET' "$WS/bad"
  [ "$(stat -c %a "$WS/bad")" = 644 ]
  won inside "$mode" -- "$ATTACK/path_swap" "$who" "$how" "$WS/good" "$WS/bad"
}

# 1 where both ways held, else the first other status.
each_way_of() {
  local WAY status
  # shellcheck disable=SC2034 # read by inside
  for WAY in auto all; do
    status=0
    "$@" || status=$?
    [ "$status" -eq 1 ] || return $((status == 0 ? 0 : status))
  done
  return 1
}

@test "A1: a path swapped by a thread: reading" {
  t() { path_swap "$1" thread read --hide; }
  each_mode t
}

@test "A2: a path swapped by another process: opening for writing" {
  t() { path_swap "$1" process write --protect; }
  each_mode t
}

@test "A16: a path swapped under a child of vfork: opening for writing" {
  t() { path_swap "$1" vfork write --protect; }
  each_mode t
}

@test "A3: a path whose end lies on a page that is mapped anew all the time: reading" {
  t() { path_swap "$1" pages read --hide; }
  each_mode t
}

@test "A7: openat2 with path and flags swapped" {
  t() { path_swap "$1" thread openat2 --protect; }
  each_mode t
}

@test "A1: a path swapped: truncate, chmod, unlink, rename, link" {
  t() {
    local how
    for how in truncate chmod unlink rename link; do
      path_swap "$1" thread "$how" --protect || return 1
    done
  }
  each_mode t
}

place_swap() {
  local mode=$1 what=$2 how=$3
  things "$mode"
  won native "$mode" "$ATTACK/place_swap" "$what" "$how" "$WS/a" "$WS/b"
  things "$mode"
  held each_way_of inside "$mode" "$4" "$WS/b" -- "$ATTACK/place_swap" "$what" "$how" "$WS/a" "$WS/b"
  [ "$(stat -c %a "$WS/b/f")" = 644 ]
  won inside "$mode" -- "$ATTACK/place_swap" "$what" "$how" "$WS/a" "$WS/b"
}

@test "A9: a symlink on the way swapped" {
  t() { place_swap "$1" link write --protect; }
  each_mode t
}

@test "A10: a working directory swapped by a thread" {
  t() { place_swap "$1" cwd write --protect; }
  each_mode t
}

@test "A10: the meaning of a directory descriptor swapped" {
  t() { place_swap "$1" dirfd write --protect; }
  each_mode t
}

@test "A11: the meaning of a descriptor swapped under fchmodat2" {
  t() { place_swap "$1" fd write --protect; }
  each_mode t
}

@test "A9 B4: renames that race each other plant no hook" {
  local lift=() p
  # All that pins a directory called .git.
  for p in commondir 'hooks/**' 'modules/**/hooks/**' 'worktrees/*/hooks/**' {,modules/**/,worktrees/**/}{config,config.worktree,'.gabion-keys.*'}; do
    lift+=(--unprotect "**/.git/$p")
  done
  # shellcheck disable=SC2016
  fresh='d=$(mktemp -d race.XXXXXX) && cd "$d" && exec "$0"'
  t() {
    won native "$1" sh -c "$fresh" "$ATTACK/rename_race" || return 1
    held each_way_of inside "$1" -- sh -c "$fresh" "$ATTACK/rename_race" || return 1
    won inside "$1" "${lift[@]}" -- sh -c "$fresh" "$ATTACK/rename_race"
  }
  each_mode t
}

# Descriptors of gabion's own processes of run $1 (the process started here), without the guest's.
gabion_fds() {
  local pid n=0
  for pid in "$1" $(cat /proc/"$1"/task/*/children 2>/dev/null); do
    [ "$(readlink /proc/"$pid"/exe 2>/dev/null)" != "$GABION" ] || n=$((n + $(find /proc/"$pid"/fd -mindepth 1 2>/dev/null | wc -l)))
  done
  echo "$n"
}

@test "A13: callers killed in mid-call leave no descriptor behind, no half effect, nobody waiting" {
  t() {
    local pid before after
    got native "$1" "$ATTACK/mid_call" kill </dev/null || return 1
    native "$1" find . -mindepth 1 -delete
    mkfifo "$OUT/go" && chmod 666 "$OUT/go"
    : >"$OUT/said" && chmod 666 "$OUT/said"
    (cd "$WS" && in_mode "$1" "$GABION" run --quiet --mediate all --exec "$TESTS" -- "$ATTACK/mid_call" kill <"$OUT/go" >"$OUT/said" 2>&1) &
    pid=$!
    exec 9>"$OUT/go"
    for _ in $(seq 400); do grep -q ready "$OUT/said" && break; sleep 0.05; done
    while [ "$(readlink /proc/$pid/exe)" != "$GABION" ]; do pid=$(cat /proc/$pid/task/*/children | cut -d' ' -f1); [ -n "$pid" ] || return 1; done
    before=$(gabion_fds "$pid")
    echo >&9
    for _ in $(seq 1200); do grep -q 'over' "$OUT/said" && break; sleep 0.05; done
    sleep 0.3
    after=$(gabion_fds "$pid")
    exec 9>&-
    wait
    cat "$OUT/said"
    grep -q 'over: as it should be' "$OUT/said" || return 1
    # The receiver keeps up to ten: directories, pidfds and status files of the last callers.
    [ "$before" -gt 5 ] && [ "$after" -le $((before + 12)) ] || { echo "descriptors: $before before, $after after" >&2; return 1; }
  }
  each_mode t
}

@test "A14: signals every millisecond: nothing is done twice, waiting opens are interrupted or restarted as natively" {
  t() {
    got native "$1" "$ATTACK/mid_call" signal || return 1
    got each_way inside "$1" -- "$ATTACK/mid_call" signal
  }
  each_mode t
}

@test "A15: exec by a thread that is not the first, with siblings in mid-call" {
  t() {
    things "$1"
    got native "$1" "$ATTACK/mid_call" exec "$WS/bad" || return 1
    held each_way_of inside "$1" --hide "$WS/bad" -- "$ATTACK/mid_call" exec "$WS/bad" || return 1
    got inside "$1" -- "$ATTACK/mid_call" exec "$WS/bad"
  }
  each_mode t
}
