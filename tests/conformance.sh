#!/usr/bin/env bash
# Runs the tests of s3 checks against the real MinIO. Its server is a Go module: it is built as a dependency of a module made for
# that, with Go's own client from the module proxy that `go env GOPROXY` names, and kept under target/tools. MinIO is a tool of this
# test, under its own licence (AGPL-3.0); nothing of it is linked into the exporter or shipped with it.
# UPKEEP_MINIO=/path/to/minio uses a server that is at hand instead.
set -euo pipefail
cd "$(dirname "$0")/.."

# A version as module proxies name it: the commit of 2026-02-12.
version=${MINIO_VERSION:-v0.0.0-20260212201848-7aac2a2c5b7c}
server=${UPKEEP_MINIO:-$PWD/target/tools/minio-$version}

build() {
  command -v go >/dev/null || {
    echo "conformance: go is not installed: install it, or set UPKEEP_MINIO to a MinIO server" >&2
    exit 1
  }
  local module
  module=$(mktemp -d)
  trap "rm -rf '$module'" EXIT
  # The proxy only, never a source repository in its place.
  GOPROXY=$(go env GOPROXY)
  export GOPROXY=${GOPROXY%[,|]direct}
  mkdir -p target/tools
  (
    cd "$module"
    export GOFLAGS=-mod=mod
    go mod init conformance >/dev/null 2>&1
    echo "conformance: asking for github.com/minio/minio@$version" >&2
    # The package's own main is built, whatever its go.mod replaces: that counts in the main module only.
    go get "github.com/minio/minio@$version" && nice -n 19 go build -p "${GO_BUILD_JOBS:-1}" -o "$server.new" github.com/minio/minio
  ) || {
    echo "conformance: MinIO could not be built (above: why). Nothing was tested against it." >&2
    echo "conformance: set UPKEEP_MINIO to a MinIO server, or MINIO_VERSION to a version that can be had" >&2
    exit 1
  }
  mv "$server.new" "$server"
}

[ -x "$server" ] || build
"$server" --version
UPKEEP_MINIO=$server cargo test --locked --test components s3:: -- --nocapture
