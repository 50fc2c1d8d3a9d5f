#!/usr/bin/env bats
# Paths: every spelling of a refused object, and every way to change one.

setup() {
  load common
}

# A directory p with a file f ("SECRET"), a sub, and a directory s to work in.
place() {
  native "$1" sh -ec 'mkdir -p "$0/p/sub" s && echo SECRET >"$0/p/f"' "$2"
}

tree() {
  find "$@" -printf '%p %y %m %s %T@ %l\n' | sort
}

# What cannot be done here natively (no reflinks, say) is not asked inside; what can must be refused with an errno that says so.
mutators_held() {
  local mode=$1 top=$2 rule=$3 before
  place "$mode" "$top"
  got native "$mode" "$ATTACK/mutators" "$top/p/f" "$WS/s" >"$T/native" || return 1
  [ "$(grep -c ': done$' "$T/native")" -ge 80 ] || { cat "$T/native" >&2; return 1; }
  before=$(tree "$top/p"; native "$mode" cat "$top/p/f"; native "$mode" python3 -c 'import os,sys; print(os.listxattr(sys.argv[1]))' "$top/p/f")
  held inside "$mode" "$rule" "$top/p" -- "$ATTACK/mutators" "$top/p/f" "$WS/s" >"$T/inside" || { grep "done" "$T/inside" >&2; return 1; }
  ! grep -vE ': (EACCES|EPERM|EROFS|ENOTTY|EXDEV|EEXIST)$' "$T/inside" | grep . || return 1
  [ "$before" = "$(tree "$top/p"; native "$mode" cat "$top/p/f"; native "$mode" python3 -c 'import os,sys; print(os.listxattr(sys.argv[1]))' "$top/p/f")" ]
}

@test "B5: about ninety ways to change a protected file or its directory" {
  t() {
    each_way mutators_held "$1" "$WS" --protect || return 1
    # Permitted, all of it works but the attributes set by ioctl, which are refused everywhere (docs/LIMITS.md).
    got inside "$1" -- "$ATTACK/mutators" "$WS/p/f" "$WS/s" >"$T/inside" || return 1
    diff "$T/native" "$T/inside" | sed -n 's/^> //p' >"$T/differ"
    ! grep -v '^ioctl FS_IOC_[A-Z]*: ENOTTY$' "$T/differ" | grep .
  }
  each_mode t
}

@test "B5: the same on a path that may only be read" {
  t() {
    each_way mutators_held "$1" "$OUT" --read
  }
  each_mode t
}

# Reads "SECRET" from $f, by a path or descriptor; each line works natively.
spellings() {
  cat <<'EOF'
cat h/key
cat ./h//./key
cat p/../h/key
cat "$PWD/h/key"
cat /..$PWD/h/key
cat /proc/self/cwd/h/key
cat /proc/self/root"$PWD"/h/key
cat /proc/thread-self/cwd/h/key
cat /proc/$$/cwd/h/key
cat /proc/$$/task/$$/cwd/h/key
cd h && cat key
cd p && cat ../h/key
cat before
cat hard
ln -s h l && cat l/key
ln -s h/key l && cat l
ln -s h l1; for i in 1 2 3 4 5 6 7 8; do ln -s l$i l$((i + 1)); done; cat l9/key
ln -s /proc/self/cwd l && cat l/h/key
ln h/key l && cat l
mv h/key k && cat k
mv h k && cat k/key
mv -T p p2 && mv -T h p && cat p/key
cp h/key k && cat k
exec 3<h/key && cat <&3
exec 3<h/key && cat /proc/self/fd/3
exec 3<h && cat /proc/self/fd/3/key
exec 3<h && cd /proc/self/fd/3 && cat key
exec 3<p && cat /proc/self/fd/3/../h/key
tar c h | tar xO
find . -name 'key' -exec cat {} +
find . -type f -exec cat {} +
head -c 6 h/key
dd if=h/key status=none
git diff --no-index /dev/null h/key
python3 -c 'import mmap,os; print(mmap.mmap(os.open("h/key", os.O_RDONLY), 0, prot=mmap.PROT_READ).read(6))'
python3 -c 'import os; d = os.open("h", os.O_RDONLY); print(os.read(os.open("key", os.O_RDONLY, dir_fd=d), 6))'
python3 -c 'import os; d = os.open("h", os.O_PATH); print(os.read(os.open("key", os.O_RDONLY, dir_fd=d), 6))'
python3 -c 'import os; d = os.open("h/key", os.O_PATH); print(os.read(os.open("/proc/self/fd/%d" % d, os.O_RDONLY), 6))'
python3 -c 'import os; d = os.open("p", os.O_PATH); print(os.read(os.open("../h/key", os.O_RDONLY, dir_fd=d), 6))'
python3 -c 'import os; os.link("h/key", "l"); print(open("l").read())'
python3 -c 'import os; os.rename("h", "p/h2"); print(open("p/h2/key").read())'
python3 -c 'import os; print(os.read(os.open("key", os.O_RDONLY, dir_fd=os.open("/proc/self/cwd/h", os.O_RDONLY)), 6))'
up=$(printf '../%.0s' $(seq 200)); cat "$up${PWD#/}/h/key"
EOF
}

