# shellcheck shell=bash
# The three floors tests run on, as commands. Sourced by check.sh and the bats files.
#
#   in_mode root CMD...   as we are, when that is root
#   in_mode user CMD...   an ordinary user (uid 2000), rootless with user namespaces
#   in_mode bare CMD...   that user where user namespaces are forbidden: Landlock and seccomp only
#
# $T is a scratch directory everybody may enter, $GABION the program under test in it, $TESTS the test programs.

MODE_UID=2000

modes_available() {
  if [ "$(id -u)" -eq 0 ]; then
    echo "root user bare"
  else
    echo "user"
  fi
}

# A home and a workspace of the mode's user; prints the workspace's path.
mode_workspace() {
  local mode=$1 dir
  dir=$(mktemp -d "$T/ws.XXXXXX")
  chmod 755 "$dir"
  mkdir -p "$T/home.$mode"
  if [ "$mode" != root ] && [ "$(id -u)" -eq 0 ]; then
    chown "$MODE_UID:$MODE_UID" "$dir" "$T/home.$mode"
  fi
  echo "$dir"
}

in_mode() {
  local mode=$1
  shift
  case $mode in
    root) HOME="$T/home.root" env -u XDG_STATE_HOME "$@" ;;
    user)
      if [ "$(id -u)" -eq 0 ]; then
        HOME="$T/home.user" USER=guest setpriv --reuid "$MODE_UID" --regid "$MODE_UID" --clear-groups env -u XDG_STATE_HOME "$@"
      else
        HOME="$T/home.user" env -u XDG_STATE_HOME "$@"
      fi
      ;;
    bare) HOME="$T/home.bare" USER=guest env -u XDG_STATE_HOME "$TESTS/degrade/no_userns" -u "$MODE_UID" "$@" ;;
  esac
}

# gabion run in a mode; -q keeps notices out of outputs that are compared.
gabion_run() {
  local mode=$1
  shift
  in_mode "$mode" "$GABION" run --quiet "$@"
}
