//! An exporter with a web configuration, and curl to query it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::common::servers::{Server, eventually, free_port, tool};
use crate::common::targets::tls::{Authority, Identity};

/// A timeout for a busy machine.
pub const LONG: Duration = Duration::from_secs(20);

/// The exporter watches only a closed port.
const CONFIG: &str = "services: [{key: a, checks: [{kind: tcp, address: '127.0.0.1:1'}]}]\n";

/// The beginning of a web configuration with TLS.
pub const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// A folder with certificates and configurations, and the exporter that uses them, once started.
pub struct Guarded {
    pub authority: Authority,
    pub dir: TempDir,
    pub port: u16,
    server: Option<Server>,
}

/// The response that curl got.
#[derive(Debug)]
pub struct Answer {
    /// curl's own exit code.
    pub exit: i32,
    pub status: u16,
    pub version: String,
    pub head: String,
    pub body: String,
}

/// The bcrypt hash of a password, by htpasswd.
pub fn hash(password: &str, cost: u32) -> String {
    let mut child = Command::new(tool("htpasswd", "apache2-utils"))
        .args(["-niBC", &cost.to_string(), ""])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(password.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .trim_start_matches(':')
        .to_owned()
}

impl Guarded {
    /// A folder with `ca.crt`, `server.crt`, `server.key` and `web.yml`.
    pub fn prepare(web_config: &str) -> Self {
        let guarded = Self {
            authority: Authority::new("upkeep tests"),
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            server: None,
        };
        guarded.write("ca.crt", &guarded.authority.pem());
        guarded.write_identity(
            "server",
            &guarded.authority.issue(&["localhost", "127.0.0.1"], 2099),
        );
        guarded.write("web.yml", web_config);
        guarded.write("upkeep.yml", CONFIG);
        guarded
    }

    /// Prepares a folder and starts the exporter.
    pub async fn start(web_config: &str) -> Self {
        let mut guarded = Self::prepare(web_config);
        guarded.launch().await;
        guarded
    }

    /// Starts the exporter and waits until it listens.
    pub async fn launch(&mut self) {
        self.launch_with(&[]).await;
    }

    /// Starts the exporter with more flags and waits until it listens.
    pub async fn launch_with(&mut self, flags: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        command
            .arg(format!("--config.file={}", self.path("upkeep.yml").display()))
            .arg(format!("--web.config.file={}", self.path("web.yml").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
            .args(flags);
        self.server = Some(Server::start("exporter", command, self.dir.path()));
        eventually("the exporter serves", LONG, || async {
            self.log().contains("message=serving").then_some(())
        })
        .await;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        // Replaced atomically.
        let next = self.path("next");
        fs::write(&next, text).unwrap();
        fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(next, self.path(name)).unwrap();
    }

    pub fn write_identity(&self, name: &str, identity: &Identity) {
        self.write(&format!("{name}.crt"), &identity.certificate);
        self.write(&format!("{name}.key"), &identity.key);
    }

    pub fn log(&self) -> String {
        self.server.as_ref().unwrap().log()
    }

    /// Stops the exporter. Panics if that takes longer than `limit`.
    pub fn terminate(&mut self, limit: Duration) {
        self.server.as_mut().unwrap().terminate(limit);
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().pid()
    }

    /// Requests a path over HTTPS.
    pub fn https(&self, path: &str, arguments: &[&str]) -> Answer {
        let ca = self.path("ca.crt");
        let mut all = vec!["-4", "--cacert", ca.to_str().unwrap()];
        all.extend(arguments);
        curl(
            &format!("https://localhost:{}{path}", self.port),
            &all,
            self.dir.path(),
        )
    }

    /// Requests a path over plain HTTP.
    pub fn http(&self, path: &str, arguments: &[&str]) -> Answer {
        curl(
            &format!("http://localhost:{}{path}", self.port),
            &[&["-4"], arguments].concat(),
            self.dir.path(),
        )
    }
}

pub type Sender = http2::SendRequest<Full<Bytes>>;
pub type Connection = http2::Connection<TokioIo<TlsStream<TcpStream>>, Full<Bytes>, TokioExecutor>;

/// A connection of hyper's client over TLS and HTTP/2, for what curl can't do.
pub async fn http2_client(guarded: &Guarded, builder: http2::Builder<TokioExecutor>) -> (Sender, Connection) {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(guarded.authority.pem().as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", guarded.port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    builder.handshake(TokioIo::new(stream)).await.unwrap()
}

/// Runs curl in `dir`.
pub fn curl(url: &str, arguments: &[&str], dir: &Path) -> Answer {
    let output = Command::new(tool("curl", "curl"))
        .args(["-sS", "-i", "-m", "20", "--noproxy", "*"])
        .args(["-w", "\n%{http_version} %{http_code}"])
        .args(arguments)
        .arg(url)
        .current_dir(dir)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (page, code) = text.rsplit_once('\n').unwrap();
    let (version, status) = code.split_once(' ').unwrap();
    let (head, body) = page.split_once("\r\n\r\n").unwrap_or((page, ""));
    Answer {
        exit: output.status.code().unwrap(),
        status: status.parse().unwrap(),
        version: version.to_owned(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
