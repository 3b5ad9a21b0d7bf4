//! The short form of a service, as in ChatStack's files: the keys `url`, `port`, `systemd`, `process_match` and `container`
//! each stand for a check. They are translated to the options of a kind.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use url::Url;

use super::http::StatusRange;
use super::kinds::{self, KindSettings};
use super::options::ShortFormOptions;
use super::place::{Path, Place, Step};
use super::yaml::{Entry, Mark, Node, Value, fields, read};
use crate::model::{CheckKind, Severity};

/// The timeout of the http check.
const HTTP_TIMEOUT: Duration = Duration::from_secs(3);

/// The timeout of the tcp check.
const TCP_TIMEOUT: Duration = Duration::from_secs(1);

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

/// A check of the short form.
#[derive(Debug)]
pub struct ShortCheck {
    /// The timeout, if it differs from that of other checks.
    pub timeout: Option<Duration>,
    /// The effect of a failure on the service.
    pub severity: Severity,
    /// The settings of the kind.
    pub kind: KindSettings,
}

/// Resolves the short form of a service, whose keys are in `node` at `place`. Errors are reported at those keys. Also returns
/// the number of keys, which counts invalid ones too.
pub fn checks(node: &Node, place: &Place<'_>) -> (Vec<ShortCheck>, usize) {
    let node = &without_empty(node, place);
    let reading = read::<ShortFormOptions>(&match_as_list(node), place);
    let count = node
        .entries()
        .unwrap_or_default()
        .iter()
        .filter(|entry| !entry.value.is_null())
        .count();
    let Some(options) = reading.value else {
        return (Vec::new(), count);
    };
    let drafts = Translator { node, place }.translate(&options);
    let checks = drafts
        .iter()
        .filter_map(|draft| draft.resolve(node, place))
        .collect();
    (checks, count)
}

/// Removes empty values, with a warning each: ChatStack's monitor ignored them.
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
                .warn("ignored because it is empty: remove the key");
        }
        Rc::make_mut(entries).retain(|entry| !is_empty(entry));
    }
    node
}

/// Turns a single text of `process_match` into a list.
fn match_as_list(node: &Node) -> Node {
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

/// A check with the options of its kind.
struct Draft {
    kind: CheckKind,
    /// The options, each with the key of the short form that it comes from.
    keys: Vec<(&'static str, Value, &'static str)>,
    timeout: Option<Duration>,
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
        let kind = kinds::resolve(self.kind, &keys, &place.with_findings(&found), Vec::new());
        for mut finding in found.into_inner() {
            finding.path = self.short_path(&finding.path, place.path());
            place.push(finding);
        }
        Some(ShortCheck {
            timeout: self.timeout,
            severity: self.severity,
            kind: kind?,
        })
    }

    /// The path in the short form for a finding at `path`.
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

struct Translator<'a, 'b> {
    node: &'a Node,
    place: &'a Place<'b>,
}

impl Translator<'_, '_> {
    fn translate(&self, options: &ShortFormOptions) -> Vec<Draft> {
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

    /// Only the expected status codes are a success.
    fn http(&self, options: &ShortFormOptions) -> Option<Draft> {
        let Some(url) = &options.url else {
            if options.expected_http.is_some() {
                let place = self.place.field("expected_http");
                place.error_at_key("expected_http needs url: add url, or remove this key");
            }
            return None;
        };
        let expected = options.expected_http.clone().unwrap_or(StatusRange::single(200));
        let status = Node::new(Mark::default(), Value::Plain(expected.to_string().into()));
        let mut keys = vec![
            ("url", text(url), "url"),
            (
                "valid_status_codes",
                Value::List(Rc::new(vec![status])),
                "expected_http",
            ),
        ];
        // An expected redirect must not be followed.
        if (300..400).contains(expected.codes().start()) && expected.codes().end() < &400 {
            let no = Value::Plain("false".into());
            keys.push(("follow_redirects", no, "expected_http"));
        }
        Some(Draft {
            kind: CheckKind::Http,
            keys,
            timeout: Some(HTTP_TIMEOUT),
            severity: Severity::Critical,
        })
    }

    /// The port is checked if `port` or `host` is given. The other one comes from the URL.
    fn tcp(&self, options: &ShortFormOptions) -> Option<Draft> {
        if options.port.is_none() && options.host.is_none() {
            return None;
        }
        let url = options.url.as_deref().and_then(|url| Url::parse(url).ok());
        let url_host = url.as_ref().and_then(|url| url.host_str());
        let Some(port) = options.port.or_else(|| url.as_ref()?.port_or_known_default()) else {
            // An invalid port or URL was reported already.
            if self.node.get("port").is_none() && options.url.is_none() {
                let place = self.place.field("host");
                place.error_at_key("host needs port or url: add the port to connect to");
            }
            return None;
        };
        if port == 0 {
            self.place
                .field("port")
                .error("0 is not a valid port: write 1 to 65535");
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
            timeout: Some(TCP_TIMEOUT),
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
            timeout: None,
            severity: Severity::Critical,
        })
    }

    fn process(&self, options: &ShortFormOptions) -> Option<Draft> {
        let texts = options.process_match.as_ref()?.iter();
        let texts = texts.map(|item| Node::new(Mark::default(), text(item))).collect();
        Some(Draft {
            kind: CheckKind::Process,
            keys: vec![("match", Value::List(Rc::new(texts)), "process_match")],
            timeout: None,
            severity: Severity::Warning,
        })
    }

    /// ChatStack's monitor never checked the container, so a failure only degrades the service.
    fn docker(&self, options: &ShortFormOptions) -> Option<Draft> {
        let container = options.container.as_ref()?;
        self.place.field("container").warn(
            "this check has severity warning, so a failure only degrades the service: for severity critical, add a check of \
             kind docker to checks",
        );
        Some(Draft {
            kind: CheckKind::Docker,
            keys: vec![("container", text(container), "container")],
            timeout: None,
            severity: Severity::Warning,
        })
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}