@test "B1 B2 B3 B6 I2 I3: a hidden directory in every spelling: symlinks, hard links made before and inside, renames, magic links" {
  t() {
    local text reset='find . -mindepth 1 -delete; mkdir h p; echo SECRET >h/key; ln -s h/key before; ln h/key hard'
    native "$1" sh -c "$reset"
    while IFS= read -r text; do
      native "$1" sh -c "$text" 2>/dev/null | grep -q SECRET || { echo "native: $text" >&2; return 1; }
      native "$1" sh -c "$reset"
      ! inside "$1" --hide "$WS/h" -- sh -c "$text" 2>/dev/null | grep -a SECRET || { echo "inside: $text" >&2; return 1; }
      native "$1" sh -c 'cat h/key' | grep -q SECRET || { echo "moved by: $text" >&2; return 1; }
      native "$1" sh -c "$reset"
    done < <(spellings)
    # All at once with everything performed by gabion, and by a pattern.
    ! inside "$1" --mediate all --hide "$WS/h" -- sh -c "$(spellings | sed 's/.*/(&)/')" 2>/dev/null </dev/null | grep -a SECRET || return 1
    native "$1" sh -c "$reset"
    ! inside "$1" --hide '**/h' -- sh -c "$(spellings | sed 's/.*/(&)/')" 2>/dev/null </dev/null | grep -a SECRET || return 1
    native "$1" sh -c "$reset"
    inside "$1" -- sh -c "$(spellings | grep -v 'mv \|rename' | sed 's/.*/(&); rm -f l l? k/')" >"$T/permitted" 2>/dev/null </dev/null
    [ "$(grep -ac SECRET "$T/permitted")" -ge 30 ] || { cat "$T/permitted" >&2; return 1; }
  }
  each_mode t
}

@test "B2: forty links are followed, a loop and a forty-first are ELOOP" {
  t() {
    local text='i=0; echo ok >l0; while [ $i -lt 41 ]; do ln -s l$i l$((i + 1)); i=$((i + 1)); done; ln -s x y; ln -s y x; cat l40; cat l41; cat x; cat y/z'
    native "$1" sh -c "$text" >"$T/native" 2>&1
    native "$1" find . -mindepth 1 -delete
    inside "$1" --mediate all -- sh -c "$text" >"$T/inside" 2>&1
    grep -q ok "$T/native" && diff "$T/native" "$T/inside"
  }
  each_mode t
}

