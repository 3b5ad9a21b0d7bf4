//! Lists the running containers of the engines on this machine, over their API (`GET /containers/json`). What the list does not say,
//! whether a container is a job, is read for the containers where it matters (`GET /containers/NAME/json`).

mod api;
mod names;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, header};
use http_body_util::Full;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use self::api::{Details, Lasting, Row};
use super::facts::Container;
use crate::config::docker::EngineHost;
use crate::model::{Reason, Report};
use crate::net::api_client::ApiClient;
use crate::net::engine;
use crate::net::network::Network;
use crate::net::run_recorder::RunRecorder;

/// The sockets of Docker, and of podman as root.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

/// The longest response, in bytes. A container has about 2 KiB in the list.
const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// How many containers are listed.
const MAX_CONTAINERS: usize = 1000;

/// How many paths of sockets on any file system are resolved at once.
static PATHS: Semaphore = Semaphore::const_new(1);

/// What to do about a socket that the user may not open.
const NO_PERMISSION: &str =
    "the user may not open the socket: run it as root, or as a user of the group docker";

/// The containers of all engines.
#[derive(Debug, Default)]
pub struct Containers {
    /// The running containers that are expected to stay, by name.
    pub containers: Vec<Container>,
    /// The names of all running containers; `None` if an engine did not list them.
    pub running: Option<BTreeSet<String>>,
    /// The ports that containers publish which are left out.
    pub job_ports: BTreeSet<u16>,
    /// What could not be seen.
    pub gaps: BTreeSet<String>,
    /// Whether nothing is left to wait for.
    pub is_complete: bool,
}

/// The containers of one engine.
#[derive(Default)]
struct Engine {
    containers: Vec<Container>,
    running: Option<BTreeSet<String>>,
    /// The containers that are left out.
    jobs: Vec<String>,
    job_ports: BTreeSet<u16>,
    gap: Option<String>,
    /// Whether the deadline ended the reading.
    is_cut: bool,
}

impl Engine {
    /// An engine whose containers are not known.
    fn unknown(socket: &Path, problem: &str) -> Self {
        let host = EngineHost::Unix(socket.to_owned());
        Self {
            gap: Some(format!("containers of {host} are not known: {problem}")),
            ..Self::default()
        }
    }

    /// An engine whose socket was not found; `None` if it does not exist.
    fn without_socket(socket: &Path, error: &std::io::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => None,
            // The directory of podman's socket is open to root only.
            ErrorKind::PermissionDenied => Some(Self::unknown(socket, NO_PERMISSION)),
            _ => Some(Self::unknown(socket, &error.to_string())),
        }
    }
}

/// Lists the containers of the engine in `DOCKER_HOST`, if it is a socket, and of the usual sockets, until the deadline. No engine waits
/// for another one.
pub async fn list(variable: Option<&str>, deadline: Instant) -> Containers {
    let named = variable.and_then(|text| text.strip_prefix("unix://").map(PathBuf::from));
    let mut sockets = Vec::new();
    let mut engines = Vec::new();
    let mut known = BTreeSet::new();
    for socket in SOCKETS.map(PathBuf::from) {
        match tokio::fs::canonicalize(&socket).await {
            // Docker's socket may be a link to that of podman.
            Ok(real) if known.insert(real.clone()) => sockets.push(socket),
            Ok(_) => {}
            Err(error) => engines.extend(Engine::without_socket(&socket, &error)),
        }
    }
    let of_variable = async {
        let socket = named?;
        match timeout_at(deadline, real_path(socket.clone())).await {
            Ok(Ok(real)) if known.contains(&real) => None,
            Ok(Ok(_)) => Some(read(&socket, deadline).await),
            Ok(Err(error)) => Engine::without_socket(&socket, &error),
            Err(_) => Some(Engine {
                is_cut: true,
                ..Engine::unknown(&socket, "the file system of its socket does not respond")
            }),
        }
    };
    let reads = join_all(sockets.iter().map(|socket| read(socket, deadline)));
    let (of_variable, of_sockets) = tokio::join!(of_variable, reads);
    engines.extend(of_variable.into_iter().chain(of_sockets));
    combine(engines)
}

/// The path of a socket without links. A file system that hangs keeps its thread, so there is at most one.
async fn real_path(socket: PathBuf) -> std::io::Result<PathBuf> {
    let permit = PATHS.acquire().await.map_err(std::io::Error::other)?;
    let resolve = move || {
        let _permit = permit;
        std::fs::canonicalize(socket)
    };
    spawn_blocking(resolve).await.map_err(std::io::Error::other)?
}

impl Engine {
    fn leave_out(&mut self, row: &Row, name: &str) {
        self.jobs.push(name.to_owned());
        let published = row.published();
        self.job_ports
            .extend(published.into_iter().map(|(public, _)| public));
    }
}

