#!/usr/bin/env bats
# git's configuration: what the host's git would execute stays out of it, whoever writes it and however; git itself works.

setup() {
  load common
  command -v git >/dev/null || skip "needs git"
}

GIT_ENV='export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b'

# A repository whose user has an alias, with a worktree's and a submodule's configuration; bad is what must not get in.
repository() {
  native "$1" sh -ec "$GIT_ENV"'
    find . -mindepth 1 -delete; git init -q . && git config alias.st status && git commit -q --allow-empty -m x
    git config extensions.worktreeConfig true && git config --worktree core.sparseCheckout false
    git worktree add -q wt && git -C wt config --worktree core.sparseCheckout false
    mkdir .git/modules && git init -q --separate-git-dir "$PWD/.git/modules/sub" sub && git -C sub commit -q --allow-empty -m x
    printf "[core]\n\tfsmonitor = SECRET\n" >bad; cp .git/config good; printf "[user]\n\tname = x\n" >>good'
}

# All configuration there is, and what could lead to another.
state_of_config() {
  (cd "$WS" && find . \( -path '*/.git/*config*' -o -name .git \) ! -name '*.lock' ! -name '*.other' -printf '%p %y %m %l\n' | sort &&
    find . -path '*/.git/*config*' -type f ! -name '*.lock' ! -name '*.other' -exec cat {} + ; cat sub/.git wt/.git)
}

attempts() {
  cat <<'EOF'
cp bad .git/config
cat bad >>.git/config
: >.git/config
truncate -s 0 .git/config
dd if=bad of=.git/config conv=notrunc status=none
cp bad b && mv b .git/config
cp bad .git/config.lock && mv .git/config.lock .git/config
cp bad b && ln -f b .git/config
rm .git/config && cp bad .git/config
rm .git/config && ln bad .git/config
rm .git/config && ln -s ../bad .git/config
ln -sf ../bad .git/config
mv .git/config x && cp bad .git/config
mv .git/config .git/c && mv bad .git/config
mv .git x
mv .git x && mkdir .git && cp -r x/. .git && cp bad .git/config && rm -r x
cp -r .git x && rm -rf .git && cp bad x/config && mv x .git
cp bad ./.git//refs/../config
cp bad /proc/self/cwd/.git/config
cp bad /proc/self/root"$PWD"/.git/config
cd .git && cp ../bad config
ln -s .git g && cp bad g/config
ln -s .git/config c && cp bad c
exec 3<.git/config && cp bad /proc/self/fd/3
exec 3<.git && cp bad /proc/self/fd/3/config
chmod 666 .git/config
chmod 4755 .git/config
git config core.fsmonitor x
git config core.hooksPath x
git config core.sshCommand x
git config core.editor x
git config core.pager x
git config filter.a.clean x
git config diff.external x
git config alias.x '!x'
git config include.path ../bad
git config credential.helper '!x'
git config url.ext::x.insteadOf https://
git config remote.x.url 'ext::sh -c x'
git config remote.x.uploadpack x
git config submodule.x.update '!x'
git config core.worktree /
git config --unset alias.st
git config --rename-section alias a
git config --worktree core.fsmonitor x
git -C wt config --worktree core.fsmonitor x
git -C sub config core.fsmonitor x
git -C sub config core.worktree /
cp bad .git/config.worktree
cp bad .git/worktrees/wt/config.worktree
cp bad .git/worktrees/wt/config
cp bad .git/modules/sub/config
cp bad .git/modules/sub/config.worktree
mv .git/modules/sub .git/modules/x
mv .git/worktrees wt2
mkdir -p s/.git && cp bad s/.git/config
mkdir -p s/.git && cp bad s/.git/c && mv s/.git/c s/.git/config
mkdir -p s/x && cp bad s/x/config && mv s/x s/.git
mkdir -p s/x && cp bad s/x/config && ln -s x s/.git
mkdir -p .git/modules/x && cp bad .git/modules/x/config
mkdir -p s && cp bad s/config && ln -s ../../s .git/modules/config.d
git init -q s && git -C s config core.fsmonitor x
git -c init.templateDir="$(mkdir -p t && cp bad t/config && echo "$PWD"/t)" init -q s
git clone -q -c core.fsmonitor=x . s
printf '# x\r[core]\rfsmonitor = x\r' >b && cat .git/config b >c && mv c .git/config
printf '[user]\n\tname = a\\\n[core] fsmonitor = x\n' >b && cat .git/config b >c && mv c .git/config
touch -d 2000-01-01 .git/config; [ .git/config -nt bad ] || chmod 640 .git/config
EOF
}