@test "B9: a file handle opens nothing, also not with root's number guessed" {
  t() {
    place "$1" "$WS"
    inside "$1" --hide "$WS/p" -- python3 - 2>&1 <<'EOF'
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
mount = os.open("/", os.O_RDONLY)
for inode in (2, 128, 256):
    for kind in (1, 0x81):
        handle = (8).to_bytes(4, "little") + kind.to_bytes(4, "little") + inode.to_bytes(4, "little") + bytes(4)
        if libc.syscall(304, mount, handle, os.O_RDONLY) >= 0 or ctypes.get_errno() != errno.EPERM:
            sys.exit("handle of %d: %s" % (inode, errno.errorcode.get(ctypes.get_errno())))
buf = ctypes.create_string_buffer((128).to_bytes(4, "little") + bytes(132))
if libc.syscall(303, -100, b"p/f", buf, ctypes.byref(ctypes.c_int()), 0) >= 0:
    sys.exit("a handle of something hidden")
EOF
    # Natively root opens by handle what it has a name for.
    [ "$1" != root ] || native "$1" python3 -c 'import ctypes,os
libc = ctypes.CDLL(None); buf = ctypes.create_string_buffer((128).to_bytes(4, "little") + bytes(132))
assert libc.syscall(303, -100, b"p/f", buf, ctypes.byref(ctypes.c_int()), 0) >= 0
fd = libc.syscall(304, os.open(".", 0), buf, 0)
assert fd < 0 or os.read(fd, 6) == b"SECRET"'
  }
  each_mode t
}

@test "B10: in a working directory that is gone nothing can be made" {
  t() {
    local text='mkdir -p d/e; cd d/e; rmdir ../e; for c in "mkdir x" "touch x" "mkfifo x" "ln -s a x" "cat x" "mkdir ../x" "ls .." "touch ./x" "mkdir /proc/self/cwd/x"; do
        $c 2>/dev/null; echo "$c: $?"; done; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\"s\")" 2>/dev/null; echo "bind $?"; cd /; find . -path "*/d/*" -prune 2>/dev/null | head -0'
    native "$1" sh -c "$text" >"$T/native" 2>&1
    (cd "$WS" && find . | sort) >>"$T/native"
    native "$1" find . -mindepth 1 -delete
    inside "$1" --mediate all -- sh -c "$text" >"$T/inside" 2>&1
    (cd "$WS" && find . | sort) >>"$T/inside"
    # The parent is there still and takes a directory.
    [ "$(grep -c '^\.' "$T/native")" = 3 ] && diff "$T/native" "$T/inside"
  }
  each_mode t
}

@test "B12: names of odd lengths and bytes: errnos as natively, one record a refusal" {
  t() {
    cat >"$T/names.py" <<'EOF'
import errno, os
def attempt(what, fn):
    try:
        fn()
        print(what, "done")
    except OSError as e:
        print(what, errno.errorcode[e.errno])
for n in (254, 255, 256, 4094, 4095, 4096, 5000):
    attempt("component %d" % n, lambda: os.open(b"a" * n, os.O_CREAT | os.O_WRONLY))
for n in (4093, 4094, 4095, 4096, 4097):
    attempt("path %d" % n, lambda: os.open((b"./" * 2100)[:n - 1] + b"x", os.O_CREAT | os.O_WRONLY))
for name in (b"a\nb", b"\xff\xfe", b"\x1b]0;x\x07", b"a\rb", b"\x7f", b"\xe2\x80\xae", b"%s%n", b'"}\n{"', b"a\tb"):
    attempt(repr(name), lambda: os.close(os.open(name, os.O_CREAT | os.O_WRONLY)))
    attempt(repr(name) + " in p", lambda: os.close(os.open(b"p/" + name, os.O_CREAT | os.O_WRONLY)))
EOF
    chmod 644 "$T/names.py"
    mkdir "$WS/p"
    chmod 777 "$WS/p"
    native "$1" python3 "$T/names.py" >"$T/native"
    native "$1" sh -c 'find . -mindepth 1 ! -name p -delete'
    inside "$1" --read "$T/names.py" --mediate all -- python3 "$T/names.py" >"$T/inside"
    diff "$T/native" "$T/inside" || return 1
    native "$1" sh -c 'find . -mindepth 1 ! -name p -delete'
    inside "$1" --read "$T/names.py" --protect "$WS/p" --audit "$OUT/log" -- python3 "$T/names.py" >"$T/inside" || return 1
    [ "$(grep -c 'in p EACCES' "$T/inside")" = 9 ] || return 1
    # Each is one line of JSON, with nothing in it that a terminal obeys.
    python3 - "$OUT/log" <<'EOF'
import json, sys
lines = open(sys.argv[1], "rb").read().split(b"\n")
refused = [json.loads(l) for l in lines if l and b"/p/" in l]
assert len(refused) == 9, len(refused)
assert not any(b < 32 or b == 127 for l in lines for b in l)
EOF
  }
  each_mode t
}

