//! What the answers of a name server mean, as glibc takes them: addresses, that there are none, or a reason to ask the
//! next server.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

use crate::config::dns::rcode_name;

/// How many aliases (CNAME records) an answer may lead through.
const MAX_ALIASES: usize = 16;

/// What a server says to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name has these addresses, at least one.
    Addresses(Vec<IpAddr>),
    /// The name has no record of this type.
    Empty,
    /// There is no such name.
    NoName,
    /// An error that counts as the server's answer.
    Error(ResponseCode),
    /// It does not want to, or cannot, answer this question: another server may.
    Declined(ResponseCode),
    /// It knows only who else may know: another server may do more.
    Referral,
    /// Nothing came that could be used; what went wrong.
    Nothing(String),
}

impl Answer {
    /// Reads a message that answers this question.
    pub fn read(message: &Message, name: &Name, record: RecordType) -> Self {
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

    /// What went wrong, where something did.
    fn fault(&self, server: IpAddr) -> Option<String> {
        match self {
            Self::Error(code) | Self::Declined(code) => {
                Some(format!("{server} answers {}", rcode_name((*code).into())))
            }
            Self::Referral => Some(format!("{server} only refers to other name servers")),
            Self::Nothing(text) => Some(text.clone()),
            Self::Addresses(_) | Self::Empty | Self::NoName => None,
        }
    }
}

/// An answer that holds nothing, from a server that neither knows the zone nor asks others (glibc ignores it likewise).
fn is_referral(message: &Message) -> bool {
    message.answers.is_empty()
        && message.additionals.is_empty()
        && !message.metadata.authoritative
        && !message.metadata.recursion_available
}

/// The addresses of the name, or of what it is an alias of.
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

/// What a server says about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These are its addresses, in the order of the questions.
    Found(Vec<IpAddr>),
    /// It has none; whether there is such a name at all.
    Absent {
        /// Whether there is.
        is_known: bool,
    },
    /// It can't be said.
    Failed(Failure),
}

/// Why a server says nothing useful.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub text: String,
    /// Whether the next server is asked.
    pub moves_on: bool,
    /// Whether the next search domain is tried (glibc does so after SERVFAIL alone).
    pub is_servfail: bool,
}

