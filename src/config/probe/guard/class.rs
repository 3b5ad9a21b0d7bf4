//! The addresses that are no targets unless they are named.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
pub fn canonical(address: IpAddr) -> IpAddr {
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
