#!/usr/bin/env bash
# Installs Grafana's packages (Apache-2.0) and what draws with them to target/picture-tools. Only `make pictures` needs them.
set -euo pipefail

# Versions of dependencies: the newest ones before this date.
before=2026-11-01
packages=(@grafana/data@13.2.3 @grafana/ui@13.2.3 @grafana/schema@13.2.3 react@19.3.1 react-dom@19.3.1 rxjs@7.8.2
  esbuild@0.28.2 @fontsource/inter@5.3.0 upng-js@2.1.0)

folder="$(cd "$(dirname "$0")/../.." && pwd)/target/picture-tools"
wanted="$before ${packages[*]}"
[ "$(cat "$folder/installed" 2>/dev/null)" = "$wanted" ] && exit
rm -rf "$folder"
mkdir -p "$folder"
npm install --silent --no-audit --no-fund --no-save --ignore-scripts --before "$before" --prefix "$folder" "${packages[@]}"
echo "$wanted" >"$folder/installed"
