//! Object stores on a free port of the loopback interface: one in this process that verifies signatures and whose health tests
//! control, or the real `MinIO` if `UPKEEP_MINIO` names its binary (`make conformance` does).

// A test helper may panic if it can't work.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

mod in_process;
pub mod minio;
pub mod other;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use tempfile::TempDir;

use self::in_process::InProcess;
use self::minio::Minio;
use super::servers::{eventually, free_port};
use super::targets::tls::Identity;

/// How long a store may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// The keys of a new store. Tests search all output for their texts.
pub const ACCESS_KEY: &str = "upkeep-access-key";
pub const SECRET_KEY: &str = "upkeep-secret-key-of-the-tests";

/// A store with its data. Dropping it stops the store.
pub struct Store {
    pub port: u16,
    access_key: String,
    secret_key: String,
    is_tls: bool,
    server: Server,
    dir: TempDir,
}

/// Creates a bucket, and returns the status of the response, if there is one.
async fn put_bucket(endpoint: &str, access_key: &str, secret_key: &str, name: &str) -> Option<StatusCode> {
    let endpoint = endpoint.parse().unwrap();
    let bucket = Bucket::new(endpoint, UrlStyle::Path, name.to_owned(), "us-east-1").unwrap();
    let credentials = Credentials::new(access_key, secret_key);
    let url = bucket.create_bucket(&credentials).sign(Duration::from_secs(60));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    Some(client.put(url).send().await.ok()?.status())
}

enum Server {
    InProcess(InProcess),
    Minio(Minio),
}

impl Store {
    /// The store of the test run: `MinIO` if it is configured.
    pub async fn start() -> Self {
        Self::start_with(minio_binary(), None).await
    }

    /// The store of the test run, with TLS.
    pub async fn start_tls(identity: &Identity) -> Self {
        Self::start_with(minio_binary(), Some(identity)).await
    }

    /// The store in this process, even if `MinIO` is configured: for tests of a health, a product name or permissions that one
    /// `MinIO` on one machine can't have.
    pub async fn in_process() -> Self {
        Self::start_with(None, None).await
    }

    async fn start_with(minio: Option<PathBuf>, identity: Option<&Identity>) -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let server = match minio {
            Some(binary) => Server::Minio(Minio::new(binary, dir.path(), port, identity)),
            None => Server::InProcess(InProcess::new(dir.path(), port, identity)),
        };
        let mut store = Self {
            port,
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            is_tls: identity.is_some(),
            server,
            dir,
        };
        store.start_again().await;
        // The connections that checked whether it is ready.
        store.freed().await;
        store
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The keys of a check of this store, with these additional keys, as a flow mapping.
    pub fn keys(&self, more: &str) -> String {
        format!(
            "kind: s3, endpoint: \"{}\", access_key: {}, secret_key: {}, {more}",
            self.url(),
            self.access_key,
            self.secret_key
        )
    }

    /// Creates a bucket with a signed request, like any client.
    pub async fn make_bucket(&self, name: &str) {
        let status = put_bucket(&self.url(), &self.access_key, &self.secret_key, name).await;
        assert_eq!(status, Some(StatusCode::OK), "making the bucket {name}");
    }

    /// Stops it. When this returns, its connections are closed and new ones are refused.
    pub async fn stop(&mut self) {
        match &mut self.server {
            Server::InProcess(server) => server.stop().await,
            Server::Minio(server) => server.stop(),
        }
    }

    /// Starts it again on the same port with the same data.
    pub async fn start_again(&mut self) {
        match &mut self.server {
            Server::InProcess(server) => server.start(&self.access_key, &self.secret_key).await,
            Server::Minio(server) => server.start(&self.access_key, &self.secret_key),
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        eventually("the store listens", START, || async move {
            tokio::net::TcpStream::connect(address).await.ok()
        })
        .await;
        if !self.is_tls {
            let url = self.url() + "/minio/health/cluster";
            eventually("the store is ready", START, || super::servers::get(&url)).await;
        }
    }

    /// Replaces the keys; the old ones become invalid. `MinIO` is restarted for that.
    pub async fn rotate(&mut self, access_key: &str, secret_key: &str) {
        access_key.clone_into(&mut self.access_key);
        secret_key.clone_into(&mut self.secret_key);
        self.stop().await;
        self.start_again().await;
    }

    /// Freezes it: it accepts connections, but does not respond.
    pub fn freeze(&self) {
        match &self.server {
            Server::InProcess(server) => server.freeze(true),
            Server::Minio(server) => server.signal(rustix::process::Signal::STOP),
        }
    }

    /// Continues it after a freeze.
    pub fn thaw(&self) {
        match &self.server {
            Server::InProcess(server) => server.freeze(false),
            Server::Minio(server) => server.signal(rustix::process::Signal::CONT),
        }
    }

    /// The switches of a store that [`Store::in_process`] started.
    pub fn switches(&self) -> &in_process::Switches {
        match &self.server {
            Server::InProcess(server) => server.switches(),
            Server::Minio(_) => panic!("MinIO has no switches: start the store with Store::in_process"),
        }
    }

    /// The number of the server's connections, as the kernel counts them.
    pub fn connections(&self) -> usize {
        let count = |table: &str| {
            let table = std::fs::read_to_string(table).unwrap();
            table
                .lines()
                .skip(1)
                .filter(|line| is_open(line, self.port))
                .count()
        };
        // A server that listens on IPv4 and IPv6 has its IPv4 connections in the second table.
        count("/proc/net/tcp") + count("/proc/net/tcp6")
    }

    /// Waits until all connections are closed.
    pub async fn freed(&self) {
        eventually("no connection is left", Duration::from_secs(5), || async {
            (self.connections() == 0).then_some(())
        })
        .await;
    }
}

/// Whether a line of the kernel's table is the server's side of a connection (proc(5), `/proc/net/tcp`).
fn is_open(line: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    const TIME_WAIT: &str = "06";
    let mut words = line.split_whitespace().skip(1);
    let local = words.next().unwrap();
    let state = words.nth(1).unwrap();
    local.ends_with(&format!(":{port:04X}")) && state != LISTEN && state != TIME_WAIT
}

/// The binary of `MinIO`, if it is configured.
pub fn minio_binary() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("UPKEEP_MINIO")?);
    assert!(
        path.is_file(),
        "UPKEEP_MINIO is {}, which is not a file",
        path.display()
    );
    Some(path)
}
