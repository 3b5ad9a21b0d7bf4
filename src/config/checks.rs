//! Resolves the checks of a service and names them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use super::certificate::{CertificateKeys, CertificateLimits};
use super::key_split::{SplitMapping, split_by_keys};
use super::kind_facts::Identity;
use super::kinds::{self, KindSettings};
use super::level::Level;
use super::options::{CheckOptions, TimingOptions};
use super::place::{Path, Place};
use super::settings::CheckSettings;
use super::short_form;
use super::timings::{NO_THRESHOLD, Timings};
use super::validate;
use super::yaml::{Node, Value, fields, read};
use crate::model::{CheckId, CheckKind, CheckName, ServiceKey, Severity};

/// The maximum number of checks of one service.
const MAX_CHECKS: usize = 1000;

/// The names that other monitors give to the key `kind`.
const OTHER_NAMES_OF_KIND: [&str; 3] = ["type", "prober", "check"];

/// A resolved check without its final name.
struct UnnamedCheck {
    name: Option<String>,
    /// Where it is written; `None` in the short form.
    path: Option<Path>,
    is_enabled: bool,
    severity: Severity,
    timings: Timings,
    certificate: CertificateLimits,
    kind: KindSettings,
}

/// The checks of a service.
#[derive(Debug, Default)]
pub struct ServiceChecks {
    /// The checks that run.
    pub enabled: Vec<Arc<CheckSettings>>,
    /// The names of the checks that are turned off.
    pub disabled: Vec<CheckName>,
    /// The checks that wait for a job, each with its path. Those that are turned off are left out.
    pub jobs: Vec<(Arc<CheckSettings>, Path)>,
}

impl ServiceChecks {
    /// Lets each check know its service.
    pub fn identify(&mut self, service: &ServiceKey) {
        for check in self.enabled.iter_mut().map(Arc::make_mut) {
            let id = CheckId {
                service: service.clone(),
                check: check.name.clone(),
            };
            let set = |limit| Some(limit).filter(|limit| *limit != NO_THRESHOLD);
            check.kind.identify(&Identity {
                id: &id,
                degraded: set(check.thresholds.degraded),
                down: set(check.thresholds.down),
            });
        }
    }
}

/// Resolves the checks of the service at `place`: those of the short form, whose keys are in `short`, then those of `list`.
/// Returns `None` after an error, which was reported.
pub fn resolve(
    short: &Node,
    list: Option<&Node>,
    place: &Place<'_>,
    timings: &Timings,
    warned: &RefCell<HashSet<Path>>,
) -> Option<ServiceChecks> {
    let (short, short_count) = short_form::checks(short, place);
    let mut checks: Vec<UnnamedCheck> = short
        .into_iter()
        .map(|check| UnnamedCheck {
            name: None,
            path: None,
            is_enabled: true,
            severity: check.severity,
            timings: match check.timeout {
                Some(timeout) => timings.with_short_form_timeout(timeout),
                None => timings.clone(),
            },
            certificate: CertificateLimits::default(),
            kind: check.kind,
        })
        .collect();
    let is_valid = read_list(list, place, timings, &mut checks);
    let is_list_empty =
        list.is_none_or(|list| list.is_null() || list.items().is_some_and(<[Node]>::is_empty));
    if short_count == 0 && is_list_empty {
        place.error("the service has no checks: add checks, url, port, systemd, process_match or container");
        return None;
    }
    is_valid?;
    for check in checks
        .iter()
        .filter(|check| check.is_enabled && check.kind.kind().is_timed())
    {
        if let Some((path, message)) = check.timings.unreachable_threshold()
            && warned.borrow_mut().insert(path.clone())
        {
            place.at_path(path).warn(message);
        }
    }
    Some(assign_names(checks))
}

/// Adds the checks of `list` to `checks`.
fn read_list(
    list: Option<&Node>,
    place: &Place<'_>,
    timings: &Timings,
    checks: &mut Vec<UnnamedCheck>,
) -> Option<()> {
    let Some(list) = list.filter(|list| !list.is_null()) else {
        return Some(());
    };
    let place = place.field("checks");
    let Some(items) = list.items() else {
        place.error(format_args!(
            "expected a list of checks, found {}",
            list.describe()
        ));
        return None;
    };
    if items.len() > MAX_CHECKS {
        place.error(format_args!(
            "{} checks, but a service can have at most {MAX_CHECKS}: split it",
            items.len()
        ));
        return None;
    }
    let mut is_complete = true;
    let mut names = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let place = place.index(index);
        let Some(check) = read_check(item, &place, timings) else {
            is_complete = false;
            continue;
        };
        if let Some(name) = &check.name
            && !names.insert(name.clone())
        {
            let message = format_args!("another check of this service is called {name}: use a unique name");
            place.field("name").error(message);
        }
        checks.push(check);
    }
    is_complete.then_some(())
}

