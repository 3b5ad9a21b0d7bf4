//! Special addresses, which are allowed as targets only if the allow list names their network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A class of special addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressClass {
    /// This machine (RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3), including `0.0.0.0` and `::`, which lead to it.
    Loopback,
    /// Metadata services of clouds, which return the credentials of a machine.
    Metadata,
    /// Link-local addresses (RFC 3927; RFC 4291, section 2.5.6).
    LinkLocal,
    /// Multicast and broadcast addresses (RFC 5771; RFC 4291, section 2.7; RFC 919).
    Multicast,
}

/// Addresses of metadata services and similar ones, as documented by each provider.
const METADATA: [IpAddr; 11] = [
    // AWS, Google, Azure, Oracle, OpenStack and most others.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    // AWS: "Amazon ECS task IAM role" (containers), "Set up the Amazon EKS Pod Identity Agent" (pods), and "Access instance
    // metadata for an EC2 instance" (over IPv6).
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    // Google: "View and query VM metadata".
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    // Azure: "What is IP address 168.63.129.16?", the host's service for agents.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Alibaba: "View instance metadata".
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Oracle Cloud at Customer: "Retrieve Predefined Instance Metadata".
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // Scaleway: cloud-init's data source for it.
    IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
];

/// Names of this machine in the hosts files of Debian and Red Hat, in addition to `localhost`.
const LOCAL_NAMES: [&str; 7] = [
    "ip6-localhost",
    "ip6-loopback",
    "localhost4",
    "localhost6",
    "localhost.localdomain",
    "localhost4.localdomain4",
    "localhost6.localdomain6",
];

/// Names of metadata services (Google: "View and query VM metadata").
const METADATA_NAMES: [&str; 2] = ["metadata.google.internal", "metadata.goog"];

impl AddressClass {
    /// The class of an address, or `None` if it is not special.
    pub fn of(address: IpAddr) -> Option<Self> {
        let mut carried = locally_translated(address);
        carried
            .find_map(|address| Self::from_plain(address.into()))
            .or_else(|| Self::from_plain(canonical(address)))
    }

    /// The class of a name that resolves to a special address everywhere.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        // RFC 6761, section 6.3.
        match name.strip_suffix("localhost") {
            Some(rest) if rest.is_empty() || rest.ends_with('.') => Some(Self::Loopback),
            _ if LOCAL_NAMES.contains(&name.as_str()) => Some(Self::Loopback),
            _ if METADATA_NAMES.contains(&name.as_str()) => Some(Self::Metadata),
            _ => None,
        }
    }

    fn from_plain(address: IpAddr) -> Option<Self> {
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

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Metadata => "metadata",
            Self::LinkLocal => "link_local",
            Self::Multicast => "multicast",
        }
    }
}

/// The address that packets go to: the IPv4 address of IPv6 forms that embed one (RFC 4291, section 2.5.5; RFC 2765,
/// section 2.1; RFC 6052, section 2.1; RFC 3056, section 2).
pub fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let segments = v6.segments();
    let [.., high, low] = segments;
    let embedded = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)).into();
    match segments {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            embedded(high, low)
        }
        [0, 0, 0, 0, 0, 0, ..] if !v6.is_loopback() && !v6.is_unspecified() => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        _ => address,
    }
}

/// The IPv4 addresses that an address in 64:ff9b:1::/48 may embed. The position depends on the prefix length of the network's
/// translator (RFC 8215, section 5; RFC 6052, section 2.2), which is unknown, so this returns all of them. It leaves out
/// addresses that begin with 0: those are padding of the other forms, and a translator can't send packets to them.
fn locally_translated(address: IpAddr) -> impl Iterator<Item = Ipv4Addr> {
    let octets = match address {
        IpAddr::V6(v6) if v6.segments()[..3] == [0x64, 0xff9b, 1] => v6.octets(),
        _ => [0; 16],
    };
    // In the forms of shorter prefixes, octet 8 separates the halves.
    let places = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];
    let carried = places.map(|place| Ipv4Addr::from(place.map(|position| octets[position])));
    carried.into_iter().filter(|address| address.octets()[0] != 0)
}
