#!/bin/sh
# Installs, upgrades or removes the exporter as a systemd service. Running it again changes only what differs.
set -eu

usage() {
    cat <<'USAGE'
Usage: deploy/install.sh [--process-details] [--ping] [BINARY]
       deploy/install.sh --uninstall [--purge]

Installs BINARY (default: target/release/upkeep_exporter) as a systemd service with a user of its own, starts it at once
and at every boot. A configuration that exists is kept.

  --process-details  let process checks see the executables of other users' processes (two capabilities more)
  --ping             let icmp checks send pings (a capability more)
  --uninstall        stop and remove it; the configuration and the state stay
  --purge            with --uninstall: remove these, and the user, too

Environment:
  PREFIX   where the binary goes: $PREFIX/bin (default: /usr/local)
  DESTDIR  install below this directory and touch nothing else, to build a package
USAGE
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

name=upkeep_exporter
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
prefix=${PREFIX:-/usr/local}
dest=${DESTDIR:-}
action=install
purge=no
details=no
ping=no
source=

while [ $# -gt 0 ]; do
    case $1 in
        --uninstall) action=uninstall ;;
        --purge) purge=yes ;;
        --process-details) details=yes ;;
        --ping) ping=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        -*)
            usage >&2
            fail "unknown option $1"
            ;;
        *)
            [ -z "$source" ] || fail "only one binary can be installed, not $source and $1"
            source=$1
            ;;
    esac
    shift
