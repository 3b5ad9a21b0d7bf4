//! The configuration of dns checks. The options bear blackbox_exporter's names and mean what they mean there; `server`,
//! which is the target there, is ours.

mod name;
mod validators;

use std::cell::RefCell;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use hickory_proto::rr::{DNSClass, Name, RecordType};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::validators::{ValidatorOptions, Validators};
use super::address::{self, AddressPreference, HostPort, IpProtocol};
use super::place::{Invalid, Place};
use super::tls::{TlsOptions, TlsSettings};

/// What carries a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportProtocol {
    /// One datagram there, one back.
    #[default]
    Udp,
    /// A connection.
    Tcp,
}

/// The options of a dns check, as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DnsOptions {
    /// The name server: a host, or host:port. Default port: 53, with dns_over_tls 853.
    pub server: Option<String>,
    /// The name to ask for.
    pub query_name: Option<String>,
    /// The type of record to ask for (default ANY, which many servers answer with one record only).
    pub query_type: Option<String>,
    /// The class to ask in (default IN).
    pub query_class: Option<String>,
    /// Whether the server shall ask others for what it does not know itself (default true).
    pub recursion_desired: Option<bool>,
    /// udp (default) or tcp.
    pub transport_protocol: Option<TransportProtocol>,
    /// Ask over TLS (RFC 7858); needs transport_protocol: tcp.
    pub dns_over_tls: bool,
    /// How TLS is done.
    pub tls_config: Option<TlsOptions>,
    /// The response codes that are fine (default NOERROR).
    pub valid_rcodes: Vec<String>,
    /// What the answer's records must be like.
    pub validate_answer_rrs: Option<ValidatorOptions>,
    /// What the records of the authority section must be like.
    pub validate_authority_rrs: Option<ValidatorOptions>,
    /// What the additional records must be like.
    pub validate_additional_rrs: Option<ValidatorOptions>,
    /// The protocol whose addresses come first: ip4 or ip6 (default).
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether the other protocol's addresses come after them (default true).
    pub ip_protocol_fallback: Option<bool>,
    /// The address of this machine to ask from.
    pub source_ip_address: Option<String>,
}

/// What a dns check needs, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsSettings {
    /// Who is asked.
    pub server: HostPort,
    /// What is asked, and what the answer must be like.
    pub query: Arc<DnsQuery>,
}

/// How a question gets to its server.
#[derive(Clone, Debug, PartialEq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
    /// Over a connection with TLS.
    Tls(Box<TlsSettings>),
}

/// A question, and what its answer must be like.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsQuery {
    /// The name, fully qualified.
    pub name: Name,
    /// The type of record.
    pub record_type: RecordType,
    /// The class.
    pub class: DNSClass,
    /// Whether the server shall ask others.
    pub recursion_desired: bool,
    /// How it gets there.
    pub transport: Transport,
    /// Which of the server's addresses are asked.
    pub preference: AddressPreference,
    /// The address to ask from.
    pub source: Option<IpAddr>,
    /// The response codes that are fine, at least one.
    pub rcodes: Vec<u16>,
    /// What the records of each section must be like, in the order of a message.
    pub validators: [Validators; 3],
}

/// The response codes that have a name (RFC 6895, section 2.3). NOTIMPL is what older blackbox_exporters call NOTIMP.
const RCODES: [(&str, u16); 22] = [
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("NOTIMPL", 4),
    ("REFUSED", 5),
    ("YXDOMAIN", 6),
    ("YXRRSET", 7),
    ("NXRRSET", 8),
    ("NOTAUTH", 9),
    ("NOTZONE", 10),
    ("BADVERS", 16),
    ("BADSIG", 16),
    ("BADKEY", 17),
    ("BADTIME", 18),
    ("BADMODE", 19),
    ("BADNAME", 20),
    ("BADALG", 21),
    ("BADTRUNC", 22),
    ("BADCOOKIE", 23),
    ("DSOTYPENI", 11),
];

/// The name of a response code, or its number.
pub fn rcode_name(code: u16) -> String {
    let known = RCODES.iter().find(|(_, known)| *known == code);
    known.map_or_else(|| code.to_string(), |(name, _)| (*name).to_owned())
}

