#!/usr/bin/env bats
# Who the guest is, what it finds, and whose what it makes is.
# shellcheck disable=SC2154 # mode, ws, out and err are set by run.bash
# shellcheck disable=SC2016 # expanded by the guest's shell

setup() {
  load common
  load run
}

# What the person on this floor would have made.
mine() {
  [ "$mode" = root ] || [ "$(id -u)" -ne 0 ] || chown -R "$MODE_UID:$MODE_UID" "$@"
}

# A home of its own for the test in $home.
new_home() {
  home=$(mktemp -d "$T/person.XXXXXX")
  chmod 755 "$home"
}

at_home() {
  in_mode "$mode" env HOME="$home" "$@" </dev/null
}

has_view() {
  [ "$mode" != bare ]
}

owners() {
  ends 0 guest -- sh -c 'umask 027; mkdir d; echo x >d/f; ln -s d l; umask 0; echo x >w; mkfifo p; chmod 2775 d; cp d/f g; mv g h; ln h i' || return 1
  local owner file
  owner=$(stat -c %u:%g "$ws")
  for file in d d/f l w p h i; do
    is "$owner" "$(stat -c %u:%g "$file")" "owner of $file" || return 1
  done
  is "2775 640 666 666" "$(stat -c %a d d/f w p | tr '\n' ' ' | sed 's/ $//')" "modes" || return 1
  # And inside, to the guest itself.
  ends 0 guest -- sh -c 'test -O d && test -O d/f && test -O . && test "$(stat -c %u d)" = "$(id -u)" && touch -r d d/f && chmod 600 d/f && rm -r d' || return 1
  if has_view; then
    ends 0 guest -- sh -c 'id -un >/dev/null && stat -c "%U %G" .' && [[ $out != *UNKNOWN* ]] || { echo "$out"; return 1; }
  fi
}

@test "what is made in the workspace belongs to its owner, outside and inside; modes and umask are kept" {
  each_mode owners
}

not_root() {
  ends 0 guest -- id -u && [ "$out" -ne 0 ] || { echo "$out"; return 1; }
  ends 0 guest -- sh -c 'grep CapEff /proc/self/status' && [[ $out == *0000000000000000 ]] || { echo "$out"; return 1; }
  # Nor are its processes root's outside.
  local mark=life$RANDOM$RANDOM$$ pid
  in_mode "$mode" "$GABION" run --quiet --env LIFE=$mark --timeout 20s -- sh -c 'echo >up; exec sleep 20' </dev/null 3>&- &
  wait_for 10 test -s up || return 1
  pid=$(python3 "$SRC/tests/lib/life.py" list $mark | awk '$3 == "sleep" { print $1 }')
  [ "$(stat -c %u "/proc/$pid")" -ne 0 ] || { echo "the guest runs as root"; return 1; }
  python3 "$SRC/tests/lib/life.py" kill $mark monitor 9
  python3 "$SRC/tests/lib/life.py" gone $mark 1000
}

@test "the guest is not root and has no capabilities" {
  [ "$(id -u)" -eq 0 ] || skip "only root can be told from its guests"
  each_mode not_root
}

set_id() {
  ends 0 guest -- python3 -c '
import os
os.umask(0)
os.close(os.open("a", os.O_CREAT | os.O_WRONLY, 0o6755))
open("b", "w").close(); os.chmod("b", 0o4755)
with open("c", "w") as f: os.fchmod(f.fileno(), 0o2755)
os.mknod("d", 0o106755)' || return 1
  is "755 755 755 755 " "$(stat -c %a a b c d | tr '\n' ' ')" "modes"
}

@test "no set-id program is left in the workspace" {
  each_mode set_id
}

private_home() {
  new_home
  mkdir -p "$home/.ssh" "$home/bin" "$home/.aws"
  echo known-host >"$home/.ssh/known_hosts"
  echo public-key >"$home/.ssh/id.pub"
  echo SECRET >"$home/.ssh/id_rsa"
  echo SECRET >"$home/.aws/credentials"
  echo SECRET >"$home/document"
  printf '[user]\n\tname = A. Person\n' >"$home/.gitconfig"
  printf '#!/bin/sh\necho a tool\n' >"$home/bin/atool"
  chmod 755 "$home/bin/atool"
  mine "$home"
  PATH=$home/bin:$PATH ends 0 at_home "$GABION" run --quiet -- sh -c '
    cat ~/.ssh/known_hosts ~/.ssh/id.pub
    git config user.name
    atool
    cat ~/.ssh/id_rsa "$1/.ssh/id_rsa" "$1/.aws/credentials" "$1/document"
    ls "$1/.ssh"
    for f in "$1/.gitconfig" "$1/.ssh/known_hosts" "$1/bin/atool" "$1/.profile"; do echo x >>"$f"; done
    echo kept >~/kept
    exit 0' x "$home" || return 1
  is "known-host public-key A. Person a tool" "$(head -n 4 <<<"$out" | tr '\n' ' ' | sed 's/ $//')" "files of the home" || return 1
  [[ $out != *SECRET* ]] || { echo "$out"; return 1; }
  # Kept between runs, in a home that is not the real one.
  ends 0 at_home "$GABION" run --quiet -- sh -c 'cat ~/kept' && is kept "$out" "private home" || return 1
  [ ! -e "$home/kept" ] && [ ! -e "$home/.profile" ] || { echo "written to the real home"; return 1; }
  is "known-host" "$(cat "$home/.ssh/known_hosts")" && is 2 "$(wc -l <"$home/.gitconfig")" "lines of .gitconfig" || return 1
  if has_view; then
    ends 0 at_home "$GABION" run --quiet -- sh -c 'echo "$HOME"' && is "$home" "$out" HOME
  fi
}

