#!/usr/bin/env bash
# Runs all unit and integration tests. The two programs that mostly wait for alerts run beside the others.
set -euo pipefail
cd "$(dirname "$0")/.."

waiting=(campaign e2e)
others=()
for path in tests/*.rs tests/*/main.rs; do
  name=${path#tests/}
  name=${name%/main.rs}
  name=${name%.rs}
  [[ " ${waiting[*]} " == *" $name "* ]] || others+=(--test "$name")
done

cargo test --locked --no-run
log=$(mktemp)
# Their tests mostly wait, so more of them run at once than there are cores.
cargo test --locked --no-fail-fast "${waiting[@]/#/--test=}" -- --test-threads=4 >"$log" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null || true; rm -f "$log"' EXIT

failed=0
cargo test --locked --no-fail-fast --lib --bins "${others[@]}" || failed=$?
cargo test --locked --doc || failed=$?
echo "waiting for ${waiting[*]}, which ran meanwhile"
wait "$beside" || failed=$?
cat "$log"
exit "$failed"
