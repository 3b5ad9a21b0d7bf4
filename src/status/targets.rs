//! The checks as targets for `/probe`, in the format of Prometheus's HTTP service discovery.
//!
//! The format is a list of groups, each with targets and labels (Prometheus documentation, "HTTP SD"). Labels that start with `__`
//! are only available for relabeling.

use std::sync::LazyLock;

use serde::Serialize;

use crate::config::probe::probed_kinds;
use crate::model::CheckKind;
use crate::store::{CheckView, ServiceView};

/// The names of the kinds that `/probe` supports.
pub static PROBED_KINDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| probed_kinds().map(CheckKind::as_str).collect());

/// A target with its labels.
#[derive(Debug, Serialize)]
pub struct TargetGroup<'a> {
    /// The target.
    pub targets: [&'a str; 1],
    /// Labels for relabeling.
    pub labels: TargetLabels<'a>,
}

/// Labels for relabeling.
#[derive(Debug, Serialize)]
pub struct TargetLabels<'a> {
    /// The service's key.
    #[serde(rename = "__meta_upkeep_service")]
    pub service: &'a str,
    /// The display name of the service.
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
    /// `true` if the check uses more than the target shows, such as a query or credentials.
    #[serde(rename = "__meta_upkeep_shortened")]
    pub shortened: &'static str,
}

/// The targets of these services: the checks of `kind`, or of all kinds that `/probe` supports.
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
            shortened: match settings.kind.is_target_shortened() {
                true => "true",
                false => "false",
            },
        },
    }
}
