//! A real WebSocket server, Python's websockets, which responds as its path requires.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::servers::{Server, eventually, free_port};
use super::targets::tls::Identity;

/// The time limit for the start, long enough for a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The server. `/auth` needs the user "me" with the password "s3cret", `/token` a token.
const PYTHON: &str = r#"
import asyncio, base64, ssl, sys
from http import HTTPStatus
import websockets

port, certificate, key = sys.argv[1:]
LOGIN = "Basic " + base64.b64encode(b"me:s3cret").decode()

async def decide(path, headers):
    if path == "/auth" and headers.get("Authorization") != LOGIN:
        return HTTPStatus(401), [], b"who are you?"
    if path == "/token" and headers.get("Authorization") != "Bearer abc":
        return HTTPStatus(403), [], b"no"
    if path == "/moved":
        return HTTPStatus(302), [("Location", "/")], b""

async def serve(socket):
    path = socket.path.split("?")[0]
    if path == "/hello":
        await socket.send("hello prober\nyou are client 17")
    if path == "/headers":
        await socket.send("\n".join(f"{name}: {value}" for name, value in socket.request_headers.raw_items()))
    if path == "/query":
        await socket.send(socket.path)
    if path == "/protocol":
        await socket.send(str(socket.subprotocol))
    if path == "/binary":
        await socket.send(b"\xd2\x16ok")
    if path == "/pieces":
        await socket.send(["one ", "two ", "three"])
    if path == "/large":
        await socket.send("x" * (2 << 20))
    if path == "/ping":
        await (await socket.ping(b"are you there"))
        await socket.send("pong came")
    if path == "/close":
        return
    async for message in socket:
        kind = "text" if isinstance(message, str) else "binary"
        await socket.send(f"{kind} {message!r}" if path == "/kind" else message)

async def main():
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    async with websockets.serve(serve, "127.0.0.1", int(port), ssl=context, process_request=decide,
                                subprotocols=["mqtt"], close_timeout=1):
        await asyncio.Future()

asyncio.run(main())
"#;

/// A running server. Dropping it stops the server.
pub struct Websocket {
    server: Server,
    port: u16,
    _dir: TempDir,
}

impl Websocket {
    /// The server, with TLS if there is a certificate.
    pub async fn start(identity: Option<&Identity>) -> Self {
        let python = Path::new("/usr/bin/python3");
        let found = Command::new(python).args(["-c", "import websockets"]).output();
        assert!(
            found.is_ok_and(|found| found.status.success()),
            "websockets is not installed: run `apt-get install python3-websockets` as root, or tests/setup.sh"
        );
        let dir = tempfile::tempdir().unwrap();
        let mut files = [String::new(), String::new()];
        if let Some(identity) = identity {
            files = [("cert.pem", &identity.certificate), ("key.pem", &identity.key)].map(|(name, text)| {
                let path = dir.path().join(name);
                fs::write(&path, text).unwrap();
                path.display().to_string()
            });
        }
        let port = free_port();
        let mut command = Command::new(python);
        command.args(["-c", PYTHON, &port.to_string()]).args(files);
        let server = Server::start("websockets", command, dir.path());
        eventually("websockets", START_LIMIT, || async {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self {
            server,
            port,
            _dir: dir,
        }
    }

    /// The address with a path, without the scheme.
    pub fn at(&self, path: &str) -> String {
        format!("127.0.0.1:{}{path}", self.port)
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
