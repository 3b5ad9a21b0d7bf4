//! What runs of several kinds tell a probe about: names, addresses and TLS. The families bear blackbox_exporter's names and
//! mean what they mean there.

use std::net::IpAddr;
use std::time::Duration;

use crate::model::{Family, Report, Sample};

/// How long the target's name took to resolve.
pub static DNS_LOOKUP_TIME: Family = Family::probe(
    "probe_dns_lookup_time_seconds",
    &[],
    "Duration of the name resolution in seconds.",
);
/// The protocol of the address that was taken.
pub static IP_PROTOCOL: Family = Family::probe(
    "probe_ip_protocol",
    &[],
    "IP version of the address used: 4 or 6.",
);
/// Tells one address from another without being one.
pub static IP_ADDR_HASH: Family = Family::probe(
    "probe_ip_addr_hash",
    &[],
    "Hash of the address used. It changes when the address changes.",
);

/// The families that a probe of any kind with an address has.
pub const FAMILIES: &[&Family] = &[&DNS_LOOKUP_TIME, &IP_PROTOCOL, &IP_ADDR_HASH];

/// Tells which address of the target is taken, and how long finding it took. Of a run that resolves several names
/// (redirects), the first one counts; says whether this was it.
pub fn record_resolved(report: &mut Report, address: IpAddr, lookup: Duration) -> bool {
    let is_told = |samples: &Vec<Sample>| samples.iter().any(|sample| sample.family == &IP_PROTOCOL);
    if report.probe.as_ref().is_none_or(is_told) {
        return false;
    }
    report.push_probe_sample(&DNS_LOOKUP_TIME, Vec::new(), lookup.as_secs_f64());
    report.push_probe_sample(&IP_PROTOCOL, Vec::new(), protocol(address));
    report.push_probe_sample(&IP_ADDR_HASH, Vec::new(), f64::from(hash(address)));
    true
}

/// Tells that the target has no address, and how long finding that out took.
pub fn record_unresolved(report: &mut Report, lookup: Duration) {
    let is_told = |samples: &Vec<Sample>| samples.iter().any(|sample| sample.family == &IP_PROTOCOL);
    if report.probe.as_ref().is_some_and(|samples| !is_told(samples)) {
        report.push_probe_sample(&DNS_LOOKUP_TIME, Vec::new(), lookup.as_secs_f64());
        report.push_probe_sample(&IP_PROTOCOL, Vec::new(), 0.0);
        report.push_probe_sample(&IP_ADDR_HASH, Vec::new(), 0.0);
    }
}

/// Tells that of several addresses this one answered.
pub fn record_connected(report: &mut Report, address: IpAddr) {
    for sample in report.probe.iter_mut().flatten() {
        if sample.family == &IP_PROTOCOL {
            sample.value = protocol(address);
        } else if sample.family == &IP_ADDR_HASH {
            sample.value = f64::from(hash(address));
        }
    }
}

fn protocol(address: IpAddr) -> f64 {
    if address.is_ipv4() { 4.0 } else { 6.0 }
}

/// FNV-1a of 32 bits over the address's bytes.
fn hash(address: IpAddr) -> u32 {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let start = 0x811c_9dc5;
    match address {
        IpAddr::V4(address) => address.octets().iter().fold(start, step),
        IpAddr::V6(address) => address.octets().iter().fold(start, step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_probe_is_told_and_only_of_the_first_address() {
        let (v4, v6): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), "::1".parse().unwrap());
        let mut report = Report::default();
        assert!(!record_resolved(&mut report, v4, Duration::ZERO));
        assert!(report.probe.is_none());
        report.probe = Some(Vec::new());
        assert!(record_resolved(&mut report, v6, Duration::from_millis(2)));
        assert!(!record_resolved(&mut report, v6, Duration::from_millis(3)));
        record_connected(&mut report, v4);
        let values: Vec<f64> = report.probe.unwrap().iter().map(|sample| sample.value).collect();
        // The hash is the one that blackbox_exporter 0.23 shows for this address.
        assert_eq!(values, [0.002, 4.0, 3_668_918_509.0]);
    }
}
