# shellcheck shell=bash
# Engines of the tests, each with its own state below $E, nothing of the machine's own: podman, containerd, dockerd. The
# image is static busybox, imported; ENGINE_RT names another runtime to run the same tests with (runc).

set_up_engine() {
  E=$BATS_FILE_TMPDIR
  RT=${ENGINE_RT:-$E/gabion-oci}
  [ -n "${ENGINE_RT-}" ] || ln -sfn "$GABION" "$RT"
  export E RT
}

# A root file system as a tar file, with one more user.
make_image() {
  [ -e "$E/image.tar" ] && return
  make_rootfs "$E/image"
  echo 'agent:x:1001:1001:agent:/tmp:/bin/sh' >>"$E/image/etc/passwd"
  echo 'agent:x:1001:' >>"$E/image/etc/group"
  mkdir -p "$E/image/work" "$E/image/usr/bin"
  chmod 1777 "$E/image/tmp" "$E/image/run"
  tar -C "$E/image" -cf "$E/image.tar" .
}

podman_conf() {
  local init
  init=$(command -v tini-static || command -v docker-init || command -v catatonit || echo /usr/libexec/podman/catatonit)
  cat >"$E/containers.conf" <<CONF
[containers]
init_path = "$init"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "gabion"
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime_supports_json = ["gabion", "gabion-oci"]
runtime_supports_nocgroup = ["gabion", "gabion-oci", "crun"]
[engine.runtimes]
gabion = ["$RT"]
[network]
CONF
  mkdir -p "$E/storage"
  printf '[storage]\ndriver = "overlay"\nrunroot = "%s/run"\ngraphroot = "%s/storage"\n' "$E" "$E" >"$E/storage.conf"
  printf '{"default":[{"type":"insecureAcceptAnything"}]}' >"$E/policy.json"
  export CONTAINERS_CONF=$E/containers.conf CONTAINERS_STORAGE_CONF=$E/storage.conf
}

pod() {
  timeout --foreground -k 5 120 podman --root "$E/storage" --runroot "$E/run" --tmpdir "$E/libpod-tmp" --storage-driver overlay --cgroup-manager=cgroupfs "$@"
}

podman_image() {
  make_image
  pod image exists mini || pod import "$E/image.tar" mini >/dev/null
}

prun() {
  pod run --rm --network none "$@"
}
