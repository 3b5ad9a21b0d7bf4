//! Interprets the responses of a name server as glibc does: addresses, no addresses, or a failure after which the next server
//! may be queried.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

use crate::config::dns::rcode_name;

/// The maximum number of aliases (CNAME records) that are followed.
const MAX_ALIASES: usize = 16;

/// The response of a server to one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The name has these addresses, at least one.
    Addresses(Vec<IpAddr>),
    /// The name has no record of this type.
    Empty,
    /// The name does not exist.
    NoName,
    /// An error that is final: no other server is queried.
    Error(ResponseCode),
    /// The server refused or failed. Another server may have the records.
    Declined(ResponseCode),
    /// The server only refers to other name servers. Another server may have the records.
    Referral,
    /// There is no usable response, for this reason.
    Nothing(String),
}

impl Response {
    /// Interprets the response to this query.
    pub fn from_message(message: &Message, name: &Name, record: RecordType) -> Self {
        match message.metadata.response_code {
            ResponseCode::NoError => {
                let addresses = addresses(message, name, record);
                if !addresses.is_empty() {
                    Self::Addresses(addresses)
                } else if is_referral(message) {
                    Self::Referral
                } else {
                    Self::Empty
                }
            }
            ResponseCode::NXDomain => Self::NoName,
            code @ (ResponseCode::ServFail | ResponseCode::Refused | ResponseCode::NotImp) => {
                Self::Declined(code)
            }
            code => Self::Error(code),
        }
    }

    fn is_absence(&self) -> bool {
        matches!(self, Self::Empty | Self::NoName)
    }

    /// What went wrong, if the response is a failure.
    fn failure(&self, server: IpAddr) -> Option<String> {
        match self {
            Self::Error(code) | Self::Declined(code) => {
                Some(format!("{server} returned {}", rcode_name((*code).into())))
            }
            Self::Referral => Some(format!("{server} only refers to other name servers")),
            Self::Nothing(text) => Some(text.clone()),
            Self::Addresses(_) | Self::Empty | Self::NoName => None,
        }
    }
}

/// Whether a message is empty and comes from a server that is neither authoritative nor recursive. glibc ignores it as well.
fn is_referral(message: &Message) -> bool {
    message.answers.is_empty()
        && message.additionals.is_empty()
        && !message.metadata.authoritative
        && !message.metadata.recursion_available
}

/// The addresses of a name or of its aliases.
fn addresses(message: &Message, name: &Name, record: RecordType) -> Vec<IpAddr> {
    let mut owner = name;
    for _ in 0..=MAX_ALIASES {
        let of_owner = || {
            let answers = message.answers.iter();
            answers.filter(|answer| answer.dns_class == DNSClass::IN && answer.name == *owner)
        };
        let found: Vec<IpAddr> = of_owner()
            .filter_map(|answer| match &answer.data {
                RData::A(address) if record == RecordType::A => Some(address.0.into()),
                RData::AAAA(address) if record == RecordType::AAAA => Some(address.0.into()),
                _ => None,
            })
            .collect();
        let alias = of_owner().find_map(|answer| match &answer.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        });
        match alias {
            Some(target) if found.is_empty() => owner = target,
            _ => return found,
        }
    }
    Vec::new()
}

/// The result of all queries about a name to one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The addresses, in the order of the queries.
    Found(Vec<IpAddr>),
    /// The name has no addresses.
    NotFound {
        /// Whether the name exists.
        exists: bool,
    },
    /// The lookup failed.
    Failed(Failure),
}

/// Why a lookup failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub text: String,
    /// Whether the next server is queried.
    pub try_next_server: bool,
    /// Whether the next search domain is tried. glibc does so after SERVFAIL only.
    pub is_servfail: bool,
}

