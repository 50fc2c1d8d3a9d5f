# shellcheck shell=bash
# More helpers, for tests of the container itself: bundles are changed by Python statements, since commands hold options.

# bundle NAME STATEMENTS COMMAND...: the bundle $BATS_TEST_TMPDIR/NAME in BUNDLE, its config.json the one of `spec` changed by
# STATEMENTS on c (all), p (process), l (linux), m (mounts).
bundle() {
  BUNDLE=$BATS_TEST_TMPDIR/$1
  local statements=$2
  shift 2
  mkdir -p "$BUNDLE"
  [ -d "$BATS_FILE_TMPDIR/rootfs" ] || make_rootfs "$BATS_FILE_TMPDIR/rootfs"
  rm -f "$BUNDLE/config.json"
  "$RT" spec --bundle "$BUNDLE"
  ROOTFS=${ROOTFS:-$BATS_FILE_TMPDIR/rootfs} CGROUP=/$CG/${BUNDLE##*/} python3 - "$BUNDLE/config.json" "$statements" "$@" <<'PY'
import json, os, sys
path, statements, args = sys.argv[1], sys.argv[2], sys.argv[3:]
c = json.load(open(path))
p, l, m = c["process"], c["linux"], c["mounts"]
p["terminal"], p["rlimits"], p["args"] = False, [], args
c["root"]["path"], l["cgroupsPath"] = os.environ["ROOTFS"], os.environ["CGROUP"]
exec(statements)
json.dump(c, open(path, "w"), indent=1)
PY
}

# try NAME STATEMENTS COMMAND...: runs such a container; its output and status are bats'.
try() {
  bundle "$@"
  run timeout 60 "$RT" --root "$ROOT" run --bundle "$BUNDLE" "$1"
}

# A root file system of the test's own, to be made hostile.
own_rootfs() {
  ROOTFS=$BATS_TEST_TMPDIR/rootfs
  make_rootfs "$ROOTFS"
}