/// Reads one check of the list.
fn read_check(node: &Node, place: &Place<'_>, timings: &Timings) -> Option<UnnamedCheck> {
    let kind = read_kind(node, place);
    let own = kind.map(kinds::keys).unwrap_or_default();
    let certificate = match kind.is_some_and(kinds::sees_certificates) {
        true => fields::<CertificateKeys>(),
        false => &[],
    };
    // The first part is for the kind, which was read above.
    let parts = [
        &["kind"],
        fields::<CheckOptions>(),
        fields::<TimingOptions>(),
        certificate,
        own,
    ];
    let SplitMapping { parts, unknown } = match kind {
        Some(_) => split_by_keys(node, place, parts)?,
        // Without a kind it is unclear which keys are allowed, so no unknown keys are reported.
        None => split_by_keys(node, &place.with_findings(&RefCell::default()), parts)?,
    };
    let [_, common, timing, certificate, own] = parts;
    let common = read::<CheckOptions>(&common, place);
    let timing = read::<TimingOptions>(&timing, place);
    let certificate = read::<CertificateKeys>(&certificate, place)
        .value
        .unwrap_or_default();
    let certificate = certificate.resolve(place);
    let timings = match kind.and_then(kinds::own_timings) {
        Some(own) => timings.with_own(own),
        None => timings.clone(),
    };
    let timings = timings.with(&timing.value.unwrap_or_default(), Level::Check, place);
    let options = common.value.unwrap_or_default();
    let name = options
        .name
        .map(|name| validate::key(name, &place.field("name")))
        .transpose();
    let kind = kinds::resolve(kind?, &own, place, unknown)?;
    Some(UnnamedCheck {
        name: name.ok()?,
        path: Some(place.path().clone()),
        is_enabled: options.enabled.unwrap_or(true),
        severity: options.severity.map_or(Severity::Critical, Severity::from),
        timings,
        certificate: certificate.ok()?,
        kind,
    })
}

fn read_kind(node: &Node, place: &Place<'_>) -> Option<CheckKind> {
    let known = || CheckKind::ALL.map(CheckKind::as_str).join(", ");
    let other_name = || {
        OTHER_NAMES_OF_KIND
            .into_iter()
            .find(|name| node.get(name).is_some())
    };
    match node.get("kind").map(|kind| (kind, &kind.value)) {
        None => {
            match node.entries() {
                Some(_) => match other_name() {
                    Some(name) => place
                        .field(name)
                        .error_at_key(format_args!("kind is missing: write kind instead of {name}")),
                    None => place.error(format_args!("kind is missing: write one of {}", known())),
                },
                None if matches!(node.value, Value::Pruned) => return None,
                None => place.error(format_args!(
                    "expected a mapping with a kind, found {}",
                    node.describe()
                )),
            };
            None
        }
        Some((kind, Value::Plain(word) | Value::Text(word))) if !kind.is_null() => {
            kinds::parse(word, &place.field("kind")).ok()
        }
        Some((kind, _)) => {
            let message = format!("expected a kind ({}), found {}", known(), kind.describe());
            place.field("kind").error(message);
            None
        }
    }
}

/// Names each unnamed check after its kind, with a number from the second check of the kind on. Names in use are skipped.
/// Adding a check at the end of a service renames no other check, and neither does turning one off.
fn assign_names(checks: Vec<UnnamedCheck>) -> ServiceChecks {
    let mut taken: HashSet<String> = checks.iter().filter_map(|check| check.name.clone()).collect();
    let mut counts = [0_usize; CheckKind::ALL.len()];
    let mut finished = ServiceChecks::default();
    for check in checks {
        let kind = check.kind.kind();
        let name = check.name.unwrap_or_else(|| {
            loop {
                let count = &mut counts[kind as usize];
                *count += 1;
                let name = if *count == 1 {
                    kind.to_string()
                } else {
                    format!("{kind}_{count}")
                };
                if taken.insert(name.clone()) {
                    return name;
                }
            }
        });
        if !check.is_enabled {
            finished.disabled.push(CheckName::new(name));
            continue;
        }
        let (failures_before_down, successes_before_up) = check.timings.runs();
        let settings = Arc::new(CheckSettings {
            name: CheckName::new(name),
            severity: check.severity,
            interval: check.timings.interval(),
            timeout: check.timings.timeout(),
            recheck_interval: check.timings.recheck_interval(),
            thresholds: check.timings.thresholds(),
            failures_before_down,
            successes_before_up,
            certificate: check.certificate,
            kind: check.kind,
        });
        if let (Some(path), Some(_)) = (check.path, settings.kind.job_token()) {
            finished.jobs.push((Arc::clone(&settings), path));
        }
        finished.enabled.push(settings);
    }
    finished
}
