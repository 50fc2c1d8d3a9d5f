#!/usr/bin/env bats
# shellcheck disable=SC2154 # mode and ws are set by each_mode
# Stacks of refused callers, and how gabion log shows them (gabion run --stacks).

setup() {
  load common
  load run
}

# A program that is refused something three calls deep; FLAGS for the compiler.
program() {
  cat >deep.c <<'C'
#include <fcntl.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>
#define FAR __attribute__((noinline, noclone))
volatile int zero;
FAR int third(int n)
{
	volatile char room[600];
	memset((void *)room, n, sizeof(room));
	return open("/etc/shadow", O_RDONLY) + room[n] + zero;
}
FAR int second(int n) { return third(n + 1) + zero; }
FAR int first(int n) { return second(n + 1) + zero; }
int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "lost") == 0) {
		/* The stack pointer and the frame pointer lead nowhere. */
		static const char path[] = "/etc/shadow";
		long r;
		__asm__ volatile("mov %%rsp, %%r12; mov %%rbp, %%r13; mov $8, %%rsp; mov $16, %%rbp; syscall; mov %%r12, %%rsp; mov %%r13, %%rbp"
			: "=a"(r) : "a"(SYS_openat), "D"(AT_FDCWD), "S"(path), "d"(O_RDONLY) : "rcx", "r11", "r12", "r13", "memory");
		return r < 0 ? 3 : 0;
	}
	return first(1) == 12345 ? 0 : 3;
}
C
  # shellcheck disable=SC2086
  gcc -w "$@" -o deep deep.c && chmod 755 deep
}

# Symbols of the frames of the one stack in the record, as far as they are ours.
ours() {
  jq -r 'select(.event == "stack") | .frames[] | select(.object | tostring | endswith("/deep")) | .symbol' record | tr '\n' ' '
}

refuse() {
  rm -f record
  ends 3 guest --stacks --audit "$ws/record" -- ./deep "$@" || return 1
  is 1 "$(jq -r 'select(.syscall == "openat" or .syscall == "open") | .stack' record)" "the refusal's stack" || return 1
}

deep() {
  local flags
  for flags in "-O1" "-O2 -fomit-frame-pointer" "-static -O2 -fomit-frame-pointer" "-static-pie -O2 -fomit-frame-pointer" \
    "-O1 -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fno-unwind-tables"; do
    # shellcheck disable=SC2086
    program $flags || return 1
    refuse || return 1
    [[ "$(ours)" == *"third second first main "* ]] || {
      echo "$flags: $(ours)"
      return 1
    }
    jq -se 'any(.[]; .event == "stack" and .stack == 1 and .frames[0].build_id != null and (.frames | length) > 3)' record >/dev/null || return 1
  done
}

@test "the stack of who was refused, with and without frame pointers and unwind tables" {
  each_mode deep
}

lost() {
  program -O1 || return 1
  refuse lost || return 1
  jq -se 'any(.[]; .event == "stack" and (.frames | length) == 1 and .frames[0].symbol == "main" and .whole == false)' record >/dev/null
}

@test "a stack that leads nowhere gives the frame it was in" {
  each_mode lost
}

off() {
  program -O1 || return 1
  ends 3 guest --audit "$ws/record" -- ./deep || return 1
  is "" "$(jq -r 'select(.event == "stack" or .stack) | .stack' record)" "stacks" || return 1
  # Nothing is refused: nothing is unwound, and nobody stops.
  rm record
  ends 0 guest --stacks --audit "$ws/record" -- sh -c 'true; ls /usr >/dev/null' || return 1
  is "" "$(jq -r 'select(.event == "stack") | .stack' record)" "stacks of nothing"
}

@test "no stacks unless they are asked for and something is refused" {
  each_mode off
}

flood() {
  ends 0 guest --stacks --audit "$ws/record" -- python3 -c '
for i in range(3000):
    try:
        open("/etc/shadow")
    except OSError:
        pass' || return 1
  is 3000 "$(jq -s '([.[] | select(.verdict == "deny")] | length) + (.[-1] | .dropped.refused + .over_cap.refused)' record)" "refusals" || return 1
  local n
  n=$(jq -s '[.[] | select(.event == "stack")] | length' record)
  [ "$n" -ge 1 ] && [ "$n" -le 200 ] || {
    echo "$n stacks of 3000 refusals"
    return 1
  }
}

@test "a flood of refusals gets some stacks, and every refusal its record" {
  each_mode flood
}

shown() {
  program -O1 || return 1
  guest --stacks --audit "$ws/record" -- sh -c './deep; sh -c "./deep; true"; true' || return 1
  ends 0 "$GABION" log ./record || return 1
  is 2 "$(grep -c 'refused deep' <<<"$out")" "refusals" || return 1
  grep -A4 'refused deep' <<<"$out" | grep -q '^    #1 third+0x[0-9a-f]* in .*/deep+0x[0-9a-f]* (build [0-9a-f]*)$' || {
    echo "$out"
    return 1
  }
  ends 0 "$GABION" log --denied ./record || return 1
  ends 0 "$GABION" log --tree ./record || return 1
  grep -q '^    *.*/deep \[[0-9]*\]$' <<<"$out" || {
    echo "$out"
    return 1
  }
  ends 0 "$GABION" log --follow ./record || return 1
  is 2 "$(grep -c '^  stack [0-9]*:$' <<<"$out")" "stacks that follow" || return 1
  ends 125 "$GABION" log --tree --follow ./record
}

@test "gabion log shows stacks, and the tree of processes" {
  each_mode shown
}

# Of what is permitted as well, a few a second; refusals have theirs beside.
all() {
  program -O1 || return 1
  printf 'version: 1\nextends: agent\naudit: {reads: all, stacks: all}\n' >all.yaml
  chmod 644 all.yaml
  echo text >file
  [ "$mode" = root ] || [ "$(id -u)" -ne 0 ] || chown "$MODE_UID" file
  rm -f record
  ends 3 guest -p all.yaml --audit "$ws/record" -- sh -c 'stat file >/dev/null; cat file; for i in $(seq 50); do echo $i >file; done; ./deep' || return 1
  is text "$out" "what was read" || return 1
  is 50 "$(cat file)" "what was written" || return 1
  jq -se 'any(.[]; .op == "read" and .verdict == "allow" and (.object | endswith("/file")))' record >/dev/null || { echo "no read"; return 1; }
  jq -se 'any(.[]; .op == "stat" and .verdict == "allow" and (.object | endswith("/file")))' record >/dev/null || { echo "no stat"; return 1; }
  jq -se '[.[] | select(.op == "write" and .stack and .verdict == "allow")] | length > 0' record | grep -q true ||
    jq -se 'any(.[]; .stack and .verdict == "allow")' record >/dev/null || { echo "no stack"; return 1; }
  is "" "$(jq -r 'select(.op == "exec" and .stack) | .syscall' record)" "stacks of exec" || return 1
  jq -se 'any(.[]; .verdict == "deny" and .stack)' record >/dev/null || { echo "no stack of the refusal"; return 1; }
  [[ "$(ours)" == *"third second first main "* ]]
}

@test "reads and stacks of what is permitted are recorded where the policy says all" {
  each_mode all
}
