//! Resolves the maintenance windows of a configuration.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use super::options::MaintenanceOptions;
use super::schedule::{self, Cron, Schedule, Starts};
use super::window::{MAX_LENGTH, MAX_LENGTH_TEXT, MAX_REASON, MAX_WINDOWS, MIN_LENGTH, MaintenanceWindow};
use crate::config::duration::DurationText;
use crate::config::options::DEFAULT_GROUP;
use crate::config::place::{Invalid, MAX_FINDINGS, Place};
use crate::config::service_key;
use crate::config::suggest;
use crate::config::validate::{self, MAX_NAME};
use crate::config::yaml::{Node, Value, read};
use crate::model::ServiceKey;

/// The advice for a missing or invalid date and time.
const WRITE_AT: &str =
    "write a date and time such as 2026-12-24 22:00, or weekly with a time such as 03:00, or cron";

/// How similar a time zone must be to be suggested, from 0 to 1.
const SIMILAR: f64 = 0.85;

/// A name of a time zone that is longer, in bytes, gets no suggestion. The longest in the database has 32.
const MAX_ZONE: usize = 64;

/// The services that are not in the document.
#[derive(Debug, Default)]
pub struct Elsewhere<'a> {
    /// Their keys and groups.
    pub services: Vec<(&'a ServiceKey, &'a str)>,
    /// Whether services may be missing, because a file has errors. A reference to an unknown service is then only a warning.
    pub is_incomplete: bool,
}

/// The keys and groups that the services of a configuration have, valid or not.
struct Names {
    groups: BTreeMap<String, BTreeSet<ServiceKey>>,
    keys: BTreeSet<String>,
    /// Whether services may be missing.
    is_incomplete: bool,
}

impl Names {
    fn read(services: Option<&Node>, elsewhere: &Elsewhere<'_>) -> Self {
        let mut names = Self {
            groups: BTreeMap::new(),
            keys: BTreeSet::new(),
            is_incomplete: elsewhere.is_incomplete,
        };
        for (key, group) in &elsewhere.services {
            let members = names.groups.entry((*group).to_owned()).or_default();
            members.insert((*key).clone());
            names.keys.insert(key.as_str().to_owned());
        }
        let text = |node: Option<&Node>| match &node?.value {
            Value::Plain(text) | Value::Text(text) => Some(text.to_string()),
            _ => None,
        };
        for service in services.and_then(Node::items).unwrap_or_default() {
            let Some(key) = service_key::of(service) else {
                continue;
            };
            let group = service.get("group").filter(|group| !group.is_null());
            let group = text(group).unwrap_or_else(|| DEFAULT_GROUP.to_owned());
            let members = names.groups.entry(group.trim_end().to_owned()).or_default();
            members.insert(ServiceKey::new(key.as_str()));
            names.keys.insert(key);
        }
        names
    }
}

/// Resolves the list of windows at `place`. `services` is the list of services. If it reports errors, the result is incomplete.
pub fn resolve(
    list: Option<&Node>,
    services: Option<&Node>,
    elsewhere: &Elsewhere<'_>,
    place: &Place<'_>,
) -> Vec<MaintenanceWindow> {
    let Some(list) = list.filter(|list| !list.is_null()) else {
        return Vec::new();
    };
    let Some(items) = list.items() else {
        place.error(format_args!(
            "expected a list of maintenance windows, found {}",
            list.describe()
        ));
        return Vec::new();
    };
    if items.len() > MAX_WINDOWS {
        place.error(format_args!(
            "{} windows are too many: write at most {MAX_WINDOWS}",
            items.len()
        ));
        return Vec::new();
    }
    let names = Names::read(services, elsewhere);
    let mut lines: HashMap<String, u32> = HashMap::new();
    let mut windows = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if matches!(item.value, Value::Pruned) {
            continue;
        }
        if place.finding_count() >= MAX_FINDINGS {
            break;
        }
        let place = place.index(index);
        let Some(options) = read::<MaintenanceOptions>(item, &place).value else {
            continue;
        };
        if let Some(name) = &options.name {
            match lines.get(name) {
                Some(line) => {
                    let message = format!("also the name of the window in line {line}: use a unique name");
                    place.field("name").error(message);
                }
                None => {
                    lines.insert(name.clone(), item.mark.line);
                }
            }
        }
        windows.extend(window(options, &names, &place));
    }
    windows
}

