#!/usr/bin/env bats
# Policy files with real runs, on every floor: what a file says holds, what is wrong with one runs nothing, and every key of
# the language acts or is refused by name.

# shellcheck disable=SC2154 # mode, ws, out, err: set by run.bash
load common.bash
load run.bash

# The workspace's files belong to the floor's user.
mine() {
  if [ "$mode" != root ] && [ "$(id -u)" -eq 0 ]; then
    chown -R 2000:2000 "$@"
  fi
}

# policy NAME: standard input becomes the file NAME of the workspace.
policy() {
  cat >"$1" && mine "$1"
}

invalid() {
  printf 'version: 1\nextends: agnet\nfilesytem: {}\nlimits: {memory: 1}\nfilesystem: {hide: [x]}\n' | policy p.yaml
  ends 125 in_mode "$mode" "$GABION" run -p p.yaml -- touch ran || return 1
  [ ! -e ran ] || { echo "an invalid policy ran"; return 1; }
  # Native: the command works.
  touch ran && rm ran || return 1
  is "p.yaml:3:1: unknown key 'filesytem' (did you mean filesystem?)
p.yaml:4:18: limits.memory: '1' is out of range: a size is a whole number with k, m, g or t, and at least 1m: 512m, 2g
p.yaml:5:21: 'x' is no absolute path (did you mean \"\${workspace}/x\" or \"**/x\"?)
p.yaml:2:10: no profile is called 'agnet' (did you mean agent? a file of your own is named with a slash: ./base.yaml)
gabion: the policy is not valid: nothing was run" "$err" errors || return 1
  ends 125 in_mode "$mode" "$GABION" run -p nowhere.yaml -- touch ran || return 1
  is "nowhere.yaml: No such file or directory
gabion: the policy is not valid: nothing was run" "$err" "no file" || return 1
  ends 125 in_mode "$mode" "$GABION" explain -p p.yaml && [[ $err == *"did you mean filesystem?"* ]] && [ ! -e ran ]
}

@test "an invalid policy runs nothing, and every error is told with its place" {
  each_mode invalid
}

not_there() {
  local key
  while IFS='|' read -r key says; do
    printf 'version: 1\nextends: agent\n%s\n' "$key" | policy p.yaml
    ends 125 in_mode "$mode" "$GABION" run -p p.yaml -- touch ran || return 1
    [[ $err == "p.yaml:3:"*"$says"* ]] && [ ! -e ran ] || { echo "$key: $err"; return 1; }
  done <<'KEYS'
network: {groups: ["@nmp"]}|did you mean @npm?
require: [limits.memory]|a limit that is not set cannot be required
filesystem: {tmpfs: ["${NO_SUCH_VARIABLE}/x"]}|the variable NO_SUCH_VARIABLE is not set
KEYS
}

@test "what cannot be held or found is refused by name, with its place" {
  each_mode not_there
}

files() {
  mkdir -p docs sub data && echo one >docs/.env && echo two >sub/.env && echo three >data/kept
  mine docs sub data
  policy p.json <<'POLICY'
{"version": 1, "extends": "agent", "filesystem": {"hide": ["${workspace}/**/.env"], "except": ["${workspace}/docs/.env"],
 "protect": ["${workspace}/data", "${NO_SUCH_VARIABLE?}/x"]}}
POLICY
  # Native first: it all works.
  is "one two" "$(cat docs/.env sub/.env | tr '\n' ' ' | sed 's/ $//')" native || return 1
  ends 0 guest -p p.json -- sh -c 'cat docs/.env sub/.env data/kept; echo x >data/kept; echo x >data/new; mkdir new && echo x >new/.env; true' || return 1
  is "one three" "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')" "hidden" || return 1
  [ ! -e data/new ] && [ ! -e new/.env ] && is three "$(cat data/kept)" "protected" || return 1
  # The options are the same rules, added last.
  ends 0 guest -p p.json --unhide "$ws/sub/.env" -- cat sub/.env && is two "$out" "--unhide" || return 1
  # Where it was written is told.
  ends 0 in_mode "$mode" "$GABION" run -p p.json -- sh -c 'cat sub/.env; true' || return 1
  [[ $err == *"(hide $ws/**/.env, p.json:1:"*")"* ]] || { echo "origin: $err"; return 1; }
}

@test "rules of a file hold, options come last, and a refusal names file, line and column" {
  each_mode files
}

own_file() {
  mkdir dir && printf 'version: 1\nextends: ../base.yaml\n' | policy dir/p.yaml
  printf 'version: 1\nextends: agent\n' | policy base.yaml
  ln -s dir link && ln -s dir/p.yaml named.yaml && mine dir
  local script='for f in dir/p.yaml base.yaml; do echo "filesystem: {}" >>$f; rm -f $f; mv $f gone; done; mv dir away; rm -f link named.yaml; ln -sf x link; true'
  # Native in a copy: everything goes.
  cp -a "$ws" "$ws.native" && (cd "$ws.native" && sh -c "$script" 2>/dev/null; [ ! -e dir/p.yaml ] && [ ! -e base.yaml ]) || return 1
  rm -rf "$ws.native"
  ends 0 guest -p link/p.yaml -- sh -c "$script" || return 1
  is "version: 1
extends: ../base.yaml" "$(cat dir/p.yaml)" "the policy" || return 1
  is "version: 1
extends: agent" "$(cat base.yaml)" "what it extends" || return 1
  is dir "$(readlink link)" "the link to it" || return 1
  # A link nobody came by is the guest's to remove, and with another policy so are the files.
  [ ! -L named.yaml ] || { echo "named.yaml was kept"; return 1; }
  ends 0 guest -- sh -c 'rm dir/p.yaml base.yaml link' && [ ! -e base.yaml ]
}

@test "a policy in the workspace is protected, with what it extends and the links to it" {
  each_mode own_file
}

settings() {
  policy p.yaml <<'POLICY'
version: 1
extends: agent
environment: {pass: [LOOKS_LIKE_TOKEN], set: {CI: "1", AT: "${HOME}/x"}}
limits: {files: 123, time: 20s}
audit: {file: "${AUDIT_HERE}", reads: denied}
mediate: all
POLICY
  export LOOKS_LIKE_TOKEN=t OTHER_TOKEN=o AUDIT_HERE=$ws/record.jsonl HARMLESS=h
  ends 0 guest -p p.yaml -- sh -c 'echo "$LOOKS_LIKE_TOKEN-$OTHER_TOKEN-$HARMLESS-$CI-$(ulimit -n)"; cat /etc/shadow; true' || return 1
  is "t--h-1-123" "$out" settings || return 1
  grep -q '"/etc/shadow"' record.jsonl || { echo "no record"; return 1; }
  ends 0 in_mode "$mode" "$GABION" explain -p p.yaml && [[ $out == *"--mediate all"* ]] || return 1
  # Options win.
  ends 0 in_mode "$mode" "$GABION" explain -p p.yaml --mediate auto && [[ $out != *"--mediate all"* ]] || return 1
  ends 0 guest -p p.yaml --env CI=2 -- sh -c 'echo $CI' && is 2 "$out" "--env" || return 1
  printf 'version: 1\nextends: agent\nlimits: {time: 1s}\n' | policy p.yaml
  ends 124 guest -p p.yaml -- sleep 30 || return 1
  # Without a base nothing is allowed, and nothing passes.
  printf 'version: 1\nfilesystem: {read: [/], exec: [/], write: ["${workspace}", /dev/null, /dev/tty, /dev/ptmx, /dev/pts, "${scratch}"]}\nenvironment: {pass: ["HARM*"]}\n' | policy p.yaml
  ends 0 guest -p p.yaml -- /bin/sh -c 'echo "$HARMLESS-$LOOKS_LIKE_TOKEN-$LANG"; cp /bin/true here; ./here || echo refused' || return 1
  is "h--
refused" "$out" "no base" || return 1
  unset LOOKS_LIKE_TOKEN OTHER_TOKEN AUDIT_HERE HARMLESS
}

@test "environment, limits, audit and mediate are taken from the file, options win" {
  each_mode settings
}

tmpfs() {
  [ "$mode" != bare ] || return 0
  policy p.yaml <<'POLICY'
version: 1
extends: agent
filesystem: {tmpfs: [{path: /mnt, size: 3m, exec: true}, {path: /tmp, size: 5m}]}
POLICY
  ends 0 guest -p p.yaml -- sh -c 'df -k --output=fstype,size /mnt /tmp | tail -n +2 | tr -s " "
    cp /bin/true /mnt/t && /mnt/t && echo executes; cp /bin/true /tmp/t; /tmp/t || echo refused
    head -c 4m /dev/zero >/mnt/big || echo full' || return 1
  is "tmpfs 3072
tmpfs 5120
executes
refused
full" "$out" tmpfs || return 1
  [ ! -e /mnt/t ] || return 1
  printf 'version: 1\nextends: agent\nfilesystem: {tmpfs: [%s/x]}\n' "$ws" | policy p.yaml
  ends 125 guest -p p.yaml -- true && [[ $err == *"p.yaml:3:22: a tmpfs cannot lie in the workspace"* ]] || { echo "$err"; return 1; }
  printf 'version: 1\nextends: agent\nfilesystem: {tmpfs: [/no/such/place]}\n' | policy p.yaml
  ends 125 guest -p p.yaml -- true && [[ $err == *"p.yaml:3:22: /no/such/place is no directory"* ]] || { echo "$err"; return 1; }
}

@test "a tmpfs is mounted with its size, and executes where it says so" {
  each_mode tmpfs
}

written() {
  local word
  for word in deny mounts allow; do
    printf 'version: 1\nextends: agent\nexec: {written: %s}\n' "$word" | policy "$word.yaml"
  done
  local script='cp /bin/true here && ./here && echo here; cp /bin/true $TMPDIR/t && $TMPDIR/t && echo scratch; true'
  ends 0 guest -p deny.yaml -- sh -c "$script" && is "" "$out" deny || return 1
  ends 0 guest -p mounts.yaml -- sh -c "$script" && is "here
scratch" "$out" mounts || return 1
  ends 0 guest -p allow.yaml -- sh -c "$script" && is "here
scratch" "$out" allow || return 1
  [ "$mode" = bare ] || { ends 0 guest -p mounts.yaml -- sh -c 'cp /bin/true /var/tmp/t && /var/tmp/t && echo elsewhere; true' && is "" "$out" "mounts elsewhere"; } || return 1
  ends 126 guest --profile strict -- ./here
}

@test "exec.written: deny, mounts and allow" {
  each_mode written
}

denied() {
  cp /bin/echo tool && cp /bin/echo other && mine tool other
  policy p.yaml <<'POLICY'
version: 1
extends: agent
exec: {deny: ["${workspace}/tool", {path: "${workspace}/other", args: ["push", "**"]}]}
POLICY
  is "native push x" "$(./tool native) $(./other push x)" native || return 1
  ends 0 in_mode "$mode" "$GABION" run -p p.yaml -- sh -c './tool tool; ./other push x; ./other pull x; true' || return 1
  is "pull x" "$out" "exec.deny" || return 1
  [[ $err == *"p.yaml:3:"* ]] || { echo "origin: $err"; return 1; }
}

@test "exec.deny refuses a program, or one with these arguments" {
  each_mode denied
}

patterns() {
  mkdir -p a/bin b && cp /bin/echo a/bin/tool && cp /bin/echo b/tool && mine a b
  is "native native" "$(a/bin/tool native) $(b/tool native)" native || return 1
  printf 'version: 1\nextends: strict\nfilesystem: {exec: ["${workspace}/*/bin"]}\nexec: {written: mounts}\n' | policy p.yaml
  ends 0 in_mode "$mode" "$GABION" run -p p.yaml -- sh -c 'a/bin/tool a; b/tool b; true' || return 1
  # Landlock has no patterns: in bare mode, too, the tracer tells what matches from what is beside it.
  is a "$out" "a pattern of what executes" || return 1
  [[ $err == *"/b/tool"* ]] || { echo "the refusal: $err"; return 1; }
  ends 126 guest --profile strict --exec "$ws/*/bin" -- b/tool b
}

@test "what may be executed can be a pattern" {
  each_mode patterns
}

required() {
  printf 'version: 1\nextends: agent\nrequire: [exec.written, processes, filesystem.protect]\n' | policy p.yaml
  if [ "$mode" = bare ]; then
    ends 125 guest -p p.yaml -- touch ran || return 1
    [[ $err == *"p.yaml:3:11: the policy requires exec.written"*"there are no noexec mounts"* ]] && [ ! -e ran ] || { echo "$err"; return 1; }
    printf 'version: 1\nextends: agent\nrequire: [filesystem.protect]\n' | policy p.yaml
  fi
  ends 0 guest -p p.yaml -- true
}

@test "require: a host that cannot hold it refuses to start" {
  each_mode required
}

dev_home() {
  local home=$T/home.$mode
  mkdir -p "$home/.ssh" "$home/.config/gh" && echo key >"$home/.ssh/id_rsa" && echo host >"$home/.ssh/known_hosts" && echo t >"$home/.config/gh/hosts.yml" &&
    echo text >"$home/notes" && echo cmd >"$home/.bash_history"
  mine "$home"
  # Native: all of it is there.
  is key "$(cat "$home/.ssh/id_rsa")" native || return 1
  ends 0 guest --profile dev -- sh -c 'cat ~/notes; cat ~/.ssh/id_rsa ~/.config/gh/hosts.yml ~/.bash_history; cat ~/.ssh/known_hosts; echo x >~/new; echo x >>~/notes; echo x >~/.ssh/new; true' || return 1
  is "text
host" "$out" "the home" || return 1
  [ ! -e "$home/new" ] && is text "$(cat "$home/notes")" "the home after it" || return 1
  ends 0 guest --profile agent -- sh -c 'cat ~/notes; true' && is "" "$out" "agent's home" || return 1
  rm -rf "$home/.ssh" "$home/.config/gh" "$home/notes" "$home/.bash_history"
}

@test "dev shows the own home, readable but for secrets" {
  each_mode dev_home
}

groups_of_hosts() {
  # A tool a guest could have put there is not asked.
  mkdir bin && printf '#!/bin/sh\ntouch "%s/asked"\necho https://evil.example\n' "$ws" >bin/npm && chmod 755 bin/npm && mine bin
  [ "$("$ws/bin/npm")" = https://evil.example ] && rm asked || return 1
  printf 'version: 1\nextends: agent\nnetwork: {groups: ["@npm"]}\n' | policy p.yaml
  PATH="$ws/bin:$PATH" ends_any in_mode "$mode" "$GABION" run -p p.yaml -- true
  [ ! -e asked ] || { echo "the workspace's npm was run"; return 1; }
}

ends_any() {
  "$@" >/dev/null 2>&1 </dev/null || true
}

@test "a tool in the workspace is not asked for its hosts" {
  each_mode groups_of_hosts
}

# The example of the manual: an exec rule inside of what is writable opens execution, and takes nothing away.
exec_inside() {
  mkdir -p bin nm "$T/other.$mode/bin" && printf '#!/bin/sh\necho ran\n' >bin/tool && cp bin/tool tool && chmod 755 bin/tool tool && mine bin bin/tool nm tool "$T/other.$mode" "$T/other.$mode/bin"
  policy p.yaml <<'POLICY'
version: 1
filesystem:
  read: [/]
  exec: [/, "${workspace}/bin", "${workspace}/nm"]
  write: ["${workspace}", /dev/null, /dev/tty, /dev/ptmx, /dev/pts, "${scratch}"]
syscalls: usual
POLICY
  ends 0 guest -p p.yaml -- sh -c './bin/tool; ./tool || echo refused; echo x >nm/new && cp bin/tool nm/tool && ./nm/tool && echo "#" >>bin/tool && echo changed' || return 1
  is "ran
refused
ran
changed" "$out" "exec inside the workspace" || return 1
  # The same by options, in the workspace and in another writable place.
  ends 0 guest --exec "$ws/bin/tool" --write "$T/other.$mode" --exec "$T/other.$mode/bin" -- sh -c \
    './bin/tool && echo "#" >>bin/tool && cp bin/tool "$0/bin/" && "$0/bin/tool" && echo fine' "$T/other.$mode" || return 1
  is "ran
ran
fine" "$out" "exec inside, by options"
}

@test "an exec rule inside of what is writable takes nothing away" {
  each_mode exec_inside
}

# Under strict nothing writable executes: the summary says so, instead of an option that would change nothing.
strict_advice() {
  printf '#!/bin/sh\necho ran\n' >tool && chmod 755 tool && mine tool
  is ran "$(in_mode "$mode" ./tool)" native || return 1
  ends 126 in_mode "$mode" "$GABION" run --profile strict -- ./tool || return 1
  [[ $err == *"nothing that can be written executes here"* && $err != *"--exec"* ]] || { echo "$err"; return 1; }
  # The option would have changed nothing; what is said would.
  ends 126 in_mode "$mode" "$GABION" run --profile strict --exec "$ws/tool" -- ./tool || return 1
  printf 'version: 1\nextends: strict\nexec: {written: mounts}\nfilesystem: {exec: ["${workspace}"]}\n' | policy w.yaml
  ends 0 guest -p w.yaml -- ./tool && is ran "$out" "what was said"
}

@test "advice under strict is what would work" {
  each_mode strict_advice
}
