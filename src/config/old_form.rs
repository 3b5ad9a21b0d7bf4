//! Files in the form of ChatStack's monitor. That monitor took quoted numbers, ignored unknown keys, and found a blank
//! `process_match` in every process. Here such a file loads with a warning for each of these; in every other file they
//! are errors.
//!
//! A file has that form when its services have only that monitor's keys and unknown ones, when at least one service has a
//! key that tells (see [`tells`]) or the file has `monitor` or `logging`, and when it has no `defaults`, `tiers`,
//! `modules` or `probe`. An unknown key that is nearly a key which only this exporter has (`intervall`) is a typing error
//! in a file of this exporter, so such a file does not have the old form.

use std::rc::Rc;

use super::key_split::MAX_UNKNOWN;
use super::place::Place;
use super::services::MAX_FINDINGS;
use super::written::{ServiceOptions, SharedServiceOptions, ShortFormOptions, TimingOptions};
use super::yaml::{Entry, Node, Value, fields, is_plain_key};
use super::{suggest, unsupported};

/// A service's keys that both have, beside those of the short form.
const SHARED: [&str; 3] = ["key", "name", "description"];

/// What only a file of this exporter has at its top.
const NEW_AT_TOP: [&str; 4] = ["defaults", "tiers", "modules", "probe"];

/// Keys of a service whose values are numbers.
const NUMBERS: [&str; 2] = ["port", "expected_http"];

/// Keys of `monitor` whose values are numbers.
const MONITOR_NUMBERS: [&str; 3] = ["check_interval", "retry_attempts", "retry_delay"];

/// The most unknown keys of a file that are compared with known ones. A file with more does not have the old form.
const MAX_COMPARED: usize = 1000;

/// The document as this exporter reads it: where it has the old monitor's form, what that monitor tolerated is
/// replaced, with a warning each.
pub fn relax(root: &Node, place: &Place<'_>) -> Node {
    let keys = Keys::new();
    if !keys.is_old(root) {
        return root.clone();
    }
    let root = with_value(root, "monitor", |monitor| {
        let place = place.field("monitor");
        let monitor = with_numbers(monitor, &MONITOR_NUMBERS, &place);
        with_value(&monitor, "alerts", |alerts| {
            with_numbers(alerts, &["consecutive_failures"], &place.field("alerts"))
        })
    });
    with_value(&root, "services", |list| {
        services(list, &keys, &place.field("services"))
    })
}

/// Whether a service has a key that few files of this exporter have, or both `url` and `port`.
fn tells(service: &Node) -> bool {
    let has = |key| service.get(key).is_some();
    ["expected_http", "process_match", "systemd", "container", "host"]
        .into_iter()
        .any(has)
        || (has("url") && has("port"))
}

/// The keys of a service.
struct Keys {
    /// Those that the old monitor knew.
    old: Vec<&'static str>,
    /// Those that only this exporter knows.
    ours: Vec<&'static str>,
}

impl Keys {
    fn new() -> Self {
        let old: Vec<_> = SHARED
            .iter()
            .chain(fields::<ShortFormOptions>())
            .copied()
            .collect();
        let ours = fields::<ServiceOptions>()
            .iter()
            .chain(fields::<TimingOptions>())
            .chain(fields::<SharedServiceOptions>())
            .chain(&["checks"])
            .copied()
            .filter(|key| !old.contains(key));
        Self {
            ours: ours.collect(),
            old,
        }
    }

    /// Whether a document has the form of the old monitor's files.
    fn is_old(&self, root: &Node) -> bool {
        let has = |key: &str| root.get(key).is_some_and(|value| !value.is_null());
        let Some(services) = root.get("services").and_then(Node::items) else {
            return false;
        };
        if NEW_AT_TOP.into_iter().any(has) {
            return false;
        }
        if !["monitor", "logging"].into_iter().any(has) && !services.iter().any(tells) {
            return false;
        }
        let entries = services.iter().filter_map(Node::entries).flatten();
        let others: Vec<&str> = entries
            .map(|entry| &*entry.key)
            .filter(|key| !self.old.contains(key))
            .take(MAX_COMPARED + 1)
            .collect();
        others.len() <= MAX_COMPARED && !others.into_iter().any(|key| self.is_new(key))
    }

    /// Whether a key that the old monitor did not know is one that only this exporter has, or nearly one, or does not
    /// have the form of a key.
    fn is_new(&self, key: &str) -> bool {
        if !is_plain_key(key) || self.ours.contains(&key) {
            return true;
        }
        let known = self.ours.iter().chain(&self.old).copied();
        unsupported::key(key).is_none()
            && suggest::nearest(key, known).is_some_and(|near| self.ours.contains(&near))
    }
}

