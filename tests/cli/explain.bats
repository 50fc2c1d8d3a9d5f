#!/usr/bin/env bats
# gabion explain: the plan as text and JSON.

setup() {
  load common
  export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state HOME=$BATS_TEST_TMPDIR/home
  mkdir -p "$HOME" "$BATS_TEST_TMPDIR/work"
  cd "$BATS_TEST_TMPDIR/work" || return
}

# shellcheck disable=SC2120 # run passes them
levels() {
  "$GABION" explain --json "$@" |
    python3 -c 'import json, sys; print("\n".join(p["family"] + " " + p["level"] for p in json.load(sys.stdin)["plan"]))'
}

@test "every family has a level and a reason" {
  "$GABION" explain --json | python3 -c '
import json, sys
r = json.load(sys.stdin)
assert r["mode"] in ("root", "rootless", "bare"), r["mode"]
assert r["floor"], "no floor"
assert len(r["plan"]) >= 14
for p in r["plan"]:
    assert p["level"] in ("native", "observe", "emulate", "deny") and p["why"], p
assert any(x["kind"] == "hide" for x in r["rules"])
'
  run "$GABION" explain
  [ "$status" -eq 0 ]
  [[ $output == *FAMILY*LEVEL*WHY* ]]
  [ "$(levels | wc -l)" -eq "$(awk '/^FAMILY/ { on = 1; next } /^$/ { on = 0 } on' <<<"$output" | wc -l)" ]
}

@test "options are the rules of the plan" {
  "$GABION" explain --json --hide '/srv/**/secret' | python3 -c '
import json, sys
rules = json.load(sys.stdin)["rules"]
assert any(x["kind"] == "hide" and x["pattern"] == "/srv/**/secret" and x["origin"] == "--hide" for x in rules)
'
}

@test "--mediate all leaves no family of paths to the kernel" {
  run levels --mediate all
  [ "$status" -eq 0 ]
  for family in read write meta change; do
    [[ $output == *"$family emulate"* ]] || [[ $output == *"$family deny"* ]]
  done
}

@test "nothing is started: no run is kept" {
  "$GABION" explain -- sh -c 'touch started' >/dev/null
  [ ! -e started ]
  [ -z "$(ls "$XDG_STATE_HOME/gabion/runs" 2>/dev/null)" ]
}

@test "a workspace that is none is said in one line" {
  run "$GABION" explain --workspace /no/such/dir
  refused 125 "/no/such/dir"
}
