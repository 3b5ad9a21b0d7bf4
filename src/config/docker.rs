//! The configuration of docker checks: a container, and the engine that runs it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::HostPort;
use super::duration::DurationText;
use super::place::{Invalid, Place};
use super::resource_limits::{ResourceOptions, ResourceSettings, over_limit_schema};
use super::schema_scalars::ANY_SCALAR;
use super::server_url::ServerUrl;
use super::size::SizeText;
use super::tls::{TlsOptions, TlsSettings};

/// The default socket of Docker's clients.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// The environment variable with the engine of Docker's clients.
const HOST_VARIABLE: &str = "DOCKER_HOST";
/// The customary ports of the engine, without and with TLS.
const PORTS: (u16, u16) = (2375, 2376);
/// The longest name of a container. Docker has no limit, but the name must be valid as a file name.
const MAX_NAME: usize = 255;
/// The advice for an invalid host.
const ADVICE: &str = "write a URL such as unix:///var/run/docker.sock or tcp://docker.example.org:2376";

/// The options of a docker check, which expects a container to run and to be healthy.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DockerOptions {
    /// Name or id of the container. An id has at least the 12 digits that `docker ps` shows.
    #[schemars(extend("examples" = ["chatstack-web"]))]
    #[schemars(regex(pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"), length(max = 255), extend("$comment" = ANY_SCALAR))]
    pub container: Option<String>,
    /// The engine: unix:///path/of/a/socket or tcp://host:port, as for Docker's clients. Default: the environment variable
    /// DOCKER_HOST, or else unix:///var/run/docker.sock. Podman has the same API.
    #[schemars(regex(pattern = r"^\s*[A-Za-z][A-Za-z0-9+.-]*:"))]
    pub host: Option<String>,
    /// TLS options. Given, a connection to tcp:// uses TLS.
    pub tls_config: Option<TlsOptions>,
    /// How long the health check of a new container may be starting. Until then the container is degraded, then down. Default:
    /// StartPeriod + Retries x (Interval + Timeout) of the health check, or 45s if the engine does not return these.
    pub start_grace: Option<DurationText>,
    /// Whether to measure what the container uses: CPU time, memory, tasks, IO and OOM kills. Default: true.
    pub resources: Option<bool>,
    /// From this memory on, the check warns: `500MB`. The inactive part of the page cache does not count. Default: none.
    #[schemars(extend("not" = { "enum": [0, "0"] }))]
    pub memory_below: Option<SizeText>,
    /// From this share of the container's own memory limit on, the check warns: 0.9 for 90 %. No effect without such a limit. Default:
    /// none.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    pub memory_share_below: Option<f64>,
    /// From this number of CPUs in use on, averaged over about 5 s, the check warns: 1.5. Default: none.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub cpu_below: Option<f64>,
    /// From this number of processes and threads on, the check warns. Default: none.
    #[schemars(range(min = 1))]
    pub tasks_below: Option<u64>,
    /// What a reached limit does: `warning` (the check is degraded) or `failure` (the run fails). Default: warning.
    #[schemars(schema_with = "over_limit_schema")]
    pub over_limit: Option<String>,
    /// Reuse the connection to the engine between runs. Default: true.
    pub reuse_connection: Option<bool>,
}

/// The settings of a docker check.
#[derive(Clone, Debug, PartialEq)]
pub struct DockerSettings {
    /// The name or id of the container.
    pub container: String,
    /// The engine.
    pub host: EngineHost,
    /// How long the health check of a new container may be starting; `None` for the duration in its own settings.
    pub start_grace: Option<Duration>,
    /// What is measured and limited of what the container uses.
    pub resources: ResourceSettings,
    /// Whether the connection is reused between runs.
    pub reuse_connection: bool,
}

/// The endpoint of an engine.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineHost {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp {
        /// The address.
        address: HostPort,
        /// The TLS settings; `None` without TLS.
        tls: Option<TlsSettings>,
    },
}

impl fmt::Display for EngineHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { address, .. } => write!(f, "tcp://{address}"),
        }
    }
}

