//! `heartbeat`: jobs report to an exporter, which these tests mostly simulate.

mod delivery;
mod jobs;
mod output;
mod real;
mod recipes;
mod secrecy;
mod sent;
mod signals;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::common::targets::{Target, ok};
use crate::upkeep;

/// The token of the job.
const TOKEN: &str = "backup-0123456789_abcdef";

/// The time limit of any step, long enough for a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// The files of a test.
struct Stage {
    dir: TempDir,
}

impl Stage {
    /// With a token file.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("token"), format!("{TOKEN}\n")).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `heartbeat run` with these flags and this job.
    fn run(&self, url: &str, flags: &[&str], job: &[&str]) -> Command {
        let mut command = upkeep(&["heartbeat", "run", "--url", url, "--token-file"]);
        command.arg(self.path("token")).args(flags).arg("--").args(job);
        command
    }

    /// As [`Self::run`], with a job for `sh`. `$1` is the directory of the test.
    fn shell(&self, url: &str, flags: &[&str], script: &str) -> Command {
        let dir = self.dir.path().to_str().unwrap();
        self.run(url, flags, &["sh", "-c", script, "sh", dir])
    }
}

/// An exporter that accepts everything.
async fn accepting() -> Target {
    Target::answering(ok("OK\n")).await
}

/// A request as the exporter sees it.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    /// What follows the token: `start`, `fail`, an exit status, or nothing.
    what: String,
    run_id: Option<String>,
    message: String,
}

/// The heartbeats that a target received. The report of the start may be given up before it is sent completely.
fn beats(target: &Target) -> Vec<Received> {
    let received = target.received();
    let complete = received.iter().filter(|request| request.contains("\r\n\r\n"));
    complete.map(|request| parse(request)).collect()
}

/// Asserts that a request is a heartbeat with the token, and parses it.
fn parse(request: &str) -> Received {
    let (head, message) = request.split_once("\r\n\r\n").unwrap();
    let target = head
        .strip_prefix("POST /api/heartbeat/")
        .and_then(|rest| rest.strip_prefix(TOKEN))
        .and_then(|rest| rest.split(" HTTP/1.1\r\n").next())
        .unwrap_or_else(|| panic!("{request}"));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Received {
        what: path.trim_start_matches('/').to_owned(),
        run_id: query.strip_prefix("rid=").map(str::to_owned),
        message: message.to_owned(),
    }
}

/// What the beats say.
fn said(beats: &[Received]) -> Vec<&str> {
    beats.iter().map(|beat| &*beat.what).collect()
}

/// Waits until a file has content, and returns it.
fn wait_for_file(path: &Path) -> String {
    let begun = std::time::Instant::now();
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(begun.elapsed() < LONG, "{} has no line", path.display()),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
