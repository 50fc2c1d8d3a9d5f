#!/bin/bash
# redis-server with redis-benchmark over loopback.
# not: bare loopback needs a network namespace (docs/LIMITS.md)
command -v redis-server >/dev/null || { echo "redis is not installed"; exit 77; }
port=$((20000 + $$ % 20000))
redis-server --port $port --save '' --daemonize no --dir . --logfile redis.log >/dev/null 2>&1 &
pid=$!
for _ in $(seq 100); do redis-cli -p $port ping >/dev/null 2>&1 && break; sleep 0.05; done
redis-cli -p $port set k v; redis-cli -p $port get k
redis-benchmark -p $port -n 2000 -c 20 -q -t set,get >bench.txt 2>&1; tr '\r' '\n' <bench.txt | grep -c 'requests per second'
redis-cli -p $port dbsize | grep -c .
kill $pid; wait $pid; echo "status $?"