impl DnsOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<DnsSettings, Invalid> {
        let is_tls = self.dns_over_tls;
        let server =
            match &self.server {
                Some(text) => server(text, is_tls).map_err(|message| place.field("server").error(message)),
                None => Err(place
                    .error("server is missing: write the name server to ask, such as server: 192.0.2.53")),
            };
        let name = self.name(place);
        let record_type = self.record_type(place);
        let class = self.class(place);
        let rcodes = self.rcodes(place);
        let preference = AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback);
        let source = address::source(self.source_ip_address.as_deref(), preference, place);
        let protocol = self.transport_protocol.unwrap_or_default();
        let transport = transport(protocol, is_tls, self.tls_config, place);
        let validate =
            |options: Option<ValidatorOptions>, key| options.unwrap_or_default().resolve(&place.field(key));
        let answer = validate(self.validate_answer_rrs, "validate_answer_rrs");
        let authority = validate(self.validate_authority_rrs, "validate_authority_rrs");
        let additional = validate(self.validate_additional_rrs, "validate_additional_rrs");
        let (source, preference) = source?;
        Ok(DnsSettings {
            server: server?,
            query: Arc::new(DnsQuery {
                name: name?,
                record_type: record_type?,
                class: class?,
                recursion_desired: self.recursion_desired.unwrap_or(true),
                transport: transport?,
                preference,
                source,
                rcodes: rcodes?,
                validators: [answer?, authority?, additional?],
            }),
        })
    }

    fn name(&self, place: &Place<'_>) -> Result<Name, Invalid> {
        let Some(text) = &self.query_name else {
            return Err(place
                .error("query_name is missing: write the name to ask for, such as query_name: example.org"));
        };
        let place = place.field("query_name");
        name::parse(text).ok_or_else(|| {
            place.error(
                "is not a name: write one of labels with at most 63 characters between dots, such as www.example.org",
            )
        })
    }

    fn record_type(&self, place: &Place<'_>) -> Result<RecordType, Invalid> {
        let Some(text) = &self.query_type else {
            return Ok(RecordType::ANY);
        };
        let place = place.field("query_type");
        let right = "write A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT or another type of record, or ANY";
        match RecordType::from_str(&text.to_ascii_uppercase()) {
            Ok(
                RecordType::AXFR | RecordType::IXFR | RecordType::TSIG | RecordType::SIG | RecordType::OPT,
            ) => Err(place.error(format_args!("is nothing to ask for in one question: {right}"))),
            Ok(known) => Ok(known),
            Err(_) => Err(place.error(format_args!("is not a type of record: {right}"))),
        }
    }

    fn class(&self, place: &Place<'_>) -> Result<DNSClass, Invalid> {
        let Some(text) = &self.query_class else {
            return Ok(DNSClass::IN);
        };
        DNSClass::from_str(&text.to_ascii_uppercase()).map_err(|_| {
            place
                .field("query_class")
                .error("is not a class: write IN, CH, HS, NONE or ANY")
        })
    }

    fn rcodes(&self, place: &Place<'_>) -> Result<Vec<u16>, Invalid> {
        if self.valid_rcodes.is_empty() {
            return Ok(vec![0]);
        }
        let mut codes = Ok(Vec::new());
        for (index, text) in self.valid_rcodes.iter().enumerate() {
            let text = text.to_ascii_uppercase();
            match RCODES.iter().find(|(name, _)| *name == text) {
                Some((_, code)) => codes.iter_mut().for_each(|codes| codes.push(*code)),
                None => {
                    let place = place.field("valid_rcodes").index(index);
                    codes = Err(place.error(
                        "is not a response code: write NOERROR, NXDOMAIN, SERVFAIL, REFUSED or another name of one",
                    ));
                }
            }
        }
        codes
    }
}

fn transport(
    protocol: TransportProtocol,
    is_tls: bool,
    options: Option<TlsOptions>,
    place: &Place<'_>,
) -> Result<Transport, Invalid> {
    if options.is_some() && !is_tls {
        place
            .field("tls_config")
            .remark("not used: there is no dns_over_tls: true");
    }
    let tls = options.unwrap_or_default().resolve(&place.field("tls_config"));
    match (protocol, is_tls) {
        (TransportProtocol::Udp, true) => Err(place
            .field("dns_over_tls")
            .error("dns_over_tls needs transport_protocol: tcp")),
        (TransportProtocol::Udp, false) => tls.map(|_| Transport::Udp),
        (TransportProtocol::Tcp, false) => tls.map(|_| Transport::Tcp),
        (TransportProtocol::Tcp, true) => Ok(Transport::Tls(Box::new(tls?))),
    }
}

/// The name server that `text` names.
fn server(text: &str, is_tls: bool) -> Result<HostPort, String> {
    if let Some(host) = address::host_alone(text) {
        return Ok(HostPort {
            host: host.to_owned(),
            port: if is_tls { 853 } else { 53 },
        });
    }
    // What is wrong is told in words that fit here, where the port may be left out.
    let findings = RefCell::default();
    HostPort::parse(&Place::root(&findings), text).map_err(|Invalid| {
        // What looks like a URL may hold a password, which no message shows.
        let shown = match text.contains("://") || text.contains('@') {
            true => "this".to_owned(),
            false => format!("\"{text}\""),
        };
        format!(
            "{shown} is not a name server: write its host or host:port, such as 192.0.2.53, ns1.example.org:5353 or \
             [2001:db8::53]:53"
        )
    })
}

impl DnsSettings {
    /// `host:port`.
    pub fn target(&self) -> String {
        self.server.to_string()
    }

    /// The same question to another server: `host` or `host:port`.
    ///
    /// # Errors
    /// What is wrong with the target, and what would be right.
    pub fn aimed_at(&self, target: &str) -> Result<Self, String> {
        Ok(Self {
            server: server(target, matches!(self.query.transport, Transport::Tls(_)))?,
            query: self.query.clone(),
        })
    }
}

impl super::KindFacts for DnsSettings {
    fn values_at_once(&self, label: &str) -> Option<u64> {
        // answer, authority, additional
        (label == "section").then_some(3)
    }
}

#[cfg(test)]
mod tests;