fn combine(engines: Vec<Engine>) -> Containers {
    let mut found = Containers {
        running: Some(BTreeSet::new()),
        is_complete: engines.iter().all(|engine| !engine.is_cut),
        ..Containers::default()
    };
    let mut jobs = BTreeSet::new();
    let mut unhealthy = BTreeSet::new();
    for engine in engines {
        let sick = engine
            .containers
            .iter()
            .filter(|container| container.is_unhealthy);
        unhealthy.extend(sick.map(|container| container.name.clone()));
        found.containers.extend(engine.containers);
        found.running = found.running.zip(engine.running).map(|(all, own)| &all | &own);
        found.gaps.extend(engine.gap);
        jobs.extend(engine.jobs);
        found.job_ports.extend(engine.job_ports);
    }
    found
        .containers
        .sort_by(|a, b| (&a.name, &a.host).cmp(&(&b.name, &b.host)));
    found.containers.dedup_by(|a, b| a.name == b.name);
    found.containers.truncate(MAX_CONTAINERS);
    for (why, names) in [
        (
            "containers that look like jobs are left out, because their end is no failure",
            jobs,
        ),
        (
            "containers that are unhealthy have no docker check, because it would fail",
            unhealthy,
        ),
    ] {
        if !names.is_empty() {
            let names: Vec<String> = names.into_iter().collect();
            found.gaps.insert(format!("{why}: {}", names.join(", ")));
        }
    }
    found
}

async fn read(socket: &Path, deadline: Instant) -> Engine {
    let mut engine = Engine::default();
    let host = EngineHost::Unix(socket.to_owned());
    let result = timeout_at(deadline, read_all(&host, &mut engine)).await;
    let problem = match result {
        Ok(Ok(())) => return engine,
        Ok(Err(problem)) => problem,
        Err(_) => {
            engine.is_cut = true;
            "the engine does not respond in time; check it with docker ps or podman ps".to_owned()
        }
    };
    engine.gap = Some(match engine.running {
        Some(_) => format!("some containers of {host} are not known: {problem}"),
        None => format!("containers of {host} are not known: {problem}"),
    });
    engine
}

async fn read_all(host: &EngineHost, engine: &mut Engine) -> Result<(), String> {
    let mut client = engine::client(host, &Network::default(), true, MAX_RESPONSE_BYTES);
    let body = get(&mut client, host, "/containers/json", "listing the containers").await?;
    let rows: Vec<Row> =
        serde_json::from_slice(&body).map_err(|_| "its response is not a list of containers".to_owned())?;
    let mut running = BTreeSet::new();
    let mut unsure = Vec::new();
    for row in rows.into_iter().filter(Row::is_running).take(MAX_CONTAINERS) {
        let Some(name) = row.name() else { continue };
        running.insert(name.to_owned());
        match row.lasting() {
            Lasting::Yes => engine.containers.push(row.container(host)),
            Lasting::No => engine.leave_out(&row, name),
            Lasting::Unknown => unsure.push(row),
        }
    }
    engine.running = Some(running);
    for row in unsure {
        let Some(name) = row.name() else { continue };
        client.begin();
        let path = format!("/containers/{name}/json");
        let body = get(&mut client, host, &path, "reading a container").await?;
        // Without these fields, it is not known to be a job.
        let details: Details = serde_json::from_slice(&body).unwrap_or_default();
        match details.is_job(name) {
            true => engine.leave_out(&row, name),
            false => engine.containers.push(row.container(host)),
        }
    }
    Ok(())
}

async fn get(client: &mut ApiClient, host: &EngineHost, path: &str, doing: &str) -> Result<Bytes, String> {
    let request = Request::get(path)
        .header(header::HOST, engine::authority(host))
        .body(Full::<Bytes>::default())
        .map_err(|error| error.to_string())?;
    let mut report = Report::default();
    let mut recorder = RunRecorder::new(&mut report);
    match client.request(request, doing, &mut recorder).await {
        Ok(response) if response.status.is_success() => Ok(response.body),
        // It ended since it was listed.
        Ok(response) if response.status == http::StatusCode::NOT_FOUND && path != "/containers/json" => {
            Ok(Bytes::from_static(br#"{"HostConfig": {"AutoRemove": true}}"#))
        }
        Ok(response) => Err(format!("the engine responded with {}", response.status)),
        Err(problem) if problem.reason == Reason::Permission => Err(NO_PERMISSION.to_owned()),
        Err(problem) => Err(problem.message().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(names: &[&str]) -> Engine {
        Engine {
            running: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            jobs: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Engine::default()
        }
    }

    #[test]
    fn a_socket_that_is_hidden_is_not_one_that_does_not_exist() {
        let engine = |kind: ErrorKind| Engine::without_socket(Path::new("/run/x.sock"), &kind.into());
        assert!(engine(ErrorKind::NotFound).is_none());
        let hidden = engine(ErrorKind::PermissionDenied).unwrap();
        assert!(hidden.running.is_none() && hidden.gap.is_some_and(|gap| gap.contains("run it as root")));
    }

    #[test]
    fn what_one_engine_does_not_say_is_not_known() {
        let both = combine(vec![engine(&["a"]), engine(&["b"])]);
        assert_eq!(both.running.unwrap().len(), 2);
        assert!(both.is_complete && both.gaps.iter().any(|gap| gap.ends_with("no failure: a, b")));
        let silent = Engine {
            is_cut: true,
            ..Engine::default()
        };
        let found = combine(vec![engine(&["a"]), silent]);
        assert_eq!((found.running, found.is_complete), (None, false));
        assert_eq!(
            combine(Vec::new()).running,
            Some(BTreeSet::new()),
            "no engine, no container"
        );
    }
}
