//! Echo requests and replies (RFC 792 for IPv4, RFC 4443 section 4 for IPv6).

use uuid::Uuid;

/// The header of an echo message: type, code, checksum, id, sequence number.
const HEADER: usize = 8;
/// How many bytes of a payload are random, so that replies can't be forged.
const TOKEN: usize = 16;

/// The protocol, which determines the types of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// ICMP over IPv4.
    V4,
    /// ICMP over IPv6.
    V6,
}

/// The content of a request, which its reply must repeat.
#[derive(Debug, PartialEq, Eq)]
pub struct Echo {
    id: u16,
    sequence: u16,
    payload: Vec<u8>,
}

impl Echo {
    /// Creates a request. Its id and the start of its payload are random.
    pub fn new(sequence: u16, payload_size: u16) -> Self {
        let (token, id) = (Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes());
        let mut payload = vec![0; usize::from(payload_size)];
        let length = payload.len().min(TOKEN);
        payload[..length].copy_from_slice(&token[..length]);
        Self {
            id: u16::from_be_bytes([id[0], id[1]]),
            sequence,
            payload,
        }
    }

    /// Builds the packet of the request. If the socket is not a raw one, the system replaces the id. For IPv6, it sets the
    /// checksum.
    pub fn request(&self, version: Version) -> Vec<u8> {
        let kind = match version {
            Version::V4 => 8,
            Version::V6 => 128,
        };
        let mut packet = vec![kind, 0, 0, 0];
        packet.extend(self.id.to_be_bytes());
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(&self.payload);
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// Whether a packet is the reply to this request. Set `checks_id` for raw sockets only: for others, the system chooses the
    /// id and filters replies to other requests.
    pub fn matches_reply(&self, packet: &[u8], version: Version, checks_id: bool) -> bool {
        let kind = match version {
            Version::V4 => 0,
            Version::V6 => 129,
        };
        packet.len() == HEADER + self.payload.len()
            && packet[..2] == [kind, 0]
            && (!checks_id || packet[4..6] == self.id.to_be_bytes())
            && packet[6..8] == self.sequence.to_be_bytes()
            && packet[HEADER..] == self.payload
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(packet: &[u8]) -> u16 {
    let words = packet
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// Returns the ICMP message in a packet from a raw IPv4 socket: the part after the IP header (RFC 791, section 3.1).
pub fn skip_ip_header(packet: &[u8]) -> Option<&[u8]> {
    let words = usize::from(packet.first()? & 0x0f);
    packet.get(words * 4..)
}

/// Whether arbitrary bytes match the reply to a request. For tests.
#[doc(hidden)]
pub fn fuzz_parse(packet: &[u8]) -> bool {
    let echo = Echo::new(1, 40);
    let inner = skip_ip_header(packet).unwrap_or_default();
    let is_reply = |version| echo.matches_reply(inner, version, true);
    is_reply(Version::V4) || is_reply(Version::V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_must_repeat_the_request() {
        let echo = Echo::new(7, 40);
        let mut reply = echo.request(Version::V4);
        assert_eq!(reply.len(), 48);
        assert!(!echo.matches_reply(&reply, Version::V4, true), "it is a request");
        reply[0] = 0;
        assert!(echo.matches_reply(&reply, Version::V4, true));
        assert!(!echo.matches_reply(&reply, Version::V6, true));
        for (at, what) in [
            (1, "code"),
            (5, "id"),
            (7, "sequence"),
            (8, "payload"),
            (47, "payload"),
        ] {
            let mut other = reply.clone();
            other[at] ^= 1;
            assert!(!echo.matches_reply(&other, Version::V4, true), "{what}");
            assert_eq!(
                echo.matches_reply(&other, Version::V4, false),
                what == "id",
                "{what}"
            );
        }
        assert!(!echo.matches_reply(&reply[..47], Version::V4, true));
        assert!(!echo.matches_reply(&[], Version::V4, true));
        assert_ne!(Echo::new(7, 40), echo);
    }

    #[test]
    fn the_checksum_equals_the_example_of_the_rfc() {
        // The example of RFC 1071, section 3.
        assert_eq!(
            checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
        assert_eq!(checksum(&[0x01]), !0x0100);
        let request = Echo::new(1, 3).request(Version::V4);
        assert_eq!(
            checksum(&request),
            0,
            "a packet with its checksum sums up to zero"
        );
    }

    #[test]
    fn the_length_of_the_ip_header_is_read_from_the_packet() {
        let mut packet = vec![0x46; 30];
        packet[24] = 9;
        assert_eq!(
            skip_ip_header(&packet).map(|rest| (rest.len(), rest[0])),
            Some((6, 9))
        );
        assert_eq!(skip_ip_header(&packet[..20]), None);
        assert_eq!(skip_ip_header(&[]), None);
    }
}
