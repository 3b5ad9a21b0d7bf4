//! The state of a container, from an engine's description. See docs.docker.com/reference/api/engine,
//! `GET /containers/{id}/json`.

use serde::Deserialize;

use crate::net::engine::unix_time;

/// The state of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerStatus {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The state as the engine names it: created, running, paused, restarting, exited, dead, ...
    pub state: String,
    /// Its restart policy: no, on-failure, always, unless-stopped; empty if the engine does not report it.
    pub restart_policy: String,
    /// How often its restart policy has restarted it.
    pub restarts: Option<u32>,
    /// When it was last started, in Unix time.
    pub started: Option<f64>,
    /// When it last exited, in Unix time.
    pub finished: Option<f64>,
    /// The exit code of its last run.
    pub exit_code: Option<i32>,
    /// Whether the kernel killed its last run because it was out of memory.
    pub is_oom_killed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawContainer {
    id: String,
    name: String,
    restart_count: Option<u32>,
    state: RawState,
    #[serde(default)]
    host_config: RawHostConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawState {
    status: String,
    exit_code: Option<i32>,
    #[serde(default, rename = "OOMKilled")]
    is_oom_killed: bool,
    started_at: Option<String>,
    finished_at: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawHostConfig {
    restart_policy: RawRestartPolicy,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawRestartPolicy {
    name: String,
}

impl ContainerStatus {
    /// Parses a response.
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let raw: RawContainer = serde_json::from_slice(body)?;
        Ok(Self {
            id: raw.id,
            name: raw.name.trim_start_matches('/').to_owned(),
            state: raw.state.status,
            restart_policy: raw.host_config.restart_policy.name,
            restarts: raw.restart_count,
            started: raw.state.started_at.as_deref().and_then(unix_time),
            finished: raw.state.finished_at.as_deref().and_then(unix_time),
            exit_code: raw.state.exit_code,
            is_oom_killed: raw.state.is_oom_killed,
        })
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// Whether its restart policy starts it again if it exits with an error.
    pub fn restarts_after_failure(&self) -> bool {
        matches!(
            self.restart_policy.as_str(),
            "always" | "on-failure" | "unless-stopped"
        )
    }

    /// Whether it exited, and its restart policy is about to start it again, as Docker reports it.
    pub fn is_restarting(&self) -> bool {
        self.state == "restarting"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_parsed() {
        let body =
            br#"{"Id": "4f66ad9a0b2e", "Name": "/web", "RestartCount": 2, "State": {"Status": "running",
            "ExitCode": 0, "StartedAt": "2026-01-02T03:04:05.5Z", "FinishedAt": "0001-01-01T00:00:00Z"},
            "HostConfig": {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}}}"#;
        let container = ContainerStatus::parse(body).unwrap();
        assert!(container.is_running() && !container.is_restarting());
        assert_eq!((container.name.as_str(), container.restarts), ("web", Some(2)));
        assert_eq!(container.restart_policy, "unless-stopped");
        assert_eq!(
            (container.started, container.finished),
            (Some(1_767_323_045.5), None)
        );
        let least = ContainerStatus::parse(br#"{"Id": "1", "Name": "a", "State": {"Status": "dead"}}"#);
        assert_eq!(least.unwrap().restart_policy, "");
        assert!(ContainerStatus::parse(b"{}").is_err());
    }
}
