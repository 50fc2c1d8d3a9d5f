#!/usr/bin/env bats
# gabion at a terminal, played by tests/lib/pty_drive.py: as without it.
# shellcheck disable=SC2154 # mode and ws are set by run.bash

setup() {
  load common
  load run
}

# The words that start gabion on this floor without a shell in between: job control is between the user's shell and it.
launcher() {
  cat >"$ws/.launch" <<END
#!/bin/bash
. "$SRC/tests/lib/modes.sh"
env() { exec /usr/bin/env "\$@"; }
setpriv() { exec /usr/bin/setpriv "\$@"; }
in_mode $mode "\$@"
END
  chmod 755 "$ws/.launch"
}

drive() {
  local uid=()
  launcher
  [ "$(id -u)" -ne 0 ] || [ "$mode" = root ] || uid=("PTY_UID=$MODE_UID")
  env "${uid[@]}" python3 "$SRC/tests/lib/pty_drive.py" "$1" "$ws/.launch" "$GABION" run --quiet "${@:2}" -- 3>&-
}

@test "an interactive shell inside: prompt, echo, jobs, Ctrl-C, Ctrl-D" {
  each_mode drive shell
}

@test "gabion as a job of the user's shell: Ctrl-Z, fg, Ctrl-C, Ctrl-backslash" {
  each_mode drive job
}

@test "window size and its changes" {
  each_mode drive size
}

@test "modes of the terminal: the same inside, raw for who asks, as before at the end" {
  each_mode drive modes
}

@test "a password is not shown" {
  each_mode drive password
}

@test "a megabyte out and 64 KiB in, byte for byte" {
  each_mode drive flood
}

@test "in a pipeline" {
  each_mode drive pipeline
}

@test "in the background" {
  each_mode drive background
}

@test "the terminal has a name" {
  each_mode drive names
}

@test "terminals of programs inside" {
  each_mode drive tmux_like
}

hung_up() {
  local mark=life$RANDOM$RANDOM$$
  launcher
  python3 "$SRC/tests/lib/pty_drive.py" hangup "$ws/.launch" "$GABION" run --quiet --exec "$TESTS" --env LIFE=$mark -- \
    "$TESTS/attack/tree_load" "$ws/beat" 3>&- || return 1
  python3 "$SRC/tests/lib/life.py" gone $mark 1000 && python3 "$SRC/tests/lib/life.py" still "$ws/beat"
}

@test "a closed terminal ends the run within a second" {
  each_mode hung_up
}
