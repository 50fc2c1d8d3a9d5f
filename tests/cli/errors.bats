#!/usr/bin/env bats
# Wrong use: one clear sentence and how to mend it, status 125, nothing on standard output.

setup() {
  load common
}

# says WORDS... -- TEXT: gabion with these words is refused with a sentence that has TEXT.
says() {
  local words=()
  while [ "$1" != --- ]; do
    words+=("$1")
    shift
  done
  run --separate-stderr "$GABION" "${words[@]}"
  [ -z "$output" ] || { echo "on standard output: $output"; return 1; }
  # shellcheck disable=SC2154 # set by run
  output=$stderr
  mapfile -t lines <<<"$stderr"
  refused 125 "$2"
}

@test "options nobody takes, with the nearest one" {
  says run -x true --- "no option -x"
  says run --workspce . true --- "did you mean --workspace?"
  says run --work . true --- "did you mean --workspace?"
  says run -workspace . true --- "did you mean --workspace?"
  says run -m 2g true --- "--memory"
  says run --json true --- "no option --json"
  says doctor --jsn --- "did you mean --json?"
  says --versoin --- "did you mean --version?"
}

@test "subcommands that are none" {
  says rnu -- true --- "did you mean gabion run?"
  says bash --- "to run it: gabion run -- bash"
  says help doctr --- "did you mean doctor?"
}

@test "missing and needless values" {
  says run --read --- "--read needs a value"
  says run --read= true --- "--read needs a value"
  says run --read --write x --- "--read needs a value"
  says run --quiet=1 true --- "--quiet takes no value"
  says run --- "no command"
  says run -- --- "no command"
  says doctor now --- "one argument too many"
  says completion --- "an argument is missing"
  says completion csh --- "bash, zsh and fish"
}

@test "wrong values" {
  says run --memory lots true --- "512m"
  says run --memory 10 true --- "out of range"
  says run --timeout tomorrow true --- "1h30m"
  says run --cpus 0 true --- "out of range"
  says run --pids -1 true --- "no such amount"
  says run --user no-such-user true --- "no user is called 'no-such-user'"
  says run --user 1:no-such-group true --- "no group is called 'no-such-group'"
  says run --profile agnet true --- "did you mean agent"
  says run --agent claud true --- "did you mean claude"
  says run --mediate sometimes true --- "auto, all"
  says run --env =x true --- "names no variable"
}

@test "a rule about hosts that is none says what was meant" {
  says run --net https://example.org/x true --- "did you mean example.org:443?"
  says run --net 'example.org:https' true --- "did you mean 443?"
  says run --net '*example.org' true --- "did you mean *.example.org?"
  says run --net 10.1.2.3/16 true --- "did you mean 10.1.0.0/16"
  says run --publish 80 true --- "names no ports"
}

@test "the OCI runtime answers by either name, with its own statuses" {
  ln -s "$GABION" "$BATS_TEST_TMPDIR/gabion-oci"
  run "$BATS_TEST_TMPDIR/gabion-oci" --version
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == "gabion-oci version "* ]]
  run "$GABION" oci --root "$BATS_TEST_TMPDIR/root" state nosuch
  [ "$status" -eq 1 ]
  [[ $output == *'level=error msg="container does not exist"' ]]
}

@test "every wrong value of a long option is answered, none is taken" {
  for option in memory cpus pids timeout user; do
    for value in '' ' ' - -- . / 1e999 0x10 nan $'a\nb' 99999999999999999999999 ١; do
      run "$GABION" run "--$option=$value" -- true
      [ "$status" -eq 125 ] || { echo "--$option='$value': status $status"; false; }
    done
  done
}
