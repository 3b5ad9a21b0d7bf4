//! Lists the sockets of several ports: with sock_diag, or from /proc/net where that is not available.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::error::PortScanError;
use super::message::{Family, Query};
use super::netlink::Netlink;
use super::port_set::PortSet;
use super::proc_net;
use super::socket::Socket;
use crate::config::port::Protocol;
use crate::net::shortage;

/// Up to this many ports are queried one by one, so that the kernel sends only their sockets. For more, one query lists all.
const MAX_FILTERED: usize = 8;

/// The ports of one protocol to list.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The ports whose sockets are returned.
    pub ports: HashSet<u16>,
    /// Whether to return the held ports too.
    pub needs_held_ports: bool,
}

/// The sockets of one protocol.
#[derive(Debug, Default)]
pub struct Listing {
    /// The sockets of the wanted ports.
    pub sockets: Vec<Socket>,
    /// All held ports, if wanted.
    pub held: Option<PortSet>,
}

/// Lists sockets.
#[derive(Debug)]
pub struct Lister {
    procfs: PathBuf,
    netlink: Result<Netlink, Errno>,
}

impl Lister {
    /// Opens a connection to the kernel.
    ///
    /// # Errors
    /// If this process lacks descriptors or memory. Other errors only mean that /proc/net is read.
    pub fn new(procfs: &Path) -> Result<Self, PortScanError> {
        let netlink = Netlink::open();
        if let Err(cause) = netlink
            && shortage::from_errno(cause).is_some()
        {
            return Err(PortScanError::Netlink { cause });
        }
        Ok(Self {
            procfs: procfs.to_owned(),
            netlink,
        })
    }

    /// Lists only from /proc/net.
    #[cfg(test)]
    pub fn without_netlink(procfs: &Path) -> Self {
        Self {
            procfs: procfs.to_owned(),
            netlink: Err(Errno::AFNOSUPPORT),
        }
    }

    /// Why sock_diag is not used.
    pub fn netlink_error(&self) -> Option<Errno> {
        self.netlink.as_ref().err().copied()
    }

    /// Lists the sockets of one protocol, of both IPv4 and IPv6.
    ///
    /// # Errors
    /// If neither sock_diag nor /proc/net can be read.
    pub fn list(&mut self, protocol: Protocol, wanted: &Wanted) -> Result<Listing, PortScanError> {
        if wanted.ports.is_empty() && !wanted.needs_held_ports {
            return Ok(Listing::default());
        }
        if let Ok(netlink) = &mut self.netlink {
            match list_with(netlink, protocol, wanted) {
                Ok(listing) => return Ok(listing),
                Err(cause) if shortage::from_errno(cause).is_some() => {
                    return Err(PortScanError::Netlink { cause });
                }
                // The rest of the response may still come, so this connection is not used again.
                Err(cause) => self.netlink = Err(cause),
            }
        }
        let mut listing = wanted.empty_listing();
        for family in [Family::V4, Family::V6] {
            let visit = |socket| listing.add(socket, wanted);
            proc_net::list(&self.procfs, family, protocol, visit).map_err(|cause| PortScanError::List {
                netlink: self.netlink_error().unwrap_or(Errno::OPNOTSUPP),
                path: self.procfs.join("net"),
                cause: Arc::new(cause),
            })?;
        }
        Ok(listing)
    }
}

fn list_with(netlink: &mut Netlink, protocol: Protocol, wanted: &Wanted) -> Result<Listing, Errno> {
    let mut listing = wanted.empty_listing();
    let filters: Vec<Option<u16>> = match wanted.needs_held_ports || wanted.ports.len() > MAX_FILTERED {
        true => vec![None],
        false => wanted.ports.iter().copied().map(Some).collect(),
    };
    for port in filters {
        for family in [Family::V4, Family::V6] {
            let query = Query {
                family,
                protocol,
                port,
            };
            netlink.list(&query, |socket| listing.add(socket, wanted))?;
        }
    }
    Ok(listing)
}

impl Wanted {
    fn empty_listing(&self) -> Listing {
        Listing {
            sockets: Vec::new(),
            held: self.needs_held_ports.then(PortSet::default),
        }
    }
}

impl Listing {
    fn add(&mut self, socket: Socket, wanted: &Wanted) {
        if let Some(held) = &mut self.held {
            held.insert(socket.port);
        }
        if wanted.ports.contains(&socket.port) {
            self.sockets.push(socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn wanted(ports: &[u16]) -> Wanted {
        Wanted {
            ports: ports.iter().copied().collect(),
            needs_held_ports: false,
        }
    }

    /// Both sources report the same sockets.
    #[test]
    fn proc_net_agrees_with_sock_diag() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp6 = TcpListener::bind("[::1]:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect(udp.local_addr().unwrap()).unwrap();
        let addresses = [
            tcp.local_addr().unwrap(),
            tcp6.local_addr().unwrap(),
            udp.local_addr().unwrap(),
            connected.local_addr().unwrap(),
        ];
        let ports = addresses.map(|address| address.port());
        let mut diag = Lister::new(Path::new("/proc")).unwrap();
        let mut files = Lister::without_netlink(Path::new("/proc"));
        for (protocol, ours) in [(Protocol::Tcp, &addresses[..2]), (Protocol::Udp, &addresses[2..])] {
            let mut sources = [&mut diag, &mut files].map(|lister| {
                let mut sockets = lister.list(protocol, &wanted(&ports)).unwrap().sockets;
                sockets.sort_by_key(|socket| socket.port);
                for socket in &mut sockets {
                    (socket.cgroup, socket.backlog, socket.is_v6_only) = (None, None, None);
                }
                // Other programs can hold the same numbers in the other protocol or at other addresses.
                sockets.retain(|socket| {
                    ours.iter()
                        .any(|own| (own.ip(), own.port()) == (socket.address, socket.port))
                });
                sockets
            });
            assert!(sources[0].len() >= ours.len(), "{sources:?}");
            let files = std::mem::take(&mut sources[1]);
            assert_eq!(sources[0], files);
        }
        assert_eq!(diag.netlink_error(), None);
        assert_eq!(files.netlink_error(), Some(Errno::AFNOSUPPORT));
    }

    #[test]
    fn one_query_finds_the_same_as_many() {
        let listeners: Vec<_> = (0..20)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports: Vec<u16> = listeners
            .iter()
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        let mut lister = Lister::new(Path::new("/proc")).unwrap();
        let all = lister.list(Protocol::Tcp, &wanted(&ports)).unwrap().sockets;
        assert_eq!(all.len(), ports.len());
        for port in &ports {
            let one = lister.list(Protocol::Tcp, &wanted(&[*port])).unwrap().sockets;
            assert_eq!(one.len(), 1);
            assert!(all.contains(&one[0]));
        }
        let all_ports = Wanted {
            needs_held_ports: true,
            ..Wanted::default()
        };
        let listing = lister.list(Protocol::Tcp, &all_ports).unwrap();
        assert_eq!(listing.sockets, []);
        let held = listing.held.unwrap();
        assert!(ports.iter().all(|port| held.contains(*port)));
    }

    #[test]
    fn both_errors_are_reported() {
        let error = Lister::without_netlink(Path::new("/no/such/procfs"))
            .list(Protocol::Tcp, &wanted(&[1]))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "listing the sockets: sock_diag: Address family not supported by protocol (os error 97); /no/such/procfs/net: No \
             such file or directory (os error 2); allow AF_NETLINK (RestrictAddressFamilies=), or mount a procfs there"
        );
    }
}
