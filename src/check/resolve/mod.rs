//! Resolves names as the system would, without getaddrinfo, which blocks a thread and outlives deadlines. Nothing is
//! cached, so that an outage of the DNS shows at once; the files are read again when they change.

mod hosts;

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;

use self::hosts::{Hosts, MAX_HOSTS_BYTES};
use super::gate::Gate;
use crate::config::address::{AddressPreference, IpProtocol};
use crate::config::stamp::Stamp;
use crate::model::{Problem, Reason};

/// How long the other protocol's addresses are awaited once the preferred one's are there (RFC 8305, section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long the preferred protocol's addresses are awaited once the other one's are there. Some name servers never answer
/// questions for AAAA records, which must not take a service down that everybody reaches. Longer than the 50 ms of RFC
/// 8305, so that a slow answer does not overrule the preference; shorter than the default limit of a response time.
const PREFERENCE_DELAY: Duration = Duration::from_millis(500);

/// Where the system's configuration of name resolution is.
#[derive(Clone, Debug)]
pub struct ResolverFiles {
    /// The name servers and search domains, resolv.conf(5).
    pub resolv_conf: PathBuf,
    /// The hosts file.
    pub hosts: PathBuf,
    /// The port of the name servers.
    pub port: u16,
}

impl Default for ResolverFiles {
    fn default() -> Self {
        Self {
            resolv_conf: "/etc/resolv.conf".into(),
            hosts: "/etc/hosts".into(),
            port: 53,
        }
    }
}

/// Resolves names. A clone shares what was read.
#[derive(Clone, Default)]
pub struct Resolver {
    inner: Arc<Inner>,
    gate: Option<Arc<Gate>>,
}

#[derive(Default)]
struct Inner {
    files: ResolverFiles,
    state: Mutex<State>,
}

/// What was made from the files, with the stamps they had.
#[derive(Default)]
struct State {
    hosts: Option<(Stamp, Arc<Hosts>)>,
    dns: Option<(Stamp, Arc<TokioResolver>)>,
}

impl Resolver {
    /// A resolver that takes its configuration from these files.
    pub fn new(files: ResolverFiles) -> Self {
        Self {
            inner: Arc::new(Inner {
                files,
                state: Mutex::default(),
            }),
            gate: None,
        }
    }

    /// The same for runs that have to pass a gate, or that need not.
    #[must_use]
    pub fn gated(&self, gate: Option<Arc<Gate>>) -> Self {
        Self {
            inner: self.inner.clone(),
            gate,
        }
    }

    /// The gate of the runs that this resolves for.
    pub fn gate(&self) -> Option<&Gate> {
        self.gate.as_deref()
    }

    /// The addresses of a host that may be connected to, in their order; at least one. `port` is what will be connected to,
    /// where there are ports.
    ///
    /// # Errors
    /// With the reason `dns`, whose message says what was asked, and with the reason `permission` where the gate refuses all addresses.
    pub async fn resolve_for(
        &self,
        host: &str,
        port: Option<u16>,
        preference: AddressPreference,
    ) -> Result<Vec<IpAddr>, Problem> {
        let addresses = self.inner.resolve(host, preference).await?;
        match &self.gate {
            Some(gate) => gate.admit(host, addresses, port),
            None => Ok(addresses),
        }
    }
}

impl Inner {
    /// The addresses of a host, in their order; at least one.
    ///
    /// # Errors
    /// A problem with the reason `dns`, whose message says what was asked.
    async fn resolve(&self, host: &str, preference: AddressPreference) -> Result<Vec<IpAddr>, Problem> {
        let found = match known(host) {
            Some(addresses) if addresses.len() > 1 => self.listed(host, addresses),
            Some(addresses) => addresses,
            None => match self.hosts().get(host) {
                Some(addresses) => addresses.to_vec(),
                None => self.ask(host, preference).await?,
            },
        };
        let ordered = preference.order(&found);
        if ordered.is_empty() {
            let wanted = protocol_name(preference.preferred);
            let message = format!("{host} has no {wanted} address, and ip_protocol_fallback is off");
            return Err(Problem::new(Reason::Dns, message));
        }
        Ok(ordered)
    }

