# shellcheck shell=bash disable=SC2154 # what run.sh sets, which sources this
# The section `scale` of run.sh, which sources this: the cost of an open for reading and a close as there is more of something: threads of
# one guest, guests at one time, rules, files. Three rounds in turn, medians, each of $scale_ms milliseconds; the samples go to
# $BENCH_OUT/scale.csv, a plot of each series beside it (plot.awk). Uses $T, $W, $GABION, $usual, row, tell, in_mode, calls.
scale_ms=300

# sample SERIES X WAY COMMAND...: runs COMMAND N times at once ($guests), nanoseconds a call from all their lines "calls ns".
sample() {
  local series=$1 x=$2 way=$3 i ns
  shift 3
  for ((i = 0; i < guests; i++)); do
    in_mode "$usual" "$@" >"$T/scale.$i" 2>/dev/null &
  done
  wait
  # Guests that start one after the other overlap for most of their time: each one's own rate counts.
  ns=$(for ((i = 0; i < guests; i++)); do cat "$T/scale.$i"; done | awk '{ rate += $1 / $2; n++ } END { if (n) printf "%.0f", 1 / rate }')
  [ -z "$ns" ] || echo "$series,$x,$way,$round,$ns" >>"$csv"
}

# point SERIES X COMMAND...: native, gabion and all mediated, in turn; POLICY options in $options.
point() {
  local series=$1 x=$2 round
  shift 2
  tell "scale, $series: $x"
  for round in 1 2 3; do
    sample "$series" "$x" native "$@"
    sample "$series" "$x" gabion "$GABION" run --quiet "${options[@]}" -- "$@"
    sample "$series" "$x" all "$GABION" run --quiet --mediate all "${options[@]}" -- "$@"
  done
  row scale "$series: $x" "$usual" all ns native "$(middle "$series" "$x" native)" "$(middle "$series" "$x" gabion)" \
    "$(middle "$series" "$x" all)" -
}

# The median of a point's samples, or "-".
middle() {
  awk -F , -v s="$1" -v x="$2" -v w="$3" '$1 == s && $2 == x && $3 == w { print $5 }' "$csv" | sort -n | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'
}

rules_file() { # rules_file N: as many rules that restrict, none of which speaks of what is opened
  {
    printf 'version: 1\nextends: agent\nfilesystem:\n  protect:\n'
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "    - \"/opt/area%d/**/name%d*/kept\"\n", i % 100, i }' </dev/null
  } >"$T/rules.yaml"
  chmod 644 "$T/rules.yaml"
}

bench_scale() {
  local out=${BENCH_OUT:-$build/bench} csv n guests=1 most=100000
  local -a options=()
  mkdir -p "$out"
  out=$(cd "$out" && pwd)
  csv=$out/scale.csv
  echo "series,x,way,round,ns" >"$csv"
  [ "$calls" -lt 1000000 ] || most=1000000
  new_workspace "$usual"
  cp "$build/bench/scale" "$W/"
  cd "$W" || return
  in_mode "$usual" mkdir files && in_mode "$usual" ./scale make 10000 files || return
  for n in 1 2 4 8 16 32 64; do point "threads opening" $n ./scale $n $scale_ms 10000 files; done
  for guests in 1 2 4 8 16 32 64; do point "guests at one time" "$guests" ./scale 1 $((scale_ms * 2)) 10000 files; done
  guests=1
  for n in 10 100 1000 10000; do
    rules_file $n
    options=(-p "$T/rules.yaml")
    point rules $n ./scale 1 $scale_ms 10000 files
  done
  options=()
  for ((n = 100; n <= most; n *= 10)); do
    rm -rf files
    in_mode "$usual" mkdir files && in_mode "$usual" ./scale make $n files || return
    point files $n ./scale 1 $scale_ms $n files
  done
  cd "$here" || return
  for n in "threads opening" "guests at one time" rules files; do
    awk -v series="$n" -f bench/plot.awk "$csv" >"$out/scale-${n// /-}.svg"
  done
  echo "bench: samples and plots: $out/scale*" >&2
}