@test "the home is private and persistent, with tools and public files of the real one" {
  each_mode private_home
}

linked_home() {
  new_home
  echo SECRET >"$home/document"
  mkdir "$home/.ssh"
  echo x >"$home/.ssh/known_hosts"
  mine "$home"
  # A guest leaves links in its home for the next start to follow.
  ends 0 at_home "$GABION" run --quiet -- sh -c 'rm -rf ~/.ssh; ln -s "$1" ~/.ssh; rm -f ~/.gitconfig; ln -s "$1/document" ~/.gitconfig' x "$ws" || true
  ends 0 at_home "$GABION" run --quiet -- sh -c 'cat ~/.gitconfig ~/.ssh/document; true' || return 1
  [[ $out != *SECRET* ]] || { echo "$out"; return 1; }
  [ -z "$(find "$ws" -name known_hosts)" ] || { echo "a link was followed"; return 1; }
}

@test "links a guest leaves in its home lead the next start nowhere" {
  each_mode linked_home
}

descriptors() {
  ends 0 guest -- ls /proc/self/fd 5</etc 6</etc/passwd 7<>"$ws" 2>/dev/null || ends 0 guest -- ls /proc/self/fd 5</etc 6</etc/passwd || return 1
  is "0 1 2 3" "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')" "descriptors (3 is ls's own)"
}

@test "descriptors above 2 are closed" {
  each_mode descriptors
}

host_unseen() {
  sleep 30 3>&- &
  local other=$!
  ends 0 guest -- sh -c 'ls -d "/proc/$1" 2>/dev/null; cat "/proc/$1/environ" "/proc/$1/cmdline" 2>/dev/null; ls "/proc/$1/fd" "/proc/$1/root" 2>/dev/null; kill -0 "$1" 2>/dev/null && echo signalled; exit 0' x $other
  kill $other
  if has_view; then
    is "" "$out" "of another process" || return 1
    ends 0 guest -- sh -c 'cat /proc/self/mountinfo /proc/mounts' && [[ $out != *"$BATS_TEST_TMPDIR"* ]] || return 1
    ends 0 guest -- sh -c 'wc -l </proc/net/unix' && is 1 "$out" "sockets (and a heading)" || return 1
    # Of /tmp there is the way to the workspace, where that is below it.
    ends 0 guest -- sh -c 'ls /tmp /dev/shm' && is "" "$(grep -v ^/ <<<"$out" | grep . | grep -vx "$(cut -d/ -f3 <<<"$ws")")" "/tmp and /dev/shm"
  else
    # docs/LIMITS.md: that it exists shows, and its command line; not what is in it, and it cannot be signalled.
    [[ $out != *signalled* ]] && ! grep -qa PATH= <<<"$out" || { echo "$out"; return 1; }
  fi
}

@test "processes, mounts and sockets of the host are not seen" {
  each_mode host_unseen
}

environment() {
  export MY_TOKEN=abc AWS_SECRET_ACCESS_KEY=def PLAIN=ghi
  ends 0 in_mode "$mode" "$GABION" run -- sh -c 'echo "[$MY_TOKEN$AWS_SECRET_ACCESS_KEY|$PLAIN]"' </dev/null || return 1
  is "[|ghi]" "$out" && [[ $(grep -c MY_TOKEN <<<"$err") -eq 1 && $err == *AWS_SECRET_ACCESS_KEY* && $err != *abc* ]] || { echo "$err"; return 1; }
  ends 0 in_mode "$mode" "$GABION" run --env MY_TOKEN --env PLAIN=x --env NEW=y=z -- sh -c 'echo "$MY_TOKEN|$PLAIN|$NEW"' </dev/null || return 1
  is "abc|x|y=z" "$out" && [[ $err != *MY_TOKEN* ]] || { echo "$err"; return 1; }
  ends 0 guest -- sh -c 'test -d "$TMPDIR" && echo x >"$TMPDIR/f" && cp /bin/true "$TMPDIR/t" && "$TMPDIR/t"'
}

@test "variables that look like secrets are dropped and listed; --env passes and sets" {
  each_mode environment
}

