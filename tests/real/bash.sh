#!/bin/bash
# Shell work: a pipeline of 100 stages, substitutions, jobs, traps, descriptors.
set -u
cmd="echo through"
for i in $(seq 100); do cmd="$cmd | sed 's/\$/ $i/'"; done
eval "$cmd" | md5sum
diff <(seq 5) <(seq 1 5) && echo same
set -m
sleep 0.2 & sleep 0.1 & wait; echo "jobs ended"
(trap 'echo caught' USR1; kill -USR1 $BASHPID; echo after)
sh -c 'kill -TERM $$'; echo "status $?"
sh -c 'exit 42'; echo "status $?"
exec 7>out 8<>rw
echo seven >&7; echo eight >&8
cat out rw
ulimit -n
umask 027; touch masked; stat -c %a masked
cat <<EOF | tr a-z A-Z
here document
EOF
coproc CAT { cat; }
echo coprocess >&"${CAT[1]}"; read -r line <&"${CAT[0]}"; echo "$line"
printf '%s\n' "$PWD" | sed "s|$PWD|WS|"
mkfifo p; (echo by fifo >p &) ; cat p
for i in $(seq 300); do :; done; echo "$i"
[ -t 0 ] || echo no terminal
yes | head -n 100000 | wc -l
(cd / && ls -d usr)
type -t nosuchcommand || echo none
nosuchcommand 2>/dev/null; echo "status $?"
./masked 2>/dev/null; echo "status $?"
