# shellcheck shell=bash disable=SC2154 # names of run.sh
# The section `macro` of run.sh, which sources this: whole programs on a tree of 20,000 files, gabion's start included, native beside three
# configurations in turn: as shipped (the profile agent), everything mediated, and a policy of which the floor holds every rule with
# audit.reads off ("floor only": nothing of files is left to gabion then). Medians of three rounds; at the end the geometric mean of each.
# Uses $T, $W, $here, $GABION, $usual, row, tell, value, scaled, places, pin, in_mode.

# 200 directories of 100 files, a page or so each, committed; a tar of them; packages for npm and in its cache.
make_project() {
  python3 - <<'P' || return
import os
for d in range(200):
    os.makedirs(f"tree/d{d % 20}/s{d}")
    for i in range(100):
        with open(f"tree/d{d % 20}/s{d}/f{i}.txt", "w") as f:
            f.write("".join(f"line {l} of file {i} in directory {d}\n" for l in range(20 if i % 5 else 60)))
for p in range(20):
    os.makedirs(f"packages/p{p}/lib")
    with open(f"packages/p{p}/package.json", "w") as f:
        f.write('{"name": "bench-p%d", "version": "1.0.0", "main": "lib/m0.js"}\n' % p)
    for m in range(50):
        with open(f"packages/p{p}/lib/m{m}.js", "w") as f:
            f.write(f"exports.n = {m};\n" * 20)
P
  git -C tree init -q && git -C tree add . &&
    git -C tree -c user.name=bench -c user.email=bench@localhost -c gc.auto=0 commit -q -m "Add the files" &&
    tar -cf tree.tar --exclude .git tree || return
  if command -v npm >/dev/null; then
    (cd packages && npm --silent pack ./p* >/dev/null && for f in *.tgz; do npm --silent --cache ../npm-cache cache add "./$f"; done)
  fi
}

# A policy without a rule that takes something away from what is writable. It and the home must lie outside /tmp, which is writable.
make_floor_policy() {
  floor_home=$(mktemp -d /srv/gabion-bench.XXXXXX 2>/dev/null) || {
    tell "only root can make a directory in /srv: no rows for a policy that the floor holds"
    return
  }
  chmod 755 "$floor_home"
  cat >"$floor_home/floor.yaml" <<'Y'
version: 1
filesystem:
  home: host
  read: [/]
  exec: [/, "${workspace}", "${scratch}"]
  write: [/dev/null, /dev/zero, /dev/full, /dev/tty, /dev/ptmx, /dev/pts, /proc, "${workspace}", "${scratch}"]
  tmpfs: [/tmp, /var/tmp, /dev/shm, /run]
environment: {pass: ["*"]}
audit: {reads: off}
Y
}