/// Takes a server's answers to all questions about a name together, as glibc does: addresses count whatever the other answer
/// is. Else the next server is asked where an answer is missing, or where this one declines all of them.
pub fn judge(server: IpAddr, answers: &[(RecordType, Answer)]) -> Verdict {
    let found: Vec<IpAddr> = answers
        .iter()
        .filter_map(|(_, answer)| match answer {
            Answer::Addresses(addresses) => Some(addresses),
            _ => None,
        })
        .flatten()
        .copied()
        .collect();
    if !found.is_empty() {
        return Verdict::Found(found);
    }
    let (absences, faults): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, answer)| answer.is_absence());
    if faults.is_empty() {
        let is_known = !absences.iter().any(|(_, answer)| *answer == Answer::NoName);
        return Verdict::Absent { is_known };
    }
    let mut texts: Vec<String> = Vec::new();
    for (record, answer) in &faults {
        let text = answer.fault(server).unwrap_or_default();
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
    let any = |is: fn(&Answer) -> bool| faults.iter().any(|(_, answer)| is(answer));
    let is_missing = any(|answer| matches!(answer, Answer::Nothing(_)));
    let is_final = !absences.is_empty() || any(|answer| matches!(answer, Answer::Error(_)));
    Verdict::Failed(Failure {
        text: texts.join("; "),
        moves_on: is_missing || !is_final,
        is_servfail: any(|answer| *answer == Answer::Declined(ResponseCode::ServFail)),
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
    fn addresses_are_those_of_the_name_and_of_its_aliases() {
        let read =
            |records: &[(&str, RData)]| match Answer::read(&message(records), &name("a.x."), RecordType::A) {
                Answer::Addresses(found) => {
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
    fn codes_and_referrals_have_their_meaning() {
        let mut message = message(&[]);
        for (code, expected) in [
            (ResponseCode::NXDomain, Answer::NoName),
            (ResponseCode::ServFail, Answer::Declined(ResponseCode::ServFail)),
            (ResponseCode::Refused, Answer::Declined(ResponseCode::Refused)),
            (ResponseCode::NotImp, Answer::Declined(ResponseCode::NotImp)),
            (ResponseCode::FormErr, Answer::Error(ResponseCode::FormErr)),
            (ResponseCode::NotAuth, Answer::Error(ResponseCode::NotAuth)),
            (ResponseCode::NoError, Answer::Empty),
        ] {
            message.metadata.response_code = code;
            assert_eq!(Answer::read(&message, &name("a.x."), RecordType::A), expected);
        }
        message.metadata.recursion_available = false;
        assert_eq!(
            Answer::read(&message, &name("a.x."), RecordType::A),
            Answer::Referral
        );
        message.metadata.authoritative = true;
        assert_eq!(
            Answer::read(&message, &name("a.x."), RecordType::A),
            Answer::Empty
        );
    }

    /// Tried with glibc 2.36, both questions to the first of two servers.
    #[test]
    fn the_next_server_is_asked_where_glibc_asks_it() {
        let good = || Answer::Addresses(vec![Ipv4Addr::LOCALHOST.into()]);
        let servfail = || Answer::Declined(ResponseCode::ServFail);
        let refused = || Answer::Declined(ResponseCode::Refused);
        let formerr = || Answer::Error(ResponseCode::FormErr);
        let silent = || Answer::Nothing("192.0.2.1 does not answer".to_owned());
        let judged = |first: Answer, second: Answer| {
            let server = "192.0.2.1".parse().unwrap();
            match judge(server, &[(RecordType::AAAA, first), (RecordType::A, second)]) {
                Verdict::Found(_) => "found".to_owned(),
                Verdict::Absent { is_known } => format!("absent, known {is_known}"),
                Verdict::Failed(Failure { text, moves_on, .. }) => {
                    format!("{text}{}", if moves_on { ", next" } else { "" })
                }
            }
        };
        for other in [
            Answer::Empty,
            Answer::NoName,
            servfail(),
            formerr(),
            silent(),
            good(),
        ] {
            assert_eq!(judged(good(), other.clone()), "found");
            assert_eq!(judged(other, good()), "found");
        }
        assert_eq!(judged(Answer::Empty, Answer::Empty), "absent, known true");
        assert_eq!(judged(Answer::Empty, Answer::NoName), "absent, known false");
        assert_eq!(judged(servfail(), servfail()), "192.0.2.1 answers SERVFAIL, next");
        assert_eq!(
            judged(servfail(), refused()),
            "192.0.2.1 answers SERVFAIL; 192.0.2.1 answers REFUSED, next"
        );
        assert_eq!(
            judged(Answer::Referral, refused()),
            "192.0.2.1 only refers to other name servers; 192.0.2.1 answers REFUSED, next"
        );
        assert_eq!(
            judged(formerr(), servfail()),
            "192.0.2.1 answers FORMERR; 192.0.2.1 answers SERVFAIL"
        );
        assert_eq!(
            judged(servfail(), Answer::Empty),
            "AAAA: 192.0.2.1 answers SERVFAIL; A: no such record"
        );
        assert_eq!(
            judged(Answer::NoName, refused()),
            "A: 192.0.2.1 answers REFUSED; AAAA: no such record"
        );
        assert_eq!(
            judged(Answer::Empty, silent()),
            "A: 192.0.2.1 does not answer; AAAA: no such record, next"
        );
        assert_eq!(
            judged(silent(), servfail()),
            "192.0.2.1 does not answer; 192.0.2.1 answers SERVFAIL, next"
        );
    }
}
