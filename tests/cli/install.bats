#!/usr/bin/env bats
# make install and uninstall below DESTDIR.

setup() {
  load common
  command -v make >/dev/null || skip "make is missing"
  dest=$BATS_TEST_TMPDIR/dest
}

into() {
  make -s -C "$SRC" BUILD="$BUILD" DESTDIR="$dest" PREFIX=/opt/g "$@"
}

@test "install puts everything in place, uninstall takes it all away" {
  into install
  "$dest/opt/g/bin/gabion" --version
  [ "$(readlink "$dest/opt/g/bin/gabion-oci")" = gabion ]
  [ -s "$dest/opt/g/share/man/man1/gabion.1" ]
  [ -s "$dest/opt/g/share/man/man8/gabion-oci.8" ]
  [ "$(jq -r .runtimes.gabion.path "$dest/opt/g/share/gabion/oci/daemon.json")" = /opt/g/bin/gabion-oci ]
  grep -qx 'gabion = \["/opt/g/bin/gabion-oci"\]' "$dest/opt/g/share/gabion/oci/containers.conf"
  grep -q 'BinaryName = "/opt/g/bin/gabion-oci"' "$dest/opt/g/share/gabion/oci/containerd.toml"
  grep -q '^profile gabion /opt/g/bin/gabion ' "$dest/opt/g/share/gabion/apparmor/gabion"
  grep -q '^complete -F _gabion gabion$' "$dest/opt/g/share/bash-completion/completions/gabion"
  head -n 1 "$dest/opt/g/share/zsh/site-functions/_gabion" | grep -qx '#compdef gabion'
  [ -s "$dest/opt/g/share/fish/vendor_completions.d/gabion.fish" ]
  into uninstall
  [ -z "$(find "$dest" ! -type d)" ]
}
