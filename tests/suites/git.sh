#!/usr/bin/env bash
# Scripts of git's own test-suite that work with files, repositories and worktrees, natively and inside, where nothing is protected: the
# suite writes hooks and moves .git about. GIT_SUITE names a built source tree of git (`apt-get source git`, `make`), SUITE_TESTS other scripts.
. "$(dirname "$0")/lib.sh"
tree=${GIT_SUITE:-}
[ -x "$tree/t/helper/test-tool" ] || { echo "1..0 # skip GIT_SUITE names no built source tree of git"; exit 0; }
tree=$(cd "$tree" && pwd)
tests=${SUITE_TESTS:-t0001-init t0003-attributes t0008-ignores t0021-conversion t0050-filesystem t0060-path-utils t0061-run-command
  t0070-fundamental t1000-read-tree-m-3way t1006-cat-file t1020-subdirectory t1050-large t1300-config t1301-shared-repo t1400-update-ref
  t1450-fsck t1500-rev-parse t1510-repo-setup t2003-checkout-cache-mkdir t2007-checkout-symlink t2021-checkout-overwrite t2400-worktree-add
  t2401-worktree-prune t2403-worktree-move t3000-ls-files-others t3200-branch t3404-rebase-interactive t3600-rm t3700-add t3903-stash
  t4001-diff-rename t4115-apply-symlink t4122-apply-symlink-inside t5000-tar-tree t5300-pack-object t5304-prune t5510-fetch
  t5516-fetch-push t5601-clone t5604-clone-reference t6500-gc t7001-mv t7063-status-untracked-cache t7300-clean t7400-submodule-basic
  t7508-status t7519-status-fsmonitor t7700-repack t9300-fast-import}

script='
ws=$PWD
mkdir out trash
for t in '$tests'; do
  cd '"$tree"'/t || exit
  TEST_OUTPUT_DIRECTORY=$ws/out timeout 600 sh "./$t.sh" --root="$ws/trash" </dev/null 2>&1 | grep -E "^(ok|not ok|1\.\.|FATAL)" | sed "s/^/$t: /"
  cd "$ws" && chmod -R u+rwX trash && rm -rf trash/*
done >result
'
suite_each git "$script" --read "$tree" --exec "$tree" --unprotect '**' --unprotect '**/.git/config' --unprotect '**/.git/hooks/**'
suite_end
