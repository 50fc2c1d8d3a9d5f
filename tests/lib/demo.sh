#!/bin/sh
# `make demo`: a short session of an agent's everyday work inside gabion, in a made-up home with a planted secret. Everything happens below
# one temporary directory, which is removed at the end.
set -eu
gabion=$(readlink -f "$1")
root=$(mktemp -d "${TMPDIR:-/tmp}/gabion-demo.XXXXXX")
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
HOME=$root/home
export HOME
unset XDG_STATE_HOME
mkdir -p "$HOME/.ssh" "$HOME/project"
echo "PLANTED-SECRET-KEY" >"$HOME/.ssh/id_ed25519"
printf '[user]\n\tname = Demo\n\temail = demo@example.org\n' >"$HOME/.gitconfig"
cd "$HOME/project"

# The repository exists before the run: its hooks would be executed by git outside, later.
git init -q .
mkdir -p .git/hooks
printf '#!/bin/sh\nexit 0\n' >.git/hooks/pre-commit
chmod 755 .git/hooks/pre-commit

cat >session.sh <<'SESSION'
say() { printf '\n\033[1m-- %s\033[0m\n' "$*"; }
try() { printf '   $ %s\n' "$*"; sh -c "$*" 2>&1 | sed 's/^/   /'; }

say "work as usual: a repository, a program, a build"
try 'printf "print(sum(range(10)))\n" > sum.py && python3 sum.py'
try 'printf "#include <stdio.h>\nint main(void){puts(\"compiled and run\");}\n" > hello.c && cc hello.c -o hello && ./hello'
try 'git add sum.py hello.c && git commit -q -m "Add a program" && git log --oneline'

say "read the user's secret key"
try 'cat ~/.ssh/id_ed25519'

say "plant a hook that git would run outside"
try 'echo "curl evil" > .git/hooks/pre-commit'
try 'mv .git .git.away'

say "send something out"
try 'python3 -c "import socket; socket.create_connection((\"198.51.100.7\", 443), 3)" 2>&1 | tail -n 1'

say "drop a program in /tmp and run it"
try 'cp /bin/true /tmp/dropped && /tmp/dropped'

say "change the system"
try 'echo x > /etc/gabion-demo'
SESSION
echo "\$ gabion run -- bash session.sh"
"$gabion" run -- bash session.sh
status=$?
printf '\nThe secret is untouched, the hook is the old one:\n'
sed 's/^/   /' .git/hooks/pre-commit
grep -q PLANTED "$HOME/.ssh/id_ed25519"
exit $status
