# shellcheck shell=bash
# A race natively, or where a rule permits it, shows that the attack is real only once it is won, and on a slow or loaded machine one try can
# be lost: it is run again until it is won, up to 20 times or 90 seconds. A race that must be held is never repeated.
#
#   won CMD...    fails the test unless CMD, which ends with 0 where it won and 1 where it lost, wins

won() {
  local status=0 until=$((SECONDS + 90)) n
  "$@" || status=$?
  for ((n = 1; n < 20 && status == 1 && SECONDS < until; n++)); do
    status=0
    ATTACK_SECONDS=3 "$@" || status=$?
  done
  [ "$status" -eq 0 ] || {
    echo "not won (status $status, $n tries): $*" >&2
    return 1
  }
}
