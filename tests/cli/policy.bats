#!/usr/bin/env bats
# gabion check, and the manual of the language: every example in it is valid, its table of precedence is what happens.

setup() {
  load common
  export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state HOME=$BATS_TEST_TMPDIR/home
  mkdir -p "$HOME" "$BATS_TEST_TMPDIR/work"
  cd "$BATS_TEST_TMPDIR/work" || return
}

# The literal blocks of the page that are policies, one file each.
examples() {
  awk -v dir="$1" '/^\.Bd -literal/ { on = 1; n++; next } /^\.Ed/ { on = 0 } on { print > (dir "/" n ".yaml") }' \
    "$SRC/docs/gabion-policy.5"
}

@test "every example of the manual is a valid policy" {
  examples .
  [ "$(ls ./*.yaml | wc -l)" -ge 10 ]
  for f in ./*.yaml; do
    grep -q '^version: 1$' "$f" || { echo "$f is no policy"; false; }
    run "$GABION" check "$f"
    [ "$status" -eq 0 ] || { cat "$f"; echo "$output"; false; }
  done
}

@test "the manual's table of precedence is what happens" {
  awk '/^\.\\" table: rules/ { on = 1 } on && /^\.Ed/ { exit } on && !/^\./ { print }' "$SRC/docs/gabion-policy.5" >rules.yaml
  awk '/^\.\\" table: rows/ { on = 1 } on && /^\.El/ { exit } on && /^\.It [a-z]/ { sub(/^\.It /, ""); gsub(/ Ta /, "\t"); print }' \
    "$SRC/docs/gabion-policy.5" >rows
  [ "$(wc -l <rows)" -ge 15 ]
  # Both answers, of every question.
  [ "$(cut -f 1,3 rows | sort -u | wc -l)" -eq 8 ]
  while IFS=$'\t' read -r question object answer rule; do
    run --separate-stderr "$GABION" check rules.yaml "$question" "$object"
    [[ $output == "$answer"*" $question $object: "* ]] || { echo "$question $object: $output"; false; }
    [ "$status" -eq "$([ "$answer" = allowed ] && echo 0 || echo 1)" ]
    if [ "$rule" = - ]; then
      [[ $output == *": no rule allows it" ]]
    else
      [[ $output == *": $rule (rules.yaml:"* || $output == *": $rule ("*"rules.yaml:"* ]] || { echo "$question $object: $output, not $rule"; false; }
    fi
  done <rows
}

@test "the manual names every key of the language" {
  printf 'version: 1\nnokey: 1\nfilesystem: {nokey: 1}\nexec: {nokey: 1}\nnetwork: {nokey: 1}\nlimits: {nokey: 1}\naudit: {nokey: 1}\nenvironment: {nokey: 1}\n' >bad.yaml
  run "$GABION" check bad.yaml
  [ "$status" -eq 1 ]
  keys=$(grep -o '(there are: [^)]*)' <<<"$output" | sed 's/(there are: //; s/)//; s/,//g' | tr ' ' '\n' | sort -u)
  [ "$(wc -l <<<"$keys")" -ge 30 ]
  for key in $keys; do
    grep -qE "^\.(Ss|It Cm|Cm) .*\b$key\b" "$SRC/docs/gabion-policy.5" || { echo "the manual has no $key"; false; }
  done
}

@test "all errors of a file are told in one go, with place and suggestion" {
  printf 'version: 1\nextends: agnet\nfilesytem: {}\nlimits: {memory: much}\n' >bad.yaml
  run "$GABION" check bad.yaml
  [ "$status" -eq 1 ]
  [ "${#lines[@]}" -eq 3 ]
  [[ ${lines[0]} == *bad.yaml:2:*agent* && ${lines[1]} == *bad.yaml:3:1:*filesystem* && ${lines[2]} == *bad.yaml:4:* ]]
}

@test "no question is answered by a policy that is not valid" {
  printf 'version: 1\nextends: agent\nfoo: 1\n' >bad.yaml
  run --separate-stderr "$GABION" check bad.yaml read /etc/passwd
  [ "$status" -eq 1 ]
  [ -z "$output" ]
  # shellcheck disable=SC2154 # set by run
  [[ $stderr == *"unknown key 'foo'"* ]]
}

@test "check answers in JSON" {
  printf 'version: 1\nextends: agent\nfilesystem: {hide: ["**/.env"]}\n' >p.yaml
  "$GABION" check --json p.yaml read /etc/hosts a/.env >out || [ $? -eq 1 ]
  python3 -c '
import json
r = json.load(open("out"))
assert r["valid"] is True
a, b = r["answers"]
assert a["allowed"] is True and a["object"] == "/etc/hosts", a
assert b["allowed"] is False and b["rule"] == "hide /**/.env" and "p.yaml:3:" in b["origin"], b
'
  printf 'version: 2\n' >bad.yaml
  "$GABION" check --json bad.yaml >out || [ $? -eq 1 ]
  python3 -c '
import json
r = json.load(open("out"))
assert r["valid"] is False and r["messages"][0]["line"] == 1 and not r["messages"][0]["warning"] and r["answers"] == []
'
}

