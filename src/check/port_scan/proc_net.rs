//! Lists sockets from /proc/net, where sock_diag(7) is not available. The files do not contain control groups, nor whether a
//! socket refuses IPv4. See proc_net_tcp.rst in the kernel's documentation.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::message::Family;
use super::socket::Socket;
use crate::config::port::Protocol;

/// How many bytes of a file are read: more than a million sockets.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The maximum length of a line. The kernel's lines have about 150 bytes.
const MAX_LINE_BYTES: u64 = 1024;

/// The state of listening TCP sockets and that of UDP sockets without a peer.
const LISTEN: u8 = 0x0A;
const CLOSE: u8 = 0x07;

/// Calls `visit` with every bound socket of this kind.
///
/// # Errors
/// If the file can't be read.
pub fn list(procfs: &Path, family: Family, protocol: Protocol, visit: impl FnMut(Socket)) -> io::Result<()> {
    let name = match (protocol, family) {
        (Protocol::Tcp, Family::V4) => "tcp",
        (Protocol::Tcp, Family::V6) => "tcp6",
        (Protocol::Udp, Family::V4) => "udp",
        (Protocol::Udp, Family::V6) => "udp6",
    };
    let file = match File::open(procfs.join("net").join(name)) {
        // Without IPv6 in the kernel there are no such files.
        Err(error) if family == Family::V6 && error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    parse(file.take(MAX_BYTES), protocol, visit)
}

/// Parses the lines of a file.
pub fn parse(file: impl Read, protocol: Protocol, mut visit: impl FnMut(Socket)) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok(());
        }
        match parse_line(&line, protocol) {
            // The kernel lists listening sockets first. The connections after them can be many.
            Some((state, _)) if protocol == Protocol::Tcp && state != LISTEN => return Ok(()),
            Some((_, socket)) => visit(socket),
            None => {}
        }
    }
}

/// Parses a line; `None` for the header.
fn parse_line(line: &[u8], protocol: Protocol) -> Option<(u8, Socket)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let (_, waiting) = fields.next()?.split_once(':')?;
    let user = fields.nth(2)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    let is_listening = protocol == Protocol::Tcp && state == LISTEN;
    let socket = Socket {
        protocol,
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode,
        user,
        is_open: is_listening || (protocol == Protocol::Udp && state == CLOSE),
        is_v6_only: None,
        cgroup: None,
        waiting: is_listening
            .then(|| u32::from_str_radix(waiting, 16).ok())
            .flatten(),
        backlog: None,
    };
    Some((state, socket))
}

/// Parses an address: groups of 32 bits in the host's byte order.
fn parse_address(digits: &str) -> Option<IpAddr> {
    let group = |at: usize| {
        let group = digits.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(group, 16).ok().map(u32::to_ne_bytes)
    };
    match digits.len() {
        8 => Some(Ipv4Addr::from(group(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&group(at)?);
            }
            Some(IpAddr::from(Ipv6Addr::from(bytes)).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0\n   \
        1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 639 1 0000000000000000 100 0 0 10 0\n   \
        2: 0100007F:C0DE 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 5000 1 0000000000000000 20 4 30 10 -1\n   \
        3: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0000000000000000 100 0 0 10 0\n";

    const UDP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n \
        100: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 42 2 0000000000000000 0\n \
        101: 0000000000000000FFFF00000100007F:0036 0000000000000000FFFF00000100007F:0999 01 00000000:00000000 00:00000000 00000000   101        0 43 2 0000000000000000 0\n";

    fn sockets(text: &[u8], protocol: Protocol) -> Vec<Socket> {
        let mut found = Vec::new();
        parse(text, protocol, |socket| found.push(socket)).unwrap();
        found
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn listening_sockets_are_parsed_and_connections_end_the_file() {
        let found = sockets(TCP.as_bytes(), Protocol::Tcp);
        let first = Socket {
            protocol: Protocol::Tcp,
            address: Ipv4Addr::LOCALHOST.into(),
            port: 8080,
            inode: 4711,
            user: 1000,
            is_open: true,
            is_v6_only: None,
            cgroup: None,
            waiting: Some(2),
            backlog: None,
        };
        assert_eq!(found[0], first);
        assert_eq!(
            found.iter().map(|socket| socket.port).collect::<Vec<_>>(),
            [8080, 22]
        );
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn udp_sockets_with_a_peer_are_not_open() {
        let found = sockets(UDP6.as_bytes(), Protocol::Udp);
        assert_eq!(found[0].address, IpAddr::from(Ipv6Addr::LOCALHOST));
        assert_eq!(found[1].address, IpAddr::from(Ipv4Addr::LOCALHOST));
        let open: Vec<_> = found.iter().map(|socket| (socket.port, socket.is_open)).collect();
        assert_eq!(open, [(53, true), (54, false)]);
    }

    proptest! {
        #[test]
        fn any_text_is_handled(text in proptest::collection::vec(any::<u8>(), 0..300), line in "[ 0-9A-F:a]{0,200}") {
            let _ = sockets(&text, Protocol::Tcp);
            let _ = sockets(line.as_bytes(), Protocol::Udp);
        }
    }
}
