#!/bin/bash
# git: a repository from init to worktrees, with the same objects as outside.
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
git init -q -b main r && cd r || exit 1
mkdir -p a/b && for i in $(seq 50); do echo "$i" >"a/b/f$i"; done
printf '#!/bin/sh\necho hi\n' >x.sh && chmod +x x.sh && ln -s x.sh l
git add . && git commit -q -m first && git log --format=%H
git status --short; git ls-files -s | md5sum
echo more >>a/b/f1 && git diff --stat && git commit -qam second
git checkout -q -b topic && git mv a/b/f2 moved && git rm -q a/b/f3 && git commit -qm third
git checkout -q main && git merge -q --no-edit topic && git log --oneline | wc -l
git tag -a -m tag v1 && git describe
git stash -q 2>/dev/null; echo dirty >a/b/f4 && git stash -q && git stash pop -q && git status --short
git checkout -q -- a/b/f4
git worktree add -q ../wt topic && (cd ../wt && echo w >w && git add w && git commit -qm wt && git log --oneline | wc -l)
git worktree list | wc -l
cd .. && git clone -q --local r c && (cd c && git log --format=%H | md5sum && git remote -v | sed "s|$PWD/..|WS|; s|\t.*/r|\tR|")
git clone -q --bare r b.git && git -C c push -q ../b.git HEAD:refs/heads/new && git -C b.git branch | sort
git -C c fetch -q && git -C r gc -q && git -C r fsck && git -C r config user.email x@example.org && git -C r config user.email
cd r && git rebase -q HEAD~1 2>&1; git grep -c hi | head; git archive HEAD | tar t | wc -l; git blame a/b/f1 | wc -l
