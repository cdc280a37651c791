#!/usr/bin/env bash
# sandbox.sh COMMAND…: runs COMMAND in its own user, mount and network namespaces, with a root folder in which the absolute paths of
# the contracts (/vault, /var/log, /opt/vault, /etc/vault.d, /backup) are empty and its own, and with loopback up, so that
# their ports and names are its own too. Needs no privilege beyond unprivileged user namespaces.
set -euo pipefail

if [ "${COFFER_SANDBOX:-}" != inside ]; then
  COFFER_SANDBOX=inside exec unshare --user --map-root-user --mount --net --pid --fork --kill-child -- "$0" "$@"
fi

ip link set lo up
root="$(mktemp -d)"
mount -t tmpfs -o mode=0755 none "$root"
for entry in /*; do
  name="${entry#/}"
  case "$name" in
    vault | backup | opt | etc | tmp | proc | lost+found) continue ;;
  esac
  if [ -L "$entry" ]; then
    ln -s "$(readlink "$entry")" "$root/$name"
  elif [ -d "$entry" ]; then
    mkdir "$root/$name"
    mount --rbind "$entry" "$root/$name"
  fi
done
mkdir -p "$root"/{vault/logs,vault/data,backup,opt/vault/data,etc,tmp,proc}
mount -t proc proc "$root/proc"
cp -a /etc/. "$root/etc/" 2>/dev/null || true
mkdir -p "$root/etc/vault.d/tls"
printf '127.0.0.1 localhost vault.service vault.example.com\n::1 localhost\n' >"$root/etc/hosts"
mount -t tmpfs none "$root/var/log"
if [ -d "$root/root" ]; then mount -t tmpfs none "$root/root"; fi
here="$PWD"
exec env HOME=/root chroot "$root" /bin/bash -c 'cd "$1" && shift && exec "$@"' _ "$here" "$@"
