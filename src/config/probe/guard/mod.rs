//! What `/probe` may connect to. A pure judgement: from a host, an address and a port to a verdict.
//!
//! Whoever may ask for probes chooses the target, so an exporter without a guard is a door into the networks it stands in.
//! Names are judged after they were resolved, since a name can lead anywhere.

mod class;
mod rule;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use class::canonical;
use rule::{Rule, path_fits};

pub use class::AddressClass;
pub use rule::AllowOptions;

use crate::config::place::{Invalid, Place};
use crate::config::zone;

/// What may be connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardRules {
    /// `None`: everything that is not special.
    rules: Option<Vec<Rule>>,
}

/// Why a connection is refused; the words are the values of the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetRefusal {
    /// No entry of the allow-list fits.
    NotAllowed,
    /// The address is special, and no entry names its network.
    Special(AddressClass),
}

impl GuardRules {
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
    pub fn judge(&self, host: &str, address: IpAddr, port: Option<u16>) -> Result<(), TargetRefusal> {
        let host = zone::without(host);
        let address = canonical(address);
        let class = AddressClass::of(address);
        let Some(rules) = &self.rules else {
            return class.map_or(Ok(()), |class| Err(TargetRefusal::Special(class)));
        };
        let mut fitting = rules.iter().filter(|rule| rule.fits(host, port)).peekable();
        let Some(class) = class else {
            return match fitting.any(|rule| rule.networks.is_empty() || rule.has(address)) {
                true => Ok(()),
                false => Err(TargetRefusal::NotAllowed),
            };
        };
        if fitting.peek().is_none() {
            return Err(TargetRefusal::NotAllowed);
        }
        // "Everything" does not mean these: the network has to lie within theirs.
        let named = |network: &IpNet| {
            let ends = [network.network(), network.broadcast()].map(AddressClass::of);
            ends == [Some(class); 2] && network.contains(&address)
        };
        match fitting.any(|rule| rule.networks.iter().any(named)) {
            true => Ok(()),
            false => Err(TargetRefusal::Special(class)),
        }
    }

    /// Judges what a request asks for before anything is resolved: refuses what no address could make right.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_request(&self, host: &str, port: Option<u16>) -> Result<(), TargetRefusal> {
        // An address is what it is at every interface.
        let host = zone::without(host);
        if let Ok(address) = host.parse() {
            return self.judge(host, address, port);
        }
        match &self.rules {
            Some(rules) if !rules.iter().any(|rule| rule.fits(host, port)) => Err(TargetRefusal::NotAllowed),
            _ => Ok(()),
        }
    }

    /// Judges what a proxy is asked for. It resolves names itself, so that nobody here learns where they lead: a rule that
    /// demands a network fits no name.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_proxied(&self, host: &str, port: u16) -> Result<(), TargetRefusal> {
        let host = zone::without(host);
        if let Ok(address) = host.parse() {
            return self.judge(host, address, Some(port));
        }
        if let Some(class) = AddressClass::of_name(host) {
            return Err(TargetRefusal::Special(class));
        }
        let fits = |rule: &Rule| rule.networks.is_empty() && rule.fits(host, Some(port));
        match &self.rules {
            Some(rules) if !rules.iter().any(fits) => Err(TargetRefusal::NotAllowed),
            _ => Ok(()),
        }
    }

    /// Judges the path of a Unix socket: these are allowed only by name.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_path(&self, path: &str) -> Result<(), TargetRefusal> {
        let is_plain = rule::is_plain(path);
        let patterns = self.rules.iter().flatten().flat_map(|rule| &rule.paths);
        match is_plain && patterns.clone().any(|pattern| path_fits(pattern, path)) {
            true => Ok(()),
            false => Err(TargetRefusal::NotAllowed),
        }
    }
}

impl TargetRefusal {
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

impl fmt::Display for TargetRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str(
                "no entry of probe.allow fits, and what no entry names is refused (docs/PROBE.md)",
            ),
            Self::Special(class) => {
                let what = match class {
                    AddressClass::Loopback => "a loopback address",
                    AddressClass::Metadata => "the address of a metadata service",
                    AddressClass::LinkLocal => "a link-local address",
                    AddressClass::Multicast => "a multicast or broadcast address",
                };
                write!(
                    f,
                    "{what} is refused unless probe.allow names its network (and then all else that is to be probed: docs/PROBE.md)"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
