//! One scan for all waiting requests: lists the sockets of their ports, and finds the control groups and the processes of these
//! sockets.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::cgroup::Cgroups;
use super::error::PortScanError;
use super::holders::{Coverage, Holders};
use super::listing::{Lister, Wanted};
use super::port_set::PortSet;
use super::socket::{HeldSocket, Socket};
use crate::check::proc_scan::ProcRoot;
use crate::config::port::Protocol;

/// How often sockets are listed again because holders ended during the search.
const MAX_ROUNDS: usize = 3;

/// The protocols, in the order of [`Survey::held`].
const PROTOCOLS: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

/// How much a request needs to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The sockets with their users and control groups.
    #[default]
    Sockets,
    /// Also the processes, as found by this search or an earlier one.
    Holders,
    /// Also the processes, as found by this search.
    FreshHolders,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
    /// How much to find out.
    pub detail: Detail,
    /// Whether the held ports of the protocol are needed, for a suggestion.
    pub needs_held_ports: bool,
}

/// The result of a scan for one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The sockets of the port.
    pub sockets: Vec<HeldSocket>,
    /// The data that all requests of the scan share.
    pub survey: Arc<Survey>,
}

/// What one scan found independently of requests.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The held ports of TCP and of UDP, if a request needed them.
    pub held: [Option<PortSet>; 2],
    /// The limits of the search for processes. Without a search, nothing is known about processes.
    pub coverage: Option<Coverage>,
    /// The error of sock_diag, if the sockets were read from /proc/net.
    pub netlink_error: Option<Errno>,
}

impl Survey {
    /// The held ports of a protocol, if a request needed them.
    pub const fn held(&self, protocol: Protocol) -> Option<&PortSet> {
        self.held[protocol as usize].as_ref()
    }
}

/// What is remembered from scan to scan.
#[derive(Debug, Default)]
pub struct Memory {
    cgroups: Cgroups,
    holders: Holders,
}

/// Scans for all of `questions`. The answers are in the same order.
///
/// # Errors
/// See [`PortScanError`].
pub fn scan(
    procfs: &Path,
    questions: &[Question],
    memory: &mut Memory,
) -> Result<Vec<Answer>, PortScanError> {
    let wanted = PROTOCOLS.map(|protocol| {
        let mine = || {
            questions
                .iter()
                .filter(move |question| question.protocol == protocol)
        };
        Wanted {
            ports: mine().map(|question| question.port).collect(),
            needs_held_ports: mine().any(|question| question.needs_held_ports),
        }
    });
    let mut lister = Lister::new(procfs)?;
    let mut survey = Survey::default();
    let mut sockets = Vec::new();
    for protocol in PROTOCOLS {
        let listing = lister.list(protocol, &wanted[protocol as usize])?;
        sockets.extend(listing.sockets);
        survey.held[protocol as usize] = listing.held;
    }
    let searched: HashSet<(Protocol, u16)> = questions
        .iter()
        .filter(|question| question.detail > Detail::Sockets)
        .map(|question| (question.protocol, question.port))
        .collect();
    if !searched.is_empty() {
        let root = ProcRoot::open(procfs).map_err(|cause| processes_error(procfs, cause))?;
        let is_fresh = questions
            .iter()
            .any(|question| question.detail == Detail::FreshHolders);
        let list = || {
            let mut sockets = Vec::new();
            for protocol in PROTOCOLS {
                sockets.extend(lister.list(protocol, &wanted[protocol as usize])?.sockets);
            }
            Ok(sockets)
        };
        let search = |inodes: &HashSet<u64>| {
            let holders = &mut memory.holders;
            let coverage = match !is_fresh && holders.are_current(&root, inodes) {
                true => Coverage::default(),
                false => holders
                    .search(&root, inodes)
                    .map_err(|cause| processes_error(procfs, cause))?,
            };
            let held = inodes.iter().copied().filter(|inode| holders.has(*inode));
            Ok((held.collect(), coverage))
        };
        survey.coverage = Some(settle(&mut sockets, &searched, list, search)?);
    }
    survey.netlink_error = lister.netlink_error();
    memory
        .cgroups
        .update(&sockets.iter().filter_map(|socket| socket.cgroup).collect());
    Ok(answer(questions, sockets, memory, survey))
}

fn processes_error(procfs: &Path, cause: Errno) -> PortScanError {
    PortScanError::Processes {
        path: procfs.to_owned(),
        cause,
    }
}

/// Searches the holders of the sockets with a port in `searched`. A holder can end between the list of sockets and the search.
/// So sockets without a holder are listed again. A holder can also fork during the search and end before its turn, so that its child,
/// which is not in the list of processes yet, holds the socket. So sockets that no process seems to hold are searched again.
fn settle<E>(
    sockets: &mut Vec<Socket>,
    searched: &HashSet<(Protocol, u16)>,
    mut list: impl FnMut() -> Result<Vec<Socket>, E>,
    mut search: impl FnMut(&HashSet<u64>) -> Result<(HashSet<u64>, Coverage), E>,
) -> Result<Coverage, E> {
    let inodes = |sockets: &[Socket]| -> HashSet<u64> {
        let mine = sockets
            .iter()
            .filter(|socket| searched.contains(&(socket.protocol, socket.port)));
        mine.map(|socket| socket.inode).collect()
    };
    let mut wanted = inodes(sockets);
    let mut is_repeated = false;
    for _ in 0..MAX_ROUNDS {
        if wanted.is_empty() {
            return Ok(Coverage::default());
        }
        let (held, coverage) = search(&wanted)?;
        if wanted.is_subset(&held) {
            return Ok(coverage);
        }
        *sockets = list()?;
        let now = inodes(sockets);
        if now == wanted && (is_repeated || !coverage.is_complete()) {
            return Ok(coverage);
        }
        is_repeated = now == wanted;
        wanted = now;
    }
    // The sockets change all the time. Their holders were not searched.
    Ok(Coverage {
        is_unsettled: true,
        ..Coverage::default()
    })
}

