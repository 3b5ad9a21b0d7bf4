//! Lists the running containers of the engines on this machine, over their API (`GET /containers/json`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use serde::Deserialize;
use tokio::time::timeout;

use super::facts::Container;
use crate::config::docker::EngineHost;
use crate::model::{Reason, Report};
use crate::net::engine;
use crate::net::network::Network;
use crate::net::run_recorder::RunRecorder;

/// The sockets of Docker, and of podman as root.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

/// The longest list, in bytes. A container has about 2 KiB.
const MAX_LIST_BYTES: usize = 4 << 20;

/// How many containers are listed.
const MAX_CONTAINERS: usize = 1000;

/// The containers of all engines.
#[derive(Debug, Default)]
pub struct Containers {
    /// The running containers, by name.
    pub containers: Vec<Container>,
    /// What could not be seen.
    pub gaps: BTreeSet<String>,
}

/// Lists the containers of the engine in `DOCKER_HOST`, if it is a socket, and of the usual sockets. Each engine has `max_time`.
pub async fn list(variable: Option<String>, max_time: Duration) -> Containers {
    let named = variable.and_then(|text| text.strip_prefix("unix://").map(PathBuf::from));
    let usual = SOCKETS.iter().map(PathBuf::from);
    let mut found = Containers::default();
    let mut known = BTreeSet::new();
    for socket in named.into_iter().chain(usual) {
        // Docker's socket may be a link to that of podman.
        let Ok(real) = tokio::fs::canonicalize(&socket).await else {
            continue;
        };
        if known.insert(real) {
            read(&socket, &mut found, max_time).await;
        }
    }
    found
        .containers
        .sort_by(|a, b| (&a.name, &a.host).cmp(&(&b.name, &b.host)));
    found.containers.dedup_by(|a, b| a.name == b.name);
    found.containers.truncate(MAX_CONTAINERS);
    found
}

async fn read(socket: &Path, found: &mut Containers, max_time: Duration) {
    let host = EngineHost::Unix(socket.to_owned());
    let mut client = engine::client(&host, &Network::default(), false, MAX_LIST_BYTES);
    let request = Request::get("/containers/json")
        .header(header::HOST, engine::authority(&host))
        .body(Full::<Bytes>::default());
    let Ok(request) = request else { return };
    let mut report = Report::default();
    let mut recorder = RunRecorder::new(&mut report);
    let response = timeout(
        max_time,
        client.request(request, "listing the containers", &mut recorder),
    )
    .await;
    let gap = match response {
        Ok(Ok(response)) if response.status.is_success() => match parse(&response.body, &host.to_string()) {
            Some(containers) => return found.containers.extend(containers),
            None => "its response is not a list of containers".to_owned(),
        },
        Ok(Ok(response)) => format!("the engine responded with {}", response.status),
        Ok(Err(problem)) if problem.reason == Reason::Permission => {
            "the user may not open the socket: run it as root, or as a user of the group docker".to_owned()
        }
        Ok(Err(problem)) => problem.message().to_owned(),
        Err(_) => format!("the engine did not respond within {} s", max_time.as_secs_f32()),
    };
    found
        .gaps
        .insert(format!("containers of {host} are not known: {gap}"));
}

/// A container in the response. See docs.docker.com/reference/api/engine, "List containers".
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    image: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    ports: Option<Vec<PortRow>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PortRow {
    #[serde(default)]
    private_port: u16,
    #[serde(default)]
    public_port: Option<u16>,
    #[serde(default, rename = "Type")]
    protocol: String,
}

/// Parses the list. Only running containers are returned.
fn parse(body: &[u8], host: &str) -> Option<Vec<Container>> {
    let rows: Vec<Row> = serde_json::from_slice(body).ok()?;
    let containers = rows.into_iter().filter_map(|row| {
        // A container that restarts again and again has a state of its own.
        let name = row.names.first()?.trim_start_matches('/').to_owned();
        let is_running = row.state == "running";
        let published: BTreeSet<(u16, u16)> = row
            .ports
            .unwrap_or_default()
            .iter()
            .filter(|port| port.protocol == "tcp")
            .filter_map(|port| Some((port.public_port?, port.private_port)))
            .collect();
        (is_running && is_name(&name)).then(|| Container {
            name,
            host: host.to_owned(),
            image: row.image,
            is_unhealthy: row.status.contains("(unhealthy)"),
            published: published.into_iter().collect(),
        })
    });
    Some(containers.collect())
}

/// Whether a name is one that docker checks accept.
fn is_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 255 && name.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_containers_are_listed() {
        let body = br#"[
            {"Names": ["/shop"], "Image": "shop:1", "State": "running", "Status": "Up 2 hours (healthy)",
             "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
                       {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
                       {"PrivatePort": 9000, "Type": "tcp"}, {"PrivatePort": 53, "PublicPort": 53, "Type": "udp"}]},
            {"Names": ["/sick"], "State": "running", "Status": "Up 1 second (unhealthy)", "Ports": null},
            {"Names": ["/old"], "State": "exited"},
            {"Names": ["/loop"], "State": "restarting"},
            {"Names": []}, {"Names": ["/a b"], "State": "running"}]"#;
        let found = parse(body, "unix:///a").unwrap();
        let names: Vec<&str> = found.iter().map(|container| &*container.name).collect();
        assert_eq!(names, ["shop", "sick"]);
        assert_eq!(found[0].published, [(8080, 80)]);
        assert_eq!((found[0].is_unhealthy, found[1].is_unhealthy), (false, true));
        assert_eq!(parse(b"{}", "a"), None);
    }
}
