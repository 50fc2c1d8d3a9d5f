#!/usr/bin/env bats
# What a run passes in and hands out: agents, variables, the private home, tools below the real one, worktrees, the record's places.
# shellcheck disable=SC2154 # mode, ws, out and err are set by run.bash

setup() {
  load common
  load run
}

# In the mode's home: sh -c CODE.
at_home() {
  in_mode "$mode" sh -c "cd && $1"
}

# gabion run with variables of the caller's: given VARIABLE=... -- OPTION...
given() {
  local variables=()
  while [ "$1" != -- ]; do
    variables+=("$1")
    shift
  done
  shift
  in_mode "$mode" env "${variables[@]}" "$GABION" run "$@" </dev/null
}

# shellcheck disable=SC2016 # for the shell inside
AGENT='#!/bin/sh
printf "%s|" "$@"
echo "key=$ANTHROPIC_API_KEY$OPENAI_API_KEY$GEMINI_API_KEY other=$DEPLOY_TOKEN"
[ -z "$STATE" ] || { cat "$HOME/$STATE/login"; echo planted >"$HOME/$STATE/login"; }'

agent() {
  local name=$1 key=$2 state=$3 args=$4
  at_home "mkdir -p .agents '$state' && cat >.agents/$name && chmod 755 .agents/$name && echo secret >'$state/login'" <<<"$AGENT" || return 1
  local home=$T/home.$mode
  ends 0 given "PATH=$home/.agents:$PATH" "$key=of-$name" DEPLOY_TOKEN=x "STATE=$state" -- --env STATE -- "$name" run -- "a b" || return 1
  is "${args}run|--|a b|key=of-$name other=
secret" "$out" "$name" || return 1
  [[ $err == *"agent $name:"* && $err == *DEPLOY_TOKEN* ]] || { echo "$err"; return 1; }
  is secret "$(in_mode "$mode" cat "$home/$state/login")" "the real state of $name" || return 1
  # Turned off: nothing is added.
  ends 0 given "PATH=$home/.agents:$PATH" "$key=of-$name" -- --agent none -- "$name" || return 1
  is "|key= other=" "$out" "$name without its agent file"
}

agents() {
  agent claude ANTHROPIC_API_KEY .claude '--settings|{"sandbox":{"enabled":false}}|' &&
    agent codex OPENAI_API_KEY .codex '-c|sandbox_mode="danger-full-access"|' &&
    agent gemini GEMINI_API_KEY .gemini '' &&
    agent opencode OPENAI_API_KEY .local/share/opencode '' &&
    agent aider OPENAI_API_KEY .aider ''
}

@test "known agents get their arguments, key and a private copy of their state" {
  each_mode agents
}

home() {
  local home=$T/home.$mode
  at_home 'mkdir -p .ssh tools && echo key >.ssh/id_rsa && echo config >.ssh/config && echo hosts >.ssh/known_hosts &&
    printf "[user]\nname = Somebody\nemail = s@example.org\n" >.gitconfig &&
    printf "#!/bin/sh\necho tool\n" >tools/of-mine && chmod 755 tools/of-mine' || return 1
  # shellcheck disable=SC2016
  ends 0 given "PATH=$home/tools:$PATH" REAL="$home" -- --quiet --env REAL -- sh -c 'of-mine; git config --global user.name
    cat "$REAL/.ssh/config" "$REAL/.ssh/known_hosts"; cat "$REAL/.ssh/id_rsa"; echo x >>"$REAL/.ssh/config"
    git init -q . && git commit -q --allow-empty -m x && git log --format=%ae' || return 1
  is "tool
Somebody
config
hosts
s@example.org" "$out" "the home" || return 1
  is key "$(in_mode "$mode" cat "$home/.ssh/id_rsa")" "the key"
}

@test "tools of PATH below the home, known_hosts and .gitconfig are shown; keys are not" {
  each_mode home
}

# shellcheck disable=SC2016 # for the shell inside
variables() {
  ends 0 given MY_TOKEN=1 OTHER_SECRET=2 PLAIN=3 -- --env MY_TOKEN --env NEW=4 -- sh -c 'echo "$MY_TOKEN,$OTHER_SECRET,$PLAIN,$NEW"' || return 1
  is "1,,3,4" "$out" variables || return 1
  [[ $err == *OTHER_SECRET* && $err != *MY_TOKEN* ]] || { echo "$err"; return 1; }
}

@test "variables that look like secrets are dropped and listed, --env passes and sets" {
  each_mode variables
}

record() {
  local dir
  dir=$(mktemp -d "$T/record.XXXXXX") && chmod 777 "$dir"
  at_home 'mkdir -p .ssh && echo key >.ssh/id_rsa'
  at_home "mkdir -p '$ws/.git/hooks'" || return 1
  ends 7 given GITHUB_STEP_SUMMARY="$dir/summary.md" -- --audit "$dir/record" -- sh -c 'echo x >.git/hooks/pre-push; exit 7' || return 1
  [[ $err == *"--unprotect $ws/.git/hooks/pre-push"* ]] || { echo "$err"; return 1; }
  grep -q 'gabion refused 1 call' "$dir/summary.md" || return 1
  python3 - "$dir/record" "$ws/.git/hooks/pre-push" <<'P' || return 1
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
refused = [r for r in lines if r.get("verdict") == "deny"]
assert len(refused) == 1 and refused[0]["object"] == sys.argv[2], refused
assert all(k in refused[0] for k in ("time", "pid", "comm", "syscall", "args", "op", "errno", "rule", "level")), refused
assert lines[-1]["event"] == "end" and lines[-1]["refused"] == 1, lines[-1]
P
  # The advice works.
  ends 0 given A=1 -- --quiet --unprotect "$ws/.git/hooks/pre-push" -- sh -c 'echo x >.git/hooks/pre-push' || return 1
  rm -rf "$dir"
}

@test "--audit and GITHUB_STEP_SUMMARY are written, and what the summary advises works" {
  each_mode record
}

worktree() {
  at_home "git init -q '$ws/main' && cd '$ws/main' && git -c user.name=n -c user.email=e commit -q --allow-empty -m x &&
    git worktree add -q ../tree && mkdir ../tree/sub" || return 1
  cd "$ws/tree/sub" || return 1
  ends 0 given A=1 -- --quiet -- sh -c 'echo y >../y && git add ../y && git -c user.name=n -c user.email=e commit -q -m y &&
    git log --format=%s; (echo z >../../main/z) 2>/dev/null; true' || return 1
  is "y
x" "$out" commits || return 1
  [ ! -e "$ws/main/z" ] && [ "$(stat -c %u "$ws/tree/y")" = "$(stat -c %u "$ws/tree")" ] || return 1
  for where in / "$T/home.$mode" "$T"; do
    cd "$where" && ends 125 guest -- true && [[ $err == *"cannot be the workspace"* ]] || return 1
  done
}

@test "a worktree is the workspace with its common directory; the home and above are none; files have their owner" {
  each_mode worktree
}