    /// Those addresses of this machine that the hosts file lists for this name of it; all where it lists none. Others that it
    /// lists are not local, and so none of a local name (RFC 6761, section 6.3).
    fn listed(&self, host: &str, local: Vec<IpAddr>) -> Vec<IpAddr> {
        let hosts = self.hosts();
        let listed = hosts.get(host).unwrap_or_default();
        let both: Vec<IpAddr> = local
            .iter()
            .filter(|address| listed.contains(address))
            .copied()
            .collect();
        if both.is_empty() { local } else { both }
    }

    /// Asks the name servers. Both protocols are asked at the same time; the preferred one's answer is awaited, for not
    /// much longer than the other one's.
    async fn ask(&self, host: &str, preference: AddressPreference) -> Result<Vec<IpAddr>, Problem> {
        let problem =
            |what: &dyn fmt::Display| Problem::new(Reason::Dns, format_args!("resolving {host}: {what}"));
        let dns = self.dns().map_err(|error| problem(&error))?;
        let name = Name::from_str_relaxed(host).map_err(|error| problem(&error))?;
        let (first, second) = match preference.preferred {
            IpProtocol::Ip6 => (RecordType::AAAA, RecordType::A),
            IpProtocol::Ip4 => (RecordType::A, RecordType::AAAA),
        };
        let failed = |error: NetError| problem(&explain(&error));
        if !preference.fallback {
            return lookup(&dns, &name, first).await.map_err(failed);
        }
        let mut preferred = pin!(lookup(&dns, &name, first));
        let mut other = pin!(lookup(&dns, &name, second));
        let (preferred, other) = tokio::select! {
            biased;
            preferred = &mut preferred => {
                let delay = if preferred.is_ok() { RESOLUTION_DELAY } else { Duration::MAX };
                (preferred, tokio::time::timeout(delay, other).await.unwrap_or(Ok(Vec::new())))
            }
            other = &mut other => {
                let delay = if other.is_ok() { PREFERENCE_DELAY } else { Duration::MAX };
                let preferred = tokio::time::timeout(delay, preferred).await;
                (preferred.unwrap_or(Err(NetError::Timeout)), other)
            }
        };
        match (preferred, other) {
            (Ok(mut addresses), other) => {
                addresses.extend(other.unwrap_or_default());
                Ok(addresses)
            }
            (Err(_), Ok(addresses)) => Ok(addresses),
            (Err(error), Err(_)) => Err(failed(error)),
        }
    }

    fn hosts(&self) -> Arc<Hosts> {
        let stamp = Stamp::of(&self.files.hosts);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.hosts {
            Some((known, hosts)) if *known == stamp => hosts.clone(),
            _ => {
                let text = read(&self.files.hosts).unwrap_or_default();
                let hosts = Arc::new(Hosts::parse(&String::from_utf8_lossy(&text)));
                state.hosts = Some((stamp, hosts.clone()));
                hosts
            }
        }
    }

    fn dns(&self) -> Result<Arc<TokioResolver>, NetError> {
        let stamp = Stamp::of(&self.files.resolv_conf);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.dns {
            Some((known, dns)) if *known == stamp => Ok(dns.clone()),
            _ => {
                let dns = Arc::new(self.build()?);
                state.dns = Some((stamp, dns.clone()));
                Ok(dns)
            }
        }
    }

    fn build(&self) -> Result<TokioResolver, NetError> {
        let text = read(&self.files.resolv_conf).unwrap_or_default();
        let (config, mut options) = match parse_resolv_conf(&text) {
            Ok(parsed) => parsed,
            // No name server is named: then it is the one on this machine (resolv.conf(5)), never a public one.
            Err(_) => {
                let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
                (
                    ResolverConfig::from_parts(None, Vec::new(), vec![local]),
                    ResolverOpts::default(),
                )
            }
        };
        let mut servers = config.name_servers().to_vec();
        for connection in servers.iter_mut().flat_map(|server| &mut server.connections) {
            connection.port = self.files.port;
        }
        // "search" replaces "domain", the last one of them counts (resolv.conf(5)).
        let domain = config.domain().filter(|_| config.search().is_empty()).cloned();
        let config = ResolverConfig::from_parts(domain, config.search().to_vec(), servers);
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("files", &self.inner.files)
            .finish_non_exhaustive()
    }
}

