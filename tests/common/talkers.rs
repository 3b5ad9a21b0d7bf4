//! Real servers with line-based protocols: aiosmtpd and OpenSSH's sshd.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::servers::{Server, eventually, free_port, tool};
use super::targets::tls::Identity;

/// A mail server that offers STARTTLS and then AUTH. It rejects every password.
const MAIL: &str = r#"
import asyncio, ssl, sys
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP, AuthResult

port, certificate, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)

def server():
    refuse = lambda *_: AuthResult(success=False, handled=False)
    return SMTP(Sink(), hostname="mail.test", tls_context=context, authenticator=refuse)

loop = asyncio.new_event_loop()
loop.run_until_complete(loop.create_server(server, "127.0.0.1", int(port)))
loop.run_forever()
"#;

/// A running server. Dropping it stops the server.
pub struct Talker {
    server: Server,
    port: u16,
    _dir: TempDir,
}

impl Talker {
    /// A mail server with this certificate.
    pub async fn mail(identity: &Identity) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("cert.pem"), &identity.certificate).unwrap();
        fs::write(path("key.pem"), &identity.key).unwrap();
        let python = Path::new("/usr/bin/python3");
        let found = Command::new(python).args(["-c", "import aiosmtpd"]).output();
        assert!(
            found.is_ok_and(|found| found.status.success()),
            "aiosmtpd is not installed: run `apt-get install python3-aiosmtpd` as root, or tests/setup.sh"
        );
        let port = free_port();
        let mut command = Command::new(python);
        command
            .args(["-c", MAIL, &port.to_string()])
            .args([path("cert.pem"), path("key.pem")]);
        Self::start("aiosmtpd", command, port, dir).await
    }

    /// An SSH server.
    pub async fn ssh() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("host_key");
        let made = Command::new(tool("ssh-keygen", "openssh-client"))
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status();
        assert!(made.unwrap().success());
        // As root it needs this folder, which Debian's unit creates.
        let _ = fs::create_dir_all("/run/sshd");
        let port = free_port();
        let config = dir.path().join("sshd_config");
        let text = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nPidFile none\nUsePAM no\n",
            key.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(tool("sshd", "openssh-server"));
        command.args(["-D", "-e", "-f"]).arg(&config);
        Self::start("sshd", command, port, dir).await
    }

    async fn start(name: &str, command: Command, port: u16, dir: TempDir) -> Self {
        let server = Server::start(name, command, dir.path());
        eventually(name, Duration::from_secs(20), || async {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self {
            server,
            port,
            _dir: dir,
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