try() {
  local text=$2
  shift 2
  "$@" sh -c "$GIT_ENV; $text" >"$T/try.out" 2>&1
}

# What git would read holds no SECRET, no key that executes, and still what the user set. Harmless keys are no matter, nor is removal.
unharmed() {
  native "$1" bash -c '
    fail() { echo "$*"; exit 1; }
    ! find . -path "*.git/*" -name "config*" ! -name "*.lock" -type l | grep . || fail "a link"
    ! find . -path "*.git/*" -name "config*" ! -name "*.lock" -type f -exec grep -il "SECRET\|fsmonitor" {} + | grep . || fail "a bad file"
    for f in .git/config .git/config.worktree .git/worktrees/wt/config.worktree .git/modules/sub/config; do
      [ -e $f ] || continue
      ! git config -f $f --list | grep -iE "^(core\.(fsmonitor|hookspath|sshcommand|editor|pager|worktree=/)|filter|diff|include|credential|url)|ext::|uploadpack|update=!|=!" ||
        fail "a bad key"
      [ "$(stat -c %a $f)" = 644 ] || fail "a mode"
    done
    [ "$(git config -f .git/config alias.st)" = status ] || fail "not what the user set"'
}

@test "I1 I2: .git/config, config.worktree and submodules' take no key that executes, however written" {
  t() {
    local before text harmed=0
    repository "$1"
    cp -a "$WS" "$T/template"
    before=$(state_of_config)
    while IFS= read -r text; do
      try "$1" "$text" native "$1"
      [ "$(state_of_config)" != "$before" ] || { echo "native changes nothing: $text" >&2; return 1; }
      unharmed "$1" >/dev/null 2>&1 || harmed=$((harmed + 1))
      native "$1" find . -mindepth 1 -delete
      cp -a "$T/template/." "$WS"
      try "$1" "$text" inside "$1" --
      unharmed "$1" || {
        echo "inside: $text" >&2
        cat "$T/try.out" >&2
        diff <(echo "$before") <(state_of_config) >&2
        return 1
      }
      native "$1" find . -mindepth 1 -delete
      cp -a "$T/template/." "$WS"
    done < <(attempts)
    rm -rf "$T/template"
    # Natively nearly all do harm that this test sees; the rest (mv .git x) only changes names.
    [ "$harmed" -ge 55 ] || { echo "only $harmed do harm natively" >&2; return 1; }
  }
  each_mode t
}

@test "I1: what is kept of the renamed file, and races with it, write nothing into the configuration" {
  t() {
    local how
    for how in fd map link exchange tmpfile dir swap; do
      repository "$1"
      won native "$1" "$ATTACK/keys_held" "$how" "$WS/.git/config" "$WS/bad" "$WS/good" || return 1
      repository "$1"
      held inside "$1" -- "$ATTACK/keys_held" "$how" "$WS/.git/config" "$WS/bad" "$WS/good" || return 1
      repository "$1"
      held inside "$1" --mediate all -- "$ATTACK/keys_held" "$how" "$WS/.git/config" "$WS/bad" "$WS/good" || return 1
      [ "$how" = dir ] && continue # hooks are protected still
      repository "$1"
      won inside "$1" --unprotect '**/.git/config' -- "$ATTACK/keys_held" "$how" "$WS/.git/config" "$WS/bad" "$WS/good" || return 1
    done
  }
  each_mode t
}

