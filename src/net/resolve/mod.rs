//! Resolves names as glibc does, but without getaddrinfo, which blocks a thread and ignores deadlines. Results are not cached,
//! so a DNS outage shows at once. The configuration files are read again when they change.

mod conf;
mod hosts;
mod response;
mod servers;

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hickory_proto::rr::{Name, RecordType};
use tokio::time::Instant;

use self::conf::{Environment, ResolvConf};
use self::hosts::{Hosts, MAX_HOSTS_BYTES};
use self::response::{Lookup, Response};
use self::servers::Servers;
use super::dns_exchange;
use super::guard::ProbeGuard;
use super::shortage;
use crate::config::address::{AddressPreference, IpProtocol};
use crate::config::file_version::FileVersion;
use crate::model::{Problem, Reason};

/// The longest resolv.conf that is read, in bytes.
const MAX_RESOLV_CONF_BYTES: u64 = 1 << 20;

/// The files that configure name resolution.
#[derive(Clone, Debug)]
pub struct ResolverFiles {
    /// The name servers and search domains (resolv.conf(5)).
    pub resolv_conf: PathBuf,
    /// The hosts file (hosts(5)).
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

/// Resolves names. Clones share the parsed files.
#[derive(Clone, Default)]
pub struct Resolver {
    inner: Arc<Inner>,
    guard: Option<Arc<ProbeGuard>>,
    /// Whether every lookup fails at once.
    is_failing: bool,
}

#[derive(Default)]
struct Inner {
    files: ResolverFiles,
    parsed: Mutex<Parsed>,
}

/// The parsed files, with their versions.
#[derive(Default)]
struct Parsed {
    hosts: Option<(FileVersion, Arc<Hosts>)>,
    servers: Option<(FileVersion, Arc<Servers>)>,
}

impl Resolver {
    /// A resolver that reads these files.
    pub fn new(files: ResolverFiles) -> Self {
        Self {
            inner: Arc::new(Inner {
                files,
                parsed: Mutex::default(),
            }),
            guard: None,
            is_failing: false,
        }
    }

    /// The same resolver, but every lookup fails at once. For a run that must not connect to anything.
    #[must_use]
    pub fn failing(&self) -> Self {
        Self {
            is_failing: true,
            ..self.clone()
        }
    }

    /// The same resolver with this guard, or without one.
    #[must_use]
    pub fn with_guard(&self, guard: Option<Arc<ProbeGuard>>) -> Self {
        Self {
            inner: self.inner.clone(),
            guard,
            is_failing: self.is_failing,
        }
    }

    /// The guard that judges the addresses of a probe.
    pub fn guard(&self) -> Option<&ProbeGuard> {
        self.guard.as_deref()
    }

