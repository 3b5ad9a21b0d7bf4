#!/usr/bin/env bash
# cargo-deny on deny.toml: licences, bans and sources always, advisories where their database is at hand.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20
tools=${CARGO_TARGET_DIR:-target}/tools
export PATH="$PWD/$tools/bin:$PATH"
if ! command -v cargo-deny >/dev/null; then
  echo "installing cargo-deny into $tools (once)"
  cargo install --quiet --locked --root "$tools" "cargo-deny@^$version"
fi

cargo fetch --locked --quiet
cargo deny --offline check licenses bans sources
database=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs
if [ -d "$database" ] && [ -n "$(ls -A "$database")" ]; then
  cargo deny --offline check advisories
else
  echo "advisories: not checked, no database in $database (cargo deny fetch gets it)"
fi
