#!/usr/bin/env bats
# The documents: links resolve, files they name exist, the manual is clean.

setup() {
  load common
  cd "$SRC" || return
}

@test "links in the documents resolve" {
  bad=0
  for file in *.md docs/*.md; do
    for link in $(grep -oE '\]\([^)#: ]+\)' "$file" | sed 's/^](//; s/)$//'); do
      [ -e "$(dirname "$file")/$link" ] || { echo "$file: $link"; bad=1; }
    done
  done
  [ $bad -eq 0 ]
}

@test "files and directories the documents name exist" {
  bad=0
  for name in $(cat ./*.md docs/LIMITS.md | grep -oE '`(include|policy|sentry|monitor|tests|bench|docs)/[A-Za-z0-9_./-]*`' | tr -d '`' | grep -v '[A-Z]' | sort -u); do
    [ -e "$name" ] || { echo "$name"; bad=1; }
  done
  [ $bad -eq 0 ]
}

@test "make targets the documents name exist" {
  for target in $(cat ./*.md | grep -oE 'make (demo|check|check-kernels|lint|bench|deps|install|[a-z-]+)\b`' | awk '{ print $2 }' | tr -d '`' | sort -u); do
    grep -qE "^(.* )?$target( .*)?:" Makefile || { echo "$target"; false; }
  done
}

@test "the manual is clean" {
  command -v mandoc >/dev/null || skip "mandoc is missing"
  run mandoc -T lint -W warning docs/*.[1-9]
  [ "$status" -eq 0 ]
}

@test "examples of the manual and README use options that exist" {
  all=$("$GABION" run --help | long_options)
  for option in $(cat README.md docs/LIMITS.md <(mandoc docs/gabion.1 | col -b) | grep -oE 'gabion run [^#`]*' | sed 's/ -- .*//' |
    grep -oE -- '--[a-z]+[a-z-]*' | sort -u); do
    grep -qx -- "${option#--}" <<<"$all" || { echo "$option"; false; }
  done
}

@test "the license is Apache-2.0, whole" {
  grep -q 'Version 2.0, January 2004' LICENSE
  grep -q 'END OF TERMS AND CONDITIONS' LICENSE
}

@test "the AppArmor profile permits user namespaces to the installed program" {
  sed 's|@BINDIR@|/usr/local/bin|' docs/apparmor/gabion >"$BATS_TEST_TMPDIR/gabion"
  grep -q '^profile gabion /usr/local/bin/gabion flags=(unconfined) {$' "$BATS_TEST_TMPDIR/gabion"
  grep -q '^  userns,$' "$BATS_TEST_TMPDIR/gabion"
  command -v apparmor_parser >/dev/null || skip "apparmor_parser is missing: its syntax is not checked"
  apparmor_parser -QK --base /etc/apparmor.d "$BATS_TEST_TMPDIR/gabion"
}
