#!/bin/sh
# Each layer includes only what it may: include nothing else, policy include, sentry include and itself, monitor
# all. (System headers and generated files are nobody's layer.) Prints what breaks this; status 1 where something does.
set -u
cd "$(dirname "$0")/../.." || exit 2

# Where "$2", included by the file $1, lies.
resolve() {
  for dir in "$(dirname "$1")" include .; do
    if [ -e "$dir/$2" ]; then
      path=$dir/$2
      echo "${path#./}"
      return
    fi
  done
  echo "generated"
}

bad=0
files=$(find include policy sentry monitor -name '*.[ch]' -o -name '*.tbl' | sort)
for file in $files; do
  layer=${file%%/*}
  for name in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file"); do
    target=$(resolve "$file" "$name")
    case $layer:${target%%/*} in
      *:generated | *:include) ;;
      policy:policy | sentry:sentry | monitor:*) ;;
      *)
        echo "$file includes $target: $layer may not use ${target%%/*}"
        bad=1
        ;;
    esac
  done
done
exit $bad
