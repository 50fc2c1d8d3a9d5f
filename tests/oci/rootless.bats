#!/usr/bin/env bats
# Without privileges: gabion-oci by an ordinary user's own hand, and podman of that user, who has no ids but his own.

setup() {
  load common
  need busybox jq setpriv
  need_root # to become that user
  W=$(mktemp -d /tmp/gabion-rootless.XXXXXX)
  chmod 755 "$W"
  mkdir "$W/bin" "$W/home" "$W/run"
  cp "$GABION" "$W/bin/gabion" && ln -s gabion "$W/bin/gabion-oci"
  make_rootfs "$W/rootfs"
  chown -R 2000:2000 "$W/home" "$W/run" "$W/rootfs"
  chmod 700 "$W/run"
  as_user unshare -Ur true 2>/dev/null || skip "no user namespaces for ordinary users here"
}

teardown() {
  [ -n "${W-}" ] || return 0
  [ ! -e "$W/podman" ] || p rm --force --all --time 0 >/dev/null 2>&1 || true
  for id in $(as_user "$W/bin/gabion-oci" list -q); do
    as_user "$W/bin/gabion-oci" delete --force "$id"
  done
  awk -v d="$W/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r -n 1 umount
  rm -rf "$W"
}

as_user() {
  setpriv --reuid 2000 --regid 2000 --clear-groups env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$W/home" XDG_RUNTIME_DIR="$W/run" "$@"
}

p() {
  touch "$W/podman"
  as_user timeout -k 5 100 podman --runtime "$W/bin/gabion-oci" --storage-driver vfs --cgroup-manager=cgroupfs "$@"
}

LIMITS=(--network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024)

@test "run, state and delete by a user's own hand" {
  mkdir "$W/b"
  ln -s "$W/rootfs" "$W/b/rootfs"
  "$W/bin/gabion-oci" spec --rootless --bundle "$W/b"
  change "$W/b" '.process.terminal = false | .process.args = ["sh", "-c", "id -u; grep -c . /proc/self/uid_map; exit 5"]
    | .linux.uidMappings[0].hostID = 2000 | .linux.gidMappings[0].hostID = 2000'
  run as_user "$W/bin/gabion-oci" run --bundle "$W/b" r1
  echo "$output"
  [ "$status" -eq 5 ]
  [ "$output" = $'0\n1' ]
  change "$W/b" '.process.args = ["sleep", "1000"]'
  as_user "$W/bin/gabion-oci" run --bundle "$W/b" -d r2 </dev/null >/dev/null 2>&1 3>&-
  run as_user "$W/bin/gabion-oci" exec r2 echo in
  echo "exec: $status $output"
  [ "$status" -eq 0 ]
  [ "$output" = in ]
  [ "$(as_user "$W/bin/gabion-oci" state r2 | jq -r .status)" = running ]
  as_user "$W/bin/gabion-oci" delete --force r2
  [ -z "$(ls -A "$W/run/gabion-oci")" ]
}

@test "podman of that user: run, exec, logs, stop" {
  need podman
  # shellcheck disable=SC2030
  run p run --rm "${LIMITS[@]}" --rootfs "$W/rootfs" sh -c 'echo hi; exit 4'
  echo "$output"
  [ "$status" -eq 4 ]
  [[ $output == *hi* ]]
  run p run --rm "${LIMITS[@]}" --rootfs "$W/rootfs" /nosuch
  [ "$status" -eq 127 ]
  p run -d --name bg "${LIMITS[@]}" --log-driver k8s-file --rootfs "$W/rootfs" sh -c 'trap "exit 3" TERM; echo up; while :; do sleep 0.1; done' >/dev/null 2>&1 3>&-
  until_true sh -c "cat $W/home/.local/share/containers/storage/vfs-containers/*/userdata/ctr.log 2>/dev/null | grep -q up"
  p logs bg 2>/dev/null | grep -qx up
  [ "$(p exec bg echo in 2>/dev/null </dev/null)" = in ]
  p stop -t 20 bg >/dev/null 2>&1
  [ "$(p inspect bg --format '{{.State.ExitCode}}' 2>/dev/null)" = 3 ]
  p rm bg >/dev/null 2>&1
}
