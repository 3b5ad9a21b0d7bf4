//! Compares the sockets of a port with the settings. Pure functions.

use std::net::IpAddr;

use crate::check::executable;
use crate::check::port_scan::{Answer, HeldSocket, Holder, Socket, is_in_unit, unit};
use crate::check::proc_scan::MatchResult;
use crate::config::port::{Expect, PortSettings};

/// The settings of one run, with the user and the executable resolved.
#[derive(Clone, Copy, Debug)]
pub struct Criteria<'a> {
    /// The settings.
    pub settings: &'a PortSettings,
    /// The id of the user.
    pub user: Option<u32>,
    /// The paths of the executable.
    pub executables: Option<&'a [Vec<u8>]>,
}

/// The verdict about a port.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<'a> {
    /// As expected.
    Expected,
    /// No socket holds it.
    NotHeld,
    /// Sockets are bound to it, but nobody can send to them.
    NotOpen(Vec<&'a HeldSocket>),
    /// Only some addresses are held, but the wildcard address is expected.
    OnlySome(Vec<&'a HeldSocket>),
    /// Other programs hold it, or it should be free.
    Conflict(Vec<&'a HeldSocket>),
    /// The exporter may not read who holds it.
    Unknown(Vec<&'a HeldSocket>),
}

/// How a socket relates to the configured address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overlap {
    /// It is bound to the same address.
    Exact,
    /// It is bound to the wildcard address, which includes the configured one.
    Wildcard,
    /// It is bound to one of the addresses of the configured wildcard address.
    Part,
}

/// Returns the sockets that matter, and the verdict.
pub fn judge<'a>(criteria: Criteria<'_>, answer: &'a Answer) -> (Vec<&'a HeldSocket>, Verdict<'a>) {
    let relevant = relevant(criteria.settings, &answer.sockets);
    let verdict = match criteria.settings.expect {
        Expect::Free if relevant.is_empty() => Verdict::Expected,
        Expect::Free => Verdict::Conflict(relevant.clone()),
        Expect::Held => judge_held(criteria, answer, &relevant),
    };
    (relevant, verdict)
}

fn judge_held<'a>(criteria: Criteria<'_>, answer: &Answer, relevant: &[&'a HeldSocket]) -> Verdict<'a> {
    if relevant.is_empty() {
        return Verdict::NotHeld;
    }
    let open: Vec<&HeldSocket> = relevant
        .iter()
        .filter(|held| held.socket.is_open)
        .copied()
        .collect();
    if open.is_empty() {
        return Verdict::NotOpen(relevant.to_vec());
    }
    let with = |wanted: MatchResult| -> Vec<&'a HeldSocket> {
        let results = open
            .iter()
            .filter(|held| matches(criteria, answer, held) == wanted);
        results.copied().collect()
    };
    let others = with(MatchResult::No);
    if !others.is_empty() {
        return Verdict::Conflict(others);
    }
    let unknown = with(MatchResult::Unknown);
    if !unknown.is_empty() {
        return Verdict::Unknown(unknown);
    }
    if let Some(address) = criteria.settings.address
        && open
            .iter()
            .all(|held| overlap(&held.socket, address) == Some(Overlap::Part))
    {
        return Verdict::OnlySome(open);
    }
    Verdict::Expected
}

/// The sockets that can receive what is sent to the configured address and port. If a socket is bound to exactly that address,
/// the kernel does not use those on the wildcard address. For a free port, all of them are in the way.
fn relevant<'a>(settings: &PortSettings, sockets: &'a [HeldSocket]) -> Vec<&'a HeldSocket> {
    let Some(address) = settings.address else {
        return sockets.iter().collect();
    };
    let overlapping: Vec<_> = sockets
        .iter()
        .filter_map(|held| Some((held, overlap(&held.socket, address)?)))
        .collect();
    let is_exact_only = settings.expect == Expect::Held
        && !address.is_unspecified()
        && overlapping
            .iter()
            .any(|(held, overlap)| *overlap == Overlap::Exact && held.socket.is_open);
    overlapping
        .into_iter()
        .filter(|(_, overlap)| !is_exact_only || *overlap == Overlap::Exact)
        .map(|(held, _)| held)
        .collect()
}

