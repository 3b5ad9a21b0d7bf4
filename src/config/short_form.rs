//! The short form of a service, as ChatStack's files have it: `url`, `port`, `systemd`, `process_match` and `container` each
//! stand for a check, which is rewritten here into the keys of its kind.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use url::Url;

use super::kinds;
use super::place::{Path, Place, Step};
use super::settings::KindSettings;
use super::written::ShortFormOptions;
use super::yaml::{Entry, Mark, Node, Value, fields, read};
use crate::model::{CheckKind, Severity};

/// The deadline of the short form's http check.
const HTTP_DEADLINE: Duration = Duration::from_secs(3);

/// The deadline of the short form's port check.
const PORT_DEADLINE: Duration = Duration::from_secs(1);

/// The suffixes of units (systemd.unit(5)).
const UNIT_SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];

/// A check that the short form stands for.
#[derive(Debug)]
pub struct ShortCheck {
    /// Its deadline, where the short form has one of its own.
    pub deadline: Option<Duration>,
    /// How much its failure weighs.
    pub severity: Severity,
    /// What the kind needs.
    pub kind: KindSettings,
}

/// The checks that the short form's keys of a service, which `node` at `place` has, stand for. What is wrong is reported
/// at those keys. The second part is how many checks were meant.
pub fn checks(node: &Node, place: &Place<'_>) -> (Vec<ShortCheck>, usize) {
    let node = &without_empty(node, place);
    let reading = read::<ShortFormOptions>(&with_list(node), place);
    let meant = node
        .entries()
        .unwrap_or_default()
        .iter()
        .filter(|entry| !entry.value.is_null())
        .count();
    let Some(options) = reading.value else {
        return (Vec::new(), meant);
    };
    let rewritten = Rewriter { node, place }.all(&options);
    let checks = rewritten
        .iter()
        .filter_map(|draft| draft.resolve(node, place))
        .collect();
    (checks, meant)
}

/// What is there but empty was as good as absent to the old monitor; it deserves a remark.
fn without_empty(node: &Node, place: &Place<'_>) -> Node {
    let mut node = node.clone();
    let known = fields::<ShortFormOptions>();
    let is_empty = |entry: &Entry| {
        let is_nothing = match &entry.value.value {
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Plain(_) | Value::Map(_) | Value::Pruned => false,
        };
        is_nothing && known.contains(&&*entry.key)
    };
    if let Value::Map(entries) = &mut node.value
        && entries.iter().any(is_empty)
    {
        for entry in entries.iter().filter(|entry| is_empty(entry)) {
            place
                .field(&entry.key)
                .remark("is empty, so nothing is checked by it: remove the key");
        }
        Rc::make_mut(entries).retain(|entry| !is_empty(entry));
    }
    node
}

/// `process_match` may be one text.
fn with_list(node: &Node) -> Node {
    let mut node = node.clone();
    if let Value::Map(entries) = &mut node.value {
        for entry in Rc::make_mut(entries) {
            let is_scalar =
                matches!(entry.value.value, Value::Plain(_) | Value::Text(_)) && !entry.value.is_null();
            if &*entry.key == "process_match" && is_scalar {
                let list = Value::List(Rc::new(vec![entry.value.clone()]));
                entry.value = Node::new(entry.value.mark, list);
            }
        }
    }
    node
}

/// A check in the keys of its kind, each with the key of the short form that it comes from.
struct Draft {
    kind: CheckKind,
    keys: Vec<(&'static str, Value, &'static str)>,
    deadline: Option<Duration>,
    severity: Severity,
}

impl Draft {
    fn resolve(&self, node: &Node, place: &Place<'_>) -> Option<ShortCheck> {
        let entries = self.keys.iter().map(|(key, value, _)| Entry {
            key: (*key).into(),
            mark: node.mark,
            value: Node::new(node.mark, value.clone()),
        });
        let keys = Node::new(node.mark, Value::Map(Rc::new(entries.collect())));
        let found = RefCell::default();
        let kind = kinds::resolve(self.kind, &keys, &place.collecting(&found), Vec::new());
        for mut finding in found.into_inner() {
            finding.path = self.short_path(&finding.path, place.path());
            place.forward(finding);
        }
        Some(ShortCheck {
            deadline: self.deadline,
            severity: self.severity,
            kind: kind?,
        })
    }

