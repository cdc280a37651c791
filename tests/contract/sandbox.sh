#!/usr/bin/env bash
# sandbox.sh COMMAND…: runs COMMAND in its own user, mount and network namespaces, with a root folder in which the absolute paths of
# the contracts (/vault, /var/log, /var/backups, /opt/vault, /etc/vault.d, /backup) are empty and its own, and with loopback up, so that
# their ports and names are its own too. Needs no privilege beyond unprivileged user namespaces.
set -euo pipefail

if [ "${COFFER_SANDBOX:-}" != inside ]; then
  COFFER_SANDBOX=inside exec unshare --user --map-root-user --mount --net --pid --fork --kill-child -- "$0" "$@"
fi

ip link set lo up
# A folder that is there already: it is ours only inside, and nothing is left of it outside.
root=/mnt
mount -t tmpfs -o mode=0755 none "$root"
for entry in /*; do
  name="${entry#/}"
  case "$name" in
    vault | backup | opt | etc | tmp | proc | dev | mnt | lost+found) continue ;;
  esac
  if [ -L "$entry" ]; then
    ln -s "$(readlink "$entry")" "$root/$name"
  elif [ -d "$entry" ]; then
    mkdir "$root/$name"
    mount --rbind "$entry" "$root/$name"
  fi
done
mkdir -p "$root"/{vault/logs,vault/data,backup,opt/vault/data,etc,tmp,proc,mnt}
mount -t proc proc "$root/proc"
# Devices without /dev/log: a test binds one of its own.
mkdir "$root/dev"
mount -t tmpfs -o mode=0755 none "$root/dev"
for device in null zero full random urandom tty ptmx; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
for folder in pts shm; do
  mkdir "$root/dev/$folder"
  mount --rbind "/dev/$folder" "$root/dev/$folder"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
# Terminals of its own, where the system lets it have them.
if mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 none "$root/dev/pts" 2>/dev/null; then
  mount --bind "$root/dev/pts/ptmx" "$root/dev/ptmx"
fi
cp -a /etc/. "$root/etc/" 2>/dev/null || true
mkdir -p "$root/etc/vault.d/tls"
printf '127.0.0.1 localhost vault.service vault.example.com\n::1 localhost\n' >"$root/etc/hosts"
mount -t tmpfs none "$root/var/log"
if [ -d "$root/var/backups" ]; then mount -t tmpfs none "$root/var/backups"; fi
if [ -d "$root/root" ]; then mount -t tmpfs none "$root/root"; fi
here="$PWD"
exec env HOME=/root chroot "$root" /bin/bash -c 'cd "$1" && shift && exec "$@"' _ "$here" "$@"