# workload NAME COMMAND [PREPARE]: times `sh -c COMMAND` in the current directory; out/ is made anew before each, then PREPARE is done.
workload() {
  local name=$1 command=$2 prepare="rm -rf out; mkdir out; ${3-:}" place sides
  for place in $(places); do
    tell "$name"
    sides=(native sh -c "$command" // auto "$GABION" run --quiet -- sh -c "$command" // all "$GABION" run --quiet --mediate all -- sh -c "$command")
    [ -z "$floor_home" ] || sides+=(// floor env "HOME=$floor_home" "XDG_STATE_HOME=$T/home.$usual/.local/state" "$GABION" run --quiet
      -p "$floor_home/floor.yaml" -- sh -c "$command")
    pin "$place" in_mode "$usual" "$T/bin/ab" -n 3 -p "$prepare" "${sides[@]}" >"$T/out" 2>>"$T/macro.err"
    row macro "$name" "$usual" "$place" ms native "$(scaled "$(value "$T/out" native)" 1e6 0)" \
      "$(scaled "$(value "$T/out" auto)" 1e6 0)" "$(scaled "$(value "$T/out" all)" 1e6 0)" "at most 2.5 x, 5 x"
    [ -z "$floor_home" ] || row macro "$name, floor only" "$usual" "$place" ms native "$(scaled "$(value "$T/out" native)" 1e6 0)" \
      "$(scaled "$(value "$T/out" floor)" 1e6 0)" - "at most 1.1 x"
    awk -F '\t' -v p="$place" '{ v[$1] = $2 } END { for (k in v) if (k != "native" && v["native"] > 0) print p "\t" k "\t" v[k] / v["native"] }' \
      "$T/out" >>"$T/macro.ratios"
  done
}

# mean PLACE SIDE: the geometric mean of the ratios, or a dash.
mean() {
  awk -F '\t' -v p="$1" -v s="$2" '$1 == p && $2 == s { l += log($3); n++ } END { if (n) printf "%.2f", exp(l / n); else print "-" }' "$T/macro.ratios"
}

bench_macro() {
  local program place
  new_workspace "$usual"
  cp -r policy include "$W/"
  [ "$(id -u)" -ne 0 ] || chown -R --reference="$W" "$W"
  cd "$W" || return
  tell "project for the workloads"
  export -f make_project
  in_mode "$usual" bash -c make_project || return
  floor_home=
  make_floor_policy
  : >"$T/macro.ratios"
  : >"$T/macro.err"
  for program in git rg find tar python3 node npm gcc sqlite3; do
    command -v "$program" >/dev/null || {
      echo "bench: no $program here: its row is left out" >&2
      continue
    }
    # shellcheck disable=SC2016 # expanded by the shell that is timed
    case $program in
      git)
        workload "git status, 20,000 files, 3 times" 'for i in 1 2 3; do git -C tree status --short; done'
        workload "git clone --local, 20,000 files" 'git clone -q --local tree out/clone'
        ;;
      rg) workload "ripgrep, 20,000 files, 2 times" 'for i in 1 2; do rg -c "directory 4[0-9]" tree; done' ;;
      find) workload "find, 20,000 files, 3 times" 'for i in 1 2 3; do find tree -name "*.txt" -size +1k; done' ;;
      tar)
        workload "tar extract, 20,000 files" 'tar -xf tree.tar -C out'
        workload "rm -rf, 20,000 files, 2 trees" 'rm -rf out/a out/b' 'mkdir out/a out/b; tar -xf tree.tar -C out/a; tar -xf tree.tar -C out/b'
        ;;
      python3)
        workload "python start-up, 30 times" 'for i in $(seq 30); do python3 -c pass; done'
        workload "python imports, 10 times" \
          'for i in $(seq 10); do python3 -S -c "import asyncio, sqlite3, email.message, http.client, unittest, xml.dom.minidom"; done'
        ;;
      node)
        workload "node start-up, 10 times" 'for i in $(seq 10); do node -e 0; done'
        workload "node, 1,000 modules required, 5 times" 'for i in $(seq 5); do node -e "
          for (let p = 0; p < 20; p++) for (let m = 0; m < 50; m++) require(process.cwd() + \"/packages/p\" + p + \"/lib/m\" + m)"; done'
        ;;
      npm)
        workload "npm install from a local cache, 20 packages" \
          'cd out && echo "{}" >package.json && npm --silent --offline --no-audit --no-fund --cache ../npm-cache install ../packages/*.tgz'
        ;;
      gcc)
        workload "gcc -O0, policy/*.c" 'for f in policy/*.c; do gcc -std=gnu17 -D_GNU_SOURCE -Iinclude -I. -c "$f" -o "out/${f##*/}.o"; done'
        ;;
      sqlite3)
        workload "sqlite, 1,000 transactions" \
          '{ echo "create table t(a);"; for i in $(seq 1000); do echo "begin; insert into t values($i); commit;"; done; } | sqlite3 out/x.db'
        ;;
    esac
  done
  for place in $(places); do
    row macro "geometric mean of the ratios" "$usual" "$place" - - 1.00 "$(mean "$place" auto)" "$(mean "$place" all)" "1.2 x, 2.0 x"
    [ -z "$floor_home" ] || row macro "the same, floor only" "$usual" "$place" - - 1.00 "$(mean "$place" floor)" - "1.03 x"
  done
  sort "$T/macro.err" | uniq -c | head -n 20 >&2
  [ -z "$floor_home" ] || rm -rf "$floor_home"
  cd "$here" || return
}
