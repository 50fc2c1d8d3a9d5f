#!/usr/bin/env bats
# The completion scripts, loaded and asked in each shell.

setup() {
  load common
  export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
  runs=$XDG_STATE_HOME/gabion/runs
  mkdir -p "$runs/ended1" "$runs/live1"
  python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$runs/live1/control.sock" 2>/dev/null || true
}

# Words bash offers for the line "$@"; the last word is being typed.
in_bash() {
  bash --norc -c '. <("$GABION" completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gabion; printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}

in_fish() {
  "$GABION" completion fish >"$BATS_TEST_TMPDIR/gabion.fish"
  HOME=$BATS_TEST_TMPDIR fish --no-config -c "source '$BATS_TEST_TMPDIR/gabion.fish'; complete -C '$1'" | cut -f1
}

# Types each line and a tab in an interactive zsh and prints what became of it.
in_zsh() {
  mkdir -p "$BATS_TEST_TMPDIR/functions"
  "$GABION" completion zsh >"$BATS_TEST_TMPDIR/functions/_gabion"
  cat >"$BATS_TEST_TMPDIR/drive.zsh" <<'ZSH'
zmodload zsh/zpty
zpty shell zsh -f -i
read_until() { # what came until $1 appears, at most 10 s
  local all= part
  repeat 200; do
    while zpty -rt shell part; do all+=$part; done
    [[ $all == *$1* ]] && break
    sleep 0.05
  done
  print -r -- "$all"
}
zpty -w shell "PS1='%% '; fpath=($BATS_TEST_TMPDIR/functions \$fpath); autoload -Uz compinit; compinit -u -D; setopt no_beep; bindkey '^T' accept-line; show() { print -r -- \"<\$BUFFER>\"; BUFFER=; zle accept-line }; zle -N show; bindkey '^T' show; print rea''dy"
read_until ready >/dev/null
for line; do
  zpty -w -n shell "$line"$'\t'$'\x14'
  read_until '>' | grep -o '<gabion[^>]*>'
done
ZSH
  HOME=$BATS_TEST_TMPDIR zsh -f "$BATS_TEST_TMPDIR/drive.zsh" "$@"
}

@test "bash: the script is clean and offers what the table says" {
  "$GABION" completion bash | bash -n
  if command -v shellcheck >/dev/null; then "$GABION" completion bash | shellcheck -s bash -; fi
  [ "$(in_bash gabion ru)" = run ]
  [ "$(in_bash gabion run --wo)" = --workspace ]
  [ "$(in_bash gabion run --memory 2g --cp)" = --cpus ]
  [ "$(in_bash gabion run --mediate a)" = "auto
all" ]
  [ "$(in_bash gabion run --mediate = al)" = all ]
  [[ $(in_bash gabion run --profile '') == *agent* ]]
  [[ $(in_bash gabion run --agent '') == *claude*none* ]]
  [ "$(in_bash gabion run --workspace /et)" = /etc ]
  [ "$(in_bash gabion run --user roo)" = root ]
  [[ $(in_bash gabion run ba) == *bash* ]]
  [ "$(in_bash gabion run -- ls /et)" = /etc ]
  [ -z "$(in_bash gabion run ls --works)" ]
  [ "$(in_bash gabion completion f)" = fish ]
  [ "$(in_bash gabion help "do")" = doctor ]
}

@test "bash: every option of every subcommand is offered" {
  for name in $(subcommands); do
    diff <("$GABION" "$name" --help | long_options) <(in_bash gabion "$name" -- | sed 's/^--//' | sort)
  done
}

@test "bash: runs" {
  [ -S "$runs/live1/control.sock" ] || skip "python3 is missing"
  [ "$(in_bash gabion log '')" = "ended1
live1" ]
  [ "$(in_bash gabion allow '')" = live1 ]
  [ "$(in_bash gabion allow live1 r)" = read ]
  [ "$(in_bash gabion allow live1 read /et)" = /etc ]
}

@test "fish: options, values, operands and the command behind" {
  command -v fish >/dev/null || skip "fish is missing"
  [ "$(in_fish 'gabion ru')" = run ]
  [ "$(in_fish 'gabion run --wo')" = --workspace ]
  [ "$(in_fish 'gabion run --memory 2g --cp')" = --cpus ]
  [[ $(in_fish 'gabion run --profile ') == *agent* ]]
  [ "$(in_fish 'gabion run --mediate al')" = all ]
  [[ $(in_fish 'gabion run -- ls --author') == *--author* ]] || [[ $(in_fish 'gabion run -- ls /et') == /etc/ ]]
  [ -z "$(in_fish 'gabion run ls --works')" ]
  [ "$(in_fish 'gabion completion z')" = zsh ]
  [ "$(in_fish 'gabion help do')" = doctor ]
  if [ -S "$runs/live1/control.sock" ]; then [ "$(in_fish 'gabion allow ')" = live1 ]; fi
}

@test "fish: every option of every subcommand is offered" {
  command -v fish >/dev/null || skip "fish is missing"
  for name in $(subcommands); do
    diff <("$GABION" "$name" --help | long_options) <(in_fish "gabion $name --" | sed 's/^--//' | sort)
  done
}

@test "zsh: options, values, operands and the command behind" {
  command -v zsh >/dev/null || skip "zsh is missing"
  "$GABION" completion zsh | zsh -n
  run in_zsh 'gabion doct' 'gabion run --wor' 'gabion run --memory 2g --cp' 'gabion run --mediate al' 'gabion run -q --user roo' \
    'gabion run ls /et' 'gabion run -- ls /et' 'gabion run ls --works' 'gabion help versi' 'gabion completion f' 'gabion log live'
  [ "${lines[0]}" = '<gabion doctor >' ]
  [ "${lines[1]}" = '<gabion run --workspace=>' ]
  [ "${lines[2]}" = '<gabion run --memory 2g --cpus=>' ]
  [ "${lines[3]}" = '<gabion run --mediate all >' ]
  [ "${lines[4]}" = '<gabion run -q --user root >' ]
  [ "${lines[5]}" = '<gabion run ls /etc/>' ]
  [ "${lines[6]}" = '<gabion run -- ls /etc/>' ]
  [ "${lines[7]}" = '<gabion run ls --works>' ]
  [ "${lines[8]}" = '<gabion help version >' ]
  [ "${lines[9]}" = '<gabion completion fish >' ]
  [ "${lines[10]}" = '<gabion log live1 >' ]
}
