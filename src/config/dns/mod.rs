//! The configuration of dns checks. The options have the names and meanings of blackbox_exporter's. `server` is new: there it is
//! the target.

mod name;
mod record_type;
mod validators;

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use hickory_proto::rr::{DNSClass, Name};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::record_type::RecordType;
pub use self::validators::{ValidatorOptions, Validators};
use super::address::{self, AddressPreference, HostPort, IpProtocol};
use super::place::{Invalid, Place};
use super::tls::{TlsOptions, TlsSettings};

/// The transport protocol of a query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportProtocol {
    /// UDP.
    #[default]
    Udp,
    /// TCP.
    Tcp,
}

/// The options of a dns check.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DnsOptions {
    /// The name server: host or host:port. Default port: 53, or 853 with dns_over_tls.
    pub server: Option<String>,
    /// Name to query.
    pub query_name: Option<String>,
    /// Record type to query. Default: ANY, for which many servers return only one record.
    pub query_type: Option<String>,
    /// Query class. Default: IN.
    #[schemars(regex(pattern = "^([iI][nN]|[cC][hHsS]|[hH][sS]|[nN][oO][nN][eE]|[aA][nN][yY]|\\*)?$"))]
    pub query_class: Option<String>,
    /// Whether to request recursion. Default: true.
    pub recursion_desired: Option<bool>,
    /// Transport protocol: udp or tcp. Default: udp.
    pub transport_protocol: Option<TransportProtocol>,
    /// Query over TLS (RFC 7858). Needs transport_protocol: tcp.
    pub dns_over_tls: bool,
    /// TLS options.
    pub tls_config: Option<TlsOptions>,
    /// Accepted response codes. Default: NOERROR.
    pub valid_rcodes: Vec<String>,
    /// Conditions for the records of the answer section.
    pub validate_answer_rrs: Option<ValidatorOptions>,
    /// Conditions for the records of the authority section.
    pub validate_authority_rrs: Option<ValidatorOptions>,
    /// Conditions for the records of the additional section.
    pub validate_additional_rrs: Option<ValidatorOptions>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
    /// Source address of queries, an address of this machine.
    pub source_ip_address: Option<String>,
}

/// The settings of a dns check.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsSettings {
    /// The name server.
    pub server: HostPort,
    /// The query and the conditions for its response.
    pub query: Arc<DnsQuery>,
}

/// The transport of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS.
    Tls(Box<TlsSettings>),
}

/// A query and the conditions for its response.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsQuery {
    /// The fully qualified name.
    pub name: Name,
    /// The record type.
    pub record_type: RecordType,
    /// The class.
    pub class: DNSClass,
    /// Whether recursion is requested.
    pub recursion_desired: bool,
    /// The transport.
    pub transport: Transport,
    /// The addresses of the server to try.
    pub preference: AddressPreference,
    /// The source address.
    pub source: Option<IpAddr>,
    /// The accepted response codes, at least one.
    pub rcodes: Vec<u16>,
    /// The conditions for the records of each section, in the order of a message.
    pub validators: [Validators; 3],
}

/// The names of response codes (RFC 6895, section 2.3). Older versions of blackbox_exporter call NOTIMP NOTIMPL.
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
                    .error("server is missing: write the name server to query, such as server: 192.0.2.53")),
            };
        let name = self.name(place);
        let record_type = self.record_type(place);
        let class = self.class(place);
        let rcodes = self.rcodes(place);
        let preference = AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback);
        let source = address::resolve_source(self.source_ip_address.as_deref(), preference, place);
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
                .error("query_name is missing: write the name to query, such as query_name: example.org"));
        };
        let place = place.field("query_name");
        name::parse(text).ok_or_else(|| {
            place.error(
                "not a domain name: write labels of at most 63 characters with dots between them, such as www.example.org",
            )
        })
    }

    fn record_type(&self, place: &Place<'_>) -> Result<RecordType, Invalid> {
        let Some(text) = &self.query_type else {
            return Ok(RecordType::ANY);
        };
        let place = place.field("query_type");
        let advice = "write A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, ANY or another record type";
        RecordType::parse(text).ok_or_else(|| place.error(format_args!("not a record type: {advice}")))
    }

    fn class(&self, place: &Place<'_>) -> Result<DNSClass, Invalid> {
        let Some(text) = &self.query_class else {
            return Ok(DNSClass::IN);
        };
        match text.to_ascii_uppercase().as_str() {
            "CS" => Ok(DNSClass::from(2)),
            text => DNSClass::from_str(text).map_err(|_| {
                place
                    .field("query_class")
                    .error("not a class: write IN, CH, HS, NONE or ANY")
            }),
        }
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
                        "not a response code: write NOERROR, NXDOMAIN, SERVFAIL, REFUSED or another name",
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
            .warn("ignored without dns_over_tls: true");
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

/// Parses a name server: `host` or `host:port`.
fn server(text: &str, is_tls: bool) -> Result<HostPort, String> {
    if let Some(host) = address::host_without_port(text) {
        return Ok(HostPort {
            host: host.to_owned(),
            port: if is_tls { 853 } else { 53 },
        });
    }
    // The error of HostPort does not fit, since the port is optional here.
    HostPort::parse(text).map_err(|_| {
        // A text that looks like a URL may contain a password, so it is not quoted.
        let shown = match text.contains("://") || text.contains('@') {
            true => "this".to_owned(),
            false => format!("\"{text}\""),
        };
        format!(
            "{shown} is not a name server: write host or host:port, such as 192.0.2.53, ns1.example.org:5353 or \
             [2001:db8::53]:53"
        )
    })
}

impl DnsSettings {
    /// `host:port`.
    pub fn target(&self) -> String {
        self.server.to_string()
    }

    /// The same query to another server: `host` or `host:port`.
    ///
    /// # Errors
    /// What is wrong with the target and what to write instead.
    pub fn with_target(&self, target: &str) -> Result<Self, String> {
        Ok(Self {
            server: server(target, matches!(self.query.transport, Transport::Tls(_)))?,
            query: self.query.clone(),
        })
    }
}

impl super::KindFacts for DnsSettings {
    const SEES_CERTIFICATES: bool = true;

    fn values_at_once(&self, label: &str) -> Option<u64> {
        // answer, authority, additional
        (label == "section").then_some(3)
    }
}

#[cfg(test)]
mod tests;
