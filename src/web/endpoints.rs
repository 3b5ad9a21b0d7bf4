//! The endpoints, and which one a path names.

use http::Method;

use crate::actuator::Action;

/// Settings that endpoints depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    /// The path of the metrics.
    pub telemetry_path: &'a str,
    /// Whether `POST /-/reload` is allowed.
    pub is_lifecycle_enabled: bool,
    /// Whether services can be started, stopped and restarted.
    pub is_admin_enabled: bool,
}

/// An endpoint of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Metrics,
    Processes,
    Index,
    Status,
    ServiceStatus,
    ServiceHistory,
    ServiceBadge,
    GroupBadge,
    Description,
    Targets,
    Models,
    ModelsPage,
    Service,
    Widget,
    WidgetScript,
    Asset,
    Events,
    Healthy,
    Ready,
    Reload,
    Probe,
    Config,
    Heartbeat,
    HeartbeatSignal,
    Act(Action),
}

impl Endpoint {
    /// Every endpoint. The metrics come first: their path is configurable, and takes precedence.
    pub const ALL: [Self; 27] = [
        Self::Metrics,
        Self::Processes,
        Self::Index,
        Self::Status,
        Self::ServiceStatus,
        Self::ServiceHistory,
        Self::ServiceBadge,
        Self::GroupBadge,
        Self::Description,
        Self::Targets,
        Self::Models,
        Self::ModelsPage,
        Self::Service,
        Self::Widget,
        Self::WidgetScript,
        Self::Asset,
        Self::Events,
        Self::Healthy,
        Self::Ready,
        Self::Reload,
        Self::Probe,
        Self::Config,
        Self::Heartbeat,
        Self::HeartbeatSignal,
        Self::Act(Action::Start),
        Self::Act(Action::Stop),
        Self::Act(Action::Restart),
    ];

    /// Returns the path. One of its segments may be a name in braces, which stands for any text without a slash.
    pub fn path(self, site: Site<'_>) -> &str {
        self.fixed_path().unwrap_or(site.telemetry_path)
    }