fn answer(questions: &[Question], sockets: Vec<Socket>, memory: &Memory, survey: Survey) -> Vec<Answer> {
    let mut by_port: HashMap<(Protocol, u16), Vec<HeldSocket>> = HashMap::new();
    for socket in sockets {
        let held = HeldSocket {
            cgroup: socket
                .cgroup
                .and_then(|id| memory.cgroups.path(id))
                .map(str::to_owned),
            holders: match survey.coverage {
                Some(_) => memory.holders.of(socket.inode),
                None => Vec::new(),
            },
            socket,
        };
        let key = (held.socket.protocol, held.socket.port);
        by_port.entry(key).or_default().push(held);
    }
    for sockets in by_port.values_mut() {
        sockets.sort_by_key(|held| (held.socket.address, held.socket.inode));
    }
    let survey = Arc::new(survey);
    let answers = questions.iter().map(|question| Answer {
        sockets: by_port
            .get(&(question.protocol, question.port))
            .cloned()
            .unwrap_or_default(),
        survey: Arc::clone(&survey),
    });
    answers.collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::net::Ipv4Addr;

    use super::*;

    fn socket(inode: u64) -> Socket {
        Socket {
            protocol: Protocol::Tcp,
            address: Ipv4Addr::LOCALHOST.into(),
            port: 80,
            inode,
            user: 0,
            is_open: true,
            is_v6_only: None,
            cgroup: None,
            waiting: None,
            backlog: None,
        }
    }

    /// Settles with a list per round and the holders that every search finds. Returns the inodes, the coverage, and how many
    /// searches were needed.
    fn settled(lists: &[&[u64]], held: &[u64]) -> (Vec<u64>, Coverage, usize) {
        let mut rounds = lists
            .iter()
            .map(|inodes| inodes.iter().copied().map(socket).collect());
        let mut sockets: Vec<Socket> = rounds.next().unwrap();
        let searches = Cell::new(0);
        let coverage = settle::<Infallible>(
            &mut sockets,
            &HashSet::from([(Protocol::Tcp, 80)]),
            || Ok(rounds.next().expect("a list too many")),
            |inodes| {
                searches.set(searches.get() + 1);
                let held = held.iter().copied().filter(|inode| inodes.contains(inode));
                Ok((held.collect(), Coverage::default()))
            },
        );
        let inodes = sockets.iter().map(|socket| socket.inode).collect();
        (inodes, coverage.unwrap(), searches.get())
    }

    #[test]
    fn a_socket_whose_holder_ended_during_the_search_is_not_reported() {
        assert_eq!(settled(&[&[1], &[]], &[]), (vec![], Coverage::default(), 1));
        // Its successor is searched as well.
        assert_eq!(settled(&[&[1], &[2]], &[2]), (vec![2], Coverage::default(), 2));
    }

    #[test]
    fn a_socket_without_a_holder_is_searched_twice() {
        assert_eq!(
            settled(&[&[1, 2], &[1, 2], &[1, 2]], &[1]),
            (vec![1, 2], Coverage::default(), 2)
        );
        assert_eq!(settled(&[&[1]], &[1]), (vec![1], Coverage::default(), 1));
        assert_eq!(settled(&[&[]], &[]), (vec![], Coverage::default(), 0));
    }

    /// A holder forks and ends before its turn. Its child is not in the list of processes yet.
    #[test]
    fn a_holder_that_begins_during_the_search_is_found() {
        let mut sockets = vec![socket(1)];
        let mut searches = 0;
        let coverage = settle::<Infallible>(
            &mut sockets,
            &HashSet::from([(Protocol::Tcp, 80)]),
            || Ok(vec![socket(1)]),
            |inodes| {
                searches += 1;
                let held = if searches == 1 {
                    HashSet::new()
                } else {
                    inodes.clone()
                };
                Ok((held, Coverage::default()))
            },
        );
        assert_eq!((coverage, searches), (Ok(Coverage::default()), 2));
    }

    /// Another search would not show more.
    #[test]
    fn hidden_holders_are_searched_once() {
        let mut sockets = vec![socket(1)];
        let mut searches = 0;
        let hidden = Coverage {
            unreadable: 1,
            ..Coverage::default()
        };
        let coverage = settle::<Infallible>(
            &mut sockets,
            &HashSet::from([(Protocol::Tcp, 80)]),
            || Ok(vec![socket(1)]),
            |_| {
                searches += 1;
                Ok((HashSet::new(), hidden))
            },
        );
        assert_eq!((coverage, searches), (Ok(hidden), 1));
    }

    #[test]
    fn endless_changes_end_the_search() {
        let (inodes, coverage, searches) = settled(&[&[1], &[2], &[3], &[4]], &[]);
        assert_eq!((inodes, searches), (vec![4], MAX_ROUNDS));
        assert!(!coverage.is_complete());
    }
}
