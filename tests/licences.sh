#!/usr/bin/env bash
# Runs cargo-deny with deny.toml: licences, bans and sources always, advisories if their database exists.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20
tools=${CARGO_TARGET_DIR:-target}/tools
export PATH="$PWD/$tools/bin:$PATH"
if ! command -v cargo-deny >/dev/null; then
  echo "installing cargo-deny into $tools (once)"
  # It runs for seconds, so its own release profile (fat LTO, one codegen unit) costs minutes for nothing.
  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
    cargo install --quiet --locked --root "$tools" "cargo-deny@^$version"
fi

cargo fetch --locked --quiet
cargo deny --offline check licenses bans sources
# deny.toml ignores advisories of these crates because only tests use them.
for crate in quick-xml bincode; do
  if [ -n "$(cargo tree --offline --locked --quiet --edges normal,build --invert "$crate" 2>/dev/null)" ]; then
    echo "licences.sh: the exporter links $crate, but deny.toml ignores its advisories for tests only: remove the dependency"
    exit 1
  fi
done
database=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs
if [ -d "$database" ] && [ -n "$(ls -A "$database")" ]; then
  cargo deny --offline check advisories
else
  echo "licences.sh: advisories not checked: no database in $database; run cargo deny fetch"
fi