    /// The place in the short form of what was found at `path`.
    fn short_path(&self, path: &Path, service: &Path) -> Path {
        let mut short = service.clone();
        if let Some(Step::Key(found)) = path.0.get(service.0.len())
            && let Some((_, _, key)) = self.keys.iter().find(|(key, _, _)| *key == &**found)
        {
            short.0.push(Step::Key((*key).into()));
        }
        short
    }
}

struct Rewriter<'a, 'b> {
    node: &'a Node,
    place: &'a Place<'b>,
}

impl Rewriter<'_, '_> {
    fn all(&self, options: &ShortFormOptions) -> Vec<Draft> {
        [
            self.http(options),
            self.tcp(options),
            self.systemd(options),
            self.process(options),
            self.docker(options),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Success means exactly the expected status.
    fn http(&self, options: &ShortFormOptions) -> Option<Draft> {
        let Some(url) = &options.url else {
            if options.expected_http.is_some() {
                let place = self.place.field("expected_http");
                place.error_at_key("is given without url: add the URL that has to answer with it");
            }
            return None;
        };
        let expected = options.expected_http.unwrap_or(200);
        let status = Node::new(Mark::default(), Value::Plain(expected.to_string().into()));
        let mut keys = vec![
            ("url", text(url), "url"),
            (
                "valid_status_codes",
                Value::List(Rc::new(vec![status])),
                "expected_http",
            ),
        ];
        // Who expects a redirect can't mean the page behind it.
        if (300..400).contains(&expected) {
            let no = Value::Plain("false".into());
            keys.push(("follow_redirects", no, "expected_http"));
        }
        Some(Draft {
            kind: CheckKind::Http,
            keys,
            deadline: Some(HTTP_DEADLINE),
            severity: Severity::Critical,
        })
    }

    /// The port is checked where `port` or `host` is given; the other one comes from the URL.
    fn tcp(&self, options: &ShortFormOptions) -> Option<Draft> {
        if options.port.is_none() && options.host.is_none() {
            return None;
        }
        let url = options.url.as_deref().and_then(|url| Url::parse(url).ok());
        let url_host = url.as_ref().and_then(|url| url.host_str());
        let Some(port) = options.port.or_else(|| url.as_ref()?.port_or_known_default()) else {
            // A faulty port or URL is reported where it stands.
            if self.node.get("port").is_none() && options.url.is_none() {
                let place = self.place.field("host");
                place.error_at_key("is given without port or url: add the port that has to be open");
            }
            return None;
        };
        if port == 0 {
            self.place.field("port").error("0 is no port: write 1 to 65535");
            return None;
        }
        let host = options.host.as_deref().or(url_host).unwrap_or("127.0.0.1");
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let origin = if options.host.is_some() { "host" } else { "port" };
        Some(Draft {
            kind: CheckKind::Tcp,
            keys: vec![("address", text(&address), origin)],
            deadline: Some(PORT_DEADLINE),
            severity: Severity::Critical,
        })
    }

    fn systemd(&self, options: &ShortFormOptions) -> Option<Draft> {
        let unit = options.systemd.as_ref()?;
        let has_suffix = unit.is_empty() || UNIT_SUFFIXES.iter().any(|suffix| unit.ends_with(suffix));
        let unit = if has_suffix {
            unit.clone()
        } else {
            format!("{unit}.service")
        };
        Some(Draft {
            kind: CheckKind::Systemd,
            keys: vec![("unit", text(&unit), "systemd")],
            deadline: None,
            severity: Severity::Critical,
        })
    }

    fn process(&self, options: &ShortFormOptions) -> Option<Draft> {
        let texts = options.process_match.as_ref()?.iter();
        let texts = texts.map(|item| Node::new(Mark::default(), text(item))).collect();
        Some(Draft {
            kind: CheckKind::Process,
            keys: vec![("match", Value::List(Rc::new(texts)), "process_match")],
            deadline: None,
            severity: Severity::Warning,
        })
    }

    /// ChatStack's monitor never looked at the container, so its failure does not take a service down.
    fn docker(&self, options: &ShortFormOptions) -> Option<Draft> {
        let container = options.container.as_ref()?;
        self.place.field("container").remark(
            "a docker check of severity warning: it degrades the service, and does not take it down; for that, list a check of \
             kind docker under checks",
        );
        Some(Draft {
            kind: CheckKind::Docker,
            keys: vec![("container", text(container), "container")],
            deadline: None,
            severity: Severity::Warning,
        })
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}
