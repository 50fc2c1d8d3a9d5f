#!/usr/bin/env bats
# shellcheck disable=SC2154 # mode and ws are set by each_mode
# Groups of hosts that ask a tool (@npm, @pip, @cargo, @go): the machine's own tools, told of mirrors that are nowhere, are asked by
# gabion, and what they say is what may be reached. A tool that is missing is skipped by name.

setup() {
  load common
  load run
  H=$BATS_TEST_TMPDIR/home
  mkdir -p "$H/.config/pip" "$H/.cargo" "$BATS_TEST_TMPDIR/work"
  cd "$BATS_TEST_TMPDIR/work" || return 1
}

# Without what the caller's own configuration says.
alone() {
  env -i HOME="$H" PATH="$PATH" TMPDIR="${TMPDIR:-/tmp}" "$@"
}

# The hosts of network rules the group $1 gives, one a line.
hosts() {
  printf 'version: 1\nextends: agent\nnetwork: {groups: ["@%s"]}\n' "$1" >p.yaml
  alone "$GABION" explain -p p.yaml --json 2>notes | jq -r '.network[].rule' | sort
}

needs() {
  # Shims of version managers need more of the environment than a home: the tools of the machine, and go where it is installed by hand.
  PATH=/usr/bin:/bin:/usr/local/go/bin:$PATH
  local real
  real=$(rustup which "$1" 2>/dev/null) && PATH=${real%/*}:$PATH
  command -v "$1" >/dev/null || skip "$1 is not installed"
  alone "$@" >/dev/null 2>&1 || skip "$1 does not run with a home of the test's"
}

# what gabion check says of HOST:PORT by the policy that hosts() wrote
reaches() {
  alone "$GABION" check p.yaml connect "$1" >/dev/null
}

@test "@npm: the registry npm uses, and those of scopes" {
  needs npm --version
  printf 'registry=https://npm.mirror.example:4873/\n@corp:registry=http://corp.mirror.example/npm/\n//corp.mirror.example/npm/:_authToken=none\n' >"$H/.npmrc"
  [ "$(alone npm config get registry)" = https://npm.mirror.example:4873/ ]
  [ "$(hosts npm)" = "corp.mirror.example:80
npm.mirror.example:4873" ]
  reaches npm.mirror.example:4873
  run ! reaches npm.mirror.example:443
  run ! reaches elsewhere.example:443
}

@test "@pip: the index, the extra ones, and where links are found" {
  needs pip3 --version
  printf '[global]\nindex-url = https://user:secret@pip.mirror.example/simple\nextra-index-url = https://extra.mirror.example:8443/simple\nfind-links = https://links.mirror.example/wheels/\n' \
    >"$H/.config/pip/pip.conf"
  alone pip3 config list | grep -q pip.mirror.example
  [ "$(hosts pip)" = "extra.mirror.example:8443
links.mirror.example:443
pip.mirror.example:443" ]
  run ! reaches elsewhere.example:443
}

@test "@go: the proxy and the checksum database" {
  needs go version
  alone go env -w GOPROXY=https://go.mirror.example,direct GOSUMDB=sum.mirror.example
  [ "$(hosts go)" = "go.mirror.example:443
sum.mirror.example:443" ]
  alone go env -w GOPROXY=http://other.mirror.example:3000 GOSUMDB=off
  [ "$(hosts go)" = other.mirror.example:3000 ]
  alone go env -w GOPROXY=off
  [ -z "$(hosts go)" ]
  grep -q 'named no proxy: no host is allowed by it' notes
}

@test "@cargo: its configuration, and where a registry it has used keeps its files" {
  needs cargo --version
  printf '[source.crates-io]\nreplace-with = "mirror"\n[source.mirror]\nregistry = "sparse+https://cargo.mirror.example/index/"\n' >"$H/.cargo/config.toml"
  [ "$(hosts cargo)" = cargo.mirror.example:443 ]
  # A registry of the test's own: cargo itself learns from it where crates lie.
  mkdir -p served/index crate/src
  echo '{"dl": "https://crates.mirror.example/dl", "api": "https://api.mirror.example:8080"}' >served/index/config.json
  python3 -u -c 'import functools, http.server
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory="served"))
print(s.server_port)
s.serve_forever()' >port 2>/dev/null &
  server=$!
  wait_for 20 test -s port
  printf '[registries.own]\nindex = "sparse+http://127.0.0.1:%s/index/"\n' "$(cat port)" >"$H/.cargo/config.toml"
  printf '[package]\nname = "c"\nversion = "0.1.0"\n[dependencies]\nd = {version = "1", registry = "own"}\n' >crate/Cargo.toml
  touch crate/src/lib.rs
  (cd crate && alone timeout 60 cargo fetch) >fetched 2>&1 || true
  kill "$server"
  # It found no such crate there, but read what the registry says of itself.
  ls "$H"/.cargo/registry/index/*/config.json || skip "this cargo keeps no config.json: $(tail -n 1 fetched)"
  hosts cargo >got
  grep -qx crates.mirror.example:443 got
  grep -qx api.mirror.example:8080 got
  grep -qx "127.0.0.1:$(cat port)" got
}

@test "a tool that says nothing allows nothing, and a line says so" {
  PATH=/usr/bin:/bin
  mkdir -p bin.d
  H=$BATS_TEST_TMPDIR/empty
  mkdir -p "$H"
  [ -z "$(hosts cargo)" ]
  grep -Eq '@cargo: (cargo is not installed here|its configuration names no registry)' notes
}