@test "B15: a run leaves no files behind for what it hides or protects, whether it exists or not" {
  t() {
    local before after
    native "$1" sh -c 'mkdir -p a/.git/hooks b; echo x >a/.env; git init -q c'
    before=$(tree "$WS" "$OUT")
    inside "$1" --hide '**/.env' --hide "$WS/absent" --hide "$WS/b/absent/deep" --protect "$WS/none" --protect '**/none' --read "$OUT" --hide "$OUT/none" -- \
      sh -c 'cat .env absent b/absent/deep/x none; ls -R . >/dev/null; touch none; mkdir absent; git -C c status' >/dev/null 2>&1
    after=$(tree "$WS" "$OUT")
    diff <(echo "$before") <(echo "$after")
    [ "$(id -u)" -ne 0 ] || ! find "$WS" "$OUT" -user root -newer "$T/bin/gabion" ! -path "$WS" ! -path "$OUT" | grep -v "^$WS" | grep .
  }
  each_mode t
}

@test "I8: links a run leaves to what it could not see are told at its end, also when renamed" {
  t() {
    local home=$T/home.$1 text
    native "$1" sh -c 'mkdir -p d "$0/.ssh" && echo x >"$0/.ssh/id" && echo y >"$0/.profile"; ln -s "$0/.ssh/id" mine; ln -s x y' "$home"
    # shellcheck disable=SC2016
    text='ln -s "$0/.ssh/id" d/a; ln -s "$0/.profile" b; mv b b2; mv d e; ln -s ../../../../.."$0/.ssh/new" c; ln -s y ok; ln -s /usr/bin/env ok2
      ln -s "$0/.ssh" gone; rm gone; ln -s /tmp "$0/elsewhere"; ln -s "$0/.ssh" "$(printf "odd\033[1m")"'
    (cd "$WS" && in_mode "$1" "$GABION" run -- sh -c "$text" "$home") >"$OUT/said" 2>&1
    grep 'leaves a link' "$OUT/said" | sed 's/.*see: //' | sort >"$OUT/told"
    printf '%s\n' "$WS/b2 -> $home/.profile" "$WS/c -> $home/.ssh/new" "$WS/e/a -> $home/.ssh/id" "$WS/odd\\x1b[1m -> $home/.ssh" | sort | diff - "$OUT/told" || {
      cat "$OUT/said" >&2
      return 1
    }
    ! (cd "$WS" && in_mode "$1" "$GABION" run -- ln -s y ok3) 2>&1 | grep link
  }
  each_mode t
}

@test "I9: what follows -- is the command, and a policy file in the workspace is not read again" {
  t() {
    got native "$1" sh -c 'printf "#!/bin/sh\necho ran \"\$@\"\n" >-x && chmod 755 ./-x && mkdir p && echo SECRET >p/f'
    [ "$(inside "$1" -- ./-x --unprotect /)" = "ran --unprotect /" ] || return 1
    [ "$(inside "$1" -- sh -c 'echo "$0 $1"' --write /)" = "--write /" ] || return 1
    ! inside "$1" --hide "$WS/p" -- sh -c 'for i in 1 2 3; do echo "unhide: $0" >gabion.yaml; done; exec cat p/f' "$WS/p" 2>/dev/null
  }
  each_mode t
}
