//! The responses of an engine, and whether a container is meant to run until somebody stops it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::names::is_generated;
use crate::config::docker::EngineHost;
use crate::discover::facts::Container;
use crate::discover::port_checks::is_ephemeral;

/// The label of a container that a unit of systemd runs (podman-systemd.unit).
const UNIT_LABEL: &str = "PODMAN_SYSTEMD_UNIT";

/// The label that says whether `docker compose run` started a container.
const ONE_OFF_LABEL: &str = "com.docker.compose.oneoff";

/// Whether a container is expected to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// It serves, or a service manager keeps it.
    Yes,
    /// It is a job.
    No,
    /// The list does not say.
    Unknown,
}

/// A container in the list. See docs.docker.com/reference/api/engine, "List containers".
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Row {
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
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PortRow {
    #[serde(default)]
    private_port: u16,
    #[serde(default)]
    public_port: Option<u16>,
    #[serde(default, rename = "Type")]
    protocol: String,
}

impl Row {
    /// Its name, if docker checks accept it.
    pub fn name(&self) -> Option<&str> {
        let name = self.names.first()?.trim_start_matches('/');
        is_name(name).then_some(name)
    }

    /// Whether it runs. A container that restarts again and again has a state of its own.
    pub fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// The TCP ports that it publishes on this machine, with its own ports.
    pub fn published(&self) -> BTreeSet<(u16, u16)> {
        let ports = self.ports.iter().flatten();
        ports
            .filter(|port| port.protocol == "tcp")
            .filter_map(|port| Some((port.public_port?, port.private_port)))
            .collect()
    }

    /// Whether it is expected to stay, as far as the list says.
    pub fn lasting(&self) -> Lasting {
        let label = |name: &str| self.labels.as_ref()?.get(name).map(String::as_str);
        if label(ONE_OFF_LABEL).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Lasting::No;
        }
        // An engine takes a port of the kernel's range if nobody chose one, as tests do.
        let has_own_port = self.published().iter().any(|(public, _)| !is_ephemeral(*public));
        match label(UNIT_LABEL).is_some() || has_own_port {
            true => Lasting::Yes,
            false => Lasting::Unknown,
        }
    }

    /// The container, of this engine.
    pub fn container(&self, host: &EngineHost) -> Container {
        Container {
            name: self.name().unwrap_or_default().to_owned(),
            host: host.to_string(),
            image: self.image.clone(),
            is_unhealthy: self.status.contains("(unhealthy)"),
            published: self.published().into_iter().collect(),
        }
    }
}

/// What an engine says about one container. See "Inspect a container".
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Details {
    host_config: HostConfig,
    config: ContainerConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    auto_remove: bool,
    restart_policy: RestartPolicy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RestartPolicy {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ContainerConfig {
    tty: bool,
    open_stdin: bool,
}

impl Details {
    /// Whether a container that publishes no port of somebody's choice is a job: nothing restarts it, and it is removed at its end (`--rm`), belongs to a
    /// terminal (`-it`), or nobody gave it a name by which it could come back.
    pub fn is_job(&self, name: &str) -> bool {
        let has_policy = !matches!(self.host_config.restart_policy.name.as_str(), "" | "no");
        let is_interactive = self.config.tty && self.config.open_stdin;
        !has_policy && (self.host_config.auto_remove || is_interactive || is_generated(name))
    }
}

/// Whether a name is one that docker checks accept.
fn is_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 255 && name.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(body: &str) -> Vec<Row> {
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn running_containers_are_listed() {
        let rows = rows(
            r#"[
            {"Names": ["/shop"], "Image": "shop:1", "State": "running", "Status": "Up 2 hours (healthy)",
             "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
                       {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
                       {"PrivatePort": 9000, "Type": "tcp"}, {"PrivatePort": 53, "PublicPort": 53, "Type": "udp"}]},
            {"Names": ["/sick"], "State": "running", "Status": "Up 1 second (unhealthy)", "Ports": null, "Labels": null},
            {"Names": ["/old"], "State": "exited"},
            {"Names": ["/loop"], "State": "restarting"},
            {"Names": [], "State": "running"}, {"Names": ["/a b"], "State": "running"}]"#,
        );
        let running = rows.iter().filter(|row| row.is_running() && row.name().is_some());
        let host = EngineHost::Unix("/a".into());
        let found: Vec<Container> = running.map(|row| row.container(&host)).collect();
        let names: Vec<&str> = found.iter().map(|container| &*container.name).collect();
        assert_eq!(names, ["shop", "sick"]);
        assert_eq!(found[0].published, [(8080, 80)]);
        assert_eq!((found[0].is_unhealthy, found[1].is_unhealthy), (false, true));
    }

    #[test]
    fn the_list_says_which_containers_stay() {
        for (row, expected) in [
            (
                r#"{"Ports": [{"PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]}"#,
                Lasting::Yes,
            ),
            (
                r#"{"Ports": [{"PrivatePort": 80, "PublicPort": 40123, "Type": "tcp"}]}"#,
                Lasting::Unknown,
            ),
            (
                r#"{"Ports": [{"PrivatePort": 80, "Type": "tcp"}]}"#,
                Lasting::Unknown,
            ),
            (
                r#"{"Labels": {"PODMAN_SYSTEMD_UNIT": "shop.service"}}"#,
                Lasting::Yes,
            ),
            (
                r#"{"Labels": {"com.docker.compose.oneoff": "True"}}"#,
                Lasting::No,
            ),
            (
                r#"{"Labels": {"com.docker.compose.oneoff": "False"}}"#,
                Lasting::Unknown,
            ),
        ] {
            assert_eq!(rows(&format!("[{row}]"))[0].lasting(), expected, "{row}");
        }
    }

    #[test]
    fn jobs_are_recognized() {
        for (details, name, expected) in [
            (r#"{"HostConfig": {"AutoRemove": true}}"#, "backup", true),
            (r#"{"HostConfig": {"AutoRemove": false}}"#, "worker", false),
            (
                r#"{"HostConfig": {"RestartPolicy": {"Name": "no"}}}"#,
                "worker",
                false,
            ),
            (r#"{"Config": {"Tty": true, "OpenStdin": true}}"#, "shell", true),
            (r#"{"Config": {"Tty": true}}"#, "shop", false),
            ("{}", "admiring_turing", true),
            (
                r#"{"HostConfig": {"AutoRemove": false, "RestartPolicy": {"Name": "always"}}}"#,
                "admiring_turing",
                false,
            ),
            ("{}", "shop_worker", false),
        ] {
            let parsed: Details = serde_json::from_str(details).unwrap();
            assert_eq!(parsed.is_job(name), expected, "{name} {details}");
        }
    }
}