    /// Resolves a host to the addresses that may be connected to, in order, at least one. `port` is the port to connect to, for
    /// protocols with ports. The wait for name servers leaves time for the rest of the run before its `deadline`.
    ///
    /// # Errors
    /// With the reason `dns` if the lookup fails, with `permission` if the guard refuses all addresses, or a shortage that
    /// prevents queries.
    pub async fn resolve(
        &self,
        host: &str,
        port: Option<u16>,
        preference: AddressPreference,
        deadline: Option<Instant>,
    ) -> Result<Vec<IpAddr>, Problem> {
        if self.is_failing {
            return Err(Problem::new(Reason::Dns, "the target has no name to resolve"));
        }
        let addresses = self.inner.look_up(host, preference, deadline).await?;
        match &self.guard {
            Some(guard) => guard.admit(host, addresses, port),
            None => Ok(addresses),
        }
    }
}

impl Inner {
    /// The addresses of a host in order, at least one.
    async fn look_up(
        &self,
        host: &str,
        preference: AddressPreference,
        deadline: Option<Instant>,
    ) -> Result<Vec<IpAddr>, Problem> {
        let found = match without_lookup(host) {
            Some(addresses) if addresses.len() > 1 => self.filter_local(host, addresses)?,
            Some(addresses) => addresses,
            None => match self.hosts()?.get(host) {
                Some(addresses) => addresses.to_vec(),
                // Boxed, because most targets need no query.
                None => Box::pin(self.query(host, preference, deadline)).await?,
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

    /// The loopback addresses that the hosts file lists for a local name, or all if it lists none. Other addresses in the hosts
    /// file are ignored, since a local name has loopback addresses only (RFC 6761, section 6.3).
    fn filter_local(&self, host: &str, local: Vec<IpAddr>) -> Result<Vec<IpAddr>, Problem> {
        let hosts = self.hosts()?;
        let listed = hosts.get(host).unwrap_or_default();
        let both: Vec<IpAddr> = local
            .iter()
            .filter(|address| listed.contains(address))
            .copied()
            .collect();
        Ok(if both.is_empty() { local } else { both })
    }

    /// Queries the name servers for the candidate names of a host, one after the other, as glibc does.
    async fn query(
        &self,
        host: &str,
        preference: AddressPreference,
        deadline: Option<Instant>,
    ) -> Result<Vec<IpAddr>, Problem> {
        let servers = self.servers()?;
        let failed =
            |what: &dyn fmt::Display| Problem::new(Reason::Dns, format_args!("resolving {host}: {what}"));
        let records = records(preference, servers.conf.no_aaaa);
        if records.is_empty() {
            return Err(failed(
                &"the check uses IPv6 only, and resolv.conf has the option no-aaaa",
            ));
        }
        let mut fault: Option<String> = None;
        let mut exists = false;
        let mut is_searching = true;
        for candidate in servers.conf.candidates(host) {
            if candidate.is_searched && !is_searching {
                continue;
            }
            let name = match Name::from_str_relaxed(&candidate.name) {
                Ok(name) => name,
                // The name is too long with this search domain.
                Err(_) if candidate.is_searched => continue,
                Err(error) => return Err(failed(&error)),
            };
            let lookup = servers.look_up(&name, &records, deadline).await;
            let resolving = |problem: Problem| {
                problem.with_message(format_args!("resolving {host}: {}", problem.message()))
            };
            match lookup.map_err(resolving)? {
                Lookup::Found(addresses) => return Ok(addresses),
                Lookup::NotFound { exists: found } => exists |= found,
                Lookup::Failed(failure) => {
                    is_searching &= !candidate.is_searched || failure.is_servfail;
                    fault.get_or_insert_with(|| match candidate.is_searched {
                        true => format!("querying {name}: {}", failure.text),
                        false => failure.text,
                    });
                }
            }
        }
        Err(match fault {
            Some(fault) => failed(&fault),
            None if exists => failed(&"the name has no address"),
            None => failed(&"the name does not exist (NXDOMAIN)"),
        })
    }

    fn hosts(&self) -> Result<Arc<Hosts>, Problem> {
        let version = FileVersion::of(&self.files.hosts);
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        match &parsed.hosts {
            Some((known, hosts)) if *known == version => Ok(hosts.clone()),
            _ => {
                let text = read(&self.files.hosts, MAX_HOSTS_BYTES)?;
                let hosts = Arc::new(Hosts::parse(&String::from_utf8_lossy(&text)));
                parsed.hosts = Some((version, hosts.clone()));
                Ok(hosts)
            }
        }
    }

    fn servers(&self) -> Result<Arc<Servers>, Problem> {
        let version = FileVersion::of(&self.files.resolv_conf);
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        match &parsed.servers {
            Some((known, servers)) if *known == version => Ok(servers.clone()),
            _ => {
                let text = read(&self.files.resolv_conf, MAX_RESOLV_CONF_BYTES)?;
                let conf = ResolvConf::parse(&String::from_utf8_lossy(&text), &environment());
                let servers = Arc::new(Servers::new(conf, self.files.port));
                parsed.servers = Some((version, servers.clone()));
                Ok(servers)
            }
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("files", &self.inner.files)
            .finish_non_exhaustive()
    }
}

/// The addresses of a host that needs no lookup: an address, or `localhost` and its subdomains (RFC 6761, section 6.3).
fn without_lookup(host: &str) -> Option<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Some(vec![address]);
    }
    let name = host.strip_suffix('.').unwrap_or(host).as_bytes();
    let start = name.len().checked_sub("localhost".len())?;
    let local = name[start..].eq_ignore_ascii_case(b"localhost") && (start == 0 || name[start - 1] == b'.');
    local.then(|| vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()])
}

/// The record types to query, the preferred one first.
fn records(preference: AddressPreference, no_aaaa: bool) -> Vec<RecordType> {
    let mut records = match preference.preferred {
        IpProtocol::Ip6 => vec![RecordType::AAAA, RecordType::A],
        IpProtocol::Ip4 => vec![RecordType::A, RecordType::AAAA],
    };
    if !preference.fallback {
        records.truncate(1);
    }
    records.retain(|record| !no_aaaa || *record != RecordType::AAAA);
    records
}

/// The settings of name resolution outside resolv.conf.
fn environment() -> Environment {
    let variable = |name: &str| std::env::var(name).ok();
    Environment {
        local_domain: variable("LOCALDOMAIN"),
        options: variable("RES_OPTIONS"),
        host_name: rustix::system::uname()
            .nodename()
            .to_str()
            .ok()
            .map(str::to_owned),
    }
}

const fn protocol_name(protocol: IpProtocol) -> &'static str {
    match protocol {
        IpProtocol::Ip4 => "IPv4",
        IpProtocol::Ip6 => "IPv6",
    }
}

/// Reads the start of a file. A file that can't be read counts as empty.
///
/// # Errors
/// A shortage in this process. Otherwise an empty file would be used until it changes.
fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(max_bytes).read_to_end(&mut text));
    match read {
        Err(error) if shortage::from_error(&error).is_some() => {
            let message = format_args!("reading {}: {error}", path.display());
            Err(shortage::problem(Reason::Dns, &error, message))
        }
        _ => Ok(text),
    }
}

