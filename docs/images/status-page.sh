#!/usr/bin/env bash
# Takes docs/images/status-page.png: starts the exporter with eight example services in different states, waits until the
# statuses have lasted for a while, and takes a picture with Chromium. Uses redis-server, chromium and python3, which
# tests/setup.sh installs.
#
# Usage: docs/images/status-page.sh [BINARY] [SECONDS]
set -euo pipefail

cd "$(dirname "$0")/../.."
binary=${1:-target/debug/upkeep_exporter}
seconds=${2:-300}
picture=$PWD/docs/images/status-page.png
folder=$(mktemp -d)
pids=()
# Ends what this script started, by process id.
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT

cat >"$folder/targets.py" <<'EOF'
import http.server, time

class Target(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        time.sleep({"/search": 1.37, "/export": 3600}.get(self.path, 0.012))
        self.send_response(503 if self.path == "/checkout" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

server = http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Target)
server.daemon_threads = True
server.serve_forever()
EOF
echo 'import time; time.sleep(36000)' >"$folder/invoice_mailer.py"
cat >"$folder/upkeep.yml" <<'EOF'
defaults: { interval: 5s }
services:
  - key: shop
    name: Web shop
    group: Shop
    checks: [{ kind: http, url: "http://127.0.0.1:8000/" }]
  - key: checkout
    name: Checkout
    group: Shop
    runbook_url: https://wiki.example.org/runbooks/checkout
    depends_on: [queue]
    checks: [{ kind: http, url: "http://127.0.0.1:8000/checkout" }]
  - key: search
    name: Image search
    group: Shop
    checks: [{ kind: http, url: "http://127.0.0.1:8000/search" }]
  - key: mailer
    name: Invoice mailer
    group: Workers
    checks: [{ kind: process, match: invoice_mailer.py }]
  - key: export
    name: Nightly export
    group: Workers
    checks: [{ kind: http, url: "http://127.0.0.1:8000/export", interval: 1h, timeout: 50m }]
  - key: orders
    name: Orders database
    group: Infrastructure
    checks: [{ kind: tcp, address: "127.0.0.1:8000" }]
  - key: sessions
    name: Session cache
    group: Infrastructure
    checks: [{ kind: redis, url: "redis://127.0.0.1:16379/0" }]
  - key: queue
    name: Message queue
    group: Infrastructure
    checks: [{ kind: tcp, address: "127.0.0.1:5672" }]
EOF

python3 "$folder/targets.py" & pids+=($!)
python3 "$folder/invoice_mailer.py" & pids+=($!)
redis-server --port 16379 --bind 127.0.0.1 --save '' --appendonly no >/dev/null & pids+=($!)
"$binary" --config.file="$folder/upkeep.yml" --web.listen-address=127.0.0.1:10177 2>"$folder/log" & pids+=($!)
sleep "$seconds"
chromium --headless=new --no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage --hide-scrollbars \
  --user-data-dir="$folder/profile" --window-size=1280,"${HEIGHT:-905}" --timeout=4000 --screenshot="$picture" \
  http://127.0.0.1:10177/