/// Whether a socket overlaps with an address. A socket on `[::]` receives IPv4 too, unless it is known to refuse it.
fn overlap(socket: &Socket, address: IpAddr) -> Option<Overlap> {
    if socket.address == address {
        return Some(Overlap::Exact);
    }
    let is_same_version = socket.address.is_ipv4() == address.is_ipv4();
    let is_dual_stack = socket.address.is_ipv6() && socket.is_v6_only != Some(true);
    if socket.address.is_unspecified() {
        return (is_same_version || is_dual_stack).then_some(Overlap::Wildcard);
    }
    (is_same_version && address.is_unspecified()).then_some(Overlap::Part)
}

/// Whether the expected program holds a socket.
fn matches(criteria: Criteria<'_>, answer: &Answer, held: &HeldSocket) -> MatchResult {
    let user = criteria.user.map_or(MatchResult::Yes, |user| {
        MatchResult::known(user == held.socket.user)
    });
    user.and(|| matches_holder(criteria, answer, held))
}

/// Whether one process meets all criteria about processes. The unit can also be known from the socket.
fn matches_holder(criteria: Criteria<'_>, answer: &Answer, held: &HeldSocket) -> MatchResult {
    let settings = criteria.settings;
    let by_socket = unit_of_socket(&settings.units, held.cgroup.as_deref());
    let needs_process = criteria.executables.is_some() || settings.process.is_some();
    if !needs_process && by_socket == MatchResult::Yes {
        return MatchResult::Yes;
    }
    let mut result = MatchResult::No;
    for holder in &held.holders {
        match matches_process(criteria, holder).and(|| unit_of_holder(settings, by_socket, holder)) {
            MatchResult::Yes => return MatchResult::Yes,
            MatchResult::Unknown => result = MatchResult::Unknown,
            MatchResult::No => {}
        }
    }
    if !held.holders.is_empty() {
        return result;
    }
    match answer.survey.coverage {
        // No process holds it: it belongs to the kernel, or to a process in another pid namespace.
        Some(coverage) if coverage.is_complete() => MatchResult::No,
        _ if by_socket == MatchResult::No => MatchResult::No,
        _ => MatchResult::Unknown,
    }
}

fn matches_process(criteria: Criteria<'_>, holder: &Holder) -> MatchResult {
    let name = match &criteria.settings.process {
        None => MatchResult::Yes,
        Some(name) => MatchResult::known(name.as_bytes() == holder.name),
    };
    name.and(|| match (criteria.executables, &holder.executable) {
        (None, _) => MatchResult::Yes,
        (Some(_), None) => MatchResult::Unknown,
        (Some(wanted), Some(path)) => MatchResult::known(executable::is_one_of(path, wanted)),
    })
}

/// Whether the control group in which a socket was opened is that of an expected unit. systemd opens the sockets of socket
/// units and passes them to services, so the group of another socket unit proves nothing.
fn unit_of_socket(units: &[String], cgroup: Option<&str>) -> MatchResult {
    if units.is_empty() {
        return MatchResult::Yes;
    }
    let Some(path) = cgroup else {
        return MatchResult::Unknown;
    };
    if units.iter().any(|unit| is_in_unit(path, unit)) {
        return MatchResult::Yes;
    }
    match unit(path) {
        Some(other) if other != "init.scope" && !other.ends_with(".socket") => MatchResult::No,
        _ => MatchResult::Unknown,
    }
}

fn unit_of_holder(settings: &PortSettings, by_socket: MatchResult, holder: &Holder) -> MatchResult {
    if by_socket == MatchResult::Yes {
        return MatchResult::Yes;
    }
    match &holder.cgroup {
        Some(path) => MatchResult::known(settings.units.iter().any(|unit| is_in_unit(path, unit))),
        None => MatchResult::Unknown,
    }
}

#[cfg(test)]
mod tests;
