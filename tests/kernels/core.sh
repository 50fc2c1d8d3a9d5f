#!/bin/bash
# The core promise on whatever machine this is: ordinary commands behave under `gabion run` as without it,
# and what must be refused is refused. Works on a developer's own machine and, through matrix.sh, on kernels
# and settings that nobody has at hand. It needs no root, and leaves nothing behind.
#
# usage: tests/kernels/core.sh [GABION]      (GABION defaults to build/gabion of this tree)
#
# Each check runs twice, in a fresh directory of the same name: natively and then under gabion, with that
# directory as the workspace. "same" wants equal output and exit status. "refused" wants a command that
# succeeds natively (or the check would prove nothing) and that starts, and then fails, under gabion.
#
# Output: one line a check, "ok" or "not ok" with the two results below it, and at the end
# "N passed, N failed, N skipped". Exit status: 0, 1 when a check failed, 77 when there is no gabion.
# CORE_TIMEOUT: seconds for one run (60).
set -uo pipefail

tree=$(cd "$(dirname "$0")/../.." && pwd)
gabion=${1:-$tree/build/gabion}
limit=${CORE_TIMEOUT:-60}
if [ ! -x "$gabion" ]; then
  echo "core.sh: no $gabion: build it with make" >&2
  exit 77
fi
gabion=$(realpath "$gabion")