fn services(list: &Node, keys: &Keys, place: &Place<'_>) -> Node {
    let Some(items) = list.items() else {
        return list.clone();
    };
    let mut relaxed = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let is_full = place.found() >= MAX_FINDINGS;
        relaxed.push(if is_full {
            item.clone()
        } else {
            service(item, keys, &place.index(index))
        });
    }
    // A file in which nothing is left to check stays as it is: that is an error.
    if relaxed.iter().any(|item| !is_empty(item)) {
        for (index, item) in relaxed.iter_mut().enumerate() {
            if is_empty(item) && items[index].entries().is_some_and(has_check_key) {
                place
                    .index(index)
                    .remark("ignored: nothing is left to check in this service; add url, port or systemd");
                item.value = Value::Pruned;
            }
        }
    }
    Node::new(list.mark, Value::List(Rc::new(relaxed)))
}

/// Whether no key of a service stands for a check.
fn is_empty(service: &Node) -> bool {
    let means_nothing = |value: &Node| match &value.value {
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => value.is_null(),
    };
    let mut entries = service.entries().unwrap_or_default().iter();
    !entries.any(|entry| is_check_key(&entry.key) && !means_nothing(&entry.value))
}

fn has_check_key(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| is_check_key(&entry.key))
}

fn is_check_key(key: &str) -> bool {
    fields::<ShortFormOptions>().contains(&key)
}

fn service(node: &Node, keys: &Keys, place: &Place<'_>) -> Node {
    let Some(entries) = node.entries() else {
        return node.clone();
    };
    let mut kept = Vec::with_capacity(entries.len());
    let mut unknown = 0;
    for entry in entries {
        if !keys.old.contains(&&*entry.key) {
            unknown += 1;
            if unknown <= MAX_UNKNOWN {
                let message = unsupported::key(&entry.key)
                    .unwrap_or_else(|| suggest::unknown_key(&entry.key, keys.old.iter().copied()));
                place
                    .field(&entry.key)
                    .remark_at_key(format_args!("ignored, {message}"));
            }
        } else if let Some(entry) = with_texts(entry, place) {
            kept.push(entry);
        }
    }
    if unknown > MAX_UNKNOWN {
        place.remark(format_args!(
            "ignored: {} more unknown keys here",
            unknown - MAX_UNKNOWN
        ));
    }
    let kept = Node::new(node.mark, Value::Map(Rc::new(kept)));
    with_numbers(&kept, &NUMBERS, place)
}

/// `process_match` without blank texts; `None` where nothing else is in it. Other entries as they are.
fn with_texts(entry: &Entry, place: &Place<'_>) -> Option<Entry> {
    let is_blank = |item: &Node| match &item.value {
        Value::Text(text) => text.trim().is_empty(),
        _ => item.is_null(),
    };
    let (kept, blank) = match &entry.value.value {
        Value::List(items) if &*entry.key == "process_match" => {
            let kept: Vec<Node> = items.iter().filter(|item| !is_blank(item)).cloned().collect();
            let blank = items.len() - kept.len();
            (kept, blank)
        }
        Value::Text(text) if &*entry.key == "process_match" && !text.is_empty() && text.trim().is_empty() => {
            (Vec::new(), 1)
        }
        _ => return Some(entry.clone()),
    };
    if blank == 0 {
        return Some(entry.clone());
    }
    let place = place.field("process_match");
    if kept.is_empty() {
        place.remark(
            "ignored: a blank text is found in every process; give a part of the name or of the command line",
        );
        return None;
    }
    place.remark("blank texts in this list are ignored: they are found in every process; remove them");
    let list = Value::List(Rc::new(kept));
    Some(Entry {
        value: Node::new(entry.value.mark, list),
        ..entry.clone()
    })
}

/// `node` with numbers instead of texts that are numbers in quotes, under these keys.
fn with_numbers(node: &Node, keys: &[&str], place: &Place<'_>) -> Node {
    let mut node = node.clone();
    for key in keys {
        node = with_value(&node, key, |value| match &value.value {
            Value::Text(text) if is_number(text) => {
                let text = text.trim();
                place.field(key).remark(format_args!(
                    "a text is taken as the number {text}; remove the quotes"
                ));
                Node::new(value.mark, Value::Plain(text.into()))
            }
            _ => value.clone(),
        });
    }
    node
}

/// Digits, with a point at most.
fn is_number(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.len() <= 20
        && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// `node` with the value of `key` replaced, where it has one.
fn with_value(node: &Node, key: &str, replace: impl FnOnce(&Node) -> Node) -> Node {
    let mut node = node.clone();
    if let Value::Map(entries) = &mut node.value
        && let Some(position) = entries.iter().position(|entry| *entry.key == *key)
    {
        let value = replace(&entries[position].value);
        Rc::make_mut(entries)[position].value = value;
    }
    node
}
