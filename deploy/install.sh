#!/bin/sh
# Installs, upgrades or removes the exporter as a systemd service. A second run changes only what differs.
set -eu

usage() {
    cat <<'USAGE'
Usage: deploy/install.sh [--process-details] [--ping] [--heal] [BINARY]
       deploy/install.sh --uninstall [--purge]

Installs BINARY (default: target/release/upkeep_exporter) as a systemd service with its own user. Starts it now and at
every boot. Does not overwrite an existing configuration.

  --process-details  allow process checks to see the executables of other users' processes (adds two capabilities)
  --ping             allow icmp checks to send pings (adds one capability)
  --heal             allow the exporter to start or restart the units of services with heal mode act (a polkit rule);
                     run it again after you change these services
  --uninstall        stop and remove the service; keep configuration, state and user
  --purge            with --uninstall: also remove configuration, state and user

Environment:
  PREFIX   install the binary in $PREFIX/bin (default: /usr/local)
  DESTDIR  install below this directory and change nothing else, to build a package
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
heal=no
source=

while [ $# -gt 0 ]; do
    case $1 in
        --uninstall) action=uninstall ;;
        --purge) purge=yes ;;
        --process-details) details=yes ;;
        --ping) ping=yes ;;
        --heal) heal=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        -*)
            usage >&2
            fail "unknown option $1"
            ;;
        *)
            [ -z "$source" ] || fail "cannot install both $source and $1: give one binary"
            source=$1
            ;;
    esac
    shift
done
[ "$purge" = no ] || [ "$action" = uninstall ] || fail "--purge requires --uninstall"
case $prefix in
    /*) ;;
    *) fail "PREFIX must be an absolute path, not $prefix" ;;
esac

binary=$dest$prefix/bin/$name
config=$dest/etc/$name/upkeep.yml
more_config=$dest/etc/$name/conf.d
arguments=$dest/etc/default/$name
unit=$dest/etc/systemd/system/$name.service
dropins=$unit.d
sysusers=$dest/etc/sysusers.d/$name.conf
rule=$dest/etc/polkit-1/rules.d/60-$name.rules
share=$dest$prefix/share
bash_completion=$share/bash-completion/completions/$name
fish_completion=$share/fish/vendor_completions.d/$name.fish
zsh_completion=$share/zsh/site-functions/_$name
manuals=$share/man/man1
# Whether the service needs a restart, and whether any file was installed.
changed=no
installed=no

# put SOURCE TARGET MODE: replaces TARGET atomically, unless content and mode are already the same.
put() {
    if [ -f "$2" ] && cmp -s "$1" "$2" && [ "$(stat -c %a "$2")" = "$3" ]; then
        return
    fi
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.new"
    chmod "$3" "$2.new"
    mv -f "$2.new" "$2"
    changed=yes
    installed=yes
    echo "installed $2"
}

# generated TARGET ARGUMENT...: writes to TARGET what the binary prints with these arguments. Such files do not require a restart
# of the service.
generated() {
    target=$1
    shift
    "$source" "$@" >"$scratch/generated" || fail "\`$source $*\` failed"
    before=$changed
    put "$scratch/generated" "$target" 644
    changed=$before
}

# Installs completions and manual pages, which the binary prints.
install_helps() {
    if ! "$source" --version >/dev/null 2>&1; then
        echo "skipped completions and manual pages: $source does not run on this machine"
        return
    fi
    generated "$bash_completion" completions bash
    generated "$fish_completion" completions fish
    generated "$zsh_completion" completions zsh
    mkdir -p "$scratch/manuals"
    "$source" man --output-dir "$scratch/manuals" || fail "\`$source man --output-dir\` failed"
    before=$changed
    for page in "$scratch/manuals"/*.1; do
        put "$page" "$manuals/${page##*/}" 644
    done
    changed=$before
}