    /// Returns the path, unless it is configurable.
    const fn fixed_path(self) -> Option<&'static str> {
        Some(match self {
            Self::Metrics => return None,
            Self::Processes => "/metrics/processes",
            Self::Index => "/",
            Self::Status => "/api/status",
            Self::ServiceStatus => "/api/status/{service}",
            Self::ServiceHistory => "/api/status/{service}/history",
            Self::ServiceBadge => "/badge/{service}.svg",
            Self::GroupBadge => "/badge/group/{group}.svg",
            Self::Description => "/api/openapi.yaml",
            Self::Targets => "/sd",
            Self::Models => "/api/models",
            Self::ModelsPage => "/models",
            Self::Service => "/service/{service}",
            Self::Widget => "/widget",
            Self::WidgetScript => "/widget.js",
            Self::Asset => "/assets/{name}",
            Self::Events => "/api/events",
            Self::Healthy => "/-/healthy",
            Self::Ready => "/-/ready",
            Self::Reload => "/-/reload",
            Self::Probe => "/probe",
            Self::Config => "/config",
            Self::Heartbeat => "/api/heartbeat/{token}",
            Self::HeartbeatSignal => "/api/heartbeat/{token}/{signal}",
            Self::Act(Action::Start) => "/api/services/{service}/start",
            Self::Act(Action::Stop) => "/api/services/{service}/stop",
            Self::Act(Action::Restart) => "/api/services/{service}/restart",
        })
    }

    /// Describes the endpoint to people.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Metrics => "metrics for Prometheus",
            Self::Processes => {
                "metrics of processes by name, as in process-exporter (if process_groups are configured)"
            }
            Self::Index => "status of all services",
            Self::Service => "one service in detail",
            Self::Widget => "services as cards, to embed in other pages",
            Self::WidgetScript => "script that embeds these cards",
            Self::Asset => "files that the pages load",
            Self::Events => "status changes and updates as server-sent events",
            Self::Status => "status of all services as JSON; ?group=NAME selects a group",
            Self::ServiceStatus => "status of one service as JSON",
            Self::ServiceHistory => {
                "past of one service as JSON or CSV; ?from=, ?to= and ?step= select a range"
            }
            Self::ServiceBadge => {
                "status or uptime of one service as a picture (with --web.badges); ?show=uptime&range=30d"
            }
            Self::GroupBadge => "status or uptime of a group as a picture (with --web.badges)",
            Self::Targets => "checks as targets for /probe (HTTP service discovery of Prometheus)",
            Self::Models => "models that providers offer as JSON; ?provider=, ?q= and ?capability= search",
            Self::ModelsPage => "models that providers offer, with a search",
            Self::Description => "OpenAPI description of the JSON",
            Self::Healthy => "returns 200 while the exporter runs",
            Self::Ready => "returns 200 once every check has run",
            Self::Probe => {
                "runs a module against a target: ?target=...&module=... (if modules are configured)"
            }
            Self::Config => "configuration in use as YAML, without secrets",
            Self::Heartbeat => "reports the success of a job (GET or POST)",
            Self::HeartbeatSignal => {
                "reports the start, the failure or the exit status of a job (GET or POST)"
            }
            Self::Reload => "reloads the configuration (POST, with --web.enable-lifecycle)",
            Self::Act(Action::Start) => "starts a service (POST, with --web.enable-admin-api)",
            Self::Act(Action::Stop) => "stops a service (POST, with --web.enable-admin-api)",
            Self::Act(Action::Restart) => "restarts a service (POST, with --web.enable-admin-api)",
        }
    }

    /// Reports whether the footer of the pages lists it.
    pub const fn is_listed(self) -> bool {
        !matches!(
            self,
            Self::Index
                | Self::Service
                | Self::ModelsPage
                | Self::Asset
                | Self::ServiceStatus
                | Self::ServiceHistory
                | Self::ServiceBadge
                | Self::GroupBadge
                | Self::WidgetScript
                | Self::Heartbeat
                | Self::HeartbeatSignal
                | Self::Act(_)
        )
    }

    /// Returns the value of `Allow`.
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Reload | Self::Act(_) => "POST",
            Self::Heartbeat | Self::HeartbeatSignal => "GET, HEAD, POST",
            _ => "GET, HEAD",
        }
    }

    /// Reports whether a request has side effects. Pages of other sites must not cause such requests.
    pub const fn has_side_effects(self) -> bool {
        matches!(self, Self::Reload | Self::Probe | Self::Act(_))
    }

    /// Returns the endpoint of `path`, and the segment of `path` that matches the name in braces, still percent-encoded.
    pub fn find<'a>(site: Site<'_>, path: &'a str) -> Option<(Self, &'a str)> {
        Self::ALL.into_iter().find_map(|endpoint| {
            // A brace in the configured path has no special meaning.
            let pattern = endpoint.fixed_path().and_then(|fixed| {
                let (prefix, rest) = fixed.split_once('{')?;
                Some((prefix, rest.split_once('}')?.1))
            });
            let segment = match pattern {
                None => (endpoint.path(site) == path).then_some("")?,
                Some((prefix, suffix)) => {
                    let segment = path.strip_prefix(prefix)?.strip_suffix(suffix)?;
                    (!segment.is_empty() && !segment.contains('/')).then_some(segment)?
                }
            };
            Some((endpoint, segment))
        })
    }

    /// Reports whether the endpoint supports this method.
    pub fn allows(self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// Reports whether `path` collides with the path of an endpoint other than the metrics.
pub fn is_reserved_path(path: &str) -> bool {
    let mut fixed = Endpoint::ALL.into_iter().filter_map(Endpoint::fixed_path);
    path.starts_with("/-/")
        || fixed.any(|fixed| match fixed.split_once('{') {
            Some((folder, _)) => path.starts_with(folder),
            None => path == fixed,
        })
}
