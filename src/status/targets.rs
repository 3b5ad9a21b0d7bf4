//! The checks as targets for `/probe`: what Prometheus's HTTP service discovery reads.
//!
//! Prometheus, "HTTP SD": a list of groups, each with targets and labels; labels that begin with `__` are for relabelling and vanish
//! after it.

use serde::Serialize;

use crate::config::KindSettings;
use crate::store::{CheckView, ServiceView};

/// The kinds of check that `/probe` can do as well, by the names of its probers.
pub const PROBED_KINDS: [&str; 6] = ["http", "tcp", "dns", "icmp", "grpc", "unix"];

/// A target with its labels.
#[derive(Debug, Serialize)]
pub struct TargetGroup<'a> {
    /// The one target.
    pub targets: [&'a str; 1],
    /// What relabelling can choose from.
    pub labels: TargetLabels<'a>,
}

/// What relabelling can choose from.
#[derive(Debug, Serialize)]
pub struct TargetLabels<'a> {
    /// The service's key.
    #[serde(rename = "__meta_upkeep_service")]
    pub service: &'a str,
    /// The name shown to people.
    #[serde(rename = "__meta_upkeep_name")]
    pub name: &'a str,
    /// The service's group.
    #[serde(rename = "__meta_upkeep_group")]
    pub group: &'a str,
    /// The service's tier.
    #[serde(rename = "__meta_upkeep_tier")]
    pub tier: &'static str,
    /// The check's name within the service.
    #[serde(rename = "__meta_upkeep_check")]
    pub check: &'a str,
    /// The check's kind.
    #[serde(rename = "__meta_upkeep_kind")]
    pub kind: &'static str,
    /// The check's severity.
    #[serde(rename = "__meta_upkeep_severity")]
    pub severity: &'static str,
    /// `true` where the check asks with more than the target shows: a query, or a user and a password.
    #[serde(rename = "__meta_upkeep_shortened")]
    pub shortened: &'static str,
}

/// The targets of the checks of `kind`, or of every kind that can be probed, of these services.
pub fn targets<'a>(
    services: impl IntoIterator<Item = &'a ServiceView>,
    kind: Option<&str>,
) -> Vec<TargetGroup<'a>> {
    let checks = services.into_iter().flat_map(|service| {
        let checks = service.checks.iter();
        checks.map(move |check| (service, check))
    });
    checks
        .filter(|(_, check)| {
            let found = check.settings.kind.kind().as_str();
            PROBED_KINDS.contains(&found) && kind.is_none_or(|kind| kind == found)
        })
        .map(|(service, check)| target(service, check))
        .collect()
}

fn target<'a>(view: &'a ServiceView, check: &'a CheckView) -> TargetGroup<'a> {
    let (service, settings) = (&*view.service, &*check.settings);
    TargetGroup {
        targets: [&check.target],
        labels: TargetLabels {
            service: service.key.as_str(),
            name: &service.name,
            group: &service.group,
            tier: service.tier.as_str(),
            check: settings.name.as_str(),
            kind: settings.kind.kind().as_str(),
            severity: settings.severity.as_str(),
            shortened: if is_shortened(&settings.kind) {
                "true"
            } else {
                "false"
            },
        },
    }
}

fn is_shortened(kind: &KindSettings) -> bool {
    match kind {
        KindSettings::Http(http) => http.url.expose().query().is_some() || http.credentials.is_some(),
        _ => false,
    }
}