# Installs the rule that allows the exporter to heal the units of its configuration. polkit loads it at once.
install_rule() {
    generated "$rule" polkit-rule --config.file="$config" --config.file="$more_config" --user=$name
    actions=$(sed -n 's/^        "\(.*\)",\{0,1\}$/  \1/p' "$rule" | sed 's/\\\\/\\/g')
    [ -z "$actions" ] || printf '%s allows the user %s:\n%s\n' "$rule" "$name" "$actions"
}

require_polkit() {
    [ -f /usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service ] ||
        fail "polkit not found: --heal needs the package polkitd (Debian, Ubuntu) or polkit (Fedora, openSUSE, Arch)"
}

require_systemd() {
    [ "$(id -u)" = 0 ] || fail "run as root (sudo $0), or set DESTDIR to build a package"
    command -v systemctl >/dev/null || fail "systemctl not found: a systemd service needs systemd"
    [ -d /run/systemd/system ] || fail "systemd is not running on this machine (is it a container?): start the binary in another way"
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
        echo '# Additional arguments of the exporter; see `upkeep_exporter --help`.' >"$scratch/arguments"
        echo 'ARGS=' >>"$scratch/arguments"
        put "$scratch/arguments" "$arguments" 644
    fi
    if [ ! -e "$config" ]; then
        for initial in "$root/config/default.yml" "$root/config/upkeep.example.yml"; do
            if [ -f "$initial" ]; then
                # The file may contain secrets later.
                put "$initial" "$config" 640
                break
            fi
        done
        [ -e "$config" ] || fail "$config does not exist, and there is no config/default.yml to copy: create $config"
    fi
    [ -e "$more_config" ] || mkdir -m 750 "$more_config"
}

start_service() {
    systemd-sysusers "$sysusers"
    # The exporter can read them, only root can write them. New files inherit the group.
    for directory in "$(dirname "$config")" "$more_config"; do
        if [ "$(stat -c %G "$directory")" != "$name" ] || [ ! -g "$directory" ]; then
            chgrp -R "$name" "$directory"
            chmod 2750 "$directory"
        fi
    done
    # A restart with an invalid file would stop the running exporter.
    "$binary" --config.check --config.file="$config" --config.file="$more_config" >"$scratch/check" 2>&1 ||
        fail "the configuration has errors; the service was not started:
$(cat "$scratch/check")"
    [ "$heal" = no ] || install_rule
    [ "$changed" = no ] || systemctl daemon-reload
    systemctl is-enabled --quiet $name.service 2>/dev/null || systemctl --quiet enable $name.service
    if [ "$changed" = yes ] || ! systemctl is-active --quiet $name.service; then
        systemctl restart $name.service || {
            systemctl --no-pager --full status $name.service >&2 || :
            fail "the service does not start: see \`journalctl -u $name\`"
        }
    elif [ "$installed" = no ]; then
        echo "nothing to change"
    fi
    cat <<DONE
$name is running. Status page: http://localhost:10100/. Metrics: http://localhost:10100/metrics
Configuration:  $config and $more_config/*.yml   (after a change: systemctl reload $name)
Arguments:      $arguments
Log:            journalctl -u $name
DONE
}

uninstall() {
    if [ -z "$dest" ]; then
        systemctl --quiet disable --now $name.service 2>/dev/null || :
    fi
    rm -f "$binary" "$unit" "$dropins/process-details.conf" "$dropins/ping.conf" "$rule" "$sysusers" "$bash_completion" "$fish_completion" "$zsh_completion" \
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
        echo "removed $name, its configuration, state and user"
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
    [ -f "$source" ] || fail "$source not found: run \`cargo build --release\` first, or give the path of a binary"
fi
[ -f "$source" ] && [ -x "$source" ] || fail "$source is not an executable file: give the path of the exporter's binary"
[ "$heal" = no ] || [ -n "$dest" ] || require_polkit
install_files
if [ -z "$dest" ]; then
    start_service
else
    [ "$heal" = no ] || install_rule
    echo "installed files below $dest; on the target machine run: systemd-sysusers && systemctl daemon-reload && systemctl enable --now $name"
fi
