//! Combines the trees of several files to one tree, and finds the file of each finding.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::document::{Document, all_global_keys};
use super::memory::Content;
use crate::config::diagnostic::Diagnostic;
use crate::config::place::{Finding, Path, Step, is_plain_key};
use crate::config::service_key;
use crate::config::yaml::{Entry, Mark, Node, Value};

/// The key of the name of a service or a maintenance window.
const NAME: &str = "name";

/// What a configuration uses of a file.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Its current content.
    Current(&'a Document),
    /// Its last valid content, and the document of that if it has global keys.
    Last(&'a Content, Option<&'a Document>),
    /// Nothing.
    Nothing,
}

/// An error about something that two files have.
#[derive(Debug)]
pub struct Conflict {
    /// The position of the file.
    pub file: usize,
    /// The error.
    pub error: Diagnostic,
    /// Whether this file loses: the other one is used.
    pub is_lost: bool,
}

/// The combined tree.
#[derive(Debug)]
pub struct Merged {
    /// The tree.
    pub document: Node,
    /// What two files have.
    pub conflicts: Vec<Conflict>,
    /// The file of each service, and its position there.
    services: Vec<(usize, usize)>,
    /// The file of each maintenance window, and its position there.
    pub windows: Vec<(usize, usize)>,
    /// The files of keys of services, names of modules, and global keys.
    owners: HashMap<Name, usize>,
}

/// Something that only one file of a configuration may have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Service(Rc<str>),
    Module(Rc<str>),
    Window(Rc<str>),
    /// Any of the global keys.
    Globals,
}

/// A name in a file.
struct Claim {
    file: usize,
    /// The path of the name.
    path: Path,
    at_key: bool,
}

