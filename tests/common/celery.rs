//! Real Celery workers, started on a broker, and the real client that sends them tasks.

use std::process::Command;
use std::time::Duration;

use super::servers::{Server, eventually, tool};

/// How long a worker may take to start on a busy machine: it is Python.
pub const START: Duration = Duration::from_secs(60);

/// The application of workers and client: a task that takes its time, and the configuration that the test gives.
const TASKS: &str = r#"
import json, os, time
from celery import Celery

app = Celery("tasks", broker=os.environ["UPKEEP_BROKER"])
app.conf.update(json.loads(os.environ["UPKEEP_CONF"]))

@app.task
def nap(seconds):
    time.sleep(seconds)
"#;

/// An application: where its broker is, and how it is configured.
pub struct App {
    dir: tempfile::TempDir,
    broker: String,
    conf: String,
}

/// A running worker.
pub struct Worker {
    /// The process.
    pub server: Server,
    /// Its node name, as in metrics.
    pub name: String,
}

impl App {
    /// An application at this broker, with this configuration in JSON.
    pub fn new(broker: &str, conf: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tasks.py"), TASKS).unwrap();
        Self {
            dir,
            broker: broker.to_owned(),
            conf: conf.to_owned(),
        }
    }

    /// Debian's interpreter: another one on the path does not find its Celery.
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

    /// Starts a worker `NAME@test` without waiting for it. Its pool is in its own process: it runs one task at a time, and
    /// meanwhile nothing else.
    pub fn worker(&self, name: &str) -> Worker {
        let mut command = self.python();
        command.args([
            "-m", "celery", "-A", "tasks", "worker", "--pool", "solo", "-l", "INFO",
        ]);
        command.args(["--without-gossip", "--without-mingle", "--without-heartbeat"]);
        command.args(["-n", &format!("{name}@test")]);
        // What an earlier worker of this name wrote would look like this one's.
        let _ = std::fs::remove_file(self.dir.path().join(format!("{name}.log")));
        Worker {
            server: Server::start(name, command, self.dir.path()),
            name: format!("{name}@test"),
        }
    }

    /// Starts a worker and waits until it takes tasks.
    pub async fn ready_worker(&self, name: &str) -> Worker {
        let worker = self.worker(name);
        worker.ready().await;
        worker
    }

    /// Runs lines of Python with `app` and `nap` at hand.
    pub fn client(&self, lines: &str) -> String {
        let program = format!("from tasks import app, nap\n{lines}\n");
        let output = self.python().args(["-c", &program]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}\n{errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Worker {
    /// Waits until it takes tasks; panics with what it said where it does not.
    pub async fn ready(&self) {
        let said = format!("{} ready.", self.name);
        let is_ready = || async { self.server.log().contains(&said).then_some(()) };
        eventually(&format!("worker {}", self.name), START, is_ready).await;
    }

    /// Waits until it has begun a task: its log tells of each one it got.
    pub async fn got_task(&self) {
        let got = || async { self.server.log().contains("received").then_some(()) };
        eventually("a task begins", START, got).await;
    }
}
