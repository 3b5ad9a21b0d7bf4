//! The configuration of docker checks: a container, and the engine that knows it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::HostPort;
use super::duration::DurationText;
use super::place::{Invalid, Place};
use super::server_url::ServerUrl;
use super::tls::{TlsOptions, TlsSettings};

/// Where Docker's own clients look for the engine.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// The variable that tells Docker's own clients where the engine is.
const HOST_VARIABLE: &str = "DOCKER_HOST";
/// The engine's customary ports, without TLS and with it.
const PORTS: (u16, u16) = (2375, 2376);
/// The longest name of a container; Docker itself sets no limit, but the name has to be a file name.
const MAX_NAME: usize = 255;
/// What is written where a host is wrong.
const RIGHT: &str = "write unix:///var/run/docker.sock or tcp://docker.example.org:2376, say";

/// A docker check as it is written: a container runs and is healthy.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DockerOptions {
    /// The container's name, or its id (at least the 12 digits that `docker ps` shows).
    #[schemars(extend("examples" = ["chatstack-web"]))]
    pub container: Option<String>,
    /// The engine, as Docker's clients write it: unix:///path/of/a/socket or tcp://host:port. Default: what the variable
    /// DOCKER_HOST says, or else unix:///var/run/docker.sock. podman serves the same interface.
    pub host: Option<String>,
    /// Talk TLS with an engine at tcp://, this way.
    pub tls_config: Option<TlsOptions>,
    /// How long the container's health check may be starting, from the container's start on, before the container is down;
    /// degraded until then. Default: as long as the health check's own settings give it, StartPeriod + Retries x (Interval +
    /// Timeout); 45s where the engine does not say them.
    pub start_grace: Option<DurationText>,
    /// Keep the connection to the engine between runs (default), or make a new one for each.
    pub reuse_connection: Option<bool>,
}

/// What a docker check needs, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct DockerSettings {
    /// The container's name or id.
    pub container: String,
    /// Where the engine is.
    pub host: EngineHost,
    /// How long the container's health check may be starting; `None` for what its own settings say.
    pub start_grace: Option<Duration>,
    /// Whether the connection is kept between runs.
    pub reuse_connection: bool,
}

/// Where an engine is.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineHost {
    /// At a Unix socket.
    Unix(PathBuf),
    /// At a TCP port.
    Tcp {
        /// Which one.
        address: HostPort,
        /// How to do TLS, where it does.
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
    /// Fills in the defaults.
    ///
    /// # Errors
    /// When something is wrong; all of it is reported to `place`.
    pub fn resolve(self, place: &Place<'_>) -> Result<DockerSettings, Invalid> {
        self.resolve_with(std::env::var(HOST_VARIABLE).ok(), place)
    }

    /// With this value of `DOCKER_HOST`.
    fn resolve_with(self, variable: Option<String>, place: &Place<'_>) -> Result<DockerSettings, Invalid> {
        let container = match &self.container {
            None => Err(place.error("container is missing: name it, as in container: chatstack-web")),
            Some(name) => container_name(name, &place.field("container")),
        };
        let has_tls = self.tls_config.is_some();
        let host = match (&self.host, variable.filter(|text| !text.is_empty())) {
            (Some(text), _) => engine(text, has_tls).map_err(|wrong| place.field("host").error(wrong)),
            (None, Some(text)) => engine(&text, has_tls).map_err(|wrong| {
                let advice = "give host, or unset it";
                place.error(format_args!(
                    "the environment variable {HOST_VARIABLE}: {wrong} ({advice})"
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
                return Err(place
                    .error("tls_config needs an engine at tcp://: add host: tcp://docker.example.org:2376"));
            }
        };
        Ok(DockerSettings {
            container: container?,
            host,
            start_grace: self.start_grace.map(|grace| grace.0),
            reuse_connection: self.reuse_connection.unwrap_or(true),
        })
    }
}

impl DockerSettings {
    /// The container, with the engine where that is another machine's.
    pub fn target(&self) -> String {
        match &self.host {
            EngineHost::Unix(_) => self.container.clone(),
            EngineHost::Tcp { .. } => format!("{}/{}", self.host, self.container),
        }
    }
}

/// A name by the rule of the engines (`[a-zA-Z0-9][a-zA-Z0-9_.-]*`), which ids obey too.
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
            "\"{shown}\" is not a container's name: letters, digits and _ . - may stand in one, a letter or a digit first \
             (`docker ps --all` shows them)"
        )));
    }
    if text.len() > MAX_NAME {
        return Err(place.error(format_args!(
            "the container's name is {} characters long: {MAX_NAME} are the limit",
            text.len()
        )));
    }
    Ok(text.to_owned())
}

