#!/usr/bin/env bats
# What is executed: races about it, denied programs by every route, storms, and who may trace.

setup() {
  load common
}

# Programs good (0) and bad (42), and an interpreter each.
programs() {
  native "$1" sh -c 'mkdir -p a b; cp /bin/true a/good; cat >c.c <<E
int main(void) { return 42; }
E
gcc -o b/bad c.c && chmod 755 a/good b/bad'
}

swapped() {
  local mode=$1 how=$2
  won native "$mode" "$ATTACK/exec_swap" "$how" "$WS/a/good" "$WS/b/bad" || return 1
  # A pattern is the tracer's; so is everything with --mediate all.
  held inside "$mode" --deny-exec "$WS/b/ba[d]" -- "$ATTACK/exec_swap" "$how" "$WS/a/good" "$WS/b/bad" || return 1
  won inside "$mode" -- "$ATTACK/exec_swap" "$how" "$WS/a/good" "$WS/b/bad"
}

@test "what is executed swapped: path, shared memory, vfork, thread, link, descriptor, interpreter" {
  t() {
    local how
    programs "$1" || return 1
    for how in path shared vfork thread link fd script; do
      swapped "$1" "$how" || return 1
    done
  }
  ATTACK_SECONDS=1 each_mode t
}

@test "a program that is denied does not run by any route" {
  t() {
    local mode=$1
    # shellcheck disable=SC2016
    routes='for r in "$1" "sh -c $1" "env $1" "/proc/self/root$1" "/lib64/ld-linux-x86-64.so.2 $1"; do $r >/dev/null 2>&1 && { echo "$r"; exit 0; }; done
      cp "$1" copy; exit 1'
    got native "$mode" sh -c "$routes" - /usr/bin/id || return 1
    if [ "$mode" = bare ]; then
      # Landlock does not speak of mappings: ld.so is not held there (docs/LIMITS.md).
      held inside "$mode" --deny-exec /usr/bin/id -- sh -c "${routes% \"/lib64*}; do \$r >/dev/null 2>&1 && exit 0; done; exit 1" - /usr/bin/id || return 1
    else
      held inside "$mode" --deny-exec /usr/bin/id -- sh -c "$routes" - /usr/bin/id || return 1
    fi
    held inside "$mode" --deny-exec '/usr/bin/i[d]' -- sh -c '/usr/bin/id && exit 0; exit 1' || return 1
    got inside "$mode" -- sh -c "$routes" - /usr/bin/id
  }
  each_mode t
}

@test "arguments are judged before and at the exec" {
  t() {
    printf 'version: 1\nextends: agent\nexec:\n  deny: [{path: /bin/echo, args: ["push", "**"]}, {path: /usr/bin/echo, args: ["push", "**"]}]\n' >"$OUT/p.yaml"
    chmod 644 "$OUT/p.yaml"
    (cd "$WS" && got in_mode "$1" "$GABION" run --quiet -p "$OUT/p.yaml" -- sh -c '/bin/echo pull') || return 1
    (cd "$WS" && refused in_mode "$1" "$GABION" run --quiet -p "$OUT/p.yaml" -- sh -c '/bin/echo push origin') || return 1
    native "$1" sh -c 'printf "#!/bin/echo push\n" >s; chmod 755 s; ./s' || return 1
    (cd "$WS" && refused in_mode "$1" "$GABION" run --quiet -p "$OUT/p.yaml" -- sh -c './s')
  }
  each_mode t
}

@test "storms of execs, from any thread, two at once, failing ones, signals" {
  t() {
    local WAY
    got native "$1" "$ATTACK/exec_storm" 50 500 || return 1
    # shellcheck disable=SC2034 # read by inside
    for WAY in auto all; do
      got inside "$1" -- "$ATTACK/exec_storm" 50 500 || return 1
    done
  }
  each_mode t
}

@test "a traced program is executed where the floor holds the rules, and not where the tracer must" {
  command -v strace >/dev/null || skip "strace is missing"
  t() {
    native "$1" strace -f -o /dev/null true || return 1
    got inside "$1" -- strace -f -o /dev/null true || return 1
    refused inside "$1" --deny-exec '/usr/bin/i[d]' -- strace -f -o /dev/null sh -c 'true; /bin/true'
  }
  each_mode t
}

@test "core dumps stay off whatever the guest sets" {
  t() {
    # shellcheck disable=SC2016
    [ "$(inside "$1" -- python3 -c 'import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0)); print(r.getrlimit(r.RLIMIT_CORE))')" = "(1, 1)" ]
  }
  [ "$(ulimit -H -c)" != 0 ] || skip "the limit is 0 for good here"
  each_mode t
}
