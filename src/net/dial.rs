//! Connects to a host by name: resolves the name, then connects to its addresses.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::connect::{ZoneIndex, connect_first};
use super::probe_samples;
use super::resolve::Resolver;
use super::run_recorder::{Phase, RunRecorder, Step};
use crate::config::address::{AddressPreference, HostPort};
use crate::config::zone;
use crate::model::{Problem, Reason};

/// The maximum number of addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;

/// The addresses of a host, at least one.
#[derive(Debug)]
pub struct Addresses {
    /// The addresses in the order in which they are tried.
    pub all: Vec<IpAddr>,
    /// Whether the first address was added to the samples of a probe.
    is_recorded: bool,
}

/// Connects to a host, from the address `source` of this machine if there is one. Records the phases resolve and connect.
/// The phase connect stays open for the response of a proxy.
///
/// # Errors
/// Why the name could not be resolved, or why none of its addresses could be connected to.
pub async fn dial(
    resolver: &Resolver,
    target: &HostPort,
    preference: AddressPreference,
    source: Option<IpAddr>,
    recorder: &mut RunRecorder<'_>,
) -> Result<(TcpStream, SocketAddr), Problem> {
    let Addresses {
        all: mut addresses,
        is_recorded,
    } = resolve(resolver, &target.host, Some(target.port), preference, recorder).await?;
    if let Some(source) = source {
        addresses.retain(|address| address.is_ipv4() == source.is_ipv4());
        if addresses.is_empty() {
            let message = format_args!("{target} has no address that {source} (source_ip_address) can reach");
            return Err(Problem::new(Reason::Unreachable, message));
        }
    }
    let zone = ZoneIndex::of(&target.host)?;
    let peers = addresses
        .iter()
        .map(|address| zone.socket_addr(*address, target.port))
        .collect();
    let on_attempt = |peer| recorder.at(Step::Connecting(peer));
    let (stream, peer) = connect_first(peers, source, on_attempt).await?;
    if is_recorded {
        probe_samples::record_connected(recorder.report, peer.ip());
    }
    Ok((stream, peer))
}

/// Resolves a host to the addresses that may be connected to. Records the phase resolve, and begins the phase connect.
///
/// # Errors
/// Why there is no such address.
pub async fn resolve(
    resolver: &Resolver,
    host: &str,
    port: Option<u16>,
    preference: AddressPreference,
    recorder: &mut RunRecorder<'_>,
) -> Result<Addresses, Problem> {
    recorder.enter(Phase::Resolve);
    // A zone names an interface of this machine. It does not change which addresses the host has or the guard allows.
    let host = zone::without_zone(host);
    if host.parse::<IpAddr>().is_err() {
        recorder.at(Step::Resolving(host.to_owned()));
    }
    let deadline = recorder.report.deadline;
    match resolver.resolve(host, port, preference, deadline).await {
        Ok(mut addresses) => {
            addresses.truncate(MAX_ADDRESSES);
            recorder.enter(Phase::Connect);
            let lookup = recorder.spent(Phase::Resolve);
            let is_recorded = probe_samples::record_resolved(recorder.report, addresses[0], lookup);
            Ok(Addresses {
                all: addresses,
                is_recorded,
            })
        }
        Err(problem) => {
            recorder.leave();
            let lookup = recorder.spent(Phase::Resolve);
            probe_samples::record_unresolved(recorder.report, lookup);
            Err(problem)
        }
    }
}
