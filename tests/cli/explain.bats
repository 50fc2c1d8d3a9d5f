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
  [[ $output == *FAMILY*LEVEL*COST*WHY* ]]
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

@test "what calls cost is measured, and what nothing can hold is said" {
  "$GABION" explain --json | python3 -c '
import json, sys
plan = json.load(sys.stdin)["plan"]
cost = {p["level"]: p["cost_ns"] for p in plan}
assert cost["observe"] > cost.get("native", 1) > 0, cost
assert cost["emulate"] > cost.get("native", 1), cost
gaps = [p["family"] for p in plan if p["not_enforceable"]]
assert "list" in gaps, gaps
'
  run "$GABION" explain
  [[ $output == *"not enforceable here:"*"list "* ]]
}

@test "a writable place without exec inside the workspace is told as a gap" {
  mkdir out
  run "$GABION" explain --write out
  [ "$status" -eq 0 ]
  [[ $output == *"not enforceable here:"*"exec "* ]] || [[ $output == *"bare"* ]]
}

@test "--bpf prints the filter with the names of calls" {
  run "$GABION" explain --bpf
  [ "$status" -eq 0 ]
  [ "${#lines[@]}" -gt 100 ]
  [[ ${lines[0]} == *"load arch"* ]]
  [[ $output == *"ioctl"* && $output == *"notify"* && $output == *"errno ENOSYS"* && $output == *"kill"* ]]
  # Every instruction is understood, and every jump leads forwards to one that is there.
  awk -v n="${#lines[@]}" '$2 == "code" { exit 1 } { for (i = 2; i < NF; i++) if ($i == "to" && ($(i + 1) <= $1 || $(i + 1) >= n)) exit 1 }' <<<"${output//,/}"
}

@test "the rules about hosts are listed with where they come from" {
  run "$GABION" explain --net api.example.com --net 10.0.0.0/8:5432
  [ "$status" -eq 0 ]
  [[ $output == *"network api.example.com (--net)"* ]]
  [[ $output == *"10.0.0.0/8:5432 (--net)"* ]]
  run "$GABION" explain
  [[ $output == *"network off: no rule names a host"* ]]
  "$GABION" explain --json --net '*.example.org:443' | jq -e '.network[0].rule == "*.example.org:443" and .network[0].origin == "--net"'
}
