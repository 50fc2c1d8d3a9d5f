#!/usr/bin/env bats
# What a guest or a bundle leaves for the next start: a hostile workspace, a hostile private home; and gabion's own state.

setup() {
  load common
}

@test "a .git file makes no other repository writable" {
  t() {
    native "$1" sh -c 'mkdir -p victim/.git ws/evil && echo "ref: x" >victim/.git/HEAD && echo config >victim/.git/config && echo "gitdir: evil" >ws/.git &&
      echo "$PWD/ws/.git" >ws/evil/gitdir && echo "$PWD/victim/.git" >ws/evil/commondir' || return 1
    (cd "$WS/ws" && in_mode "$1" "$GABION" run --quiet -- sh -c 'echo evil >>"$0"' "$WS/victim/.git/config") 2>/dev/null && return 1
    [ "$(cat "$WS/victim/.git/config")" = config ] || return 1
    # A real worktree's common directory is.
    native "$1" sh -c 'git init -q repo && cd repo && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git worktree add -q ../wt' ||
      return 1
    (cd "$WS/wt" && in_mode "$1" "$GABION" run --quiet -- sh -c 'git status >/dev/null && echo x >>"$0"' "$WS/repo/.git/description") || return 1
    tail -n 1 "$WS/repo/.git/description" | grep -qx x || return 1
    (cd "$WS/wt" && in_mode "$1" "$GABION" run --quiet -- sh -c 'echo x >"$0"' "$WS/repo/.git/hooks/post-commit") 2>/dev/null && return 1
    [ ! -e "$WS/repo/.git/hooks/post-commit" ] || return 1
    # Nor does the worktree become another repository's.
    (cd "$WS/wt" && in_mode "$1" "$GABION" run --quiet -- sh -c 'echo "gitdir: evil" >.git; mv .git x; rm .git; echo >new && mv new .git') 2>/dev/null
    native "$1" git -C wt status >/dev/null
  }
  each_mode t
}

@test "odd .git files and odd names of workspaces" {
  t() {
    local dir make
    for make in 'mkfifo .git' 'ln -s /dev/zero .git' 'ln -s .git .git' 'head -c 9000 /dev/zero | tr "\0" a >.git' 'echo "gitdir: /dev/fd" >.git' \
      'printf "gitdir: \0/" >.git' 'mkdir .git && mkfifo .git/commondir'; do
      native "$1" sh -c "rm -rf .git; $make" || return 1
      [ "$(inside "$1" -- echo fine)" = fine ] || { echo "$make" >&2; return 1; }
    done
    native "$1" rm -rf .git || return 1
    for dir in 'a b' $'n\nl' $'e\033[31m' 'q"x' 'g[1]*' '-x' '${HOME}' $'\377'; do
      native "$1" mkdir -p "./$dir" g1 || return 1
      [ "$(cd "$WS/$dir" && in_mode "$1" "$GABION" run --quiet -- sh -c 'echo in >f && cat f')" = in ] || return 1
      (cd "$WS/$dir" && in_mode "$1" "$GABION" run --quiet -- sh -c 'echo out >../g1/f') 2>/dev/null && return 1
      [ ! -e "$WS/g1/f" ] || return 1
    done
  }
  each_mode t
}

@test "what a guest plants in its home keeps no later run from starting, and is written through by nobody" {
  t() {
    local home=$T/home.$1
    native "$1" sh -c 'mkdir -p ~/.ssh ~/.config/git; echo host >~/.gitconfig; echo host >~/.ssh/known_hosts; echo host >~/.config/git/config'
    native "$1" sh -c 'echo mine >"$0/precious"' "$OUT" || return 1
    inside "$1" -- sh -c 'cd; rm -rf .local .cache .inputrc x; ln -s "$0" .cache; ln -s / .inputrc; mkfifo .editorconfig; ln -s loop x; ln -s x loop
      ln -s "$0/precious" .gabion-imported; ln -s "$0" .claude; ln -s "$0/precious" .claude.json; chmod 0 .' "$OUT" 2>/dev/null
    native "$1" sh -c 'echo host >~/.inputrc; echo host >~/.editorconfig; mkdir -p ~/.claude; echo host >~/.claude/x; echo host >~/.claude.json'
    [ "$(inside "$1" -- echo started)" = started ] || return 1
    [[ "$(inside "$1" --agent claude -- echo started)" = *started ]] || return 1
    [ "$(cat "$OUT/precious")" = mine ] && [ "$(ls "$OUT")" = precious ] || return 1
    inside "$1" -- sh -c 'cd; rm -rf .[a-z]* x loop' 2>/dev/null
    native "$1" rm -rf "$home/.ssh" "$home/.config" "$home/.gitconfig" "$home/.inputrc" "$home/.editorconfig" "$home/.claude" "$home/.claude.json"
  }
  each_mode t
}

@test "gabion's state and its control socket are out of reach, also in a workspace" {
  t() {
    local state=$WS/state
    native "$1" mkdir -m 700 "$state" || return 1
    # shellcheck disable=SC2016
    (cd "$WS" && in_mode "$1" env HOME="$T/home.$1" bash -c 'XDG_STATE_HOME=$0 exec "$@"' "$state" "$GABION" run --quiet -- sh -c '
      find "$0" -name control.sock | grep . && exit 1
      echo x >"$0/gabion/runs/x" && exit 1
      mv "$0" "$0.away" && exit 1
      mv "$0/gabion" "$0/g" && exit 1
      exit 0' "$state" 2>/dev/null) || return 1
    [ -d "$state/gabion/runs" ] && [ ! -e "$state/gabion/runs/x" ]
  }
  each_mode t
}
