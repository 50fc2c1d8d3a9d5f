#!/bin/bash
# Fetches Debian's stock kernel and prepares what run.sh boots; prints the directory that holds it.
#
# usage: tests/kernels/kernel.sh [CACHE]        (CACHE defaults to build/kernels)
#
# The package is fetched by name with apt-get, unpacked below CACHE with dpkg-deb and never installed:
# the host's boot loader, /boot and /lib/modules are not touched. Result, made once and kept:
#
#   PACKAGE/boot          the package's kernel and its configuration
#   PACKAGE/layer         its modules, with depmod's files added, as usr/lib/modules/RELEASE
#   PACKAGE/vmlinux       the same kernel, unpacked: its own unpacking takes seconds where there is no KVM
#   PACKAGE/base.cpio     busybox and the modules needed to reach the root file system
#   PACKAGE/scratch.ext4  an empty, sparse file system; run.sh's guests write to a throw-away copy of it
#   PACKAGE/release       the kernel's release name; written last, so its presence means "complete"
#
# KERNEL_PACKAGE names another package (default: what linux-image-amd64 depends on).
# KERNEL_DEB names a .deb file to use instead, where apt does not offer Debian's kernels.
# Exit status: 0, 77 when a tool or the package cannot be had (the reason is on stderr), 70 otherwise.
set -euo pipefail

tree=$(cd "$(dirname "$0")/../.." && pwd)
cache=${1:-$tree/build/kernels}

# Everything between the initramfs and the overlay root; dependencies are added by modprobe.
boot_modules="virtio_pci virtio_blk virtio_console 9pnet_virtio 9p overlay ext4"

cannot() { echo "check-kernels: $*" >&2; exit 77; }
broken() { echo "check-kernels: $*" >&2; exit 70; }

PATH=$PATH:/usr/sbin:/sbin
while read -r tool package; do
  command -v "$tool" >/dev/null ||
    cannot "$tool is missing: apt-get install --no-install-recommends $package"
done <<'TOOLS'
dpkg-deb dpkg
busybox busybox-static
depmod kmod
mkfs.ext4 e2fsprogs
flock util-linux
TOOLS
busybox=$(command -v busybox)
# The initramfs has no shared libraries; the package "busybox" is linked dynamically.
if ldd "$busybox" >/dev/null 2>&1; then
  cannot "$busybox needs shared libraries: apt-get install busybox-static"
fi

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

if [ -n "${KERNEL_DEB:-}" ]; then
  [ -r "$KERNEL_DEB" ] || broken "KERNEL_DEB=$KERNEL_DEB cannot be read"
  package=$(dpkg-deb -f "$KERNEL_DEB" Package)
elif [ -n "${KERNEL_PACKAGE:-}" ]; then
  package=$KERNEL_PACKAGE
elif ! command -v apt-get >/dev/null; then
  cannot "no apt-get here to fetch Debian's kernel with; set KERNEL_DEB to a linux-image .deb"
else
  # The newest unpacked one will do when apt has no package lists: the host may be off line.
  package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p')
  if [ -z "$package" ]; then
    # shellcheck disable=SC2012 # package names hold no newlines, and -t is what is wanted
    package=$(cd "$cache" && ls -t -- */release 2>/dev/null | head -n 1)
    package=${package%/release}
  fi
  [ -n "$package" ] ||
    cannot "apt offers no linux-image-amd64 (run apt-get update; not Debian: set KERNEL_DEB to a linux-image .deb)"
fi

dir=$cache/$package
if [ -s "$dir/release" ]; then
  echo "$dir"
  exit 0
fi

work=$(mktemp -d "$cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ -z "${KERNEL_DEB:-}" ]; then
  echo "check-kernels: fetching $package (about 70 MB, once)" >&2
  chmod 755 "$work"
  (cd "$work" && apt-get -q download "$package" >apt.log 2>&1) || {
    sed 's/^/  /' "$work/apt.log" >&2
    cannot "apt-get download $package failed"
  }
  KERNEL_DEB=$(echo "$work"/*.deb)
fi
dpkg-deb -x "$KERNEL_DEB" "$work/root"
kernel=$(echo "$work"/root/boot/vmlinuz-*)
[ -f "$kernel" ] || broken "$KERNEL_DEB holds no /boot/vmlinuz-*"
release=${kernel##*/vmlinuz-}
depmod -b "$work/root" "$release"

# A bzImage is a loader followed by the compressed kernel. xz complains of what follows the stream, after it
# has written all of it; what comes out is judged by its own header. Without xz the loader does it.
offset=$(LC_ALL=C grep -a -b -o -P -m 1 '\xfd7zXZ\x00' "$kernel" | head -n 1 | cut -d: -f1) || true
if [ -n "$offset" ] && command -v xz >/dev/null; then
  tail -c "+$((offset + 1))" "$kernel" | xz -dc 2>/dev/null >"$work/vmlinux" || true
  if readelf -n "$work/vmlinux" 2>/dev/null | grep -q Xen; then
    mv "$work/vmlinux" "$work/root/vmlinux"
  fi
fi

mkdir -p "$work/initramfs/bin" "$work/initramfs/modules"
cp "$busybox" "$work/initramfs/bin/busybox"
for module in $boot_modules; do
  modprobe -d "$work/root" -S "$release" --show-depends "$module" ||
    broken "$package has no module $module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/order"
while read -r path; do
  cp "$path" "$work/initramfs/modules/"
  echo "${path##*/}"
done <"$work/order" >"$work/initramfs/modules/order"
(cd "$work/initramfs" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/root/base.cpio"

# As a layer below the host's root, and no mount there: a mount below /usr would forbid an unprivileged
# namespace an overlay over /usr, which no real machine does.
mkdir -p "$work/root/layer/usr"
mv "$work/root/lib" "$work/root/layer/usr/lib"
rm -rf "$work/root/usr"

truncate -s 4G "$work/root/scratch.ext4"
mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 "$work/root/scratch.ext4"

echo "$release" >"$work/root/release"
rm -rf "$dir"
mv "$work/root" "$dir"
echo "$dir"
