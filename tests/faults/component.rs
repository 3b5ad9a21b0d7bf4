//! The components on which tests inflict faults: a real server, its check, and the actions on it.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::celery::{App, Worker};
use crate::common::podman::Podman;
use crate::common::postgres::Postgres;
use crate::common::rabbitmq::RabbitMq;
use crate::common::redis::Redis;
use crate::common::s3;
use crate::common::servers::family;

/// A fault of a component, or of its check's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its processes are stopped (SIGSTOP): the kernel accepts connections, and nothing responds.
    Frozen,
    /// Its processes are killed (SIGKILL).
    Killed,
    /// Its port drops all packets.
    Blocked,
    /// The file with the check's secret has wrong content.
    WrongSecret,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 4] = [Self::Frozen, Self::Killed, Self::Blocked, Self::WrongSecret];
}

/// The servers of a component.
pub enum Servers {
    Postgres(Box<Postgres>),
    Redis(Redis),
    Rabbitmq(Box<RabbitMq>),
    S3(Box<s3::Store>),
    /// A worker, its broker, and the application that starts the worker again.
    Celery(Box<(Worker, Redis, App)>),
    /// An engine with the container `web`.
    Docker(Podman),
}

/// A running component and its check.
pub struct Component {
    /// The kind of its check, which is also the key of its service.
    pub kind: &'static str,
    /// The keys of its check without the kind, as a flow mapping.
    pub keys: String,
    /// The TCP port that its check connects to; `None` for a Unix socket.
    pub port: Option<u16>,
    /// The file with the check's secret, and the right secret.
    pub secret: Option<(PathBuf, String)>,
    /// Its servers.
    pub servers: Servers,
}

impl Component {
    /// Whether the fault is possible: a Unix socket has no port, an engine has no password.
    pub fn supports(&self, fault: Fault) -> bool {
        match fault {
            Fault::Frozen | Fault::Killed => true,
            Fault::Blocked => self.port.is_some(),
            Fault::WrongSecret => self.secret.is_some(),
        }
    }

    /// The reasons that the check may report for the fault.
    pub fn reasons(&self, fault: Fault) -> &'static [&'static str] {
        match (fault, &self.servers) {
            // The worker is frozen or killed, while its broker continues.
            (Fault::Frozen | Fault::Killed, Servers::Celery(_)) => &["missing"],
            (Fault::Frozen | Fault::Blocked, _) => &["timeout"],
            // A connection that is open while the process dies is closed instead of refused.
            (Fault::Killed, _) => &["refused", "closed"],
            (Fault::WrongSecret, _) => &["auth"],
        }
    }

    /// Stops its processes.
    pub fn freeze(&self) {
        match &self.servers {
            Servers::Postgres(server) => server.freeze(),
            Servers::Redis(server) => server.signal(Signal::STOP),
            Servers::Rabbitmq(server) => server.signal(Signal::STOP),
            Servers::S3(store) => store.freeze(),
            Servers::Celery(celery) => celery.0.server.signal(Signal::STOP),
            Servers::Docker(engine) => signal_all(engine.server.pid(), Signal::STOP),
        }
    }

    /// Continues its processes.
    pub fn thaw(&self) {
        match &self.servers {
            Servers::Postgres(server) => server.thaw(),
            Servers::Redis(server) => server.signal(Signal::CONT),
            Servers::Rabbitmq(server) => server.signal(Signal::CONT),
            Servers::S3(store) => store.thaw(),
            Servers::Celery(celery) => celery.0.server.signal(Signal::CONT),
            Servers::Docker(engine) => signal_all(engine.server.pid(), Signal::CONT),
        }
    }

    /// Kills its processes.
    pub async fn kill(&mut self) {
        match &mut self.servers {
            Servers::Postgres(server) => server.kill(),
            Servers::Redis(server) => server.kill(),
            Servers::Rabbitmq(server) => server.kill(),
            Servers::S3(store) => store.stop().await,
            Servers::Celery(celery) => celery.0.server.kill(),
            Servers::Docker(engine) => engine.server.kill(),
        }
    }

    /// Starts it again with the same data and address, and waits until it serves.
    pub async fn start_again(&mut self) {
        match &mut self.servers {
            Servers::Postgres(server) => server.restart(),
            Servers::Redis(server) => server.restart().await,
            Servers::Rabbitmq(server) => server.restart().await,
            Servers::S3(store) => store.start_again().await,
            Servers::Celery(celery) => {
                let (worker, _, app) = &mut **celery;
                *worker = app.ready_worker("first").await;
            }
            Servers::Docker(engine) => engine.serve_again().await,
        }
    }

    /// The number of connections from checks, if its server counts them.
    pub fn connections(&self) -> Option<usize> {
        match &self.servers {
            Servers::Postgres(server) => Some(server.sessions()),
            Servers::Redis(server) => Some(server.clients()),
            Servers::S3(store) => Some(store.connections()),
            Servers::Docker(engine) => Some(engine.connections()),
            Servers::Rabbitmq(_) | Servers::Celery(_) => None,
        }
    }

    /// Writes the secret file as a rotation does: replaces the file.
    pub fn write_secret(&self, text: &str) {
        let (path, _) = self.secret.as_ref().unwrap();
        let new = path.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }
}

/// Signals a process and all its descendants.
fn signal_all(root: u32, signal: Signal) {
    for id in family(root) {
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).unwrap();
        // A child may have exited already.
        let _ = kill_process(pid, signal);
    }
}

/// Creates a file with a secret in `dir`.
pub fn secret_file(dir: &Path, name: &str, secret: &str) -> (PathBuf, String) {
    let path = dir.join(name);
    std::fs::write(&path, secret).unwrap();
    (path, secret.to_owned())
}
