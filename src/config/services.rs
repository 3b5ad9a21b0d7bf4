//! Resolves the services: each one with its checks, then the rules between services.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::checks;
use super::dependencies::{self, ServiceNode};
use super::heal::{Candidates, HealSettings};
use super::key_split::{SplitMapping, split_by_keys};
use super::kinds::KindSettings;
use super::level::Level;
use super::options::{DEFAULT_GROUP, ServiceOptions, SharedServiceOptions, ShortFormOptions, TimingOptions};
use super::others::Others;
use super::place::{MAX_FINDINGS, Path, Place};
use super::redundancy;
use super::settings::{CheckSettings, Service};
use super::tier_defaults::TierDefaults;
use super::validate::{self, MAX_DESCRIPTION, MAX_NAME};
use super::yaml::{Node, fields, read};
use crate::model::{ServiceKey, Tier};

/// Resolves the list of services at `place`. If it reports errors, the result is incomplete.
pub fn resolve(
    list: &Node,
    place: &Place<'_>,
    tier_defaults: &TierDefaults,
    others: Others<'_>,
) -> Vec<Arc<Service>> {
    let Some(items) = list.items() else {
        place.error(format_args!(
            "expected a list of services, found {}",
            list.describe()
        ));
        return Vec::new();
    };
    if items.is_empty() {
        place.error("the list is empty: add at least one service");
    }
    let mut services = Vec::with_capacity(items.len());
    let mut nodes: Vec<ServiceNode> = Vec::with_capacity(items.len());
    let mut indices: HashMap<String, usize> = HashMap::new();
    let warned = RefCell::default();
    for (index, item) in items.iter().enumerate() {
        if place.finding_count() >= MAX_FINDINGS {
            break;
        }
        let place = place.index(index);
        let reader = Reader {
            item,
            place: &place,
            tier_defaults,
            warned: &warned,
        };
        let Some((node, service)) = reader.read() else {
            continue;
        };
        if let Some(node) = node {
            if let Some(first) = indices.get(&node.key) {
                let line = items[*first].locate(&Path::default(), false).line;
                place.field("key").error(format_args!(
                    "{} is also the key of the service in line {line}: use a unique key",
                    node.key
                ));
            } else {
                indices.insert(node.key.clone(), index);
            }
            nodes.push(ServiceNode {
                index: Some(index),
                ..node
            });
        }
        services.extend(service);
    }
    dependencies::check(nodes, others, place);
    dependencies::warn_of_late_detection(&services, others, &indices, place);
    services
}

struct Reader<'a, 'b> {
    item: &'a Node,
    place: &'a Place<'b>,
    tier_defaults: &'a TierDefaults,
    /// The settings that were warned about, so that a default is reported once, not per service.
    warned: &'a RefCell<HashSet<Path>>,
}

impl Reader<'_, '_> {
    /// Returns the service's key and dependencies if the key is valid, and the service if it is valid as a whole.
    fn read(&self) -> Option<(Option<ServiceNode>, Option<Arc<Service>>)> {
        let place = self.place;
        let parts = [
            fields::<ServiceOptions>(),
            fields::<TimingOptions>(),
            fields::<SharedServiceOptions>(),
            fields::<ShortFormOptions>(),
            &["checks"],
        ];
        let SplitMapping { parts, unknown } = split_by_keys(self.item, place, parts)?;
        let [own, timing, shared, short, list] = parts;
        let reading = read::<ServiceOptions>(&own, place);
        let options = reading.value.unwrap_or_default();
        let tier = options.tier.map_or(Tier::Critical, Tier::from);
        let timing = read::<TimingOptions>(&timing, place).value.unwrap_or_default();
        let timings = self
            .tier_defaults
            .timings(tier)
            .with(&timing, Level::Service, place);
        let shared = read::<SharedServiceOptions>(&shared, place)
            .value
            .unwrap_or_default();
        let tolerance = TierDefaults::tolerance_with(self.tier_defaults.tolerance(tier), &shared);
        let is_misspelt = !unknown.is_empty() && list.entries().is_some_and(<[_]>::is_empty);
        let list = list.get("checks");
        let checks = if is_misspelt && short.entries().is_some_and(<[_]>::is_empty) {
            // One of the unknown keys may be the misspelt checks, so do not report that there are none.
            None
        } else {
            checks::resolve(&short, list, place, &timings, self.warned)
        };
        let heal = checks
            .as_ref()
            .and_then(|checks| self.heal(&shared, tier, checks));
        let key = match options.key {
            Some(key) => validate::key(key, &place.field("key")).ok(),
            None => {
                let key = place.field("key");
                if !reading.invalid.contains(key.path()) {
                    place.error("key is missing: write a short, unique word");
                }
                None
            }
        };
        let depends_on = options.depends_on.unwrap_or_default();
        let text = |text: Option<String>, key: &str| {
            text.map(|text| validate::line(text, MAX_NAME, &place.field(key)))
                .transpose()
                .ok()
        };
        let name = text(options.name, "name");
        let group = text(options.group, "group");
        let description = options.description.unwrap_or_default();
        let description = validate::paragraph(description, MAX_DESCRIPTION, &place.field("description")).ok();
        let runbook_url = options
            .runbook_url
            .map(|url| validate::page_url(url, &place.field("runbook_url")));
        let runbook_url = runbook_url.transpose().ok();
        let any_of = redundancy::resolve(options.requires, options.any_of, checks.as_deref(), place);
        let node = key.clone().map(|key| ServiceNode {
            key,
            index: None,
            depends_on: depends_on.clone(),
        });
        let complete = || {
            let key = key?;
            Some(Arc::new(Service {
                name: name?.unwrap_or_else(|| key.clone()),
                group: group?.unwrap_or_else(|| DEFAULT_GROUP.to_owned()),
                tier,
                description: description?,
                runbook_url: runbook_url?,
                depends_on: depends_on.into_iter().map(ServiceKey::new).collect(),
                tolerance,
                heal,
                any_of: any_of.ok()?,
                checks: checks?,
                key: ServiceKey::new(key),
            }))
        };
        Some((node, complete()))
    }

    /// The settings of healing, which depend on what the checks of the service look at.
    fn heal(
        &self,
        shared: &SharedServiceOptions,
        tier: Tier,
        checks: &[Arc<CheckSettings>],
    ) -> Option<HealSettings> {
        let mut found = Candidates::default();
        for check in checks {
            if check.kind.is_store() && found.store.is_none() {
                found.store = Some(check.name.as_str().to_owned());
            }
            match &check.kind {
                KindSettings::Systemd(unit) => found.units.push((unit.unit.clone(), unit.bus.clone())),
                KindSettings::Docker(container) => {
                    found
                        .containers
                        .push((container.container.clone(), container.host.clone()));
                }
                _ => {}
            }
        }
        let inherited = self.tier_defaults.heal(tier);
        inherited.resolve(shared.heal.as_ref(), &found, self.place)
    }
}
