//! The state that request handlers share.

use std::fmt;
use std::sync::Arc;

use super::admin::Admin;
use super::body_cache::BodyCache;
use super::endpoints::Site;
use super::event_hub::EventHub;
use super::heartbeat::HeartbeatEndpoint;
use super::hosts::AllowedHosts;
use super::reload::Reloader;
use crate::history::Reader;
use crate::metrics::Renderer;
use crate::probe::Prober;
use crate::process_groups::ProcessGroups;
use crate::store::Snapshot;

/// The data and functions that request handlers use.
pub struct State {
    /// Takes a snapshot of all checks and services. May block.
    pub snapshot: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    /// Reads the past of the services.
    pub history: Reader,
    /// Returns the configuration without secrets.
    pub config: Box<dyn Fn() -> Arc<str> + Send + Sync>,
    /// Handles `/probe`.
    pub prober: Arc<Prober>,
    /// Scans processes for `/metrics/processes`.
    pub process_groups: Arc<ProcessGroups>,
    /// Receives the beats of jobs.
    pub heartbeats: HeartbeatEndpoint,
    /// Renders the metrics.
    pub renderer: Arc<Renderer>,
    /// Reports whether every check has run at least once.
    pub is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// Reloads the configuration.
    pub reloader: Reloader,
    /// Whether `POST /-/reload` is allowed (`--web.enable-lifecycle`).
    pub is_lifecycle_enabled: bool,
    /// Whether badges are served (`--web.badges`).
    pub has_badges: bool,
    /// Acts on services; `None` unless `--web.enable-admin-api` is given.
    pub admin: Option<Arc<Admin>>,
    /// The hosts that requests may name (`--web.allowed-hosts`).
    pub allowed_hosts: AllowedHosts,
    /// Sends events to pages and other clients.
    pub event_hub: Arc<EventHub>,
    /// The path of the metrics (`--web.telemetry-path`); begins with a slash.
    pub telemetry_path: String,
    /// The rendered bodies of metrics, pages and JSON.
    pub bodies: BodyCache,
}

impl State {
    /// Returns the settings that pages link and describe endpoints by.
    pub(super) fn site(&self) -> Site<'_> {
        Site {
            telemetry_path: &self.telemetry_path,
            is_lifecycle_enabled: self.is_lifecycle_enabled,
            is_admin_enabled: self.admin.is_some(),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("is_lifecycle_enabled", &self.is_lifecycle_enabled)
            .field("telemetry_path", &self.telemetry_path)
            .finish_non_exhaustive()
    }
}
