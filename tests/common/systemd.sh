#!/bin/sh
# Boots a real systemd as PID 1 of private namespaces over a copy-on-write view of this machine's root.
#
#   systemd.sh DIR [controllers]
#
# DIR (on the host, absolute, empty) receives:
#   bus/system_bus_socket  the machine's system bus
#   shared/                seen inside as /run/shared
#   pid                    the PID of the machine's systemd, as the host sees it
# With `controllers`, the machine has the cgroup controllers cpu, memory, pids and blkio (or io). A kernel has each of them either in
# cgroup v2 or in v1, so the machine uses the version that this machine uses. Without it, the machine has v2 without controllers.
# The machine ends when standard input reaches its end, which also happens when whoever started it dies. Nothing is left
# behind: the mounts are those of a private namespace, the cgroup is removed, and DIR is deleted.
set -eu

stage=$1
controllers='cpu cpuacct memory pids blkio'

fail() {
    echo "systemd.sh: $*" >&2
    exit 1
}

# Stage 3, PID 1 of the new namespaces: build the root and become systemd.
if [ "$stage" = boot ]; then
    dir=$2
    root=$dir/root
    mkdir -p "$dir/overlay" "$root"
    mount -t tmpfs -o mode=0755 overlay-upper "$dir/overlay"
    mkdir "$dir/overlay/upper" "$dir/overlay/work"
    mount -t overlay -o "lowerdir=/,upperdir=$dir/overlay/upper,workdir=$dir/overlay/work" overlay "$root"

    # Without a private /tmp, systemd-tmpfiles would empty this machine's own.
    for point in tmp run dev; do
        mount -t tmpfs -o mode=0755 "$point" "$root/$point"
    done
    chmod 1777 "$root/tmp"
    mkdir -p "$root/run/dbus" "$root/run/shared" "$root/dev/shm" "$root/dev/pts" "$root/proc" "$root/sys"
    mount --bind "$dir/bus" "$root/run/dbus"
    mount --bind "$dir/shared" "$root/run/shared"
    for node in null zero full random urandom tty; do
        : >"$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    ln -s null "$root/dev/console"
    ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"

    # The kernel's settings are everybody's: systemd-sysctl must not reach them.
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    if [ "$3" = v1 ]; then
        mount -t tmpfs -o mode=0755 cgroups "$root/sys/fs/cgroup"
        mkdir "$root/sys/fs/cgroup/unified"
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
        for controller in $controllers; do
            mkdir "$root/sys/fs/cgroup/$controller"
            mount -t cgroup -o "$controller" cgroup "$root/sys/fs/cgroup/$controller"
        done
        mkdir "$root/sys/fs/cgroup/systemd"
        mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    else
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    fi

    # What this machine has enabled, mounts and is called is no business of the test's machine; nor may that one load
    # modules or touch what else the kernel has only one of.
    rm -rf "$root/etc/systemd/system" "$root/etc/fstab"
    mkdir -p "$root/etc/systemd/system" "$root/var/log/journal"
    : >"$root/etc/fstab"
    echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
    echo upkeep-test >"$root/etc/hostname"
    for unit in systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
        systemd-udev-trigger.service systemd-modules-load.service systemd-sysctl.service \
        systemd-random-seed.service systemd-binfmt.service systemd-timesyncd.service apparmor.service \
        systemd-journald-audit.socket modprobe@.service proc-sys-fs-binfmt_misc.automount \
        sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount; do
        ln -s /dev/null "$root/etc/systemd/system/$unit"
    done

    mkdir -p "$root/run/host"
    cd "$root"
    pivot_root . run/host
    # A lazy unmount: the overlay keeps what it needs of the old root.
    umount -l /run/host
    rmdir /run/host
    exec env -i container=upkeep-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        /lib/systemd/systemd --system --unit=basic.target --log-level=warning --show-status=no
fi

# Stage 2, in a private mount namespace: own a cgroup, start stage 3 in it, and clean up after it.
if [ "$stage" = hold ]; then
    dir=$2
    mkdir -p "$dir/cgroup" "$dir/bus" "$dir/shared"
    chmod 0755 "$dir" "$dir/bus" "$dir/shared"
    mount -t cgroup2 cgroup2 "$dir/cgroup" || fail "can't mount the cgroup2 hierarchy: the kernel lacks it, or CAP_SYS_ADMIN is missing"
    own=$(sed -n 's/^0:://p' /proc/self/cgroup)
    version=v2
    if [ "$3" = controllers ]; then
        # Below the root, where the service manager of this machine has enabled the controllers.
        if grep -qw memory "$dir/cgroup/cgroup.controllers"; then own=''; else version=v1; fi
    fi
    cgroup=$dir/cgroup$own/upkeep-test-$$
    mkdir "$cgroup"
    cgroups=$cgroup
    if [ "$version" = v1 ]; then
        for controller in $controllers name=systemd; do
            mkdir -p "$dir/v1/$controller"
            mount -t cgroup -o "none,$controller" cgroup "$dir/v1/$controller" 2>/dev/null ||
                mount -t cgroup -o "$controller" cgroup "$dir/v1/$controller" || fail "can't mount the cgroup hierarchy $controller"
            path=$(sed -n "s/^[0-9]*:\([^:]*,\)\{0,1\}$controller\(,[^:]*\)\{0,1\}://p" /proc/self/cgroup)
            mkdir "$dir/v1/$controller${path%/}/upkeep-test-$$"
            cgroups="$cgroups $dir/v1/$controller${path%/}/upkeep-test-$$"
        done
    fi

    finish() {
        trap '' EXIT HUP INT TERM
        [ -z "${machine:-}" ] || kill -KILL "$machine" 2>/dev/null || :
        wait || :
        # The kernel lets a cgroup go a moment after the last of its processes.
        tries=0
        for group in $cgroups; do
            while [ -d "$group" ] && [ $tries -lt 100 ]; do
                find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
                tries=$((tries + 1))
            done
        done
        umount "$dir/cgroup"
        [ "$version" = v2 ] || umount "$dir"/v1/*
        rm -rf --one-file-system "$dir"
    }
    trap finish EXIT
    trap 'exit 1' HUP INT TERM

    # The machine dies with `unshare` (--kill-child), and `unshare` with this shell (pdeathsig).
    sh -c 'for group in $1; do echo $$ >"$group/cgroup.procs" || exit; done; shift; exec "$@"' sh "$cgroups" \
        setpriv --pdeathsig KILL \
        unshare --fork --kill-child --pid --mount --uts --ipc --cgroup --net \
        sh "$0" boot "$dir" "$version" </dev/null &
    machine=$!
    tries=0
    until child=$(cat "/proc/$machine/task/$machine/children" 2>/dev/null) && [ -n "$child" ]; do
        kill -0 "$machine" 2>/dev/null && [ $tries -lt 200 ] || fail "unshare failed; see above"
        tries=$((tries + 1))
        sleep 0.02
    done
    echo "${child%% *}" >"$dir/pid.new"
    mv "$dir/pid.new" "$dir/pid"
    cat >/dev/null # until standard input ends
    exit 0
fi

# Stage 1: check what is needed, leave the caller's mount namespace.
[ "$(id -u)" = 0 ] || fail "run as root: namespaces, mounts and cgroups need it"
for tool in /lib/systemd/systemd dbus-daemon unshare nsenter setpriv pivot_root; do
    command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install systemd dbus util-linux"
done
exec unshare --mount --propagation private sh "$0" hold "$stage" "${2:-}"
