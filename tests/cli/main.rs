//! The commands `check`, `status`, `report`, `heartbeat`, `polkit-rule`, `completions` and `man`, run as child processes.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod generated;
mod heartbeat;
mod output;
mod polkit_rule;
mod report;
mod rounds;
mod status;
mod terminal;
mod verdicts;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// An address where nothing listens. It is fixed, so that outputs can be compared.
const REFUSING: &str = "127.0.0.1:1";

/// The binary with these arguments, without variables of the environment that change the output.
fn upkeep(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"] {
        command.env_remove(variable);
    }
    command.env("TERM", "xterm-256color");
    command
}

/// A temporary configuration file.
struct Services {
    _dir: TempDir,
    file: PathBuf,
}

impl Services {
    /// Services, each written as a flow mapping.
    fn of(services: &[String]) -> Self {
        let text = services
            .iter()
            .map(|service| format!("  - {{ {service} }}\n"))
            .collect::<String>();
        Self::written(&format!("services:\n{text}"))
    }

    fn written(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("upkeep.yml");
        fs::write(&file, text).unwrap();
        Self { _dir: dir, file }
    }

    /// `check` with this file and more arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = upkeep(&["check", "--config.file", self.file.to_str().unwrap()]);
        command.args(arguments);
        command
    }

    fn check(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

/// A service with a tcp check of this address.
fn tcp(key: &str, address: SocketAddr) -> String {
    format!("key: {key}, checks: [{{ kind: tcp, address: \"{address}\" }}]")
}

fn refused(key: &str) -> String {
    tcp(key, REFUSING.parse().unwrap())
}

/// A service whose only check fails with severity warning.
fn degraded(key: &str) -> String {
    format!("key: {key}, checks: [{{ kind: tcp, address: \"{REFUSING}\", severity: warning }}]")
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn errors(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[track_caller]
fn ends_with(code: i32, output: &Output) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}{}",
        out(output),
        errors(output)
    );
}
