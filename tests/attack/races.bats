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
  got native "$mode" "$ATTACK/path_swap" "$who" "$how" "$WS/good" "$WS/bad"
  things "$mode"
  held each_way_of inside "$mode" "$4" "$WS/bad" -- "$ATTACK/path_swap" "$who" "$how" "$WS/good" "$WS/bad"
  grep -q '^SECRET' "$WS/bad"
  [ "$(stat -c %a "$WS/bad")" = 644 ]
  got inside "$mode" -- "$ATTACK/path_swap" "$who" "$how" "$WS/good" "$WS/bad"
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

@test "a path swapped by a thread: reading" {
  t() { path_swap "$1" thread read --hide; }
  each_mode t
}

@test "a path swapped by another process: opening for writing" {
  t() { path_swap "$1" process write --protect; }
  each_mode t
}

@test "a path swapped under a child of vfork: opening for writing" {
  t() { path_swap "$1" vfork write --protect; }
  each_mode t
}

@test "openat2 with path and flags swapped" {
  t() { path_swap "$1" thread openat2 --protect; }
  each_mode t
}

@test "a path swapped: truncate, chmod, unlink, rename, link" {
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
  got native "$mode" "$ATTACK/place_swap" "$what" "$how" "$WS/a" "$WS/b"
  things "$mode"
  held each_way_of inside "$mode" "$4" "$WS/b" -- "$ATTACK/place_swap" "$what" "$how" "$WS/a" "$WS/b"
  [ "$(stat -c %a "$WS/b/f")" = 644 ]
  got inside "$mode" -- "$ATTACK/place_swap" "$what" "$how" "$WS/a" "$WS/b"
}

@test "a symlink on the way swapped" {
  t() { place_swap "$1" link write --protect; }
  each_mode t
}

@test "a working directory swapped by a thread" {
  t() { place_swap "$1" cwd write --protect; }
  each_mode t
}

@test "the meaning of a directory descriptor swapped" {
  t() { place_swap "$1" dirfd write --protect; }
  each_mode t
}

@test "the meaning of a descriptor swapped under fchmodat2" {
  t() { place_swap "$1" fd write --protect; }
  each_mode t
}

@test "renames that race each other plant no hook" {
  # shellcheck disable=SC2016
  fresh='d=$(mktemp -d race.XXXXXX) && cd "$d" && exec "$0"'
  t() {
    got native "$1" sh -c "$fresh" "$ATTACK/rename_race" || return 1
    held each_way_of inside "$1" -- sh -c "$fresh" "$ATTACK/rename_race" || return 1
    got inside "$1" --unprotect '**/.git/commondir' --unprotect '**/.git/hooks/**' --unprotect '**/.git/modules/**/hooks/**' -- sh -c "$fresh" "$ATTACK/rename_race"
  }
  each_mode t
}
