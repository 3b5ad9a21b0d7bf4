//! Modules in blackbox_exporter's format: a prober, a timeout, and the options of the check kind of the same name. The options
//! are resolved by the same code as those of checks.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::config::duration::DurationText;
use crate::config::key_split::{SplitMapping, split_by_keys};
use crate::config::kinds::{self, KindSettings};
use crate::config::place::Place;
use crate::config::redact;
use crate::config::schema_parts::part;
use crate::config::suggest;
use crate::config::unsupported;
use crate::config::yaml::{Entry, Node, Value, fields, read};
use crate::model::CheckKind;

/// The longest name of a module, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// A prober.
struct Prober {
    /// The check kind that does the probing.
    kind: CheckKind,
    /// The kind's key of the target.
    target: &'static str,
    /// A target to resolve the options with.
    placeholder: &'static str,
}

const PROBERS: [Prober; 7] = [
    Prober {
        kind: CheckKind::Http,
        target: "url",
        placeholder: "http://target.invalid/",
    },
    Prober {
        kind: CheckKind::Tcp,
        target: "address",
        placeholder: "target.invalid:1",
    },
    Prober {
        kind: CheckKind::Dns,
        target: "server",
        placeholder: "target.invalid",
    },
    Prober {
        kind: CheckKind::Icmp,
        target: "host",
        placeholder: "target.invalid",
    },
    Prober {
        kind: CheckKind::Grpc,
        target: "address",
        placeholder: "target.invalid:1",
    },
    Prober {
        kind: CheckKind::Unix,
        target: "path",
        // It does not exist on any machine: a device has no directory.
        placeholder: "/dev/null/target",
    },
    Prober {
        kind: CheckKind::Websocket,
        target: "url",
        placeholder: "ws://target.invalid/",
    },
];

/// The kinds that `/probe` supports.
pub fn probed_kinds() -> impl Iterator<Item = CheckKind> {
    PROBERS.iter().map(|prober| prober.kind)
}

/// Options of kinds that modules can't have: `/probe` has only blackbox_exporter's metrics.
const NOT_FOR_MODULES: [&str; 2] = ["extract", "extract_version"];

/// Options that count as not given if they are empty, as in blackbox_exporter.
const EMPTY_IS_UNSET: [&str; 10] = [
    "bearer_token",
    "bearer_token_file",
    "body_file",
    "method",
    "no_proxy",
    "preferred_ip_protocol",
    "proxy_url",
    "query_class",
    "query_type",
    "transport_protocol",
];

/// The keys of a module, without those of the probers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModuleOptions {
    /// The prober: the name of a check kind.
    pub prober: Option<String>,
    /// Timeout of a probe. Default: the scrape timeout.
    pub timeout: Option<DurationText>,
}

/// A named set of check options without a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// The longest duration of a probe, if limited by the module.
    pub timeout: Option<Duration>,
    /// The options, with a placeholder as target.
    pub prober: KindSettings,
    /// The module's YAML without its secrets, for debug output.
    pub shown: String,
}

/// The JSON Schema of a module's properties.
pub fn properties(generator: &mut SchemaGenerator) -> Map<String, Json> {
    let mut properties = part::<ModuleOptions>(generator);
    properties["prober"] = json!({
        "description": "The prober. Every probe of a module with another one is rejected.",
        "anyOf": [
            { "enum": PROBERS.iter().map(|prober| prober.kind.as_str()).collect::<Vec<_>>() },
            { "type": "string" },
        ],
    });
    for prober in &PROBERS {
        let mut options = kinds::properties(prober.kind, generator);
        options.retain(|key, _| key != prober.target && !NOT_FOR_MODULES.contains(&key.as_str()));
        for (key, option) in &mut options {
            allow_unset(option, EMPTY_IS_UNSET.contains(&key.as_str()));
        }
        let options = json!({
            "description": format!("Options of the prober {}.", prober.kind),
            "type": ["object", "null"], "properties": options, "additionalProperties": false,
        });
        properties.insert(prober.kind.to_string(), options);
    }
    properties
}

/// Lets the schema of an option accept null, and an empty text if `is_empty_unset`.
fn allow_unset(option: &mut Json, is_empty_unset: bool) {
    if option.get("$ref").is_some() {
        *option = json!({ "description": option["description"], "anyOf": [{ "$ref": option["$ref"] }, { "type": "null" }] });
    }
    match option.get_mut("type") {
        Some(Json::Array(types)) if !types.contains(&json!("null")) => types.push(json!("null")),
        Some(kind @ Json::String(_)) => *kind = json!([kind.take(), "null"]),
        _ => {}
    }
    if let (Some(Json::Array(forms)), true) = (option.get_mut("anyOf"), is_empty_unset) {
        forms.push(json!({ "const": "" }));
    }
}

/// The modules of a configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modules {
    /// The usable modules by name.
    pub usable: BTreeMap<String, Arc<Module>>,
    /// The names of modules with an unknown prober, with the message for their probes. blackbox_exporter loads them, too.
    pub unusable: BTreeMap<String, String>,
}

