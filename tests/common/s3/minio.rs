//! The real `MinIO`, with one drive on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::servers::{Server, free_port};
use super::super::targets::tls::Identity;

pub struct Minio {
    binary: PathBuf,
    dir: PathBuf,
    port: u16,
    server: Option<Server>,
}

impl Minio {
    /// Prepares a store with its data in `dir`. It is not started yet.
    pub fn new(binary: PathBuf, dir: &Path, port: u16, identity: Option<&Identity>) -> Self {
        let certificates = dir.join("certs");
        fs::create_dir(&certificates).unwrap();
        fs::create_dir(dir.join("data")).unwrap();
        if let Some(identity) = identity {
            fs::write(certificates.join("public.crt"), &identity.certificate).unwrap();
            fs::write(certificates.join("private.key"), &identity.key).unwrap();
        }
        Self {
            binary,
            dir: dir.to_owned(),
            port,
            server: None,
        }
    }

    /// The command that starts it with these keys.
    pub fn command(&self, access_key: &str, secret_key: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(["server", "--quiet", "--address"])
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("--console-address")
            .arg(format!("127.0.0.1:{}", free_port()))
            .arg("--certs-dir")
            .arg(self.dir.join("certs"))
            .arg(self.dir.join("data"))
            .env("HOME", &self.dir)
            .env("MINIO_ROOT_USER", access_key)
            .env("MINIO_ROOT_PASSWORD", secret_key)
            .env("MINIO_DOMAIN", "localhost")
            .env("MINIO_UPDATE", "off")
            .env("MINIO_BROWSER", "off");
        command
    }

    pub fn start(&mut self, access_key: &str, secret_key: &str) {
        let command = self.command(access_key, secret_key);
        self.server = Some(Server::start("minio", command, &self.dir));
    }

    pub fn stop(&mut self) {
        self.server = None;
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        self.server.as_ref().expect("MinIO runs").signal(signal);
    }
}
