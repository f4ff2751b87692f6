#!/bin/sh
# Makes a root file system what a container sees of it, then runs the rest there. To be run in mount and PID namespaces of its own
# (unshare), of which nothing is left when it ends.
# usage: enter.sh ROOT ro|rw SHM_SIZE MOUNT... -- COMMAND...; a MOUNT is tmpfs:PATH, or DIRECTORY:PATH
set -eu
root=$1 mode=$2 shm=$3
shift 3
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755,size=64k dev "$root/dev"
for name in null zero full random urandom tty; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
ln -s /proc/self/fd "$root/dev/fd"
for name in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${name#*:}" "$root/dev/${name%:*}"; done
mkdir "$root/dev/shm"
mount -t tmpfs -o "mode=1777,size=$shm" shm "$root/dev/shm"
while [ "$1" != -- ]; do
    case $1 in
        tmpfs:*) mount -t tmpfs -o mode=1777 tmp "$root${1#*:}" ;;
        *) mount --bind "${1%%:*}" "$root${1#*:}" ;;
    esac
    shift
done
shift
[ "$mode" = rw ] || mount -o remount,bind,ro "$root"
[ -z "${OWN_NETWORK:-}" ] || ip link set lo up
exec chroot "$root" "$@"