impl Modules {
    /// Whether there are no modules.
    pub fn is_empty(&self) -> bool {
        self.usable.is_empty() && self.unusable.is_empty()
    }
}

/// Resolves the modules at `place`. If it reports errors, the result is incomplete.
pub fn resolve(node: &Node, place: &Place<'_>) -> Modules {
    let Some(entries) = node.entries() else {
        place.error(format_args!(
            "expected a mapping of modules by name, found {}",
            node.describe()
        ));
        return Modules::default();
    };
    let mut modules = Modules::default();
    for entry in entries {
        let place = place.field(&entry.key);
        if entry.key.is_empty() || entry.key.len() > MAX_NAME_BYTES {
            place.error_at_key(format_args!(
                "the name of a module has {} bytes: write 1 to {MAX_NAME_BYTES}",
                entry.key.len()
            ));
        } else {
            let name = entry.key.to_string();
            match resolve_module(&entry.value, &place) {
                Some(Ok(module)) => drop(modules.usable.insert(name, Arc::new(module))),
                Some(Err(UnknownProber(message))) => drop(modules.unusable.insert(name, message)),
                None => {}
            }
        }
    }
    modules
}

/// The prober of a module is unknown. Contains the message.
struct UnknownProber(String);

/// Resolves one module. Returns `None` after an error, which was reported.
fn resolve_module(node: &Node, place: &Place<'_>) -> Option<Result<Module, UnknownProber>> {
    let names = PROBERS.each_ref().map(|prober| prober.kind.as_str());
    let SplitMapping {
        parts: [own, probers],
        ..
    } = split_by_keys(node, place, [fields::<ModuleOptions>(), &names])?;
    let reading = read::<ModuleOptions>(&own, place);
    let options = reading.value?;
    let chosen = match options.prober.as_deref() {
        Some(word) => match PROBERS.iter().find(|prober| prober.kind.as_str() == word) {
            None => {
                let message = suggest::unknown("prober", word, names.into_iter());
                place
                    .field("prober")
                    .warn(format_args!("{message} (every probe of this module is rejected)"));
                return Some(Err(UnknownProber(message)));
            }
            known => known,
        },
        None if reading.invalid.is_empty() => {
            place.error(format_args!(
                "prober is missing: write one of {}",
                names.join(", ")
            ));
            None
        }
        None => None,
    }?;
    let empty = Node::new(node.mark, Value::Map(Rc::default()));
    let mut settings = None;
    for prober in &PROBERS {
        let is_chosen = prober.kind == chosen.kind;
        let written = probers.get(prober.kind.as_str());
        let place = place.field(prober.kind.as_str());
        if written.is_some() && !is_chosen {
            place.warn(format_args!("ignored: the prober is {}", chosen.kind));
        }
        let options = match written {
            Some(options) if !options.is_null() => options,
            _ if is_chosen => &empty,
            _ => continue,
        };
        let resolved = prober.resolve(options, &place);
        if is_chosen {
            settings = resolved;
        }
    }
    Some(Ok(Module {
        timeout: options.timeout.map(|timeout| timeout.0),
        prober: settings?,
        shown: redact::to_yaml(node),
    }))
}

impl Prober {
    /// Resolves options with the placeholder as target.
    fn resolve(&self, options: &Node, place: &Place<'_>) -> Option<KindSettings> {
        let mut unknown = Vec::new();
        let mut entries = Vec::new();
        for entry in options.entries().unwrap_or_default() {
            let field = place.field(&entry.key);
            if *entry.key == *self.target {
                field.error_at_key("a module has no target, each request has one: remove this key");
            } else if NOT_FOR_MODULES.contains(&&*entry.key) {
                field.error_at_key("modules do not support this key: use a check of a service instead");
            } else if !kinds::keys(self.kind).contains(&&*entry.key) {
                let known = kinds::keys(self.kind).iter().copied();
                let known = known.filter(|key| *key != self.target && !NOT_FOR_MODULES.contains(key));
                let unknown = || suggest::unknown_key(&entry.key, known);
                field.error_at_key(unsupported::key(&entry.key).unwrap_or_else(unknown));
            } else {
                // A key without a value counts as not given, as in blackbox_exporter.
                let is_empty = matches!(&entry.value.value, Value::Text(text) if text.is_empty());
                let is_unset = entry.value.is_null() || is_empty && EMPTY_IS_UNSET.contains(&&*entry.key);
                if !is_unset {
                    entries.push(entry.clone());
                }
                continue;
            }
            unknown.push(field.path().clone());
        }
        if options.entries().is_none() {
            place.error(format_args!("expected options, found {}", options.describe()));
            return None;
        }
        entries.push(Entry {
            key: self.target.into(),
            mark: options.mark,
            value: Node::new(options.mark, Value::Text(self.placeholder.into())),
        });
        let targeted = Node::new(options.mark, Value::Map(Rc::new(entries)));
        kinds::resolve(self.kind, &targeted, place, unknown)
    }
}