impl DockerOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<DockerSettings, Invalid> {
        self.resolve_with(std::env::var(HOST_VARIABLE).ok(), place)
    }

    /// Resolves the options with this value of `DOCKER_HOST`.
    fn resolve_with(self, variable: Option<String>, place: &Place<'_>) -> Result<DockerSettings, Invalid> {
        let container = match &self.container {
            None => {
                Err(place.error("container is missing: write its name, such as container: chatstack-web"))
            }
            Some(name) => container_name(name, &place.field("container")),
        };
        let resources = ResourceOptions {
            resources: self.resources,
            memory_below: self.memory_below,
            memory_share_below: self.memory_share_below,
            cpu_below: self.cpu_below,
            tasks_below: self.tasks_below,
            over_limit: self.over_limit,
        };
        let resources = resources.resolve(place);
        let has_tls = self.tls_config.is_some();
        let host = match (&self.host, variable.filter(|text| !text.is_empty())) {
            (Some(text), _) => engine(text, has_tls).map_err(|wrong| place.field("host").error(wrong)),
            (None, Some(text)) => engine(&text, has_tls).map_err(|wrong| {
                place.error(format_args!(
                    "the environment variable {HOST_VARIABLE} is invalid: {wrong}; unset it, or add host"
                ))
            }),
            (None, None) => Ok(EngineHost::Unix(DEFAULT_SOCKET.into())),
        };
        let tls = self
            .tls_config
            .map(|options| options.resolve(&place.field("tls_config")));
        let tls = tls.transpose();
        let host = match (host?, tls?) {
            (EngineHost::Tcp { address, .. }, tls) => EngineHost::Tcp { address, tls },
            (host, None) => host,
            (EngineHost::Unix(_), Some(_)) => {
                let place = place.field("tls_config");
                return Err(
                    place.error("tls_config needs TCP: add a host such as tcp://docker.example.org:2376")
                );
            }
        };
        Ok(DockerSettings {
            container: container?,
            host,
            start_grace: self.start_grace.map(|grace| grace.0),
            resources: resources?,
            reuse_connection: self.reuse_connection.unwrap_or(true),
        })
    }
}

impl DockerSettings {
    /// The container, with the engine if it is reached by TCP.
    pub fn target(&self) -> String {
        match &self.host {
            EngineHost::Unix(_) => self.container.clone(),
            EngineHost::Tcp { .. } => format!("{}/{}", self.host, self.container),
        }
    }
}

/// Validates the name of a container (`[a-zA-Z0-9][a-zA-Z0-9_.-]*`). An id has the same form.
fn container_name(text: &str, place: &Place<'_>) -> Result<String, Invalid> {
    let is_named = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let shown: String = text.chars().take(80).collect();
    if let Some(name) = text
        .strip_prefix('/')
        .filter(|name| !name.is_empty() && name.chars().all(is_named))
    {
        return Err(place.error(format_args!(
            "\"{shown}\" begins with a slash: did you mean \"{name}\"?"
        )));
    }
    if text.is_empty()
        || !text.chars().all(is_named)
        || !text.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        return Err(place.error(format_args!(
            "\"{shown}\" is not the name of a container: write letters, digits, _, . and -, with a letter or digit first \
             (`docker ps --all` lists the names)"
        )));
    }
    if text.len() > MAX_NAME {
        return Err(place.error(format_args!(
            "{} characters long: write at most {MAX_NAME}",
            text.len()
        )));
    }
    Ok(text.to_owned())
}

/// Parses the URL of an engine. Errors do not quote it: it may contain a password.
fn engine(text: &str, has_tls: bool) -> Result<EngineHost, String> {
    if let Some(path) = text.strip_prefix("unix://") {
        return match path.starts_with('/') && !path.ends_with('/') {
            true => Ok(EngineHost::Unix(path.into())),
            false => Err(format!("the path of the socket is not absolute: {ADVICE}")),
        };
    }
    if text.starts_with('/') {
        return Err(format!(
            "a path without unix://: write unix://{}",
            text.chars().take(80).collect::<String>()
        ));
    }
    let port = if has_tls { PORTS.1 } else { PORTS.0 };
    let found = std::cell::RefCell::default();
    let url = ServerUrl::parse(
        text,
        &[("tcp", port)],
        "unix:///var/run/docker.sock or tcp://docker.example.org:2376",
        &Place::root(&found),
    );
    let Ok(url) = url else {
        return Err(found.take().into_iter().map(|finding| finding.message).collect());
    };
    let has_more = url.path.is_some_and(|path| !path.is_empty()) || !url.query.is_empty();
    if url.user.is_some() || url.password.is_some() || has_more {
        return Err(format!("the URL has more parts than a host and a port: {ADVICE}"));
    }
    Ok(EngineHost::Tcp {
        address: url.address,
        tls: None,
    })
}

impl super::KindFacts for DockerSettings {
    const SEES_CERTIFICATES: bool = true;

    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            "health" => Some(3),
            // created, running, paused, restarting, removing, exited, dead
            "state" => Some(7),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests_support::resolve_json;