@test "wrong use is told apart from a refusal" {
  printf 'version: 1\nextends: agent\n' >p.yaml
  run "$GABION" check
  [ "$status" -eq 125 ]
  run "$GABION" check p.yaml look /etc
  refused 125 "'look' is no question"
  run "$GABION" check p.yaml read
  refused 125 "read what?"
  run "$GABION" check nowhere.yaml
  [ "$status" -eq 1 ]
  [[ $output == *nowhere.yaml* ]]
}

@test "a relative object is one of the current directory, a link is what it leads to" {
  printf 'version: 1\nextends: agent\n' >p.yaml
  ln -s /etc/shadow link
  run --separate-stderr "$GABION" check p.yaml read link
  [ "$status" -eq 1 ]
  [[ $output == *"refused"*"/etc/shadow"* ]]
  run --separate-stderr "$GABION" check p.yaml write new/file
  [ "$status" -eq 0 ]
  [[ $output == *"/work/new/file: write "* ]]
}

@test "hosts are asked about by name, address and port, and a spelling nobody means is none" {
  printf 'version: 1\nextends: agent\nnetwork:\n  allow: ["api.example.com:443", "*.example.org", "10.1.0.0/16:5432"]\n  groups: ["@mine"]\ngroups: {mine: ["m.example.net:8443"]}\n' >p.yaml
  for host in api.example.com:443 api.example.com API.example.com:443 a.b.example.org:443 10.1.2.3:5432 m.example.net:8443; do
    run --separate-stderr "$GABION" check p.yaml connect "$host"
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [[ $output == *"p.yaml:"* ]]
  done
  for host in api.example.com:80 example.org:443 10.2.0.1:5432 10.1.2.3:443 127.1:80 0x7f000001:80 127.0.0.1:80 api.example.com:443/udp 'a b:443'; do
    run --separate-stderr "$GABION" check p.yaml connect "$host"
    [ "$status" -eq 1 ] || { echo "$output"; false; }
  done
}

@test "programs that are denied are, and those with arguments are told" {
  printf 'version: 1\nextends: agent\nexec:\n  deny: [/usr/bin/env, {path: /usr/bin/sort, args: ["-o", "**"]}]\n' >p.yaml
  run --separate-stderr "$GABION" check p.yaml exec /usr/bin/env
  [ "$status" -eq 1 ]
  [[ $output == "refused exec /usr/bin/env: "*"p.yaml:4:"* ]]
  run --separate-stderr "$GABION" check p.yaml exec /usr/bin/sort /usr/bin/id
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == *"not with arguments as of "*"p.yaml:4:"* && ${lines[1]} != *"arguments"* ]]
}

@test "a policy comes from a pipe as well" {
  run "$GABION" check <(printf 'version: 1\nextends: agent\n') read /etc/hosts
  [ "$status" -eq 0 ]
  run "$GABION" check <(printf 'verion: 1\n')
  [ "$status" -eq 1 ]
  [[ $output == *"did you mean version?"* ]]
  run "$GABION" check <(printf 'version: 1\nextends: ./nowhere.yaml\n')
  [ "$status" -eq 1 ]
}
