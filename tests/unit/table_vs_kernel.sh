#!/bin/sh
# Compares include/syscalls.tbl with a kernel's list, both ways.
#
#   table_vs_kernel.sh [HEADER]
#
# HEADER is asm/unistd_64.h (default: the installed one) or a syscall_64.tbl of a kernel tree. A name of the
# list that the table lacks, or has under another number, fails. A name that only the table has is reported:
# it fails where its number is not above the newest of the list, and not one of the two probe calls (335 and
# 336, added below numbers that were older).
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
tbl=$here/include/syscalls.tbl
list=${1:-}
if [ -z "$list" ]; then
  for f in /usr/include/x86_64-linux-gnu/asm/unistd_64.h /usr/include/asm/unistd_64.h; do
    [ -r "$f" ] && list=$f && break
  done
fi
[ -n "$list" ] || { echo "table_vs_kernel: skip: no asm/unistd_64.h on this machine"; exit 0; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

sed -n 's/^SYS( *\([0-9]*\), *\([a-z0-9_]*\),.*/\1 \2/p' "$tbl" | sort >"$tmp/ours"
case $list in
*.tbl) awk '$1 ~ /^[0-9]+$/ && ($2 == "common" || $2 == "64") { print $1, $3 }' "$list" ;;
*) sed -n 's/^#define[[:space:]]*__NR_\([a-z0-9_]*\)[[:space:]]*\([0-9]*\)$/\2 \1/p' "$list" ;;
esac | sort >"$tmp/theirs"
[ -s "$tmp/theirs" ] || { echo "table_vs_kernel: FAIL: nothing read from $list"; exit 1; }

bad=0
newest=$(sort -n "$tmp/theirs" | tail -n 1 | cut -d' ' -f1)
while read -r nr name; do
  [ -n "$nr" ] || continue
  echo "table_vs_kernel: FAIL: $list has $nr $name, the table does not"
  bad=1
done <<END
$(comm -13 "$tmp/ours" "$tmp/theirs")
END
while read -r nr name; do
  [ -n "$nr" ] || continue
  if [ "$nr" -gt "$newest" ] || [ "$name" = uretprobe ] || [ "$name" = uprobe ]; then
    continue
  fi
  echo "table_vs_kernel: FAIL: the table has $nr $name, $list does not"
  bad=1
done <<END
$(comm -23 "$tmp/ours" "$tmp/theirs")
END
[ "$bad" = 0 ] && echo "table_vs_kernel: ok: $(wc -l <"$tmp/ours") rows, $(wc -l <"$tmp/theirs") in $list"
exit "$bad"