agents() {
  mkdir bin
  printf '#!/bin/sh\necho "args: $*"\necho "key: $ANTHROPIC_API_KEY"\n' >bin/claude
  chmod 755 bin/claude
  mine bin
  export ANTHROPIC_API_KEY=thekey
  PATH=$ws/bin:$PATH ends 0 in_mode "$mode" "$GABION" run -- claude hello </dev/null || return 1
  [[ $out == *hello* && $out == *"key: thekey"* && $(grep -c "agent claude" <<<"$err") -eq 1 && $err == *"--agent none"* ]] || { echo "$out $err"; return 1; }
  PATH=$ws/bin:$PATH ends 0 in_mode "$mode" "$GABION" run --agent none -- claude hello </dev/null || return 1
  is "args: hello" "$(head -n 1 <<<"$out")" && [[ $out != *thekey* && $err != *"agent claude"* ]] || { echo "$out $err"; return 1; }
  cp bin/claude bin/other && mine bin || return 1
  ends 0 in_mode "$mode" "$GABION" run --agent claude -- bin/other hello </dev/null && [[ $out == *"key: thekey"* ]] || { echo "$out $err"; return 1; }
  ends 0 in_mode "$mode" "$GABION" run -- bin/other hello </dev/null && [[ $out != *thekey* ]]
}

@test "an agent is known by its name, announced in one line, and --agent none turns it off" {
  each_mode agents
}

no_policy_inside() {
  # Whatever might be taken for configuration allows everything.
  local name
  mkdir -p .gabion .config/gabion
  for name in gabion.yaml .gabion.yaml .gabion/policy.yaml .gabion/config.yaml .config/gabion/policy.yaml policy.yaml; do
    printf 'version: 1\nprofile: runner\nwrite: [/]\nread: [/]\nenv: [MY_TOKEN]\n' >"$name"
  done
  mine .
  export MY_TOKEN=abc
  ends 0 in_mode "$mode" "$GABION" run --quiet -- sh -c 'echo "[$MY_TOKEN]"; echo x >/etc/gabion-test; cat /etc/shadow; true' </dev/null || return 1
  is "[]" "$out" && [ ! -e /etc/gabion-test ] || return 1
}

@test "no file of the workspace is read as policy" {
  each_mode no_policy_inside
}

rules() {
  local ext
  ext=$(mktemp -d "$T/ext.XXXXXX")
  new_home
  mkdir "$home/shown"
  echo shown >"$home/shown/file"
  echo content >"$ext/file"
  printf '#!/bin/sh\necho ran\n' | tee "$ext/prog" >"$home/shown/prog"
  chmod 755 "$ext" "$ext/prog" "$home/shown/prog"
  echo secret >hidden && echo text >kept && mkdir keep && echo text >keep/file
  mine "$ws" "$ext" "$home"
  ends 0 guest --hide "$ws/hidden" --protect "$ws/kept" --protect "$ws/keep" --protect "$ws/later" -- sh -c '
    cat hidden; stat hidden; echo x >hidden; cat kept keep/file
    echo x >>kept; echo x >keep/new; echo x >keep/file; echo x >later; mv kept other; mv keep other; rm -rf kept keep; ln kept also && echo x >also; true' || return 1
  is "text text" "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')" "hidden and protected" || return 1
  is "secret text text" "$(cat hidden kept keep/file | tr '\n' ' ' | sed 's/ $//')" "what was hidden and protected" || return 1
  [ ! -e later ] && [ ! -e other ] && [ ! -e keep/new ] || { echo "made: $(ls)"; return 1; }
  # Places of the real home show only what is named.
  ends 0 at_home "$GABION" run --quiet -- sh -c 'cat "$1/shown/file" 2>/dev/null; true' x "$home" && is "" "$out" "not named" || return 1
  ends 0 at_home "$GABION" run --quiet --read "$home/shown" -- sh -c 'cat "$1/shown/file"; echo x >"$1/shown/file"; true' x "$home" && is shown "$out" "--read" || return 1
  is shown "$(cat "$home/shown/file")" "after --read" || return 1
  ends 0 guest --write "$ext" -- sh -c 'cat "$1/file" && echo new >"$1/made" && echo changed >"$1/file"; "$1/prog"; true' x "$ext" && is content "$out" "--write" || return 1
  is "changed new" "$(cat "$ext/file" "$ext/made" | tr '\n' ' ' | sed 's/ $//')" "after --write" || return 1
  is "$(stat -c %u "$ext")" "$(stat -c %u "$ext/made")" "owner of what was made" || return 1
  ends 0 at_home "$GABION" run --quiet --exec "$home/shown" -- "$home/shown/prog" && is ran "$out" "--exec" || return 1
  # Hooks are protected, and not when told so.
  git init -q . && mine .git
  ends 0 guest -- sh -c 'echo x >.git/hooks/pre-commit; mv .git/hooks .git/h; mv .git g; true' || return 1
  [ ! -e .git/hooks/pre-commit ] && [ -d .git/hooks ] || { echo "hooks are not protected"; return 1; }
  ends 0 guest --unprotect '**/.git/hooks' -- sh -c 'echo x >.git/hooks/pre-commit' && [ -s .git/hooks/pre-commit ]
}

@test "--hide, --protect, --unprotect, --read, --write and --exec do what they say" {
  each_mode rules
}