impl Merged {
    /// Combines the files called `names`. Of two files that have the same name, the earlier one in `order` is used.
    pub fn new(names: &[Arc<str>], parts: &[Part<'_>], order: &[usize]) -> Self {
        let mut claims: HashMap<Name, Vec<Claim>> = HashMap::new();
        for file in order {
            for (name, path, at_key) in claimed(parts[*file]) {
                let claims = claims.entry(name).or_default();
                // The duplicates within one file are errors of that file.
                if claims.last().is_none_or(|last| last.file != *file) {
                    let file = *file;
                    claims.push(Claim { file, path, at_key });
                }
            }
        }
        let mut merged = Self {
            document: Node::new(Mark::default(), Value::Map(Rc::default())),
            conflicts: Vec::new(),
            services: Vec::new(),
            windows: Vec::new(),
            owners: HashMap::new(),
        };
        for (name, claims) in &claims {
            let Some((owner, others)) = claims.split_first() else {
                continue;
            };
            merged.owners.insert(name.clone(), owner.file);
            for (position, other) in others.iter().enumerate() {
                merged
                    .conflicts
                    .extend(conflict(name, other, owner, names, parts, true));
                if position == 0 {
                    merged
                        .conflicts
                        .extend(conflict(name, owner, other, names, parts, false));
                }
            }
        }
        merged.combine(parts);
        merged
    }

    /// The file of a service, by its key.
    pub fn file_of_service(&self, key: &str) -> Option<usize> {
        self.owners.get(&Name::Service(key.into())).copied()
    }

    /// Whether the file whose global keys are in use has some that can forbid something.
    pub fn has_limits(&self, parts: &[Part<'_>]) -> bool {
        let owner = self.owners.get(&Name::Globals);
        owner.is_some_and(|file| match parts[*file] {
            Part::Current(document) | Part::Last(_, Some(document)) => document.has_limits(),
            Part::Last(_, None) | Part::Nothing => false,
        })
    }

    /// Fills the tree. What another file owns is not in it.
    fn combine(&mut self, parts: &[Part<'_>]) {
        let mut entries = Vec::new();
        let (mut services, mut modules, mut windows) = (Vec::new(), Vec::new(), Vec::new());
        for (file, part) in parts.iter().enumerate() {
            let (document, is_current) = match part {
                Part::Current(document) => (*document, true),
                Part::Last(_, Some(document)) => (*document, false),
                _ => continue,
            };
            if self.owners.get(&Name::Globals) == Some(&file) {
                let globals = all_global_keys().filter_map(|key| Some((key, document.section(key)?)));
                entries.extend(globals.map(|(key, value)| entry(key, value.clone())));
            }
            if !is_current {
                continue;
            }
            for (index, service) in items(document, "services").iter().enumerate() {
                let name = service_key::of(service).map(|key| Name::Service(key.into()));
                services.push(self.owned(file, name, service));
                self.services.push((file, index));
            }
            for (index, window) in items(document, "maintenance").iter().enumerate() {
                let name = text(window.get(NAME)).map(Name::Window);
                windows.push(self.owned(file, name, window));
                self.windows.push((file, index));
            }
            let written = document.section("modules").and_then(Node::entries);
            let owned = |entry: &&Entry| self.owners.get(&Name::Module(entry.key.clone())) == Some(&file);
            modules.extend(written.unwrap_or_default().iter().filter(owned).cloned());
        }
        let list = |items| Node::new(Mark::default(), Value::List(Rc::new(items)));
        if !services.is_empty() {
            entries.push(entry("services", list(services)));
        }
        if !windows.is_empty() {
            entries.push(entry("maintenance", list(windows)));
        }
        if !modules.is_empty() {
            let modules = Node::new(Mark::default(), Value::Map(Rc::new(modules)));
            entries.push(entry("modules", modules));
        }
        self.document = Node::new(Mark::default(), Value::Map(Rc::new(entries)));
    }

    /// An item of a list, unless another file owns its name. Then it is hidden, so that the positions of other items do not change.
    fn owned(&self, file: usize, name: Option<Name>, item: &Node) -> Node {
        let owner = name.and_then(|name| self.owners.get(&name).copied());
        match owner {
            Some(owner) if owner != file => Node::new(item.mark, Value::Pruned),
            _ => item.clone(),
        }
    }

    /// The file of a finding about the combined tree, and the finding with its path in that file.
    pub fn locate(&self, mut finding: Finding) -> Option<(usize, Finding)> {
        let steps = &mut finding.path.0;
        let file = match (&*key(steps.first()?)?, steps.get_mut(1)) {
            ("services", Some(Step::Index(index))) => localize(&self.services, index)?,
            ("maintenance", Some(Step::Index(index))) => localize(&self.windows, index)?,
            // A list as a whole: it is too long. The last file makes it so.
            ("maintenance", None) => self.windows.last()?.0,
            ("modules", Some(Step::Key(name))) => *self.owners.get(&Name::Module(name.clone()))?,
            _ => *self.owners.get(&Name::Globals)?,
        };
        Some((file, finding))
    }
}

/// Replaces the position in a combined list by that in the file's list, and returns the file.
fn localize(origins: &[(usize, usize)], index: &mut usize) -> Option<usize> {
    let (file, local) = *origins.get(*index)?;
    *index = local;
    Some(file)
}

fn key(step: &Step) -> Option<Rc<str>> {
    match step {
        Step::Key(key) => Some(key.clone()),
        Step::Index(_) => None,
    }
}

fn entry(key: &str, value: Node) -> Entry {
    Entry {
        key: key.into(),
        mark: value.mark,
        value,
    }
}

fn items<'a>(document: &'a Document, section: &str) -> &'a [Node] {
    document
        .section(section)
        .and_then(Node::items)
        .unwrap_or_default()
}

fn item_path(section: &str, index: usize, field: &str) -> Path {
    let (section, field) = (Step::Key(section.into()), Step::Key(field.into()));
    Path(vec![section, Step::Index(index), field])
}

fn text(node: Option<&Node>) -> Option<Rc<str>> {
    match &node?.value {
        Value::Plain(text) | Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// The names that a file has, each with its path, and whether it is a key.
fn claimed(part: Part<'_>) -> Vec<(Name, Path, bool)> {
    let mut claimed = Vec::new();
    match part {
        Part::Current(document) => {
            for (index, service) in items(document, "services").iter().enumerate() {
                let field = match service_key::is_derived(service) {
                    true => NAME,
                    false => "key",
                };
                let name = service_key::of(service).map(|key| Name::Service(key.into()));
                claimed.extend(name.map(|name| (name, item_path("services", index, field), false)));
            }
            for (index, window) in items(document, "maintenance").iter().enumerate() {
                let name = text(window.get(NAME)).map(Name::Window);
                claimed.extend(name.map(|name| (name, item_path("maintenance", index, NAME), false)));
            }
            let modules = document.section("modules").and_then(Node::entries);
            claimed.extend(modules.unwrap_or_default().iter().map(|entry| {
                let steps = vec![Step::Key("modules".into()), Step::Key(entry.key.clone())];
                (Name::Module(entry.key.clone()), Path(steps), true)
            }));
            let globals = document.global_keys().next();
            claimed.extend(globals.map(|key| (Name::Globals, Path(vec![Step::Key(key.into())]), true)));
        }
        Part::Last(content, document) => {
            let keys = content
                .service_keys()
                .map(|key| Name::Service(key.as_str().into()));
            claimed.extend(keys.map(|name| (name, Path::default(), false)));
            let modules = content
                .modules
                .usable
                .keys()
                .chain(content.modules.unusable.keys());
            claimed.extend(modules.map(|name| (Name::Module(name.as_str().into()), Path::default(), false)));
            let windows = content.windows.iter();
            claimed.extend(
                windows.map(|window| (Name::Window(window.name.as_str().into()), Path::default(), false)),
            );
            if document.is_some_and(|document| document.global_keys().next().is_some()) {
                claimed.push((Name::Globals, Path::default(), false));
            }
        }
        Part::Nothing => {}
    }
    claimed
}

/// The error at `claim` about a name that `other` claims too. `None` if the file of `claim` is not used as it is now.
fn conflict(
    name: &Name,
    claim: &Claim,
    other: &Claim,
    names: &[Arc<str>],
    parts: &[Part<'_>],
    is_lost: bool,
) -> Option<Conflict> {
    let Part::Current(document) = parts[claim.file] else {
        return None;
    };
    let place = match parts[other.file] {
        Part::Current(other_document) => {
            let finding = finding(other, String::new());
            let at = other_document.locate(finding, &names[other.file])?;
            format!("{}:{}", at.file, at.line)
        }
        _ => format!("{}, whose last valid content is in use", names[other.file]),
    };
    let message = match name {
        Name::Service(key) => {
            let key = if is_plain_key(key) { key } else { "this" };
            match claim.path.0.last() {
                Some(Step::Key(field)) if **field == *NAME => format!(
                    "{key}, the key that is made of this name, is also the key of a service in {place}: add a unique key"
                ),
                _ => format!("{key} is also the key of a service in {place}: use a unique key"),
            }
        }
        Name::Module(_) => format!("a module of {place} has the same name: use a unique name"),
        Name::Window(_) => format!("a maintenance window in {place} has the same name: use a unique name"),
        Name::Globals => {
            let keys: Vec<&str> = all_global_keys().collect();
            format!(
                "global keys ({}) are also in {place}: keep all of them in one file",
                keys.join(", ")
            )
        }
    };
    Some(Conflict {
        file: claim.file,
        error: document.locate(finding(claim, message), &names[claim.file])?,
        is_lost,
    })
}

fn finding(claim: &Claim, message: String) -> Finding {
    Finding {
        is_error: true,
        path: claim.path.clone(),
        at_key: claim.at_key,
        message,
    }
}
