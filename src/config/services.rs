//! The services: each read with its checks, and all of them with what holds between them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::checks;
use super::dependencies::{self, Named};
use super::key_split::{Pieces, split};
use super::levels::Levels;
use super::place::{Path, Place};
use super::settings::Service;
use super::texts::{self, MAX_DESCRIPTION, MAX_NAME};
use super::timings::Level;
use super::written::{ServiceOptions, SharedServiceOptions, ShortFormOptions, TimingOptions};
use super::yaml::{Node, fields, read};
use crate::model::{ServiceKey, Tier};

/// The group of services that name none.
pub const DEFAULT_GROUP: &str = "default";

/// The most findings of one file: reading ends there.
pub const MAX_FINDINGS: usize = 10_000;

/// Reads the list of services at `place`. What is wrong is reported; then the list is not complete.
pub fn resolve(list: &Node, place: &Place<'_>, levels: &Levels) -> Vec<Arc<Service>> {
    let Some(items) = list.items() else {
        place.error(format_args!(
            "expected a list of services, found {}",
            list.describe()
        ));
        return Vec::new();
    };
    if items.is_empty() {
        place.error("the list is empty: add at least one service, there is nothing to watch");
    }
    let mut services = Vec::with_capacity(items.len());
    let mut named: Vec<Named> = Vec::with_capacity(items.len());
    let mut indices: HashMap<String, usize> = HashMap::new();
    let remarked = RefCell::default();
    for (index, item) in items.iter().enumerate() {
        if place.found() >= MAX_FINDINGS {
            break;
        }
        let place = place.index(index);
        let reader = Reader {
            item,
            place: &place,
            levels,
            remarked: &remarked,
        };
        let Some((name, service)) = reader.read() else {
            continue;
        };
        if let Some(name) = name {
            if let Some(first) = indices.get(&name.key) {
                let line = items[*first].locate(&Path::default(), false).line;
                place.field("key").error(format_args!(
                    "{} is the key of services[{first}] too, in line {line}: keys are unique",
                    name.key
                ));
            } else {
                indices.insert(name.key.clone(), index);
            }
            named.push(Named { index, ..name });
        }
        services.extend(service);
    }
    dependencies::check(&named, place);
    services
}

struct Reader<'a, 'b> {
    item: &'a Node,
    place: &'a Place<'b>,
    levels: &'a Levels,
    remarked: &'a RefCell<HashSet<Path>>,
}

impl Reader<'_, '_> {
    /// The service as far as its key is right, and the whole of it where all is.
    fn read(&self) -> Option<(Option<Named>, Option<Arc<Service>>)> {
        let place = self.place;
        let parts = [
            fields::<ServiceOptions>(),
            fields::<TimingOptions>(),
            fields::<SharedServiceOptions>(),
            fields::<ShortFormOptions>(),
            &["checks"],
        ];
        let Pieces { parts, unknown } = split(self.item, place, parts)?;
        let [own, timing, shared, short, list] = parts;
        let reading = read::<ServiceOptions>(&own, place);
        let options = reading.value.unwrap_or_default();
        let tier = options.tier.map_or(Tier::Critical, Tier::from);
        let timing = read::<TimingOptions>(&timing, place).value.unwrap_or_default();
        let timings = self.levels.timings(tier).with(&timing, Level::Service, place);
        let shared = read::<SharedServiceOptions>(&shared, place)
            .value
            .unwrap_or_default();
        let tolerance = Levels::tolerance_with(self.levels.tolerance(tier), &shared);
        let is_misspelt = !unknown.is_empty() && list.entries().is_some_and(<[_]>::is_empty);
        let list = list.get("checks");
        let checks = if is_misspelt && short.entries().is_some_and(<[_]>::is_empty) {
            // Which of the unknown keys was meant to be the checks can't be said.
            None
        } else {
            checks::resolve(&short, list, place, &timings, self.remarked)
        };
        let key = match options.key {
            Some(key) => texts::key(key, &place.field("key")).ok(),
            None => {
                let key = place.field("key");
                if !reading.faulty.contains(key.path()) {
                    place.error("key is missing: give the service a short, unique word");
                }
                None
            }
        };
        let depends_on = options.depends_on.unwrap_or_default();
        let text = |text: Option<String>, key: &str| {
            text.map(|text| texts::line(text, MAX_NAME, &place.field(key)))
                .transpose()
                .ok()
        };
        let name = text(options.name, "name");
        let group = text(options.group, "group");
        let description = options.description.unwrap_or_default();
        let description = texts::paragraph(description, MAX_DESCRIPTION, &place.field("description")).ok();
        let runbook_url = options
            .runbook_url
            .map(|url| texts::page_url(url, &place.field("runbook_url")));
        let runbook_url = runbook_url.transpose().ok();
        let named = key.clone().map(|key| Named {
            key,
            index: 0,
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
                checks: checks?,
                key: ServiceKey::new(key),
            }))
        };
        Some((named, complete()))
    }
}
