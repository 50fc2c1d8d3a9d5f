#!/bin/bash
# tmux: server, socket, ptys.
command -v tmux >/dev/null || { echo "tmux is not installed"; exit 77; }
export TERM=xterm
cat >in.sh <<'IN'
echo "in $((40 + 2))"; tty | sed 's/[0-9]*$/N/'; stty size; echo ready; exec sleep 60
IN
tmux -S ./s -f /dev/null new-session -d -x 80 -y 24 'sh in.sh' || exit 1
for _ in $(seq 100); do tmux -S ./s capture-pane -p | grep -q '^ready' && break; sleep 0.05; done
tmux -S ./s capture-pane -p | grep -E '^(in|/dev/pts|2[34] 80|ready)'
tmux -S ./s split-window -h "sleep 60" && tmux -S ./s list-panes | wc -l
tmux -S ./s kill-server; echo "status $?"