/// Combines the responses of a server to all queries about a name, as glibc does. Addresses are used, whatever the other response
/// is. Otherwise the next server is queried if a response is missing, or if this server declines all queries.
pub fn combine(server: IpAddr, responses: &[(RecordType, Response)]) -> Lookup {
    let found: Vec<IpAddr> = responses
        .iter()
        .filter_map(|(_, response)| match response {
            Response::Addresses(addresses) => Some(addresses),
            _ => None,
        })
        .flatten()
        .copied()
        .collect();
    if !found.is_empty() {
        return Lookup::Found(found);
    }
    let (absences, faults): (Vec<_>, Vec<_>) =
        responses.iter().partition(|(_, response)| response.is_absence());
    if faults.is_empty() {
        let exists = !absences.iter().any(|(_, response)| *response == Response::NoName);
        return Lookup::NotFound { exists };
    }
    let mut texts: Vec<String> = Vec::new();
    for (record, response) in &faults {
        let text = response.failure(server).unwrap_or_default();
        let text = match absences.is_empty() {
            true => text,
            false => format!("{record}: {text}"),
        };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.extend(
        absences
            .iter()
            .map(|(record, _)| format!("{record}: no such record")),
    );
    let any = |is: fn(&Response) -> bool| faults.iter().any(|(_, response)| is(response));
    let is_missing = any(|response| matches!(response, Response::Nothing(_)));
    let is_final = !absences.is_empty() || any(|response| matches!(response, Response::Error(_)));
    Lookup::Failed(Failure {
        text: texts.join("; "),
        try_next_server: is_missing || !is_final,
        is_servfail: any(|response| *response == Response::Declined(ResponseCode::ServFail)),
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::op::{MessageType, OpCode};
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, AAAA, CNAME};

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn message(records: &[(&str, RData)]) -> Message {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        message.metadata.recursion_available = true;
        for (owner, data) in records {
            message.add_answer(Record::from_rdata(name(owner), 60, data.clone()));
        }
        message
    }

    fn a(last: u8) -> RData {
        RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
    }

    fn alias(target: &str) -> RData {
        RData::CNAME(CNAME(name(target)))
    }

    #[test]
    fn aliases_are_followed() {
        let read = |records: &[(&str, RData)]| match Response::from_message(
            &message(records),
            &name("a.x."),
            RecordType::A,
        ) {
            Response::Addresses(found) => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                found.join(" ")
            }
            other => format!("{other:?}"),
        };
        assert_eq!(read(&[("A.X.", a(1)), ("a.x.", a(2))]), "192.0.2.1 192.0.2.2");
        assert_eq!(read(&[("b.x.", a(1))]), "Empty");
        assert_eq!(
            read(&[("a.x.", alias("b.x.")), ("b.x.", a(1)), ("c.x.", a(2))]),
            "192.0.2.1"
        );
        assert_eq!(
            read(&[("c.x.", a(2)), ("b.x.", alias("c.x.")), ("a.x.", alias("b.x."))]),
            "192.0.2.2"
        );
        assert_eq!(read(&[("a.x.", alias("b.x.")), ("b.x.", alias("a.x."))]), "Empty");
        assert_eq!(
            read(&[("a.x.", RData::AAAA(AAAA("::1".parse().unwrap())))]),
            "Empty"
        );
        assert_eq!(read(&[]), "Empty");
    }

    #[test]
    fn response_codes_and_referrals_are_interpreted() {
        let mut message = message(&[]);
        for (code, expected) in [
            (ResponseCode::NXDomain, Response::NoName),
            (ResponseCode::ServFail, Response::Declined(ResponseCode::ServFail)),
            (ResponseCode::Refused, Response::Declined(ResponseCode::Refused)),
            (ResponseCode::NotImp, Response::Declined(ResponseCode::NotImp)),
            (ResponseCode::FormErr, Response::Error(ResponseCode::FormErr)),
            (ResponseCode::NotAuth, Response::Error(ResponseCode::NotAuth)),
            (ResponseCode::NoError, Response::Empty),
        ] {
            message.metadata.response_code = code;
            assert_eq!(
                Response::from_message(&message, &name("a.x."), RecordType::A),
                expected
            );
        }
        message.metadata.recursion_available = false;
        assert_eq!(
            Response::from_message(&message, &name("a.x."), RecordType::A),
            Response::Referral
        );
        message.metadata.authoritative = true;
        assert_eq!(
            Response::from_message(&message, &name("a.x."), RecordType::A),
            Response::Empty
        );
    }

    /// Compared with glibc 2.36: both queries to the first of two servers.
    #[test]
    fn the_next_server_is_queried_as_in_glibc() {
        let good = || Response::Addresses(vec![Ipv4Addr::LOCALHOST.into()]);
        let servfail = || Response::Declined(ResponseCode::ServFail);
        let refused = || Response::Declined(ResponseCode::Refused);
        let formerr = || Response::Error(ResponseCode::FormErr);
        let silent = || Response::Nothing("192.0.2.1 did not respond".to_owned());
        let combined = |first: Response, second: Response| {
            let server = "192.0.2.1".parse().unwrap();
            match combine(server, &[(RecordType::AAAA, first), (RecordType::A, second)]) {
                Lookup::Found(_) => "found".to_owned(),
                Lookup::NotFound { exists } => format!("not found, exists {exists}"),
                Lookup::Failed(Failure {
                    text,
                    try_next_server,
                    ..
                }) => {
                    format!("{text}{}", if try_next_server { ", next" } else { "" })
                }
            }
        };
        for other in [
            Response::Empty,
            Response::NoName,
            servfail(),
            formerr(),
            silent(),
            good(),
        ] {
            assert_eq!(combined(good(), other.clone()), "found");
            assert_eq!(combined(other, good()), "found");
        }
        assert_eq!(
            combined(Response::Empty, Response::Empty),
            "not found, exists true"
        );
        assert_eq!(
            combined(Response::Empty, Response::NoName),
            "not found, exists false"
        );
        assert_eq!(
            combined(servfail(), servfail()),
            "192.0.2.1 returned SERVFAIL, next"
        );
        assert_eq!(
            combined(servfail(), refused()),
            "192.0.2.1 returned SERVFAIL; 192.0.2.1 returned REFUSED, next"
        );
        assert_eq!(
            combined(Response::Referral, refused()),
            "192.0.2.1 only refers to other name servers; 192.0.2.1 returned REFUSED, next"
        );
        assert_eq!(
            combined(formerr(), servfail()),
            "192.0.2.1 returned FORMERR; 192.0.2.1 returned SERVFAIL"
        );
        assert_eq!(
            combined(servfail(), Response::Empty),
            "AAAA: 192.0.2.1 returned SERVFAIL; A: no such record"
        );
        assert_eq!(
            combined(Response::NoName, refused()),
            "A: 192.0.2.1 returned REFUSED; AAAA: no such record"
        );
        assert_eq!(
            combined(Response::Empty, silent()),
            "A: 192.0.2.1 did not respond; AAAA: no such record, next"
        );
        assert_eq!(
            combined(silent(), servfail()),
            "192.0.2.1 did not respond; 192.0.2.1 returned SERVFAIL, next"
        );
    }
}
