//! The list of what there is, and how a path finds it.

use http::Method;

use super::State;

/// Something that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Metrics,
    Index,
    Status,
    ServiceStatus,
    Description,
    Targets,
    Service,
    Widget,
    WidgetScript,
    Asset,
    Events,
    Healthy,
    Ready,
    Reload,
    Probe,
}

impl Page {
    /// Every page. The metrics come first, since their path is configured.
    pub const ALL: [Self; 15] = [
        Self::Metrics,
        Self::Index,
        Self::Status,
        Self::ServiceStatus,
        Self::Description,
        Self::Targets,
        Self::Service,
        Self::Widget,
        Self::WidgetScript,
        Self::Asset,
        Self::Events,
        Self::Healthy,
        Self::Ready,
        Self::Reload,
        Self::Probe,
    ];

    /// Where it is. A last part in braces stands for any text without a slash.
    pub fn path(self, state: &State) -> &str {
        self.fixed_path().unwrap_or(&state.telemetry_path)
    }

    /// Where it is, unless that is configured.
    const fn fixed_path(self) -> Option<&'static str> {
        Some(match self {
            Self::Metrics => return None,
            Self::Index => "/",
            Self::Status => "/api/status",
            Self::ServiceStatus => "/api/status/{service}",
            Self::Description => "/api/openapi.yaml",
            Self::Targets => "/sd",
            Self::Service => "/service/{service}",
            Self::Widget => "/widget",
            Self::WidgetScript => "/widget.js",
            Self::Asset => "/assets/{name}",
            Self::Events => "/api/events",
            Self::Healthy => "/-/healthy",
            Self::Ready => "/-/ready",
            Self::Reload => "/-/reload",
            Self::Probe => "/probe",
        })
    }

    /// What it is, for people.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Metrics => "metrics for Prometheus",
            Self::Index => "the status of every service",
            Self::Service => "one service in full",
            Self::Widget => "the services as cards, to be embedded in any page",
            Self::WidgetScript => "the script that puts these cards into a page",
            Self::Asset => "files of the pages",
            Self::Events => "what happens, as server-sent events",
            Self::Status => "the status of every service as JSON, or of a group with ?group=NAME",
            Self::ServiceStatus => "the status of one service as JSON",
            Self::Targets => "the checks as targets for /probe: HTTP service discovery for Prometheus",
            Self::Description => "the description of these JSON documents (OpenAPI)",
            Self::Healthy => "whether the exporter runs",
            Self::Ready => "whether every check has run at least once",
            Self::Probe => {
                "one run of a module against a target: ?target=...&module=... (where modules are configured)"
            }
            Self::Reload => "loads the configuration anew (POST, with --web.enable-lifecycle)",
        }
    }

    /// Whether pages list it with a link.
    pub const fn is_listed(self) -> bool {
        !matches!(
            self,
            Self::Index | Self::Service | Self::Asset | Self::ServiceStatus | Self::WidgetScript
        )
    }

    /// The methods it has.
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Reload => "POST",
            _ => "GET, HEAD",
        }
    }

    /// Whether a request for it does more than read: pages of other sites must not cause one.
    pub const fn acts(self) -> bool {
        matches!(self, Self::Reload | Self::Probe)
    }

    /// The page at `path`, and the text that stands where its own path has braces, as it was sent.
    pub fn find<'a>(state: &State, path: &'a str) -> Option<(Self, &'a str)> {
        Self::ALL.into_iter().find_map(|page| {
            let braces = page.path(state).split_once('{');
            // The configured path is what it is.
            let rest = match braces.filter(|_| page != Self::Metrics) {
                None => (page.path(state) == path).then_some("")?,
                Some((start, _)) => {
                    let rest = path.strip_prefix(start)?;
                    (!rest.is_empty() && !rest.contains('/')).then_some(rest)?
                }
            };
            Some((page, rest))
        })
    }

    /// Whether it has this method.
    pub fn allows(self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// Whether something else than the metrics is at `path`, or may be at a path below it.
pub fn is_taken(path: &str) -> bool {
    let mut fixed = Page::ALL.into_iter().filter_map(Page::fixed_path);
    path.starts_with("/-/")
        || fixed.any(|fixed| match fixed.split_once('{') {
            Some((folder, _)) => path.starts_with(folder),
            None => path == fixed,
        })
}
