#!/usr/bin/env bats
# Calls that a tracer changes, tasks that could get lost, floods, and what is shown to the user.

setup() {
  load common
}

@test "D9: a call that a tracer in there rewrites is judged as it is then" {
  t() {
    local how
    native "$1" sh -c 'echo good >good; echo SECRET >bad; chmod 644 good bad' || return 1
    for how in number path memory event result; do
      got native "$1" "$ATTACK/rewrite" "$how" "$WS/good" "$WS/bad" || return 1
      held inside "$1" --hide "$WS/bad" -- "$ATTACK/rewrite" "$how" "$WS/good" "$WS/bad" || return 1
      got inside "$1" -- "$ATTACK/rewrite" "$how" "$WS/good" "$WS/bad" || return 1
    done
  }
  each_way_mode() { each_way t "$1"; }
  each_mode each_way_mode
}

@test "D10: no task gets away from the filter or from the tracer" {
  t() {
    native "$1" sh -c 'echo SECRET >bad; chmod 644 bad; printf "int main(void) { return 42; }" >c.c; gcc -o prog c.c' || return 1
    got native "$1" "$ATTACK/untraced" read "$WS/bad" || return 1
    got native "$1" "$ATTACK/untraced" exec "$WS/prog" || return 1
    held inside "$1" --hide "$WS/bad" -- "$ATTACK/untraced" read "$WS/bad" || return 1
    # A pattern: held by the tracer alone.
    held inside "$1" --deny-exec "$WS/pro[g]" -- "$ATTACK/untraced" exec "$WS/prog" || return 1
    got inside "$1" -- "$ATTACK/untraced" read "$WS/bad" || return 1
    got inside "$1" -- "$ATTACK/untraced" exec "$WS/prog" || return 1
    # Every task has a filter, and nobody stays traced.
    # shellcheck disable=SC2016
    [ "$(inside "$1" -- sh -c '(sleep 1 & sleep 1) & a=$!; sleep 1 & b=$!; /bin/true; for p in $$ $a $b; do cat /proc/$p/task/*/status; done' |
      grep -E '^(Seccomp|TracerPid):' | sort | uniq -c | tr -s ' \t' ' ')" = ' 3 Seccomp: 2
 3 TracerPid: 0' ]
  }
  each_way_mode() { each_way t "$1"; }
  each_mode each_way_mode
}

@test "G2: a flood of calls starves neither another run nor others of its own" {
  t() {
    local pid ok=1
    native "$1" "$ATTACK/flood" one 1000 >/dev/null || return 1
    # The flood's own run: another of its processes gets its turns.
    # shellcheck disable=SC2016
    got inside "$1" -- sh -c '"$0" 64 >going & while ! grep -q going going; do sleep 0.05; done; "$0" one 1000 && kill $!' "$ATTACK/flood" || return 1
    # Another run, which goes on until its input ends.
    rm -f "$OUT/stdin" && mkfifo "$OUT/stdin" && chmod 666 "$OUT/stdin"
    : >"$OUT/going" && chmod 666 "$OUT/going"
    # shellcheck disable=SC2016
    (cd "$WS" && in_mode "$1" "$GABION" run --quiet --mediate all --exec "$TESTS" -- sh -c '"$0" 64 & cat >/dev/null' "$ATTACK/flood" <"$OUT/stdin" >"$OUT/going" 2>&1 3>&-) &
    pid=$!
    exec 9>"$OUT/stdin"
    for _ in $(seq 400); do grep -q going "$OUT/going" && break; sleep 0.05; done
    grep -q going "$OUT/going" && kill -0 $pid && got inside "$1" -- "$ATTACK/flood" one 1000 && kill -0 $pid && ok=0
    exec 9>&-
    wait $pid
    return $ok
  }
  each_mode t
}

@test "E11: what a guest calls its files draws nothing on the user's terminal when gabion tells of it" {
  t() {
    local name id
    name=$(printf 'x\033]52;c;aGk=\007\033[2J\302\233')
    native "$1" touch "$name" || return 1
    # Natively the name reaches the terminal as it is.
    # shellcheck disable=SC2016
    native "$1" sh -c 'echo x*' | grep -qP '\x1b\]52' || return 1
    # shellcheck disable=SC2016
    (cd "$WS" && in_mode "$1" "$GABION" run --hide "$WS/x*" -- sh -c 'cat "$1"; "$1" 2>/dev/null; true' - "$name" >/dev/null 2>"$OUT/err")
    # The guest's own words pass: cat says what it could not read. Gabion's do not.
    grep '^gabion:\|^  ' "$OUT/err" >"$OUT/told"
    grep -q 'refused' "$OUT/told" || { cat "$OUT/err" >&2; return 1; }
    id=$(sed -n 's/.*gabion log \([^ ]*\).*/\1/p' "$OUT/err" | head -n 1)
    in_mode "$1" "$GABION" log ${id:+"$id"} >>"$OUT/told" 2>&1
    in_mode "$1" "$GABION" log --tree ${id:+"$id"} >>"$OUT/told" 2>&1
    grep -q '52;c' "$OUT/told" || { cat "$OUT/told" >&2; return 1; }
    refused grep -qP '\x1b|\x07|\x9b' "$OUT/told"
  }
  each_mode t
}
