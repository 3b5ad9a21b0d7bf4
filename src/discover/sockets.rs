//! Lists the TCP ports that programs listen on, and who holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::facts::{Heard, Port};
use super::processes::{ancestors, program_of};
use crate::check::port_scan::{Answer, Detail, HeldSocket, PortScanError, Question, scan_blocking, unit};
use crate::check::proc_scan::{ProcRoot, ProcessPath};
use crate::config::port::Protocol;

/// How many ports are examined, lowest first. A machine with 500 services has fewer than 1,000.
pub const MAX_PORTS: usize = 2000;

/// The group of systemd itself.
const SYSTEMD: &str = "init.scope";

/// The ports that programs listen on.
#[derive(Debug, Default)]
pub struct Sockets {
    /// The ports, by number.
    pub ports: Vec<Port>,
    /// What could not be seen.
    pub gaps: BTreeSet<String>,
    /// Whether their holders were searched.
    pub has_holders: bool,
    /// Why the ports are not known.
    pub problem: Option<String>,
}

impl Sockets {
    /// The numbers of the ports.
    pub fn numbers(&self) -> BTreeSet<u16> {
        self.ports.iter().map(|port| port.number).collect()
    }
}

/// Lists the ports. Calls `early` with the ports without their holders, because searching the processes in the /proc mounted at `procfs`
/// takes up to seconds. Blocks.
///
/// # Errors
/// If the sockets can't be listed.
pub fn list(procfs: &Path, early: impl FnOnce(Sockets)) -> Result<Sockets, PortScanError> {
    let held = scan_blocking(procfs, &[question(0, Detail::Sockets, true)])?;
    let held = held
        .first()
        .and_then(|answer| answer.survey.held(Protocol::Tcp))
        .cloned();
    let Some(held) = held else {
        return Ok(Sockets {
            has_holders: true,
            ..Sockets::default()
        });
    };
    let numbers: Vec<u16> = (1..=u16::MAX).filter(|port| held.contains(*port)).collect();
    let mut found = Sockets::default();
    if numbers.len() > MAX_PORTS {
        let gap = format!("more than {MAX_PORTS} ports are in use; only the lowest were examined");
        found.gaps.insert(gap);
    }
    let questions = |detail: Detail| -> Vec<Question> {
        let numbers = numbers.iter().take(MAX_PORTS);
        numbers.map(|port| question(*port, detail, false)).collect()
    };
    let root = ProcRoot::open(procfs).ok();
    let answers = scan_blocking(procfs, &questions(Detail::Sockets))?;
    let own_sockets = root.as_ref().map(own_sockets).unwrap_or_default();
    let is_other = |answer: &&Answer| {
        let mut sockets = answer.sockets.iter();
        !sockets.any(|held| own_sockets.contains(&held.socket.inode))
    };
    early(Sockets {
        ports: answers
            .iter()
            .filter(is_other)
            .filter_map(|answer| port(answer, root.as_ref(), &BTreeSet::new()))
            .collect(),
        ..Sockets::default()
    });
    let answers = scan_blocking(procfs, &questions(Detail::FreshHolders))?;
    found.has_holders = true;
    let own = root.as_ref().and_then(ProcRoot::own_process);
    let ancestors = root.as_ref().map(ancestors).unwrap_or_default();
    for answer in &answers {
        if is_own(answer, own) {
            continue;
        }
        found.ports.extend(port(answer, root.as_ref(), &ancestors));
    }
    if let Some(coverage) = answers.first().and_then(|answer| answer.survey.coverage) {
        found.gaps.extend(gaps(&found.ports, coverage.is_complete()));
    }
    Ok(found)
}

const fn question(port: u16, detail: Detail, needs_held_ports: bool) -> Question {
    Question {
        protocol: Protocol::Tcp,
        port,
        detail,
        needs_held_ports,
    }
}

/// The numbers of this process's own sockets.
fn own_sockets(root: &ProcRoot) -> BTreeSet<u64> {
    let Some(own) = root.own_process() else {
        return BTreeSet::new();
    };
    let mut path = ProcessPath::default();
    path.set_process(own);
    let mut found = BTreeSet::new();
    let _ = root.each_descriptor(path.file("fd"), |_, target| {
        let target = std::str::from_utf8(target).unwrap_or_default();
        let number = target
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'));
        found.extend(number.and_then(|number| number.parse::<u64>().ok()));
    });
    found
}