# Below the home directory, as a developer's repositories are; gabion's own records go with it.
base=$(mktemp -d "$HOME/gabion-core.XXXXXX") || exit 1
secret_name=gabion-core-${base##*.}
secret=$HOME/.ssh/$secret_name
dropped=/tmp/$secret_name
made_ssh=no
# shellcheck disable=SC2317 # called by trap
cleanup() {
  cd /
  # Private homes may hold directories without write permission.
  chmod -R u+rwX "$base" 2>/dev/null
  rm -rf "$base"
  rm -f "$secret" "$secret.moved" "$dropped"
  [ $made_ssh = no ] || rmdir "$HOME/.ssh" 2>/dev/null
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ ! -d "$HOME/.ssh" ]; then
  mkdir -m 700 "$HOME/.ssh" && made_ssh=yes
fi
(umask 077 && echo "planted secret" >"$secret")

export XDG_STATE_HOME=$base/state
export LC_ALL=C.UTF-8
export GIT_AUTHOR_NAME=Guest GIT_AUTHOR_EMAIL=guest@example.org GIT_AUTHOR_DATE='2024-01-02T03:04:05Z'
export GIT_COMMITTER_NAME=Guest GIT_COMMITTER_EMAIL=guest@example.org GIT_COMMITTER_DATE='2024-01-02T03:04:05Z'
work=$base/work
passed=0 failed=0 skipped=0
after=''

# Where nothing can read the guest's memory gabion cannot work: it must say so, and how to mend it, and run nothing.
setting() { cat "/proc/sys/$1" 2>/dev/null || echo "$2"; }
if [ "$(setting kernel/yama/ptrace_scope 0)" -ge 3 ] ||
  { [ "$(setting kernel/yama/ptrace_scope 0)" -eq 2 ] && [ "$(setting user/max_user_namespaces 1)" -eq 0 ]; }; then
  mkdir -p "$work" && cd "$work" || exit 1
  "$gabion" run -- touch ran >"$base/out" 2>"$base/err" </dev/null
  status=$?
  if [ "$status" -eq 125 ] && grep -q 'ptrace_scope' "$base/err" && [ ! -e ran ]; then
    echo "ok - refuses to run, with cause and cure"
    passed=1
  else
    echo "not ok - refuses to run, with cause and cure"
    echo "  status $status"
    sed 's/^/  err: /' "$base/err"
    failed=1
  fi
  echo "$passed passed, $failed failed, $skipped skipped"
  exit "$failed"
fi

# Runs "$@" in a fresh workspace; leaves stdout in $base/NAME.out, stderr in .err, and the status in $status.
# What $after prints then, run natively, is part of the output.
attempt() {
  local name=$1
  shift
  rm -rf "$work"
  mkdir "$work" && cd "$work" || exit 1
  # timeout dies of the signal that its command died of, which the shell would remark upon.
  (
    timeout -k 5 "$limit" "$@" <"$base/input" >"$base/$name.out" 2>"$base/$name.err"
    exit $?
  ) 2>/dev/null
  status=$?
  [ -z "$after" ] || sh -c "$after" >>"$base/$name.out" 2>&1
  cd /
}

show() {
  echo "  $1: status $2"
  head -c 600 "$base/$1.out" | sed 's/^/    out: /'
  tail -n 6 "$base/$1.err" | sed 's/^/    err: /'
}

ok() { echo "ok - $1"; passed=$((passed + 1)); }
skip() { echo "skip - $1: $2"; skipped=$((skipped + 1)); }
not_ok() {
  echo "not ok - $1"
  show native "$2"
  show gabion "$3"
  failed=$((failed + 1))
}

# same NAME COMMAND...   with $input as standard input
input=''
same() {
  local name=$1 native
  shift
  printf %s "$input" >"$base/input"
  attempt native "$@"
  native=$status
  attempt gabion "$gabion" run --workspace "$work" -- "$@"
  if [ "$native" = "$status" ] && cmp -s "$base/native.out" "$base/gabion.out"; then
    ok "$name"
  else
    not_ok "$name" "$native" "$status"
  fi
  input='' after=''
}

# refused NAME SCRIPT: under gabion only "started" may come out, and the status must not be 0.
refused() {
  local name=$1 native
  printf '' >"$base/input"
  attempt native sh -c "echo started; $2"
  native=$status
  if [ "$native" != 0 ]; then
    skip "$name" "it fails without gabion too: $(tail -n 1 "$base/native.err")"
    return
  fi
  attempt gabion "$gabion" run --workspace "$work" -- sh -c "echo started; $2"
  if [ "$status" != 0 ] && [ "$status" != 124 ] && [ "$(<"$base/gabion.out")" = started ]; then
    ok "$name"
  else
    not_ok "$name" "$native" "$status"
  fi
}

# have NAME TOOL... && CHECK: counts the check as skipped where a tool is missing.
have() {
  local name=$1 tool
  shift
  for tool; do
    if ! command -v "$tool" >/dev/null; then
      skip "$name" "no $tool here"
      return 1
    fi
  done
}

echo "# Linux $(uname -r), uid $(id -u)," \
  "yama $(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo none)," \
  "max_user_namespaces $(cat /proc/sys/user/max_user_namespaces 2>/dev/null || echo none)," \
  "lsm $(cat /sys/kernel/security/lsm 2>/dev/null || echo unknown)"

same "true" /bin/true
same "false" /bin/false
same "exit status" sh -c 'exit 7'
# shellcheck disable=SC2016 # for the inner shell
same "status of a signal" sh -c 'kill -TERM $$'
same "command not found" "$base/no-such-command"
# shellcheck disable=SC2016 # not meant to expand
same "arguments arrive" printf '<%s>\n' 'a b' '' "it's" '$HOME'
input="one
two
three
" same "standard input and a pipeline" sh -c 'sort -r | tr a-z A-Z | head -n 2'
same "a pipeline of twenty stages" sh -c \
  'seq 2000 | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | tail -n 1'
same "a large output" seq 1 60000
# shellcheck disable=SC2016 # for the inner shell
same "background jobs and wait" sh -c '(sleep 0.2; exit 4) & (exit 5) & wait $!; echo $?; wait; echo done'
same "current directory" pwd

# What is made inside is the caller's own outside, with the modes asked for.
after="cat note; stat -c '%n %u:%g %a %h' note dir dir/link" \
  same "files in the workspace" sh -c \
  'umask 027; echo text >note; mkdir dir; ln -s ../note dir/link; echo more >>note; cat dir/link; mv note n; mv n note'
after="ls -A" same "removing what was made" sh -c 'mkdir -p a/b/c; touch a/b/c/f; rm -r a; ls -A; test ! -e a'

have "python3" python3 &&
  same "python3" python3 -c 'import json, subprocess, sys
open("f", "w").write(json.dumps({"a": [1, 2]}))
print(json.load(open("f")), subprocess.check_output(["echo", "child"], text=True).strip())
sys.exit(3)'
have "git" git &&
  after="git -C repo log --format='%H %an %s'; git -C repo status --short" \
    same "git init, add, commit" sh -c 'git -c init.defaultBranch=main init -q repo && cd repo && echo hello >file &&
      git add file && git commit -q -m first && echo more >>file && git status --short && git commit -q -a -m second &&
      git log --format="%H %s"'
have "gcc" gcc && {
  input='#include <stdio.h>
int main(int argc, char **argv) { printf("hello from %d\n", argc); return argc + 40; }
'
  same "gcc, and running the result" sh -c 'cat >hello.c; gcc -O1 -o hello hello.c && ./hello a b'
}

refused "a secret in ~/.ssh cannot be read" "cat '$secret'"
refused "a secret cannot be copied through a link" "ln -s '$secret' link && cat link"
refused "a file dropped in /tmp cannot be executed" \
  "cp /bin/echo '$dropped' && chmod 755 '$dropped' && '$dropped' ran && rm -f '$dropped'"

# Nothing here may name more than this script made: a gabion that does not hold would let it happen.
# The home directory may be a private one, where writing succeeds; it must not arrive outside.
unchanged() {
  attempt gabion "$gabion" run --workspace "$work" -- sh -c "echo started; $2"
  if [ "$(head -n 1 "$base/gabion.out")" = started ] && [ ! -e "$base/outside" ] &&
    [ "$(cat "$secret")" = "planted secret" ]; then
    ok "$1"
  else
    echo "not ok - $1"
    show gabion "$status"
    failed=$((failed + 1))
  fi
}
unchanged "nothing is made outside the workspace" "echo x >'$base/outside'"
unchanged "the secret is not changed" "echo x >'$secret'; mv '$secret' '$secret.moved'; rm -f '$secret'"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
