//! Connects to a container engine (Docker, podman) and identifies its containers.

use jiff::Timestamp;

use super::api_client::ApiClient;
use super::endpoint::{Endpoint, HostEndpoint};
use super::network::Network;
use crate::config::address::AddressPreference;
use crate::config::docker::EngineHost;
use crate::model::{Problem, Reason};

/// The shortest prefix of an id that identifies a container: what `docker ps` shows.
pub const SHORT_ID: usize = 12;

/// A client of the engine's API. See [`ApiClient::new`].
pub fn client(host: &EngineHost, network: &Network, is_reusing: bool, max_body_bytes: usize) -> ApiClient {
    let endpoint = match host {
        EngineHost::Unix(path) => Endpoint::Unix(path.clone()),
        EngineHost::Tcp { address, tls } => HostEndpoint::new(network, address, AddressPreference::default())
            .with_tls(tls.as_ref(), &[])
            .into(),
    };
    ApiClient::new(endpoint, is_reusing, max_body_bytes)
}

/// The value of the header `Host`. A Unix socket has no host name, but HTTP/1.1 requires the header (RFC 9112, section 3.2).
pub fn authority(host: &EngineHost) -> String {
    match host {
        EngineHost::Unix(_) => "docker".to_owned(),
        EngineHost::Tcp { address, .. } => address.authority(),
    }
}

/// Whether `wanted` is the name or the id of the container. Engines also treat any prefix of an id as a name. If the wanted
/// container is gone, another one must not pass for it.
pub fn is_identified(wanted: &str, name: &str, id: &str) -> bool {
    name == wanted || (wanted.len() >= SHORT_ID && id.starts_with(wanted))
}

/// Converts RFC 3339 to Unix time. Engines report the year 1 for events that have not happened.
pub fn unix_time(text: &str) -> Option<f64> {
    let seconds = text.parse::<Timestamp>().ok()?.as_duration().as_secs_f64();
    (seconds > 0.0).then_some(seconds)
}

/// Adds advice to the problem of an engine that does not respond.
pub fn advise(problem: Problem, host: &EngineHost) -> Problem {
    let is_socket = matches!(host, EngineHost::Unix(_));
    let advice = match problem.reason {
        Reason::Permission if is_socket => {
            "the exporter's user may not open it: add the user to the group docker, or set host to a socket that it may open"
        }
        Reason::Unreachable if is_socket => {
            "install the engine (podman: systemctl enable --now podman.socket), or mount the socket into the exporter's \
             container"
        }
        Reason::Refused => "check that the engine is running (systemctl status docker)",
        _ => return problem,
    };
    problem.with_message(format_args!("{}; {advice}", problem.message()))
}
