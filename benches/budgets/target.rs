//! Targets in processes of their own, so that their CPU time is not counted as ours.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::process::{Process, free_address};
use crate::roles;

/// A target that listens on one port of every address of 127.0.0.0/8.
#[derive(Debug)]
pub struct Target {
    /// Its port.
    pub port: u16,
    _process: Process,
}

impl Target {
    /// nginx: answers every request with 200 and a few bytes, and closes.
    pub fn nginx(directory: &Path) -> anyhow::Result<Self> {
        Self::nginx_with("return 200 \"ok\\n\";", directory)
    }

    /// nginx: serves the files of the directory.
    pub fn nginx_with_files(directory: &Path) -> anyhow::Result<Self> {
        Self::nginx_with(&format!("root {};", directory.display()), directory)
    }

    fn nginx_with(answer: &str, directory: &Path) -> anyhow::Result<Self> {
        let port = free_address()?.port();
        let home = directory.display();
        let mut config =
            format!("daemon off;\nmaster_process off;\npid {home}/nginx.pid;\nerror_log stderr;\n");
        config.push_str("events { worker_connections 16000; multi_accept on; }\nhttp {\n access_log off;\n keepalive_timeout 0;\n");
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            // Writing to a String can't fail.
            let _ = writeln!(config, " {kind}_temp_path {home}/{kind};");
        }
        let _ = writeln!(
            config,
            " server {{ listen 0.0.0.0:{port} backlog=4096; location / {{ {answer} }} }}\n}}"
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(directory).arg("-c").arg(&file);
        Self::start("nginx", &command, port, directory)
    }

    /// A target that takes connections and never answers.
    pub fn hanging(directory: &Path) -> anyhow::Result<Self> {
        let port = free_address()?.port();
        let command = roles::command("hang", &[SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))])?;
        Self::start("hanging", &command, port, directory)
    }

    fn start(name: &str, command: &Command, port: u16, directory: &Path) -> anyhow::Result<Self> {
        let mut process = Process::start(name, command, directory)?;
        process.wait_for(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        Ok(Self {
            port,
            _process: process,
        })
    }

    /// The URL for the target's user `number`. Each has an address of its own: with one address for all, the ports of
    /// connections that wait for their end would run out.
    pub fn url(&self, number: usize) -> String {
        format!("http://{}/", self.address(number))
    }

    /// The address of that URL.
    pub fn address(&self, number: usize) -> SocketAddr {
        SocketAddr::from((address(number), self.port))
    }
}

/// An address of 127.0.0.0/8 for `number`, from 127.1.0.1 on.
pub fn address(number: usize) -> Ipv4Addr {
    let [.., high, low] = (number / 250).to_be_bytes();
    Ipv4Addr::new(127, 1 + high, low, 1 + (number % 250) as u8)
}
