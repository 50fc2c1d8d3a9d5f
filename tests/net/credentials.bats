#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables are read by world.bash
# Credentials: real clients against servers of the test's own. Inside there is a placeholder, the server sees the value, and nothing of the
# value comes back. Without namespaces a run with credentials does not start.

setup_file() {
  export T=${T:-$BATS_FILE_TMPDIR}
  load ../cli/common
  load ../lib/world
  chmod 755 "$T"
  world_up
  mkdir "$W/git"
  git init -q --bare -b main "$W/git/repo.git"
  (
    cd "$T" && git -c init.defaultBranch=main clone -q "$W/git/repo.git" seed 2>/dev/null && cd seed && echo content >file && git add file &&
      git -c user.name=t -c user.email=t@example.com commit -q -m first && git push -q origin HEAD:main
  ) 2>/dev/null
  printf 'x-access-token:%s' "$(value)" >"$W/password"
  for a in 203.0.113.9 203.0.113.10; do
    nsenter -t "$(cat "$W/world.pid")" -n python3 "$SRC/tests/lib/keys_server.py" "$W" "$a" 8443 "$W/git" 3>&- 8>&- >>"$W/server.log" 2>&1 &
    echo $! >>"$W/servers"
  done
  for _ in $(seq 200); do
    [ -e "$W/ready.203.0.113.9.8443" ] && [ -e "$W/ready.203.0.113.10.8443" ] && break
    sleep 0.05
  done
  [ -e "$W/ready.203.0.113.10.8443" ]
}

teardown_file() {
  load ../lib/world
  # shellcheck disable=SC2046 # one word a server
  [ -z "${W:-}" ] || kill $(cat "$W/servers") 2>/dev/null
  world_down
}

value() { echo ghp_RealValue0123456789abcdefghij; }
second() { echo sk-ant-api03-Other_Value-9876543210zyxw; }

setup() {
  load ../cli/common
  load ../lib/world
  NOT=bare
  PATH=/usr/local/bin:/usr/bin:/bin
  export SSL_CERT_FILE=$W/ca.pem API=https://api.example.com:8443
  TOKEN=$(value)
  OTHER_KEY=$(second)
  export TOKEN OTHER_KEY
  unset GIT_SSL_CAINFO PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS
  : >"$W/requests"
  chmod 666 "$W/requests"
  policy 'inject: {bearer: true}'
}

# policy LINE...: of TOKEN; OTHER_KEY is always for other.example.com.
policy() {
  {
    printf 'version: 1\nextends: agent\nnetwork: {allow: ["*.example.com:443,80,8443"]}\ncredentials:\n  - name: TOKEN\n    from: env\n    hosts: ["api.example.com:8443"]\n'
    printf '    %s\n' "$@"
    printf '  - name: OTHER_KEY\n    from: env\n    hosts: ["other.example.com:8443"]\n    inject: {header: x-api-key}\n'
  } >"$W/policy.yaml"
}

# keys MODE CMD...: inside, with the policy.
keys() {
  local mode=$1
  shift
  in_world "$mode" "$GABION" run --quiet -p "$W/policy.yaml" --exec "$TESTS" -- "$@"
}

# seen EXPRESSION: of the requests the servers saw (r: a list).
seen() {
  python3 -c 'import json,sys; r=[json.loads(l) for l in open(sys.argv[1])]; print(eval(sys.argv[2]))' "$W/requests" "$1"
}

# The record of the newest run in MODE.
record() { in_world "$1" "$GABION" log --credentials; }

