#!/bin/sh
# deps.sh [-n] [GROUP]...: sees to the Debian or Ubuntu packages that building and testing gabion needs.
#
# Groups: build, demo, check, kernels, bench (default: all). What is missing is named with what it is for and
# installed with apt-get, through sudo where not root; where that cannot be done the exact command is printed and
# the status is 1. -n: only tell. Quiet and quick when nothing is missing.
#
# Installing redis-server or an engine must not start a server on the machine: see install_packages.

set -u

# package            what for
build='
gcc                  compiler
libc6-dev            C library headers
make                 build rules
pkg-config           finds the libraries
libseccomp-dev       compiles the system call filter
libjansson-dev       JSON of records and of --json
libyaml-dev          data files of agents, policies
libcap-dev           capabilities
libunwind-dev        stacks of refused calls (loaded when asked for)
liburing-dev         the ring of the relay
libc-ares-dev        names asked of the resolvers of the host
libssl-dev           TLS to and from hosts of credentials (loaded when asked for)
libsystemd-dev       cgroups made by systemd (loaded when asked for)
'
demo='
git                  the session of make demo works in a repository
python3              and runs a program
'
check='
libcmocka-dev        unit tests
bats                 command line tests
clang                second compiler; make lint
clang-tidy           make lint
libclang-rt-dev      fuzzers, of which make check runs a little
shellcheck           make lint
mandoc               checks the manual
git                  real program under test
python3              real program under test
gdb                  real program under test
tmux                 real program under test
luajit               real program under test: makes code
autoconf             real program under test: configure scripts
strace               traces inside
sqlite3              real program under test
ripgrep              real program under test
redis-server         real program under test
fio                  real program under test: rings
redis-tools          real program under test (redis-benchmark)
zsh                  completion tests
fish                 completion tests
jq                   tests read JSON
iproute2             network namespaces for the tests of the relay
postgresql-client    real program under test: a client by name
runc                 the OCI runtime is compared with it
crun                 the OCI runtime is compared with it
busybox-static       the root file system of test containers
podman               container engine the OCI runtime is tried under
containerd           container engine the OCI runtime is tried under
docker.io            container engine the OCI runtime is tried under
uidmap               podman without root
tini                 podman run --init
'
kernels='
qemu-system-x86      boots the kernels of make check-kernels
busybox-static       their first process
kmod                 their modules
e2fsprogs            their scratch disk
xz-utils             unpacks their modules
'
bench='
bubblewrap           make bench compares with it
fio                  make bench: rings
iproute2             network namespaces for the bench of the relay
passt                make bench compares the relay with pasta
slirp4netns          make bench compares the relay with it
nginx                make bench: requests through the relay
wrk                  make bench: who makes them
'

only_tell=
if [ "${1-}" = -n ]; then
  only_tell=1
  shift
fi
[ $# -gt 0 ] || set -- build demo check suites kernels bench

wanted=
for group; do
  case $group in
    build) wanted="$wanted$build" ;;
    demo) wanted="$wanted$demo" ;;
    check) wanted="$wanted$check" ;;
    suites)
      # Debian names it after the version of its own python3.
      version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || version=3.11
      wanted="${wanted}python3 runs the tests of CPython
libpython$version-testsuite the tests of CPython that make check-suites compares
"
      ;;
    kernels) wanted="$wanted$kernels" ;;
    bench) wanted="$wanted$bench" ;;
    *)
      echo "deps.sh: no group is called $group: build, demo, check, suites, kernels, bench" >&2
      exit 2
      ;;
  esac
done
names=$(echo "$wanted" | awk 'NF && !seen[$1]++ { print $1 }')

# node counts however it came to the machine (nvm, a vendor's package): Debian's npm is four hundred packages.
case " $* " in
  *" check "*)
    command -v node >/dev/null 2>&1 || { names="$names nodejs"; wanted="${wanted}nodejs real program under test
"; }
    command -v npm >/dev/null 2>&1 || { names="$names npm"; wanted="${wanted}npm real program under test
"; }
    ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
  for tool in gcc make pkg-config; do
    command -v $tool >/dev/null 2>&1 && continue
    echo "deps.sh: this is no Debian or Ubuntu and $tool is missing; install what these packages hold:" >&2
    echo "$wanted" | sed '/^$/d; s/^/  /' >&2
    exit 1
  done
  exit 0
fi

# shellcheck disable=SC2086 # names are words
have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $names 2>/dev/null | awk '$2 == "installed" { print $1 }')
missing=
for name in $names; do
  case "
$have
" in
    *"
$name
"*) ;;
    *)
      # Another package may stand in for it: pkgconf for pkg-config, a compiler from elsewhere.
      case $name in
        gcc | make | pkg-config | git | python3 | clang | clang-tidy | shellcheck | gdb | tmux | jq | runc | crun | podman | containerd)
          command -v "$name" >/dev/null 2>&1 && continue
          ;;
        docker.io) # a vendor's own Docker is left alone, and brings its containerd
          command -v dockerd >/dev/null 2>&1 && continue
          ;;
        libclang-rt-dev)
          [ -e "$(clang -print-file-name=libclang_rt.fuzzer-x86_64.a 2>/dev/null)" ] && continue
          ;;
      esac
      missing="$missing $name"
      ;;
  esac
done
[ -n "$missing" ] || exit 0

echo "Packages that are missing:"
for name in $missing; do
  echo "$wanted" | awk -v n="$name" '$1 == n { $1 = ""; printf "  %-18s%s\n", n, $0; exit }'
done
command="apt-get install -y --no-install-recommends$missing"
if [ -n "$only_tell" ]; then
  echo "To install them: $command"
  exit 1
fi

# As root. While this runs, services that packages bring are not started (policy-rc.d, an existing one is kept), and
# a redis server that was not there before is not left enabled.
# shellcheck disable=SC2016 # expanded by that shell
install_packages='
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf "#!/bin/sh\nexit 101\n" >$policy && chmod 755 $policy
  trap "rm -f $policy" EXIT
fi
export DEBIAN_FRONTEND=noninteractive
had_redis= had_docker= had_containerd=
[ -e /etc/redis/redis.conf ] && had_redis=1
command -v dockerd >/dev/null && had_docker=1
command -v containerd >/dev/null && had_containerd=1
log=$(mktemp) || exit 1
apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1 || {
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"
} >"$log" 2>&1 || failed=1
[ -z "${failed-}" ] || tail -20 "$log" >&2
rm -f "$log"
[ -z "${failed-}" ] || exit 1
if [ -z "$had_redis" ] && [ -e /etc/redis/redis.conf ] && [ -d /run/systemd/system ]; then
  systemctl disable --quiet redis-server 2>/dev/null
fi
if [ -d /run/systemd/system ]; then
  [ -n "$had_docker" ] || ! command -v dockerd >/dev/null || systemctl disable --quiet docker.service docker.socket 2>/dev/null
  [ -n "$had_containerd" ] || ! command -v containerd >/dev/null || systemctl disable --quiet containerd 2>/dev/null
fi
exit 0
'
if [ "$(id -u)" = 0 ]; then
  sudo=
elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
  sudo=sudo
else
  echo "Installing them needs root. Run this, then try again:" >&2
  echo "  sudo $command" >&2
  exit 1
fi
echo "Installing them: ${sudo:+$sudo }$command"
# shellcheck disable=SC2086 # missing is words
if ! $sudo sh -c "$install_packages" deps $missing </dev/null; then
  echo "apt-get failed. Run this, then try again:" >&2
  echo "  ${sudo:+$sudo }apt-get update && ${sudo:+$sudo }$command" >&2
  exit 1
fi