done
[ "$purge" = no ] || [ "$action" = uninstall ] || fail "--purge goes with --uninstall"
case $prefix in
    /*) ;;
    *) fail "PREFIX must be an absolute path, not $prefix" ;;
esac

binary=$dest$prefix/bin/$name
config=$dest/etc/$name/upkeep.yml
arguments=$dest/etc/default/$name
unit=$dest/etc/systemd/system/$name.service
dropins=$unit.d
sysusers=$dest/etc/sysusers.d/$name.conf
share=$dest$prefix/share
bash_completion=$share/bash-completion/completions/$name
fish_completion=$share/fish/vendor_completions.d/$name.fish
zsh_completion=$share/zsh/site-functions/_$name
manuals=$share/man/man1
changed=no

# put SOURCE TARGET MODE: replaces TARGET unless it is the same already; at once, so that nobody sees half a file.
put() {
    if [ -f "$2" ] && cmp -s "$1" "$2" && [ "$(stat -c %a "$2")" = "$3" ]; then
        return
    fi
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.new"
    chmod "$3" "$2.new"
    mv -f "$2.new" "$2"
    changed=yes
    echo "installed $2"
}

# generated TARGET ARGUMENT...: what the binary prints when it is called with the arguments.
generated() {
    target=$1
    shift
    "$source" "$@" >"$scratch/generated" || fail "\`$source $*\` failed"
    put "$scratch/generated" "$target" 644
}

# Completions and manual pages, which the binary brings along.
install_helps() {
    if ! "$source" --version >/dev/null 2>&1; then
        echo "left out completions and manual pages: $source does not run on this machine"
        return
    fi
    before=$changed
    generated "$bash_completion" completions bash
    generated "$fish_completion" completions fish
    generated "$zsh_completion" completions zsh
    generated "$manuals/$name.1" man
    for command in check status check-config completions man; do
        generated "$manuals/$name-$command.1" man "$command"
    done
    # None of them is a reason to restart the service.
    changed=$before
}

require_systemd() {
    [ "$(id -u)" = 0 ] || fail "run as root (sudo $0), or set DESTDIR to build a package"
    command -v systemctl >/dev/null || fail "systemctl is missing: this installs a systemd service"
    [ -d /run/systemd/system ] || fail "systemd does not run on this machine (is it a container?): start the binary by other means"
}

install_files() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    put "$source" "$binary" 755
    install_helps
    put "$here/systemd/$name.conf" "$sysusers" 644
    sed "s|^ExecStart=/usr/local/bin/|ExecStart=$prefix/bin/|" "$here/systemd/$name.service" >"$scratch/unit"
    put "$scratch/unit" "$unit" 644
    [ "$details" = no ] || put "$here/systemd/allow-process-details.conf" "$dropins/process-details.conf" 644
    [ "$ping" = no ] || put "$here/systemd/allow-ping.conf" "$dropins/ping.conf" 644
    if [ ! -e "$arguments" ]; then
        echo '# Further arguments of the exporter; see `upkeep_exporter --help`.' >"$scratch/arguments"
        echo 'ARGS=' >>"$scratch/arguments"
        put "$scratch/arguments" "$arguments" 644
    fi
    if [ ! -e "$config" ]; then
        for initial in "$root/config/default.yml" "$root/config/upkeep.example.yml"; do
            if [ -f "$initial" ]; then
                # It may come to hold secrets.
                put "$initial" "$config" 640
                break
            fi
        done
        [ -e "$config" ] || fail "there is no $config, and no config/default.yml to begin with: write one"
    fi
}

start_service() {
    systemd-sysusers "$sysusers"
    # Readable for the exporter, writable for root only; files that are added later inherit the group.
    if [ "$(stat -c %G "$(dirname "$config")")" != "$name" ]; then
        chgrp -R "$name" "$(dirname "$config")"
        chmod 2750 "$(dirname "$config")"
    fi
    # A file with an error in it would end the exporter that runs.
    "$binary" check-config "$config" >"$scratch/check" 2>&1 ||
        fail "$config has errors, so the service was not started:
$(cat "$scratch/check")"
    [ "$changed" = no ] || systemctl daemon-reload
    systemctl is-enabled --quiet $name.service 2>/dev/null || systemctl --quiet enable $name.service
    if [ "$changed" = yes ] || ! systemctl is-active --quiet $name.service; then
        systemctl restart $name.service || {
            systemctl --no-pager --full status $name.service >&2 || :
            fail "the service does not start; \`journalctl -u $name\` tells why"
        }
    else
        echo "nothing to change"
    fi
    cat <<DONE
$name runs: http://localhost:10100/ shows what it sees, http://localhost:10100/metrics is for Prometheus.
What it checks:   $config   (after a change: systemctl reload $name)
Its arguments:    $arguments
Its log:          journalctl -u $name
DONE
}

uninstall() {
    if [ -z "$dest" ]; then
        systemctl --quiet disable --now $name.service 2>/dev/null || :
    fi
    rm -f "$binary" "$unit" "$dropins/process-details.conf" "$dropins/ping.conf" "$sysusers" "$bash_completion" "$fish_completion" "$zsh_completion" \
        "$manuals/$name.1" "$manuals/$name"-*.1
    rmdir "$dropins" 2>/dev/null || :
    if [ -z "$dest" ]; then
        systemctl daemon-reload
        systemctl reset-failed $name.service 2>/dev/null || :
    fi
    if [ "$purge" = yes ]; then
        rm -rf "$dest/etc/$name" "$arguments" "$dest/var/lib/$name"
        if [ -z "$dest" ] && getent passwd $name >/dev/null; then
            userdel $name
        fi
        echo "removed $name, its configuration, its state and its user"
    else
        echo "removed $name; kept $config, $arguments, $dest/var/lib/$name and the user (--purge removes them)"
    fi
}

[ -n "$dest" ] || require_systemd
if [ "$action" = uninstall ]; then
    uninstall
    exit 0
fi
if [ -z "$source" ]; then
    source=$root/target/release/$name
    [ -f "$source" ] || fail "$source is missing: run \`cargo build --release\` first, or give the path of a binary"
fi
[ -f "$source" ] && [ -x "$source" ] || fail "$source is not an executable file: give the path of the exporter's binary"
install_files
if [ -z "$dest" ]; then
    start_service
else
    echo "files are below $dest; on the target: systemd-sysusers && systemctl daemon-reload && systemctl enable --now $name"
fi