@test "I1: git works: init, clone, worktree, submodule, remote, push -u, checkout --track, sparse-checkout, config" {
  t() {
    local text="$GIT_ENV GIT_TEMPLATE_DIR= GIT_ALLOW_PROTOCOL=file"'
      git init -q a; cd a; git config user.name x; git config user.email x@y; echo 1 >f; mkdir config; echo 1 >config/f; git add .; git commit -qm x
      git clone -q . ../b; git remote add origin ../b; git push -qu origin HEAD:refs/heads/z; git checkout -q --track -b zz origin/z
      git remote rename origin o; git remote set-url o ../b; git branch -m zz yy; git config --unset branch.yy.merge; git branch -D master -q
      git worktree add -q ../wt; git worktree remove ../wt; git submodule --quiet add ../b config/sub; git commit -qm sub; git submodule --quiet sync
      git submodule --quiet update --init; git sparse-checkout set config; git sparse-checkout disable; git stash -q 2>/dev/null; git gc -q
      git config commit.gpgsign false; git config pull.rebase true; git config --remove-section pull; git tag -a v -m v; git switch -qc n; git fetch -q o
      git config --list --local | sort; cat .git/modules/config/sub/config; stat -c %a .git/config; cd ..
      git clone -q --bare a bare.git; git clone -q --mirror a mirror; git init -q --bare empty; ls; rm -rf a b; ls'
    native "$1" sh -ec "$text" >"$T/native.git" 2>&1
    native "$1" find . -mindepth 1 -delete
    inside "$1" -- sh -ec "$text" >"$T/inside.git" 2>&1
    diff "$T/native.git" "$T/inside.git" || return 1
    [ "$(find "$WS" -name '.gabion-keys*')" = "" ]
  }
  each_mode t
}

@test "I1: a bare repository as workspace" {
  t() {
    native "$1" git init -q --bare . || return 1
    inside "$1" -- sh -c 'git config user.name x && ! git config core.fsmonitor x && ! cp HEAD config && mkdir -p modules/x && ! cp HEAD modules/x/config' 2>"$T/bare.err" || return 1
    [ "$(native "$1" git config user.name)" = x ] && ! grep -q fsmonitor "$WS/config" || return 1
    inside "$1" --unprotect "$WS/config" -- git config core.fsmonitor x
  }
  each_mode t
}

@test "I1: a .git file that names a directory of the guest's own is told at the end" {
  t() {
    local text='git init -q a; git -C a -c user.name=x -c user.email=x@y commit -q --allow-empty -m x; git -C a worktree add -q ../wt
      git -C a -c protocol.file.allow=always submodule --quiet add "$PWD/a" sub; git init -q --bare e; git -C e config core.fsmonitor ./x'
    (cd "$WS" && in_mode "$1" "$GABION" run -- sh -ec "$GIT_ENV; $text") >"$OUT/said" 2>&1 || { cat "$OUT/said" >&2; return 1; }
    ! grep 'this run leaves' "$OUT/said" || return 1
    (cd "$WS" && in_mode "$1" "$GABION" run -- sh -c 'mkdir s; echo "gitdir: ../e" >s/.git; echo "$PWD/e" >a/.git/worktrees/wt/commondir') >"$OUT/said" 2>&1
    grep -q "leaves a repository whose configuration it could write: $WS/s/.git -> $WS/e" "$OUT/said" &&
      grep -q "$WS/a/.git/worktrees/wt/commondir -> $WS/e" "$OUT/said" || { cat "$OUT/said" >&2; return 1; }
    # Which is what a git outside believes.
    [ "$(native "$1" git -C s config core.fsmonitor)" = ./x ]
  }
  each_mode t
}

@test "I1: a repository can be copied and unpacked in memory of the run's own, and nowhere else" {
  t() {
    repository "$1" || return 1
    local copy='mkdir "$D/copy" && cp -r .git "$D/copy" && tar -cf "$D/x.tar" .git && mkdir "$D/u" && tar -xf "$D/x.tar" -C "$D/u" &&
      mkdir -p "$D/u/.git/hooks" && echo x >"$D/u/.git/hooks/pre-commit" && echo x >>"$D/u/.git/config"'
    local there='D=$TMPDIR'
    # Without namespaces that is a directory of the host's.
    if [ "$1" = bare ]; then
      inside "$1" -- sh -c "$there; ! { $copy; }" 2>/dev/null || return 1
    else
      inside "$1" -- sh -c "$there; $copy" || return 1
      # What a user's own rule protects is so there, too; and nothing arrives whole in the workspace.
      inside "$1" --protect '**/.git/hooks' -- sh -c "$there; ! { $copy; }" 2>/dev/null || return 1
      inside "$1" -- sh -c "$there; $copy && ! mv \"\$D/u\" here && ! ln \"\$D/u/.git/config\" here/.git/config" 2>/dev/null || return 1
      [ ! -e "$WS/here/.git/config" ] && [ ! -e "$WS/here/.git/hooks" ] || return 1
    fi
    rm -rf "$WS/here"
    inside "$1" -- sh -c "D=.; ! { $copy; }" 2>/dev/null
  }
  each_mode t
}
