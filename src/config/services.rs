//! Resolves the services: each one with its checks, then the rules between services.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::checks;
use super::dependencies::{self, ServiceNode};
use super::heal::{Candidates, HealSettings};
use super::job_tokens::{self, JobCheck};
use super::key_split::{SplitMapping, split_by_keys};
use super::kinds::KindSettings;
use super::level::Level;
use super::options::{DEFAULT_GROUP, ServiceOptions, SharedServiceOptions, ShortFormOptions, TimingOptions};
use super::others::Others;
use super::place::{MAX_FINDINGS, Path, Place};
use super::redundancy;
use super::service_key;
use super::settings::{CheckSettings, Disabled, Service};
use super::slow_checks;
use super::tier_defaults::TierDefaults;
use super::validate::{self, MAX_DESCRIPTION, MAX_NAME};
use super::yaml::{Node, fields, read};
use crate::model::{ServiceKey, Tier};

/// The services of a file.
#[derive(Debug, Default)]
pub struct Services {
    /// The services that are turned on.
    pub enabled: Vec<Arc<Service>>,
    /// The services and checks that are turned off.
    pub disabled: Vec<Disabled>,
    /// The keys that are made of names.
    pub derived_keys: Vec<ServiceKey>,
}

/// Resolves the list of services at `place`. If it reports errors, the result is incomplete.
pub fn resolve(list: &Node, place: &Place<'_>, tier_defaults: &TierDefaults, others: Others<'_>) -> Services {
    let Some(items) = list.items() else {
        place.error(format_args!(
            "expected a list of services, found {}",
            list.describe()
        ));
        return Services::default();
    };
    if items.is_empty() {
        place.error("the list is empty: add at least one service");
    }
    let mut services = Services::default();
    let mut nodes: Vec<ServiceNode> = Vec::with_capacity(items.len());
    let mut indices: HashMap<String, usize> = HashMap::new();
    let warned = RefCell::default();
    let mut jobs = Vec::new();
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
        let Some(found) = reader.read() else {
            continue;
        };
        if let Some(node) = found.node {
            match indices.get(&node.key) {
                Some(first) => report_duplicate(&node.key, item, &items[*first], &place),
                None => drop(indices.insert(node.key.clone(), index)),
            }
            if service_key::is_derived(item) {
                services.derived_keys.push(ServiceKey::new(node.key.as_str()));
            }
            nodes.push(ServiceNode {
                index: Some(index),
                ..node
            });
        }
        services.enabled.extend(found.service);
        services.disabled.extend(found.disabled);
        jobs.extend(found.jobs);
    }
    job_tokens::check(&jobs, others, place);
    dependencies::check(nodes, others, place);
    dependencies::warn_of_late_detection(&services.enabled, others, &indices, place);
    remove_disabled_dependencies(&mut services);
    services
}

/// Reports that the key of `item`, which is at `place`, is also the key of `first`, an earlier service.
fn report_duplicate(key: &str, item: &Node, first: &Node, place: &Place<'_>) {
    let line = first.locate(&Path::default(), false).line;
    let of_first = match service_key::is_derived(first) {
        true => format!("the service in line {line}, where it is made of the name"),
        false => format!("the service in line {line}"),
    };
    match service_key::is_derived(item) {
        true => place.field("name").error(format_args!(
            "{key}, the key that is made of this name, is also the key of {of_first}: add a unique key"
        )),
        false => place.field("key").error(format_args!(
            "{key} is also the key of {of_first}: use a unique key"
        )),
    };
}

/// Removes services that are turned off from the dependencies of the others: nothing is known about them.
fn remove_disabled_dependencies(services: &mut Services) {
    let is_whole = |disabled: &&Disabled| disabled.check.is_none();
    let disabled: HashSet<&ServiceKey> = services
        .disabled
        .iter()
        .filter(is_whole)
        .map(|off| &off.service)
        .collect();
    for service in &mut services.enabled {
        if service.depends_on.iter().any(|key| disabled.contains(key)) {
            Arc::make_mut(service)
                .depends_on
                .retain(|key| !disabled.contains(key));
        }
    }
}

