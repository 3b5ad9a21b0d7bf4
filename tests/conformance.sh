#!/usr/bin/env bash
# Runs the tests of s3 checks and of discovery against a real MinIO. The MinIO server is a Go module. This script builds it as a dependency of a
# temporary module, from the module proxy in `go env GOPROXY`, and caches it in target/tools. MinIO is a test tool under its own
# licence (AGPL-3.0). The exporter neither links nor ships it.
# UPKEEP_MINIO=/path/to/minio uses an existing server instead.
set -euo pipefail
cd "$(dirname "$0")/.."

# A version in the form of module proxies: the commit of 2026-02-12.
version=${MINIO_VERSION:-v0.0.0-20260212201848-7aac2a2c5b7c}
server=${UPKEEP_MINIO:-$PWD/target/tools/minio-$version}

build() {
  command -v go >/dev/null || {
    echo "conformance.sh: go not found: install it, or set UPKEEP_MINIO to a MinIO server" >&2
    exit 1
  }
  local module
  module=$(mktemp -d)
  trap "rm -rf '$module'" EXIT
  # Use the proxy only, never a source repository.
  GOPROXY=$(go env GOPROXY)
  export GOPROXY=${GOPROXY%[,|]direct}
  mkdir -p target/tools
  (
    cd "$module"
    export GOFLAGS=-mod=mod
    go mod init conformance >/dev/null 2>&1
    echo "conformance.sh: building github.com/minio/minio@$version" >&2
    # Replace directives of MinIO's go.mod are ignored, because they apply in the main module only.
    go get "github.com/minio/minio@$version" && nice -n 19 go build -p "${GO_BUILD_JOBS:-1}" -o "$server.new" github.com/minio/minio
  ) || {
    echo "conformance.sh: building MinIO failed (see above); no test was run" >&2
    echo "conformance.sh: set UPKEEP_MINIO to a MinIO server, or MINIO_VERSION to an available version" >&2
    exit 1
  }
  mv "$server.new" "$server"
}

[ -x "$server" ] || build
"$server" --version
export UPKEEP_MINIO=$server
cargo test --locked --test components s3:: -- --nocapture
cargo test --locked --test exporter discover::stores -- --nocapture
