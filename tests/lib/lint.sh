#!/bin/bash
# make lint: everything that can be said of the sources without running them. Each step prints its name and, where it
# fails, what is wrong; all steps run. LINT_TIDY=0 leaves clang-tidy out (the slow one).
set -u
cd "$(dirname "$0")/../.." || exit 2
build=${BUILD:-build}
failed=0

step() {
  local name=$1 out status start=$SECONDS
  shift
  out=$("$@" 2>&1)
  status=$?
  if [ $status -eq 0 ]; then
    printf '  %-7s %s (%d s)\n' ok "$name" $((SECONDS - start))
    [ -z "$out" ] || echo "$out" | sed 's/^/          /'
  else
    printf '  %-7s %s\n%s\n' FAILED "$name" "$out"
    failed=$((failed + 1))
  fi
}

# Aim at files under 600 lines: told, not forced.
sizes() {
  find include policy sentry monitor tests bench -name '*.[ch]' -o -name '*.sh' -o -name '*.bats' | tr '\n' '\0' | xargs -0 wc -l |
    awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines, split it when you next work on it" }'
}

# Aim at 110 columns (a tab counts 8); beyond 140 is refused, as are blanks at the end of a line.
layout() {
  local bad=0 file
  for file in $(git ls-files '*.c' '*.h'); do
    [ -e "$file" ] || continue
    expand -t 8 "$file" | awk -v f="$file" 'length($0) > 140 { print f ":" NR ": " length($0) " columns"; b = 1 } END { exit b }' || bad=1
    if grep -nE '[[:blank:]]+$' "$file" | sed "s|^|$file:|" | grep .; then bad=1; fi
  done
  return $bad
}

shell() {
  local files
  mapfile -t files < <(git ls-files '*.sh' '*.bats' .ci/run | while read -r f; do [ -e "$f" ] && echo "$f"; done)
  [ ${#files[@]} -eq 0 ] || shellcheck -S warning -x "${files[@]}"
}

compile() {
  local cc=$1
  make -s -k CC="$cc" WERROR=1 BUILD="$build/lint-$cc" objects "-j$(nproc)" 2>&1 | grep -v '^  CC\|^  GEN'
  return "${PIPESTATUS[0]}"
}

# Test and benchmark programs are plain: they are only parsed.
test_sources() {
  local bad=0 file
  for file in tests/unit/*.c tests/guest/*.c tests/attack/*.c tests/degrade/*.c tests/floor/*.c tests/fuzz/*.c bench/*.c; do
    [ -e "$file" ] || continue
    clang -fsyntax-only -Werror -Wall -Wextra -Wno-unused-parameter -D_GNU_SOURCE -DGABION_VERSION='"lint"' -std=gnu17 -Iinclude -I. \
      -Itests/lib "$file" || bad=1
  done
  return $bad
}

manual() {
  mandoc -T lint -W warning docs/*.[1-9]
}

# A file whose stamp is newer than everything it could depend on is not looked at again.
tidy_one() {
  local file=$1 stamp=$build/lint-tidy/${1//\//_} out
  out=$(clang-tidy --quiet "$file" -- -D_GNU_SOURCE -DGABION_VERSION='"lint"' -std=gnu17 -Iinclude -I. "-I$build/lint-clang/gen" \
    2>/dev/null) && { : >"$stamp"; return 0; }
  echo "$out"
  return 1
}

tidy() {
  local file newest files=()
  mkdir -p "$build/lint-tidy"
  newest=$(find include policy sentry monitor .clang-tidy -name '*.h' -printf '%T@ %p\n' -o -name '*.tbl' -printf '%T@ %p\n' \
    -o -name .clang-tidy -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-)
  for file in policy/*.c sentry/*.c monitor/*.c monitor/floor/*.c monitor/relay/*.c monitor/credential/*.c; do
    [ -e "$file" ] || continue
    local stamp=$build/lint-tidy/${file//\//_}
    [ "$stamp" -nt "$file" ] && [ "$stamp" -nt "$newest" ] || files+=("$file")
  done
  [ ${#files[@]} -gt 0 ] || return 0
  export -f tidy_one
  export build
  printf '%s\0' "${files[@]}" | xargs -0 -n1 "-P$(nproc)" bash -c 'tidy_one "$0"'
}

step "layers" sh tests/lib/layers.sh
step "layout" layout
step "file sizes" sizes
step "shellcheck" shell
step "manual" manual
step "gcc -Werror" compile gcc
step "clang -Werror" compile clang
step "test sources" test_sources
[ "${LINT_TIDY:-1}" = 0 ] || step "clang-tidy" tidy

if [ $failed -gt 0 ]; then
  echo "lint: $failed of its steps failed"
  exit 1
fi
echo "lint: nothing found"
