//! OpenSSL's server, configured like old servers, and certificates of every kind.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::exporter::LONG;
use super::servers::{Server, eventually, free_port, tool};

/// A certificate with its key, in files.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub pem: PathBuf,
    pub key: PathBuf,
}

/// A certificate for 127.0.0.1 and localhost with a key of this kind, such as rsa:1024. Without an issuer it is self-signed. `more` are
/// further arguments of `openssl req`.
pub fn certificate(
    dir: &Path,
    name: &str,
    key: &str,
    issuer: Option<&Certificate>,
    more: &[&str],
) -> Certificate {
    let made = Certificate {
        pem: dir.join(format!("{name}.pem")),
        key: dir.join(format!("{name}.key")),
    };
    let mut command = Command::new(tool("openssl", "openssl"));
    command.args([
        "req",
        "-x509",
        "-nodes",
        "-days",
        "30",
        "-newkey",
        key,
        "-subj",
        &format!("/CN={name}"),
    ]);
    command.args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]);
    command
        .arg("-keyout")
        .arg(&made.key)
        .arg("-out")
        .arg(&made.pem)
        .args(more);
    if let Some(issuer) = issuer {
        command.arg("-CA").arg(&issuer.pem).arg("-CAkey").arg(&issuer.key);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    made
}

/// An HTTP server that responds with a page about itself. Dropping it stops the server.
pub struct OldServer {
    _server: Server,
    pub port: u16,
}

impl OldServer {
    pub async fn start(dir: &Path, certificate: &Certificate, more: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(tool("openssl", "openssl"));
        command.args([
            "s_server",
            "-www",
            "-quiet",
            "-accept",
            &format!("127.0.0.1:{port}"),
        ]);
        command
            .arg("-cert")
            .arg(&certificate.pem)
            .arg("-key")
            .arg(&certificate.key)
            .args(more);
        let server = Server::start(&format!("s_server_{port}"), command, dir);
        eventually("openssl s_server listens", LONG, || async {
            TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .await;
        Self {
            _server: server,
            port,
        }
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/", self.port)
    }
}

/// Unsupported features: the name, the arguments of the server, and a part of the expected error.
pub const UNSUPPORTED: [(&str, &[&str], &str); 4] = [
    (
        "key exchange with RSA",
        &["-tls1_2", "-cipher", "AES256-GCM-SHA384"],
        "key exchange",
    ),
    (
        "suites with CBC",
        &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0"],
        "CBC",
    ),
    ("the group P-521", &["-groups", "P-521"], "P-521"),
    (
        "handshakes signed with SHA-1",
        &["-tls1_2", "-sigalgs", "RSA+SHA1", "-cipher", "ALL:@SECLEVEL=0"],
        "SHA-1",
    ),
];
