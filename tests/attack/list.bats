#!/usr/bin/env bats
# Hidden names are not listed where no mount hides them: in the workspace, by pattern and by name, also of what appears later.

load common

tree() {
  mkdir -p "$WS/sub"
  touch "$WS/.env" "$WS/secret" "$WS/seen" "$WS/sub/.env" "$WS/sub/seen"
  [ "$(id -u)" -ne 0 ] || chmod -R a+rwX "$WS"
}

LIST='ls -A; find .; cd sub; ls -A; ls -A ..; touch new; ls'

listed() {
  local mode=$1 way out
  tree
  out=$(native "$mode" sh -c "$LIST") || return 1
  [[ $out == *.env* && $out == *secret* && $out == *new* ]] || return 1
  for way in auto all; do
    rm -f "$WS/sub/new"
    out=$(inside "$mode" --mediate "$way" --hide '**/.env' --hide "$WS/secret" -- sh -c "$LIST") || return 1
    [[ $out == *seen* && $out == *new* && $out != *.env* && $out != *secret* ]] || {
      echo "$way: $out" >&2
      return 1
    }
    rm -f "$WS/sub/new"
    out=$(inside "$mode" --mediate "$way" -- sh -c "$LIST") || return 1
    [[ $out == *.env* && $out == *secret* && $out == *new* ]] || {
      echo "$way, nothing hidden: $out" >&2
      return 1
    }
  done
}

@test "hidden names in the workspace are not listed" {
  each_mode listed
}

later() {
  local mode=$1 out
  tree
  rm "$WS/.env"
  { sleep 1; touch "$WS/.env" "$WS/go"; } &
  out=$(inside "$mode" --hide '**/.env' -- sh -c 'i=0; while [ ! -e go ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done; ls -A') || return 1
  wait
  [ -e "$WS/.env" ] && [[ $out == *go* && $out != *.env* ]]
}

@test "a hidden name that appears during the run is not listed" {
  each_mode later
}
