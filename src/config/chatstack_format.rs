//! Files in the format of ChatStack's monitor. That monitor ignored unknown keys, and found a blank `process_match` in every
//! process. In such a file each of these is a warning; in every other file it is an error.
//!
//! A file has this format if all of these hold:
//! - Its services have no keys that only this exporter has. A key that is similar to one (`intervall`) counts as a misspelt
//!   key of this exporter.
//! - At least one service has a key that is typical of the format (see [`is_typical`]), or the file has `monitor` or `logging`.
//! - It has no `defaults`, `tiers`, `modules`, `probe` or `maintenance`.

use std::rc::Rc;

use super::key_split::MAX_UNKNOWN;
use super::options::{ServiceOptions, SharedServiceOptions, ShortFormOptions, TimingOptions};
use super::place::{MAX_FINDINGS, Place, is_plain_key};
use super::yaml::{Entry, Node, Value, fields};
use super::{suggest, unsupported};

/// The keys of a service that both formats have, in addition to those of the short form.
const SHARED: [&str; 4] = ["key", "name", "description", "enabled"];

/// The top-level keys that only files of this exporter have.
const NEW_AT_TOP: [&str; 6] = ["defaults", "tiers", "modules", "probe", "exec", "maintenance"];

/// The maximum number of unknown keys that are compared with known ones. A file with more does not have this format.
const MAX_COMPARED: usize = 1000;

/// Returns the document in this exporter's format. If it has the format of ChatStack's monitor, replaces what only that
/// monitor accepted, with a warning each.
pub fn relax(root: &Node, place: &Place<'_>) -> Node {
    let keys = Keys::new();
    if !keys.are_chatstack(root) {
        return root.clone();
    }
    with_value(root, "services", |list| {
        relax_services(list, &keys, &place.field("services"))
    })
}

/// Whether a service has a key that few files of this exporter have, or both `url` and `port`.
fn is_typical(service: &Node) -> bool {
    let has = |key| service.get(key).is_some();
    ["expected_http", "process_match", "systemd", "container", "host"]
        .into_iter()
        .any(has)
        || (has("url") && has("port"))
}

/// The keys of a service.
struct Keys {
    /// The keys of ChatStack's monitor.
    chatstack: Vec<&'static str>,
    /// The keys that only this exporter has.
    ours: Vec<&'static str>,
}

impl Keys {
    fn new() -> Self {
        let chatstack: Vec<_> = SHARED
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
            .filter(|key| !chatstack.contains(key));
        Self {
            ours: ours.collect(),
            chatstack,
        }
    }

    /// Whether a document has the format of ChatStack's monitor.
    fn are_chatstack(&self, root: &Node) -> bool {
        let has = |key: &str| root.get(key).is_some_and(|value| !value.is_null());
        let Some(services) = root.get("services").and_then(Node::items) else {
            return false;
        };
        if NEW_AT_TOP.into_iter().any(has) {
            return false;
        }
        if !["monitor", "logging"].into_iter().any(has) && !services.iter().any(is_typical) {
            return false;
        }
        let entries = services.iter().filter_map(Node::entries).flatten();
        let others: Vec<&str> = entries
            .map(|entry| &*entry.key)
            .filter(|key| !self.chatstack.contains(key))
            .take(MAX_COMPARED + 1)
            .collect();
        others.len() <= MAX_COMPARED && !others.into_iter().any(|key| self.is_ours(key))
    }

    /// Whether a key that ChatStack's monitor does not have is one of ours, is similar to one, or does not look like a key.
    fn is_ours(&self, key: &str) -> bool {
        if !is_plain_key(key) || self.ours.contains(&key) {
            return true;
        }
        let known = self.ours.iter().chain(&self.chatstack).copied();
        unsupported::key(key).is_none()
            && suggest::nearest(key, known).is_some_and(|near| self.ours.contains(&near))
    }
}

fn relax_services(list: &Node, keys: &Keys, place: &Place<'_>) -> Node {
    let Some(items) = list.items() else {
        return list.clone();
    };
    let mut relaxed = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let is_full = place.finding_count() >= MAX_FINDINGS;
        relaxed.push(if is_full {
            item.clone()
        } else {
            relax_service(item, keys, &place.index(index))
        });
    }
    // If no service has a check left, the services stay, which is an error.
    if relaxed.iter().any(|item| !is_empty(item)) {
        for (index, item) in relaxed.iter_mut().enumerate() {
            if is_empty(item) && items[index].entries().is_some_and(has_check_key) {
                place
                    .index(index)
                    .warn("ignored: this service has no checks left; add url, port or systemd");
                item.value = Value::Pruned;
            }
        }
    }
    Node::new(list.mark, Value::List(Rc::new(relaxed)))
}

/// Whether a service has no checks.
fn is_empty(service: &Node) -> bool {
    let is_blank = |value: &Node| match &value.value {
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => value.is_null(),
    };
    let mut entries = service.entries().unwrap_or_default().iter();
    !entries.any(|entry| is_check_key(&entry.key) && !is_blank(&entry.value))
}

fn has_check_key(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| is_check_key(&entry.key))
}

fn is_check_key(key: &str) -> bool {
    fields::<ShortFormOptions>().contains(&key)
}

fn relax_service(node: &Node, keys: &Keys, place: &Place<'_>) -> Node {
    let Some(entries) = node.entries() else {
        return node.clone();
    };
    let mut rest = Vec::with_capacity(entries.len());
    let mut unknown = 0;
    for entry in entries {
        if !keys.chatstack.contains(&&*entry.key) {
            unknown += 1;
            if unknown <= MAX_UNKNOWN {
                let message = unsupported::key(&entry.key)
                    .unwrap_or_else(|| suggest::unknown_key(&entry.key, keys.chatstack.iter().copied()));
                place
                    .field(&entry.key)
                    .warn_at_key(format_args!("ignored, {message}"));
            }
        } else if let Some(entry) = without_blank_matches(entry, place) {
            rest.push(entry);
        }
    }
    if unknown > MAX_UNKNOWN {
        place.warn(format_args!(
            "ignored: {} more unknown keys in this mapping",
            unknown - MAX_UNKNOWN
        ));
    }
    Node::new(node.mark, Value::Map(Rc::new(rest)))
}

/// Removes blank texts from `process_match`. Returns `None` if nothing else is in it. Returns other entries unchanged.
fn without_blank_matches(entry: &Entry, place: &Place<'_>) -> Option<Entry> {
    let is_blank = |item: &Node| match &item.value {
        Value::Text(text) => text.trim().is_empty(),
        _ => item.is_null(),
    };
    let (rest, blank) = match &entry.value.value {
        Value::List(items) if &*entry.key == "process_match" => {
            let rest: Vec<Node> = items.iter().filter(|item| !is_blank(item)).cloned().collect();
            let blank = items.len() - rest.len();
            (rest, blank)
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
    if rest.is_empty() {
        place.warn("ignored: every process contains a blank text; write a part of the name or command line");
        return None;
    }
    place.warn("ignored the blank texts in this list: every process contains them; remove them");
    let list = Value::List(Rc::new(rest));
    Some(Entry {
        value: Node::new(entry.value.mark, list),
        ..entry.clone()
    })
}

/// Replaces the value of `key`, if there is one.
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
