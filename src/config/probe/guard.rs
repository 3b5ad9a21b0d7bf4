//! What `/probe` may connect to. A pure judgement: from a host, an address and a port to a verdict.
//!
//! Whoever may ask for probes chooses the target, so an exporter without a guard is a door into the networks it stands in.
//! Names are judged after they were resolved, since a name can lead anywhere.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::place::{Invalid, Place};

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

/// What may be connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// `None`: everything that is not special.
    rules: Option<Vec<Rule>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    hosts: Vec<HostPattern>,
    networks: Vec<IpNet>,
    ports: Vec<RangeInclusive<u16>>,
    paths: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// Names below this one, which begins with a dot.
    Below(String),
    Exactly(String),
}

/// Why a connection is refused; the words are the values of the label `cause`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// No entry of the allow-list fits.
    NotAllowed,
    /// The address is special, and no entry names its network.
    Special(AddressClass),
}

/// Addresses that are no targets unless they are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressClass {
    /// This machine (RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3), `0.0.0.0` and `::`, which lead to it, included.
    Loopback,
    /// The services by which clouds tell a machine its secrets.
    Metadata,
    /// Neighbours without a router (RFC 3927; RFC 4291, section 2.5.6).
    LinkLocal,
    /// Groups and everybody (RFC 5771; RFC 4291, section 2.7; RFC 919).
    Multicast,
}

/// Addresses of metadata services: AWS, Google, Azure and others; AWS for containers; Alibaba; AWS over IPv6.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

impl AddressClass {
    /// The class of an address, where it is special.
    pub fn of(address: IpAddr) -> Option<Self> {
        let address = canonical(address);
        let is_this_network = matches!(address, IpAddr::V4(address) if address.octets()[0] == 0);
        match address {
            address if METADATA.contains(&address) => Some(Self::Metadata),
            address if address.is_loopback() || address.is_unspecified() || is_this_network => {
                Some(Self::Loopback)
            }
            IpAddr::V4(address) if address.is_link_local() => Some(Self::LinkLocal),
            IpAddr::V6(address) if address.is_unicast_link_local() => Some(Self::LinkLocal),
            IpAddr::V4(address) if address.octets()[0] >= 240 => Some(Self::Multicast),
            address if address.is_multicast() => Some(Self::Multicast),
            _ => None,
        }
    }

    /// The word in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Metadata => "metadata",
            Self::LinkLocal => "link_local",
            Self::Multicast => "multicast",
        }
    }
}

/// The address that packets really go to: of IPv6 forms that carry an IPv4 address (RFC 4291, section 2.5.5; RFC 6052,
/// section 2.1; RFC 3056, section 2) that one.
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let segments = v6.segments();
    let [.., high, low] = segments;
    let embedded = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)).into();
    match segments {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(high, low),
        [0, 0, 0, 0, 0, 0, ..] if !v6.is_loopback() && !v6.is_unspecified() => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        _ => address,
    }
}

impl Guard {
    /// Reads the list at `place`.
    pub(super) fn resolve(written: Option<Vec<AllowOptions>>, place: &Place<'_>) -> Result<Self, Invalid> {
        let Some(written) = written else {
            return Ok(Self::default());
        };
        let mut rules = Ok(Vec::new());
        for (index, options) in written.into_iter().enumerate() {
            match (options.resolve(&place.index(index)), &mut rules) {
                (Ok(rule), Ok(rules)) => rules.push(rule),
                (Err(Invalid), rules) => *rules = Err(Invalid),
                (Ok(_), Err(Invalid)) => {}
            }
        }
        Ok(Self { rules: Some(rules?) })
    }

    /// Judges an address of `host` before it is connected to.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge(&self, host: &str, address: IpAddr, port: Option<u16>) -> Result<(), Refusal> {
        let address = canonical(address);
        let class = AddressClass::of(address);
        let Some(rules) = &self.rules else {
            return class.map_or(Ok(()), |class| Err(Refusal::Special(class)));
        };
        let mut fitting = rules.iter().filter(|rule| rule.fits(host, port)).peekable();
        let Some(class) = class else {
            return match fitting.any(|rule| rule.networks.is_empty() || rule.has(address)) {
                true => Ok(()),
                false => Err(Refusal::NotAllowed),
            };
        };
        if fitting.peek().is_none() {
            return Err(Refusal::NotAllowed);
        }
        // "Everything" does not mean these: the network has to lie within theirs.
        let named = |network: &IpNet| {
            let ends = [network.network(), network.broadcast()].map(AddressClass::of);
            ends == [Some(class); 2] && network.contains(&address)
        };
        match fitting.any(|rule| rule.networks.iter().any(named)) {
            true => Ok(()),
            false => Err(Refusal::Special(class)),
        }
    }

    /// Judges what a request asks for before anything is resolved: refuses what no address could make right.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_request(&self, host: &str, port: Option<u16>) -> Result<(), Refusal> {
        if let Ok(address) = host.parse() {
            return self.judge(host, address, port);
        }
        match &self.rules {
            Some(rules) if !rules.iter().any(|rule| rule.fits(host, port)) => Err(Refusal::NotAllowed),
            _ => Ok(()),
        }
    }

    /// Judges the path of a Unix socket: these are allowed only by name.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_path(&self, path: &str) -> Result<(), Refusal> {
        let is_plain = path.starts_with('/') && !path.split('/').any(|part| part == "..");
        let patterns = self.rules.iter().flatten().flat_map(|rule| &rule.paths);
        match is_plain && patterns.clone().any(|pattern| path_fits(pattern, path)) {
            true => Ok(()),
            false => Err(Refusal::NotAllowed),
        }
    }
}

impl Rule {
    /// Whether host and port are of this rule. One that has only paths has none.
    fn fits(&self, host: &str, port: Option<u16>) -> bool {
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

    fn has(&self, address: IpAddr) -> bool {
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

/// Whether a path fits a pattern, in which `*` stands for any characters but slashes.
fn path_fits(pattern: &str, path: &str) -> bool {
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
    fn resolve(self, place: &Place<'_>) -> Result<Rule, Invalid> {
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
            match path.starts_with('/') && !path.contains("/../") {
                true => Ok(path.clone()),
                false => {
                    Err(place.error("a path is absolute and has no .. in it: write one such as /run/*.sock"))
                }
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
        _ => HostPattern::Exactly(name.trim_matches(['[', ']']).to_owned()),
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

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NotAllowed,
        Self::Special(AddressClass::Loopback),
        Self::Special(AddressClass::Metadata),
        Self::Special(AddressClass::LinkLocal),
        Self::Special(AddressClass::Multicast),
    ];

    /// The word in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::Special(class) => class.as_str(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("no entry of probe.allow fits"),
            Self::Special(class) => {
                let what = match class {
                    AddressClass::Loopback => "a loopback address",
                    AddressClass::Metadata => "the address of a metadata service",
                    AddressClass::LinkLocal => "a link-local address",
                    AddressClass::Multicast => "a multicast or broadcast address",
                };
                write!(f, "{what} is refused unless probe.allow names its network")
            }
        }
    }
}

#[cfg(test)]
mod tests;
