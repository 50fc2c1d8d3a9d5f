#!/bin/sh
# embed.sh FILE...: each file as an element of a C array: { "NAME", bytes, length }, NAME without directory and suffix.
# The bytes end in a NUL that the length does not count.
set -eu

for file; do
  name=${file##*/}
  name=${name%.*}
  case $name in
    *[!A-Za-z0-9_-]*) echo "embed.sh: $file: not a name" >&2; exit 1 ;;
  esac
  printf '{ "%s", (const unsigned char[]){\n' "$name"
  od -An -v -t u1 "$file" | sed 's/  *\([0-9][0-9]*\)/\1,/g'
  printf '0 }, %d },\n' "$(wc -c <"$file")"
done
