//! An entry of the allow list: its options and its rule.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::place::{Invalid, Place, all};
use crate::config::zone;

/// An entry of `probe.allow`. It allows targets that match all of its keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AllowOptions {
    /// Hosts of the target: names, *.example.org for all names below example.org, or addresses. Default: any.
    pub hosts: Vec<String>,
    /// Networks or addresses that the host may resolve to: 192.0.2.0/24, 2001:db8::/32. Default: any that is not special.
    pub networks: Vec<String>,
    /// Ports: 443 or "8000-8999". Default: any.
    pub ports: Vec<PortsText>,
    /// Unix sockets: absolute paths, with * for any part of a name.
    pub paths: Vec<String>,
}

/// A port, or a range of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PortsText {
    /// One port.
    One(#[schemars(range(min = 1))] u16),
    /// A range, as in "8000-8999".
    Range(#[schemars(regex(pattern = "^ *[0-9]{1,5} *(- *[0-9]{1,5} *)?$"))] String),
}

/// A resolved entry of the allow list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    hosts: Vec<HostPattern>,
    /// The networks of allowed addresses.
    pub networks: Vec<IpNet>,
    ports: Vec<RangeInclusive<u16>>,
    /// Patterns of Unix sockets.
    pub paths: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// Names with this suffix, which begins with a dot.
    Below(String),
    Exactly(String),
}

impl Rule {
    /// Whether host and port match. A rule with paths only matches none.
    pub fn matches(&self, host: &str, port: Option<u16>) -> bool {
        let has_only_paths = !self.paths.is_empty()
            && self.hosts.is_empty()
            && self.networks.is_empty()
            && self.ports.is_empty();
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        !has_only_paths
            && (self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(&host)))
            && (self.ports.is_empty()
                || port.is_some_and(|port| self.ports.iter().any(|range| range.contains(&port))))
    }

    /// Whether the address is in a network of this rule.
    pub fn has(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Exactly(name) => host == name,
        }
    }
}

/// Whether a path is absolute and has no component that is empty, `.` or `..`.
pub fn is_plain(path: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    path.strip_prefix('/')
        .is_some_and(|path| path.split('/').all(is_name))
}

/// Whether a path matches a pattern, in which `*` stands for any characters except slashes.
pub fn path_matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_matches(pattern, part) => {}
            _ => return false,
        }
    }
}

fn part_matches(pattern: &str, part: &str) -> bool {
    let mut literals = pattern.split('*');
    let Some(mut rest) = literals.next().and_then(|first| part.strip_prefix(first)) else {
        return false;
    };
    let mut literals: Vec<&str> = literals.collect();
    let Some(last) = literals.pop() else {
        return rest.is_empty();
    };
    for literal in literals {
        match rest.find(literal) {
            Some(position) => rest = &rest[position + literal.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl AllowOptions {
    /// Resolves the entry at `place`.
    pub(super) fn resolve(self, place: &Place<'_>) -> Result<Rule, Invalid> {
        if self.hosts.is_empty() && self.networks.is_empty() && self.ports.is_empty() && self.paths.is_empty()
        {
            return Err(
                place.error("the entry is empty and allows nothing: add hosts, networks, ports or paths")
            );
        }
        let hosts = resolve_each(&self.hosts, &place.field("hosts"), |text, place| {
            parse_host(text, place)
        });
        let networks = resolve_each(&self.networks, &place.field("networks"), |text, place| {
            parse_network(text, place)
        });
        let ports = resolve_each(&self.ports, &place.field("ports"), parse_ports);
        let paths = resolve_each(&self.paths, &place.field("paths"), |path, place| {
            match is_plain(path) {
                true => Ok(path.clone()),
                false => Err(place.error(
                    "not a plain path: write an absolute path without //, . and .., such as /run/*.sock",
                )),
            }
        });
        Ok(Rule {
            hosts: hosts?,
            networks: networks?,
            ports: ports?,
            paths: paths?,
        })
    }
}

fn resolve_each<T, U>(
    written: &[T],
    place: &Place<'_>,
    parse: impl Fn(&T, &Place<'_>) -> Result<U, Invalid>,
) -> Result<Vec<U>, Invalid> {
    let written = written.iter().enumerate();
    all(written.map(|(index, text)| parse(text, &place.index(index))))
}

fn parse_host(text: &str, place: &Place<'_>) -> Result<HostPattern, Invalid> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let pattern = match name.strip_prefix('*') {
        Some("") => HostPattern::Any,
        Some(suffix) if suffix.starts_with('.') => HostPattern::Below(suffix.to_owned()),
        _ => HostPattern::Exactly(zone::without_zone(name.trim_matches(['[', ']'])).to_owned()),
    };
    let is_wrong = match &pattern {
        HostPattern::Any => false,
        HostPattern::Below(name) | HostPattern::Exactly(name) => {
            name.is_empty() || name.contains(|c: char| c.is_whitespace() || "*/@".contains(c))
        }
    };
    match is_wrong {
        false => Ok(pattern),
        true => Err(place.error(format_args!(
            "\"{text}\" is not a host: write a name, an address, or *.example.org for all names below example.org"
        ))),
    }
}

fn parse_network(text: &str, place: &Place<'_>) -> Result<IpNet, Invalid> {
    let address = text.parse().map(|address: IpAddr| IpNet::from(address));
    address.or_else(|_| text.parse()).map_err(|_| {
        place.error(format_args!(
            "\"{text}\" is not a network: write 192.0.2.0/24, 2001:db8::/32 or an address"
        ))
    })
}

fn parse_ports(text: &PortsText, place: &Place<'_>) -> Result<RangeInclusive<u16>, Invalid> {
    let range = match text {
        PortsText::One(port) => Some(*port..=*port),
        PortsText::Range(text) => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let bounds = (first.trim().parse(), last.trim().parse());
            if let (Ok(first), Ok(last)) = bounds {
                Some(first..=last)
            } else {
                None
            }
        }
    };
    range
        .filter(|range| !range.is_empty() && *range.start() > 0)
        .ok_or_else(|| {
            place.error("not a port from 1 to 65535 or a range of ports: write 443 or \"8000-8999\"")
        })
}
