//! Real Celery workers, started on a broker, and the real client that sends them tasks.

use std::process::Command;
use std::time::Duration;

use super::servers::{Server, eventually, tool};

/// How long a worker, which is written in Python, may take to start on a busy machine.
pub const START: Duration = Duration::from_secs(60);

/// The application of workers and client: a task that sleeps, and the test's configuration.
const TASKS: &str = r#"
import json, os, time
from celery import Celery

app = Celery("tasks", broker=os.environ["UPKEEP_BROKER"])
app.conf.update(json.loads(os.environ["UPKEEP_CONF"]))

@app.task
def nap(seconds):
    time.sleep(seconds)
"#;

/// An application: its broker and its configuration.
pub struct App {
    dir: tempfile::TempDir,
    broker: String,
    conf: String,
}

/// A running worker.
pub struct Worker {
    /// The process.
    pub server: Server,
    /// Its node name, as in the metrics.
    pub name: String,
}

impl App {
    /// An application that uses this broker, with this configuration in JSON.
    pub fn new(broker: &str, conf: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tasks.py"), TASKS).unwrap();
        Self {
            dir,
            broker: broker.to_owned(),
            conf: conf.to_owned(),
        }
    }

    /// Debian's interpreter. Another one in the path would not find Debian's Celery.
    fn python(&self) -> Command {
        tool("celery", "celery");
        let mut command = Command::new("/usr/bin/python3");
        command
            .current_dir(self.dir.path())
            .env("UPKEEP_BROKER", &self.broker)
            .env("UPKEEP_CONF", &self.conf)
            // The tests run as root.
            .env("C_FORCE_ROOT", "1");
        command
    }

    /// Starts a worker `NAME@test` without waiting for it. It has a solo pool: it runs one task at a time, and does nothing else
    /// during a task.
    pub fn worker(&self, name: &str) -> Worker {
        let mut command = self.python();
        command.args([
            "-m", "celery", "-A", "tasks", "worker", "--pool", "solo", "-l", "INFO",
        ]);
        command.args(["--without-gossip", "--without-mingle", "--without-heartbeat"]);
        command.args(["-n", &format!("{name}@test")]);
        // The log of an earlier worker with this name would be mistaken for this one's.
        let _ = std::fs::remove_file(self.dir.path().join(format!("{name}.log")));
        Worker {
            server: Server::start(name, command, self.dir.path()),
            name: format!("{name}@test"),
        }
    }

    /// Starts a worker and waits until it accepts tasks.
    pub async fn ready_worker(&self, name: &str) -> Worker {
        let worker = self.worker(name);
        worker.ready().await;
        worker
    }

    /// Runs lines of Python that can use `app` and `nap`.
    pub fn client(&self, lines: &str) -> String {
        let program = format!("from tasks import app, nap\n{lines}\n");
        let output = self.python().args(["-c", &program]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}\n{errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Worker {
    /// Waits until it accepts tasks. Panics with its log if it does not.
    pub async fn ready(&self) {
        let line = format!("{} ready.", self.name);
        let is_ready = || async { self.server.log().contains(&line).then_some(()) };
        eventually(&format!("worker {}", self.name), START, is_ready).await;
    }

    /// Waits until it has started a task, as its log shows.
    pub async fn got_task(&self) {
        let got = || async { self.server.log().contains("received").then_some(()) };
        eventually("a task begins", START, got).await;
    }
}
