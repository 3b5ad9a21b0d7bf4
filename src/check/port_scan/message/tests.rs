//! Messages of the kernel, complete and malformed.

use proptest::prelude::*;

use super::*;

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = HEADER_BYTES + body.len();
    let mut bytes = u32::to_ne_bytes(u32::try_from(length).unwrap()).to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend(body);
    bytes.resize(align(length), 0);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = ATTRIBUTE_BYTES + value.len();
    let mut bytes = u16::to_ne_bytes(u16::try_from(length).unwrap()).to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(align(length), 0);
    bytes
}

fn socket(family: u8, state: u8, port: u16, address: &[u8], attributes: &[u8]) -> Vec<u8> {
    let mut body = vec![0; SOCKET_BYTES];
    body[0] = family;
    body[1] = state;
    body[4..6].copy_from_slice(&port.to_be_bytes());
    body[8..8 + address.len()].copy_from_slice(address);
    body[56..60].copy_from_slice(&3_u32.to_ne_bytes());
    body[60..64].copy_from_slice(&128_u32.to_ne_bytes());
    body[64..68].copy_from_slice(&1000_u32.to_ne_bytes());
    body[68..72].copy_from_slice(&77_u32.to_ne_bytes());
    body.extend(attributes);
    message(SOCK_DIAG_BY_FAMILY, &body)
}

fn sockets(bytes: &[u8], protocol: Protocol) -> (Result<Progress, Errno>, Vec<Socket>) {
    let mut found = Vec::new();
    let progress = parse(bytes, protocol, |socket| found.push(socket));
    (progress, found)
}

#[test]
fn a_socket_is_parsed_with_its_attributes() {
    let attributes = [
        attribute(SKV6ONLY, &[1]),
        attribute(CGROUP_ID, &4711_u64.to_ne_bytes()),
        attribute(99, b"unknown"),
    ]
    .concat();
    let bytes = [
        socket(10, LISTEN, 8080, &[0; 16], &attributes),
        socket(2, BOUND_INACTIVE, 80, &[127, 0, 0, 1], &[]),
    ]
    .concat();
    let (progress, found) = sockets(&bytes, Protocol::Tcp);
    assert_eq!(progress, Ok(Progress::More));
    let first = Socket {
        protocol: Protocol::Tcp,
        address: Ipv6Addr::UNSPECIFIED.into(),
        port: 8080,
        inode: 77,
        user: 1000,
        is_open: true,
        is_v6_only: Some(true),
        cgroup: Some(4711),
        waiting: Some(3),
        backlog: Some(128),
    };
    let second = Socket {
        address: Ipv4Addr::LOCALHOST.into(),
        port: 80,
        is_open: false,
        is_v6_only: None,
        cgroup: None,
        waiting: None,
        backlog: None,
        ..first.clone()
    };
    assert_eq!(found, [first, second]);
}

#[test]
fn ipv4_within_ipv6_is_ipv4() {
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    let (_, found) = sockets(&socket(10, CLOSE, 53, &mapped, &[]), Protocol::Udp);
    assert_eq!(found[0].address, IpAddr::from(Ipv4Addr::LOCALHOST));
    assert!(found[0].is_open);
}

#[test]
fn the_end_and_errors_are_reported() {
    assert_eq!(
        sockets(&message(DONE, &[0; 4]), Protocol::Tcp).0,
        Ok(Progress::Done)
    );
    assert_eq!(sockets(&message(DONE, &[]), Protocol::Tcp).0, Ok(Progress::Done));
    let error = message(ERROR, &(-2_i32).to_ne_bytes());
    assert_eq!(sockets(&error, Protocol::Tcp).0, Err(Errno::NOENT));
    for code in [1, i32::MAX, i32::MIN, -4096] {
        let error = message(ERROR, &code.to_ne_bytes());
        assert_eq!(sockets(&error, Protocol::Tcp).0, Err(Errno::BADMSG), "{code}");
    }
    assert_eq!(sockets(&[1, 2, 3], Protocol::Tcp).0, Err(Errno::BADMSG));
    assert_eq!(sockets(&[], Protocol::Tcp).0, Ok(Progress::More));
    let short = message(SOCK_DIAG_BY_FAMILY, &[2; 71]);
    assert_eq!(sockets(&short, Protocol::Tcp).0, Err(Errno::BADMSG));
}

#[test]
fn a_length_below_the_header_does_not_loop() {
    for length in 0..16_u32 {
        let mut bytes = message(SOCK_DIAG_BY_FAMILY, &[0; 100]);
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        assert_eq!(sockets(&bytes, Protocol::Udp).0, Err(Errno::BADMSG));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_handled(bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in 0..22_u16) {
        let _ = sockets(&bytes, Protocol::Tcp);
        let _ = sockets(&message(kind, &bytes), Protocol::Udp);
        let with_attributes = [vec![2; SOCKET_BYTES], bytes].concat();
        let _ = sockets(&message(SOCK_DIAG_BY_FAMILY, &with_attributes), Protocol::Tcp);
    }
}