/// Whether the exporter itself holds the port.
fn is_own(answer: &Answer, own: Option<i32>) -> bool {
    let mut holders = answer.sockets.iter().flat_map(|held| &held.holders);
    holders.any(|holder| Some(holder.process) == own)
}

fn gaps(ports: &[Port], is_complete: bool) -> Option<String> {
    let unknown = ports
        .iter()
        .any(|port| port.program.is_none() && !port.is_activated);
    (unknown && !is_complete).then(|| {
        "the programs of some ports are not known: run it as root, or with CAP_SYS_PTRACE in the pid namespace of the host".to_owned()
    })
}

/// The port of an answer; `None` if nothing listens on it any more.
fn port(answer: &Answer, root: Option<&ProcRoot>, ancestors: &BTreeSet<i32>) -> Option<Port> {
    let open: Vec<&HeldSocket> = answer.sockets.iter().filter(|held| held.socket.is_open).collect();
    let first = open.first()?;
    let units: BTreeMap<String, bool> = open.iter().filter_map(|held| unit_of(held)).collect();
    let is_activated = open.iter().any(|held| is_of_systemd(held));
    let holder = open
        .iter()
        .flat_map(|held| &held.holders)
        .find(|holder| holder.process != 1);
    // Two units can hold one port on different addresses. Then no check can name one of them.
    let (unit, is_unit_visible) = match units.len() {
        1 => units
            .into_iter()
            .next()
            .map_or((None, false), |(unit, is)| (Some(unit), is)),
        _ => (None, false),
    };
    Some(Port {
        number: first.socket.port,
        addresses: open.iter().flat_map(|held| addresses(held)).collect(),
        is_unit_visible: is_unit_visible && open.iter().all(|held| held.cgroup.is_some()),
        unit,
        is_activated,
        // Without /proc, no holder was found.
        program: holder
            .zip(root)
            .map(|(holder, root)| program_of(root, ancestors, holder)),
        heard: Heard::NotAsked,
    })
}

/// The addresses of a socket. One on the IPv6 wildcard address also receives IPv4, unless its program refuses that.
fn addresses(held: &HeldSocket) -> impl Iterator<Item = IpAddr> {
    let address = held.socket.address;
    let is_dual = address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && held.socket.is_v6_only == Some(false);
    let v4 = is_dual.then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    [Some(address), v4].into_iter().flatten()
}

/// The unit of a socket, and whether the kernel says so for the socket itself.
fn unit_of(held: &HeldSocket) -> Option<(String, bool)> {
    let of_socket = held.cgroup.as_deref().and_then(unit);
    let of_process = || {
        let holders = held.holders.iter().filter_map(|holder| holder.cgroup.as_deref());
        holders.filter_map(unit).find(|unit| *unit != SYSTEMD)
    };
    match of_socket {
        Some(SYSTEMD) | None => of_process().map(|unit| (unit.to_owned(), false)),
        Some(unit) => Some((unit.to_owned(), true)),
    }
}

/// Whether systemd holds the socket, so that a connection may start a service.
fn is_of_systemd(held: &HeldSocket) -> bool {
    let of_socket = held.cgroup.as_deref().and_then(unit);
    let is_held_by_first = held
        .holders
        .iter()
        .any(|holder| holder.process == 1 && matches!(&*holder.name, b"systemd" | b"init"));
    is_held_by_first || of_socket.is_some_and(|unit| unit == SYSTEMD || unit.ends_with(".socket"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// The test's own listener is left out: it belongs to the process that discovers.
    #[test]
    fn own_ports_are_left_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let mut early = None;
        let found = list(Path::new("/proc"), |sockets| early = Some(sockets)).unwrap();
        let early = early.unwrap();
        assert!(found.has_holders && !early.has_holders);
        assert!(!found.numbers().contains(&own) && !early.numbers().contains(&own));
    }
}