/// What one service yields.
struct ReadService {
    /// Its key and dependencies, if the key is valid.
    node: Option<ServiceNode>,
    /// The service, if it is valid as a whole and turned on.
    service: Option<Arc<Service>>,
    /// What is turned off.
    disabled: Vec<Disabled>,
    /// The checks that wait for a job and are turned on.
    jobs: Vec<JobCheck>,
}

struct Reader<'a, 'b> {
    item: &'a Node,
    place: &'a Place<'b>,
    tier_defaults: &'a TierDefaults,
    /// The settings that were warned about, so that a default is reported once, not per service.
    warned: &'a RefCell<HashSet<Path>>,
}

impl Reader<'_, '_> {
    fn read(&self) -> Option<ReadService> {
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
            .and_then(|checks| self.heal(&shared, tier, &checks.enabled));
        let slo = self.tier_defaults.slo(tier).with(shared.slo.as_ref(), place);
        let key = match options.key {
            Some(key) => validate::key(key, &place.field("key")).ok(),
            None if reading.invalid.contains(place.field("key").path()) => None,
            None => self.key_from_name(options.name.as_deref()),
        };
        if let (Some(key), Some(checks)) = (&key, &checks) {
            slow_checks::warn(&slo, key, &checks.enabled, place, self.warned);
        }
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
        let any_of = redundancy::resolve(
            options.requires,
            options.any_of,
            checks
                .as_ref()
                .map(|checks| &*checks.enabled)
                .filter(|checks| !checks.is_empty()),
            place,
        );
        let node = key.clone().map(|key| ServiceNode {
            key,
            index: None,
            depends_on: depends_on.clone(),
        });
        let mut checks = checks.unwrap_or_default();
        let service_key = key.clone().map(ServiceKey::new);
        if let Some(key) = &service_key {
            checks.identify(key);
        }
        // A service of which all checks are turned off has nothing to show.
        let is_enabled =
            options.enabled.unwrap_or(true) && (!checks.enabled.is_empty() || checks.disabled.is_empty());
        let jobs = match (&service_key, is_enabled) {
            (Some(service), true) => checks
                .jobs
                .drain(..)
                .map(|(settings, path)| JobCheck {
                    service: service.clone(),
                    settings,
                    path,
                })
                .collect(),
            _ => Vec::new(),
        };
        let disabled = match (service_key, is_enabled) {
            (None, _) => Vec::new(),
            (Some(service), false) => vec![Disabled { service, check: None }],
            (Some(service), true) => {
                let off = |name| Disabled {
                    service: service.clone(),
                    check: Some(name),
                };
                checks.disabled.into_iter().map(off).collect()
            }
        };
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
                objective: slo.objective(),
                any_of: any_of.ok()?,
                checks: Some(checks.enabled).filter(|checks| !checks.is_empty())?,
                key: ServiceKey::new(key),
            }))
        };
        Some(ReadService {
            node,
            service: complete().filter(|_| is_enabled),
            disabled,
            jobs,
        })
    }

    /// Makes the key of the name. Reports an error if that is not possible.
    fn key_from_name(&self, name: Option<&str>) -> Option<String> {
        let name = name.filter(|name| !name.trim().is_empty());
        let key = name.and_then(service_key::from_name);
        if key.is_none() {
            let example = service_key::suggestion(self.item);
            self.place.error(match (name, example) {
                (Some(_), _) => {
                    "key is missing, and the name has no letter of a-z to make one of: write a short, unique word".to_owned()
                }
                (None, Some(example)) => format!("key is missing: write for example key: {example}, or a name"),
                (None, None) => "key is missing: write a short, unique word, or a name".to_owned(),
            });
        }
        key
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