    fn resolve(json: serde_json::Value, variable: Option<&str>) -> Result<DockerSettings, Vec<String>> {
        resolve_json(json, |options: DockerOptions, root| {
            options.resolve_with(variable.map(str::to_owned), &root.field("checks").index(0))
        })
    }

    #[test]
    fn a_container_suffices() {
        let settings = resolve(serde_json::json!({"container": "chatstack-web"}), None).unwrap();
        assert_eq!(settings.target(), "chatstack-web");
        assert_eq!(settings.host, EngineHost::Unix("/var/run/docker.sock".into()));
        assert_eq!((settings.start_grace, settings.reuse_connection), (None, true));
    }

    #[test]
    fn the_engine_comes_from_the_option_or_the_variable() {
        let host = |host: Option<&str>, variable| {
            let settings = resolve(serde_json::json!({"container": "a", "host": host}), variable).unwrap();
            (settings.host.to_string(), settings.target())
        };
        let of = |host: &str, target: &str| (host.to_owned(), target.to_owned());
        let (podman, port) = ("unix:///run/podman/podman.sock", "tcp://[::1]:2375");
        assert_eq!(host(Some(podman), Some(port)), of(podman, "a"));
        assert_eq!(host(None, Some(podman)), of(podman, "a"));
        assert_eq!(host(None, Some("tcp://[::1]")), of(port, "tcp://[::1]:2375/a"));
        assert_eq!(host(None, Some("")), of("unix:///var/run/docker.sock", "a"));
    }

    #[test]
    fn tls_has_another_default_port() {
        let json =
            serde_json::json!({"container": "a", "host": "tcp://b", "tls_config": {"server_name": "c"}});
        let settings = resolve(json, None).unwrap();
        assert_eq!(settings.target(), "tcp://b:2376/a");
        assert!(matches!(settings.host, EngineHost::Tcp { tls: Some(_), .. }));
    }

    #[test]
    fn every_error_is_reported_at_its_key() {
        let advice = "write a URL such as unix:///var/run/docker.sock or tcp://docker.example.org:2376";
        let name = "is not the name of a container: write letters, digits, _, . and -, with a letter or digit first \
                    (`docker ps --all` lists the names)";
        for (json, message) in [
            (
                serde_json::json!({}),
                ": container is missing: write its name, such as container: chatstack-web".to_owned(),
            ),
            (
                serde_json::json!({"container": ""}),
                format!(".container: \"\" {name}"),
            ),
            (
                serde_json::json!({"container": "a b"}),
                format!(".container: \"a b\" {name}"),
            ),
            (
                serde_json::json!({"container": "../a"}),
                format!(".container: \"../a\" {name}"),
            ),
            (
                serde_json::json!({"container": "/web"}),
                ".container: \"/web\" begins with a slash: did you mean \"web\"?".to_owned(),
            ),
            (
                serde_json::json!({"container": "a".repeat(256)}),
                ".container: 256 characters long: write at most 255".to_owned(),
            ),
            (
                serde_json::json!({"container": "a", "host": "/run/docker.sock"}),
                ".host: a path without unix://: write unix:///run/docker.sock".to_owned(),
            ),
            (
                serde_json::json!({"container": "a", "host": "unix://docker.sock"}),
                format!(".host: the path of the socket is not absolute: {advice}"),
            ),
            (
                serde_json::json!({"container": "a", "host": "ssh://me:secret@x"}),
                format!(".host: the scheme of the URL is not tcp://: {advice}"),
            ),
            (
                serde_json::json!({"container": "a", "host": "tcp://me:secret@x"}),
                format!(".host: the URL has more parts than a host and a port: {advice}"),
            ),
            (
                serde_json::json!({"container": "a", "tls_config": {}}),
                ".tls_config: tls_config needs TCP: add a host such as tcp://docker.example.org:2376"
                    .to_owned(),
            ),
        ] {
            assert_eq!(resolve(json, None), Err(vec![format!("checks[0]{message}")]));
        }
        let errors = resolve(serde_json::json!({"container": "a"}), Some("ssh://me:secret@x")).unwrap_err();
        let scheme = "the scheme of the URL is not tcp://";
        let expected = format!(
            "checks[0]: the environment variable DOCKER_HOST is invalid: {scheme}: {advice}; unset it, or add host"
        );
        assert_eq!(errors, [expected]);
        let all = serde_json::json!({"container": "a b", "host": "x", "tls_config": {"ca": "x"}});
        assert_eq!(resolve(all, None).unwrap_err().len(), 3);
    }
}
