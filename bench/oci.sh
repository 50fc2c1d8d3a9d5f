#!/usr/bin/env bash
# oci.sh [ROUNDS]: containers of gabion-oci against runc and crun, in turn within one run: create, start and delete of
# /bin/true; exec of /bin/true into a running container; and the memory of gabion's own processes of one container.
# Figures only. Needs root and busybox; a runtime that is not there, or cannot work on this host, is named and left out.
set -u
cd "$(dirname "$0")/.." || exit 1
rounds=${1:-15}
build=${BUILD:-build}
[ "$(id -u)" -eq 0 ] || { echo "oci: needs root" >&2; exit 0; }
command -v busybox jq >/dev/null || { echo "oci: needs busybox and jq" >&2; exit 0; }

# crun refuses hosts with both versions of cgroups: in a mount namespace the half of version 2 is taken away.
if [ -z "${BENCH_OCI_INSIDE-}" ] && [ -e /sys/fs/cgroup/unified/cgroup.controllers ]; then
  BENCH_OCI_INSIDE=1 exec unshare -m sh -c 'umount /sys/fs/cgroup/unified; exec bash "$@"' sh "bench/${0##*/}" "$rounds"
fi

W=$(mktemp -d "${TMPDIR:-/tmp}/gabion-bench-oci.XXXXXX") || exit 1
GABION_OCI=$W/gabion-oci
cp "$build/gabion" "$W/gabion" && ln -s gabion "$GABION_OCI"
group=gabion-bench-$$
over() {
  local rt
  for rt in "$GABION_OCI" runc crun; do
    command -v "$rt" >/dev/null && "$rt" --root "$W/s.${rt##*/}" delete --force x 2>/dev/null
    command -v "$rt" >/dev/null && "$rt" --root "$W/s.${rt##*/}" delete --force e 2>/dev/null
  done
  rmdir /sys/fs/cgroup/*/"$group" /sys/fs/cgroup/"$group" 2>/dev/null
  rm -rf "$W"
}
trap over EXIT

for b in true sleep; do
  mkdir -p "$W/$b/rootfs/bin" "$W/$b/rootfs/proc" "$W/$b/rootfs/sys" "$W/$b/rootfs/dev"
  cp "$(command -v busybox)" "$W/$b/rootfs/bin/busybox"
  ln -s busybox "$W/$b/rootfs/bin/true"
  ln -s busybox "$W/$b/rootfs/bin/sleep"
  "$GABION_OCI" spec --bundle "$W/$b"
  jq --arg g "/$group/$b" --arg b "$b" '.ociVersion = "1.0.2" | .process.terminal = false | .process.rlimits = []
    | .linux.cgroupsPath = $g | .process.args = (if $b == "true" then ["true"] else ["sleep", "1000"] end)' \
    "$W/$b/config.json" >"$W/$b/c" && mv "$W/$b/c" "$W/$b/config.json"
done

cycle() { # RUNTIME
  "$1" --root "$W/s.${1##*/}" create --bundle "$W/true" x </dev/null >/dev/null 2>&1 &&
    "$1" --root "$W/s.${1##*/}" start x && "$1" --root "$W/s.${1##*/}" delete --force x
}
enter() {
  "$1" --root "$W/s.${1##*/}" exec e true </dev/null >/dev/null 2>&1
}
# Microseconds of the command, or "failed".
timed() {
  local from=${EPOCHREALTIME/./} to
  "$@" || { echo failed; return; }
  to=${EPOCHREALTIME/./}
  echo $((to - from))
}

runtimes=("$GABION_OCI")
for rt in runc crun; do
  command -v "$rt" >/dev/null && runtimes+=("$rt")
done
for what in cycle enter; do
  for rt in "${runtimes[@]}"; do
    if [ "$what" = enter ]; then
      # one after the other: the group has one name
      "$rt" --root "$W/s.${rt##*/}" create --bundle "$W/sleep" e </dev/null >/dev/null 2>&1 && "$rt" --root "$W/s.${rt##*/}" start e
    fi
    [ "$what" = enter ] || continue
    for _ in $(seq "$rounds"); do
      echo "enter ${rt##*/} $(timed enter "$rt")"
    done
    if [ "$rt" = "$GABION_OCI" ]; then
      jq -r '.helpers[].pid' "$W/s.gabion-oci/e/state.json" | while read -r pid; do
        awk '/^Rss:/ { rss = $2 } /^Pss:/ { print "memory gabion-oci " $2 " " rss }' "/proc/$pid/smaps_rollup"
      done
    fi
    "$rt" --root "$W/s.${rt##*/}" delete --force e
  done
  [ "$what" = cycle ] || continue
  for _ in $(seq "$rounds"); do
    for rt in "${runtimes[@]}"; do
      echo "cycle ${rt##*/} $(timed cycle "$rt")"
    done
  done
done | awk '
  $3 == "failed" { failed[$1 " " $2]++; next }
  $1 == "memory" { pss += $3; rss += $4; next }
  { k = $1 " " $2; v[k, ++n[k]] = $3 }
  function median(k,   i, j, t) {
    for (i = 2; i <= n[k]; i++) for (j = i; j > 1 && v[k, j - 1] > v[k, j]; j--) { t = v[k, j]; v[k, j] = v[k, j - 1]; v[k, j - 1] = t }
    return v[k, int((n[k] + 1) / 2)]
  }
  END {
    title["cycle"] = "create, start, delete of true"; title["enter"] = "exec of true"; target["cycle"] = 1.5; target["enter"] = 2
    printf "%-32s %-12s %10s %10s %10s\n", "WHAT", "RUNTIME", "MEDIAN us", "MIN us", "x crun"
    split("cycle enter", whats, " "); split("gabion-oci runc crun", rts, " ")
    for (i = 1; i <= 2; i++) {
      base = n[whats[i] " crun"] ? median(whats[i] " crun") : 0
      for (j = 1; j <= 3; j++) {
        k = whats[i] " " rts[j]
        if (failed[k]) printf "%-32s %-12s %10s\n", title[whats[i]], rts[j], "failed " failed[k] " times"
        if (!n[k]) continue
        m = median(k)
        printf "%-32s %-12s %10d %10d %10s%s\n", title[whats[i]], rts[j], m, v[k, 1], base ? sprintf("%.2f", m / base) : "-",
          rts[j] == "gabion-oci" ? "   (target " target[whats[i]] ")" : ""
      }
    }
    if (pss) printf "%-32s %-12s %10d KB resident, %d KB with shared pages counted once (target 8192)\n", "memory of a container", "gabion-oci", rss, pss
  }'