fn window(
    options: MaintenanceOptions,
    names: &Names,
    place: &Place<'_>,
) -> Result<MaintenanceWindow, Invalid> {
    let name = match &options.name {
        Some(name) => validate::line(name.clone(), MAX_NAME, &place.field("name")),
        None => Ok(place.path().to_string()),
    };
    let reason = options.reason.clone().unwrap_or_default();
    let reason = validate::paragraph(reason, MAX_REASON, &place.field("reason"));
    let services = services(&options, names, place);
    let schedule = schedule(&options, place);
    let window = MaintenanceWindow {
        name: name?,
        services: services?,
        schedule: schedule?,
        reason: reason?,
    };
    let now = Timestamp::now();
    let starts = if options.cron.is_some() { "cron" } else { "weekly" };
    match &window.schedule.starts {
        Starts::Once(_) => {}
        _ if window.schedule.next_start(now).is_none() => {
            return Err(place
                .field(starts)
                .error("never starts: write a date that exists"));
        }
        _ if window.schedule.never_ends(now) => {
            return Err(place.field("for").error(
                "every window lasts until the next one starts, so no alert could ever fire: write a shorter time",
            ));
        }
        _ => {}
    }
    Ok(window)
}

/// The keys of the listed services and of all services in the listed groups. `None` for all services.
fn services(
    options: &MaintenanceOptions,
    names: &Names,
    place: &Place<'_>,
) -> Result<Option<BTreeSet<ServiceKey>>, Invalid> {
    if options.services.is_none() && options.groups.is_none() {
        return Ok(None);
    }
    let mut services = BTreeSet::new();
    let mut result = Ok(());
    for (key, list) in [("services", &options.services), ("groups", &options.groups)] {
        let place = place.field(key);
        let list = list.as_deref();
        if list.is_some_and(<[_]>::is_empty) {
            let message = "the list is empty: write at least one, or remove the key for all services";
            result = Err(place.error(message));
        }
        for (index, name) in list.unwrap_or_default().iter().enumerate() {
            let place = place.index(index);
            if place.finding_count() >= MAX_FINDINGS {
                break;
            }
            if key == "services" {
                if names.keys.contains(name) {
                    services.insert(ServiceKey::new(name.as_str()));
                } else if names.is_incomplete {
                    place.warn(suggest::maybe_missing("service"));
                } else {
                    let known = names.keys.iter().map(String::as_str);
                    result = Err(place.error(suggest::unknown("service", name, known)));
                }
            } else if let Some(members) = names.groups.get(name) {
                services.extend(members.iter().cloned());
            } else if names.is_incomplete {
                place.warn(suggest::maybe_missing("group"));
            } else {
                let known = names.groups.keys().map(String::as_str);
                result = Err(place.error(suggest::unknown("group", name, known)));
            }
        }
    }
    result.map(|()| Some(services))
}

fn schedule(options: &MaintenanceOptions, place: &Place<'_>) -> Result<Schedule, Invalid> {
    let zone = match &options.timezone {
        Some(name) => time_zone(name, &place.field("timezone")),
        None => Ok(TimeZone::UTC),
    };
    let length = match options.length {
        Some(DurationText(length)) if (MIN_LENGTH..=MAX_LENGTH).contains(&length) => Ok(length),
        Some(length) => Err(place.field("for").error(format_args!(
            "{length} is out of range: write {} to {MAX_LENGTH_TEXT}",
            DurationText(MIN_LENGTH)
        ))),
        None => Err(place
            .field("for")
            .error("for is missing: write the length of the window, such as 30m")),
    };
    let starts = starts(options, zone.as_ref().ok(), place);
    Ok(Schedule {
        zone: zone?,
        length: length?,
        starts: starts?,
    })
}

