//! The guard of `/probe`: decides which hosts, addresses and ports a probe may connect to. Pure functions.
//!
//! Clients of `/probe` choose the target, so an exporter without a guard would give them access to its networks. Names are
//! judged by the addresses that they resolve to, since a name can resolve to any address.

mod class;
mod rule;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use class::canonical;
use rule::{Rule, path_matches};

pub use class::AddressClass;
pub use rule::AllowOptions;

use crate::config::place::{Invalid, Place, all};
use crate::config::zone;

/// The rules for targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardRules {
    /// The allow list. `None` allows all addresses that are not special.
    rules: Option<Vec<Rule>>,
}

/// The reason of a refusal, a value of the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetRefusal {
    /// No entry of the allow list matches.
    NotAllowed,
    /// The address is special, and no entry names its network.
    Special(AddressClass),
}

impl GuardRules {
    /// Resolves the allow list at `place`.
    pub(super) fn resolve(written: Option<Vec<AllowOptions>>, place: &Place<'_>) -> Result<Self, Invalid> {
        let Some(written) = written else {
            return Ok(Self::default());
        };
        let rules = written.into_iter().enumerate();
        let rules = all(rules.map(|(index, options)| options.resolve(&place.index(index))))?;
        Ok(Self { rules: Some(rules) })
    }

    /// Judges an address of `host` before a probe connects to it.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn judge(&self, host: &str, address: IpAddr, port: Option<u16>) -> Result<(), TargetRefusal> {
        let host = zone::without_zone(host);
        let address = canonical(address);
        let class = AddressClass::of(address);
        let Some(rules) = &self.rules else {
            return class.map_or(Ok(()), |class| Err(TargetRefusal::Special(class)));
        };
        let mut matching = rules.iter().filter(|rule| rule.matches(host, port)).peekable();
        let Some(class) = class else {
            return match matching.any(|rule| rule.networks.is_empty() || rule.has(address)) {
                true => Ok(()),
                false => Err(TargetRefusal::NotAllowed),
            };
        };
        if matching.peek().is_none() {
            return Err(TargetRefusal::NotAllowed);
        }
        // A network such as 0.0.0.0/0 does not allow special addresses: the whole network must be special.
        let is_named = |network: &IpNet| {
            let ends = [network.network(), network.broadcast()].map(AddressClass::of);
            ends == [Some(class); 2] && network.contains(&address)
        };
        match matching.any(|rule| rule.networks.iter().any(is_named)) {
            true => Ok(()),
            false => Err(TargetRefusal::Special(class)),
        }
    }

    /// Judges the target of a request before name resolution. Refuses targets that no address could make allowed.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn judge_request(&self, host: &str, port: Option<u16>) -> Result<(), TargetRefusal> {
        // The zone does not matter for the guard.
        let host = zone::without_zone(host);
        if let Ok(address) = host.parse() {
            return self.judge(host, address, port);
        }
        match &self.rules {
            Some(rules) if !rules.iter().any(|rule| rule.matches(host, port)) => {
                Err(TargetRefusal::NotAllowed)
            }
            _ => Ok(()),
        }
    }

    /// Judges the target of a request to a proxy. The proxy resolves names, so their addresses are unknown here: a rule with
    /// networks matches no name.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn judge_proxied(&self, host: &str, port: u16) -> Result<(), TargetRefusal> {
        let host = zone::without_zone(host);
        if let Ok(address) = host.parse() {
            return self.judge(host, address, Some(port));
        }
        if let Some(class) = AddressClass::from_name(host) {
            return Err(TargetRefusal::Special(class));
        }
        let matches = |rule: &Rule| rule.networks.is_empty() && rule.matches(host, Some(port));
        match &self.rules {
            Some(rules) if !rules.iter().any(matches) => Err(TargetRefusal::NotAllowed),
            _ => Ok(()),
        }
    }

    /// Judges the path of a Unix socket, which is allowed only if an entry names it.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn judge_path(&self, path: &str) -> Result<(), TargetRefusal> {
        let is_plain = rule::is_plain(path);
        let patterns = self.rules.iter().flatten().flat_map(|rule| &rule.paths);
        match is_plain && patterns.clone().any(|pattern| path_matches(pattern, path)) {
            true => Ok(()),
            false => Err(TargetRefusal::NotAllowed),
        }
    }
}

impl TargetRefusal {
    /// All reasons.
    pub const ALL: [Self; 5] = [
        Self::NotAllowed,
        Self::Special(AddressClass::Loopback),
        Self::Special(AddressClass::Metadata),
        Self::Special(AddressClass::LinkLocal),
        Self::Special(AddressClass::Multicast),
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::Special(class) => class.as_str(),
        }
    }
}

impl fmt::Display for TargetRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("no entry of probe.allow matches (docs/PROBE.md)"),
            Self::Special(class) => {
                let what = match class {
                    AddressClass::Loopback => "a loopback address",
                    AddressClass::Metadata => "the address of a metadata service",
                    AddressClass::LinkLocal => "a link-local address",
                    AddressClass::Multicast => "a multicast or broadcast address",
                };
                write!(
                    f,
                    "{what} is refused unless probe.allow names its network (together with all other targets: docs/PROBE.md)"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