@test "a placeholder inside, the value at the server, and not in what comes back" {
  t() {
    local out holder
    out=$(keys "$1" bash -c 'echo "$TOKEN"; curl -sS -i $API/echo; curl -sS -i $API/echo-header; curl -sS -i $API/echo-chunked; curl -sS $API/echo-close; curl -sS -i $API/echo-error
      curl -sS -i $API/redirect; curl -sS --raw -i $API/echo-chunked; cat /proc/*/environ 2>/dev/null | tr "\0" "\n"; grep -rsa RealValue0 /proc/[0-9]*/cmdline /run /tmp $HOME; true') || return 1
    holder=${out%%$'\n'*}
    [[ $holder =~ ^ghp_[A-Z][a-z]+[A-Z][a-z]+[0-9]{10}[a-z]{10}$ && $holder != "$TOKEN" ]] || { echo "no placeholder: $holder"; return 1; }
    [[ $out != *RealValue0123* && $out != *"${TOKEN#ghp_}"* ]] || { echo "the value is inside: $out"; return 1; }
    # It was there to be taken out: seven answers had it.
    [ "$(grep -o "$holder" <<<"$out" | wc -l)" -ge 10 ] || { echo "$out"; return 1; }
    is "['Bearer $TOKEN']" "$(seen 'sorted({q["fields"].get("authorization") for q in r})')" "what the server saw"
    is 7 "$(seen 'len(r)')" requests
    # Control: the same from outside, with the value, comes back.
    : >"$W/requests"
    out=$(in_world "$1" bash -c 'curl -sS --cacert $W/ca.pem -H "Authorization: Bearer $TOKEN" $API/echo')
    [[ $out == *"$TOKEN"* ]] || { echo "control: $out"; return 1; }
    : >"$W/requests"
  }
  each_mode t
}

@test "curl, python, node and git: clients as they are" {
  policy 'inject: {basic: {user: x-access-token}}'
  t() {
    local out
    out=$(keys "$1" bash -c '
      set -e
      curl -sSf $API/
      curl -sSf --data-binary @/usr/bin/env $API/body
      curl -sSf -T - -H "Expect: 100-continue" $API/body </usr/bin/env
      python3 -c "import urllib.request,os; print(urllib.request.urlopen(os.environ[\"API\"] + \"/\").read())"
      if command -v node >/dev/null; then node -e "fetch(process.env.API + \"/\").then(r => r.text()).then(t => console.log(t)).catch(e => { console.log(e.cause); process.exit(1) })"; else echo ok; fi
      git clone -q $API/git/repo.git r 2>&1
      cd r
      cat file
      head -c 3000000 /dev/urandom >large
      git add large
      git -c user.name=t -c user.email=t@example.com commit -q -m second
      git push -q origin HEAD:refs/heads/'"$1"' 2>&1
      git ls-remote -q origin refs/heads/'"$1"' | wc -l') || { echo "$out"; return 1; }
    size=$(stat -c %s /usr/bin/env) sum=$(sha256sum </usr/bin/env | cut -c 1-64)
    [ "$(grep -c "^$size $sum$" <<<"$out")" -eq 2 ] || { echo "bodies: $out"; return 1; }
    [[ $out == *"b'ok\\n'"* && $out == *content* && $out == *$'\n1' ]] || { echo "$out"; return 1; }
    is "$(printf 'x-access-token:%s' "$TOKEN" | base64 -w0 | sed 's/^/Basic /')" "$(seen 'r[-1]["fields"]["authorization"]')" Basic
    rm -rf "$WS/r"
  }
  each_mode t
}

@test "a placeholder that goes to another host is refused and recorded" {
  t() {
    local out
    out=$(keys "$1" bash -c '
      curl -sS -o /dev/null -w "%{http_code}\n" -H "X-Note: $OTHER_KEY" $API/
      curl -sS -o /dev/null -w "%{http_code}\n" "$API/?k=$OTHER_KEY"
      curl -sS -o /dev/null -w "%{http_code}\n" -u "u:$OTHER_KEY" $API/
      curl -sS -o /dev/null -w "%{http_code}\n" -d "before $OTHER_KEY after" $API/body
      curl -sS -o /dev/null -w "%{http_code}\n" -H "X-Note: $TOKEN" https://other.example.com:8443/
      curl -sS -o /dev/null -w "%{http_code}\n" $API/fine')
    is "403 403 403 403 403 200" "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')" statuses
    is "['/fine']" "$(seen '[q["target"] for q in r]')" "what arrived"
    is "5 1" "$(record "$1" | awk '{ n[$2]++ } END { print n["exfiltration"], n["used"] }')" record
    record "$1" | grep -q 'exfiltration OTHER_KEY GET api.example.com:8443 / = 403'
    ! record "$1" --json | grep -E 'RealValue|Other_Value' || return 1
    : >"$W/requests"
  }
  each_mode t
}

@test "methods and paths, rates, sizes" {
  policy 'inject: {bearer: true}' 'allow: ["GET /v1/**", "POST /v1/messages"]' 'deny: true' 'limits: {rate: 5/h, body: 1m}'
  t() {
    local out
    out=$(keys "$1" bash -c '
      s() { curl -sS --path-as-is -o /dev/null -w "%{http_code} " "$@"; }
      s $API/v1/a; s $API/v2/a; s -X DELETE $API/v1/a; s $API/v1/../v2/a; s $API/v1/%2e%2e/v2; s -d x $API/v1/messages; s -d x $API/v1/messages/b
      head -c 2000000 /dev/zero >big; s -T - -X POST $API/v1/messages <big; s --data-binary @big $API/v1/messages; s $API/v1/b; s $API/v1/c; s $API/v1/d')
    is "200 403 403 403 403 200 403 413 413 200 200 429 " "$out" statuses
    # Without deny the rest goes without the value, and without what the guest would say instead.
    sed -i '/deny: true/d; /limits:/d' "$W/policy.yaml"
    : >"$W/requests"
    keys "$1" curl -sS -o /dev/null -H "Authorization: Bearer mine" -H "X-Api-Key: mine" $API/v2/a
    is "[(False, False)]" "$(seen '[("authorization" in q["fields"], "x-api-key" in q["fields"]) for q in r]')" "without"
    policy 'inject: {bearer: true}' 'allow: ["GET /v1/**", "POST /v1/messages"]' 'deny: true' 'limits: {rate: 5/h, body: 1m}'
    : >"$W/requests"
  }
  each_mode t
}

@test "every way to put it in" {
  t() {
    policy 'inject: {header: X-Mine}'
    keys "$1" curl -sS -o /dev/null -H "X-Mine: a" -H "Authorization: Bearer theirs" $API/
    is "('$TOKEN', 1, False)" "$(seen '(r[-1]["fields"]["x-mine"], [n.lower() for n in r[-1]["names"]].count("x-mine"), "authorization" in r[-1]["fields"])')" header
    policy 'inject: {query: key}'
    keys "$1" curl -sS -o /dev/null "$API/a?x=1&key=mine&keys=2"
    is "/a?x=1&keys=2&key=$TOKEN" "$(seen 'r[-1]["target"]')" query
    policy 'inject: {replace: true}'
    # shellcheck disable=SC2016 # inside
    keys "$1" bash -c 'curl -sS -o /dev/null -H "X-Any: a $TOKEN b" $API/a; curl -sS -o /dev/null -u "me:$TOKEN" $API/b; curl -sS -o /dev/null $API/c'
    is "['a $TOKEN b', None, None]" "$(seen '[q["fields"].get("x-any") for q in r[-3:]]')" replace
    is "$(printf 'me:%s' "$TOKEN" | base64 -w0 | sed 's/^/Basic /')" "$(seen 'r[-2]["fields"]["authorization"]')" "replace in Basic"
    is False "$(seen '"authorization" in r[-1]["fields"]')" "replace puts nothing in by itself"
    : >"$W/requests"
  }
  each_mode t
}

@test "events as they come, many streams at once, bodies larger than any buffer" {
  t() {
    local out
    # The server says the second only once the first was seen: what holds it back never ends.
    out=$(keys "$1" bash -c 'curl -sSN -m 50 $API/events | while read -r l; do echo "$l"; [ "$l" = "data: 1" ] && curl -sS -o /dev/null $API/ack; done')
    is "data: 1  data: 2 " "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')" events
    out=$(keys "$1" bash -c 'curl -sS "$API/large?100000000" | tr -d x | wc -c; curl -sS "$API/large?100000000" | wc -c; head -c 100000000 /dev/zero | curl -sS -T - $API/body | cut -d " " -f 1
      curl -sSZ --parallel-max 100 -o /dev/null -w "%{http_code}\n" "$API/?[1-300]" | sort | uniq -c')
    is "0 100000000 100000000 300 200" "$(tr -s ' \n' ' ' <<<"$out" | sed 's/ $//')" "large and many"
    : >"$W/requests"
  }
  each_mode t
}

@test "a file and a command: read once, hidden inside; what cannot be used starts nothing" {
  t() {
    local dir=$WS out
    echo "$TOKEN" >"$dir/secret"
    chmod 644 "$dir/secret"
    policy 'inject: {bearer: true}'
    sed -i "0,/from: env/s|from: env|from: {file: \"$dir/secret\"}|" "$W/policy.yaml"
    out=$(unset TOKEN; keys "$1" bash -c 'cat secret 2>&1; echo "$TOKEN"; curl -sS -o /dev/null $API/')
    [[ $out == *"secret: No such file"* && $out != *RealValue* ]] || { echo "$out"; return 1; }
    is "Bearer $(value)" "$(seen 'r[-1]["fields"]["authorization"]')" "from a file"
    policy 'inject: {bearer: true}'
    sed -i "0,/from: env/s|from: env|from: {command: [sh, -c, \"echo \$TOKEN_SOURCE\"]}|" "$W/policy.yaml"
    sed -i 's/\$TOKEN_SOURCE/'"$(value)"'/' "$W/policy.yaml"
    (unset TOKEN; keys "$1" curl -sS -o /dev/null $API/)
    is "Bearer $(value)" "$(seen 'r[-1]["fields"]["authorization"]')" "from a command"
    for bad in 'command: [\"false\"]' 'command: [echo, short]' 'command: [nonesuch]' 'file: /nonesuch'; do
      policy 'inject: {bearer: true}'
      sed -i "0,/from: env/s|from: env|from: {$bad}|" "$W/policy.yaml"
      out=$(keys "$1" echo ran 2>&1) && { echo "$bad: $out"; return 1; }
      [[ $out == *policy.yaml:5:5:*TOKEN* && $out != *ran* ]] || { echo "$bad: $out"; return 1; }
    done
    policy 'inject: {bearer: true}'
    out=$(unset TOKEN; keys "$1" echo ran 2>&1) && return 1
    [[ $out == *"is not set"* && $out != *ran* ]] || { echo "$out"; return 1; }
    : >"$W/requests"
  }
  each_mode t
}

@test "servers are verified against the host's store; without namespaces nothing starts" {
  t() {
    local out
    out=$(SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt keys "$1" curl -sS -w '%{http_code}\n' $API/)
    [[ $out == *"gabion: refused: "*certificate* && $out == *502 ]] || { echo "$out"; return 1; }
    is 0 "$(seen 'len(r)')" "nothing was said to it"
  }
  each_mode t
  NOT="root user"
  t() {
    local out
    out=$(keys "$1" echo ran 2>&1) && return 1
    [[ $out == *namespaces* && $out != *ran* ]] || { echo "$out"; return 1; }
  }
  each_mode t
}