fn starts(
    options: &MaintenanceOptions,
    zone: Option<&TimeZone>,
    place: &Place<'_>,
) -> Result<Starts, Invalid> {
    let at = place.field("at");
    if let Some(cron) = &options.cron {
        let mut result = Ok(());
        for (key, is_given) in [("at", options.at.is_some()), ("weekly", options.weekly.is_some())] {
            if is_given {
                result = Err(place
                    .field(key)
                    .error_at_key("conflicts with cron: remove one of the two"));
            }
        }
        let cron = Cron::parse(cron).map_err(|error| {
            place.field("cron").error(format_args!(
                "not a cron expression: {error}; write for example 0 3 * * * for 03:00 every day"
            ))
        });
        return result.and(cron.map(|cron| Starts::Cron(Box::new(cron))));
    }
    match (&options.at, &options.weekly) {
        (None, _) => Err(at.error(format_args!("at is missing: {WRITE_AT}"))),
        (Some(text), Some(days)) => {
            let mut days: Vec<Weekday> = days.iter().copied().map(Weekday::from).collect();
            days.sort_by_key(|day| day.to_monday_zero_offset());
            days.dedup();
            let days = match days.is_empty() {
                true => Err(place
                    .field("weekly")
                    .error("the list is empty: write days such as [sat, sun]")),
                false => Ok(days),
            };
            let time = text
                .parse::<Time>()
                .map_err(|_| at.error("not a time of day: write for example 03:00"));
            Ok(Starts::Weekly(days?, time?))
        }
        (Some(text), None) => once(text, options.timezone.is_some(), zone, &at),
    }
}

/// The start of a window that happens once: a local time, or a time with its offset. `has_zone` is whether `timezone` is set.
/// `zone` is `None` if that is invalid, which was reported.
fn once(text: &str, has_zone: bool, zone: Option<&TimeZone>, at: &Place<'_>) -> Result<Starts, Invalid> {
    if let Ok(start) = text.parse::<Timestamp>() {
        return match has_zone {
            true => Err(at.error("has an offset from UTC: remove the offset, or remove timezone")),
            false => Ok(Starts::Once(start)),
        };
    }
    let is_complete = text.contains(':') && !text.contains('[');
    match text.parse::<DateTime>() {
        Ok(local) if is_complete => schedule::resolve(local, zone.ok_or(Invalid)?)
            .map(Starts::Once)
            .ok_or_else(|| at.error("the year is not supported: write a date of this century")),
        _ => Err(at.error(format_args!("not a date and time: {WRITE_AT}"))),
    }
}

/// Finds a time zone.
///
/// # Errors
/// Reported at `place`.
pub fn time_zone(name: &str, place: &Place<'_>) -> Result<TimeZone, Invalid> {
    // TimeZone::get accepts only the names in the time zone database.
    TimeZone::get(name).map_err(|_| {
        let near = (name.len() <= MAX_ZONE).then(|| nearest_zone(name)).flatten();
        let advice = match near {
            Some(near) => format!("did you mean {near}?"),
            None => "write an IANA name such as Europe/Berlin or UTC".to_owned(),
        };
        place.error(format_args!("unknown time zone: {advice}"))
    })
}

fn nearest_zone(name: &str) -> Option<String> {
    let word = name.to_ascii_lowercase().replace(' ', "_");
    jiff::tz::db()
        .available()
        .map(|zone| zone.as_str().to_owned())
        .map(|zone| (strsim::jaro_winkler(&word, &zone.to_ascii_lowercase()), zone))
        .filter(|(score, _)| *score >= SIMILAR)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, zone)| zone)
}
