//! The checks of a service: read, resolved and named.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use super::key_split::{Pieces, split};
use super::kinds;
use super::place::{Path, Place};
use super::settings::{CheckSettings, KindSettings};
use super::short_form;
use super::texts;
use super::timings::{Level, Timings};
use super::written::{CheckOptions, TimingOptions};
use super::yaml::{Node, Value, fields, read};
use crate::model::{CheckKind, CheckName, Severity};

/// The most checks of one service.
const MAX_CHECKS: usize = 1000;

/// A check before all names of its service are known.
struct Nameless {
    name: Option<String>,
    severity: Severity,
    timings: Timings,
    kind: KindSettings,
}

/// Reads the checks of the service at `place`: those of the short form, whose keys `short` has, then those of `list`.
/// `None` where something is wrong; it was reported.
pub fn resolve(
    short: &Node,
    list: Option<&Node>,
    place: &Place<'_>,
    timings: &Timings,
    remarked: &RefCell<HashSet<Path>>,
) -> Option<Vec<Arc<CheckSettings>>> {
    let (short, meant) = short_form::checks(short, place);
    let mut checks: Vec<Nameless> = short
        .into_iter()
        .map(|check| Nameless {
            name: None,
            severity: check.severity,
            timings: match check.deadline {
                Some(deadline) => timings.with_short_deadline(deadline),
                None => timings.clone(),
            },
            kind: check.kind,
        })
        .collect();
    let is_listed = listed(list, place, timings, &mut checks);
    if meant == 0 && list.is_none_or(|list| list.is_null() || list.items().is_some_and(<[Node]>::is_empty)) {
        place.error(
            "the service has no check: add checks, or one of url, port, systemd, process_match, container",
        );
        return None;
    }
    is_listed?;
    for check in checks.iter().filter(|check| check.kind.kind().is_timed()) {
        if let Some((path, message)) = check.timings.unreachable_threshold()
            && remarked.borrow_mut().insert(path.clone())
        {
            place.elsewhere(path).remark(message);
        }
    }
    Some(named(checks))
}

fn listed(
    list: Option<&Node>,
    place: &Place<'_>,
    timings: &Timings,
    checks: &mut Vec<Nameless>,
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
            "{} checks are too many: a service has at most {MAX_CHECKS}",
            items.len()
        ));
        return None;
    }
    let mut is_complete = true;
    let mut names = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let place = place.index(index);
        let Some(check) = one(item, &place, timings) else {
            is_complete = false;
            continue;
        };
        if let Some(name) = &check.name
            && !names.insert(name.clone())
        {
            let message =
                format_args!("{name} is the name of another check of this service: names are unique");
            place.field("name").error(message);
        }
        checks.push(check);
    }
    is_complete.then_some(())
}

/// Reads one check of the list.
fn one(node: &Node, place: &Place<'_>, timings: &Timings) -> Option<Nameless> {
    let kind = kind(node, place);
    let own = kind.map(kinds::keys).unwrap_or_default();
    // The kind was read; its entry goes to a piece of its own.
    let parts = [
        &["kind"],
        fields::<CheckOptions>(),
        fields::<TimingOptions>(),
        own,
    ];
    let Pieces { parts, unknown } = match kind {
        Some(_) => split(node, place, parts)?,
        // Without its kind, which of a check's keys are right can't be said.
        None => split(node, &place.collecting(&RefCell::default()), parts)?,
    };
    let [_, common, timing, own] = parts;
    let common = read::<CheckOptions>(&common, place);
    let timing = read::<TimingOptions>(&timing, place);
    let timings = timings.with(&timing.value.unwrap_or_default(), Level::Check, place);
    let options = common.value.unwrap_or_default();
    let name = options
        .name
        .map(|name| texts::key(name, &place.field("name")))
        .transpose();
    let kind = kinds::resolve(kind?, &own, place, unknown)?;
    Some(Nameless {
        name: name.ok()?,
        severity: options.severity.map_or(Severity::Critical, Severity::from),
        timings,
        kind,
    })
}

fn kind(node: &Node, place: &Place<'_>) -> Option<CheckKind> {
    let known = || CheckKind::ALL.map(CheckKind::as_str).join(", ");
    match node.get("kind").map(|kind| (kind, &kind.value)) {
        None => {
            match node.entries() {
                Some(_) => place.error(format_args!("kind is missing: one of {}", known())),
                None if matches!(node.value, Value::Pruned) => return None,
                None => place.error(format_args!(
                    "expected a mapping with a kind, found {}",
                    node.describe()
                )),
            };
            None
        }
        Some((kind, Value::Plain(word) | Value::Text(word))) if !kind.is_null() => {
            kinds::named(word, &place.field("kind")).ok()
        }
        Some((kind, _)) => {
            let message = format!("expected a kind ({}), found {}", known(), kind.describe());
            place.field("kind").error(message);
            None
        }
    }
}

/// Gives each check without a name that of its kind, numbered from the second one of the kind on, past names that are
/// taken: adding a check at the end renames none.
fn named(checks: Vec<Nameless>) -> Vec<Arc<CheckSettings>> {
    let mut taken: HashSet<String> = checks.iter().filter_map(|check| check.name.clone()).collect();
    let mut counts = [0_usize; CheckKind::ALL.len()];
    let mut finished = Vec::with_capacity(checks.len());
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
        let (failures_before_down, successes_before_up) = check.timings.runs();
        finished.push(Arc::new(CheckSettings {
            name: CheckName::new(name),
            severity: check.severity,
            interval: check.timings.interval(),
            timeout: check.timings.timeout(),
            recheck_interval: check.timings.recheck_interval(),
            thresholds: check.timings.thresholds(),
            failures_before_down,
            successes_before_up,
            kind: check.kind,
        }));
    }
    finished
}
