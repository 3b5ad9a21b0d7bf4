//! Real gRPC servers: etcd, with Go's health service, and Python's grpcio, which responds as a test requires.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::servers::{Server, eventually, free_port, tool};
use super::targets::tls::Identity;

/// The time limit for the start, long enough for a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A server with a health service, unless its first argument is "without". The response depends on the name of the service. The
/// messages are written by hand: field 1 of the request is the name, field 1 of the response is the status.
const PYTHON: &str = r#"
import sys, time
from concurrent import futures
import grpc

health, port, certificate, key = sys.argv[1:]
STATUSES = {"": 1, "up": 1, "down": 2, "unsure": 0, "gone": 3, "later": 9}
CODES = {"login": grpc.StatusCode.UNAUTHENTICATED, "forbidden": grpc.StatusCode.PERMISSION_DENIED,
         "busy": grpc.StatusCode.RESOURCE_EXHAUSTED}

def check(request, context):
    name = request[2:].decode()
    if name == "hang":
        time.sleep(30)
    if name in CODES:
        context.abort(CODES[name], "not now: 100 %")
    if name not in STATUSES:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    if name == "up":
        context.set_trailing_metadata((("note", "x" * 100),))
    return b"\x08" + bytes([STATUSES[name]]) + (b"\x12\x03abc" if name == "up" else b"")

server = grpc.server(futures.ThreadPoolExecutor(4))
if health == "with":
    methods = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods),))
read = lambda path: open(path, "rb").read()
address = "127.0.0.1:" + port
if certificate:
    server.add_secure_port(address, grpc.ssl_server_credentials([(read(key), read(certificate))]))
else:
    server.add_insecure_port(address)
server.start()
server.wait_for_termination()
"#;

/// A running server. Dropping it stops the server.
pub struct Grpc {
    _server: Server,
    port: u16,
    _dir: TempDir,
}

impl Grpc {
    /// etcd, with TLS if there is a certificate.
    pub async fn etcd(identity: Option<&Identity>) -> Self {
        let (dir, files) = files(identity);
        let (port, peers) = (free_port(), free_port());
        let scheme = if identity.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{port}");
        let peers = format!("http://127.0.0.1:{peers}");
        let mut command = Command::new(tool("etcd", "etcd-server"));
        command.arg("--data-dir").arg(dir.path().join("data"));
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command.args([
            "--listen-peer-urls",
            &peers,
            "--initial-advertise-peer-urls",
            &peers,
        ]);
        command.args(["--initial-cluster", &format!("default={peers}")]);
        if let Some([certificate, key]) = &files {
            command.args(["--cert-file", certificate, "--key-file", key]);
        }
        Self::start("etcd", command, port, dir).await
    }

    /// Python's server, with TLS if there is a certificate.
    pub async fn python(identity: Option<&Identity>) -> Self {
        Self::python_as("with", identity).await
    }

    /// Python's server without a health service.
    pub async fn without_health() -> Self {
        Self::python_as("without", None).await
    }

    async fn python_as(health: &str, identity: Option<&Identity>) -> Self {
        let python = Path::new("/usr/bin/python3");
        let found = Command::new(python).args(["-c", "import grpc"]).output();
        assert!(
            found.is_ok_and(|found| found.status.success()),
            "grpcio is not installed: run `apt-get install python3-grpcio` as root, or tests/setup.sh"
        );
        let (dir, files) = files(identity);
        let [certificate, key] = files.unwrap_or_default();
        let port = free_port();
        let mut command = Command::new(python);
        command.args(["-c", PYTHON, health, &port.to_string(), &certificate, &key]);
        Self::start("grpcio", command, port, dir).await
    }

    async fn start(name: &str, command: Command, port: u16, dir: TempDir) -> Self {
        let server = Server::start(name, command, dir.path());
        eventually(name, START_LIMIT, || async {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self {
            _server: server,
            port,
            _dir: dir,
        }
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A folder with the certificate and its key, and their paths.
fn files(identity: Option<&Identity>) -> (TempDir, Option<[String; 2]>) {
    let dir = tempfile::tempdir().unwrap();
    let paths = identity.map(|identity| {
        [("cert.pem", &identity.certificate), ("key.pem", &identity.key)].map(|(name, content)| {
            let path = dir.path().join(name);
            fs::write(&path, content).unwrap();
            path.display().to_string()
        })
    });
    (dir, paths)
}
