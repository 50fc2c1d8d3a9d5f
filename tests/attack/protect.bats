#!/usr/bin/env bats
# What the host would execute or believe later: hooks, settings, hidden files, in every spelling.

setup() {
  load common
}

# A repository with a hook, a submodule's git directory, a nested repository, a worktree and a bare repository.
repository() {
  native "$1" sh -c '
    export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
    git init -q . && echo "exit 1" >.git/hooks/pre-commit && chmod 755 .git/hooks/pre-commit && mkdir -p .git/modules/sub/hooks nested &&
    git init -q nested && mkdir -p project/.vscode && echo "{}" >project/.vscode/tasks.json && ln -s .git/hooks hooks.link'
}

# Runs the shell text $2 in mode $1; it must change nothing of the hooks, the settings and who they belong to.
harmless() {
  local before after
  before=$(state_of_hooks)
  inside "$1" -- sh -c "$2" >"$T/harmless.out" 2>&1
  after=$(state_of_hooks)
  [ "$before" = "$after" ] || {
    echo "changed by: $2" >&2
    diff <(echo "$before") <(echo "$after") >&2
    return 1
  }
}

state_of_hooks() {
  (cd "$WS" && find . -not -path '*/node_modules/*' \( -path '*/.git/hooks*' -o -path '*/.git/modules/*hooks*' -o -name .git -type l -o \
    -path '*/.vscode/*' -o -name .envrc -o -name .mcp.json -o -path '*/.git/commondir' \) \
    -printf '%p %m %s %l\n' | sort && cat .git/hooks/pre-commit project/.vscode/tasks.json)
}

attempts() {
  cat <<'EOF'
echo x >.git/hooks/pre-commit
echo x >.git/hooks/post-commit
echo x >.git//hooks/./post-commit
echo x >.git/refs/../hooks/post-commit
echo x >"$PWD/.git/hooks/post-commit"
echo x >hooks.link/post-commit
ln -s .git g && echo x >g/hooks/post-commit
cd .git/hooks && echo x >post-commit
cd .git && echo x >hooks/post-commit
echo x >/proc/self/cwd/.git/hooks/post-commit
echo x >/proc/self/root"$PWD"/.git/hooks/post-commit
echo x >/proc/thread-self/cwd/.git/hooks/post-commit
exec 3<.git/hooks && echo x >/proc/self/fd/3/post-commit
exec 3<.git/hooks/pre-commit && echo x >/proc/self/fd/3
exec 3<.git/hooks/pre-commit && echo x >/dev/fd/3
mv .git x
mv .git/hooks .git/h
mv .git/hooks/pre-commit .
rm .git/hooks/pre-commit
rm -rf .git/hooks
ln .git/hooks/pre-commit l && echo x >l
echo x >f && ln f .git/hooks/post-commit
echo x >f && mv f .git/hooks/post-commit
echo x >f && mv f .git/hooks/pre-commit
mkdir h && mv h .git/hooks/h
ln -s /bin/true .git/hooks/post-commit
mkfifo .git/hooks/fifo
chmod 644 .git/hooks/pre-commit
chmod 777 .git/hooks
python3 -c 'import os; os.fchmod(os.open(".git/hooks/pre-commit", os.O_RDONLY), 0o600)'
python3 -c 'import os; os.truncate(".git/hooks/pre-commit", 0)'
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(".git/hooks/socket")'
touch -d 2000-01-01 .git/hooks/new
mv nested/.git nested/x
mkdir -p e/hooks && echo x >e/hooks/post-commit && mv e nested/new.git && mkdir -p s && mv nested/new.git s/.git
mkdir -p e/hooks && echo x >e/hooks/p && ln -s e s.git && mkdir s && mv s.git s/.git
mkdir -p e/hooks && echo x >e/hooks/p && mkdir s && ln -s ../e s/.git
mkdir -p s/.git && mkdir s/.git/hooks
mkdir -p e/hooks && mv e .git/modules/new
mkdir -p .git/modules/deep/er/hooks
echo x >project/.vscode/tasks.json
mkdir -p q/.vscode && echo x >q/.vscode/tasks.json
mkdir -p node_modules && mv project node_modules/p && echo x >node_modules/p/.vscode/tasks.json && mv node_modules/p project
mkdir -p node_modules/p/.vscode && echo x >node_modules/p/.vscode/tasks.json && mv -n -T --no-copy node_modules/p q
mkdir -p node_modules/.vscode && echo x >node_modules/.vscode/tasks.json && mv node_modules plain
echo x >.envrc
echo x >.mcp.json
echo ../e >.git/commondir
GIT_TEMPLATE_DIR=/usr/share/git-core/templates git init -q new
EOF
}

@test "I1 I2: hooks and settings stay as they are, however they are spelled" {
  t() {
    repository "$1" || return 1
    while IFS= read -r text; do
      harmless "$1" "$text" || return 1
      # What an attempt left must not be in the way of the next.
      (cd "$WS" && rm -rf f l h e s q g plain node_modules new nested/x nested/new.git s.git)
    done < <(attempts)
    WAY=all harmless "$1" "$(attempts | sed 's/.*/(&)/')"
  }
  each_mode t
}

@test "the same works where nothing protects it, and git works where it does" {
  t() {
    repository "$1" || return 1
    inside "$1" --unprotect '**/.git/hooks/**' -- sh -c 'echo x >.git/hooks/post-commit' || return 1
    [ "$(cat "$WS/.git/hooks/post-commit")" = x ] || return 1
    inside "$1" -- sh -c 'git -c user.name=a -c user.email=a@b commit -q --allow-empty -n -m x && git checkout -q -b other && git gc -q &&
      git clone -q . clone && rm -rf clone && git worktree add -q wt && git worktree remove wt && git branch -q -D wt'
  }
  each_mode t
}

@test "a bare repository's hooks" {
  t() {
    native "$1" git init -q --bare . || return 1
    inside "$1" -- sh -c 'echo x >hooks/post-update; mv hooks h; mkdir -p e; mv e hooks' 2>/dev/null && return 1
    [ -d "$WS/hooks" ] && [ ! -e "$WS/hooks/post-update" ] || return 1
    inside "$1" --unprotect "$WS/hooks" -- sh -c 'echo x >hooks/post-update'
  }
  each_mode t
}

# The directory $1/shown is read, its part inner hidden; so is all of $1 that leads to the workspace.
@test "I3: what a hide rule names is hidden also around and in what is shown" {
  t() {
    local dir=/srv/gabion-attack.$$
    [ "$(id -u)" -eq 0 ] || return 0
    mkdir -p "$dir/shown/inner" "$dir/ws" && echo SECRET >"$dir/secret" && echo SECRET >"$dir/shown/inner/secret" && echo open >"$dir/shown/open"
    chmod -R a+rwX "$dir"
    status=0
    text='for f in secret shown/inner/secret; do stat "$0/$f" && exit 1; cat "$0/$f" && exit 1; done; ls "$0" && exit 1; cat "$0/shown/open"'
    (cd "$dir/ws" && in_mode "$1" "$GABION" run --quiet --hide "$dir" --read "$dir/shown" --hide "$dir/shown/inner" -- sh -c "$text" "$dir" 2>/dev/null) \
      >"$T/hidden" || status=$?
    [ "$(cat "$T/hidden")" = open ] || status=1
    # Without the rules it is there.
    (cd "$dir/ws" && in_mode "$1" "$GABION" run --quiet -- cat "$dir/secret" "$dir/shown/inner/secret") >"$T/hidden" || status=1
    grep -q SECRET "$T/hidden" || status=1
    rm -rf "$dir"
    return "$status"
  }
  each_mode t
}
