#!/usr/bin/env bash
# Fuzzes each target, or those named, for FUZZ_SECONDS seconds (60), and prints a line for each. Ends with 1 where one found
# something, and says how to see it again.
set -uo pipefail
cd "$(dirname "$0")/.."

version=0.13
seconds=${FUZZ_SECONDS:-60}
tools=${CARGO_TARGET_DIR:-target}/tools
export PATH="$PWD/$tools/bin:$PATH"
# cargo-fuzz passes flags that only a nightly compiler takes otherwise.
export RUSTC_BOOTSTRAP=1
# There is no unsafe code here for the address sanitizer to watch.
sanitizer=${FUZZ_SANITIZER:-none}

targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=(probe request heartbeat dialogue web_config config texts packets python node exchange)
declare -A more=([config]="tests/bad-config config" [web_config]=tests/bad-web-config)
# An input is no longer than this: where time grows with length, more short ones find more.
declare -A most=([probe]=9000 [request]=9000 [config]=3000)

if ! command -v cargo-fuzz >/dev/null; then
  echo "installing cargo-fuzz into $tools (once)"
  cargo install --quiet --locked --root "$tools" "cargo-fuzz@^$version" || exit 1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cargo fuzz build --sanitizer "$sanitizer" >"$log" 2>&1; then
  cat "$log" >&2
  echo "the fuzz targets could not be built" >&2
  exit 1
fi

status=0
for target in "${targets[@]}"; do
  corpus=fuzz/corpus/$target
  mkdir -p "$corpus"
  read -ra folders <<<"${more[$target]:-}"
  cargo fuzz run --sanitizer "$sanitizer" "$target" "$corpus" "tests/fuzz-found/$target" "${folders[@]}" -- \
    -max_total_time="$seconds" -max_len="${most[$target]:-4096}" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
    -print_final_stats=1 >"$log" 2>&1
  code=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
  coverage=$(grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$log" | tail -n 1)
  if [ "$code" -eq 0 ]; then
    printf '%-11s ok: %s executions, %s, at most %s MB\n' "$target" "${executions:-0}" "$coverage" "$memory"
    continue
  fi
  status=1
  artifact=$(sed -n 's/.*Test unit written to *//p' "$log" | tail -n 1)
  printf '%-11s FAILED\n' "$target"
  grep -E -A3 'panicked at|ERROR: libFuzzer|error:' "$log" | head -n 20 | sed 's/^/    /'
  if [ -n "$artifact" ]; then
    echo "    to see it again: RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer $sanitizer $target $artifact"
    echo "    to keep it as a test: cp $artifact tests/fuzz-found/$target/WHAT-IT-IS, then cargo test --test fuzz_found"
  else
    tail -n 20 "$log" | sed 's/^/    /'
  fi
done
exit "$status"
