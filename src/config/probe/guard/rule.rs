//! An entry of the allow-list: what it allows, and how it is written.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::place::{Invalid, Place};
use crate::config::zone;

/// An entry of `probe.allow`, as written. It allows what fits all of its keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AllowOptions {
    /// Hosts as they are asked for: names, `*.example.org` for all below, addresses. Default: any.
    pub hosts: Vec<String>,
    /// Networks or addresses that the host's address is of: 192.0.2.0/24, 2001:db8::/32. Default: any that is not special.
    pub networks: Vec<String>,
    /// Ports: 443, "8000-8999". Default: any.
    pub ports: Vec<PortsText>,
    /// Unix sockets: absolute paths, with * for any part of a name.
    pub paths: Vec<String>,
}

/// A port, or a range of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PortsText {
    /// One port.
    One(u16),
    /// A range, as in "8000-8999".
    Range(String),
}

/// An entry of the allow-list, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    hosts: Vec<HostPattern>,
    /// Networks that the address is of.
    pub networks: Vec<IpNet>,
    ports: Vec<RangeInclusive<u16>>,
    /// Patterns of Unix sockets.
    pub paths: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// Names below this one, which begins with a dot.
    Below(String),
    Exactly(String),
}

impl Rule {
    /// Whether host and port are of this rule. One that has only paths has none.
    pub fn fits(&self, host: &str, port: Option<u16>) -> bool {
        let is_of_paths = !self.paths.is_empty()
            && self.hosts.is_empty()
            && self.networks.is_empty()
            && self.ports.is_empty();
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        !is_of_paths
            && (self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.fits(&host)))
            && (self.ports.is_empty()
                || port.is_some_and(|port| self.ports.iter().any(|range| range.contains(&port))))
    }

    /// Whether a network of this rule has the address.
    pub fn has(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

impl HostPattern {
    fn fits(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Exactly(name) => host == name,
        }
    }
}

/// Whether a path is absolute and names each of its directories once: `*` stands for a name, and a part that is empty, `.` or
/// `..` is none.
pub fn is_plain(path: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    path.strip_prefix('/')
        .is_some_and(|path| path.split('/').all(is_name))
}

/// Whether a path fits a pattern, in which `*` stands for any characters but slashes.
pub fn path_fits(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_fits(pattern, part) => {}
            _ => return false,
        }
    }
}

fn part_fits(pattern: &str, part: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| part.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(position) => rest = &rest[position + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl AllowOptions {
    /// Reads the entry at `place`.
    pub(super) fn resolve(self, place: &Place<'_>) -> Result<Rule, Invalid> {
        if self.hosts.is_empty() && self.networks.is_empty() && self.ports.is_empty() && self.paths.is_empty()
        {
            return Err(place.error("an empty entry allows nothing: give hosts, networks, ports or paths"));
        }
        let hosts = each(&self.hosts, &place.field("hosts"), |text, place| {
            host(text, place)
        });
        let networks = each(&self.networks, &place.field("networks"), |text, place| {
            network(text, place)
        });
        let ports = each(&self.ports, &place.field("ports"), |text, place| {
            ports(text, place)
        });
        let paths = each(&self.paths, &place.field("paths"), |path, place| {
            match is_plain(path) {
                true => Ok(path.clone()),
                false => Err(place.error(
                    "a path is absolute and has no //, . or .. in it, as no path that is asked for may: write one such as /run/*.sock",
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

/// All of them, or what is wrong with any.
fn each<T, U>(
    written: &[T],
    place: &Place<'_>,
    read: impl Fn(&T, &Place<'_>) -> Result<U, Invalid>,
) -> Result<Vec<U>, Invalid> {
    let read: Vec<_> = written
        .iter()
        .enumerate()
        .map(|(index, text)| read(text, &place.index(index)))
        .collect();
    read.into_iter().collect()
}

fn host(text: &str, place: &Place<'_>) -> Result<HostPattern, Invalid> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let pattern = match name.strip_prefix('*') {
        Some("") => HostPattern::Any,
        Some(suffix) if suffix.starts_with('.') => HostPattern::Below(suffix.to_owned()),
        _ => HostPattern::Exactly(zone::without(name.trim_matches(['[', ']'])).to_owned()),
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
            "\"{text}\" is no host: write a name, *.example.org for all names below one, or an address"
        ))),
    }
}

fn network(text: &str, place: &Place<'_>) -> Result<IpNet, Invalid> {
    let address = text.parse().map(|address: IpAddr| IpNet::from(address));
    address.or_else(|_| text.parse()).map_err(|_| {
        place.error(format_args!(
            "\"{text}\" is no network: write one such as 192.0.2.0/24 or 2001:db8::/32, or an address"
        ))
    })
}

fn ports(text: &PortsText, place: &Place<'_>) -> Result<RangeInclusive<u16>, Invalid> {
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
            place.error("this is no port from 1 to 65535 and no range: write 443 or \"8000-8999\"")
        })
}