/// Interprets a message as the response to both queries about example.org. For tests with arbitrary input.
///
/// # Errors
/// Why it is not a message, or has no address.
#[doc(hidden)]
pub fn fuzz_parse(message: &[u8]) -> Result<Vec<IpAddr>, String> {
    let server = Ipv4Addr::LOCALHOST.into();
    let message =
        dns_exchange::parse(SocketAddr::new(server, 53), message).map_err(|problem| problem.to_string())?;
    let name = Name::from_ascii("example.org.").map_err(|error| error.to_string())?;
    let response = |record| (record, Response::from_message(&message, &name, record));
    match response::combine(server, &[response(RecordType::AAAA), response(RecordType::A)]) {
        Lookup::Found(addresses) => Ok(addresses),
        Lookup::NotFound { .. } => Err("the name has no address".to_owned()),
        Lookup::Failed(failure) => Err(failure.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_need_no_lookup() {
        let found = |host| {
            without_lookup(host).map(|found| {
                found
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        };
        assert_eq!(found("192.0.2.1"), Some("192.0.2.1".to_owned()));
        assert_eq!(found("::1"), Some("::1".to_owned()));
        for local in ["localhost", "LOCALHOST.", "db.localhost"] {
            assert_eq!(found(local), Some("::1 127.0.0.1".to_owned()), "{local}");
        }
        for other in ["notlocalhost", "localhost.example.org", "", "h\u{e9}localhost1"] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn the_hosts_file_selects_loopback_addresses() {
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
            let found = resolver
                .resolve("localhost", None, preference, None)
                .await
                .unwrap();
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{lines}");
        }
    }

    #[tokio::test]
    async fn an_address_of_the_other_protocol_is_not_used() {
        let preference = AddressPreference::new(Some(IpProtocol::Ip6), Some(false));
        let problem = Resolver::default()
            .resolve("127.0.0.1", None, preference, None)
            .await
            .unwrap_err();
        assert_eq!(problem.reason, Reason::Dns);
        assert_eq!(
            problem.message(),
            "127.0.0.1 has no IPv6 address, and ip_protocol_fallback is off"
        );
    }
}
