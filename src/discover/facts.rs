//! What was seen on the machine: plain facts, without any decision.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// Everything that one look at the machine found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The services of systemd that run, and its sockets that listen.
    pub units: Vec<Unit>,
    /// The TCP ports that programs listen on, without those of the exporter itself.
    pub ports: Vec<Port>,
    /// The running containers.
    pub containers: Vec<Container>,
    /// The ports of containers that are left out.
    pub job_ports: BTreeSet<u16>,
    /// The Celery workers.
    pub workers: Vec<Worker>,
    /// What could not be seen, and what would help. Each is a sentence.
    pub gaps: BTreeSet<String>,
    /// What runs, including what is left out.
    pub running: Running,
    /// The sources that have not responded in time. A later look knows more.
    pub pending: Pending,
}

/// The names of what runs on the machine, including what is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Active services and sockets; `None` if they are not known.
    pub units: Option<BTreeSet<String>>,
    /// Running containers; `None` if an engine did not list them.
    pub containers: Option<BTreeSet<String>>,
    /// TCP ports that programs listen on; `None` if they are not known.
    pub ports: Option<BTreeSet<u16>>,
}

/// What a look did not wait for. A service whose owner depends on it is left out until the next look, because it would get another name
/// then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Some units.
    pub units: bool,
    /// The containers of an engine.
    pub containers: bool,
    /// The programs that hold ports.
    pub holders: bool,
    /// Celery workers, connections to ports, or the packages of projects.
    pub details: bool,
}

impl Pending {
    /// Whether a later look may know more.
    pub const fn is_any(self) -> bool {
        self.units || self.containers || self.holders || self.details
    }
}

/// A service that runs, or a socket that listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// The full name: `nginx.service`.
    pub name: String,
    /// The description in its file.
    pub description: String,
    /// Whether it is enabled: `enabled`, `static`, `transient`, ...; empty if unknown.
    pub file_state: String,
    /// The path of its file; empty if unknown.
    pub file: String,
    /// The path of its program; empty if unknown.
    pub program: String,
    /// Whether its program is the exporter, and not a job that the exporter's command runs.
    pub is_exporter: bool,
    /// Its working directory; empty if it has none.
    pub directory: String,
    /// The timers, paths and sockets that start it.
    pub triggers: Vec<String>,
    /// The projects in its working directory.
    pub projects: Vec<Project>,
}

/// A project of Python or Node.js whose packages can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The check, as YAML.
    pub check: String,
    /// Why the check is not usable now; `None` if it succeeded.
    pub obstacle: Option<String>,
}

/// A TCP port that programs listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// The addresses of its sockets.
    pub addresses: BTreeSet<IpAddr>,
    /// The unit that holds it.
    pub unit: Option<String>,
    /// Whether the kernel says which unit opened it, so that every user can verify this.
    pub is_unit_visible: bool,
    /// Whether systemd listens for the unit and starts it on the first connection.
    pub is_activated: bool,
    /// The program that holds it.
    pub program: Option<Program>,
    /// What answered.
    pub heard: Heard,
}

/// A program that holds a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The name of its process, at most 15 bytes.
    pub name: String,
    /// The script or module that an interpreter runs: `app.py`, `http.server`.
    pub script: Option<String>,
    /// Whether it started the exporter. Process checks do not count such processes.
    pub is_ancestor: bool,
    /// Whether it is an exporter such as this one.
    pub is_exporter: bool,
}

/// The result of a connection to a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Heard {
    /// No connection is made to this port.
    #[default]
    NotAsked,
    /// The time was over before the connection was made.
    NotYet,
    /// The connection failed.
    Refused,
    /// Nothing that is known answered in time.
    Silent,
    /// A known server answered.
    Server(Server),
}

/// A server that was recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// PostgreSQL.
    Postgres,
    /// Redis, Valkey or KeyDB. Whether it wants a password.
    Redis {
        /// Whether it wants a password.
        needs_password: bool,
    },
    /// memcached.
    Memcached,
    /// RabbitMQ, or another server of AMQP 0-9-1.
    Amqp,
    /// A server that greets first.
    Greeter(Greeter),
    /// An HTTP server.
    Http(HttpServer),
    /// A server that uses TLS, but not HTTP over it.
    Tls,
}

/// A server that greets first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeter {
    /// SSH.
    Ssh,
    /// SMTP.
    Smtp,
    /// FTP.
    Ftp,
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// MySQL or MariaDB.
    Mysql,
}

/// An HTTP server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpServer {
    /// Whether it uses TLS.
    pub is_tls: bool,
    /// Whether it is an object store, by its header `Server`.
    pub is_minio: bool,
    /// The responses, in the order of the requests.
    pub pages: Vec<Page>,
}

/// A response of an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The path.
    pub path: &'static str,
    /// The status.
    pub status: u16,
    /// A number that is equal for equal bodies; `None` if the body did not end.
    pub body: Option<u64>,
}

/// A running container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The engine, as in the key `host` of docker checks.
    pub host: String,
    /// Its image.
    pub image: String,
    /// Whether its health check fails.
    pub is_unhealthy: bool,
    /// The TCP ports that it publishes on this machine, with its own ports.
    pub published: Vec<(u16, u16)>,
}

/// A Celery worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worker {
    /// The application (`-A`); empty if it has none.
    pub app: String,
    /// Its unit.
    pub unit: Option<String>,
}