/// The addresses of what needs no lookup: an address, or `localhost` and what is below it (RFC 6761, section 6.3).
fn known(host: &str) -> Option<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Some(vec![address]);
    }
    let name = host.strip_suffix('.').unwrap_or(host).as_bytes();
    let start = name.len().checked_sub("localhost".len())?;
    let local = name[start..].eq_ignore_ascii_case(b"localhost") && (start == 0 || name[start - 1] == b'.');
    local.then(|| vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()])
}

async fn lookup(dns: &TokioResolver, name: &Name, record: RecordType) -> Result<Vec<IpAddr>, NetError> {
    let found = dns.lookup(name.clone(), record).await?;
    let addresses = found.answers().iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    });
    let addresses: Vec<IpAddr> = addresses.collect();
    match addresses.is_empty() {
        true => Err(NetError::Message("the answer holds no address")),
        false => Ok(addresses),
    }
}

fn explain(error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(found)) => match found.response_code {
            ResponseCode::NXDomain => "there is no such name (NXDOMAIN)".to_owned(),
            ResponseCode::NoError => "the name has no address".to_owned(),
            code => format!("the name server answers {code}"),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the name server answers {code}"),
        NetError::Timeout | NetError::NoConnections => "no name server answers".to_owned(),
        NetError::Io(error) => format!("asking the name server: {error}"),
        other => other.to_string(),
    }
}

const fn protocol_name(protocol: IpProtocol) -> &'static str {
    match protocol {
        IpProtocol::Ip4 => "IPv4",
        IpProtocol::Ip6 => "IPv6",
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_HOSTS_BYTES)
        .read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_need_no_lookup() {
        let known = |host| {
            known(host).map(|found| {
                found
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        };
        assert_eq!(known("192.0.2.1"), Some("192.0.2.1".to_owned()));
        assert_eq!(known("::1"), Some("::1".to_owned()));
        for local in ["localhost", "LOCALHOST.", "db.localhost"] {
            assert_eq!(known(local), Some("::1 127.0.0.1".to_owned()), "{local}");
        }
        for other in ["notlocalhost", "localhost.example.org", "", "h\u{e9}localhost1"] {
            assert_eq!(known(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn the_hosts_file_says_which_addresses_of_this_machine_count() {
        for (lines, expected) in [
            ("127.0.0.1 localhost", "127.0.0.1"),
            ("::1 localhost", "::1"),
            (
                "127.0.0.1 localhost\n::1 localhost ip6-localhost",
                "::1 127.0.0.1",
            ),
            ("192.0.2.1 localhost", "::1 127.0.0.1"),
            ("192.0.2.1 localhost\n127.0.0.1 localhost", "127.0.0.1"),
            ("127.0.0.1 other", "::1 127.0.0.1"),
        ] {
            let hosts = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(hosts.path(), lines).unwrap();
            let resolver = Resolver::new(ResolverFiles {
                hosts: hosts.path().to_owned(),
                ..ResolverFiles::default()
            });
            let preference = AddressPreference::new(None, None);
            let found = resolver.resolve_for("localhost", None, preference).await.unwrap();
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{lines}");
        }
    }

    #[tokio::test]
    async fn an_address_of_the_other_protocol_is_no_address() {
        let preference = AddressPreference::new(Some(IpProtocol::Ip6), Some(false));
        let problem = Resolver::default()
            .resolve_for("127.0.0.1", None, preference)
            .await
            .unwrap_err();
        assert_eq!(problem.reason, Reason::Dns);
        assert_eq!(
            problem.message(),
            "127.0.0.1 has no IPv6 address, and ip_protocol_fallback is off"
        );
    }
}