/// The engine that `text` names, or what is wrong with it. The text is not shown: it may hold a password.
fn engine(text: &str, has_tls: bool) -> Result<EngineHost, String> {
    if let Some(path) = text.strip_prefix("unix://") {
        return match path.starts_with('/') && !path.ends_with('/') {
            true => Ok(EngineHost::Unix(path.into())),
            false => Err(format!(
                "unix:// is not followed by the absolute path of a socket: {RIGHT}"
            )),
        };
    }
    if text.starts_with('/') {
        return Err(format!(
            "this is a path: write unix://{}",
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
        return Err(format!(
            "there is more in this URL than a host and a port: {RIGHT}"
        ));
    }
    Ok(EngineHost::Tcp {
        address: url.address,
        tls: None,
    })
}

impl super::KindFacts for DockerSettings {
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
    use std::cell::RefCell;

    use super::*;

    fn resolve(json: serde_json::Value, variable: Option<&str>) -> Result<DockerSettings, Vec<String>> {
        let findings = RefCell::default();
        let options: DockerOptions = serde_json::from_value(json).unwrap();
        let place = Place::root(&findings).field("checks").index(0);
        let resolved = options.resolve_with(variable.map(str::to_owned), &place);
        resolved.map_err(|Invalid| {
            let findings = findings.take();
            findings
                .iter()
                .map(|f| format!("{}: {}", f.path, f.message))
                .collect()
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
    fn the_engine_is_the_one_written_or_the_variables() {
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
    fn tls_has_a_port_of_its_own() {
        let json =
            serde_json::json!({"container": "a", "host": "tcp://b", "tls_config": {"server_name": "c"}});
        let settings = resolve(json, None).unwrap();
        assert_eq!(settings.target(), "tcp://b:2376/a");
        assert!(matches!(settings.host, EngineHost::Tcp { tls: Some(_), .. }));
    }

    #[test]
    fn every_fault_is_told_at_its_key() {
        let example = "write one such as unix:///var/run/docker.sock or tcp://docker.example.org:2376";
        let right = "write unix:///var/run/docker.sock or tcp://docker.example.org:2376, say";
        let name = "is not a container's name: letters, digits and _ . - may stand in one, a letter or a digit first \
                    (`docker ps --all` shows them)";
        for (json, message) in [
            (
                serde_json::json!({}),
                ": container is missing: name it, as in container: chatstack-web".to_owned(),
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
                ".container: the container's name is 256 characters long: 255 are the limit".to_owned(),
            ),
            (
                serde_json::json!({"container": "a", "host": "/run/docker.sock"}),
                ".host: this is a path: write unix:///run/docker.sock".to_owned(),
            ),
            (
                serde_json::json!({"container": "a", "host": "unix://docker.sock"}),
                format!(".host: unix:// is not followed by the absolute path of a socket: {right}"),
            ),
            (
                serde_json::json!({"container": "a", "host": "ssh://me:secret@x"}),
                format!(".host: the scheme of this URL is not tcp://: {example}"),
            ),
            (
                serde_json::json!({"container": "a", "host": "tcp://me:secret@x"}),
                format!(".host: there is more in this URL than a host and a port: {right}"),
            ),
            (
                serde_json::json!({"container": "a", "tls_config": {}}),
                ".tls_config: tls_config needs an engine at tcp://: add host: tcp://docker.example.org:2376"
                    .to_owned(),
            ),
        ] {
            assert_eq!(resolve(json, None), Err(vec![format!("checks[0]{message}")]));
        }
        let faults = resolve(serde_json::json!({"container": "a"}), Some("ssh://me:secret@x")).unwrap_err();
        let scheme = "the scheme of this URL is not tcp://";
        let expected = format!(
            "checks[0]: the environment variable DOCKER_HOST: {scheme}: {example} (give host, or unset it)"
        );
        assert_eq!(faults, [expected]);
        let all = serde_json::json!({"container": "a b", "host": "x", "tls_config": {"ca": "x"}});
        assert_eq!(resolve(all, None).unwrap_err().len(), 3);
    }
}
